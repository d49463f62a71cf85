/*
 * tsan_setns.c - setns() for programs built with ThreadSanitizer.
 *
 * Room: launch, monitor.  ThreadSanitizer runs a thread of its own also in the child of a fork, and the kernel lets no
 * process with two threads into another user namespace.  Linked with --wrap=setns, only then.
 */
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <stddef.h>

int __real_setns(int fd, int type);
int __wrap_setns(int fd, int type);

static void *nothing(void *arg) {
    return arg;
}

/* The way to end that thread is there once a process has made one. */
__attribute__((constructor)) static void make_one(void) {
    pthread_t t;

    if (pthread_create(&t, NULL, nothing, NULL) == 0)
        pthread_join(t, NULL);
}

int __wrap_setns(int fd, int type) {
    __sanitizer_sandbox_on_notify(NULL);
    return __real_setns(fd, type);
}
