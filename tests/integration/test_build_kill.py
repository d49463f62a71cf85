"""Rooms, workers, clients, processes of containers and the supervisor die in the middle of COPY, RUN and export.

After each death: images and archives that were acknowledged are there and right; the next build of the same takes up
from the cache, no step that was told to be done is done again; no container, mount, monitor or half layer is left.
BULKHEAD_TEST_KILLS and BULKHEAD_TEST_SEED set how many deaths and which.
"""
import hashlib, io, json, os, random, re, sys, tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, out, run, same  # noqa: E402
from engine import read_proc  # noqa: E402
from kills import Actor, Campaign, left_in_store, listed, soon, whole  # noqa: E402

KILLS = int(os.environ.get("BULKHEAD_TEST_KILLS", "12"))
SEED = int(os.environ.get("BULKHEAD_TEST_SEED", "13"))
VICTIMS = (("build",) * 4 + ("store",) * 3 + ("worker",) * 3 + ("runtime",) * 3 + ("process",) * 3 + ("client",) * 3 +
           ("launch", "launch", "supervisor", "supervisor", "registry"))
DOCKERFILE = """
FROM bb:1 AS one
COPY a /a
RUN cat /a/* >/sum; sleep 0.02
COPY b /b
RUN cp /b /n; sleep 0.02
FROM bb:1 AS two
COPY b /x/
RUN --mount=type=cache,target=/c sha256sum /x/b >/two; cp /x/b /c/
FROM scratch
COPY --from=one /sum /n /
COPY --from=two /two /
LABEL who={who}
"""
SUM = random.Random(5).randbytes(60_000)


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:1"])]), text=False)


# ---- what a build said ----

def vertices(text):
    """Step -> "DONE", "CACHED" or another last word, of those that the cache is for."""
    names, last = {}, {}
    for line in text.splitlines():
        found = re.match(r"#(\d+) (.*)", line)
        if not found:
            continue
        number, rest = found.groups()
        if re.match(r"\[\S+ \d+/\d+\] (COPY|RUN)", rest):
            names[number] = rest
        elif number in names:
            last[names[number]] = rest.split(" ")[0]
    return last


def files_of(layers):
    """Name -> content of what the layers of an archive hold, lowest first."""
    found = {}
    for data in layers:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found.update({m.name.lstrip("./"): tar.extractfile(m).read() for m in tar if m.isreg()})
    return found


def read_archive(path):
    """The layers of a docker archive, or of an OCI one whose blobs are what their names say."""
    with tarfile.open(path) as tar:
        names = {m.name: tar.extractfile(m).read() for m in tar if m.isreg()}
    for name, data in names.items():
        if name.startswith("blobs/sha256/"):
            same(hashlib.sha256(data).hexdigest(), name.rpartition("/")[2])
    if "manifest.json" in names:
        return [names[name] for name in json.loads(names["manifest.json"])[0]["Layers"]]
    blob = lambda d: names["blobs/sha256/" + d["digest"][7:]]  # noqa: E731
    return [blob(d) for d in json.loads(blob(json.loads(names["index.json"])["manifests"][0]))["layers"]]


def check_content(path, b):
    files = files_of(read_archive(path))
    same((files["sum"] == SUM, files["n"], files["two"].split()[0].decode()), (True, b, hashlib.sha256(b).hexdigest()))


# ---- who builds ----

