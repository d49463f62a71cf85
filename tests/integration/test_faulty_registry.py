"""A registry with one fault in each repository: every operation ends clearly and in time, the store is as before or
has what was asked for, what can be tried again is, and no secret reaches another origin.

All are tried at once, eight at a time, against one engine; each case then looks at what became of its own."""
import base64, concurrent.futures, json, os, random, re, shutil, signal, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Engine, case, has, inspect, out, run, same, show, until  # noqa: E402
from engine import read_proc  # noqa: E402
from faulty_registry import FAULTS, HOSTS, PASSWORD, USER, FaultyRegistry  # noqa: E402

CONFIG = """
[registry]
tries = 3
connect_timeout = 2
progress_timeout = 2
certs_dir = "{certs}"
[limits]
unpacked = "256MiB"
"""
R = None
SLACK = 300000      # bytes in the buffers between the server and what was kept
MEMORY = 64 << 20   # of the room
KEPT = 32 * 4       # descriptors of connections that may be used again
AT_ONCE = 8
REQUESTS = 2100     # of one fault: a list may have 2,000 pages, everything else ends long before
SLOW = ("blob-slow", "blob-slow-too", "blob-slow-again", "blob-slow-for-two", "blob-slow-for-one-who-stands-still")
FIRST = ("stall", "drip", "silent", "slow", "for-a-day", "always", "without-end")  # what takes long begins first


def setup(e):
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    folder = os.path.join(e.folder, "docker")
    os.mkdir(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"auths": {host: {"auth": auth} for host in (R.host, R.secure)}}, f)
    e.env = {**os.environ, "DOCKER_CONFIG": folder}
    image = mk.Image([mk.tar_of([("small", b"1", 0o644)]), mk.tar_of([("noise", random.Random(1).randbytes(1 << 20), 0o644)])])
    names = [f"{R.name(name)}:1" for name, fault in FAULTS.items() if fault.push]
    out(e, "load", "-q", input=mk.docker_archive([(image, names)]), text=False)
    e.before, e.pid, e.fds = state_of_store(e), e.rooms(), open_fds(e)


def state_of_store(e):
    lines = out(e, "images", "-a", "--no-trunc", "--digests", "--format", "{{.ID}} {{.Repository}} {{.Tag}} {{.Digest}}")
    return sorted(lines.splitlines())


