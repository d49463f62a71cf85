"""What the registry room asks of the store: documents, layers, images; resumed, shared, refused, cleaned up."""
import gzip, json, os, shutil, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Engine, case, fails, has, lacks, out, run, same, until  # noqa: E402

BIG = [("big", os.urandom(3_000_000), 0o644)]
IMAGE = mk.busybox({"Cmd": ["sh"]}, [BIG, [("small", b"s", 0o644)]])


class Tool:
    """contenttool with the uid of the registry room."""

    def __init__(self, e):
        self.e = e
        self.path, self.env = e.for_users(os.path.join(e.build, "tests", "contenttool"))
        self.uid = os.stat(os.path.join(e.root, "run", "registry")).st_uid
        self.gid = os.stat(os.path.join(e.root, "run", "store", "rpc.sock")).st_gid

    def popen(self, owner, *words, uid=None):
        return subprocess.Popen([self.path, os.path.join(self.e.root, "run", "store"), str(owner), *map(str, words)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env,
                                user=self.uid if uid is None else uid, group=self.gid, extra_groups=[])

    def __call__(self, owner, *words, uid=None):
        """(lines, "" or "code reason message")"""
        p = self.popen(owner, *words, uid=uid)
        said, error = p.communicate(timeout=60)
        same(p.returncode, 1 if error else 0)
        return said.splitlines(), error


def blobs(e, *layouts):
    """One folder with the blobs of all of them, readable by the tool."""
    folder = os.path.join(e.folder, "blobs")
    os.makedirs(folder, exist_ok=True)
    os.chmod(e.folder, 0o755)
    for layout in layouts:
        for name, data in layout.files.items():
            if name.startswith("blobs/"):
                mk.write(os.path.join(folder, os.path.basename(name)), data)
    return folder


def layout_of(image, **how):
    layout = mk.Layout()
    return layout, layout.add(image, **how)


def layer_of(layout, manifest, n):
    d = json.loads(layout.files["blobs/sha256/" + manifest[7:]])["layers"][n]
    return d["digest"], d["size"]


def partials(e):
    return os.listdir(os.path.join(e.root, "state", "store", "partial"))


def clean(e):
    for _ in range(4):  # one owner's at a time
        ids = out(e, "images", "-aq").split()
        if ids:
            e.cli("rmi", "-f", *dict.fromkeys(ids), check=False)
    same(out(e, "images", "-aq"), "")
    out(e, "system", "prune", "-f")
    same(partials(e), [])
    layers = os.path.join(e.root, "state", "store", "layers", "sha256")  # a hold ends a moment after its caller
    until("all layers gone", lambda: not any(os.listdir(os.path.join(layers, d)) for d in os.listdir(layers)))


def sound(e):
    has(out(e, "system", "check"), " 0 findings")


@case("pull: every compression; once more without bytes; runs, and saves the same bytes")
def _(e):
    tool = Tool(e)
    for codec in ("gzip", "zstd", "plain"):
        layout, manifest = layout_of(IMAGE, codec=codec)
        folder = blobs(e, layout)
        said, error = tool(0, "-n", f"docker.io/library/p:{codec}", "-s", "docker.io/library/p", "pull", folder, manifest)
        same(error, "")
        same(said[-1], IMAGE.id + " new")
        said, error = tool(0, "-n", f"docker.io/library/p:{codec}", "pull", folder, manifest)
        same(error, "")
        same([line.split()[1] for line in said[:-1]], ["have"] * 3)
        same(said[-1], IMAGE.id)
        same(out(e, "run", "--rm", f"p:{codec}", "cat", "/small"), "s")
        archive = out(e, "save", f"p:{codec}", text=False)
        has(archive.decode("latin1"), manifest[7:])
    same(partials(e), [])
    sound(e)
    clean(e)


@case("pull: another user must bring the bytes, a stranger has no hold")
def _(e):
    tool = Tool(e)
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    same(tool(0, "-n", "docker.io/library/p:1", "pull", folder, manifest)[1], "")
    same(tool(0, "known", manifest, "")[0], [IMAGE.id])
    same(tool(7, "known", manifest, "")[0], ["unknown"])
    has(tool(7, "-n", "docker.io/library/p:1", "name", manifest)[1], "incomplete-image")
    said, error = tool(7, "-n", "docker.io/library/p:1", "pull", folder, manifest)
    same(error, "")
    same([line.split()[1:] for line in said[:-1]], [["send@0", "done"]] * 3)
    same(tool(7, "known", manifest, "")[0], [IMAGE.id])
    has(tool(7, "known", manifest, "", uid=65534)[1], "")  # nobody may not even connect, or is refused
    same(tool(7, "known", manifest, "", uid=65534)[0], [])
    sound(e)
    clean(e)


@case("pull: cut off, restarted engine, resumed; wrong bytes are dropped")
def _(e):
    tool = Tool(e)
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    digest, size = layer_of(layout, manifest, 1)
    diff_id = mk.sha(IMAGE.layers[1])
    path = os.path.join(folder, digest[7:])
    said, error = tool(0, "-c", 1_500_000, "layer", path, digest, size, diff_id)
    same(said[0].split()[1:], ["send@0"])
    has(error, "3 short ")
    same(len(partials(e)), 1)
    e.restart()
    tool = Tool(e)
    said, error = tool(0, "-c", 1_000_000, "layer", path, digest, size, diff_id)
    same(said[0].split()[1:], ["send@1500000"])
    has(error, " short ")
    said, error = tool(7, "-c", 100_000, "layer", path, digest, size, diff_id)  # not another user's
    same(said[0].split()[1:], ["send@0"])
    said, error = tool(0, "layer", path, digest, size, diff_id)
    same((said[0].split()[1:], error), (["send@2500000", "done"], ""))
    same(len(partials(e)), 1)
    # a file that a crash has left with wrong bytes: found out, dropped, then from nothing
    tool(0, "-c", 1_500_000, "-r", "layer", path, digest, size, diff_id)
    with open(os.path.join(e.root, "state", "store", "partial", next(p for p in partials(e))), "r+b") as f:
        f.seek(70_000)
        f.write(b"wrong")
    said, error = tool(7, "layer", path, digest, size, diff_id)
    lacks(said[0], "done")
    same(error != "", True)
    said, error = tool(7, "layer", path, digest, size, diff_id)
    same((said[0].split()[1:], error), (["send@0", "done"], ""))
    clean(e)
    sound(e)


@case("pull: the store died between the name of a finished download and its row: no byte of it is asked for again")
def _(e):
    tool, data = Tool(e), os.urandom(200_000)
    path, digest = mk.write(os.path.join(blobs(e), "more"), data), mk.sha(data)
    has(tool(0, "-c", 100_000, "layer", path, digest, len(data), "")[1], " short ")
    e.stop()
    store = os.path.join(e.root, "state", "store")
    part, = (os.path.join(store, "partial", name) for name in partials(e))
    folder = os.path.join(store, "blobs", "sha256", digest[7:9])
    with open(part, "r+b") as f:
        f.write(data)
    os.makedirs(folder, 0o700, exist_ok=True)
    os.chown(folder, os.stat(part).st_uid, os.stat(part).st_gid)
    os.chmod(part, 0o444)
    os.rename(part, os.path.join(folder, digest[7:]))
    e.start()
    same(Tool(e)(0, "layer", path, digest, len(data), "")[0][0].split()[1:], [f"send@{len(data)}", "done"])
    same(partials(e), [])
    sound(e)
    clean(e)


@case("pull: too many bytes, too few, another digest, sha512, no tar, a bomb of a length that is not true")
def _(e):
    tool = Tool(e)
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    digest, size = layer_of(layout, manifest, 2)
    path, diff_id = os.path.join(folder, digest[7:]), mk.sha(IMAGE.layers[2])
    has(tool(0, "layer", path, digest, size - 1, diff_id)[1], " size-mismatch ")
    has(tool(0, "layer", path, digest, size + 1, diff_id)[1], " short ")
    has(tool(0, "layer", path, "sha256:" + "0" * 64, size, diff_id)[1], " digest-mismatch ")
    has(tool(0, "layer", path, digest, size, "sha256:" + "0" * 64)[1], " digest-mismatch ")
    has(tool(0, "layer", path, "sha512:" + "0" * 128, size, diff_id)[1], " digest-algorithm ")
    has(tool(0, "layer", path, "sha256:", size, diff_id)[1], " invalid-digest ")
    junk = mk.write(os.path.join(folder, "junk"), os.urandom(5000))
    has(tool(0, "layer", junk, mk.sha(open(junk, "rb").read()), 5000, diff_id)[1], "3 ")
    # no layer: only kept
    data = open(junk, "rb").read()
    has(tool(0, "layer", junk, mk.sha(b"x"), 5000, "")[1], " digest-mismatch ")
    has(tool(0, "layer", junk, mk.sha(data), 4999, "")[1], " size-mismatch ")
    has(tool(0, "layer", junk, mk.sha(data), 5001, "")[1], " short ")
    same(tool(0, "layer", junk, mk.sha(data), 5000, "")[0][0].split()[1:], ["send@0", "done"])
    same(partials(e), [])
    clean(e)
    sound(e)


@case("pull: two at once share one download; a killed one leaves what came")
def _(e):
    tool = Tool(e)
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    digest, size = layer_of(layout, manifest, 1)
    path, diff_id = os.path.join(folder, digest[7:]), mk.sha(IMAGE.layers[1])
    first = tool.popen(0, "-w", 700, "layer", path, digest, size, diff_id)
    time.sleep(0.3)
    said, error = tool(0, "layer", path, digest, size, diff_id)
    # the hold of the first ends with it: what it brought may be gone, then it is sent once more
    has(said[0], "waiting")
    same((said[0].split()[-1] in ("have", "done"), error), (True, ""))
    has(first.communicate(timeout=30)[0], "done")
    clean(e)
    slow = tool.popen(0, "-c", 2_000_000, "-w", 100, "layer", path, digest, size, diff_id)
    slow.communicate(timeout=30)
    stuck = tool.popen(0, "-w", 20000, "layer", path, digest, size, diff_id)
    time.sleep(0.4)
    stuck.kill()
    stuck.communicate()
    said, error = tool(0, "layer", path, digest, size, diff_id)
    same(error, "")
    has(said[0], "send@2000000 done")
    clean(e)
    sound(e)


@case("the engine stops while a worker reads: the store hears of its end and goes by itself")
def _(e):
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    digest, size = layer_of(layout, manifest, 1)
    stuck = Tool(e).popen(0, "-c", 1_000_000, "-w", 20000, "layer", os.path.join(folder, digest[7:]), digest, size,
                          mk.sha(IMAGE.layers[1]))
    until("its first bytes are here", lambda: partials(e))
    same(e.stop(), 0)
    stuck.kill()
    stuck.communicate()
    said = e.log_text()
    e.start()
    lacks(said, "room-kill")


@case("documents: what they call themselves, schema 1, both at once, wrong digest of a hold's image")
def _(e):
    tool = Tool(e)
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    path = os.path.join(folder, manifest[7:])
    same(tool(0, "document", path, "", "manifest")[0], [f"{manifest} {mk.MANIFEST}"])
    has(tool(0, "document", path, mk.INDEX, "manifest")[1], "invalid-manifest")
    has(tool(0, "document", path, "", "config")[1], "3 ")
    odd = os.path.join(folder, "odd")
    mk.write(odd, b'{"schemaVersion": 1, "name": "a/b", "tag": "1", "fsLayers": [], "history": []}')
    has(tool(0, "document", odd, "", "manifest")[1], " schema1 ")
    mk.write(odd, b'{"schemaVersion": 2, "layers": [], "config": {}, "manifests": []}')
    has(tool(0, "document", odd, "", "manifest")[1], "more than one of manifest")
    mk.write(odd, b"{" * 100_000)
    has(tool(0, "document", odd, "", "manifest")[1], "nested deeper")
    sound(e)


@case("documents: what is longer than a message comes in parts; over the limit it is refused")
def _(e):
    tool = Tool(e)
    for n in (700, 1500):
        long = mk.busybox({"Cmd": ["sh"], "Labels": {f"label{i}": "x" * 1000 for i in range(n)}})
        layout, manifest = layout_of(long)
        said, error = tool(0, "-n", f"docker.io/library/long:{n}", "pull", blobs(e, layout), manifest)
        same((said[-1:], error), ([long.id + " new"], ""))
        same(len(out(e, "images", "-q", "--filter", f"label=label{n - 1}").split()), 1)
    over = mk.busybox({"Cmd": ["sh"], "Labels": {f"label{i}": "x" * 1000 for i in range(4500)}})
    layout, manifest = layout_of(over)
    has(tool(0, "pull", blobs(e, layout), manifest)[1], "limits.document")
    clean(e)


@case("pull by an index; names move; the index is known again for its platform only")
def _(e):
    tool = Tool(e)
    layout, manifest = layout_of(IMAGE)
    entry = {"mediaType": mk.MANIFEST, "digest": manifest, "size": len(layout.files["blobs/sha256/" + manifest[7:]]),
             "platform": {"os": "linux", "architecture": "amd64"}}
    index = layout.blob(json.dumps({"schemaVersion": 2, "mediaType": mk.INDEX, "manifests": [entry]}).encode())["digest"]
    folder = blobs(e, layout)
    names = ["-n", "docker.io/library/p:1", "-n", f"docker.io/library/p@{index}"]
    said, error = tool(0, *names, "-i", index, "pull", folder, manifest)
    same((said[-1], error), (IMAGE.id + " new", ""))
    same(tool(0, "known", index, "linux/amd64")[0], [IMAGE.id])
    same(tool(0, "known", index, "linux/arm64")[0], ["unknown"])
    same(tool(0, *names, "name", manifest)[0], [IMAGE.id])
    has(out(e, "images", "--digests"), index)
    other = mk.busybox({"Cmd": ["true"]}, [[("o", b"o", 0o644)]])
    layout2, manifest2 = layout_of(other)
    blobs(e, layout2)
    said, error = tool(0, "-n", "docker.io/library/p:1", "pull", folder, manifest2)
    same((said[-2:], error), ([other.id + " new", "replaced " + IMAGE.id], ""))
    has(tool(0, "-i", index, "-n", "docker.io/library/p:3", "pull", folder, manifest2)[1], "does not name manifest")
    clean(e)
    sound(e)


@case("an artifact is stored and listed, and does not run")
def _(e):
    tool = Tool(e)
    layout = mk.Layout()
    layout.manifest(IMAGE)
    document = {"schemaVersion": 2, "mediaType": mk.MANIFEST, "artifactType": "application/vnd.test.notes",
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", **layout.blob(b"{}")},
                "layers": [{"mediaType": "text/plain", **layout.blob(b"a note\n")}]}
    manifest = layout.blob(json.dumps(document).encode())["digest"]
    folder = blobs(e, layout)
    said, error = tool(0, "-n", "docker.io/library/notes:1", "pull", folder, manifest)
    same((said[-1], error), (manifest + " new", ""))
    has(out(e, "images", "--no-trunc"), manifest)
    fails(e, "run", "--rm", "notes:1", "true", code=125, error="application/vnd.test.notes")
    fails(e, "save", "-o", os.path.join(e.folder, "x.tar"), "notes:1", error="artifact")
    sound(e)
    clean(e)
    sound(e)


def sent(e, tool, owner, name, *words):
    """What a push of the name would send: (lines, {digest: bytes})."""
    folder = os.path.join(e.folder, "sent")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    os.chown(folder, tool.uid, tool.gid)
    said, error = tool(owner, *words, "push", name, folder)
    same(error, "")
    got = {"sha256:" + f: open(os.path.join(folder, f), "rb").read() for f in os.listdir(folder)}
    for digest, data in got.items():
        same(mk.sha(data), digest)
    return said, got


def unpacked(data):
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-qdc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def manifest_of(said, got):
    digest = next(line.split()[1] for line in said if line.startswith("manifest"))
    return digest, json.loads(got[digest])


@case("push: what was pulled goes out as it came, with the repositories that have it")
def _(e):
    tool = Tool(e)
    for codec in ("gzip", "zstd", "plain"):
        layout, manifest = layout_of(IMAGE, codec=codec)
        folder = blobs(e, layout)
        same(tool(0, "-n", "docker.io/library/p:1", "-s", "docker.io/library/p", "pull", folder, manifest)[1], "")
        said, got = sent(e, tool, 0, "p:1", "-s", "docker.io/other/p")
        same([line for line in said if line.startswith("compressed")], [])
        same(manifest_of(said, got)[0], manifest)
        same(sorted(got), sorted("sha256:" + name.rsplit("/")[-1] for name in layout.files if name.startswith("blobs/")))
        same([line for line in said if line.startswith("source")], [f"source {i} docker.io/library/p" for i in range(3)])
        same([line for line in sent(e, tool, 0, "p:1", "-s", "quay.io/other/p")[0] if line.startswith("source")], [])
        out(e, "rmi", "p:1")
    clean(e)
    sound(e)


@case("push: bare layers are compressed once, always to the same bytes; other codecs on request")
def _(e):
    tool = Tool(e)
    out(e, "load", input=mk.docker_archive([(IMAGE, ["l:1"])]), text=False)
    said, got = sent(e, tool, 0, "l:1")
    same(len([line for line in said if line.startswith("compressed")]), 3)
    digest, manifest = manifest_of(said, got)
    same(manifest["config"]["digest"], IMAGE.id)
    same({d["mediaType"] for d in manifest["layers"]}, {mk.LAYER + "+gzip"})
    for layer, d in zip(IMAGE.layers, manifest["layers"]):
        same(mk.sha(unpacked(got[d["digest"]])), mk.sha(layer))
        same(d["size"], len(got[d["digest"]]))
    again, got2 = sent(e, tool, 0, "l:1")
    same(([line for line in again if line.startswith("compressed")], got2.keys()), ([], got.keys()))
    z, gotz = sent(e, tool, 0, "l:1", "-z", "zstd", "-f")
    same(len([line for line in z if line.startswith("compressed")]), 3)
    mz = manifest_of(z, gotz)[1]
    same({d["mediaType"] for d in mz["layers"]}, {mk.LAYER + "+zstd"})
    for layer, d in zip(IMAGE.layers, mz["layers"]):
        same(mk.sha(unpacked(gotz[d["digest"]])), mk.sha(layer))
    for level in (1, 9):
        for codec in ("gzip", "zstd"):
            said, got3 = sent(e, tool, 0, "l:1", "-z", codec, "-l", level, "-f")
            for layer, d in zip(IMAGE.layers, manifest_of(said, got3)[1]["layers"]):
                same(mk.sha(unpacked(got3[d["digest"]])), mk.sha(layer))
    # a new store makes the same bytes
    clean(e)
    out(e, "load", input=mk.docker_archive([(IMAGE, ["l:1"])]), text=False)
    same(manifest_of(*sent(e, tool, 0, "l:1"))[0], digest)
    has(tool(0, "-z", "lzma", "push", "l:1", e.folder)[1], "not known")
    has(tool(0, "push", "nobody:1", e.folder)[1], "no-such-image")
    has(tool(7, "push", "l:1", e.folder)[1], "no-such-image")
    sound(e)
    clean(e)


@case("push: an index goes out when all of it is here, else the image alone; a platform of it")
def _(e):
    tool = Tool(e)
    arm = mk.Image([mk.tar_of([("arm", b"arm", 0o644)])], architecture="arm64")
    layout = mk.Layout()
    entries = []
    for image, arch in ((IMAGE, "amd64"), (arm, "arm64")):
        entries.append({**layout.manifest(image), "platform": {"os": "linux", "architecture": arch}})
    index = layout.blob(json.dumps({"schemaVersion": 2, "mediaType": mk.INDEX, "manifests": entries}).encode())["digest"]
    folder = blobs(e, layout)
    amd64, arm64 = entries[0]["digest"], entries[1]["digest"]
    same(tool(0, "-n", "docker.io/library/p:1", "-i", index, "pull", folder, amd64)[1], "")
    said, got = sent(e, tool, 0, "p:1")
    same(said[-1], f"manifest {amd64}")
    same(tool(0, "-i", index, "pull", folder, arm64)[1], "")
    said, got = sent(e, tool, 0, "p:1")
    same(said[-3:], [f"manifest {amd64}", f"manifest {arm64}", f"index {index}"])
    same(sorted(got), sorted("sha256:" + name.rsplit("/")[-1] for name in layout.files if name.startswith("blobs/")))
    same(sent(e, tool, 0, "p:1", "-p", "linux/arm64")[0][-1], f"manifest {arm64}")
    has(tool(0, "-p", "linux/s390x", "push", "p:1", e.folder)[1], "no-such-platform")
    clean(e)
    sound(e)


@case("push: an artifact goes out as it came")
def _(e):
    tool = Tool(e)
    layout = mk.Layout()
    document = {"schemaVersion": 2, "mediaType": mk.MANIFEST, "artifactType": "application/vnd.test.notes",
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", **layout.blob(b"{}")},
                "layers": [{"mediaType": "text/plain", **layout.blob(b"a note\n")}]}
    manifest = layout.blob(json.dumps(document).encode())["digest"]
    same(tool(0, "-n", "docker.io/library/notes:1", "pull", blobs(e, layout), manifest)[1], "")
    said, got = sent(e, tool, 0, "notes:1")
    same(manifest_of(said, got)[0], manifest)
    same(len(got), 3)
    clean(e)


@case("keep = source: what a registry can give again is not kept; a push makes it anew; the highest level of zstd fits")
def _(e):
    noise = mk.Image([mk.tar_of([("noise", os.urandom(9_000_000) + b"text " * 3_000_000, 0o644)])])
    with Engine(config='[store]\nkeep = "source"\n') as other:
        other.folder = e.folder
        tool = Tool(other)
        layout, manifest = layout_of(noise)
        folder = blobs(other, layout)
        source = ["-s", "docker.io/library/p"]
        same(tool(0, "-n", "docker.io/library/p:1", *source, "pull", folder, manifest)[1], "")
        digest, _ = layer_of(layout, manifest, 0)
        kept = os.path.join(other.root, "state", "store", "blobs", "sha256", digest[7:9], digest[7:])
        same((os.path.exists(kept), partials(other)), (False, []))
        said, error = tool(0, "-n", "docker.io/library/p:1", *source, "pull", folder, manifest)
        same((said[0].split()[1:], error), (["have"], ""))
        said, got = sent(other, tool, 0, "p:1")
        again, made = manifest_of(said, got)
        same(again != manifest, True)
        same(mk.sha(unpacked(got[made["layers"][0]["digest"]])), mk.sha(noise.layers[0]))
        said, got = sent(other, tool, 0, "p:1", "-z", "zstd", "-l", 19, "-f")
        same(mk.sha(unpacked(got[manifest_of(said, got)[1]["layers"][0]["digest"]])), mk.sha(noise.layers[0]))
        # without a source it is all there is
        out(other, "rmi", "p:1")
        same(tool(0, "-n", "docker.io/library/p:1", "pull", folder, manifest)[1], "")
        same(os.path.exists(kept), True)
        sound(other)


@case("killed in the middle, again and again: the store is sound and goes on")
def _(e):
    layout, manifest = layout_of(IMAGE)
    folder = blobs(e, layout)
    for wait in (0.02, 0.05, 0.08, 0.12):
        tool = Tool(e)
        p = tool.popen(0, "-n", "docker.io/library/p:1", "pull", folder, manifest)
        time.sleep(wait)
        e.kill()
        p.communicate(timeout=90)
        e.start()
        sound(e)
    tool = Tool(e)
    same(tool(0, "-n", "docker.io/library/p:1", "pull", folder, manifest)[1], "")
    same(out(e, "run", "--rm", "p:1", "cat", "/small"), "s")
    clean(e)


if __name__ == "__main__":
    run()
