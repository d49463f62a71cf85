"""Builds for several platforms, and builds that are pushed: what is in the list, in archives, in a registry of Debian's."""
import json, os, re, struct, subprocess, sys, tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from builds import BB, build, context, good, layers, setup as setup_bases, sh  # noqa: E402
from cases import case, fails, has, inspect, lacks, out, run, same  # noqa: E402
from dockerregistry import DockerRegistry, bcrypt  # noqa: E402

R = None
TWO = ("--platform", "linux/amd64,linux/arm64")
CROSS = """FROM --platform=$BUILDPLATFORM bb AS tool
ARG TARGETARCH
RUN echo made for $TARGETARCH on $(uname -s) > /made
FROM scratch
ARG TARGETPLATFORM
ENV IS=$TARGETPLATFORM
COPY --from=tool /made /
COPY f /sub/f
"""


def setup(e):
    global R
    setup_bases(e)
    R = DockerRegistry(os.path.join(e.folder, "registry")).__enter__()
    import atexit
    atexit.register(R.__exit__)


def skopeo(*words):
    done = subprocess.run(["skopeo", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def arches(document):
    return [m["platform"]["architecture"] for m in document["manifests"]]


@case("platforms: cross builds make an index; the list shows the image that runs here; the second time all is cached and the same")
def _(e):
    meta = os.path.join(e.folder, "meta.json")
    done = good(build(e, CROSS, *TWO, "--metadata-file", meta, files={"f": "1"}, tag="multi:1"))
    has(done.stderr, r"\[linux/amd64 tool 2/2\] RUN")
    has(done.stderr, r"\[linux/arm64 stage-1 1/2\] COPY")
    same((inspect(e, "multi:1")["Architecture"], inspect(e, "multi:1")["Config"]["Env"][-1]), ("amd64", "IS=linux/amd64"))
    told = json.load(open(meta, encoding="utf-8"))
    again = good(build(e, CROSS, *TWO, "--metadata-file", meta, files={"f": "1"}, tag="multi:1"))
    same(json.load(open(meta, encoding="utf-8"))["containerimage.digest"], told["containerimage.digest"])
    same(len(re.findall("CACHED", again.stderr)), 6)
    path = os.path.join(e.folder, "multi.tar")
    out(e, "save", "-o", path, "multi:1")
    with tarfile.open(path) as tar:
        top = json.load(tar.extractfile("index.json"))["manifests"][0]
        same(top["digest"], told["containerimage.digest"])
        same(arches(json.load(tar.extractfile("blobs/sha256/" + top["digest"][7:]))), ["amd64", "arm64"])
    out(e, "rmi", "multi:1")
    out(e, "load", "-i", path)
    same(inspect(e, "multi:1")["Architecture"], "amd64")
    out(e, "system", "check")


@case("platforms: a local index serves each platform; what is for another cannot run here and says why")
def _(e):
    good(build(e, CROSS, *TWO, files={"f": "1"}, tag="base:multi"))
    good(build(e, "FROM base:multi\nCOPY g /\n", *TWO, files={"g": "2"}, tag="above:1"))
    same((inspect(e, "above:1")["Architecture"], len(layers(e, "above:1"))), ("amd64", 3))
    program = b"\x7fELF\2\1\1" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 0xB7, 1, 0x400078, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    for run_it in ("RUN true\n", 'RUN ["/bin/sh", "-c", "true"]\n'):
        done = build(e, "FROM --platform=linux/arm64 base:multi\nCOPY --chmod=755 sh /bin/sh\n" + run_it, files={"sh": program}, tag="bad:1")
        same(done.returncode, 1)
        has(done.stderr, "runs programs for linux/arm64 only if binfmt_misc")
    good(build(e, "FROM --platform=linux/arm64 base:multi\nCOPY g /\n", files={"g": "2"}, tag="arm:1"))
    same((inspect(e, "arm:1")["Architecture"], inspect(e, "base:multi")["Architecture"]), ("arm64", "amd64"))


@case("platforms: outputs: oci with and without a name, tar and a folder with a folder for each; docker is refused")
def _(e):
    folder = context(e, "outputs", {"Dockerfile": CROSS, "f": "1"})
    path = os.path.join(e.folder, "out.tar")
    for names in (["-t", "kept/out:1", "-t", "kept/out:2"], []):
        good(e.cli("build", *TWO, *names, "-o", f"type=oci,dest={path}", folder, check=False))
        with tarfile.open(path) as tar:
            tops = json.load(tar.extractfile("index.json"))["manifests"]
            same(len(tops), max(len(names) // 2, 1))
            index = json.load(tar.extractfile("blobs/sha256/" + tops[0]["digest"][7:]))
            same(arches(index), ["amd64", "arm64"])
            for entry in index["manifests"]:
                manifest = json.load(tar.extractfile("blobs/sha256/" + entry["digest"][7:]))
                for blob in [manifest["config"], *manifest["layers"]]:
                    same(tar.getmember("blobs/sha256/" + blob["digest"][7:]).size, blob["size"])
        fails(e, "inspect", "kept/out:1")
    good(e.cli("build", *TWO, "-o", f"type=tar,dest={path}", folder, check=False))
    with tarfile.open(path) as tar:
        same(tar.extractfile("linux_arm64/made").read(), b"made for arm64 on Linux\n")
        same(tar.extractfile("linux_amd64/sub/f").read(), b"1")
    target = os.path.join(e.folder, "root")
    good(e.cli("build", "--platform", "linux/arm/v7", "--platform", "linux/s390x", "-o", target, folder, check=False))
    same(sorted(os.listdir(target)), ["linux_arm_v7", "linux_s390x"])
    same(open(f"{target}/linux_s390x/made", encoding="ascii").read(), "made for s390x on Linux\n")
    has(e.cli("build", *TWO, "-o", f"type=docker,dest={path}", folder, check=False).stderr, "does not currently support exporting manifest lists")
    has(e.cli("build", "--platform", "linux/amd64,linux/amd64", folder, check=False).stderr, "twice")
    has(e.cli("build", "--platform", "linux/amd64,what/ever/is/this", folder, check=False).stderr, "what/ever")


@case("platforms: a base that comes for another platform takes no name from an image that runs here, also when the tag has moved")
def _(e):
    arm = mk.Image(BB.layers, architecture="arm64")
    newer = mk.Image(BB.layers[:1], architecture="arm64")
    name, other = f"{R.host}/base/multi:1", f"{R.host}/base/multi:2"
    both = [(BB, {"os": "linux", "architecture": "amd64"}), (arm, {"os": "linux", "architecture": "arm64"})]
    for n in (name, other):
        R.put_index(n.split("/", 1)[1], both)
    out(e, "pull", name)
    file = f"FROM {name}\nCOPY f /f\n"
    good(build(e, file, "--platform", "linux/arm64", files={"f": "1"}, tag="arm:2"))
    same((inspect(e, "arm:2")["Architecture"], inspect(e, name)["Architecture"]), ("arm64", "amd64"))
    listed = out(e, "images", "-aq")
    R.put_index("base/multi:1", [(BB, {"os": "linux", "architecture": "amd64"}), (newer, {"os": "linux", "architecture": "arm64"})])
    before = inspect(e, name)["Id"]
    good(build(e, file, "--platform", "linux/arm64", "--pull", files={"f": "1"}, tag="arm:3"))
    same((inspect(e, "arm:3")["Architecture"], inspect(e, name)["Id"]), ("arm64", before))
    assert layers(e, "arm:3") != layers(e, "arm:2"), "the base that the tag means now"
    same(len(out(e, "images", "-aq").split()), len(listed.split()) + 1)
    good(build(e, f"FROM {other}\nCOPY f /f\n", "--platform", "linux/arm64", files={"f": "1"}, tag="arm:4"))
    same(inspect(e, other)["Architecture"], "arm64")
    good(build(e, f"FROM {other}\nRUN true\n", tag="amd:1"))
    same(inspect(e, "amd:1")["Architecture"], "amd64")
    out(e, "system", "check")


@case("platforms: without a name the image that runs here stays, and the list has no other one")
def _(e):
    before = out(e, "images", "-aq").split()
    folder = context(e, "unnamed", {"Dockerfile": CROSS, "f": "unnamed"})
    made = out(e, "build", "-q", *TWO, folder).strip()
    same((len(out(e, "images", "-aq").split()), inspect(e, made)["Architecture"]), (len(before) + 1, "amd64"))
    same(out(e, "build", "-q", *TWO, folder).strip(), made)
    out(e, "system", "check")


@case("push: build --push with several names: what the registry has is what is told, annotations too; again sends nothing")
def _(e):
    meta = os.path.join(e.folder, "meta.json")
    folder = context(e, "pushed", {"Dockerfile": "FROM bb\nCOPY f /f\n", "f": "1"})
    names = [f"{R.host}/team/built:1", f"{R.host}/team/built:2", f"{R.host}/other/built:1"]
    words = [word for name in names for word in ("-t", name)]
    done = good(e.cli("build", "--push", *words, "--annotation", "a.b=c d", "--annotation", "manifest:e=f", "--metadata-file", meta, folder, check=False))
    has(done.stderr, "pushing")
    told = json.load(open(meta, encoding="utf-8"))
    for name in names:
        desc, document = R.read(name.split("/", 1)[1])
        same((desc["digest"], document["config"]["digest"]), (told["containerimage.digest"], told["containerimage.config.digest"]))
        same(document.get("annotations"), {"a.b": "c d", "e": "f"})
        same(json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))["Digest"], desc["digest"])
        same(inspect(e, name)["Id"], document["config"]["digest"])
    same(told["image.name"], ",".join(names))
    again = good(e.cli("build", "--push", *words, "--annotation", "a.b=c d", "--annotation", "manifest:e=f", "--metadata-file", meta, folder, check=False))
    lacks(again.stderr, "Pushed")
    same(json.load(open(meta, encoding="utf-8"))["containerimage.digest"], told["containerimage.digest"])
    has(e.cli("build", "--push", folder, check=False).stderr, "tag is needed when pushing to registry")
    good(e.cli("build", "-t", f"{R.host}/team/built:3", "-o", "type=image,push=true", folder, check=False))
    R.read("team/built:3")
    good(e.cli("build", "-t", f"{R.host}/team/built:4", "-o", "type=registry", folder, check=False))
    R.read("team/built:4")
    good(e.cli("build", "-o", f"type=image,name={R.host}/team/built:5,push=true", "--provenance=false", "--sbom=false", folder, check=False))
    same(R.read("team/built:5")[1]["config"]["digest"], inspect(e, f"{R.host}/team/built:5")["Id"])
    has(e.cli("build", "--provenance=mode=max", folder, check=False).stderr, "attestations are not made yet")
    failed = e.cli("build", "-t", "127.0.0.1:1/none/here:1", "--push", folder, check=False)
    same(failed.returncode, 1)
    has(failed.stderr, "127.0.0.1:1")


@case("push: several platforms go out as the index that is here, with annotations of both kinds; others read it")
def _(e):
    meta = os.path.join(e.folder, "meta.json")
    name = f"{R.host}/team/multi:1"
    good(build(e, CROSS, *TWO, "--push", "--annotation", "a=b", "--annotation", "index:c=d", "--metadata-file", meta, files={"f": "1"}, tag=name))
    desc, document = R.read("team/multi:1")
    same((desc["digest"], arches(document), document.get("annotations")),
         (json.load(open(meta, encoding="utf-8"))["containerimage.digest"], ["amd64", "arm64"], {"c": "d"}))
    for arch in ("amd64", "arm64"):
        config = json.loads(skopeo("inspect", "--tls-verify=false", "--config", "--override-arch", arch, f"docker://{name}"))
        same((config["architecture"], config["config"]["Env"][-1]), (arch, f"IS=linux/{arch}"))
    for entry in document["manifests"]:
        same(R.read(f"team/multi@{entry['digest']}")[1].get("annotations"), {"a": "b"})
    out(e, "rmi", name)
    out(e, "pull", "--platform", "linux/arm64", name)
    same(inspect(e, name)["Architecture"], "arm64")
    has(build(e, "FROM bb\n", "--annotation", "index:a=b", tag="bad:1").stderr, "index annotations not supported")


@case("outputs: several of one build: a name in the list, one on a registry, an archive, a tar, a folder; --push adds one")
def _(e):
    base = os.path.join(e.folder, "several")
    os.makedirs(base)
    pushed = f"{R.host}/several/out:1"
    meta = os.path.join(base, "meta.json")
    folder = context(e, "several-ctx", {"Dockerfile": CROSS, "f": "1"})
    outputs = ["-o", "type=image,name=several:1", "-o", f"type=registry,name={pushed}", "-o", f"type=oci,dest={base}/oci.tar,name=in/archive:1",
               "-o", f"type=tar,dest={base}/tar", "-o", f"{base}/folder"]
    done = good(e.cli("build", *outputs, "--metadata-file", meta, folder, check=False))
    same(len(re.findall(r"(?m)^#\d+ exporting to (\w+)$", done.stderr)), 5)
    told = json.load(open(meta, encoding="utf-8"))
    same((R.read("several/out:1")[1]["config"]["digest"], inspect(e, "several:1")["Id"]), (told["containerimage.config.digest"],) * 2)
    same(R.read("several:1"), None)
    with tarfile.open(f"{base}/oci.tar") as tar:
        has(tar.extractfile("index.json").read().decode(), "in/archive:1")
    with tarfile.open(f"{base}/tar") as tar:
        same(tar.extractfile("sub/f").read(), b"1")
    same(open(f"{base}/folder/sub/f", encoding="ascii").read(), "1")
    fails(e, "inspect", "in/archive:1")
    good(e.cli("build", *TWO, "-t", f"{R.host}/several/out:2", "--push", "-o", f"{base}/two", folder, check=False))
    same((sorted(os.listdir(f"{base}/two")), arches(R.read("several/out:2")[1])), (["linux_amd64", "linux_arm64"], ["amd64", "arm64"]))
    with open(f"{base}/stdout", "wb") as f:
        good(subprocess.run([e.client(), "--host", e.host, "build", "-t", "several:3", "-o", "-", "-o", "type=image", folder], stdout=f, stderr=subprocess.PIPE, text=True))
    with tarfile.open(f"{base}/stdout") as tar:
        same(tar.extractfile("sub/f").read(), b"1")
    inspect(e, "several:3")
    bad = e.cli("build", "-o", "-", "-o", "type=oci", folder, check=False)
    has(bad.stderr, "only one output can go to standard output")
    has(e.cli("build", "-o", "type=image", "-o", "type=image,push=true", folder, check=False).stderr, "tag is needed when pushing")
    has(e.cli("build", "-t", "several:4", "-o", f"type=oci,dest={base}/no.tar,push=true", folder, check=False).stderr, "not what is pushed")
    same(os.path.exists(f"{base}/no.tar"), False)


@case("push: credentials of the caller are used, and their lack is told")
def _(e):
    folder = os.path.join(e.folder, "locked")
    os.makedirs(folder)
    mk.write(f"{folder}/htpasswd", f"neko:{bcrypt('pass word')}\n".encode())
    env = {**os.environ, "DOCKER_CONFIG": folder}
    with DockerRegistry(folder, more=f"auth: {{htpasswd: {{realm: r, path: {folder}/htpasswd}}}}\n", login=("neko", "pass word")) as locked:
        name = f"{locked.host}/team/built:1"
        done = build(e, "FROM bb\n", "--push", tag=name, env=env)
        same(done.returncode, 1)
        has(done.stderr, "login")
        out(e, "login", "-u", "neko", "--password-stdin", locked.host, input="pass word", env=env)
        good(build(e, "FROM bb\n", "--push", tag=name, env=env))
        locked.read("team/built:1")
        good(build(e, f"FROM {name}\nENV A=1\n", "--pull", tag="from:1", env=env))
        out(e, "logout", locked.host, env=env)


if __name__ == "__main__":
    run(setup)
