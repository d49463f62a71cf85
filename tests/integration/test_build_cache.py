"""Caches of builds that travel: in the image itself, in a registry of Debian's, in a folder; and what is not one of ours."""
import hashlib, json, os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from builds import build, good, layers, setup as setup_bases  # noqa: E402
from cases import case, fails, has, inspect, lacks, out, run, same  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402

R = None
FILE = """FROM bb AS tool
RUN cat /proc/sys/kernel/random/uuid > /made
FROM bb
WORKDIR /new/folder
COPY f /f
RUN cat /proc/sys/kernel/random/uuid > /x
COPY --from=tool /made /made
LABEL l=m
"""


def setup(e):
    global R
    setup_bases(e)
    R = DockerRegistry(os.path.join(e.folder, "registry")).__enter__()
    import atexit
    atexit.register(R.__exit__)


def forget(e, *names):
    """As on a machine that has built nothing so far."""
    for name in names:
        out(e, "rmi", "-f", name)
    out(e, "builder", "prune", "-af")


def cached(done):
    return re.findall(r"(?m)^#(\d+) CACHED", done.stderr)


def names(e):
    return out(e, "images", "--format", "{{.Repository}}:{{.Tag}}")


@case("cache: inline: WORKDIR, COPY and RUN are found in an image that was pushed; only layers that are wanted come; the image is the same again")
def _(e):
    name = f"{R.host}/cache/inline:1"
    good(build(e, FILE, "--cache-to", "type=inline", "--push", files={"f": "1"}, tag=name))
    first = inspect(e, name)
    blobs = json.loads(subprocess.run(["skopeo", "inspect", "--tls-verify=false", "--config", "--raw", f"docker://{name}"], capture_output=True, check=True).stdout)
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64} (-|\d+) \d+", line) for line in blobs["bulkhead.build.cache.v1"]), blobs
    forget(e, name)
    done = good(build(e, FILE, "--cache-from", f"type=registry,ref={name}", "--cache-to", "type=inline", files={"f": "1"}, tag="t:1"))
    has(done.stderr, f"importing cache manifest from {name}")
    at = len(layers(e, "bb"))
    same(layers(e, "t:1")[:at + 3], first["RootFS"]["Layers"][:at + 3])
    same(len(cached(done)), 3)  # the other stage is not in it, so its file is another one
    lacks(names(e), "cache/inline")
    forget(e, "t:1")
    changed = good(build(e, FILE, "--cache-from", name, files={"f": "2"}, tag="t:2"))
    same(len(cached(changed)), 1)
    assert layers(e, "t:2")[at + 1] != first["RootFS"]["Layers"][at + 1], "COPY of another file"
    has(changed.stderr, "importing layer")
    same(len(set(re.findall(r"(?m)^#\d+ (importing layer \S+)", changed.stderr))), 1)
    forget(e, "t:2")
    without = good(build(e, FILE, "--no-cache", "--cache-from", name, files={"f": "1"}, tag="t:3"))
    same(cached(without), [])
    out(e, "system", "check")


@case("cache: an image built on one that carries a cache does not carry it further, and its ID is what it is without")
def _(e):
    good(build(e, "FROM bb\nCOPY f /f\n", "--cache-to", "type=inline", files={"f": "1"}, tag="carries:1"))
    good(build(e, "FROM carries:1\nLABEL a=b\n", tag="above:1"))
    path = os.path.join(e.folder, "above.tar")
    out(e, "save", "-o", path, "above:1")
    lacks(subprocess.run(["tar", "-xOf", path, "blobs/sha256/" + inspect(e, "above:1")["Id"][7:]], capture_output=True, check=True, text=True).stdout, "build.cache")


@case("cache: type=registry: mode=max has the steps of all stages and a second build elsewhere does nothing; min has those of the result")
def _(e):
    ref = f"{R.host}/cache/own:max"
    good(build(e, FILE, "--cache-to", f"type=registry,ref={ref},mode=max", files={"f": "1"}, tag="t:1"))
    first = inspect(e, "t:1")["Id"]
    lacks(names(e), "cache/own")
    forget(e, "t:1")
    done = good(build(e, FILE, "--cache-from", f"type=registry,ref={ref}", files={"f": "1"}, tag="t:1"))
    same((inspect(e, "t:1")["Id"], len(cached(done))), (first, 5))
    lacks(names(e), "cache/own")
    same(R.read("cache/own:max")[1]["config"]["mediaType"], "application/vnd.oci.image.config.v1+json")
    good(build(e, FILE, "--cache-to", f"type=registry,ref={R.host}/cache/own:min", files={"f": "1"}, tag="t:1"))
    same(len(R.read("cache/own:min")[1]["layers"]), 4)
    same(len(R.read("cache/own:max")[1]["layers"]), 5)
    again = R.read("cache/own:max")[0]["digest"]
    good(build(e, FILE, "--cache-to", f"type=registry,ref={ref},mode=max", files={"f": "1"}, tag="t:1"))
    same(R.read("cache/own:max")[0]["digest"], again)
    good(build(e, FILE, "--cache-to", f"type=registry,ref={R.host}/cache/own:zstd,compression=zstd,force-compression=true", files={"f": "1"}, tag="t:1"))
    has(json.dumps(R.read("cache/own:zstd")[1]), "tar\\+zstd")
    forget(e, "t:1")
    good(build(e, FILE, "--cache-from", f"type=registry,ref={R.host}/cache/own:zstd", files={"f": "1"}, tag="t:1"))
    out(e, "system", "check")