class Builder:
    """Builds one version of its context until that is acknowledged, then the next."""

    def __init__(self, e, who):
        self.e, self.who, self.n, self.done_steps, self.acked = e, who, 0, set(), []
        self.tries = self.taken = 0
        self.folder = os.path.join(e.folder, who)
        os.makedirs(f"{self.folder}/a")
        for i in range(3):
            mk.write(f"{self.folder}/a/f{i}", SUM[i * 20_000:(i + 1) * 20_000])
        mk.write(f"{self.folder}/Dockerfile", DOCKERFILE.replace("{who}", who).encode())
        mk.write(f"{self.folder}/b", self.b())

    def b(self):
        return f"{self.who} {self.n}\n".encode() * 500

    def output(self):
        """Words that say where the result goes; the name, or the path, that it has then."""
        kind = ("docker", "oci", None, None)[self.n % 4]
        if kind:
            path = os.path.join(self.e.folder, f"{self.who}.{self.n}.tar")
            return ("--output", f"type={kind},dest={path}"), path
        return ("-t", f"built:{self.who}{self.n}"), f"built:{self.who}{self.n}"

    def __call__(self, actor):
        words, name = self.output()
        ids = os.path.join(self.e.folder, f"{self.who}.id")
        done = actor.cli("build", "--progress", "plain", "--iidfile", ids, *words, self.folder)
        last = vertices(done.stderr)
        again = sorted(step for step in self.done_steps if last.get(step) == "DONE")
        assert not again, f"{self.who}{self.n}: done in an earlier build, and again: {again}"
        self.taken += sum(last.get(step) == "CACHED" for step in self.done_steps)
        self.done_steps |= {step for step, word in last.items() if word in ("DONE", "CACHED")}
        self.tries += 1
        if done.returncode != 0:
            assert done.returncode < 0 or not name.startswith("/") or not os.path.exists(name), \
                f"{name} is there, its build failed: {done.stderr[-300:]}"
            return
        with open(ids) as f:
            self.acked.append((name, f.read().strip(), self.b()))
        self.n, self.done_steps = self.n + 1, set()
        mk.write(f"{self.folder}/b", self.b())


# ---- what must hold ----

def folders(e):
    return os.listdir(f"{e.root}/state/launch/containers") + os.listdir(f"{e.root}/state/monitor")


def monitors(e):
    return [p for p in e.strays() if "bulkhead-monitor" in read_proc(p, "cmdline").split("\0")[0]]


def mounts(e):
    lines = "".join(read_proc(pid, "mountinfo") for pid in (e.process.pid, e.rooms().get("launch", 0)))
    return [line for line in lines.splitlines() if f"{e.root}/state/launch/containers/" in line]


def nothing_runs(e):
    soon("containers of builds are gone", lambda: not folders(e) and not monitors(e) and not mounts(e))
    same(out(e, "ps", "-aq", "--no-trunc"), "")


def judge_result(e, name, image_id, b):
    if name.startswith("/"):
        check_content(name, b)
        os.unlink(name)
        return
    same((name, listed(e).get(name)), (name, image_id))
    saved = os.path.join(e.folder, "saved.tar")
    out(e, "save", "-o", saved, name)
    check_content(saved, b)


@case(f"{KILLS} kills in the middle of builds: results stay, the next build takes up from the cache, nothing is left")
def _(e):
    builders, results = [Builder(e, who) for who in ("a", "b")], [0]
    campaign = Campaign(e, KILLS, SEED, VICTIMS, pauses=((0.01, 0.4), (0.2, 1.2)))

    def judge(_, __):
        nothing_runs(e)
        for builder in builders:
            results[0] += len(builder.acked)
            for result in builder.acked:
                judge_result(e, *result)
            names = [name for name, _, _ in builder.acked if not name.startswith("/")]
            if names and campaign.rng.random() < 0.5:
                out(e, "rmi", *names)
            builder.acked.clear()

    campaign.run(lambda: [Actor(e, builder.who, builder) for builder in builders], judge)
    print(f"  {sum(b.tries for b in builders)} builds, {results[0]} acknowledged, "
          f"{sum(b.taken for b in builders)} steps of killed builds taken from the cache", flush=True)


@case("after all that a build works, and nothing is left")
def _(e):
    builder = Builder(e, "last")
    builder(Actor(e, "last", builder))
    same(len(builder.acked), 1)
    out(e, "builder", "prune", "-af")
    out(e, "system", "prune", "-af")
    whole(e)
    nothing_runs(e)
    same(listed(e), {})
    same(left_in_store(e), [])


run(setup=setup, config="[rooms]\nrestart_max_ms = 20\n")
