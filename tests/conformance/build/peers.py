"""The other builders: Debian's docker with BuildKit, and buildah, each with folders of its own.

build(case, context, top) gives None, or why it failed; results(reader) reads all that was built.
"""
import json
import os
import shutil
import subprocess
import tarfile
import time


class Missing(Exception):
    """This host cannot run the peer."""


def unmount(top):
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f if line.split()[4].startswith(top + "/")]
    for point in sorted(points, reverse=True):
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)


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


class Docker:
    name, has_layers = "docker", True

    def __init__(self, folder):
        # A client newer than 20.10 has BuildKit only with a plugin that Debian does not have.
        self.client = next((c for c in ("/usr/bin/docker", shutil.which("docker")) if c and os.path.exists(c)), None)
        if not self.client or not shutil.which("dockerd"):
            raise Missing("docker is not installed")
        self.top = os.path.join(folder, "docker")
        os.makedirs(self.top)
        with open(f"{self.top}/config", "w") as f:
            f.write("{}")
        self.log = open(f"{self.top}/log", "w")
        self.words = [self.client, "-H", f"unix://{self.top}/sock"]
        self.process = subprocess.Popen(
            ["dockerd", "--config-file", f"{self.top}/config", "--data-root", f"{self.top}/data", "--exec-root", f"{self.top}/exec",
             "--pidfile", f"{self.top}/pid", "-H", f"unix://{self.top}/sock", "--iptables=false", "--ip6tables=false", "--bridge=none",
             "--ip-masq=false"], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        for _ in range(150):
            if run([*self.words, "version"]).returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.close()
        raise Missing("dockerd does not start here")

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

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        unmount(self.top)


class Buildah:
    name, has_layers = "buildah", False  # one for all steps

    def __init__(self, folder):
        if not shutil.which("buildah"):
            raise Missing("buildah is not installed")
        self.top = os.path.join(folder, "buildah")
        os.makedirs(self.top)
        self.words = ["buildah", "--root", f"{self.top}/root", "--runroot", f"{self.top}/run", "--storage-driver", "overlay"]
        done = run([*self.words, "info"])
        if done.returncode != 0:
            raise Missing(f"buildah does not work here: {done.stderr[-200:]!r}")

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
