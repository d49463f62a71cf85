"""Rooms, workers, clients and the supervisor die while images are pulled and pushed.

After each death: what was acknowledged is there and complete, here and on the registry; a pull that is begun again
asks for what is missing and no more; unfinished downloads are all that is left.  BULKHEAD_TEST_KILLS and
BULKHEAD_TEST_SEED set how many deaths and which.
"""
import atexit, gzip, os, random, re, socket, sqlite3, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, out, run, same  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402
from faulty_registry import FaultyRegistry  # noqa: E402
from faulty_repo import MIB, Repo  # noqa: E402
from kills import Actor, Campaign, left_in_store, listed, soon, whole  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "20"))
SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "11"))
VICTIMS = ("registry",) * 4 + ("worker",) * 4 + ("store",) * 3 + ("client",) * 3 + ("supervisor", "launch", "build")
# Bytes that may travel twice for each death: what was on its way of three layers, most of it in the kernel's buffers.
SLACK = 8 * MIB
LEAST_KEPT = 65536  # fewer bytes of a layer are not kept
COMMON = mk.tar_of([("common", random.Random(1).randbytes(150_000), 0o644)])
PULLED, PUSHED = None, None  # the one counts bytes, the other is Debian's


class Small(Repo):
    """Six layers; one is common to all repositories, one is empty."""
    big = 200_000

    def make(self):
        own = [mk.tar_of([(f"{self.name}-{i}", self.noise(self.big)[i * 1000:], 0o644)]) for i in range(3)]
        self.image = mk.Image([COMMON, *own, mk.tar_of([]), mk.tar_of([("last", self.name.encode(), 0o600)])])
        self.layers = [mk.compress(layer, ("gzip", "zstd")[i % 2]) for i, layer in enumerate(self.image.layers)]
        self.large = ""
        for data in (self.image.config, *self.layers):
            self.put_blob(data)
        kinds = ("+gzip", "+zstd")
        self.tag("1", self.document(layers=[{"mediaType": mk.LAYER + kinds[i % 2], "digest": mk.sha(b), "size": len(b)}
                                            for i, b in enumerate(self.layers)]))


