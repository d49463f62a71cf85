"""A registry with one fault in each repository: every operation ends clearly and in time, the store is as before or
has what was asked for, what can be tried again is, and no secret reaches another origin."""
import base64, json, os, random, signal, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Engine, case, has, inspect, out, run, same, show, until  # noqa: E402
from faulty_registry import FAULTS, PASSWORD, USER, FaultyRegistry  # noqa: E402

CONFIG = """
[registry]
tries = 3
connect_timeout = 5
progress_timeout = 2
"""
R = None
SLACK = 300000      # bytes in the buffers between the server and what was kept
MEMORY = 64 << 20   # of the room


def setup(e):
    global R
    R = FaultyRegistry().__enter__()
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    folder = os.path.join(e.folder, "docker")
    os.mkdir(folder)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"auths": {R.host: {"auth": auth}}}, f)
    e.env = {**os.environ, "DOCKER_CONFIG": folder}
    image = mk.Image([mk.tar_of([("small", b"1", 0o644)]), mk.tar_of([("noise", random.Random(1).randbytes(1 << 20), 0o644)])])
    for name, fault in FAULTS.items():
        if fault.push:
            out(e, "load", "-q", input=mk.docker_archive([(image, [f"{R.host}/{name}:1"])]), text=False)


def state_of_store(e):
    return out(e, "images", "-a", "--no-trunc", "--digests", "--format", "{{.ID}} {{.Repository}} {{.Tag}} {{.Digest}}")


def peak_memory(e):
    with open(f"/proc/{e.rooms()['registry']}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))


def judge(e, fault, done, seconds):
    """What holds for every one."""
    assert seconds < fault.within, f"took {seconds:.1f} s, {fault.within} allowed\n  {show(done)}"
    same(R.leaks(), [], done)
    assert "BULKHEAD_SANITIZED" in os.environ or peak_memory(e) < MEMORY, f"{peak_memory(e) >> 20} MiB of memory"
    for secret in (PASSWORD, "token-of-"):
        assert secret not in done.stdout + done.stderr + e.log_text(), f"{secret} was told\n  {show(done)}"
    if fault.want:
        same(done.returncode, 1, done)
        has(done.stderr, f"(?i){fault.want}", done)
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(lines) == 1 and all(c.isprintable() for c in lines[0]), show(done)
    else:
        same((done.returncode, done.stderr), (0, ""), done)


def timed(e, *words):
    begin = time.monotonic()
    done = e.cli(*words, check=False, timeout=150, env=e.env)
    return done, time.monotonic() - begin


def pull_case(name, fault):
    @case(f"pull {name}")
    def _(e):
        before = state_of_store(e)
        done, seconds = timed(e, "pull", f"{R.host}/{name}:1")
        repo = R.repo(name)
        judge(e, fault, done, seconds)
        if fault.want:
            same(state_of_store(e), before, done)
            return
        same(inspect(e, f"{R.host}/{name}:1")["Id"], repo.tags["1"] if fault.artifact else repo.image.id)
        if fault.resumes:
            size = len(repo.blobs[repo.large])
            assert repo.sent[repo.large] <= size + SLACK, f"{repo.sent[repo.large]} bytes of {size} travelled"


def push_case(name, fault):
    @case(f"push {name}")
    def _(e):
        done, seconds = timed(e, "push", f"{R.host}/{name}:1")
        repo = R.repo(name)
        judge(e, fault, done, seconds)
        if fault.want:
            return
        kind, data = repo.manifests[repo.tags["1"]]
        document = json.loads(data)
        same(document["mediaType"], kind)
        for desc in [document["config"], *document["layers"]]:
            same(len(repo.got[desc["digest"]]), desc["size"])


SLOW = ("blob-slow", "blob-slow-too", "blob-slow-again")


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
    same(state_of_store(e), before)
    repo.times("hurry")
    done, _ = timed(e, "pull", f"{R.host}/{name}:1")
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


@case("a pull whose engine is killed goes on where it was")
def _(e):
    def crash(client):
        e.kill()
        client.wait(timeout=20)
        e.start()
    interrupt(e, SLOW[2], crash)


for _name, _fault in FAULTS.items():
    if _name in SLOW:
        continue
    (push_case if _fault.push else pull_case)(_name, _fault)


@case("the pause that a registry asks for is kept; near tags are named")
def _(e):
    repo = R.repo("blob-429-with-retry-after")
    if "blob" not in repo.count:
        timed(e, "pull", f"{R.host}/{repo.name}:1")
    assert repo.waited >= 2, repo.waited
    done, _ = timed(e, "pull", f"{R.host}/manifest-unknown:1")
    has(done.stderr, r"1\.0|1\.1|11", done)
    same([r for r in R.elsewhere if r[1].startswith("/blob/manifest-with-foreign-layer/")], [])


@case("a foreign layer is fetched where it lies when an administrator allows it, and nothing secret goes there")
def _(e):
    name = "manifest-with-foreign-layer"
    with Engine(config="[registry]\nallow_foreign_layers = true\n") as other:
        seen = len(R.elsewhere)
        done = other.cli("pull", f"{R.host}/{name}:1", check=False, env=e.env)
        same((done.returncode, done.stderr), (0, ""), done)
        same(len(R.elsewhere) - seen, 0)  # the registry has it too
        R.repo(name).gone = True
        done = other.cli("rmi", f"{R.host}/{name}:1")
        done = other.cli("pull", f"{R.host}/{name}:1", check=False, env=e.env)
        same((done.returncode, done.stderr), (0, ""), done)
        assert any(path.startswith(f"/blob/{name}/") for _, path, _ in R.elsewhere[seen:])
        same(R.leaks(), [])


@case("nobody sent a layer where it had no right; nothing of a refused repository is here")
def _(e):
    for name in ("push-denied", "push-unauthorized"):
        sent = [r for r in R.repo(name).requests if r[0] in ("PUT", "PATCH")]
        same(sent, [])


if __name__ == "__main__":
    run(setup=setup, config=CONFIG)
