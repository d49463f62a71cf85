"""Several users on one engine: what each sees, and what only an administrator may."""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, fails, has, lacks, out, run, same  # noqa: E402

BB = mk.busybox()
ANN, BOB = {"user": 23001, "group": 23001, "extra_groups": []}, {"user": 23002, "group": 23002, "extra_groups": []}
CONFIG = '[socket]\nmode = "0666"\n'


def load(e, who, *tags):
    return out(e, "load", "-q", input=mk.docker_archive([(BB, list(tags))]), text=False, **who)


def setup(e):
    load(e, {}, "rootonly:1")
    load(e, ANN, "bb:1")


@case("images: names belong to their user; an administrator sees all")
def _(e):
    has(out(e, "images", "--format", "{{.Repository}}", **ANN), r"\Abb\n\Z")
    same(out(e, "images", "-q", **BOB), "")
    same(e.cli("inspect", "bb:1", check=False, **BOB).returncode, 1)
    same(e.cli("image", "exists", BB.id, check=False, **BOB).returncode, 1)
    fails(e, "save", "-o", "/dev/null", "bb:1", error="(?i)no such image", **BOB)
    fails(e, "tag", "bb:1", "mine:1", error="(?i)no such image", **BOB)
    fails(e, "rmi", "rootonly:1", error="(?i)no such image", **BOB)
    same(e.cli("run", "bb:1", check=False, **BOB).returncode, 125)
    load(e, BOB, "bb:1", "bobs:1")
    out(e, "rmi", "bb:1", **BOB)
    has(out(e, "images", "--format", "{{.Repository}}", **ANN), r"\Abb\n\Z")
    has(out(e, "images", "--format", "{{.Repository}}"), "rootonly")


@case("containers: each sees and reaches his own; an administrator all")
def _(e):
    same(out(e, "run", "--rm", "bb:1", "id", "-u", **ANN), "0\n")
    out(e, "run", "-d", "--name", "anns", "bb:1", "sleep", "100", **ANN)
    same(out(e, "ps", "--format", "{{.Names}}", **ANN), "anns\n")
    same(out(e, "ps", "-aq", **BOB), "")
    for words in (["exec", "anns", "true"], ["logs", "anns"], ["stop", "anns"], ["kill", "anns"], ["attach", "anns"], ["commit", "anns"], ["export", "-o", "/dev/null", "anns"],
                  ["diff", "anns"], ["start", "anns"], ["wait", "anns"], ["rename", "anns", "bobs"], ["inspect", "anns"],
                  ["pause", "anns"], ["unpause", "anns"], ["top", "anns"]):
        done = e.cli(*words, check=False, **BOB)
        assert done.returncode == 1 and "o such" in done.stderr, (words, done.returncode, done.stderr)
    same(out(e, "exec", "anns", "id", "-u", **ANN), "0\n")
    same(out(e, "ps", "--format", "{{.Names}}"), "anns\n")
    out(e, "container", "prune", "-f", **BOB)
    out(e, "rm", "-f", "anns")


@case("what only an administrator may is refused with its name, and nothing is made")
def _(e):
    for flags in (["--privileged"], ["--userns", "host"], ["--cap-add", "SYS_ADMIN"], ["--security-opt", "seccomp=unconfined"], ["--device", "/dev/null"],
                  ["--pid", "host"], ["--ipc", "host"], ["--uts", "host"], ["--security-opt", "systempaths=unconfined"], ["--network", "host"],
                  ["-c", "2048"]):
        done = e.cli("run", "--rm", *flags, "bb:1", "true", check=False, **ANN)
        assert done.returncode == 125 and done.stderr.strip(), (flags, done.returncode, done.stderr)
        has(done.stderr, r"(?i)administrator|not allowed|may not")
    for words in (["system", "check"], ["system", "check", "--repair"]):
        fails(e, *words, error=r"(?i)administrator|not allowed|may not|permission", **ANN)
    out(e, "run", "-d", "--name", "plain", "bb:1", "sleep", "60", **ANN)
    done = e.cli("exec", "--privileged", "plain", "true", check=False, **ANN)
    assert done.returncode != 0 and "dministrator" in done.stderr, done.stderr
    out(e, "rm", "-f", "plain", **ANN)
    same(out(e, "ps", "-aq"), "")


