"""Images of the engine into real registries: what travels, what does not, and that others read it."""
import json, os, random, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, fails, has, inspect, out, run, same  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402

R = None


def setup(e):
    global R
    R = DockerRegistry(os.path.join(e.folder, "registry")).__enter__()
    import atexit
    atexit.register(R.__exit__)


def push(e, *words, **more):
    return ends(e.cli("push", *words, check=False, **more), 0)


def load(e, im, name):
    out(e, "load", "-q", input=mk.docker_archive([(im, [name])]), text=False)


def noise(word, n=300000):
    return mk.tar_of([(word, random.Random(word).randbytes(n), 0o644)])


def skopeo(*words):
    done = subprocess.run(["skopeo", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@case("push: the lines of docker; skopeo reads the same ID; again is told and sends nothing")
def _(e):
    im = mk.Image([noise("a"), noise("b")])
    name = f"{R.host}/team/made:1"
    load(e, im, name)
    done = push(e, name)
    lines = done.stdout.splitlines()
    same(lines[0], f"The push refers to repository [{R.host}/team/made]")
    same(len(re.findall(r"^[0-9a-f]{12}: Pushed$", done.stdout, re.M)), 2, done)
    desc, document = R.read("team/made:1")
    same(lines[-1], f"1: digest: {desc['digest']} size: {desc['size']}")
    same(document["config"]["digest"], im.id)
    look = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
    same(look["Digest"], desc["digest"])
    again = push(e, name)
    same(len(re.findall("Layer already exists", again.stdout)), 2, again)
    same(again.stdout.splitlines()[-1], lines[-1])


@case("push: the image is known by its digest there, as after a pull: inspect, images, a pull, rmi")
def _(e):
    name, other = f"{R.host}/team/known:1", f"{R.host}/team/known:2"
    load(e, mk.Image([noise("known")]), name)
    same(json.loads(e.cli("inspect", name).stdout)[0]["RepoDigests"], [])
    push(e, name)
    pinned = f"{R.host}/team/known@{R.digest('team/known:1')}"
    same(json.loads(e.cli("inspect", name).stdout)[0]["RepoDigests"], [pinned])
    same(json.loads(e.cli("inspect", pinned).stdout)[0]["RepoTags"], [name])
    has(e.cli("pull", name).stdout, "Image is up to date")
    e.cli("tag", name, other)
    push(e, other)
    push(e, other)  # nothing is sent: noted all the same
    same(json.loads(e.cli("inspect", name).stdout)[0]["RepoDigests"], [pinned])
    e.cli("rmi", other)
    has(e.cli("rmi", name).stdout, f"Untagged: {pinned}")
    has(e.cli("inspect", pinned, check=False).stderr, "No such")


@case("push: what was pulled goes out with the same digest")
def _(e):
    for codec in ("gzip", "zstd", "plain"):
        im = mk.Image([noise(codec), mk.tar_of([("x", codec.encode(), 0o644)])])
        desc = R.put(im, f"team/from-{codec}:1", codec)
        e.cli("pull", f"{R.host}/team/from-{codec}:1")
        e.cli("tag", f"{R.host}/team/from-{codec}:1", f"{R.host}/copies/{codec}:2")
        push(e, f"{R.host}/copies/{codec}:2")
        same(R.digest(f"copies/{codec}:2"), desc["digest"])


@case("push: a layer that another repository of the registry has is mounted")
def _(e):
    im = mk.Image([noise("mounted")])
    R.put(im, "team/source:1")
    e.cli("pull", f"{R.host}/team/source:1")
    e.cli("tag", f"{R.host}/team/source:1", f"{R.host}/team/target:1")
    done = push(e, f"{R.host}/team/target:1")
    has(done.stdout, "Mounted from team/source", done)
    same(R.digest("team/target:1"), R.digest("team/source:1"))


@case("push: a layer that is there already is told so")
def _(e):
    base = noise("base layer")
    load(e, mk.Image([base]), f"{R.host}/team/onto:1")
    push(e, f"{R.host}/team/onto:1")
    load(e, mk.Image([base, noise("second layer")]), f"{R.host}/team/onto:2")
    done = push(e, f"{R.host}/team/onto:2")
    same(len(re.findall("Layer already exists", done.stdout)), 1, done)
    same(len(re.findall(": Pushed$", done.stdout, re.M)), 1, done)


@case("push: zstd on request; what is sent is what a pull brings back")
def _(e):
    im = mk.Image([noise("to zstd")])
    name = f"{R.host}/team/zstd:1"
    load(e, im, name)
    push(e, "--compression", "zstd", name)
    _, document = R.read("team/zstd:1")
    has(document["layers"][0]["mediaType"], r"zstd$")
    e.cli("rmi", name)
    e.cli("pull", name)
    same(inspect(e, name)["Id"], im.id)


@case("push: default tag, -q, what is not here, a digest, a registry that is not there")
def _(e):
    load(e, mk.Image([noise("latest")]), f"{R.host}/team/default:latest")
    has(push(e, f"{R.host}/team/default").stdout, "^Using default tag: latest$")
    done = push(e, "-q", f"{R.host}/team/default")
    same(len(done.stdout.splitlines()), 1, done)
    fails(e, "push", f"{R.host}/team/no-such:1", error=f"An image does not exist locally with the tag: {R.host}/team/no-such$")
    fails(e, "push", f"{R.host}/team/default:2", error=f"tag does not exist: {R.host}/team/default:2$")
    fails(e, "push", "no-such", error="An image does not exist locally with the tag: no-such$")
    e.cli("tag", f"{R.host}/team/default", f"{R.host}/team/default:other")
    done = push(e, "-a", f"{R.host}/team/default")
    same([line.split(" ")[0] for line in done.stdout.splitlines() if "refers" in line or "digest: " in line], ["The", "latest:", "other:"])
    fails(e, "push", f"{R.host}/team/default@sha256:{'1' * 64}", error="digest")
    load(e, mk.Image([noise("latest")]), "127.0.0.1:1/team/default:1")
    fails(e, "push", "127.0.0.1:1/team/default:1", error=r"127\.0\.0\.1:1")


@case("push and pull: a registry with passwords: with the right one, with a wrong one, without")
def _(e):
    users = os.path.join(e.folder, "htpasswd")
    with open(users, "w") as f:  # ann, and the bcrypt of "password"
        f.write("ann:$2y$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu\n")
    with DockerRegistry(os.path.join(e.folder, "private"), f"auth:\n  htpasswd: {{realm: tests, path: {users}}}\n") as private:
        name = f"{private.host}/team/private:1"
        im = mk.Image([noise("private")])
        load(e, im, name)
        fails(e, "push", name, error="denied|unauthorized|authentication|basic auth")
        fails(e, "push", "--creds", "ann:wrong", name, error="denied|unauthorized|authentication")
        push(e, "--creds", "ann:password", name)
        out(e, "rmi", name)
        fails(e, "pull", name, error="denied|unauthorized")
        out(e, "pull", "-q", "--creds", "ann:password", name)
        same(inspect(e, name)["Id"], im.id)


@case("push: an image committed here is compressed once and runs elsewhere again")
def _(e):
    load(e, mk.busybox(), "base:1")
    e.cli("run", "--name", "edit", "base:1", "sh", "-c", "echo made > /made")
    name = f"{R.host}/team/committed:1"
    e.cli("commit", "edit", name)
    e.cli("rm", "edit")
    wanted = inspect(e, name)["Id"]
    first = push(e, name).stdout.splitlines()[-1]
    e.cli("tag", name, f"{R.host}/team/committed:2")
    second = push(e, f"{R.host}/team/committed:2").stdout.splitlines()[-1]
    same(first.split()[2], second.split()[2])
    e.cli("rmi", "-f", wanted)
    e.cli("pull", name)
    same(inspect(e, name)["Id"], wanted)
    same(out(e, "run", "--rm", name, "cat", "/made"), "made\n")


if __name__ == "__main__":
    if DockerRegistry.program() is None:
        print("no docker-registry, skipped", file=sys.stderr)
        sys.exit(77)
    run(setup=setup)
