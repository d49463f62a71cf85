/*
 * main.c - process 1 of a container started with --init: passes signals on and reaps orphans.
 *
 * Room: none; it runs inside the container, with the container's rights, and is linked statically so
 * that it needs nothing of the image.  `--probe` makes it the payload of the trial of an OCI runtime
 * (trial.c).  It trusts nobody in there and must not outlive its one child.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void child_run(char **argv, const sigset_t *old) {
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN); /* else taking the terminal would stop us */
    tcsetpgrp(STDIN_FILENO, getpgrp());
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, old, NULL);
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "exec %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* Returns the exit status once the child has ended, -1 before. */
static int reap(pid_t child) {
    int result = -1;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == child)
            result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return result;
}

int main(int argc, char **argv) {
    sigset_t all, old;
    pid_t child;

    if (argc == 2 && strcmp(argv[1], "--probe") == 0)
        return write(STDOUT_FILENO, "bulkhead-probe-ok\n", 18) == 18 ? 0 : 1;
    argv++;
    if (argv[0] != NULL && strcmp(argv[0], "--") == 0)
        argv++;
    if (argv[0] == NULL) {
        dprintf(STDERR_FILENO, "bulkhead-init: no program given\n");
        return 125;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    child = fork();
    if (child == 0)
        child_run(argv, &old);
    if (child < 0)
        return 125;
    for (;;) {
        siginfo_t si;
        int sig = sigwaitinfo(&all, &si);
        int result = sig == SIGCHLD || sig < 0 ? reap(child) : -1;

        if (result >= 0)
            return result;
        if (sig > 0 && sig != SIGCHLD)
            kill(child, sig);
    }
}
