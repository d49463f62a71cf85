"""Rooms, workers and the supervisor die at random moments of load, import, commit, save, tag, rmi, prune; and the disk runs full.

After each death: what was acknowledged is there, what was not has left nothing that `system check` reports.
Chosen points of each act, one by one, are tried by tests/integration/crash.  BULKHEAD_TEST_KILLS and BULKHEAD_TEST_SEED
set how many deaths and which.
"""
import os, random, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, ends, has, out, run, same, until  # noqa: E402
from engine import Engine, children_of, read_proc  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "110"))
SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "7"))
ROOMS = ("store", "store", "store", "worker", "worker", "worker", "worker", "launch", "runtime", "registry", "build", "supervisor")
IMAGE = mk.Image([mk.tar_of([(f"f{i}", os.urandom(40_000), 0o644) for i in range(4)]) for _ in range(5)])


def soon(what, probe, seconds=20):
    end = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.005)


def answers(e):
    return all(e.cli(verb, "-q", check=False).returncode == 0 for verb in ("images", "ps"))


def whole(e):
    soon("store and runtime are back", lambda: answers(e))
    done = ends(e.cli("system", "check", check=False), 0)
    has(done.stdout, r" 0 findings", done)


def listed(e):
    return set(out(e, "images", "--format", "{{.Repository}}:{{.Tag}}").split())


def round_of(e, who, n):
    """Acts that follow each other; the name that each gives (+) or takes (-), for what was acknowledged."""
    archive, layer = (os.path.join(e.folder, name) for name in ("kill.tar", "layer.tar"))
    mine = f"{who}{n}"
    return (("+", f"imp:{mine}", ("import", layer, f"imp:{mine}")), ("+", "kill:1", ("load", "-qi", archive)),
            ("+", f"com:{mine}", ("commit", "box", f"com:{mine}")), ("+", f"tag:{mine}", ("tag", "kill:1", f"tag:{mine}")),
            ("-", f"imp:{mine}", ("rmi", f"imp:{mine}")), ("", "", ("save", "-o", os.path.join(e.folder, who), "stays:1", f"com:{mine}")),
            ("", "", ("image", "prune", "-f")), ("-", f"tag:{mine}", ("rmi", f"tag:{mine}")),
            ("-", f"com:{mine}", ("rmi", f"com:{mine}")), ("-", "kill:1", ("rmi", "-f", "kill:1")))


class Actor(threading.Thread):
    """Acts until it is told to stop; `said` has the names that were acknowledged."""

    def __init__(self, e, who, n):
        super().__init__()
        self.e, self.who, self.n, self.said, self.done = e, who, n, set(), threading.Event()

    def run(self):
        while not self.done.is_set():
            self.n += 1
            for sign, name, words in round_of(self.e, self.who, self.n):
                if self.done.is_set():
                    return
                if sign == "-":
                    self.said.discard(name)
                if self.e.cli(*words, check=False).returncode == 0 and sign == "+":
                    self.said.add(name)


def kill_one(e, rng):
    """One room, a worker if there is one soon, or the supervisor and all with it.  What was killed."""
    victim, pid = rng.choice(ROOMS), None
    if victim == "supervisor":
        e.kill()
        return victim
    for _ in range(200):
        workers = [p for p in children_of(e.process.pid) if "bulkhead-unpack" in read_proc(p, "cmdline").split("\0")[0]]
        pid = (workers[-1] if workers else None) if victim == "worker" else e.rooms().get(victim)
        if pid:
            break
        time.sleep(0.001)
    try:
        os.kill(pid, signal.SIGKILL) if pid else None
    except ProcessLookupError:
        pass
    return victim if pid else "nothing"


@case(f"{KILLS} kills of rooms, workers and the supervisor under load: acknowledged names stay, the store is whole")
def _(e):
    rng, count = random.Random(SEED), {}
    mk.write(os.path.join(e.folder, "kill.tar"), mk.docker_archive([(IMAGE, ["kill:1"])]))
    mk.write(os.path.join(e.folder, "layer.tar"), mk.tar_of([("one", b"1", 0o644)]))
    out(e, "import", os.path.join(e.folder, "layer.tar"), "stays:1")
    out(e, "create", "--name", "box", "stays:1", "none")
    rounds, kept = 0, {"stays:1"}
    while sum(count.values()) < KILLS:
        actors = [Actor(e, who, rounds) for who in ("a", "b")]
        for actor in actors:
            actor.start()
        time.sleep(rng.uniform(0.01, 0.15))
        victim = kill_one(e, rng)
        for actor in actors:
            actor.done.set()
        for actor in actors:
            actor.join()
        rounds = max(actor.n for actor in actors)
        if victim == "nothing":
            continue
        if victim == "supervisor":
            soon("its rooms end with it", lambda: not e.strays())
            e.start()
        count[victim] = count.get(victim, 0) + 1
        whole(e)
        kept |= set().union(*(actor.said for actor in actors)) - {"kill:1"}  # both give and take that one
        missing = kept - listed(e)
        assert not missing, f"kill {sum(count.values())}, {victim}: acknowledged and gone: {missing}"
        if len(kept) > 20:
            gone = kept - {"stays:1"}
            out(e, "rmi", *gone)
            kept -= gone
    print("  " + ", ".join(f"{name} {n}" for name, n in sorted(count.items())))
    out(e, "rm", "box")
    ids = out(e, "images", "-aq").split()
    out(e, "rmi", "-f", *dict.fromkeys(ids))
    whole(e)
    store = os.path.join(e.root, "state", "store")
    left = [f for where, _, files in os.walk(store) for f in files if not f.startswith(("meta.db", "reserve"))]
    same(left, [])


@case("the disk is full: one line that says which and how much; images, rmi and prune work; room comes back")
def _(e):
    mount = tempfile.mkdtemp(prefix="bulkhead-small-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0711", "tmpfs", mount]).returncode != 0:
        os.rmdir(mount)
        raise Skip("no tmpfs can be mounted here")
    small = mk.Image([mk.tar_of([("s", b"small" * 1000, 0o644)])])
    big = mk.Image([mk.tar_of([("b", os.urandom(6_000_000), 0o644)]) for _ in range(6)])
    try:
        with Engine(root=mount) as full:
            out(full, "load", "-q", input=mk.docker_archive([(small, ["small:1"])]), text=False)
            for archive in (mk.write(os.path.join(e.folder, "big.tar"), mk.docker_archive([(big, ["big:1"])])),):
                done = ends(full.cli("load", "-qi", archive, check=False), 1)
                has(done.stderr, r"no space left on the file system of the image store .*free", done)
                same(len(done.stderr.strip().splitlines()), 1, done)
            with open(os.path.join(mount, "filler"), "wb") as f:
                try:
                    while True:
                        os.write(f.fileno(), b"\0" * 65536)
                except OSError:
                    pass
            same(listed(full), {"small:1"})
            ends(full.cli("load", "-qi", archive, check=False), 1)
            out(full, "rmi", "small:1")
            out(full, "image", "prune", "-f")
            same(listed(full), set())
            os.unlink(os.path.join(mount, "filler"))
            out(full, "load", "-q", input=mk.docker_archive([(small, ["small:1"])]), text=False)
            whole_done = ends(full.cli("system", "check", check=False), 0)
            has(whole_done.stdout, r" 0 findings", whole_done)
    finally:
        subprocess.run(["umount", "-l", mount])
        os.rmdir(mount)


run(config="[rooms]\nrestart_max_ms = 20\n")
