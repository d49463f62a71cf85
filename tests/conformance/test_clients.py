"""Programs that are not the command line: the examples of docs/examples, and a client written from docs/protocol.md alone."""
import os, re, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, ends, has, out, run, same  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402

BB = mk.busybox()


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(BB, ["bb:latest", "other:2"])]), text=False)


def second(e, *words, **more):
    return subprocess.run([sys.executable, os.path.join(HERE, "second_client.py"), f"{e.root}/run", *words], capture_output=True, text=True,
                          timeout=30, **more)


def orchestrator(e, image, n):
    return subprocess.run([os.path.join(e.bin, "orchestrator"), e.host, image, str(n)], capture_output=True, text=True, timeout=100)


@case("the second client is greeted, lists images as the command line does, and is refused with a reason")
def _(e):
    for service in ("store", "runtime", "registry", "build"):
        has(ends(second(e, "hello", service), 0).stdout, r"protocol 1\.\d+")
    done = ends(second(e, "images"), 0)
    has(done.stdout, BB.id)
    has(done.stdout, r"bb:latest")
    has(done.stdout, r"other:2")
    done = second(e, "logs", "nosuch")
    same(done.returncode, 1, done)
    has(done.stderr, "(?i)no such container")
    done = second(e, "call", "store", "NoSuchMethod")
    same(done.returncode, 1, done)


@case("the second client streams a log, all of it and as it grows")
def _(e):
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo on err >&2; sleep 1; echo late"
    out(e, "run", "-d", "--name", "talks", "bb", "sh", "-c", script)
    p = subprocess.Popen([sys.executable, os.path.join(HERE, "second_client.py"), f"{e.root}/run", "logs", "talks", "--follow"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = p.communicate(timeout=30)[0]
    same(p.returncode, 0)
    same(re.findall(r"line \d+", text), [f"line {i}" for i in range(3000)])
    has(text, "on err")
    has(text, "late")
    has(ends(second(e, "logs", "talks"), 0).stdout, "late")
    out(e, "rm", "talks")


@case("the example builder: a base is pulled, a file of memory copied and a command run, the result pushed; again from the cache")
def _(e):
    if DockerRegistry.program() is None:
        raise Skip("no docker-registry")
    with DockerRegistry(os.path.join(e.folder, "registry")) as r:
        r.put(BB, "base:1")

        def builder(base, target):
            return subprocess.run([os.path.join(e.bin, "builder"), e.host, f"{r.host}/{base}", f"{r.host}/{target}"], capture_output=True,
                                  text=True, timeout=100)

        first = ends(builder("base:1", "team/built:1"), 0).stdout
        has(first, f"^done {r.host}/base:1 sha256:")
        has(first, "^context 25 bytes sent$")
        has(first, r"^output built by an orchestrator$")
        has(first, f"^done {r.host}/team/built:1 {r.digest('team/built:1')}$")
        same(out(e, "run", "--rm", f"{r.host}/team/built:1", "cat", "/page"), "built by an orchestrator\n")
        again = ends(builder("base:1", "team/built:1"), 0).stdout
        has(again, "^context 0 bytes sent$")
        has(again, r"RUN cat /page CACHED$")
        same(re.search(r"^image .*", again, re.M).group(), re.search(r"^image .*", first, re.M).group())
        done = builder("nosuch:1", "team/built:2")
        same(done.returncode, 1, done)
        has(done.stderr, "^pull: .*nosuch")
        out(e, "rmi", f"{r.host}/team/built:1", f"{r.host}/base:1")


@case("the example orchestrator: images listed, 12 containers at once, logs and exit codes, nothing left")
def _(e):
    done = ends(orchestrator(e, "bb", 12), 0)
    has(done.stdout, f"^image {BB.id} (bb:latest|other:2) \\d+$")
    for i in range(12):
        has(done.stdout, f"^job {i} exit {i}$")
        has(done.stdout, rf"^\[{i} out \d+\] job {i} begins$")
        has(done.stdout, rf"job {i} ends$")
    same(out(e, "ps", "-aq"), "")


@case("the example orchestrator: an image that is not there, an engine that is not there")
def _(e):
    done = orchestrator(e, "nosuch", 2)
    same(done.returncode, 1, done)
    has(done.stderr, "(?i)create: no such image")
    begin = time.monotonic()
    done = subprocess.run([os.path.join(e.bin, "orchestrator"), "ipc:///nosuch/run", "bb", "1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.strip(), done
    assert time.monotonic() - begin < 20


if __name__ == "__main__":
    run(setup)
