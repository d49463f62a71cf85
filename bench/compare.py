#!/usr/bin/env python3
"""Bulkhead beside docker and podman: the same data, the same machine, one run.

  bench/compare.py [--build DIR] [--runs N] [--only WORD[,WORD]] [--quick] [--json FILE]

Measures load (an 8-layer image of 460 MB, a layer of 60,000 files), save, run, 8 runs at once, exec,
commit of 1,000 files, the list of 1,000 images, idle and peak memory, disk; prints median and spread
of each side, the ratio to the better of the others, and the physical floor where there is one (hash
and write of the same bytes, measured here too).  Engines are interleaved: one round of each in turn.
Needs root; docker (dockerd) and podman are used when they are installed.  Everything happens in one
temporary folder and is removed.
"""
import argparse, hashlib, io, json, os, pathlib, platform, random, shutil, signal, statistics, subprocess, sys
import tarfile, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from engine import Engine  # noqa: E402

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}


# ---- data ------------------------------------------------------------------------------------

def words(rng, n):
    """Bytes that compress about as program files do."""
    return b"".join(rng.choice(POOL) for _ in range(n // 16))[:n]


POOL = [bytes(random.Random(i).randbytes(16)) for i in range(4096)] + [b"\0" * 16] * 4096


def layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1704164645
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive(path, name, layers, cmd=None):
    config = json.dumps({"created": "2024-01-02T03:04:05Z", "architecture": "amd64", "os": "linux",
                         "config": {"Env": ["PATH=/bin"], "Cmd": cmd or ["/bin/sh"]},
                         "rootfs": {"type": "layers",
                                    "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
                         "history": [{"created_by": f"layer {i}"} for i in range(len(layers))]}).encode()
    cname = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(path, "w") as tar:
        def add(n, data):
            info = tarfile.TarInfo(n)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for i, data in enumerate(layers):
            add(f"{i}/layer.tar", data)
        add(cname, config)
        add("manifest.json", json.dumps([{"Config": cname, "RepoTags": [name],
                                          "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]).encode())


def make_data(folder):
    rng = random.Random(7)
    big = []
    for k in range(8):
        files = [(f"usr/l{k}", None)]
        size = 0
        while size < 460_000_000 // 8:
            n = int(rng.lognormvariate(10.2, 1.6)) + 1
            files.append((f"usr/l{k}/f{len(files)}", words(rng, min(n, 20_000_000)).ljust(1, b"x")))
            size += n
        big.append(layer(files))
    archive(folder / "big.tar", "bench/big:1", big)
    small = [("data", None)]
    for d in range(600):
        small.append((f"data/d{d}", None))
        small += [(f"data/d{d}/f{i}", words(rng, 512 + rng.randrange(4096))) for i in range(100)]
    archive(folder / "small.tar", "bench/small:1", [layer(small)])
    subprocess.run([sys.executable, str(HERE.parent / "packaging/busybox-image.py"), str(folder / "bb.tar"),
                    "bench/bb:1"], check=True)


# ---- engines ---------------------------------------------------------------------------------

class Side:
    name = ""

    def cli(self, *args, check=True, **more):
        done = subprocess.run([*self.words, *args], **{**QUIET, **more})
        if check and done.returncode != 0:
            raise SystemExit(f"{self.name}: {' '.join(args)}: {done.stderr!r}")
        return done

    def run_flags(self):
        return ["--network", "none"]

    def ref(self, name):
        return name


class Bulkhead(Side):
    name = "bulkhead"

    def __init__(self, folder, build):
        os.makedirs(folder / "bulkhead")
        self.engine = Engine(build=build, root=str(folder / "bulkhead"))
        self.engine.own_root = True

    def start(self):
        self.engine.start()
        self.words = [self.engine.client(), "--host", self.engine.host]
        return subprocess.run([*self.words, "--version"], capture_output=True, text=True).stdout.strip()

    def pids(self):
        return tree(self.engine.process.pid)

    def disk(self):
        return self.engine.root

    def stop(self):
        self.engine.close()


class Docker(Side):
    name = "docker"

    def __init__(self, folder):
        self.folder = folder / "docker"
        os.makedirs(self.folder)
        self.words = ["docker", "-H", f"unix://{self.folder}/sock"]

    def start(self):
        (self.folder / "daemon.json").write_text("{}")
        self.process = subprocess.Popen(
            ["dockerd", "--config-file", f"{self.folder}/daemon.json", "--data-root", f"{self.folder}/data",
             "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid", "-H",
             f"unix://{self.folder}/sock", "--iptables=false", "--ip6tables=false", "--bridge=none",
             "--ip-masq=false"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        for _ in range(300):
            done = subprocess.run([*self.words, "version", "--format", "{{.Server.Version}} (client {{.Client.Version}})"],
                                  capture_output=True, text=True)
            if done.returncode == 0:
                return done.stdout.strip()
            time.sleep(0.1)
        raise SystemExit("dockerd did not start")

    def pids(self):
        return tree(self.process.pid)

    def disk(self):
        return str(self.folder / "data")

    def stop(self):
        ids = subprocess.run([*self.words, "ps", "-aq"], capture_output=True, text=True).stdout.split()
        if ids:
            self.cli("rm", "-f", *ids, check=False)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Podman(Side):
    name = "podman"

    def __init__(self, folder):
        self.folder = folder / "podman"
        os.makedirs(self.folder)
        # runc and cgroupfs, because crun refuses a hybrid cgroup tree here; no ulimit is raised.
        self.words = ["podman", "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--runtime", "runc",
                      "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]

    def start(self):
        return subprocess.run(["podman", "--version"], capture_output=True, text=True).stdout.strip()

    def run_flags(self):
        return ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]

    def ref(self, name):
        return "localhost/" + name

    def pids(self):
        return []

    def disk(self):
        return str(self.folder / "root")

    def stop(self):
        self.cli("rm", "-fa", "-t", "0", check=False)
        subprocess.run(["umount", "-l", f"{self.folder}/root/overlay"], stderr=subprocess.DEVNULL)


def tree(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                todo += [int(c) for c in open(f"/proc/{p}/task/{task}/children").read().split()]
        except OSError:
            pass
    return out


def pss_mb(pids):
    total = 0
    for p in pids:
        try:
            for line in open(f"/proc/{p}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


# ---- measuring -------------------------------------------------------------------------------

def timed(fn):
    t = time.perf_counter()
    fn()
    return time.perf_counter() - t


class Peak:
    """Highest PSS of an engine's processes while something runs, sampled every 5 ms."""

    def __init__(self, side):
        import threading
        self.side, self.high, self.done = side, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self.done.wait(0.005):
            self.high = max(self.high, pss_mb(self.side.pids()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


class Bench:
    def __init__(self, sides, folder, opt):
        self.sides, self.folder, self.opt, self.rows = sides, folder, opt, []

    def wanted(self, name):
        return not self.opt.only or any(w in name for w in self.opt.only.split(","))

    def compare(self, name, each, runs=None, floor=None, before=None, after=None):
        """each(side) is timed; before and after are not.  Sides take turns within a round."""
        if not self.wanted(name):
            return
        times = {s.name: [] for s in self.sides}
        for i in range((runs or self.opt.runs) + 1):
            for s in self.sides:
                if before:
                    before(s)
                t = timed(lambda: each(s))
                if after:
                    after(s)
                if i > 0:  # the first round warms caches and is not counted
                    times[s.name].append(t)
        self.report(name, times, floor() if floor else None)

    def report(self, name, values, floor=None, unit="ms", scale=1000.0):
        row = {"name": name, "unit": unit, "floor": floor * scale if floor else None, "sides": {}}
        for side, list_ in values.items():
            if list_:
                row["sides"][side] = {"median": statistics.median(list_) * scale, "min": min(list_) * scale,
                                      "max": max(list_) * scale, "n": len(list_)}
        ours = row["sides"].get("bulkhead")
        others = [v["median"] for k, v in row["sides"].items() if k != "bulkhead"]
        row["ratio"] = min(others) / ours["median"] if ours and others and ours["median"] > 0 else None
        self.rows.append(row)
        text = f"{name:24s}"
        for side, v in row["sides"].items():
            text += f"  {side} {v['median']:.1f} [{v['min']:.1f}-{v['max']:.1f}] {unit}"
        if row["ratio"]:
            text += f"  ratio {row['ratio']:.1f}x"
        if row["floor"]:
            text += f"  floor {row['floor']:.1f} {unit}"
            if ours:
                text += f" ({ours['median'] / row['floor']:.2f}x of it)"
        print(text, flush=True)


def floor_hash_write(path, folder):
    """SHA-256 of the bytes once and a durable copy of them, one after the other on one core."""
    def once():
        h = hashlib.sha256()
        with open(path, "rb") as f:
            while chunk := f.read(1 << 20):
                h.update(chunk)
        with open(path, "rb") as f, open(folder / "floor.tmp", "wb") as out:
            while os.copy_file_range(f.fileno(), out.fileno(), 1 << 26):
                pass
            os.fdatasync(out.fileno())
        os.unlink(folder / "floor.tmp")
    once()
    return statistics.median(timed(once) for _ in range(3))


def run_all(b, folder):
    sides = b.sides

    def forget(name):
        def gone(s):
            if s.cli("inspect", s.ref(name), check=False).returncode == 0:
                s.cli("rmi", "-f", s.ref(name))
        return gone

    for s in sides:
        s.cli("load", "-i", str(folder / "bb.tar"))
    idle = {s.name: [pss_mb(s.pids())] for s in sides if s.pids()}
    b.report("idle memory (PSS)", idle, unit="MB", scale=1.0)
    for label, file, name in (("load 460 MB, 8 layers", "big.tar", "bench/big:1"),
                              ("load 60,000 files", "small.tar", "bench/small:1")):
        b.compare(label, lambda s: s.cli("load", "-q", "-i", str(folder / file)), runs=b.opt.heavy,
                  before=forget(name), floor=lambda: floor_hash_write(folder / file, folder))
        if b.wanted("memory"):
            peaks = {}
            for s in sides:
                if s.pids():
                    forget(name)(s)
                    with Peak(s) as peak:
                        s.cli("load", "-q", "-i", str(folder / file))
                    peaks[s.name] = [peak.high]
            b.report(f"peak memory, {label}", peaks, unit="MB", scale=1.0)
    if b.wanted("disk"):
        values = {}
        for s in sides:
            s.cli("load", "-q", "-i", str(folder / "big.tar"))
            s.cli("load", "-q", "-i", str(folder / "small.tar"))
            out = subprocess.run(["du", "-sxm", s.disk()], capture_output=True, text=True).stdout.split()
            values[s.name] = [float(out[0])]
        b.report("disk, both images", values, unit="MB", scale=1.0)
    for s in sides:
        s.cli("load", "-q", "-i", str(folder / "big.tar"))
    b.compare("save 460 MB", lambda s: s.cli("save", "-o", str(folder / f"{s.name}.out"), s.ref("bench/big:1")),
              runs=b.opt.heavy, after=lambda s: os.unlink(folder / f"{s.name}.out"))
    b.compare("run --rm true", lambda s: s.cli("run", "--rm", *s.run_flags(), s.ref("bench/bb:1"), "true"))

    def parallel(s):
        ps = [subprocess.Popen([*s.words, "run", "--rm", *s.run_flags(), s.ref("bench/bb:1"), "true"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
              for _ in range(8)]
        if any(p.wait() for p in ps):
            raise SystemExit(f"{s.name}: a parallel run failed")
    b.compare("8 runs at once", parallel)
    if b.wanted("exec"):
        for s in sides:
            s.cli("run", "-d", "--name", "execs", *s.run_flags(), s.ref("bench/bb:1"), "sleep", "600")
        b.compare("exec true", lambda s: s.cli("exec", "execs", "true"))
        for s in sides:
            s.cli("rm", "-f", "execs")
    if b.wanted("commit"):
        for s in sides:
            s.cli("run", "--name", "changed", *s.run_flags(), s.ref("bench/bb:1"), "sh", "-c",
                  "mkdir /d; i=0; while [ $i -lt 1000 ]; do head -c 4800 /bin/busybox > /d/f$i; i=$((i+1)); done")
        b.compare("commit 1,000 files", lambda s: s.cli("commit", "changed", "bench/changed:1"), runs=b.opt.heavy)
        for s in sides:
            s.cli("rm", "-f", "changed")
    if b.wanted("images"):
        for s in sides:
            for i in range(1000):
                s.cli("tag", s.ref("bench/bb:1"), f"bench/n{i}:1")
        b.compare("images, 1,000 names", lambda s: s.cli("images"))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=str(HERE.parent / "build"))
    ap.add_argument("--runs", type=int, default=15)
    ap.add_argument("--heavy", type=int, default=5, help="rounds of load, save, commit")
    ap.add_argument("--only", default="")
    ap.add_argument("--quick", action="store_true", help="three rounds of each")
    ap.add_argument("--json", default="")
    ap.add_argument("--without", default="", help="docker, podman")
    opt = ap.parse_args()
    if opt.quick:
        opt.runs = opt.heavy = 3
    if os.geteuid() != 0:
        raise SystemExit("needs root")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    os.chmod(folder, 0o755)
    sides = []
    try:
        print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, kernel {platform.release()}, "
              f"load {os.getloadavg()[0]:.2f}")
        make_data(folder)
        candidates = [lambda: Bulkhead(folder, opt.build)]
        if shutil.which("dockerd") and "docker" not in opt.without:
            candidates.append(lambda: Docker(folder))
        if shutil.which("podman") and "podman" not in opt.without:
            candidates.append(lambda: Podman(folder))
        for make in candidates:
            side = make()
            sides.append(side)
            print(f"{side.name}: {side.start()}")
        b = Bench(sides, folder, opt)
        run_all(b, folder)
        if opt.json:
            json.dump(b.rows, open(opt.json, "w"), indent=1)
    finally:
        for s in sides:
            try:
                s.stop()
            except Exception as e:  # the others must be stopped too
                print(f"{s.name}: stop: {e}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
