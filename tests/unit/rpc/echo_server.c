/*
 * echo_server.c - the test service as a process of its own: echo_server DIR [LOG].
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "echo.h"

int main(int argc, char **argv) {
    static struct echo e = {.room.log_fd = -1};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 2)
        return 2;
    if (argc > 2)
        e.room.log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    echo_start_in(&e, argv[1], 0);
    pthread_join(e.thread, NULL);
    _exit(e.rc == 0 ? 0 : 1);
}
