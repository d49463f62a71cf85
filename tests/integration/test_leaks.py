"""Rooms that have pulled, pushed and built for a while hold as many descriptors and as much memory as before.

Two halves of the same work: the first one fills what is kept on purpose (pages of the database, threads, tokens); after
the second each room has to look as it did.  Half of the work fails or is cut off in the middle.

BULKHEAD_LEAK_ROUNDS=n: more rounds for each half (3); growth is then told more sharply.
"""
import collections, os, random, re, signal, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, out, run, same, until  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402
from engine import read_proc, status_of  # noqa: E402

ROUNDS = int(os.environ.get("BULKHEAD_LEAK_ROUNDS", "3"))
GROWTH_KB = 1536  # of one half; an allocator's arenas move by some hundred
SANITIZED = os.path.exists(os.path.join(os.environ.get("BULKHEAD_BUILD", ""), "CMakeCache.txt")) and re.search(
    r"^BH_SANITIZE:\w+=.", open(os.path.join(os.environ["BULKHEAD_BUILD"], "CMakeCache.txt")).read(), re.M)
R = None


def setup(e):
    global R
    R = DockerRegistry(os.path.join(e.folder, "registry")).__enter__()
    import atexit
    atexit.register(R.__exit__)
    bb = mk.busybox({"Env": ["PATH=/bin"]}, [[("etc", None, 0o755), ("etc/passwd", b"root:x:0:0:r:/root:/bin/sh\n", 0o644)]])
    out(e, "load", "-q", input=mk.docker_archive([(bb, ["bb:latest"])]), text=False)
    e.serial = iter(range(10000))
    R.put(mk.Image([mk.tar_of([("x", random.Random(i).randbytes(6_000_000), 0o644)]) for i in range(3)]), "team/big:1")
    e.big = f"{R.host}/team/big:1"


