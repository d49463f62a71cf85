"""The store's room and its workers die at random moments of load, import, save, tag, rmi, prune; and its disk runs full.

After each death: what was acknowledged is there, what was not has left nothing that `system check` reports.
Chosen points of each act, one by one, are tried by tests/integration/crash.
"""
import os, random, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, ends, has, out, run, same, until  # noqa: E402
from engine import Engine, children_of, read_proc  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "8"))
IMAGE = mk.Image([mk.tar_of([(f"f{i}", os.urandom(400_000), 0o644) for i in range(4)]) for _ in range(5)])


def answers(e):
    return e.cli("images", "-q", check=False).returncode == 0


def whole(e):
    until("the store is back", lambda: answers(e), 20)
    done = ends(e.cli("system", "check", check=False), 0)
    has(done.stdout, r" 0 findings", done)


def listed(e):
    return set(out(e, "images", "--format", "{{.Repository}}:{{.Tag}}").split())


def busy(e, stop, said):
    """Acts without end; said gets (act, name) of what was acknowledged."""
    archive = os.path.join(e.folder, "kill.tar")
    layer = os.path.join(e.folder, "layer.tar")
    n = 0
    while not stop.is_set():
        n += 1
        for name, words in ((f"imp:{n}", ("import", layer, f"imp:{n}")), ("kill:1", ("load", "-qi", archive)),
                            (f"tag:{n}", ("tag", "kill:1", f"tag:{n}")), (f"imp:{n - 1}", ("rmi", f"imp:{n - 1}")),
                            (None, ("save", "-o", os.path.join(e.folder, "out.tar"), "kill:1")),
                            (f"tag:{n - 1}", ("rmi", f"tag:{n - 1}")), ("kill:1", ("rmi", "-f", "kill:1"))):
            if stop.is_set():
                return
            done = e.cli(*words, check=False)
            if done.returncode == 0 and name:
                (said.discard if words[0] == "rmi" else said.add)(name)
            elif name:
                said.discard(name) if words[0] == "rmi" else None


def victim(e, rng):
    """The store itself, or one of its workers if there is one now."""
    store = e.rooms().get("store")
    workers = [p for p in children_of(e.process.pid) if "bulkhead-unpack" in read_proc(p, "cmdline").split("\0")[0]]
    return rng.choice(workers) if workers and rng.random() < 0.4 else store


@case(f"{KILLS} kills of the store and its workers under load: acknowledged names stay, the store is whole")
def _(e):
    rng = random.Random(7)
    mk.write(os.path.join(e.folder, "kill.tar"), mk.docker_archive([(IMAGE, ["kill:1"])]))
    mk.write(os.path.join(e.folder, "layer.tar"), mk.tar_of([("one", b"1", 0o644)]))
    out(e, "import", os.path.join(e.folder, "layer.tar"), "stays:1")
    for _ in range(KILLS):
        stop, said = threading.Event(), set()
        acting = threading.Thread(target=busy, args=(e, stop, said))
        acting.start()
        time.sleep(rng.uniform(0.02, 0.4))
        pid = victim(e, rng)
        if pid:
            os.kill(pid, signal.SIGKILL)
        stop.set()
        acting.join()
        whole(e)
        missing = (said | {"stays:1"}) - listed(e)
        assert not missing, f"acknowledged and gone: {missing}"
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


run()
