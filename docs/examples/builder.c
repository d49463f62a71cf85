/*
 * builder.c - an image is pulled, built upon and pushed with libbulkhead, in one file.
 *
 *   builder HOST BASE TARGET
 *
 * Pulls BASE, builds an image of it and of one file that only this program's memory has, and pushes it
 * as TARGET.  Shows what travels: the list of a context and the contents that the store asks for,
 * events of layers and steps as they come.  Uses nothing but bulkhead/bulkhead.h, and libcrypto for the
 * SHA-256 by which files of a context are known.  Registries that want a login need a `remote` in each
 * request: RemoteOptions of proto/registry.proto.
 */
#include <bulkhead/bulkhead.h>

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char page[] = "built by an orchestrator\n";

static int complain(const char *what, const struct bulkhead_error *err) {
    fprintf(stderr, "%s: %s%s%s\n", what, err->message, err->hint[0] ? "; " : "", err->hint);
    return 1;
}

/* ---- pull and push: a stream of events to its end ------------------------------------------------ */

typedef void on_event(void *arg, const bulkhead_value *event);

static int follow(bulkhead *engine, const char *service, const char *method, bulkhead_value *take_request,
                  on_event *each, void *arg, struct bulkhead_error *err) {
    bulkhead_stream *s = NULL;
    int code = bulkhead_stream_open(engine, service, method, take_request, NULL, 0, &s, err);

    bulkhead_value_free(take_request);
    while (code == 0) {
        bulkhead_value *event = NULL;

        code = bulkhead_stream_recv_value(s, &event, err);
        if (code == 0 && event == NULL) {
            code = bulkhead_stream_finish(s, NULL, err);
            break;
        }
        if (code == 0)
            each(arg, event);
        bulkhead_value_free(event);
    }
    bulkhead_stream_free(s);
    return code;
}

/* PullEvent and PushEvent: progress of layers has no status, `reference` comes when the image is there. */
static void print_transfer(void *arg, const bulkhead_value *event) {
    const char *status = bulkhead_get_str(event, "status"), *done = bulkhead_get_str(event, "reference");

    (void)arg;
    if (status[0] != '\0')
        printf("%s\n", status);
    if (done[0] != '\0')
        printf("done %s %s\n", done, bulkhead_get_str(event, "digest"));
}

static int transfer(bulkhead *engine, const char *method, const char *reference, struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new(), *references = bulkhead_list_new();

    bulkhead_add_str(references, reference);
    bulkhead_set(request, "reference", references);
    return follow(engine, "registry", method, request, print_transfer, NULL, err);
}

/* ---- build -------------------------------------------------------------------------------------- */

/* The store asks for the one file only when it has no content of that digest. */
static int send_page(void *arg, size_t number, bulkhead_stream *s, struct bulkhead_error *err) {
    (void)arg;
    (void)number;
    return bulkhead_stream_send(s, page, sizeof page - 1, err);
}

static int put_context(bulkhead *engine, char **out_id, struct bulkhead_error *err) {
    struct bulkhead_context_entry file = {.path = "page", .type = S_IFREG, .mode = 0644, .size = sizeof page - 1};
    void *packed = NULL;
    uint64_t sent = 0;
    size_t n = 0;
    int code;

    SHA256((const unsigned char *)page, sizeof page - 1, file.sha256);
    code = bulkhead_context_pack(&file, 1, &packed, &n, err);
    if (code == 0)
        code = bulkhead_context_put(engine, "builder-example", "", packed, n, send_page, NULL, out_id, &sent, err);
    if (code == 0)
        printf("context %llu bytes sent\n", (unsigned long long)sent);
    free(packed);
    return code;
}

/* BuildEvent: steps begin and end, what commands print comes as bytes, the last has the image. */
static void print_build(void *arg, const bulkhead_value *event) {
    const bulkhead_value *vertex = bulkhead_get(event, "vertex");
    const char *id = bulkhead_get_str(event, "image_id");
    size_t n = 0;
    const char *data = bulkhead_get_bytes(event, "data", &n);

    (void)arg;
    if (bulkhead_get_uint(vertex, "state") > 1)
        printf("step %s%s\n", bulkhead_get_str(vertex, "name"),
               bulkhead_get_uint(vertex, "state") == 3 ? " CACHED" : "");
    if (n > 0)
        printf("output %.*s", (int)n, data);
    if (id[0] != '\0')
        printf("image %s\n", id);
}

static int build(bulkhead *engine, const char *base, const char *tag, struct bulkhead_error *err) {
    bulkhead_value *request, *tags;
    char *context = NULL, text[1024];
    int n = snprintf(text, sizeof text, "FROM %s\nCOPY page /page\nRUN cat /page\n", base);

    if (n >= (int)sizeof text || put_context(engine, &context, err) != 0)
        return err->code != 0 ? err->code : BULKHEAD_INVALID;
    request = bulkhead_map_new();
    tags = bulkhead_list_new();
    bulkhead_set_bytes(request, "dockerfile", text, (size_t)n);
    bulkhead_set_str(request, "context", context);
    bulkhead_add_str(tags, tag);
    bulkhead_set(request, "tag", tags);
    free(context);
    return follow(engine, "build", "Build", request, print_build, NULL, err);
}

int main(int argc, char **argv) {
    struct bulkhead_error err = {0};
    bulkhead *engine = NULL;
    int status = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: builder HOST BASE TARGET\n");
        return 2;
    }
    if (bulkhead_open(argv[1], &engine, &err) != 0)
        return complain("open", &err);
    if (transfer(engine, "Pull", argv[2], &err) != 0)
        status = complain("pull", &err);
    else if (build(engine, argv[2], argv[3], &err) != 0)
        status = complain("build", &err);
    else if (transfer(engine, "Push", argv[3], &err) != 0)
        status = complain("push", &err);
    bulkhead_close(engine);
    return status;
}