class Big(Repo):
    """40 MB in five layers, at the pace of a network."""

    def make(self):
        sizes = (1, 2, 24, 3, 10)
        rng = random.Random(self.name)
        self.image = mk.Image([mk.tar_of([(f"big{i}", rng.randbytes(n * MIB), 0o644)]) for i, n in enumerate(sizes)])
        codecs = ("gzip", "plain", "gzip", "plain", "zstd")
        self.layers = [gzip.compress(layer, 1, mtime=0) if codec == "gzip" else mk.compress(layer, codec)
                       for layer, codec in zip(self.image.layers, codecs)]
        self.large = ""
        for data in (self.image.config, *self.layers):
            self.put_blob(data)
        self.tag("1", self.document(layers=[{"mediaType": mk.LAYER + {"plain": ""}.get(codec, f"+{codec}"), "digest": mk.sha(b),
                                             "size": len(b)} for b, codec in zip(self.layers, codecs)]))

    def send(self, h, digest, data):
        for at in range(0, len(data), MIB // 4):
            super().send(h, digest, data[at:at + MIB // 4])
            self.registry.closing.wait(0.002)


def setup(e):
    global PULLED, PUSHED
    PULLED = FaultyRegistry(os.path.join(e.folder, "faulty")).__enter__()
    atexit.register(PULLED.__exit__)
    for server in PULLED.servers:
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    for k in range(6):
        PULLED.repos[f"small{k}"] = Small(PULLED, f"small{k}")
    PULLED.repos["big"] = Big(PULLED, "big")
    if DockerRegistry.program():
        PUSHED = DockerRegistry(os.path.join(e.folder, "registry")).__enter__()
        atexit.register(PUSHED.__exit__)
    out(e, "import", mk.write(os.path.join(e.folder, "stays.tar"), mk.tar_of([("one", b"1", 0o644)])), "stays:1")


# ---- what the actors do ----

def puller(half, rng):
    """Pulls, names and removes the small images of its half."""
    def act(actor):
        name = f"{PULLED.host}/small{half * 3 + rng.randrange(3)}:1"
        actor.said.pop(name, None)
        if rng.random() < 0.3:
            actor.ok("rmi", name)
        if actor.ok("pull", "-q", name):
            actor.said[name] = PULLED.repo(name.split("/")[1].split(":")[0]).image.id
        tag = f"tag:{actor.who}{rng.randrange(4)}"
        known = actor.said.pop(tag, None)
        if name in actor.said and actor.ok("tag", name, tag):
            actor.said[tag] = actor.said[name]
        elif known:
            actor.ok("rmi", tag)
    return act


def big_puller(actor):
    name = f"{PULLED.host}/big:1"
    if name in actor.said:
        actor.ok("image", "prune", "-f")
        actor.done.wait(0.05)
    elif actor.ok("pull", "-q", name):
        actor.said[name] = PULLED.repo("big").image.id


class Pusher:
    """Loads images of its own and pushes them; `kept` are those that were acknowledged."""

    def __init__(self, e, rng):
        self.n, self.folder, self.rng, self.kept = 0, e.folder, rng, {}
        self.base = mk.tar_of([("base", rng.randbytes(300_000), 0o644)])

    def image(self):
        size = self.rng.choice((1000, 100_000, 4_000_000))
        return mk.Image([self.base, mk.tar_of([("own", self.rng.randbytes(size), 0o644)]), mk.tar_of([("n", str(self.n).encode(), 0o644)])])

    def __call__(self, actor):
        self.n += 1
        name, image = f"made{self.n % 4}:{self.n}", self.image()
        archive = mk.write(os.path.join(self.folder, "push.tar"), mk.docker_archive([(image, [f"{PUSHED.host}/{name}"])]))
        if not actor.ok("load", "-qi", archive):
            return
        for _ in range(3):
            done = actor.cli("push", "-q", *(("--compression", "zstd") if self.n % 3 == 0 else ()), f"{PUSHED.host}/{name}")
            if done.returncode == 0:
                self.kept[name] = image
                break
        actor.ok("rmi", f"{PUSHED.host}/{name}")


def judge_push(name, image, deep=False):
    """An acknowledged push is on the registry with all its blobs."""
    found = PUSHED.read(name)
    assert found, f"push of {name} was acknowledged, the registry does not have it"
    same(found[1]["config"]["digest"], image.id)
    repo = name.split(":")[0]
    for desc in (found[1]["config"], *found[1]["layers"]):
        status, headers, _ = PUSHED.ask("HEAD", f"{repo}/blobs/{desc['digest']}")
        same((name, status, headers.get("Content-Length")), (name, 200, str(desc["size"])))
        if deep:
            same(mk.sha(PUSHED.get_blob(repo, desc["digest"])), desc["digest"])


# ---- pulls: the account of the large image ----

class Account:
    """Of the large image since it was last removed: bytes that travelled, deaths, and what the store had after the
    last death.  No request may ask for a byte of that."""

    def __init__(self, e, big):
        self.e, self.big, self.deaths, self.rounds, self.most, self.resumed = e, big, 0, 0, 0, 0
        self.floor, self.seen = {}, 0

    def here(self, complete):
        """Digest -> bytes that need not come again."""
        sizes = {mk.sha(b): len(b) for b in self.big.layers}
        if complete:
            return sizes
        store = os.path.join(self.e.root, "state", "store")
        index = sqlite3.connect(f"file:{store}/meta.db?mode=ro", uri=True)
        try:
            parts = {digest: os.path.join(store, "partial", f"p{k}") for k, digest in index.execute("SELECT k, digest FROM partial")}
            whole_ones = {digest for (digest,) in index.execute(
                "SELECT li.digest FROM lease_item li JOIN lease l ON l.k=li.lease WHERE l.purpose='parked'")}
        finally:
            index.close()
        return {d: n if d in whole_ones else os.path.getsize(parts[d]) if os.path.exists(parts.get(d, "")) else 0
                for d, n in sizes.items()}

    def check(self, complete):
        for verb, path, headers in self.big.requests[self.seen:]:
            digest = path.rpartition("/")[2]
            start = int(headers.get("range", "bytes=0-")[6:-1])
            if verb == "GET" and self.floor.get(digest, 0) > max(start, LEAST_KEPT - 1):
                raise AssertionError(f"{digest} is asked for from {start}, {self.floor[digest]} bytes of it were here")
            self.resumed += start > 0
        self.seen, self.floor = len(self.big.requests), self.here(complete)
        size = sum(len(b) for b in self.big.layers)
        sent = sum(self.big.sent.get(mk.sha(b), 0) for b in self.big.layers)
        self.most = max(self.most, (sent - size) // max(self.deaths, 1))
        assert sent <= size + SLACK * (self.deaths + 1), f"{sent} bytes of {size} travelled, {self.deaths} deaths"

    def anew(self):
        self.deaths, self.rounds, self.floor = 0, self.rounds + 1, {}
        with self.big.lock:
            self.big.sent.clear()


def no_image_lost(e, wanted):
    have = listed(e)
    wrong = {n: (i, have.get(n)) for n, i in wanted.items() if have.get(n) != i}
    assert not wrong, f"acknowledged and not there: {wrong}"


@case(f"{KILLS} kills while images are pulled and pushed: what was acknowledged is there, what came is not fetched again")
def _(e):
    campaign = Campaign(e, KILLS, SEED, VICTIMS, pauses=((0.01, 0.15), (0.1, 0.6)))
    rng, account = campaign.rng, Account(e, PULLED.repo("big"))
    said = {"a": {}, "b": {}, "big": {}}
    pusher = Pusher(e, random.Random(SEED)) if PUSHED else None

    def actors():
        made = [Actor(e, "a", puller(0, random.Random(rng.random())), said["a"]),
                Actor(e, "b", puller(1, random.Random(rng.random())), said["b"]), Actor(e, "big", big_puller, said["big"])]
        return made + ([Actor(e, "push", pusher)] if pusher else [])

    def judge(victim, _):
        no_image_lost(e, {**said["a"], **said["b"], **said["big"]})
        account.deaths += victim != "nothing"
        account.check(f"{PULLED.host}/big:1" in listed(e))
        for name, image in pusher.kept.items() if pusher else ():
            judge_push(name, image)
        if pusher:
            pushed.update(pusher.kept)
            pusher.kept.clear()
        if said["big"]:
            out(e, "rmi", *said["big"])
            said["big"].clear()
            account.anew()

    pushed = {}
    campaign.run(actors, judge)
    print(f"  {account.rounds} times 40 MB, {account.resumed} requests went on, at most {account.most} bytes a death twice; {len(pushed)} pushes", flush=True)
    for name, image in list(pushed.items())[-20:]:
        judge_push(name, image, deep=True)


@case("what is left of a pull that was killed is told, and goes with system prune")
def _(e):
    out(e, "system", "prune", "-af")
    big, account = PULLED.repo("big"), Account(e, PULLED.repo("big"))
    account.anew()
    begun = e.cli_start("pull", "-q", f"{PULLED.host}/big:1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    soon("two layers and a part", lambda: sum(big.sent.values()) > 12 * MIB)
    begun.kill()
    begun.wait()
    soon("the room lets go", lambda: re.search(r"^Unfinished downloads: [2-5], [\d.]+MB;", out(e, "system", "df", "-v"), re.M)
         and not [p for p in Campaign(e, 0, 0, ()).workers()])
    here = account.here(False)
    assert any(0 < n < len(b) for b in big.layers for d, n in here.items() if d == mk.sha(b)), here
    whole(e)
    out(e, "system", "prune", "-f")
    assert "Unfinished" not in out(e, "system", "df", "-v")
    same(left_in_store(e), [])


@case("after all that everything works, and nothing is left")
def _(e):
    big = f"{PULLED.host}/big:1"
    ends(e.cli("pull", "-q", big, check=False), 0)
    if PUSHED:
        out(e, "tag", big, f"{PUSHED.host}/again:1")
        ends(e.cli("push", "-q", f"{PUSHED.host}/again:1", check=False), 0)
        judge_push("again:1", PULLED.repo("big").image, deep=True)
    out(e, "system", "prune", "-af")
    whole(e)
    same(listed(e), {})
    same(left_in_store(e), [])


run(setup=setup, config="[rooms]\nrestart_max_ms = 20\n[registry]\ntries = 3\n")
