"""Images go from here to skopeo, umoci, docker and podman and come from them, with the same IDs and digests.

Real programs, nothing downloaded.  What is not installed, or does not start here, is skipped.
"""
import io, json, os, shutil, subprocess, sys, tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, inspect, out, run, same  # noqa: E402
from dockerd import Dockerd  # noqa: E402

ONE = mk.busybox({"Env": ["PATH=/bin", "Q=a b"], "Cmd": ["sh", "-c", "cat /data/one"], "Labels": {"l": "1"}, "WorkingDir": "/data"},
                 [[("data", None, 0o755), ("data/one", b"one\n", 0o644), ("data/gone", b"x", 0o644)], [("data/.wh.gone", b"", 0o644)]])
TWO = mk.Image([mk.busybox_layer(), mk.tar_of([("two", b"2", 0o600)])], {"Cmd": ["/bin/true"], "Entrypoint": ["/bin/sh"]}, created="2024-05-05T05:05:05.123456789Z")
NAMES = {"peer/one:1": ONE, "peer/two:latest": TWO}
digests = {}


def sh(*words, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == 0, f"$ {' '.join(map(str, words))}\n  exit {done.returncode}: {done.stderr[-800:]}"
    return done.stdout


def need(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


def file(e, name):
    return os.path.join(e.folder, name)


def ids(e):
    rows = out(e, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
    return dict(row.split() for row in rows)


def empty(e):
    found = out(e, "images", "-aq").split()
    if found:
        out(e, "rmi", "-f", *dict.fromkeys(found))


def loaded(e, path, want):
    """The archive, loaded into an empty store, has these names and IDs."""
    empty(e)
    out(e, "load", "-q", "-i", path)
    same(ids(e), want)
    same(out(e, "run", "--rm", "--network", "none", next(n for n in want if want[n] == ONE.id)) if ONE.id in want.values() else "one\n", "one\n")


def setup(e):
    layout = mk.Layout()
    for name, image in NAMES.items():
        digests[name] = layout.add(image, name)
    mk.write(file(e, "given.tar"), layout.tar())
    out(e, "load", "-q", "-i", file(e, "given.tar"))
    same(ids(e), {n: i.id for n, i in NAMES.items()})
    out(e, "save", "-o", file(e, "ours.tar"), *NAMES)
    for name in NAMES:
        out(e, "save", "-o", file(e, name.split("/")[1].split(":")[0] + ".tar"), name)
    out(e, "run", "--name", "change", "peer/one:1", "sh", "-c", "echo new > /data/new; rm /data/one; mkdir /d; chmod 700 /d")
    out(e, "commit", "-m", "by us", "change", "peer/made:1")
    digests["made"] = inspect(e, "peer/made:1")["Id"]
    out(e, "save", "-o", file(e, "made.tar"), "peer/made:1")
    out(e, "rm", "change")


def config_digest(folder):
    """Of a `dir:` copy."""
    with open(os.path.join(folder, "manifest.json")) as f:
        return json.load(f)["config"]["digest"]


# ---- skopeo, umoci ----

@case("skopeo reads what we save, as docker archive and as OCI archive")
def _(e):
    need("skopeo")
    for tar, name, want in (("one.tar", "peer/one:1", ONE.id), ("two.tar", "peer/two:latest", TWO.id), ("ours.tar", "peer/two:latest", TWO.id),
                            ("made.tar", "peer/made:1", digests["made"])):
        to = file(e, "dir")
        shutil.rmtree(to, ignore_errors=True)
        sh("skopeo", "copy", "-q", f"docker-archive:{file(e, tar)}:{name}", f"dir:{to}")
        same((tar, config_digest(to)), (tar, want))
    for tar, name in (("one.tar", "peer/one:1"), ("two.tar", "peer/two:latest")):
        to = file(e, "dir")
        shutil.rmtree(to, ignore_errors=True)
        sh("skopeo", "copy", "-q", "--preserve-digests", f"oci-archive:{file(e, tar)}", f"dir:{to}")
        same(json.loads(sh("skopeo", "inspect", f"oci-archive:{file(e, tar)}"))["Digest"], digests[name])
        same(config_digest(to), NAMES[name].id)


@case("what skopeo writes is read: docker archive, OCI archive, OCI folder; IDs and digests are kept")
def _(e):
    need("skopeo")
    given = file(e, "one.tar")
    theirs = file(e, "skopeo.tar")
    sh("skopeo", "copy", "-q", f"oci-archive:{given}", f"docker-archive:{theirs}:peer/one:1")
    loaded(e, theirs, {"peer/one:1": ONE.id})
    os.unlink(theirs)
    sh("skopeo", "copy", "-q", f"oci-archive:{given}", f"oci-archive:{theirs}:peer/one:1")
    loaded(e, theirs, {"peer/one:1": ONE.id})
    same(out(e, "images", "--format", "{{.Digest}}"), digests["peer/one:1"] + "\n")
    sh("skopeo", "copy", "-q", f"oci-archive:{given}", f"oci:{file(e, 'ocidir')}:one")
    loaded(e, file(e, "ocidir"), {"one:latest": ONE.id})
    os.unlink(theirs)


@case("umoci unpacks what we save; what it makes is read")
def _(e):
    need("umoci"), need("skopeo")
    layout = file(e, "umoci")
    with tarfile.open(file(e, "made.tar")) as tar:
        tar.extractall(layout)
    tags = sh("umoci", "ls", "--layout", layout).split()
    assert tags, "umoci sees no tag"
    sh("umoci", "unpack", "--image", f"{layout}:{tags[0]}", file(e, "bundle"))
    shutil.rmtree(file(e, "bundle"))
    # A copy without docker's own annotation: umoci would hand that name on to its own image.
    shutil.rmtree(layout)
    sh("skopeo", "copy", "-q", f"oci-archive:{file(e, 'made.tar')}", f"oci:{layout}:mine")
    sh("umoci", "unpack", "--image", f"{layout}:mine", file(e, "bundle"))
    root = os.path.join(file(e, "bundle"), "rootfs")
    same((open(f"{root}/data/new").read(), os.path.exists(f"{root}/data/one"), os.stat(f"{root}/d").st_mode & 0o777), ("new\n", False, 0o700))
    mk.write(f"{root}/data/umoci", b"u\n")
    os.unlink(f"{root}/data/new")
    sh("umoci", "repack", "--image", f"{layout}:next", file(e, "bundle"))
    sh("umoci", "config", "--image", f"{layout}:next", "--config.cmd", "cat", "--config.cmd", "/data/umoci")
    empty(e)
    same(sorted(out(e, "load", "-q", "-i", layout).splitlines()), ["Loaded image: mine:latest", "Loaded image: next:latest"])
    same(out(e, "run", "--rm", "next"), "u\n")
    assert "No such file" in e.cli("run", "--rm", "next", "cat", "/data/new", check=False).stderr


# ---- docker ----

def ids_in(docker):
    rows = docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
    return dict(row.split() for row in rows)


@case("docker loads what we save, and its saves and exports are read")
def _(e):
    with Dockerd(e.folder) as docker:
        docker("load", "-i", file(e, "ours.tar"))
        docker("load", "-i", file(e, "made.tar"))
        want = {"peer/one:1": ONE.id, "peer/two:latest": TWO.id, "peer/made:1": digests["made"]}
        same(ids_in(docker), want)
        same(json.loads(docker("inspect", "peer/made:1"))[0]["RootFS"]["Layers"][:-1], [mk.sha(layer) for layer in ONE.layers])
        docker("tag", "peer/one:1", "other/name:x")
        docker("save", "-o", file(e, "docker.tar"), *want, "other/name:x")
        loaded(e, file(e, "docker.tar"), {**want, "other/name:x": ONE.id})
        docker("save", "-o", file(e, "docker.tar"), TWO.id)
        loaded(e, file(e, "docker.tar"), {"<none>:<none>": TWO.id})
        cid = docker("create", "--network", "none", "peer/one:1").strip()
        mk.write(file(e, "put"), b"put\n")
        docker("cp", file(e, "put"), f"{cid}:/data/put")
        made = docker("commit", cid, "theirs:1").strip()
        docker("save", "-o", file(e, "docker.tar"), "theirs:1")
        empty(e)
        out(e, "load", "-q", "-i", file(e, "docker.tar"))
        same(ids(e), {"theirs:1": made})
        same(out(e, "run", "--rm", "theirs:1", "cat", "/data/put"), "put\n")
        docker("export", "-o", file(e, "flat.tar"), cid)
        out(e, "import", file(e, "flat.tar"), "flat:1")
        same(out(e, "run", "--rm", "flat:1", "/bin/cat", "/data/put", "/data/one"), "put\none\n")
        out(e, "create", "--name", "back", "theirs:1")
        out(e, "export", "-o", file(e, "back.tar"), "back")
        docker("import", file(e, "back.tar"), "back:1")
        out(e, "rm", "back")


# ---- podman ----

def config_of(archive):
    """The ID that an archive tells itself: podman writes the config anew when it changes the form."""
    with tarfile.open(archive) as tar:
        def document(name):
            return json.load(tar.extractfile(name))
        if "index.json" not in tar.getnames():
            return "sha256:" + document("manifest.json")[0]["Config"].removesuffix(".json")
        manifest = document("index.json")["manifests"][0]["digest"]
        return document("blobs/sha256/" + manifest[7:])["config"]["digest"]


class Podman:
    def __init__(self, folder):
        need("podman")
        self.top = os.path.join(folder, "podman")
        os.makedirs(self.top)
        try:
            self("info")
        except AssertionError as why:
            raise Skip(f"podman does not work here: {str(why)[-200:]}") from why

    def __call__(self, *words):
        return sh("podman", "--root", f"{self.top}/root", "--runroot", f"{self.top}/run", "--runtime", "runc", "--cgroup-manager", "cgroupfs",
                  "--storage-driver", "overlay", *words)

    def ids(self):
        found = {}
        for image in json.loads(self("images", "--format", "json")):
            for name in image.get("Names") or []:
                found[name.removeprefix("localhost/").removeprefix("docker.io/").removeprefix("library/")] = "sha256:" + image["Id"]
        return found

    def close(self):
        with open("/proc/self/mountinfo") as f:
            points = [line.split()[4] for line in f if self.top in line.split()[4]]
        for point in sorted(points, reverse=True):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)


@case("podman loads what we save, and its saves are read in each form")
def _(e):
    podman = Podman(e.folder)
    try:
        podman("load", "-q", "-i", file(e, "ours.tar"))
        podman("load", "-q", "-i", file(e, "made.tar"))
        want = {"peer/one:1": ONE.id, "peer/two:latest": TWO.id, "peer/made:1": digests["made"]}
        same(podman.ids(), want)
        for form in ("docker-archive", "oci-archive"):
            path = file(e, f"podman-{form}.tar")
            podman("save", "-q", "--format", form, "-o", path, "peer/one:1")
            empty(e)
            out(e, "load", "-q", "-i", path)
            same((form, list(ids(e).values())), (form, [config_of(path)]))
            same(out(e, "run", "--rm", next(iter(ids(e)))), "one\n")
        podman("save", "-q", "-m", "-o", file(e, "podman-many.tar"), *want)
        empty(e)
        out(e, "load", "-q", "-i", file(e, "podman-many.tar"))
        same(sorted(ids(e).values()), sorted(want.values()))
    finally:
        podman.close()


if __name__ == "__main__":
    run(setup)
