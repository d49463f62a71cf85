#!/usr/bin/env python3
"""Pull and push beside docker, podman, containerd and skopeo: one registry on loopback, one run.

  bench/transfer.py [--build DIR] [--only WORD[,WORD]] [--quick] [--json FILE] [--without docker,podman,containerd,skopeo]

Rows: pull (460 MB, 8 layers, gzip), zstd (the same), small (one layer of 60,000 files), repull, pushlocal (an image
made here, to a registry that has nothing of it), pushpulled (an image as it was pulled, the same), repush, memory.
Turns, medians, spread and checks as in compare.py.  skopeo has no store: its pull is a copy into a folder of blobs, so it
neither unpacks nor keeps anything; its row is there as a measure of the transfer, and it is no part of the ratio.
Floors: what the same bytes cost bare, each alone on all processors: transfer (curl), inflate (zlib, or zstd), two hashes,
one durable write; the floor is the slowest of them.  Needs root, docker-registry and skopeo.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib

import compare
import data
import sides
from compare import Bench, Peak, median_time, must

ROWS = ("pull", "zstd", "small", "repull", "pushlocal", "pushpulled", "repush", "memory")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry, its data in a folder of the run."""

    def __init__(self, folder, name):
        self.port, self.folder = free_port(), folder / name
        self.folder.mkdir()
        self.host = f"127.0.0.1:{self.port}"

    def start(self):
        conf = self.folder / "config.yml"
        conf.write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n"
                        f"  filesystem: {{rootdirectory: {self.folder}/data}}\n  delete: {{enabled: true}}\n"
                        f"http: {{addr: '{self.host}'}}\n")
        self.process = subprocess.Popen(["docker-registry", "serve", str(conf)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise SystemExit("docker-registry did not start")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def emptied(self):
        self.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.start()

    def get(self, path, accept="*/*"):
        req = urllib.request.Request(f"http://{self.host}/v2/{path}", headers={"Accept": accept})
        return urllib.request.urlopen(req).read()

    def manifest(self, repo, tag):
        return json.loads(self.get(f"{repo}/manifests/{tag}", "application/vnd.oci.image.manifest.v1+json, "
                                   "application/vnd.docker.distribution.manifest.v2+json"))


# ---- the engines: pull, push, forget ------------------------------------------------------------------

class WithDocker:
    """Verbs that docker, podman and Bulkhead share.  tls: what makes plain HTTP on loopback allowed."""
    tls = []

    def pull(self, ref):
        return self.cli("pull", "-q", *self.tls, ref)

    def push(self, ref):
        return self.cli("push", "-q", *self.tls, ref)

    def forget(self, ref):
        self.cli("rmi", "-f", ref, check=False)

    def id_of(self, ref):
        return self.ask("inspect", "--type", "image", "--format", "{{.Id}}", ref).split(":")[-1]

    def load(self, file, local, ref):
        self.cli("load", "-q", "-i", str(file))
        self.cli("tag", self.ref(local), ref)


class Bulkhead(WithDocker, sides.Bulkhead):
    pass


class Docker(WithDocker, sides.Docker):
    pass


class Podman(WithDocker, sides.Podman):
    tls = ["--tls-verify=false"]


class Containerd(sides.Side):
    name = "containerd"

    def __init__(self, folder, _build):
        self.folder = folder / "containerd"
        self.folder.mkdir()
        self.words = ["ctr", "-a", f"{self.folder}/sock"]

    def start(self):
        f = self.folder
        (f / "config.toml").write_text(
            f'version = 2\nroot = "{f}/root"\nstate = "{f}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{f}/sock"\n[ttrpc]\n  address = "{f}/ttrpc"\n')
        self.process = subprocess.Popen(["containerd", "-c", f"{f}/config.toml"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.cli("version", check=False).returncode == 0:
                return subprocess.run(["containerd", "--version"], capture_output=True, text=True).stdout.split()[2]
            time.sleep(0.1)
        raise SystemExit("containerd did not start")

    def pids(self):
        return sides.tree(self.process.pid)

    def pull(self, ref):
        return self.cli("images", "pull", "--plain-http", ref)

    def push(self, ref):
        return self.cli("images", "push", "--plain-http", ref)

    def forget(self, ref):
        self.cli("images", "rm", "--sync", ref, check=False)

    def id_of(self, ref):
        for line in self.ask("images", "ls").splitlines():
            if line.split()[0] == ref:
                manifest = json.loads(self.ask("content", "get", line.split()[2]))
                return manifest["config"]["digest"].split(":")[1]
        return ""

    def load(self, file, local, ref):
        name = "docker.io/" + local
        self.cli("images", "import", str(file))
        self.cli("images", "tag", "--force", name, ref)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Skopeo(sides.Side):
    """A folder of blobs for each name."""
    name = "skopeo"

    def __init__(self, folder, _build):
        self.folder = folder / "skopeo"
        self.folder.mkdir()
        self.words = ["skopeo"]

    def start(self):
        return self.ask("--version")

    def place(self, ref):
        return str(self.folder / ref.replace("/", "_").replace(":", "_"))

    def pull(self, ref):
        return self.cli("copy", "-q", "--src-tls-verify=false", f"docker://{ref}", "dir:" + self.place(ref))

    def push(self, ref):
        return self.cli("copy", "-q", "--dest-tls-verify=false", "dir:" + self.place(ref), f"docker://{ref}")

    def forget(self, ref):
        shutil.rmtree(self.place(ref), ignore_errors=True)

    def id_of(self, ref):
        return json.loads((pathlib.Path(self.place(ref)) / "manifest.json").read_text())["config"]["digest"].split(":")[1]

    def load(self, file, local, ref):
        self.cli("copy", "-q", f"docker-archive:{file}", "dir:" + self.place(ref))

    def stop(self):
        pass


# ---- floors --------------------------------------------------------------------------------------------

def in_threads(fn, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fn, items))


def inflate(blob):
    d = zlib.decompressobj(31)
    for at in range(0, len(blob), 1 << 20):
        d.decompress(blob[at:at + (1 << 20)])


def floors(b, registry, repo, label):
    """Prints each part; returns the slowest, in seconds."""
    layers = [x["digest"] for x in registry.manifest(repo, "1")["layers"]]
    urls = [f"http://{registry.host}/v2/{repo}/blobs/{d}" for d in layers]
    blobs = [registry.get(f"{repo}/blobs/{d}") for d in layers]
    zipped = blobs[0][:2] == b"\x1f\x8b"
    tars = [zlib.decompress(x, 31) if zipped else
            subprocess.run(["zstd", "-dcq"], input=x, capture_output=True).stdout for x in blobs]
    file = b.folder / "floor.in"
    file.write_bytes(b"".join(tars))
    parts = {
        "transfer": median_time(lambda: in_threads(
            lambda u: subprocess.run(["curl", "-sfo", "/dev/null", u], check=True), urls)),
        "inflate": median_time(lambda: in_threads(inflate, blobs) if zipped else in_threads(
            lambda x: subprocess.run(["zstd", "-dcq"], input=x, stdout=subprocess.DEVNULL), blobs)),
        "two hashes": median_time(lambda: in_threads(lambda x: hashlib.sha256(x).digest(), blobs + tars)),
        "durable write": median_time(lambda: compare.copy(file, b.folder / "floor.tmp", True)),
    }
    file.unlink()
    print(f"{'':22s} floor of {label}: " + "  ".join(f"{k} {v * 1000:.0f} ms" for k, v in parts.items()), flush=True)
    return max(parts.values())


# ---- rows -------------------------------------------------------------------------------------------------

def engines(b):
    """skopeo keeps no images: it is shown, and compared with nothing."""
    return [s for s in b.sides if s.name != "skopeo"]


def without_skopeo(b, name, act, runs, seconds, floor, before, check, only=None):
    part = only or b.sides
    b.compare(name, act, runs, seconds, floor, before, check, [s for s in part if s.name != "skopeo"])
    lone = [s for s in part if s.name == "skopeo"]
    if lone:
        times = []
        for _ in range(3):
            if before:
                before(lone[0])
            t = time.perf_counter()
            act(lone[0])
            times.append((time.perf_counter() - t) * 1000)
        print(f"{'':22s} skopeo (copies only): {sorted(times)[1]:.1f} [{min(times):.1f}-{max(times):.1f}] ms", flush=True)


def able(b, ref):
    """Those that can pull this image at all (docker 20.10 knows no zstd)."""
    out = []
    for s in b.sides:
        try:
            s.pull(ref)
            out.append(s)
        except SystemExit as e:
            print(f"{'':22s} {s.name} cannot pull it: {str(e)[:160]}", flush=True)
        s.forget(ref)
    return out


def pulls(b, registry, key, repo, label, image_id):
    ref = f"{registry.host}/{repo}:1"
    part = able(b, ref)
    without_skopeo(b, label, lambda s: s.pull(ref), b.opt.heavy, 90, floors(b, registry, repo, label),
                   lambda s: s.forget(ref), lambda s, _: must(s.id_of(ref) == image_id, f"{s.name}: {s.id_of(ref)}"), part)
    if key == "pull" and b.wanted("memory"):
        peaks = {}
        for s in part:
            if s.pids():
                s.forget(ref)
                with Peak(s) as peak:
                    s.pull(ref)
                peaks[s.name] = [peak.high]
        b.report(f"peak PSS, {label}", peaks, "MB")


def repull(b, registry):
    ref = f"{registry.host}/bench/big:1"
    for s in b.sides:
        s.pull(ref)
    without_skopeo(b, "pull again", lambda s: s.pull(ref), b.opt.runs, 25, None, None, None)
    for s in b.sides:  # the same layers come once more, in zstd
        s.forget(ref)


def pushes(b, empty, file, image_id):
    ref = f"{empty.host}/bench/big:1"

    def clean(s):
        empty.emptied()

    def there(s, _):
        must(empty.manifest("bench/big", "1")["config"]["digest"].split(":")[1] == image_id, f"{s.name}: pushed")

    for s in b.sides:
        s.load(file, data.BIG, ref)
    if b.wanted("pushlocal"):
        def fresh(s):  # what was compressed for the round before is forgotten too
            clean(s)
            s.forget(ref)
            if s.name != "skopeo":
                s.forget(s.ref(data.BIG))
            s.load(file, data.BIG, ref)
        without_skopeo(b, "push, made here", lambda s: s.push(ref), b.opt.heavy, 120, None, fresh, there)
    if b.wanted("repush"):
        def own(s):  # each made a manifest of its own: with one tag for all it would never be there already
            return f"{empty.host}/bench/{s.name}:1"

        def own_there(s, _):
            must(empty.manifest(f"bench/{s.name}", "1")["config"]["digest"].split(":")[1] == image_id, f"{s.name}: pushed")

        for s in b.sides:
            s.load(file, data.BIG, own(s))
            s.push(own(s))
        without_skopeo(b, "push again", lambda s: s.push(own(s)), b.opt.runs, 25, None, None, own_there)


def push_pulled(b, registry, empty, image_id):
    src, dst = f"{registry.host}/bench/big:1", f"{empty.host}/bench/big:1"
    layers = registry.manifest("bench/big", "1")["layers"]
    blobs = [registry.get(f"bench/big/blobs/{x['digest']}") for x in layers]
    files = []
    for i, x in enumerate(blobs):
        files.append(b.folder / f"blob{i}")
        files[-1].write_bytes(x)

    def send(f):
        start = subprocess.run(["curl", "-sfi", "-X", "POST", f"http://{empty.host}/v2/floor/blobs/uploads/"],
                               capture_output=True, text=True, check=True).stdout
        where = [line.split(": ", 1)[1].strip() for line in start.splitlines() if line.lower().startswith("location")][0]
        digest = "sha256:" + hashlib.file_digest(open(f, "rb"), "sha256").hexdigest()
        subprocess.run(["curl", "-sf", "-o", "/dev/null", "-T", str(f), "-H", "Content-Type: application/octet-stream",
                        f"{where}&digest={digest}"], check=True)

    def floor():
        empty.emptied()
        t = time.perf_counter()
        in_threads(send, files)
        return time.perf_counter() - t
    bare = sorted(floor() for _ in range(3))[1]
    part = [s for s in b.sides if s.name in ("bulkhead", "docker", "podman")]
    for s in part:
        s.forget(s.ref(data.BIG))
        s.forget(dst)
        s.pull(src)
        s.cli("tag", src, dst)
    b.compare("push, as pulled", lambda s: s.push(dst), b.opt.heavy, 90, bare, lambda s: empty.emptied(),
              lambda s, _: must(empty.manifest("bench/big", "1")["config"]["digest"].split(":")[1] == image_id, s.name), part)
    for f in files:
        f.unlink()


def fill(registry, file, repo, *more):
    subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", *more, f"docker-archive:{file}",
                    f"docker://{registry.host}/{repo}:1"], check=True)


def fill_zstd(b, registry, file, repo):
    """By a folder, with digests preserved: else skopeo knows of the same layers in gzip there, and takes those."""
    folder = f"oci:{b.folder}/zstd:1"
    subprocess.run(["skopeo", "copy", "-q", "--dest-compress-format", "zstd", f"docker-archive:{file}", folder], check=True)
    subprocess.run(["skopeo", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", folder,
                    f"docker://{registry.host}/{repo}:1"], check=True)
    shutil.rmtree(b.folder / "zstd")
    kinds = {x["mediaType"].split("+")[-1] for x in registry.manifest(repo, "1")["layers"]}
    must(kinds == {"zstd"}, f"layers of {repo} are {kinds}")


def run_all(b, full, empty):
    big, small = b.folder / "big.tar", b.folder / "small.tar"
    big_id, small_id = data.big(big)[0], None
    fill(full, big, "bench/big")
    if b.wanted("pull", "memory"):
        pulls(b, full, "pull", "bench/big", "pull 460 MB, gzip", big_id)
    if b.wanted("repull"):
        repull(b, full)
    if b.wanted("zstd"):
        fill_zstd(b, full, big, "bench/bigz")
        zstd_id = full.manifest("bench/bigz", "1")["config"]["digest"].split(":")[1]  # skopeo writes a config of its own
        pulls(b, full, "zstd", "bench/bigz", "pull 460 MB, zstd", zstd_id)
    if b.wanted("small"):
        small_id = data.small(small)[0]
        fill(full, small, "bench/small")
        pulls(b, full, "small", "bench/small", "pull 60,000 files", small_id)
    if b.wanted("pushlocal", "repush"):
        pushes(b, empty, big, big_id)
    if b.wanted("pushpulled"):
        push_pulled(b, full, empty, big_id)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=str(sides.HERE.parent / "build"))
    ap.add_argument("--runs", type=int, default=15, help="rounds of what is short")
    ap.add_argument("--heavy", type=int, default=3, help="rounds of whole pulls and pushes")
    ap.add_argument("--only", default="", help=", ".join(ROWS))
    ap.add_argument("--quick", action="store_true", help="two rounds of each")
    ap.add_argument("--json", default="")
    ap.add_argument("--without", default="", help="docker, podman, containerd, skopeo")
    opt = ap.parse_args()
    if opt.quick:
        opt.runs = opt.heavy = 2
    if os.geteuid() != 0:
        raise SystemExit("needs root")
    for program in ("docker-registry", "skopeo", "curl"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    os.chmod(folder, 0o755)
    head = {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cpu": compare.processor(),
            "cpus": os.cpu_count(), "kernel": platform.release(), "load_before": os.getloadavg()[0], "versions": {}}
    started = []
    try:
        print("{date}: {cpu}, {cpus} CPUs, kernel {kernel}, load before {load_before:.2f}".format(**head))
        full, empty = Registry(folder, "full"), Registry(folder, "empty")
        started += [full.start(), empty.start()]
        programs = ((Bulkhead, ""), (Docker, "dockerd"), (Podman, "podman"), (Containerd, "containerd"),
                    (Skopeo, "skopeo"))
        all_sides = []
        for make, program in programs:
            if program and (shutil.which(program) is None or make.name in opt.without.split(",")):
                continue
            side = make(folder, opt.build)
            started.append(side)
            all_sides.append(side)
            head["versions"][side.name] = side.start()
            print(f"{side.name}: {head['versions'][side.name]}", flush=True)
        b = Bench(all_sides, folder, opt)
        run_all(b, full, empty)
        print(f"load after {os.getloadavg()[0]:.2f}")
        if opt.json:
            pathlib.Path(opt.json).write_text(json.dumps({**head, "rows": b.rows}, indent=1) + "\n")
    finally:
        for s in started:
            try:
                s.stop()
            except Exception as e:  # the others must be stopped too
                print(f"stop: {e}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
