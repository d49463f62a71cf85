"""From registry to registry without the engine's images; lists of images made by hand."""
import atexit, json, os, random, re, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, fails, has, out, run, same  # noqa: E402
from dockerregistry import DockerRegistry  # noqa: E402

A = B = None
ARM = {"os": "linux", "architecture": "arm64", "variant": "v8"}
AMD = {"os": "linux", "architecture": "amd64"}


def setup(e):
    global A, B
    A, B = (DockerRegistry(os.path.join(e.folder, name)).__enter__() for name in ("a", "b"))
    for registry in (A, B):
        atexit.register(registry.__exit__)


def noise(word, n=100000):
    return mk.tar_of([(word, random.Random(word).randbytes(n), 0o644)])


def copy(e, *words):
    return ends(e.cli("image", "copy", *words, check=False), 0)


@case("copy: an image, byte for byte, large layers in chunks; the engine's list stays as it is")
def _(e):
    im = mk.Image([noise("small"), noise("large", 11000000)])
    desc = A.put(im, "team/one:1")
    before = out(e, "images", "-aq")
    done = copy(e, f"{A.host}/team/one:1", f"{B.host}/other/one:2")
    same(B.digest("other/one:2"), desc["digest"])
    same(out(e, "images", "-aq"), before)
    has(done.stdout, rf"^2: digest: {desc['digest']} size: {desc['size']}$", done)
    _, document = B.read("other/one:2")
    for layer in document["layers"]:
        same(mk.sha(B.get_blob("other/one", layer["digest"])), layer["digest"])
    again = copy(e, f"{A.host}/team/one:1", f"{B.host}/other/one:2")
    has(again.stdout, rf"^2: digest: {desc['digest']} size: {desc['size']}$", again)


@case("copy: within one registry blobs are mounted; what is there is not sent")
def _(e):
    im = mk.Image([noise("mounted", 500000)])
    desc = A.put(im, "team/from:1")
    done = copy(e, f"{A.host}/team/from:1", f"{A.host}/team/to:1")
    has(done.stdout, "Mounted from team/from", done)
    same(A.digest("team/to:1"), desc["digest"])
    done = copy(e, f"{A.host}/team/from:1", f"{A.host}/team/to:2")
    has(done.stdout, "Layer already exists", done)
    same(A.digest("team/to:2"), desc["digest"])


@case("copy: of an index one platform, or all with --all; by digest; an artifact")
def _(e):
    amd, arm = mk.Image([noise("amd")]), mk.Image([noise("arm")], architecture="arm64")
    index = A.put_index("team/multi:1", [(arm, ARM), (amd, AMD)])
    copy(e, "--platform", "linux/arm64", f"{A.host}/team/multi:1", f"{B.host}/other/multi:arm")
    same(B.read("other/multi:arm")[1]["config"]["digest"], arm.id)
    copy(e, "--all", f"{A.host}/team/multi:1", f"{B.host}/other/multi:all")
    same(B.digest("other/multi:all"), index["digest"])
    for entry in B.read("other/multi:all")[1]["manifests"]:
        _, document = B.read(f"other/multi@{entry['digest']}")
        assert all(B.has_blob("other/multi", d["digest"]) for d in [document["config"], *document["layers"]])
    copy(e, "--all", f"{A.host}/team/multi@{index['digest']}", f"{B.host}/other/pinned:1")
    same(B.digest("other/pinned:1"), index["digest"])
    repo = "team/artifact"
    desc = A.manifest(f"{repo}:1", {
        "schemaVersion": 2, "mediaType": mk.MANIFEST, "artifactType": "application/vnd.example.thing",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", **A.blob(repo, b"{}")},
        "layers": [{"mediaType": "text/plain", **A.blob(repo, b"hello\n")}]})
    copy(e, f"{A.host}/{repo}:1", f"{B.host}/other/artifact:1")
    same(B.digest("other/artifact:1"), desc["digest"])


@case("copy: what cannot be is told, and the target is as before")
def _(e):
    fails(e, "image", "copy", f"{A.host}/team/no-such:1", f"{B.host}/other/x:1", error="not found|denied")
    fails(e, "image", "copy", f"{A.host}/team/multi:1", f"{B.host}/other/x:1", "--platform", "linux/s390x", error="no matching manifest")
    fails(e, "image", "copy", f"{A.host}/team/one:1", "127.0.0.1:1/x:1", error=r"127\.0\.0\.1:1")
    fails(e, "image", "copy", f"{A.host}/team/one:1", f"{B.host}/other/x@sha256:{'1' * 64}", error="digest")
    same(B.digest("other/x:1"), None)


@case("manifest: a list of two images of other repositories is made, annotated and pushed with what it names")
def _(e):
    amd, arm = mk.Image([noise("list amd")]), mk.Image([noise("list arm")], architecture="arm64")
    A.put(amd, "parts/amd:1")
    A.put(arm, "parts/arm:1")
    name = f"{A.host}/team/list:1"
    ends(e.cli("manifest", "create", name, f"{A.host}/parts/amd:1", f"{A.host}/parts/arm:1", check=False), 0)
    ends(e.cli("manifest", "annotate", "--arch", "arm64", "--variant", "v8", name, f"{A.host}/parts/arm:1", check=False), 0)
    done = ends(e.cli("manifest", "push", name, check=False), 0)
    desc, document = A.read("team/list:1")
    has(done.stdout, desc["digest"], done)
    same(sorted(m["platform"]["architecture"] for m in document["manifests"]), ["amd64", "arm64"])
    for entry in document["manifests"]:
        _, manifest = A.read(f"team/list@{entry['digest']}")
        assert all(A.has_blob("team/list", d["digest"]) for d in [manifest["config"], *manifest["layers"]])
    ends(e.cli("pull", "--platform", "linux/arm64", name, check=False), 0)


if __name__ == "__main__":
    if DockerRegistry.program() is None:
        print("no docker-registry, skipped", file=sys.stderr)
        sys.exit(77)
    run(setup=setup)
