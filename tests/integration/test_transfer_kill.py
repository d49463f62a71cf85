"""Rooms, workers and the supervisor die at random moments of pulls and pushes.

After each death: what was acknowledged is there, what was not has left nothing that `system check` reports; pulls that
follow fetch what was missing and no more (the registry counts bytes).  BULKHEAD_TEST_KILLS and BULKHEAD_TEST_SEED
set how many deaths and which.
"""
import json, os, random, signal, socket, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, has, inspect, out, run, same, until  # noqa: E402
from engine import children_of, read_proc  # noqa: E402
from faulty_registry import FaultyRegistry  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "40"))
SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "11"))
VICTIMS = ("registry", "registry", "registry", "worker", "worker", "store", "store", "supervisor")
LOST = 200000  # bytes of a layer that are on their way when somebody dies
CONFIG = """
[rooms]
restart_max_ms = 50
[registry]
tries = 2
progress_timeout = 5
"""
R = None


def setup(e):
    global R
    R = FaultyRegistry(os.path.join(e.folder, "faulty")).__enter__()
    R.pace = 0.002
    for server in R.servers:  # what was sent is then soon what arrived
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    image = mk.Image([mk.tar_of([("noise", random.Random(3).randbytes(1 << 20), 0o644)])])
    out(e, "load", "-q", input=mk.docker_archive([(image, ["stays:1"])]), text=False)


class Puller(threading.Thread):
    """One image after the other; `here` has the names that were acknowledged."""

    def __init__(self, e, who, n):
        super().__init__()
        self.e, self.who, self.n, self.here, self.begun, self.done = e, who, n, set(), None, threading.Event()

    def run(self):
        while not self.done.is_set():
            self.begun = f"{R.host}/{self.who}-{self.n}:1"
            if self.e.cli("pull", "-q", self.begun, check=False).returncode != 0:
                return
            self.here.add(self.begun)
            self.begun = None
            self.n += 1


class Pusher(threading.Thread):
    def __init__(self, e, n):
        super().__init__()
        self.e, self.n, self.there, self.done = e, n, set(), threading.Event()

    def run(self):
        while not self.done.is_set():
            name = f"{R.host}/to-{self.n}:1"
            self.n += 1
            if self.e.cli("tag", "stays:1", name, check=False).returncode == 0 and \
                    self.e.cli("push", "-q", name, check=False).returncode == 0:
                self.there.add(name)
            self.e.cli("rmi", name, check=False)


def kill_one(e, rng):
    victim, pid = rng.choice(VICTIMS), None
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
        pid = None
    return victim if pid else "nothing"


def whole(e):
    until("store and registry are back", lambda: e.cli("images", "-q", check=False).returncode == 0, 20)
    has(ends(e.cli("system", "check", check=False), 0).stdout, r" 0 findings")


def check_pushed(names):
    for name in names:
        repo = R.repo(name.split("/")[1].split(":")[0])
        _, data = repo.manifests[repo.tags["1"]]
        document = json.loads(data)
        for desc in [document["config"], *document["layers"]]:
            same(len(repo.got[desc["digest"]]), desc["size"])


@case(f"{KILLS} kills during pulls and pushes: what was acknowledged is there, resumed pulls fetch what was missing")
def _(e):
    rng, count, here, numbers, pushed = random.Random(SEED), {}, set(), {"a": 0, "b": 0}, 0
    while sum(count.values()) < KILLS:
        pullers = [Puller(e, who, n) for who, n in numbers.items()]
        pusher = Pusher(e, pushed)
        for actor in (*pullers, pusher):
            actor.start()
        time.sleep(rng.uniform(0.05, 0.4))
        victim = kill_one(e, rng)
        for actor in (*pullers, pusher):
            actor.done.set()
        for actor in (*pullers, pusher):
            actor.join()
        if victim == "supervisor":
            until("its rooms end with it", lambda: not e.strays(), 20)
            e.start()
        whole(e)
        numbers, pushed = {p.who: p.n for p in pullers}, pusher.n
        check_pushed(pusher.there)
        here |= set().union(*(p.here for p in pullers))
        listed = set(out(e, "images", "--format", "{{.Repository}}:{{.Tag}}").split())
        assert here <= listed, f"{victim}: acknowledged and gone: {here - listed}"
        if victim != "nothing":
            count[victim] = count.get(victim, 0) + 1
    print("  " + ", ".join(f"{name} {n}" for name, n in sorted(count.items())) + f"; {len(here)} pulled, {pushed} pushed")
    for who, n in numbers.items():
        name = f"{R.host}/{who}-{n}:1"
        until("the last one comes too", lambda: e.cli("pull", "-q", name, check=False).returncode == 0, 20)
        here.add(name)
    sent = size = 0
    for name in here:
        repo = R.repo(name.split("/")[1].split(":")[0])
        same(inspect(e, name)["Id"], repo.image.id)
        sent += repo.sent[repo.large]
        size += len(repo.blobs[repo.large])
    # what a dead worker has read may be why it died: it is dropped whole; of two others what was on its way
    workers = count.get("worker", 0)
    most = size + workers * (1 << 20) + (sum(count.values()) - workers) * 2 * LOST
    print(f"  {sent} bytes travelled for {size}, at most {most}")
    assert sent <= most, f"{sent} bytes travelled for {size}"
    out(e, "rmi", "-f", *dict.fromkeys(out(e, "images", "-aq").split()))
    whole(e)
    store = os.path.join(e.root, "state", "store")
    same([f for where, _, files in os.walk(store) for f in files if not f.startswith(("meta.db", "reserve"))], [])


if __name__ == "__main__":
    run(setup=setup, config=CONFIG)