@case("a seccomp profile of one's own may forbid more than the default, not less")
def _(e):
    def profile(name, **content):
        path = os.path.join(e.folder, name)
        mk.write(path, json.dumps(content).encode())
        os.chmod(e.folder, 0o755), os.chmod(path, 0o644)
        return ["--security-opt", f"seccomp={path}"]
    known = "read write open openat close stat fstat lstat newfstatat mmap mprotect munmap brk rt_sigaction rt_sigprocmask ioctl access faccessat execve exit exit_group getuid " \
            "geteuid getpid getppid arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink getrandom futex fcntl dup2 wait4 uname getcwd prctl capget capset setuid " \
            "setgid setgroups fchdir chdir umask statfs fstatfs lseek pread64 getdents64 poll sigaltstack rt_sigreturn setresuid setresgid clock_gettime close_range dup fchown".split()
    less = profile("less.json", defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=38, syscalls=[{"names": known, "action": "SCMP_ACT_ALLOW"}])
    same(out(e, "run", "--rm", *less, "bb:1", "echo", "well", **ANN), "well\n")
    done = e.cli("run", "--rm", *less, "bb:1", "mkdir", "/x", check=False, **ANN)
    assert done.returncode == 1 and "not implemented" in done.stderr, (done.returncode, done.stderr)
    for more in (profile("open.json", defaultAction="SCMP_ACT_ALLOW"), profile("keys.json", defaultAction="SCMP_ACT_ERRNO", syscalls=[{"names": known + ["keyctl"], "action": "SCMP_ACT_ALLOW"}]),
                 profile("clone.json", defaultAction="SCMP_ACT_ERRNO", syscalls=[{"names": known + ["clone"], "action": "SCMP_ACT_LOG"}])):
        fails(e, "run", "--rm", *more, "bb:1", "true", code=125, error="dministrator", **ANN)
        fails(e, "create", *more, "bb:1", "true", code=125, error="dministrator", **ANN)
        same(out(e, "run", "--rm", *more, "rootonly:1", "echo", "well"), "well\n") if "open" in more[1] else None
    same(out(e, "ps", "-aq"), "")


@case("a build may do no more than its caller")
def _(e):
    folder = os.path.join(e.folder, "context")
    os.makedirs(folder, exist_ok=True)
    os.chmod(e.folder, 0o755), os.chmod(folder, 0o755)
    _, env = e.for_users(e.client())
    ann = dict(ANN, env={**env, "HOME": "/nonexistent", "DOCKER_CONFIG": "/nonexistent"})
    for text, flags in (("RUN --security=insecure true", []), ("RUN --network=host true", []), ("RUN true", ["--network", "host"]),
                        ("RUN true", ["--cap-add", "SYS_ADMIN"]), ("RUN true", ["--security-opt", "seccomp=unconfined"])):
        mk.write(f"{folder}/Dockerfile", f"FROM bb:1\n{text}\n".encode())
        done = e.cli("build", "-q", "-t", "more:1", *flags, folder, check=False, **ann)
        assert done.returncode == 1 and "dministrator" in done.stderr, (text, flags, done.returncode, done.stderr)
    mk.write(f"{folder}/Dockerfile", b"FROM bb:1\nRUN id -u > /who\n")
    out(e, "build", "-q", "-t", "anns/own:1", folder, **ann)
    same(out(e, "run", "--rm", "anns/own:1", "cat", "/who", **ann), "0\n")
    fails(e, "inspect", "--type", "image", "anns/own:1", error="o such", **BOB)
    out(e, "rmi", "anns/own:1", **ann)


@case("a user's bind mount gives no right that he lacks on the host")
def _(e):
    secret = os.path.join(e.folder, "secret")
    os.makedirs(secret, exist_ok=True)
    mk.write(f"{secret}/f", b"secret\n")
    os.chmod(e.folder, 0o755), os.chmod(secret, 0o700), os.chmod(f"{secret}/f", 0o644)
    done = e.cli("run", "--rm", "-v", f"{secret}:/x", "bb:1", "cat", "/x/f", check=False, **ANN)
    assert done.returncode != 0 and "secret" not in done.stdout, (done.returncode, done.stdout)
    done = e.cli("run", "--rm", "-v", f"{secret}/f:/x", "bb:1", "cat", "/x", check=False, **ANN)
    assert done.returncode != 0 and "secret" not in done.stdout, (done.returncode, done.stdout)
    for path in ("/etc/shadow", "/root", "/var/run", "/dev", "/proc"):
        done = e.cli("run", "--rm", "-v", f"{path}:/x", "bb:1", "sh", "-c", "cat /x; ls /x/* >/dev/null && echo x > /x/new", check=False, **ANN)
        assert done.returncode != 0, (path, done.stdout[:200])
    lacks(" ".join(os.listdir("/root")), "^new$")


if __name__ == "__main__":
    run(setup, CONFIG)