@case("cache: what came from a registry for a result that is no image goes with its records")
def _(e):
    ref = f"{R.host}/cache/gone:1"
    out(e, "builder", "prune", "-af")
    good(build(e, FILE, "--cache-to", f"type=registry,ref={ref},mode=max", files={"f": "gone"}, tag="t:9"))
    forget(e, "t:9")
    done = good(build(e, FILE, "--cache-from", f"type=registry,ref={ref}", "-o", os.path.join(e.folder, "gone"), files={"f": "gone"}))
    same(len(set(re.findall(r"(?m)^#\d+ (importing layer \S+)", done.stderr))), 5)
    out(e, "builder", "prune", "-af")
    same(out(e, "builder", "du", "--filter", "type=regular", "--format", "{{.ID}}").strip(), "")


@case("cache: type=local: a folder others read as a layout; one that is missing, or BuildKit's, is told and left out")
def _(e):
    folder = os.path.join(e.folder, "cache")
    good(build(e, FILE, "--cache-to", f"type=local,dest={folder},mode=max", files={"f": "1"}, tag="t:1"))
    first = inspect(e, "t:1")["Id"]
    subprocess.run(["skopeo", "inspect", "--raw", f"oci:{folder}"], check=True, capture_output=True)
    forget(e, "t:1")
    before = out(e, "images", "-aq")
    done = good(build(e, FILE, "--cache-from", f"type=local,src={folder}", "-o", os.path.join(e.folder, "files"), files={"f": "1"}))
    same(len(cached(done)), 5)
    same(out(e, "images", "-aq"), before)
    out(e, "builder", "prune", "-af")
    done = good(build(e, FILE, "--cache-from", f"type=local,src={folder}", "--platform", "linux/amd64", files={"f": "1"}, tag="t:1"))
    same(inspect(e, "t:1")["Id"], first)
    has(good(build(e, "FROM bb\n", "--cache-from", f"type=local,src={folder}/none")).stderr, "is left out")
    two = good(build(e, "FROM scratch\nCOPY f /f\n", "--cache-from", f"type=local,src={folder}", "--platform", "linux/amd64,linux/arm64", files={"f": "1"}, tag="t:2"))
    same(len(re.findall("importing cache manifest from the folder", two.stderr)), 2)
    index = json.load(open(f"{folder}/index.json", encoding="utf-8"))
    blob = f"{folder}/blobs/sha256/{index['manifests'][0]['digest'][7:]}"
    text = open(blob, encoding="utf-8").read().replace("vnd.oci.image.config.v1", "vnd.buildkit.cacheconfig.v0")
    raw = text.encode()
    index["manifests"][0].update(digest="sha256:" + hashlib.sha256(raw).hexdigest(), size=len(raw))
    open(f"{folder}/blobs/sha256/{hashlib.sha256(raw).hexdigest()}", "wb").write(raw)
    json.dump(index, open(f"{folder}/index.json", "w", encoding="utf-8"))
    has(good(build(e, "FROM bb\n", "--cache-from", f"type=local,src={folder}")).stderr, "BuildKit wrote it")
    out(e, "system", "check")


@case("cache: one of BuildKit's on a registry, one that is not there, lines that say nothing, and options that are none")
def _(e):
    ref = f"{R.host}/cache/foreign:1"
    config = R.blob("cache/foreign", b'{"layers":null,"records":null}')
    R.manifest("cache/foreign:1", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                       "config": {"mediaType": "application/vnd.buildkit.cacheconfig.v0", **config}, "layers": []})
    done = good(build(e, "FROM bb\n", "--cache-from", f"type=registry,ref={ref}"))
    same(len(re.findall("WARNING: .* has a cache that BuildKit wrote", done.stderr)), 1)
    has(good(build(e, "FROM bb\n", "--cache-from", f"type=registry,ref={R.host}/cache/none:1")).stderr, "cache/none:1")
    lines = [f"sha256:{'0' * 64} 0 1"]
    config = R.blob("cache/lies", json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}, "bulkhead.build.cache.v1": lines}).encode())
    R.manifest("cache/lies:1", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}, "layers": []})
    has(good(build(e, "FROM bb\n", "--cache-from", f"{R.host}/cache/lies:1")).stderr, "line 1 of its cache cannot be read")
    for option, text, words in (("--cache-to", "type=gha", "cache type .gha. is not known"), ("--cache-to", "type=registry", "needs ref="),
                                ("--cache-to", "type=inline,mode=most", "neither min nor max"), ("--cache-from", "type=inline", "read by its name"),
                                ("--cache-to", "type=local", "needs dest=FOLDER"), ("--cache-to", "mode=max", "type= is missing")):
        failed = build(e, "FROM bb\n", option, text)
        assert failed.returncode != 0
        has(failed.stderr, words)
    failed = build(e, "FROM bb\nCOPY f /\n", "--cache-to", "type=registry,ref=127.0.0.1:1/no/where:1", files={"f": "1"})
    same(failed.returncode, 1)
    good(build(e, "FROM bb\nCOPY f /\n", "--cache-to", "type=registry,ref=127.0.0.1:1/no/where:1,ignore-error=true", files={"f": "1"}))


if __name__ == "__main__":
    run(setup)
