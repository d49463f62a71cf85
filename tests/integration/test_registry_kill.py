"""Rooms, workers, clients and the supervisor die at random moments of pulls and pushes.

After each death: what was acknowledged is there, what was not has left nothing that `system check` reports, and the next
pull fetches only what was missing: the registry counts the bytes.  BULKHEAD_TEST_KILLS and BULKHEAD_TEST_SEED set how
many deaths and which.
"""
import json, os, random, signal, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, has, inspect, out, run, same  # noqa: E402
from engine import children_of, read_proc  # noqa: E402
from faulty_pushes import Target  # noqa: E402
from faulty_registry import FaultyRegistry  # noqa: E402
from faulty_repo import MIB, Repo  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "30"))
SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "11"))
VICTIMS = ("registry", "registry", "store", "store", "worker", "worker", "client", "supervisor")
EACH = 4            # deaths in the pulls of one image
LOST = 1 << 20      # bytes that may travel again for each: what was on its way when it happened, or not yet written
R = None


class Steady(Repo):
    """Good, and slow enough to be interrupted."""
    big = 5 * MIB

    def send(self, h, digest, data):
        for at in range(0, len(data), 65536):
            if digest == self.large and not self.count.get("hurry"):
                time.sleep(0.006)
            super().send(h, digest, data[at:at + 65536])


class Strict(Target):
    """Takes no manifest whose blobs it has not."""
    def put_manifest(self, h, ref):
        data = h.body()
        document = json.loads(data)
        if any(d["digest"] not in self.got for d in [document["config"], *document["layers"]]):
            return h.error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        self.tags[ref] = mk.sha(data)
        self.manifests[mk.sha(data)] = (h.headers.get("Content-Type"), data)
        h.reply(201, Docker_Content_Digest=mk.sha(data))


def soon(what, probe, seconds=20):
    end = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def whole(e):
    soon("the rooms are back", lambda: len(e.rooms()) == 5 and e.cli("images", "-q", check=False).returncode == 0
         and e.cli("search", "127.0.0.1:1/x", check=False).returncode == 1)
    done = ends(e.cli("system", "check", check=False), 0)
    has(done.stdout, r" 0 findings", done)


def kill_one(e, rng, clients):
    """What was killed."""
    victim, pid = rng.choice(VICTIMS), None
    if victim == "supervisor":
        e.kill()
        soon("its rooms end with it", lambda: not e.strays())
        e.start()
        return victim
    if victim == "client":
        for client in clients:
            client.kill()
        return victim
    for _ in range(100):
        workers = [p for p in children_of(e.process.pid) if "bulkhead-unpack" in read_proc(p, "cmdline").split("\0")[0]]
        pid = (workers[-1] if workers else None) if victim == "worker" else e.rooms().get(victim)
        if pid:
            break
        time.sleep(0.002)
    if not pid:
        return "nothing"
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "nothing"
    return victim


def listed(e):
    return set(out(e, "images", "--format", "{{.Repository}}").split())


class Round:
    """One image that is pulled, one that is pushed, until both are done."""

    def __init__(self, e, n):
        self.e, self.pull, self.push = e, f"pull{n}", f"push{n}"
        R.repos[self.pull], R.repos[self.push] = Steady(R, self.pull), Strict(R, self.push)
        self.image = mk.Image([mk.tar_of([(f"n{n}", random.Random(n).randbytes(2 * MIB), 0o644)])])
        out(e, "load", "-q", input=mk.docker_archive([(self.image, [f"{R.host}/{self.push}:1"])]), text=False)
        self.pulled = self.pushed = False

    def begin(self):
        def start(verb, name):
            return self.e.cli_start(verb, "-q", f"{R.host}/{name}:1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return start("pull", self.pull), start("push", self.push)

    def end(self, clients):
        codes = [client.wait(timeout=60) for client in clients]
        self.pulled |= codes[0] == 0
        self.pushed |= codes[1] == 0

    def check(self):
        have = listed(self.e)
        assert f"{R.host}/{self.push}" in have, "a loaded image is gone"
        assert not self.pulled or f"{R.host}/{self.pull}" in have, "a pulled image is gone"
        assert not self.pushed or "1" in R.repos[self.push].tags, "a push was acknowledged and is not there"

    def finish(self):
        """Without a death: bytes of the large layer beyond those that it has."""
        repo = R.repos[self.pull]
        repo.times("hurry")
        for verb, name in (("pull", self.pull), ("push", self.push)):
            out(self.e, verb, "-q", f"{R.host}/{name}:1")
        same(inspect(self.e, f"{R.host}/{self.pull}:1")["Id"], repo.image.id)
        document = json.loads(R.repos[self.push].manifests[R.repos[self.push].tags["1"]][1])
        same(document["config"]["digest"], self.image.id)
        out(self.e, "rmi", "-f", f"{R.host}/{self.pull}:1", f"{R.host}/{self.push}:1")
        again, size = repo.sent[repo.large] - len(repo.blobs[repo.large]), len(repo.blobs[repo.large])
        del R.repos[self.pull], R.repos[self.push]
        return again, size


@case(f"{KILLS} deaths of rooms, workers, clients and the supervisor in pulls and pushes")
def _(e):
    rng, count, again, size, n = random.Random(SEED), {}, 0, 0, 0
    while sum(count.values()) < KILLS:
        n += 1
        round_ = Round(e, n)
        for _ in range(EACH):
            clients = round_.begin()
            time.sleep(rng.uniform(0.02, 0.5))
            victim = kill_one(e, rng, clients)
            round_.end(clients)
            if victim != "nothing":
                count[victim] = count.get(victim, 0) + 1
            whole(e)
            round_.check()
            if round_.pulled and round_.pushed:
                break
        more, bytes_ = round_.finish()
        again, size = again + more, size + bytes_
    workers, deaths = count.get("worker", 0), sum(count.values())
    print(f"  {', '.join(f'{name} {c}' for name, c in sorted(count.items()))}; {again >> 10} KiB of {size >> 10} KiB travelled twice")
    # what a worker died of may be the bytes: they are not taken up again
    assert again < (deaths - workers) * LOST + workers * Steady.big, f"{again} bytes travelled twice in {deaths} deaths"
    whole(e)
    out(e, "system", "prune", "-f")
    ids = out(e, "images", "-aq").split()
    if ids:
        out(e, "rmi", "-f", *dict.fromkeys(ids))
    whole(e)
    store = os.path.join(e.root, "state", "store")
    left = [f for where, _, files in os.walk(store) for f in files if not f.startswith(("meta.db", "reserve"))]
    same(left, [])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bulkhead-kill-") as FOLDER, FaultyRegistry(FOLDER) as R:
        run(config="[rooms]\nrestart_max_ms = 20\n[registry]\ntries = 2\nprogress_timeout = 5\n")
