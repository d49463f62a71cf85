"""The other builders: Debian's docker with BuildKit, and buildah, each with folders of its own.

build(case, context, top) gives None, or why it failed; results(reader) reads all that was built.
"""
import json
import os
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
from cases import Skip  # noqa: E402
from dockerd import Dockerd, unmount  # noqa: E402


def run(words, **more):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, **more)


def build_words(case, context, top):
    """The words that all builders have in common."""
    words = ["-t", case.tag, "-f", os.path.join(context, case.name_of_file), *case.words]
    for key, value in case.args.items():
        words += ["--build-arg", f"{key}={value}" if value is not None else key]
    for name in case.secrets:
        words += ["--secret", f"id={name},src={case.secret(top, name)}"]
    if case.target:
        words += ["--target", case.target]
    return [*words, context]


def read_archive(path, reader):
    """tag -> result, of a docker archive."""
    found = {}
    with tarfile.open(path) as tar:
        for image in json.load(tar.extractfile("manifest.json")):
            config = json.load(tar.extractfile(image["Config"]))
            lines = reader.result(config, lambda i, image=image: tar.extractfile(image["Layers"][i]))
            for tag in image["RepoTags"] or []:
                found[tag] = lines
    return found


class Docker(Dockerd):
    name, has_layers = "docker", True

    def __init__(self, folder):
        # A client newer than 20.10 has BuildKit only with a plugin that Debian does not have.
        super().__init__(folder, next((c for c in ("/usr/bin/docker", shutil.which("docker")) if c and os.path.exists(c)), "docker"))

    def version(self):
        return run([*self.words, "version", "--format", "{{.Server.Version}}"]).stdout.decode().strip()

    def load(self, archive):
        done = run([*self.words, "load", "-q", "-i", archive])
        assert done.returncode == 0, done.stderr

    def build(self, case, context, top):
        done = run([*self.words, "build", "--network", "none", *build_words(case, context, top)],
                   env={**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", "HOME": self.top})
        return None if done.returncode == 0 else done.stderr.decode(errors="replace")

    def results(self, tags, reader):
        path = f"{self.top}/all.tar"
        images = json.loads(run([*self.words, "inspect", *tags]).stdout)
        found = {tag: reader.result({"config": image["Config"], "author": image["Author"], "rootfs": {}}, None)
                 for tag, image in zip(tags, images, strict=True) if not image["RootFS"].get("Layers")}  # those it cannot save
        saved = [tag for tag in tags if tag not in found]
        if saved:
            done = run([*self.words, "save", "-o", path, *saved])
            assert done.returncode == 0, done.stderr
            found.update(read_archive(path, reader))
        return found


class Buildah:
    name, has_layers = "buildah", False  # one for all steps

    def __init__(self, folder):
        if not shutil.which("buildah"):
            raise Skip("buildah is not installed")
        self.top = os.path.join(folder, "buildah")
        os.makedirs(self.top)
        self.words = ["buildah", "--root", f"{self.top}/root", "--runroot", f"{self.top}/run", "--storage-driver", "overlay"]
        done = run([*self.words, "info"])
        if done.returncode != 0:
            raise Skip(f"buildah does not work here: {done.stderr[-200:]!r}")

    def version(self):
        return run(["buildah", "version", "--json"]).stdout and json.loads(run(["buildah", "version", "--json"]).stdout)["version"]

    def load(self, archive):
        with tarfile.open(archive) as tar:
            names = [name for image in json.load(tar.extractfile("manifest.json")) for name in image["RepoTags"]]
        for name in names:
            done = run([*self.words, "pull", "-q", f"docker-archive:{archive}:docker.io/library/{name}"])
            assert done.returncode == 0, done.stderr

    def build(self, case, context, top):
        done = run([*self.words, "bud", "--isolation", "chroot", "--format", "docker", "--pull-never", *build_words(case, context, top)],
                   env={**os.environ, "HOME": self.top, "TMPDIR": self.top})
        return None if done.returncode == 0 else done.stderr.decode(errors="replace")

    def results(self, tags, reader):
        found = {}
        for tag in tags:
            folder = f"{self.top}/out"
            shutil.rmtree(folder, ignore_errors=True)
            done = run([*self.words, "push", "-q", "--disable-compression", f"localhost/{tag}", f"dir:{folder}"])
            assert done.returncode == 0, done.stderr
            with open(f"{folder}/manifest.json") as f:
                manifest = json.load(f)
            with open(f"{folder}/{manifest['config']['digest'][7:]}") as f:
                config = json.load(f)
            found[tag] = reader.result(config, lambda i: self._layer(folder, manifest["layers"][i]["digest"][7:]))
        return found

    @staticmethod
    def _layer(folder, name):
        import gzip
        path = f"{folder}/{name}"
        with open(path, "rb") as f:
            packed = f.read(2) == b"\x1f\x8b"
        return gzip.open(path) if packed else open(path, "rb")

    def close(self):
        unmount(self.top)
