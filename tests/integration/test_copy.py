"""Between registries and OCI layouts without the engine's images; lists of images made by hand."""
import atexit, json, os, random, re, shutil, subprocess, sys

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


def most_memory(e):
    """Of the registry room, so far."""
    with open(f"/proc/{e.rooms()['registry']}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) << 10


@case("copy: many large layers at once take a bounded memory")
def _(e):
    layers = [noise(f"wide {i}", 5 << 20) for i in range(24)]
    desc = A.put(mk.Image(layers), "team/wide:1", "plain")
    before = most_memory(e)
    copy(e, "--jobs", "24", f"{A.host}/team/wide:1", f"{B.host}/team/wide:1")
    same(B.digest("team/wide:1"), desc["digest"])
    more = most_memory(e) - before
    linked = subprocess.run(["ldd", f"{e.bin}/bulkhead-registry"], capture_output=True, text=True, check=True).stdout
    print(f"  {more >> 20} MiB more")
    assert more < 56 << 20 or "libasan" in linked, f"{more >> 20} MiB for a copy"


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
    here = json.loads(out(e, "manifest", "inspect", name))  # not on the registry yet
    same(sorted(m["platform"]["architecture"] for m in here["manifests"]), ["amd64", "arm64"])
    same([sorted(m) for m in here["manifests"]], 2 * [["digest", "mediaType", "platform", "size"]])
    done = ends(e.cli("manifest", "push", name, check=False), 0)
    desc, document = A.read("team/list:1")
    has(done.stdout, desc["digest"], done)
    same(sorted(m["platform"]["architecture"] for m in document["manifests"]), ["amd64", "arm64"])
    for entry in document["manifests"]:
        _, manifest = A.read(f"team/list@{entry['digest']}")
        assert all(A.has_blob("team/list", d["digest"]) for d in [manifest["config"], *manifest["layers"]])
    ends(e.cli("pull", "--platform", "linux/arm64", name, check=False), 0)


# ---- OCI layouts ----

def skopeo(*words):
    """Standard output, or None where there is no skopeo."""
    if shutil.which("skopeo") is None:
        return None
    done = subprocess.run(["skopeo", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def index_of(folder):
    with open(f"{folder}/index.json") as f:
        return json.load(f)


def tags(folder):
    return {m.get("annotations", {}).get("org.opencontainers.image.ref.name"): m["digest"] for m in index_of(folder)["manifests"]}


def whole(folder):
    """Every file below blobs is a blob with the digest that its name says; their number."""
    names = os.listdir(f"{folder}/blobs/sha256")
    for name in names:
        with open(f"{folder}/blobs/sha256/{name}", "rb") as f:
            same(mk.sha(f.read()), "sha256:" + name)
    return len(names)


def blob_path(folder, digest):
    return f"{folder}/blobs/sha256/{digest[7:]}"


@case("layout: a registry's image into a new folder, byte for byte; a second tag beside it; what is there stays")
def _(e):
    im = mk.Image([noise("l small"), noise("l large", 9000000)])
    desc = A.put(im, "lay/one:1")
    folder = os.path.join(e.folder, "into")
    before = out(e, "images", "-aq")
    done = copy(e, f"docker://{A.host}/lay/one:1", f"oci:{folder}:first")
    has(done.stdout, rf"^first: digest: {desc['digest']} size: {desc['size']}$", done)
    has(done.stdout, "Download complete", done)
    same(tags(folder), {"first": desc["digest"]})
    same(whole(folder), 4)
    config = skopeo("inspect", "--raw", f"oci:{folder}:first")
    if config is not None:
        same(mk.sha(config.encode()), desc["digest"])
        same(json.loads(skopeo("inspect", f"oci:{folder}:first"))["Digest"], desc["digest"])
    os.truncate(blob_path(folder, json.loads(open(blob_path(folder, desc["digest"])).read())["layers"][0]["digest"]), 10)
    again = copy(e, f"{A.host}/lay/one:1", f"oci:{folder}:second")
    has(again.stdout, "Already exists", again)
    has(again.stdout, "Download complete", again)  # the one that was damaged
    same(whole(folder), 4)
    same(tags(folder), {"first": desc["digest"], "second": desc["digest"]})
    other = A.put(mk.Image([noise("l other")]), "lay/other:1")
    copy(e, f"{A.host}/lay/other:1", f"oci:{folder}:first")
    same(tags(folder), {"first": other["digest"], "second": desc["digest"]})
    same(sorted(os.listdir(folder)), ["blobs", "index.json", "oci-layout"])
    same(out(e, "images", "-aq"), before)


@case("layout: into a registry and back; blobs that are there are not sent")
def _(e):
    layout = mk.Layout()
    digest = layout.add(mk.Image([noise("up one"), noise("up two", 6000000)]), tag="mine")
    layout.add(mk.Image([noise("up three")]), tag="yours")
    folder = layout.folder(os.path.join(e.folder, "from"))
    done = copy(e, f"oci:{folder}:mine", f"{B.host}/up/app:7")
    has(done.stdout, "Pushed", done)
    has(done.stdout, rf"^7: digest: {digest} size: \d+$", done)
    same(B.digest("up/app:7"), digest)
    _, document = B.read("up/app:7")
    for d in [document["config"], *document["layers"]]:
        same(mk.sha(B.get_blob("up/app", d["digest"])), d["digest"])
    again = copy(e, f"oci:{folder}:mine", f"docker://{B.host}/up/app:8")
    has(again.stdout, "Layer already exists", again)
    assert "Pushed" not in again.stdout, again.stdout
    same(B.digest("up/app:8"), digest)
    back = os.path.join(e.folder, "back")
    copy(e, f"{B.host}/up/app:8", f"oci:{back}")
    same(tags(back), {None: digest})
    here = os.path.join(e.folder, "here")
    copy(e, f"oci:{back}", f"oci:{here}:local")
    same(tags(here), {"local": digest})
    same(whole(here), 4)
    fails(e, "image", "copy", f"oci:{folder}", f"{B.host}/up/app:9", error="holds 2 images")
    fails(e, "image", "copy", f"oci:{folder}:nobody", f"{B.host}/up/app:9", error="no image with the tag nobody")
    same(B.digest("up/app:9"), None)


@case("layout: of an index one platform, or all with --all, both ways")
def _(e):
    amd, arm = mk.Image([noise("x amd")]), mk.Image([noise("x arm")], architecture="arm64")
    index = A.put_index("lay/multi:1", [(arm, ARM), (amd, AMD)])
    folder = os.path.join(e.folder, "multi")
    copy(e, "-a", f"{A.host}/lay/multi:1", f"oci:{folder}:all")
    same(tags(folder), {"all": index["digest"]})
    same(whole(folder), 7)
    one = os.path.join(e.folder, "multi-one")
    copy(e, "--platform", "linux/arm64", f"{A.host}/lay/multi:1", f"oci:{one}:arm")
    same(whole(one), 3)
    copy(e, "--all", f"oci:{folder}:all", f"{B.host}/lay/multi:all")
    same(B.digest("lay/multi:all"), index["digest"])
    for entry in B.read("lay/multi:all")[1]["manifests"]:
        _, document = B.read(f"lay/multi@{entry['digest']}")
        assert all(B.has_blob("lay/multi", d["digest"]) for d in [document["config"], *document["layers"]])
    copy(e, "--platform", "linux/arm64", f"oci:{folder}:all", f"{B.host}/lay/multi:arm")
    same(B.read("lay/multi:arm")[1]["config"]["digest"], arm.id)
    fails(e, "image", "copy", "--platform", "linux/s390x", f"oci:{folder}:all", f"{B.host}/lay/multi:no", error="no matching manifest")
    same(B.digest("lay/multi:no"), None)


@case("layout: a hostile or damaged one is refused, and the registry is as before")
def _(e):
    def made(word):
        layout = mk.Layout()
        digest = layout.add(mk.Image([noise("hostile " + word)]), tag="t")
        folder = layout.folder(os.path.join(e.folder, "hostile-" + word))
        with open(blob_path(folder, digest)) as f:
            return folder, digest, blob_path(folder, json.load(f)["layers"][0]["digest"])

    def refused(folder, error):
        fails(e, "image", "copy", f"oci:{folder}:t", f"{B.host}/hostile/x:1", error=error)
        fails(e, "image", "copy", f"oci:{folder}:t", f"oci:{e.folder}/hostile-copy:1", error=error)
        same(B.digest("hostile/x:1"), None)
        assert not os.path.exists(f"{e.folder}/hostile-copy/index.json")

    folder, _, layer = made("flipped")
    with open(layer, "r+b") as f:
        f.seek(50)
        f.write(b"??")
    refused(folder, "is damaged")
    folder, _, layer = made("short")
    os.truncate(layer, 100)
    refused(folder, "has 100 bytes")
    folder, _, layer = made("missing")
    os.unlink(layer)
    refused(folder, "No such file|not found")
    folder, _, layer = made("link")
    os.rename(layer, layer + ".real")
    os.symlink(layer + ".real", layer)
    refused(folder, "symbolic link")
    folder, _, layer = made("folder-link")
    os.rename(f"{folder}/blobs", f"{e.folder}/blobs-elsewhere")
    os.symlink(f"{e.folder}/blobs-elsewhere", f"{folder}/blobs")
    refused(folder, "symbolic link")
    folder, _, layer = made("pipe")
    os.unlink(layer)
    os.mkfifo(layer)
    refused(folder, "not a regular file")
    for word, digest in (("dots", "sha256:../../../../etc/passwd"), ("other", "md5:" + "0" * 32), ("upper", "sha256:" + "A" * 64)):
        folder, _, _ = made(word)
        index = index_of(folder)
        index["manifests"][0]["digest"] = digest
        mk.write(f"{folder}/index.json", json.dumps(index).encode())
        refused(folder, "digest|verified")
    folder, _, _ = made("large")
    mk.write(f"{folder}/index.json", b" " * (5 << 20) + b"{}")
    refused(folder, "larger than")
    folder, _, _ = made("marker")
    os.unlink(f"{folder}/oci-layout")
    refused(folder, "not an OCI layout")


@case("layout: a copy that fails leaves whole blobs and the old index.json; words that are no layout are refused")
def _(e):
    folder = os.path.join(e.folder, "failed")
    good = A.put(mk.Image([noise("good one")]), "lay/good:1")
    copy(e, f"{A.host}/lay/good:1", f"oci:{folder}:good")
    broken = mk.Image([noise("there"), noise("gone")])
    A.put(broken, "lay/broken:1")
    gone = A.read("lay/broken:1")[1]["layers"][1]["digest"]
    for path, _, names in os.walk(A.folder):
        if gone[7:] in path and "data" in names and "/blobs/" in path:
            with open(os.path.join(path, "data"), "r+b") as f:
                f.seek(20)
                f.write(b"damaged here")
    fails_late = e.cli("image", "copy", f"{A.host}/lay/broken:1", f"oci:{folder}:good", check=False)
    ends(fails_late, 1)
    has(fails_late.stderr, rf"{gone}.*the registry sent", fails_late)
    same(tags(folder), {"good": good["digest"]})
    whole(folder)
    full = os.path.join(e.folder, "full")
    os.mkdir(full)
    mk.write(f"{full}/a-file", b"mine")
    fails(e, "image", "copy", f"{A.host}/lay/good:1", f"oci:{full}:x", error="has files in it")
    same(os.listdir(full), ["a-file"])
    for word in ("oci:", "oci::tag", f"oci:{folder}:", f"oci:{folder}:a tag"):
        fails(e, "image", "copy", f"{A.host}/lay/good:1", word, code=125, error="no layout")
    fails(e, "image", "copy", f"{A.host}/lay/no-such:1", f"oci:{e.folder}/never:x", error="not found|denied|unknown")
    assert not os.path.exists(f"{e.folder}/never")


if __name__ == "__main__":
    if DockerRegistry.program() is None:
        print("no docker-registry, skipped", file=sys.stderr)
        sys.exit(77)
    run(setup=setup)