def cut(e, *words, after=0.1, how=signal.SIGINT, seconds=20):
    """The command, ended in the middle."""
    p = e.cli_start(*words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    p.send_signal(how)
    p.wait(seconds)


def context(e, dockerfile):
    """One folder for each file: the store keeps the last contexts of a folder, on purpose."""
    folder = os.path.join(e.folder, mk.sha(dockerfile.encode())[7:19])
    if not os.path.exists(folder):
        os.mkdir(folder)
        mk.write(os.path.join(folder, "Dockerfile"), dockerfile.encode())
        mk.write(os.path.join(folder, "file"), b"x" * 20000)
    return folder


def pulls(e):
    n = next(e.serial)
    name = f"{R.host}/team/a{n}:1"
    R.put(mk.Image([mk.tar_of([(f"{n}.{i}", b"%d" % n, 0o644)]) for i in range(4)]), f"team/a{n}:1")
    out(e, "pull", "-q", name)
    same(e.cli("pull", f"{R.host}/team/none:{n}", check=False).returncode, 1)
    same(e.cli("pull", f"127.0.0.1:1/team/none:{n}", check=False).returncode, 1)
    cut(e, "pull", e.big, after=0.05)
    cut(e, "pull", e.big, after=0.12, how=signal.SIGKILL)
    return name


def pushes(e, name):
    n = next(e.serial)
    for target in (f"{R.host}/team/p{n}:1", f"127.0.0.1:1/team/p{n}:1"):
        out(e, "tag", name, target)
        same(e.cli("push", "-q", target, check=False).returncode, 0 if R.host in target else 1)
    cut(e, "push", f"{R.host}/team/p{n}:1", after=0.04)
    out(e, "rmi", "-f", name, f"{R.host}/team/p{n}:1", f"127.0.0.1:1/team/p{n}:1")


def builds(e):
    file = "FROM bb\nCOPY file /file\nRUN echo x > /x\n"
    out(e, "build", "-q", "--no-cache", "-t", "t:1", context(e, file))
    same(e.cli("build", "-t", "t:2", context(e, "FROM bb\nCOPY file /file\nRUN false\n"), check=False).returncode, 1)
    same(e.cli("build", "-t", "t:2", context(e, "FROM bb\nROM\n"), check=False).returncode, 1)
    same(e.cli("build", "-t", "t:2", context(e, "FROM bb\nCOPY nosuch /\n"), check=False).returncode, 1)
    slow = e.cli_start("build", "-t", "t:2", context(e, "FROM bb AS a\nRUN echo up; sleep 60\nFROM bb\nCOPY --from=a / /\n"),
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert any(re.search(r"^#[0-9]+ [0-9.]+ up", line) for line in slow.stderr), "the step did not begin"
    slow.send_signal(signal.SIGINT)
    slow.stderr.close()
    slow.wait(20)
    cut(e, "build", "--no-cache", "-t", "t:2", context(e, file), after=0.1, how=signal.SIGKILL)
    out(e, "rmi", "-f", "t:1")


def half(e):
    for _ in range(ROUNDS):
        pushes(e, pulls(e))
        builds(e)
    out(e, "builder", "prune", "-af")


def descriptors(pid):
    """What is open, without numbers: kinds and how many of each."""
    kinds = collections.Counter()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds[re.sub(r":?\[\d+\]|#\d+", "", os.readlink(f"/proc/{pid}/fd/{name}")).replace(" (deleted)", "")] += 1
        except OSError:
            pass
    return kinds


def private_kb(pid):
    return int(status_of(pid)["RssAnon"].split()[0])


def looks(e):
    rooms = {**e.rooms(), "supervisor": e.process.pid}
    return {name: (pid, descriptors(pid), private_kb(pid)) for name, pid in rooms.items()}


def idle(e):
    """Nothing of a call is left: no workers, no containers, as many descriptors as a second ago."""
    last = None

    def settled():
        nonlocal last
        now = {name: look[1] for name, look in looks(e).items()}
        same_again, last = now == last, now
        time.sleep(0.3)
        return same_again and len(e.workers()) == len(e.spares()) == 2 and os.listdir(f"{e.root}/state/launch/containers") == []
    until("the rooms are idle", settled, 20)


@case("rooms: descriptors and memory are as before after pulls, pushes and builds, half of them failing or cut off")
def _(e):
    half(e)
    idle(e)
    before = looks(e)
    half(e)
    idle(e)
    for name, (pid, kinds, kb) in looks(e).items():
        old_pid, old_kinds, old_kb = before[name]
        same((name, pid), (name, old_pid))
        more = kinds - old_kinds
        print(f"  {name}: {sum(old_kinds.values())} -> {sum(kinds.values())} descriptors, {old_kb} -> {kb} KiB {dict(more) if more else ''}")
        assert sum(more.values()) <= 2, f"{name}: new descriptors {dict(more)}"
        assert SANITIZED or kb - old_kb < GROWTH_KB * max(1, ROUNDS / 3), f"{name}: {old_kb} KiB, then {kb} KiB"
        lines = read_proc(pid, "maps").count("\n")
        assert lines < 2000, f"{name}: {lines} mappings"


@case("rooms: nothing is closed that is not open: closed twice, it would be another call's")
def _(e):
    said = f"{e.root}/strace"
    pids = [str(pid) for name, pid in e.rooms().items() if name != "launch"]
    watch = subprocess.Popen(["strace", "-f", "-q", "-e", "trace=close", "-e", "status=failed", "-o", said, "-p", ",".join(pids)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("the rooms are watched", lambda: all(status_of(pid)["TracerPid"] == str(watch.pid) for pid in pids), 20)
        half(e)
        for _ in range(5):  # with nothing beside it the number is not another's yet
            out(e, "build", "-q", "--no-cache", "-t", "t:1", context(e, "FROM bb\nCOPY file /file\nRUN true\nRUN --mount=type=cache,target=/c true\n"))
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(20)
    with open(said, encoding="utf-8") as f:
        same([line for line in f if "EBADF" in line], [])


if __name__ == "__main__":
    if DockerRegistry.program() is None:
        print("no docker-registry, skipped", file=sys.stderr)
        sys.exit(77)
    run(setup=setup)
