/*
 * orchestrator.c - what an orchestrator does with libbulkhead, in one file.
 *
 *   orchestrator HOST IMAGE N
 *
 * Lists the images, runs N containers of IMAGE at once, each by a thread of its own on one shared
 * client, streams their logs line by line, collects the exit codes, and cancels whatever is left
 * when a time limit passes.  Uses nothing but bulkhead/bulkhead.h.
 */
#include <bulkhead/bulkhead.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
    bulkhead *engine;
    const char *image;
    int number;
    int exit_code; /* -1: it could not be run */
};

static void complain(const char *what, const struct bulkhead_error *err) {
    fprintf(stderr, "%s: %s%s%s\n", what, err->message, err->hint[0] ? "; " : "", err->hint);
}

static bulkhead_value *spec_of(const struct job *job) {
    bulkhead_value *spec = bulkhead_map_new(), *command = bulkhead_list_new(), *env = bulkhead_list_new();
    char text[64];

    bulkhead_set_str(spec, "image", job->image);
    bulkhead_add_str(command, "/bin/sh");
    bulkhead_add_str(command, "-c");
    bulkhead_add_str(command, "echo job $JOB begins; echo job $JOB ends; exit $JOB");
    bulkhead_set(spec, "command", command);
    snprintf(text, sizeof text, "JOB=%d", job->number);
    bulkhead_add_str(env, text);
    bulkhead_set(spec, "env", env);
    return spec;
}

static int print_log(void *arg, int stream, int64_t time_ns, const void *data, size_t n) {
    const struct job *job = arg;

    printf("[%d %s %" PRId64 "] %.*s", job->number, stream == 2 ? "err" : "out", time_ns / 1000000000, (int)n,
           (const char *)data);
    return 0;
}

static void *run_job(void *arg) {
    struct bulkhead_error err = {0};
    struct job *job = arg;
    bulkhead_value *spec = spec_of(job);
    char *id = NULL;

    job->exit_code = -1;
    if (bulkhead_container_create(job->engine, NULL, spec, &id, &err) != 0)
        complain("create", &err);
    else if (bulkhead_container_start(job->engine, id, NULL, &err) != 0)
        complain("start", &err);
    else if (bulkhead_container_logs(job->engine, id, true, print_log, job, &err) != 0)
        complain("logs", &err);
    else if (bulkhead_container_wait(job->engine, id, &job->exit_code, &err) != 0)
        complain("wait", &err);
    if (id != NULL && bulkhead_container_remove(job->engine, id, true, &err) != 0)
        complain("remove", &err);
    bulkhead_value_free(spec);
    free(id);
    return NULL;
}

static int list_images(bulkhead *engine) {
    struct bulkhead_error err = {0};
    struct bulkhead_image *images;
    size_t n;

    if (bulkhead_image_list(engine, &images, &n, &err) != 0) {
        complain("list images", &err);
        return 1;
    }
    for (size_t i = 0; i < n; i++)
        printf("image %s %s %" PRIu64 "\n", images[i].id, images[i].repo_tags[0] ? images[i].repo_tags[0] : "<none>",
               images[i].size);
    bulkhead_image_list_free(images, n);
    return 0;
}

struct watch {
    bulkhead *engine;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int done;
};

/* Cancels everything after 60 s: bulkhead_cancel may come from any thread. */
static void *watchdog(void *arg) {
    struct watch *w = arg;
    struct timespec until;
    int expired = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&w->lock);
    while (!w->done && !expired)
        expired = pthread_cond_timedwait(&w->wake, &w->lock, &until) != 0;
    pthread_mutex_unlock(&w->lock);
    if (expired)
        bulkhead_cancel(w->engine);
    return NULL;
}

int main(int argc, char **argv) {
    struct bulkhead_error err = {0};
    struct watch watch = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    pthread_t threads[64], dog;
    struct job jobs[64];
    int n, status = 0;

    if (argc != 4 || (n = atoi(argv[3])) < 1 || n > 64) {
        fprintf(stderr, "usage: orchestrator HOST IMAGE N (1 to 64)\n");
        return 2;
    }
    if (bulkhead_open(argv[1], &watch.engine, &err) != 0) {
        complain("open", &err);
        return 1;
    }
    if (list_images(watch.engine) != 0)
        return 1;
    pthread_create(&dog, NULL, watchdog, &watch);
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct job){.engine = watch.engine, .image = argv[2], .number = i};
        pthread_create(&threads[i], NULL, run_job, &jobs[i]);
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        printf("job %d exit %d\n", i, jobs[i].exit_code);
        status |= jobs[i].exit_code != i;
    }
    pthread_mutex_lock(&watch.lock);
    watch.done = 1;
    pthread_cond_signal(&watch.wake);
    pthread_mutex_unlock(&watch.lock);
    pthread_join(dog, NULL);
    bulkhead_close(watch.engine);
    return status;
}
