"""Rooms, workers and the supervisor die at random moments of load, import, commit, save, tag, rmi, prune; and the disk runs full.

After each death: what was acknowledged is there, what was not has left nothing that `system check` reports.
Chosen points of each act, one by one, are tried by tests/integration/crash.  BULKHEAD_TEST_KILLS and BULKHEAD_TEST_SEED
set how many deaths and which.
"""
import itertools, os, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, ends, has, out, run, same  # noqa: E402
from engine import Engine  # noqa: E402
from kills import Actor, Campaign, left_in_store, listed, whole  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "110"))
SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "7"))
ROOMS = ("store", "store", "store", "worker", "worker", "worker", "worker", "launch", "runtime", "registry", "build", "supervisor")
IMAGE = mk.Image([mk.tar_of([(f"f{i}", os.urandom(40_000), 0o644) for i in range(4)]) for _ in range(5)])


def round_of(e, who, n):
    """Acts that follow each other; the name that each gives (+) or takes (-), for what was acknowledged."""
    archive, layer = (os.path.join(e.folder, name) for name in ("kill.tar", "layer.tar"))
    mine = f"{who}{n}"
    return (("+", f"imp:{mine}", ("import", layer, f"imp:{mine}")), ("+", "kill:1", ("load", "-qi", archive)),
            ("+", f"com:{mine}", ("commit", "box", f"com:{mine}")), ("+", f"tag:{mine}", ("tag", "kill:1", f"tag:{mine}")),
            ("-", f"imp:{mine}", ("rmi", f"imp:{mine}")), ("", "", ("save", "-o", os.path.join(e.folder, who), "stays:1", f"com:{mine}")),
            ("", "", ("image", "prune", "-f")), ("-", f"tag:{mine}", ("rmi", f"tag:{mine}")),
            ("-", f"com:{mine}", ("rmi", f"com:{mine}")), ("-", "kill:1", ("rmi", "-f", "kill:1")))


def actor(e, who, numbers):
    """Goes through rounds; `said` has the names that were acknowledged."""
    def act(a):
        for sign, name, words in round_of(e, who, next(numbers)):
            if a.done.is_set():
                return
            if sign == "-":
                a.said.pop(name, None)
            if a.ok(*words) and sign == "+":
                a.said[name] = True
    return Actor(e, who, act)


@case(f"{KILLS} kills of rooms, workers and the supervisor under load: acknowledged names stay, the store is whole")
def _(e):
    mk.write(os.path.join(e.folder, "kill.tar"), mk.docker_archive([(IMAGE, ["kill:1"])]))
    mk.write(os.path.join(e.folder, "layer.tar"), mk.tar_of([("one", b"1", 0o644)]))
    out(e, "import", os.path.join(e.folder, "layer.tar"), "stays:1")
    out(e, "create", "--name", "box", "stays:1", "none")
    numbers, kept = itertools.count(), {"stays:1"}

    def judge(_, actors):
        kept.update(*(a.said for a in actors))
        kept.discard("kill:1")  # both give and take that one
        missing = kept - set(listed(e))
        assert not missing, f"acknowledged and gone: {missing}"
        if len(kept) > 20:
            out(e, "rmi", *(kept - {"stays:1"}))
            kept.intersection_update({"stays:1"})

    Campaign(e, KILLS, SEED, ROOMS).run(lambda: [actor(e, who, numbers) for who in ("a", "b")], judge)
    out(e, "rm", "box")
    ids = out(e, "images", "-aq").split()
    out(e, "rmi", "-f", *dict.fromkeys(ids))
    whole(e)
    same(left_in_store(e), [])


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
            same(set(listed(full)), {"small:1"})
            ends(full.cli("load", "-qi", archive, check=False), 1)
            out(full, "rmi", "small:1")
            out(full, "image", "prune", "-f")
            same(listed(full), {})
            os.unlink(os.path.join(mount, "filler"))
            out(full, "load", "-q", input=mk.docker_archive([(small, ["small:1"])]), text=False)
            whole_done = ends(full.cli("system", "check", check=False), 0)
            has(whole_done.stdout, r" 0 findings", whole_done)
    finally:
        subprocess.run(["umount", "-l", mount])
        os.rmdir(mount)


run(config="[rooms]\nrestart_max_ms = 20\n")
