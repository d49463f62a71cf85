"""Images from outside in, looked at, named, taken apart and out again; no container but for rmi's rules."""
import gzip, hashlib, http.server, io, json, os, re, shutil, subprocess, sys, tarfile, threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, Terminal, case, ends, fails, has, inspect, lacks, out, run, same  # noqa: E402
from fakedocker import docker_images, on_terminal  # noqa: E402

FILES = [("data", None, 0o755), ("data/one", b"1\n", 0o644), ("data/two", b"22\n", 0o600)]
A = mk.busybox({"Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Labels": {"role": "web", "empty": ""}, "WorkingDir": "/data",
                "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "User": "www", "Entrypoint": []},
               [FILES], created="2024-01-02T03:04:05Z", author="Ann <a@example.org>")
B = mk.busybox({"Cmd": ["true"], "Labels": {"role": "db"}}, [FILES, [("data/.wh.one", b"", 0o644), ("data/new", b"n", 0o644)]],
               created="2024-03-01T00:00:00.5Z")
C = mk.Image([mk.tar_of([("only", b"c", 0o644)])], created="2023-01-01T00:00:00Z", comment="a small one")


def names(e, *words):
    return out(e, "images", "--format", "{{.Repository}}:{{.Tag}}", *words).split()


def state(e):
    """All that a refused command must not change."""
    return out(e, "images", "-a", "--no-trunc", "--digests", "--format", "{{.ID}} {{.Repository}} {{.Tag}} {{.Digest}}")


def drop_all(e):
    containers = out(e, "ps", "-aq").split()
    if containers:
        out(e, "rm", "-f", *containers)
    ids = out(e, "images", "-aq").split()
    if ids:
        e.cli("rmi", "-f", *dict.fromkeys(ids), check=False)
    same(out(e, "images", "-aq"), "")


def load(e, data, *words):
    return out(e, "load", "-q", *words, input=data, text=False).decode()


def file(e, name):
    return os.path.join(e.folder, name)


# ---- load ----

@case("load: 4,000 images in one archive; all are listed, in parts or at once")
def _(e):
    many = [(mk.Image(C.layers, {"Labels": {"n": str(i)}}), [f"many/i{i}:1"]) for i in range(4000)]
    said = load(e, mk.docker_archive(many))
    same(sorted(said.splitlines()), sorted(f"Loaded image: many/i{i}:1" for i in range(4000)))
    same(sorted(names(e)), sorted(f"many/i{i}:1" for i in range(4000)))
    same(len(out(e, "images", "-q", "--filter", "label=n=77").split()), 1)
    out(e, "image", "prune", "-af")
    same(names(e), [])


def tree_of(layout, image, names, used=()):
    """An image as docker's API tells it; image: one, or several of an index."""
    parts, several = [], isinstance(image, list)
    for im in image if several else [image]:
        desc, config = layout.manifest(im), json.loads(im.config)
        document = json.loads(layout.files["blobs/sha256/" + desc["digest"][7:]])
        content = desc["size"] + document["config"]["size"] + sum(layer["size"] for layer in document["layers"])
        size = sum(member.size for layer in im.layers for member in tarfile.open(fileobj=io.BytesIO(layer)).getmembers())
        parts.append({"ID": desc["digest"], "Descriptor": desc, "Available": True, "Kind": "image", "Size": {"Content": content, "Total": size},
                      "ImageData": {"Platform": {k: config[k] for k in ("os", "architecture", "variant") if k in config},
                                    "Containers": ["c"] if im in used else [], "Size": {"Unpacked": size}}})
    parts.sort(key=lambda part: list(part["ImageData"]["Platform"].values()))
    return {"RepoTags": sorted(names), "Size": sum(part["Size"]["Total"] for part in parts), "Manifests": parts, "Containers": 0}


@case("images --tree: as the docker command prints the same images, in a pipe and on terminals of several widths")
def _(e):
    if not shutil.which("docker"):
        raise Skip("docker is not installed")
    layout = mk.Layout()
    arm = mk.Image([mk.tar_of([("arm", b"a" * 70000, 0o644)])], created="2024-05-01T00:00:00Z", architecture="arm64", variant="v8")
    own = mk.Image([mk.tar_of([("own", os.urandom(60000), 0o644)])], created="2024-05-02T00:00:00Z")
    lone = mk.Image([mk.tar_of([("lone", os.urandom(1500000), 0o644)])], created="2022-01-01T00:00:00Z", architecture="s390x")
    layout.index([own, arm], "docker.io/multi/x:1")
    layout.add(lone, "a.rather.long.name.of.a.registry.example.org/with/a/path:and-a-tag")
    layout.add(B, "used:1")
    load(e, layout.tar())
    out(e, "tag", "used:1", "used:latest")
    other = mk.Layout()
    other.add(C)
    load(e, other.tar())
    kept = out(e, "create", "used:1", "true").strip()
    made = [tree_of(layout, [own, arm], ["multi/x:1"]), tree_of(layout, B, ["used:1", "used:latest"], [B]),
            tree_of(other, C, []), tree_of(layout, lone, ["a.rather.long.name.of.a.registry.example.org/with/a/path:and-a-tag"])]
    ids = [inspect(e, name)["Id"] for name in ("multi/x:1", "used:1", C.id, lone.id)]
    for i, image in enumerate(made):
        image.update({"Id": ids[i], "Created": 1000 - i})

    def docker(images, *words, columns=None):
        lines = docker_images(e.folder, images, "--tree", *words, columns=columns).splitlines(keepends=True)
        has(lines[0], "experimental")  # of docker's, not of ours
        text = "".join(lines[1:])
        return text if columns else re.sub(r"\x1b\[[0-9;]*m", "", text)
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    same(out(e, "images", "--tree"), docker(made))
    same(out(e, "images", "--tree", "-a"), docker(made, "-a"))
    has(out(e, "images", "--tree", "-f", "dangling=true"), "<untagged>")
    for columns in (200, 120, 80, 60, 45, 15):
        same(on_terminal([e.client(), "--host", e.host, "images", "--tree"], columns, env), docker(made, columns=columns))
    same(out(e, "images", "--tree", "used"), docker([made[1]]))
    same(out(e, "images", "--tree", "-f", "reference=multi/x"), docker([made[0]]))
    same(out(e, "images", "--tree", "nosuch"), docker([]))
    lacks(on_terminal([e.client(), "--host", e.host, "images", "--tree"], 80, {**env, "NO_COLOR": "1"}), "\x1b")
    for flag in ("-q", "--no-trunc", "--digests", "--format=json", "--sort=id"):
        done = ends(e.cli("images", "--tree", flag, check=False), 1)
        has(done.stderr, "is not yet supported with --tree", done)
    out(e, "rm", kept)
    out(e, "image", "prune", "-af")


@case("load: docker archive, OCI tar and folder; every compression; file, pipe and redirected file")
def _(e):
    layout = mk.Layout()
    digest = layout.add(A, "forms:oci")
    for kind, archive in (("docker", mk.docker_archive([(A, ["forms:docker"])])), ("oci", layout.tar())):
        for how in ("plain", "gzip", "bzip2", "xz", "zstd"):
            data = mk.compress(archive, how)
            path = mk.write(file(e, "in.tar"), data)
            said = f"Loaded image: forms:{kind}\n"
            same(load(e, data), said)
            same(out(e, "load", "-i", path), said)
            with open(path, "rb") as f:
                same(out(e, "load", stdin=f), said)
            same(inspect(e, f"forms:{kind}")["Id"], A.id)
    layout.folder(file(e, "layout"))
    same(out(e, "load", "-i", file(e, "layout")), "Loaded image: forms:oci\n")
    has(json.dumps(inspect(e, "forms:oci")["RepoDigests"]), digest)
    same(names(e), ["forms:docker", "forms:oci"])
    drop_all(e)


@case("load: several images in one archive, a shared layer, an image of two names, one of none")
def _(e):
    said = load(e, mk.docker_archive([(A, ["many/a:1", "many/a:2"]), (B, ["many/b:1"]), (C, [])]))
    same(sorted(said.splitlines()), sorted(["Loaded image: many/a:1", "Loaded image: many/a:2", "Loaded image: many/b:1",
                                            f"Loaded image ID: {C.id}"]))
    same(inspect(e, C.id)["RepoTags"], [])
    same(inspect(e, "many/b:1")["RootFS"]["Layers"], [mk.sha(layer) for layer in B.layers])
    drop_all(e)
    layout = mk.Layout()
    layout.add(A, "docker.io/many/x:1")
    layout.add(C, None, codec="zstd")
    layout.add(B, "many/y:2", codec="plain")
    same(sorted(load(e, layout.tar()).splitlines()), sorted(["Loaded image: many/x:1", "Loaded image: many/y:2", f"Loaded image ID: {C.id}"]))
    drop_all(e)


@case("sizes are those of the files, as docker counts them: images, inspect, history, df")
def _(e):
    sized = mk.Image([mk.tar_of([("a", b"x" * 1000, 0o644), ("b", b"y" * 24, 0o644), ("l", "a", 0o777), ("d", None, 0o755)]),
                      mk.tar_of([("a", b"z" * 300, 0o644), (".wh.b", b"", 0o644)])])
    load(e, mk.docker_archive([(sized, ["sizes:1"])]))
    same(out(e, "images", "--format", "{{.Size}}"), "1.32kB\n")
    same(inspect(e, "sizes:1")["Size"], 1324)
    same(out(e, "history", "--human=false", "--format", "{{.Size}}", "sizes:1"), "300\n1024\n")
    has(out(e, "system", "df"), r"^Images +1 +0 +1\.32kB +1\.32kB")
    drop_all(e)


@case("load: a name that moves leaves the old image untagged")
def _(e):
    load(e, mk.docker_archive([(A, ["moves:1"])]))
    load(e, mk.docker_archive([(C, ["moves:1"])]))
    same(inspect(e, "moves:1")["Id"], C.id)
    same(out(e, "images", "-q", "--no-trunc", "--filter", "dangling=true"), A.id + "\n")
    drop_all(e)


@case("load: nothing on a terminal; -q; the archive and -i may be missing")
def _(e):
    t = Terminal(e, "load")
    same(t.end(), 1)
    has(t.seen.decode(), r"(?i)terminal")
    fails(e, "load", "-i", file(e, "nosuch.tar"), error="nosuch.tar.*No such file")
    fails(e, "load", "-i", e.folder, error=r"(?i)layout|index\.json|oci")
    fails(e, "load", input="", error=r"(?i)empty|not a|archive")


@case("load: broken archives are refused with one line and nothing changes")
def _(e):
    load(e, mk.docker_archive([(C, ["kept:1"])]))
    before = state(e)
    whole = mk.docker_archive([(A, ["bad:1"])])
    layout = mk.Layout()
    layout.add(B, "bad:2")
    oci = layout.tar()
    layer = mk.sha(mk.compress(B.layers[1], "gzip"))[7:].encode()
    wrong = mk.Layout()
    wrong.add(A, "bad:3")
    blob = "blobs/sha256/" + mk.sha(mk.compress(A.layers[1], "gzip"))[7:]
    wrong.files[blob] = mk.compress(C.layers[0], "gzip")
    no_layer = mk.Layout()
    no_layer.add(A, "bad:4")
    del no_layer.files[blob]
    for what, data in {"cut at a third": whole[:len(whole) // 3], "cut in the manifest": whole.rstrip(b"\0")[:-60], "noise": os.urandom(100_000),
                       "cut gzip": mk.compress(whole, "gzip")[:-2000], "an empty tar": b"\0" * 10240,
                       "cut OCI": oci[:oci.index(layer) + 700], "another blob than its digest": wrong.tar(),
                       "a layer is missing": no_layer.tar(), "text": b"hello\n" * 100}.items():
        done = ends(e.cli("load", input=data, text=False, check=False), 1)
        same((what, len(done.stderr.splitlines()), done.stdout), (what, 1, b""), done)
    same(state(e), before)
    has(out(e, "system", "check"), r"(?i)no |0 |ok")
    drop_all(e)


# ---- images ----

def three(e):
    drop_all(e)
    load(e, mk.docker_archive([(A, ["web:1", "web:latest", "reg.example:5000/web:1"]), (B, ["db:2"]), (C, [])]))


@case("images: rows, columns, order, the positional is exact")
def _(e):
    three(e)
    table = out(e, "images")
    has(table, r"\AREPOSITORY +TAG +IMAGE ID +CREATED +SIZE\n")
    for row in (r"^web +1 +[0-9a-f]{12} .* ago +\d+(\.\d+)?[kM]B$", r"^reg\.example:5000/web +1 ", r"^<none> +<none> +[0-9a-f]{12} "):
        has(table, row)
    same([r.split()[0] for r in table.splitlines()[1:]][0], "db")  # the newest first
    same([r.split()[0] for r in table.splitlines()[1:]][-1], "<none>")
    for match, want in {"web": ["web:1", "web:latest"], "web:1": ["web:1"], "we": [], "db:1": [], "reg.example:5000/web": ["reg.example:5000/web:1"],
                        "nosuch": []}.items():
        same((match, sorted(names(e, match))), (match, want))
    same(set(out(e, "image", "ls", "-q").split()), {x.id[7:19] for x in (A, B, C)})
    same(out(e, "images", "-q", "--no-trunc", "db"), B.id + "\n")
    has(out(e, "images", "--digests"), r"\AREPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE\n")
    has(out(e, "images", "--no-trunc", "db"), f"^db +2 +{B.id} ")


@case("images: filters")
def _(e):
    for words, want in ((("dangling=true",), ["<none>:<none>"]), (("dangling=false", "reference=web*"), ["web:1", "web:latest"]),
                        (("label=role",), ["db:2", "reg.example:5000/web:1", "web:1", "web:latest"]), (("label=role=db",), ["db:2"]),
                        (("label=role=web", "label=empty", "reference=web:*"), ["web:1", "web:latest"]), (("label!=role",), ["<none>:<none>"]),
                        (("reference=*:2",), ["db:2"]), (("reference=reg.example:5000/*",), ["reg.example:5000/web:1"]),
                        (("reference=db", "reference=web:1"), ["db:2", "web:1"]), (("before=web:1",), ["<none>:<none>"]),
                        (("since=web:1",), ["db:2"]), (("until=2023-06-01",), ["<none>:<none>"]), (("reference=[x",), None),
                        (("colour=red",), None), (("dangling=perhaps",), None), (("before=nosuch",), None)):
        flags = [f for w in words for f in ("--filter", w)]
        if want is None:
            fails(e, "images", *flags, error=re.escape(words[0].split("=")[1]) + "|" + words[0].split("=")[0])
        else:
            same((words, sorted(names(e, *flags))), (words, want))


@case("images: formats and sorting")
def _(e):
    has(out(e, "images", "--format", "table {{.ID}}\\t{{.Repository}}"), r"\AIMAGE ID +REPOSITORY\n[0-9a-f]{12} +")
    rows = [json.loads(line) for line in out(e, "images", "--format", "json").splitlines()]
    same(len(rows), 5)
    same({"Repository", "Tag", "ID", "Size", "CreatedSince", "CreatedAt", "Digest", "Containers"} - set(rows[0]), set())
    same(out(e, "images", "--format", "{{upper .Repository}}|{{.Tag | printf \"%5s\"}}", "db"), "DB|    2\n")
    same(names(e, "--sort", "repository")[1:3], ["db:2", "reg.example:5000/web:1"])
    sizes = out(e, "images", "--sort", "size", "--format", "{{.Repository}}").split()
    assert sizes[0] == "<none>" or sizes[-1] == "<none>", sizes
    fails(e, "images", "--format", "{{.Nosuch}}", error="Nosuch")
    fails(e, "images", "--format", "{{", code=1, error=r"(?i)template")
    ends(e.cli("images", "--nosuch", check=False), 125)
    ends(e.cli("images", "a", "b", check=False), 1)


# ---- inspect, history ----

@case("inspect: the document, formats, what is missing, exit 1 and 64")
def _(e):
    i = inspect(e, "web:1")
    same({k: i[k] for k in ("Id", "Created", "Author", "Architecture", "Os")},
         {"Id": A.id, "Created": "2024-01-02T03:04:05Z", "Author": "Ann <a@example.org>", "Architecture": "amd64", "Os": "linux"})
    same(i["RootFS"], {"Type": "layers", "Layers": [mk.sha(layer) for layer in A.layers]})
    same(sorted(i["RepoTags"]), ["reg.example:5000/web:1", "web:1", "web:latest"])
    c = i["Config"]
    same([c[k] for k in ("Env", "Cmd", "Labels", "WorkingDir", "ExposedPorts", "Volumes", "User")],
         [["PATH=/bin", "A=1"], ["sh"], {"role": "web", "empty": ""}, "/data", {"80/tcp": {}}, {"/v": {}}, "www"])
    same(inspect(e, "db:2")["Config"]["Entrypoint"], None)
    same(len(json.loads(out(e, "inspect", "db:2", "web:1"))), 2)
    for form, want in {"{{.Id}}": B.id, "{{json .Config.Cmd}}": '["true"]', "{{index .Config.Labels \"role\"}}": "db",
                       "{{len .RootFS.Layers}}": "3", "{{range $i, $l := .RepoTags}}{{$i}}={{$l}}{{end}}": "0=db:2",
                       "{{if .Comment}}y{{else}}n{{end}}": "n", "{{.Size | printf \"%T\"}}": None}.items():
        got = out(e, "inspect", "-f", form, "db:2")
        if want is not None:
            same((form, got), (form, want + "\n"))
    done = ends(e.cli("inspect", "web:1", "nosuch", "nosuch2", check=False), 1)
    same(json.loads(done.stdout)[0]["Id"], A.id)
    has(done.stderr, r"(?i)no such object: nosuch\b")
    has(done.stderr, r"(?i)no such object: nosuch2\b")
    same(ends(e.cli("image", "inspect", "nosuch", check=False), 1).stdout.strip(), "[]")
    ends(e.cli("inspect", "-f", "{{", "db:2", check=False), 64)
    ends(e.cli("inspect", "-f", "{{.Nosuch.X}}", "db:2", check=False), 1)
    for name in (A.id, A.id[7:], A.id[7:19], A.id[:19], "docker.io/library/web:1", "web", "web:latest"):
        same((name, inspect(e, name)["Id"]), (name, A.id))


@case("history: rows, -q, --no-trunc, --human, --format")
def _(e):
    table = out(e, "history", "db:2")
    has(table, r"\AIMAGE +CREATED +CREATED BY +SIZE +COMMENT\n")
    same(len(table.splitlines()), 4)
    has(table, f"^{B.id[7:19]} +.* ago +step 2 +1B")
    has(table, r"^<missing> .*step 0")
    has(out(e, "history", "--no-trunc", "db:2"), f"^{B.id} ")
    same(out(e, "history", "-q", "db:2").split(), [B.id[7:19], "<missing>", "<missing>"])
    has(out(e, "history", "--human=false", "db:2"), r"\AIMAGE +CREATED AT +.*\n.*2024-03-01T00:00:00Z")
    same(out(e, "history", "--format", "{{.CreatedBy}}", "db:2").split("\n")[:2], ["step 2", "step 1"])
    fails(e, "history", "nosuch", error="(?i)no such image: nosuch")


# ---- names ----

@case("tag, untag: by name, ID and prefix; a name moves; bad names are refused")
def _(e):
    before = state(e)
    for source, target in (("web:1", "new/name:v1"), (A.id, "by-id"), (A.id[7:15], "LOCALHOST:5000/x".lower() + ":t")):
        same(out(e, "tag", source, target), "")
    same(inspect(e, "by-id:latest")["Id"], A.id)
    out(e, "tag", "db:2", "by-id")
    same(inspect(e, "by-id")["Id"], B.id)
    for target, error in (("Upper:1", "(?i)lowercase"), ("a b", "(?i)invalid reference"), ("", "(?i)invalid reference"), ("x:" + "t" * 129, "(?i)invalid"),
                          ("x@" + A.id, "(?i)digest"), ("sha256:1", "(?i)digest|sha256")):
        fails(e, "tag", "web:1", target, error=error)
    fails(e, "tag", "nosuch", "x", error="(?i)no such image: nosuch")
    same(out(e, "untag", "by-id"), "Untagged: by-id:latest\n")
    out(e, "untag", "new/name:v1", "localhost:5000/x:t")
    same(state(e), before)
    fails(e, "untag", "nosuch:1", error="(?i)no such image|not.*tag")
    same(len(names(e)), 5)


@case("image exists: 0 and 1")
def _(e):
    ends(e.cli("image", "exists", "web:1", check=False), 0)
    done = ends(e.cli("image", "exists", "nosuch", check=False), 1)
    same(done.stdout + done.stderr, "")


# ---- save ----

def members(path):
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}


@case("save: one, several, by ID; both forms in one file; two saves are equal; 0600; not on a terminal")
def _(e):
    for what, words in (("one", ["web:1"]), ("several", ["web:1", "web:latest", "db:2"]), ("by ID", [C.id])):
        a, b = file(e, "a.tar"), file(e, "b.tar")
        out(e, "save", "-o", a, *words)
        with open(b, "wb") as f:
            ends(e.cli("save", *words, stdout=f, check=False), 0)
        same((what, hashlib.sha256(open(a, "rb").read()).hexdigest()), (what, hashlib.sha256(open(b, "rb").read()).hexdigest()))
        same(os.stat(a).st_mode & 0o777, 0o600)
        inside = members(a)
        manifest, index = json.loads(inside["manifest.json"]), json.loads(inside["index.json"])
        same(json.loads(inside["oci-layout"])["imageLayoutVersion"], "1.0.0")
        for m in manifest:
            assert all(layer in inside for layer in m["Layers"]) and m["Config"] in inside, (what, m)
        for d in index["manifests"]:
            same(mk.sha(inside["blobs/sha256/" + d["digest"][7:]]), d["digest"])
        same((what, sorted(t for m in manifest for t in m["RepoTags"] or [])), (what, sorted(w for w in words if ":" in w and w != C.id)))
    t = Terminal(e, "save", "web:1")
    same(t.end(), 1)
    has(t.seen.decode(), "(?i)terminal")
    kept = open(a, "rb").read()
    fails(e, "save", "-o", a, "nosuch", error="(?i)no such image")
    same(open(a, "rb").read(), kept)
    fails(e, "save", "-o", "/nosuch/x.tar", "web:1", error="/nosuch/x.tar")
    fails(e, "save", "web:1", "nosuch", error="(?i)no such image: nosuch")


@case("save and load: IDs, digests, blobs and names are what they were")
def _(e):
    drop_all(e)
    layout = mk.Layout()
    digests = {tag: layout.add(image, tag, codec=codec) for tag, image, codec in (("rt:gzip", A, "gzip"), ("rt:zstd", B, "zstd"), ("rt:plain", C, "plain"))}
    blobs = dict(layout.files)
    load(e, layout.tar())
    out(e, "save", "-o", file(e, "rt.tar"), *digests)
    inside = members(file(e, "rt.tar"))
    for tag, digest in digests.items():
        has(json.dumps(json.loads(inside["index.json"])), digest)
    for name, data in blobs.items():
        if name.startswith("blobs/"):
            assert inside.get(name) == data, f"{name} did not go out as it came in"
    before = state(e)
    drop_all(e)
    same(len(out(e, "load", "-i", file(e, "rt.tar")).splitlines()), 3)
    same(state(e), before)
    drop_all(e)


# ---- import, diff ----

@case("load and save: an index with several platforms comes back as it was, with what is there of it")
def _(e):
    def only(arch):
        return mk.Image([mk.tar_of([("for", arch.encode(), 0o644)]), C.layers[0]], {"Cmd": ["/x"]}, architecture=arch)
    here = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    own, s390, ppc, gone = only(here), only("s390x"), only("ppc64le"), only("riscv64")
    for media in (mk.INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"):
        layout = mk.Layout()
        index = layout.index([s390, own, ppc, gone], "docker.io/multi/x:1", absent=[gone], media=media)
        same(load(e, layout.tar()), "Loaded image: multi/x:1\n")
        same(inspect(e, "multi/x:1")["Id"], own.id)
        same(out(e, "images", "-aq", "--no-trunc").split(), [own.id])
        fails(e, "inspect", s390.id)
        out(e, "tag", "multi/x:1", "multi/y:2")
        saved = out(e, "save", "multi/x:1", text=False)
        with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
            blobs = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
        entry, = json.loads(blobs["index.json"])["manifests"]
        same((entry["digest"], entry["mediaType"]), (index, media))
        same({name for name in blobs if name.startswith("blobs/")}, {name for name in layout.files if name.startswith("blobs/")
             and name[13:] not in (gone.id[7:], mk.sha(mk.compress(gone.layers[0], "gzip"))[7:])})
        same([image["Config"][13:] for image in json.loads(blobs["manifest.json"])], [own.id[7:]])
        same(out(e, "save", "multi/x:1", text=False), saved)
        both = out(e, "save", "multi/x:1", "multi/y:2", text=False)
        alone = out(e, "save", own.id[:20], text=False)
        assert index[7:].encode() not in alone, "an ID means the image alone"

        # a name that goes takes the other platforms along, once no other name has the index
        out(e, "rmi", "multi/x:1")
        same(out(e, "save", "multi/y:2", text=False).count(s390.id[7:].encode()) > 0, True)
        load(e, mk.docker_archive([(C, ["multi/y:2"])]))
        out(e, "rmi", own.id[7:19], "multi/y:2")
        same([n for _, _, files in os.walk(f"{e.root}/state/store/layers") for n in files], [])
        for archive in (saved, both):
            load(e, archive)
            same(inspect(e, "multi/x:1")["Id"], own.id)
            same(out(e, "save", "multi/x:1", text=False), saved)
            drop_all(e)
        load(e, saved, "--platform", "linux/s390x")
        same(inspect(e, "multi/x:1")["Id"], s390.id)
        assert index[7:].encode() not in out(e, "save", "multi/x:1", text=False), "the one platform that was asked for"
        ends(e.cli("system", "check", check=False), 0)
        drop_all(e)


@case("import: from file and pipe, --change, -m, no name; a bad tar, change or name adds nothing")
def _(e):
    tar = mk.tar_of([("bin", None, 0o755), ("etc", None, 0o755), ("etc/x", b"x", 0o644)])
    path = mk.write(file(e, "fs.tar"), tar)
    done = out(e, "import", "-m", "made by hand", path, "imp:1")
    has(done, r"\Asha256:[0-9a-f]{64}\n\Z")
    i = inspect(e, "imp:1")
    same((i["Id"], i["RootFS"]["Layers"], i["Comment"]), (done.strip(), [mk.sha(tar)], "made by hand"))
    changes = ['CMD ["a", "b"]', "ENTRYPOINT e f", "ENV K=v W=\"x y\"", "EXPOSE 80 81/udp", "LABEL l=1", "USER www:33", "VOLUME /a /b", "WORKDIR /w",
               "STOPSIGNAL SIGINT", "ONBUILD RUN x", "HEALTHCHECK --interval=5s CMD true"]
    done = out(e, "import", *(w for c in changes for w in ("--change", c)), "-", "imp:2", input=mk.compress(tar, "xz"), text=False)
    i = inspect(e, "imp:2")
    c = i["Config"]
    same(i["RootFS"]["Layers"], [mk.sha(tar)])
    same([c["Cmd"], c["Entrypoint"], c["Env"], sorted(c["ExposedPorts"]), c["Labels"], c["User"], sorted(c["Volumes"]), c["WorkingDir"], c["StopSignal"],
          c["OnBuild"], c["Healthcheck"]["Test"], c["Healthcheck"]["Interval"]],
         [["a", "b"], ["/bin/sh", "-c", "e f"], ["K=v", "W=x y"], ["80/tcp", "81/udp"], {"l": "1"}, "www:33", ["/a", "/b"], "/w", "SIGINT", ["RUN x"],
          ["CMD-SHELL", "true"], 5000000000])
    has(out(e, "import", path), "sha256:")
    before = state(e)
    for words, error in ((("--change", "RUN x", path), "(?i)RUN"), (("--change", "ENV", path), "(?i)ENV"), ((file(e, "nosuch"),), "nosuch"),
                         ((path, "Bad:1"), "(?i)lowercase"), ((mk.write(file(e, "junk"), os.urandom(5000)),), "."),
                         ((mk.write(file(e, "cut"), tar[:1700]),), "(?i)tar|end|short")):
        fails(e, "import", *words, error=error)
    same(state(e), before)


class Server(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        body = self.server.files.get(self.path)
        self.send_response(200 if body is not None else 404)
        cut = self.path.endswith("cut")
        if not self.path.endswith("untold"):
            self.send_header("Content-Length", str(len(body or b"") + (1000 if cut else 0)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@case("import: from an address, whole or not at all; what docker tells of it")
def _(e):
    tar = mk.tar_of([("f", b"from afar\n", 0o644)])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.files = {"/a.tar": tar, "/a.tar.gz": gzip.compress(tar), "/untold": tar, "/cut": tar, "/junk": b"junk"}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{server.server_address[1]}"
        for path in ("a.tar", "a.tar.gz", "untold"):
            has(out(e, "import", f"{at}/{path}", "far:1"), r"\Asha256:[0-9a-f]{64}\n\Z")
            same(out(e, "history", "--format", "{{.Comment}} {{.Size}}", "far:1"), f"Imported from {at}/{path} 10B\n")
        out(e, "rmi", "far:1")
        before = state(e)
        for path, error in (("nosuch", "404"), ("junk", "not a tar"), ("cut", "(?i)announced|closed|ended|end")):
            fails(e, "import", f"{at}/{path}", "far:1", error=error)
        server.shutdown()
    fails(e, "import", "http://127.0.0.1:1/x", error="(?i)refused|connect")
    same(state(e), before)
    path = file(e, "near.tar")
    mk.write(path, tar)
    for words, more in ((("import", path, "near:1"), {}), (("import", "-", "near:1"), {"input": tar, "text": False})):
        out(e, *words, **more)
        same(out(e, "history", "--format", "{{.Comment}}", "near:1"), "Imported from -\n")
    out(e, "rmi", "near:1"), out(e, "image", "prune", "-f")


@case("inspect: fields that docker's types have although a document leaves them out")
def _(e):
    load(e, mk.docker_archive([(C, ["few:1"])]))
    same(out(e, "inspect", "-f", "{{.Config.Labels}} {{.Config.ExposedPorts}} [{{.Config.StopSignal}}] [{{.Variant}}] {{.Config.Entrypoint}} {{.Config.Healthcheck}} {{json .Config.Labels}} {{len .Config.Volumes}}", "few:1"),
         "map[] map[] [] [] [] <nil> null 0\n")
    same(sorted(inspect(e, "few:1")["Config"]), ["Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User", "Volumes", "WorkingDir"])
    out(e, "create", "--name", "few", "--ulimit", "nofile=1:2", "--sysctl", "net.ipv4.ip_forward=1", "few:1", "x")
    same(out(e, "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.CapAdd}} {{.HostConfig.Binds}} {{.HostConfig.Links}} {{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}}", "few"),
         "0 0 <nil> [] [] [] private private\n")
    same(out(e, "inspect", "-f", "{{json .HostConfig.Ulimits}} {{.HostConfig.Sysctls}} {{.State.Health}} {{if .State.Health}}x{{end}}{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{.IPAddress}}{{end}}", "few"),
         '[{"Name":"nofile","Hard":2,"Soft":1}] map[net.ipv4.ip_forward:1] <nil> none\n')
    fails(e, "inspect", "-f", "{{.State.Health.Status}}", "few", error="Status|Health")
    fails(e, "inspect", "-f", "{{.HostConfig.Nope}}", "few", error="Nope")
    fails(e, "images", "--format", "{{", code=1, error="template parsing error")
    out(e, "rm", "few"), out(e, "rmi", "few:1")


@case("names in capitals are no objects; a log level that is none is refused")
def _(e):
    for name in ("LK2", "AD681B9CC45B", "a b"):
        done = ends(e.cli("inspect", name, check=False), 1)
        same((done.stdout, done.stderr), ("[]\n", f"bulkhead: No such object: {name}\n"), done)
    fails(e, "image", "inspect", "LK2", error="lowercase")
    for option in ("-l", "--log-level"):
        fails(e, option, "loud", "ps", error="logging level: loud")
        out(e, option, "debug", "ps")


@case("info, version: the fields that scripts ask docker for")
def _(e):
    fields = "ID Name ServerVersion Driver CgroupDriver CgroupVersion KernelVersion OperatingSystem OSType Architecture NCPU MemTotal DockerRootDir DefaultRuntime LoggingDriver Containers " \
             "Images ContainersRunning ContainersPaused ContainersStopped SecurityOptions Runtimes Debug HttpProxy Labels Warnings ExperimentalBuild LiveRestoreEnabled IndexServerAddress " \
             "Swarm.LocalNodeState Plugins.Network ClientInfo.Version ClientInfo.Context".split()
    got = out(e, "info", "-f", "|".join("{{.%s}}" % f for f in fields)).strip("\n").split("|")
    same(len(got), len(fields))
    by = dict(zip(fields, got))
    same((by["OSType"], by["LoggingDriver"], by["Swarm.LocalNodeState"], by["Warnings"], by["Labels"]), ("linux", "json-file", "inactive", "[]", "[]"))
    has(by["CgroupDriver"], r"\A(cgroupfs|none)\Z"), has(by["DefaultRuntime"], r"\A(crun|runc)\Z"), has(by["Runtimes"], by["DefaultRuntime"])
    for side, more in (("Client", "Context"), ("Server", "MinAPIVersion KernelVersion Experimental")):
        fields = f"Version APIVersion ApiVersion GitCommit Os Arch BuildTime Platform.Name {more}".split()
        got = out(e, "version", "-f", "|".join("{{.%s.%s}}" % (side, f) for f in fields)).strip("\n").split("|")
        same((got[1], got[4], got[7]), (got[2], "linux", "Bulkhead"))
    fails(e, "info", "-f", "{{.Nope}}", error="Nope"), fails(e, "version", "-f", "{{.Server.Nope}}", error="Nope")


@case("verbs of later versions say so and exit 125, by each of their names")
def _(e):
    for words in (("cp", "a", "b:c"), ("container", "cp", "a", "b:c"), ("stats", "--no-stream"), ("container", "stats"), ("port", "x"),
                  ("update", "x"), ("volume", "ls"), ("volume",), ("network", "create", "x"), ("events",), ("system", "events")):
        fails(e, *words, code=125, error="is not available in this version")


@case("image diff: what two images have differently")
def _(e):
    load(e, mk.docker_archive([(A, ["d:a"]), (B, ["d:b"])]))
    lines = sorted(out(e, "image", "diff", "d:a", "d:b").splitlines())
    same([line for line in lines if not line.startswith("C")], ["A /data/new", "D /data/one"])
    same(out(e, "image", "diff", "d:a", "d:a"), "")
    fails(e, "image", "diff", "d:a", "nosuch", error="(?i)no such image: nosuch")
    drop_all(e)


# ---- rmi ----

def fresh(e):
    drop_all(e)
    load(e, mk.docker_archive([(A, ["a:1"])]))


@case("rmi: a name while others remain; the last name; an ID of one name, of two; -f; what is missing")
def _(e):
    fresh(e)
    out(e, "tag", "a:1", "a:2")
    same(out(e, "rmi", "a:2"), "Untagged: a:2\n")
    out(e, "tag", "a:1", "other:1")
    before = state(e)
    fails(e, "rmi", A.id, error=r"(?i)conflict.*must be forced")
    same(state(e), before)
    out(e, "rmi", "-f", A.id[7:19])
    same(state(e), "")
    fresh(e)
    done = out(e, "rmi", A.id[7:20])
    has(done, r"\AUntagged: a:1\n")
    has(done, f"^Deleted: {A.id}$")
    same(state(e), "")
    fails(e, "rmi", "a:1", error=r"(?i)no such image: a:1")
    done = ends(e.cli("rmi", "-f", "a:1", check=False), 0)
    has(done.stderr, "(?i)no such image")
    load(e, mk.docker_archive([(A, ["a:1"]), (B, ["b:1"])]))
    done = ends(e.cli("rmi", "nosuch", "a:1", "b:1", check=False), 1)
    same(state(e), "")


@case("rmi: containers hold their image; children hold their parent; force in its limits")
def _(e):
    fresh(e)
    cid = out(e, "create", "--name", "holder", "a:1").strip()
    fails(e, "rmi", "a:1", error=r"conflict.*must force")
    fails(e, "rmi", A.id, error=r"conflict.*must be forced")
    out(e, "tag", "a:1", "a:2")
    same(out(e, "rmi", "a:2"), "Untagged: a:2\n")
    has(out(e, "rmi", "-f", "a:1"), r"^Untagged: a:1\n")
    same(state(e), "")
    same(out(e, "start", "holder"), "holder\n")  # its layers stay as long as it does
    same(inspect(e, cid)["Image"], A.id)
    out(e, "rm", "-f", "holder")
    has(out(e, "system", "check"), ".")
    fresh(e)
    cid = out(e, "create", "--name", "holder", "a:1").strip()
    out(e, "rm", "holder")
    e.cli("image", "prune", "-f")
    fresh(e)
    out(e, "run", "-d", "--name", "runner", "--network", "none", "a:1", "sleep", "60")
    fails(e, "rmi", "a:1", error=r"conflict.*(must force|cannot be forced)")
    fails(e, "rmi", "-f", A.id, error=r"(?i)conflict.*cannot be forced.*running")
    out(e, "rm", "-f", "runner")
    out(e, "create", "--name", "maker", "a:1")
    child = out(e, "commit", "maker", "child:1").strip()
    out(e, "rm", "maker")
    has(e.cli("rmi", A.id, check=False).stderr + "x", ".")
    out(e, "inspect", child)
    drop_all(e)


@case("rmi: an ID prefix that two images have is refused")
def _(e):
    drop_all(e)
    seen, pair = {}, None
    for i in range(400):
        image = mk.Image([mk.tar_of([("f", b"x", 0o644)])], created=f"2024-01-01T00:00:{i % 60:02}.{i}Z")
        if image.id[7:9] in seen:
            pair = (seen[image.id[7:9]], image)
            break
        seen[image.id[7:9]] = image
    load(e, mk.docker_archive([(pair[0], ["p:1"]), (pair[1], ["p:2"])]))
    fails(e, "rmi", pair[0].id[7:9], error="(?i)ambiguous|more than one|several")
    drop_all(e)


# ---- prune, df, check ----

@case("image prune: dangling, -a, filters, the question, what was reclaimed")
def _(e):
    three(e)
    t = Terminal(e, "image", "prune")
    t.read_until(rb"\[y/N\]")
    t.type(b"n\n")
    same(t.end(), 0)
    same(len(names(e)), 5)
    done = out(e, "image", "prune", "-f")
    has(done, f"^deleted: {C.id}$")
    has(done, r"^Total reclaimed space: \d")
    same(len(names(e)), 4)
    has(out(e, "image", "prune", "-af", "--filter", "label=role=db"), "^untagged: db:2$")
    same(len(names(e)), 3)
    out(e, "image", "prune", "-af", "--filter", "until=2020-01-01")
    same(len(names(e)), 3)
    out(e, "image", "prune", "-af")
    same(names(e), [])
    same(out(e, "image", "prune", "-f"), "Total reclaimed space: 0B\n")
    fails(e, "image", "prune", "-f", "--filter", "colour=red", error="colour")


@case("system df, prune and check")
def _(e):
    three(e)
    has(out(e, "system", "df"), r"\ATYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +3 +0 +")
    has(out(e, "system", "df", "-v"), r"(?m)SHARED SIZE +UNIQUE SIZE +CONTAINERS")
    ends(e.cli("system", "check", check=False), 0)
    ends(e.cli("system", "check", "--repair", check=False), 0)
    has(out(e, "system", "prune", "-af"), r"^Total reclaimed space: [1-9]")
    same(names(e), [])
    same([n for _, _, files in os.walk(f"{e.root}/state/store/layers") for n in files], [])


@case("system check finds a blob that was changed, and a file that nobody knows; --repair")
def _(e):
    layout = mk.Layout()
    layout.add(C, "chk:1")
    load(e, layout.tar())
    store = f"{e.root}/state/store"
    found = [os.path.join(d, n) for d, _, ns in os.walk(store) for n in ns if C.id[7:] in n]
    assert found, os.listdir(store)
    stray = os.path.join(os.path.dirname(found[0]), "0" * 64)
    mk.write(stray, b"stray")
    done = e.cli("system", "check", check=False)
    same(done.returncode, 1, done)
    has(done.stdout + done.stderr, "(?i)orphan|unknown|0{12}")
    ends(e.cli("system", "check", "--repair", check=False), 0)
    assert not os.path.exists(stray)
    ends(e.cli("system", "check", check=False), 0)
    data = bytearray(open(found[0], "rb").read())
    data[5] ^= 1
    mk.write(found[0], bytes(data))
    done = e.cli("system", "check", check=False)
    same(done.returncode, 1, done)
    has(done.stdout + done.stderr, "(?i)corrupt|digest")
    drop_all(e)


@case("unknown words help; an option that is none is 125")
def _(e):
    fails(e, "imgaes", error="images")
    ends(e.cli("images", "--bogus", check=False), 125)


if __name__ == "__main__":
    run()