def memory(e, key):
    with open(f"/proc/{e.rooms()['registry']}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith(key))


def open_fds(e):
    return len(os.listdir(f"/proc/{e.rooms()['registry']}/fd"))


# ---- all at once --------------------------------------------------------------------------------------------

class Tries:
    """What every fault's command did: begun when the first case asks, in an order of its own."""

    def __init__(self):
        self.pool, self.jobs, self.lock = None, {}, threading.Lock()

    def get(self, e, name):
        if not self.pool:
            self.begin(e)
        return self.jobs[name].result()

    def begin(self, e):
        only = sys.argv[1] if len(sys.argv) > 1 else ""
        wanted = [n for n in [*FAULTS, *HOSTS] if n not in SLOW and only in title(n)]
        wanted += [FAULTS[n].after for n in wanted if n in FAULTS and FAULTS[n].after and FAULTS[n].after not in wanted]
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        wanted.sort(key=lambda n: not any(word in n for word in FIRST))
        wanted.sort(key=lambda n: bool(n in FAULTS and FAULTS[n].after))
        for name in wanted:
            self.jobs[name] = self.pool.submit(self.one, e, name)

    def one(self, e, name):
        fault = FAULTS.get(name)
        if fault and fault.after:
            self.jobs[fault.after].result()
        begin = time.monotonic()
        done = e.cli(*words(name), check=False, timeout=150, env=e.env, **({"input": HOSTS[name].input} if name in HOSTS and HOSTS[name].input else {}))
        return done, time.monotonic() - begin


TRIES = Tries()


def title(name):
    if name in HOSTS:
        return f"host {name}"
    return f"push {name}" if FAULTS[name].push else f"{FAULTS[name].ask[0]} {name}" if FAULTS[name].ask else f"pull {name}"


def words(name):
    if name in HOSTS:
        return [word.format(R.hosts[name].host) for word in HOSTS[name].ask]
    if FAULTS[name].ask:
        return [word.format(R.name(name), host=R.host, name=name, folder=FOLDER) for word in FAULTS[name].ask]
    return ["push" if FAULTS[name].push else "pull", f"{R.name(name)}:1"]


# ---- what holds for every one -------------------------------------------------------------------------------

def judge(e, name, fault, done, seconds):
    assert seconds < fault.within, f"took {seconds:.1f} s, {fault.within} allowed\n  {show(done)}"
    same(R.leaks(), [], done)
    for secret in (PASSWORD, "token-of-"):
        assert secret not in done.stdout + done.stderr + e.log_text(), f"{secret} was told\n  {show(done)}"
    asked = (R.hosts[name] if name in HOSTS else R.repo(name)).requests
    assert len(asked) < REQUESTS, f"{len(asked)} requests"
    assert all(c.isprintable() or c == "\n" for c in done.stdout + done.stderr), show(done)
    if fault.want:
        same(done.returncode, 1, done)
        has(done.stderr, f"(?i){fault.want}", done)
        same(len([line for line in done.stderr.splitlines() if line.strip()]), 1, done)
    else:
        same(done.returncode, 0, done)
        assert re.fullmatch(getattr(fault, "note", ""), done.stderr), show(done)
    if fault.say is not None:
        assert re.search(fault.say, done.stdout), show(done)


def travelled_once(fault, repo):
    if fault.resumes:
        size, sent = len(repo.blobs[repo.large]), repo.sent[repo.large]
        assert sent <= size + SLACK, f"{sent} bytes of {size} travelled"


def pull_case(name, fault):
    @case(title(name))
    def _(e):
        done, seconds = TRIES.get(e, name)
        repo = R.repo(name)
        judge(e, name, fault, done, seconds)
        if fault.want:
            same(out(e, "images", "-aq", R.name(name)), "", done)
            return
        same(inspect(e, f"{R.name(name)}:1")["Id"], repo.tags["1"] if fault.artifact else repo.image.id)
        travelled_once(fault, repo)


def push_case(name, fault):
    @case(title(name))
    def _(e):
        done, seconds = TRIES.get(e, name)
        repo = R.repo(name)
        judge(e, name, fault, done, seconds)
        if fault.want:
            assert "1" not in repo.tags, "the tag is there all the same"
            return
        kind, data = repo.manifests[repo.tags["1"]]
        document = json.loads(data)
        same(document["mediaType"], kind)
        for desc in [document["config"], *document["layers"]]:
            same(len(repo.got[desc["digest"]]), desc["size"])


def copy_case(name, fault):
    @case(title(name))
    def _(e):
        done, seconds = TRIES.get(e, name)
        judge(e, name, fault, done, seconds)
        source, target = R.repo(name), R.repo(f"copied-{name}")
        if fault.want:
            return same(target.tags["1"] in source.manifests, False, done)
        same(target.tags["1"], source.tags["1"], done)
        for digest, data in source.blobs.items():
            same(target.got[digest] == data, True, done)
        travelled_once(fault, source)


def layout_case(name, fault):
    @case(title(name))
    def _(e):
        done, seconds = TRIES.get(e, name)
        judge(e, name, fault, done, seconds)
        folder, source = f"{FOLDER}/layout-{name}", R.repo(name)
        blobs = f"{folder}/blobs/sha256"
        for word in os.listdir(blobs) if os.path.exists(blobs) else ():
            with open(f"{blobs}/{word}", "rb") as f:
                same(mk.sha(f.read()), f"sha256:{word}", done)
        same(os.path.exists(f"{folder}/index.json"), not fault.want, done)
        if fault.want:
            return
        for digest in [*source.blobs, source.tags["1"]]:
            assert os.path.exists(f"{blobs}/{digest[7:]}"), digest
        travelled_once(fault, source)


def other_case(name, fault):
    @case(title(name))
    def _(e):
        judge(e, name, fault, *TRIES.get(e, name))


for _name, _fault in FAULTS.items():
    if _name in SLOW:
        continue
    kind = push_case if _fault.push else pull_case if not _fault.ask else layout_case if "oci:" in _fault.ask[-1] else copy_case if "copy" in _fault.ask else other_case
    kind(_name, _fault)
for _name, _fault in HOSTS.items():
    other_case(_name, _fault)


# ---- what holds for some ------------------------------------------------------------------------------------

@case("the pause that a registry asks for is kept; near tags are named; foreign addresses are not asked")
def _(e):
    TRIES.get(e, "blob-429-with-retry-after")
    assert R.repo("blob-429-with-retry-after").waited >= 2, R.repo("blob-429-with-retry-after").waited
    has(TRIES.get(e, "manifest-unknown")[0].stderr, r"1\.0|1\.1|11")
    TRIES.get(e, "manifest-with-foreign-layer")
    same([r for r in R.elsewhere if r[1].startswith("/blob/manifest-with-foreign-layer/")], [])


@case("a foreign layer is fetched where it lies when an administrator allows it, and nothing secret goes there")
def _(e):
    name = "manifest-with-foreign-layer"
    TRIES.get(e, name)
    with Engine(config="[registry]\nallow_foreign_layers = true\n") as other:
        asked = lambda: [path for _, path, _ in R.elsewhere if path.startswith(f"/blob/{name}/")]
        for gone in (False, True):  # the registry has it too, and then no more
            R.repo(name).gone = gone
            done = other.cli("pull", f"{R.host}/{name}:1", check=False, env=e.env)
            same((done.returncode, done.stderr), (0, ""), done)
            same(bool(asked()), gone)
            other.cli("rmi", f"{R.host}/{name}:1")
        same(R.leaks(), [])


@case("nobody sent a layer where it had no right, nor one that could be mounted")
def _(e):
    for name in ("push-denied", "push-unauthorized"):
        TRIES.get(e, name)
        same([r for r in R.repo(name).requests if r[0] in ("PUT", "PATCH")], [])
    TRIES.get(e, "push-mounts")
    assert R.repo("push-mounts").count.get("mount", 0) >= 2, R.repo("push-mounts").count


@case("an image that was made here is pushed again with one question: what its tag means")
def _(e):
    name = "push-location-relative"
    TRIES.get(e, name)
    before = len(R.repo(name).requests)
    done = e.cli("push", f"{R.name(name)}:1")
    has(done.stdout, "Layer already exists")
    same([r[:2] for r in R.repo(name).requests[before:]], [("HEAD", f"/v2/{name}/manifests/1")])


@case("after all of them: the same rooms, no memory, no descriptor, no image and no secret too many, the store whole")
def _(e):
    for name in TRIES.jobs:
        TRIES.get(e, name)
    same(e.rooms(), e.pid)
    print(f"  {len(TRIES.jobs)} faults; the registry room: {memory(e, 'VmHWM') >> 20} MiB at most, {open_fds(e)} descriptors")
    dead = [line for line in e.log if "room-died" in line or "worker-died" in line]
    same([line for line in dead if "worker-died" not in line or "signal=9" not in line], [])  # a worker whose bytes end is killed
    if not re.search("lib[at]san", read_proc(e.rooms()["registry"], "maps")):
        assert memory(e, "VmHWM") < MEMORY, f"{memory(e, 'VmHWM') >> 20} MiB of memory at most"
        assert memory(e, "VmRSS") < MEMORY, f"{memory(e, 'VmRSS') >> 20} MiB of memory"
    good = [n for n in TRIES.jobs if n in FAULTS and not (FAULTS[n].push or FAULTS[n].ask or FAULTS[n].want)]
    now = state_of_store(e)
    images = [{line.rsplit(" ", 1)[0] for line in lines} for lines in (e.before, now)]  # what was pushed has its digest now
    same(images[0] - images[1], set())
    same({line.split()[1] for line in now} - {line.split()[1] for line in e.before}, {R.name(n) for n in good})
    until("descriptors are closed", lambda: open_fds(e) <= e.fds + KEPT)
    out(e, "system", "check")
    for secret in (PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(), "token-of-"):
        assert secret not in e.log_text()


@case("what is left of failed pulls is parts with an expiry, which a prune removes")
def _(e):
    out(e, "system", "prune", "-f")
    out(e, "system", "check")


# ---- interrupted --------------------------------------------------------------------------------------------

def interrupt(e, name, how):
    """A pull that is ended in the middle of its large layer, and the one after it: bytes that travelled."""
    before = state_of_store(e)
    begun = e.cli_start("pull", f"{R.host}/{name}:1", env=e.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    repo = R.repo(name)
    until("half of the layer", lambda: repo.sent.get(repo.large, 0) > 1 << 20)
    begin = time.monotonic()
    how(begun)
    begun.wait(timeout=10)
    assert time.monotonic() - begin < 5
    begun.stdout.close()
    until("the room lets go", lambda: not e.process or state_of_store(e) == before)
    repo.times("hurry")
    done = e.cli("pull", f"{R.host}/{name}:1", check=False, env=e.env)
    same((done.returncode, done.stderr), (0, ""), done)
    same(inspect(e, f"{R.host}/{name}:1")["Id"], repo.image.id)
    asked = [headers.get("range", "") for verb, path, headers in repo.requests if repo.large in path]
    has(asked[-1], r"^bytes=\d{6,}-$")
    assert int(asked[-1][6:-1]) > (1 << 20) - SLACK, asked


@case("a pull that is interrupted goes on where it was")
def _(e):
    interrupt(e, SLOW[0], lambda client: client.send_signal(signal.SIGINT))


@case("a pull whose client is killed goes on where it was")
def _(e):
    interrupt(e, SLOW[1], lambda client: client.kill())


def begin(e, name):
    """A pull in the background whose large layer has begun to come, and its repository."""
    repo = R.repo(name)
    made = e.cli_start("pull", f"{R.host}/{name}:1", env=e.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until("a part of the layer", lambda: repo.sent.get(repo.large, 0) > 1 << 18)
    return repo, made


@case("two pulls of one image: the one that downloads is killed, the other goes on, and nothing travels twice")
def _(e):
    repo, first = begin(e, SLOW[3])
    _, second = begin(e, SLOW[3])
    until("the other waits", lambda: "Waiting" in second.stdout.readline())
    first.kill()
    first.communicate()
    said, _ = second.communicate(timeout=30)
    same(second.returncode, 0)
    same(inspect(e, f"{R.host}/{SLOW[3]}:1")["Id"], repo.image.id)
    size = len(repo.blobs[repo.large])
    assert repo.sent[repo.large] <= size + (1 << 20), f"{repo.sent[repo.large]} bytes of {size} travelled\n{said}"


@case("a client that stands still holds up nobody else, and goes on")
def _(e):
    repo, still = begin(e, SLOW[4])
    still.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    done = e.cli("pull", f"{R.host}/no-fault-at-all:1", check=False, env=e.env)
    same((done.returncode, done.stderr), (0, ""), done)
    assert time.monotonic() - begun < 10
    until("the layer is here", lambda: repo.sent[repo.large] >= len(repo.blobs[repo.large]), 30)
    still.send_signal(signal.SIGCONT)
    said, _ = still.communicate(timeout=30)
    same(still.returncode, 0)
    same(inspect(e, f"{R.host}/{SLOW[4]}:1")["Id"], repo.image.id)


@case("a pull whose engine is killed goes on where it was")
def _(e):
    def crash(client):
        e.kill()
        client.wait(timeout=20)
        e.start()
    interrupt(e, SLOW[2], crash)


if __name__ == "__main__":
    FOLDER = tempfile.mkdtemp(prefix="bulkhead-faulty-")
    try:
        with FaultyRegistry(FOLDER) as R:
            run(setup=setup, config=CONFIG.format(certs=R.certs_dir))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
