#!/usr/bin/env python3
"""Bulkhead beside docker and podman: the same data, the same machine, one run.

  bench/compare.py [--build DIR] [--only WORD[,WORD]] [--quick] [--json FILE] [--without docker,podman]

Rows: load, small (60,000 files), save, run, parallel, exec, commit, images, memory, disk; and builds (builds.py):
cold, cached, changed, stages.  --only takes some of them and makes only the data that they need.  The engines take
turns within a round, another one first in each; the first round is not counted.  Of every row: median and spread of
wall time, median of user+system time (client, daemon, and children they waited for; what docker and podman leave to
shims and conmon is not seen, which flatters them; what they have not written to the disk when they are done, neither),
the ratio to the better of the others (median and spread over the rounds), and where there is one the floor: the same
physical work done bare.  Every act's result is checked.
Needs root; docker (dockerd) and podman are used when they are installed.  Everything happens in one
temporary folder and is removed.
"""
import argparse
import hashlib
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

import builds
import data
import sides

ROWS = ("load", "small", "save", "run", "parallel", "exec", "commit", "images", "memory", "disk", *builds.ROWS)


def must(right, what):
    if not right:
        raise SystemExit(f"wrong result: {what}")


# ---- floors: the same work without an engine -------------------------------------------------------

def median_time(fn, n=3):
    fn()
    times = []
    for _ in range(n):
        t = time.perf_counter()
        fn()
        times.append(time.perf_counter() - t)
    return statistics.median(times)


def hash_range(path, start, end):
    h, view = hashlib.sha256(), memoryview(bytearray(1 << 20))
    with open(path, "rb", buffering=0) as f:
        f.seek(start)
        while start < end and (n := f.readinto(view[:min(len(view), end - start)])):
            h.update(view[:n])
            start += n


def copy(path, out, durable):
    """1 MiB at a time and past the page cache where the kernel can (RWF_DONTCACHE): the fastest there is here."""
    flags, at, buf = 0x80, 0, memoryview(bytearray(1 << 20))
    with open(path, "rb", buffering=0) as f, open(out, "wb") as o:
        while n := f.readinto(buf):
            try:
                at += os.pwritev(o.fileno(), [buf[:n]], at, flags)
            except OSError:
                flags = 0
                at += os.pwritev(o.fileno(), [buf[:n]], at, flags)
        if durable:
            os.fdatasync(o.fileno())
    os.unlink(out)


def floor_load(path, out, streams):
    """SHA-256 over the bytes in `streams` threads and one durable copy, all at the same time."""
    size = os.stat(path).st_size
    cuts = [size * i // streams for i in range(streams + 1)]

    def once():
        ts = [threading.Thread(target=hash_range, args=(path, a, b)) for a, b in zip(cuts, cuts[1:])]
        ts.append(threading.Thread(target=copy, args=(path, out, True)))
        for t in ts:
            t.start()
        for t in ts:
            t.join()
    return median_time(once)


def floor_run(folder):
    """The OCI runtime alone, on a root file system that is ready."""
    bundle = folder / "bundle"
    (bundle / "rootfs/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", bundle / "rootfs/bin/busybox")
    os.symlink("busybox", bundle / "rootfs/bin/echo")
    subprocess.run(["crun", "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"].update(terminal=False, args=["echo", "ok"])
    (bundle / "config.json").write_text(json.dumps(spec))
    words = ["crun", "--root", str(folder / "crun"), "--cgroup-manager=disabled", "run", "--bundle", str(bundle), "floor"]

    def once():
        must(subprocess.run(words, capture_output=True).stdout == b"ok\n", "crun alone")
    try:
        return median_time(once, 9)
    except SystemExit:
        return None


# ---- measuring -------------------------------------------------------------------------------------

class Peak:
    """Highest PSS of all of an engine's processes while something runs, sampled every 3 ms."""

    def __init__(self, side):
        self.side, self.high, self.done = side, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self.done.wait(0.003):
            self.high = max(self.high, self.side.pss_mb())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


def spread(v):
    return {"median": statistics.median(v), "min": min(v), "max": max(v)}


def cpu_now(side):
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime + side.cpu()


class Bench:
    def __init__(self, all_sides, folder, opt):
        self.sides, self.folder, self.opt, self.rows = all_sides, folder, opt, []

    def wanted(self, *keys):
        return not self.opt.only or any(k in self.opt.only.split(",") for k in keys)

    def one(self, side, act, before, check):
        if before:
            before(side)
        os.sync()  # what the engine before this one has left in memory is no work of this one
        cpu, t = cpu_now(side), time.perf_counter()
        out = act(side)
        t = time.perf_counter() - t
        cpu = cpu_now(side) - cpu
        if check:
            check(side, out)
        return t, cpu

    def compare(self, name, act, runs, seconds, floor=None, before=None, check=None, only=None):
        """act is timed; before and check (side, what act gave) are not.  At least 2 rounds, then as many as fit."""
        part = only or self.sides
        wall, cpu, first = {s.name: [] for s in part}, {s.name: [] for s in part}, {}
        end = time.monotonic() + seconds
        for i in range(runs + 1):
            if i > 2 and time.monotonic() > end:
                break
            k = i % len(part)
            for s in part[k:] + part[:k]:
                t, c = self.one(s, act, before, check)
                if i == 0:
                    first[s.name] = t * 1000
                else:
                    wall[s.name].append(t * 1000)
                    cpu[s.name].append(c * 1000)
        self.report(name, wall, "ms", cpu, floor * 1000 if floor else None)
        self.rows[-1]["first"] = first
        if before:  # nothing was removed before that one, which matters to some file systems
            print(f"{'':22s} first round, not counted: " + "  ".join(f"{k} {v:.1f}" for k, v in first.items()))

    def peaks(self, label, part, before, act):
        """Of those whose processes outlive a command."""
        peaks = {}
        for s in part:
            if s.pids():
                before(s)
                with Peak(s) as peak:
                    act(s)
                peaks[s.name] = [peak.high]
        self.report(label, peaks, "MB")

    def report(self, name, values, unit, cpu=None, floor=None):
        row = {"name": name, "unit": unit, "n": len(values["bulkhead"]), "sides": {k: spread(v) for k, v in values.items()}}
        others = [k for k in values if k != "bulkhead"]
        text = f"{name:22s} n={row['n']}"
        for k, v in row["sides"].items():
            text += f"  {k} {v['median']:.1f} [{v['min']:.1f}-{v['max']:.1f}]"
            if cpu:
                row.setdefault("cpu", {})[k] = statistics.median(cpu[k])
                text += f" cpu {row['cpu'][k]:.0f}"
        text += f" {unit}"
        if others:
            row["ratio"] = spread([min(values[o][i] for o in others) / values["bulkhead"][i] for i in range(row["n"])])
            text += "  ratio {median:.1f} [{min:.1f}-{max:.1f}]".format(**row["ratio"])
        if floor:
            row["floor"] = floor
            text += f"  floor {floor:.1f} {unit}"
        self.rows.append(row)
        print(text, flush=True)


# ---- the rows ---------------------------------------------------------------------------------------

def gone(ref):
    def act(s):
        if s.cli("inspect", "--type", "image", s.ref(ref), check=False).returncode == 0:
            s.cli("rmi", "-f", s.ref(ref))
    return act


def is_there(ref, image_id, n_layers):
    def check(s, _):
        said = s.ask("inspect", "--type", "image", "--format", "{{.Id}} {{len .RootFS.Layers}}", s.ref(ref)).split()
        must(said == [said[0], str(n_layers)] and said[0].split(":")[-1] == image_id, f"{s.name}: {ref}: {said}")
    return check


def loads(b, key, label, make, ref, n_layers):
    file = b.folder / f"{key}.tar"
    image_id, diff_ids = make(file)
    b.made[key] = (file, image_id, diff_ids)

    def load(s):
        s.cli("load", "-q", "-i", str(file))
    if b.wanted(key):
        b.compare(label, load, b.opt.heavy, 50, floor_load(file, b.folder / "floor.tmp", min(2, n_layers)), gone(ref),
                  is_there(ref, image_id, n_layers))
    if b.wanted("memory"):
        b.peaks(f"peak PSS, {label}", b.sides, gone(ref), load)


def disk(b):
    used = {}
    for s in b.sides:
        for key, ref in (("load", data.BIG), ("small", data.SMALL)):
            if s.cli("inspect", "--type", "image", s.ref(ref), check=False).returncode != 0:
                s.cli("load", "-q", "-i", str(b.made[key][0]))
        os.sync()
        used[s.name] = [float(subprocess.run(["du", "-sxm", s.disk], capture_output=True, text=True).stdout.split()[0])]
    b.report("disk, both images", used, "MB")


def save(b):
    file, image_id, diff_ids = b.made["load"]
    looked = set()
    for s in b.sides:
        s.cli("load", "-q", "-i", str(file))

    def check(s, _):
        out = b.folder / f"{s.name}.out"
        if s.name not in looked:  # all bytes once, the size always
            looked.add(s.name)
            with tarfile.open(out) as tar:
                man = json.load(tar.extractfile("manifest.json"))[0]
                must(image_id in man["Config"], f"{s.name}: saved {man['Config']}")
                for name, want in zip(man["Layers"], diff_ids, strict=True):
                    must("sha256:" + hashlib.file_digest(tar.extractfile(name), "sha256").hexdigest() == want,
                         f"{s.name}: saved layer {name}")
        must(out.stat().st_size > 460_000_000, f"{s.name}: size of what was saved")
        out.unlink()
    b.compare("save 460 MB", lambda s: s.cli("save", "-o", str(b.folder / f"{s.name}.out"), s.ref(data.BIG)),
              b.opt.heavy, 30, median_time(lambda: copy(file, b.folder / "floor.tmp", False)), None, check)


def said_ok(s, done):
    must(done.stdout == b"ok\n", f"{s.name}: said {done.stdout!r}")


def run_words(s):
    return ["run", "--rm", *s.run_flags, s.ref(data.BUSYBOX), "echo", "ok"]


def nothing_left(s):
    for _ in range(50):
        if s.ask("ps", "-aq") == "":
            return
        time.sleep(0.1)
    must(False, f"{s.name}: containers are left")


def parallel(s):
    ps = [subprocess.Popen([*s.words, *run_words(s)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE) for _ in range(8)]
    return [p.communicate()[0] for p in ps]


def runs(b):
    floor = floor_run(b.folder)
    if b.wanted("run"):
        b.compare("run --rm", lambda s: s.cli(*run_words(s)), b.opt.runs, 25, floor, None, said_ok)
    if b.wanted("parallel"):
        b.compare("8 runs at once", parallel, b.opt.runs, 30, None, nothing_left,
                  lambda s, out: must(out == [b"ok\n"] * 8, f"{s.name}: {out}"))


def execs(b):
    for s in b.sides:
        s.cli("run", "-d", "--name", "execs", *s.run_flags, s.ref(data.BUSYBOX), "sleep", "600")
    b.compare("exec", lambda s: s.cli("exec", "execs", "echo", "ok"), b.opt.runs, 20, None, None, said_ok)
    for s in b.sides:
        s.cli("rm", "-f", "execs")


def commit(b):
    script = "mkdir /d; i=0; while [ $i -lt 1000 ]; do head -c 4800 /bin/busybox > /d/f$i; i=$((i+1)); done"
    seen = set()
    for s in b.sides:
        s.cli("run", "--name", "changed", *s.run_flags, s.ref(data.BUSYBOX), "sh", "-c", script)

    def check(s, done):
        must(done.stdout.strip() != b"", f"{s.name}: commit said nothing")
        if s.name not in seen:
            seen.add(s.name)
            n = s.ask("run", "--rm", *s.run_flags, s.ref("bench/changed:1"), "sh", "-c", "cat /d/* | wc -c")
            must(n == "4800000", f"{s.name}: committed {n} bytes")
    b.compare("commit 1,000 files", lambda s: s.cli("commit", "changed", "bench/changed:1"), b.opt.heavy, 20, None,
              gone("bench/changed:1"), check)
    for s in b.sides:
        s.cli("rm", "-f", "changed")
        s.cli("rmi", "-f", s.ref("bench/changed:1"))


def images(b):
    data.many(b.folder)
    parts = sorted(b.folder.glob("many-*.tar"))

    def fill(s):
        t = time.monotonic()
        for p in parts:
            s.cli("load", "-q", "-i", str(p))
        print(f"{'':22s} {s.name}: {data.N_IMAGES} images loaded in {time.monotonic() - t:.1f} s", flush=True)
    ts = [threading.Thread(target=fill, args=(s,)) for s in b.sides]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    able = []
    for s in b.sides:
        try:
            n = len(set(s.cli("images", "-q", timeout=20).stdout.split()))
            must(n >= data.N_IMAGES, f"{s.name}: {n} images")
            able.append(s)
        except subprocess.TimeoutExpired:
            print(f"{'':22s} {s.name}: `images -q` takes more than 20 s, it is left out of this row", flush=True)
    b.compare(f"images, {data.N_IMAGES} images", lambda s: s.cli("images"), b.opt.runs, 20, None, None,
              lambda s, done: must(done.stdout.count(b"bench/n") == data.N_IMAGES, f"{s.name}: images"), able)


def idle(b, when):
    time.sleep(2)
    b.report(f"idle PSS, {when}", {s.name: [s.pss_mb()] for s in b.sides if s.pids()}, "MB")


def run_all(b, start):
    b.made = {}
    data.busybox(b.folder / "bb.tar")
    for s in b.sides:
        s.cli("load", "-q", "-i", str(b.folder / "bb.tar"))
    if b.wanted("memory"):
        idle(b, "fresh")
    for keys, act in ((("run", "parallel"), runs), (("exec",), execs), (("commit",), commit)):
        if b.wanted(*keys):
            act(b)
    if b.wanted("load", "save", "memory", "disk"):
        loads(b, "load", "load 460 MB, 8 layers", data.big, data.BIG, 8)
    if b.wanted("save"):
        save(b)
    if b.wanted("small", "memory", "disk"):
        loads(b, "small", "load 60,000 files", data.small, data.SMALL, 1)
    if b.wanted(*builds.ROWS):
        builds.run(b, start)
    for key, act in (("disk", disk), ("images", images)):
        if b.wanted(key):
            act(b)
    if b.wanted("memory"):
        idle(b, "after all of it")


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default=str(sides.HERE.parent / "build"))
    ap.add_argument("--runs", type=int, default=15, help="rounds of what is short")
    ap.add_argument("--heavy", type=int, default=5, help="rounds of load, save, commit")
    ap.add_argument("--only", default="", help=", ".join(ROWS))
    ap.add_argument("--quick", action="store_true", help="three rounds of each")
    ap.add_argument("--json", default="")
    ap.add_argument("--without", default="", help="docker, podman, buildah")
    opt = ap.parse_args()
    unknown = [w for w in opt.only.split(",") if w and w not in ROWS]
    if unknown:
        raise SystemExit(f"there is no row {unknown[0]}; rows are {', '.join(ROWS)}")
    if opt.quick:
        opt.runs = opt.heavy = 3
    if os.geteuid() != 0:
        raise SystemExit("needs root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the engines end with us
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")))
    os.chmod(folder, 0o755)
    begun, started = time.monotonic(), []
    head = {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cpu": processor(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "load_before": os.getloadavg()[0], "versions": {}}
    try:
        print("{date}: {cpu}, {cpus} CPUs, kernel {kernel}, load before {load_before:.2f}".format(**head))
        def start(make):
            started.append(make(folder, opt.build))
            head["versions"][make.name] = started[-1].start()
            print(f"{make.name}: {head['versions'][make.name]}", flush=True)
            return started[-1]
        part = [start(make) for make, program in ((sides.Bulkhead, ""), (sides.Docker, "dockerd"), (sides.Podman, "podman"))
                if not program or (shutil.which(program) and make.name not in opt.without)]
        b = Bench(part, folder, opt)
        run_all(b, start)
        head["load_after"] = os.getloadavg()[0]
        print(f"load after {head['load_after']:.2f}; {time.monotonic() - begun:.0f} s")
        if opt.json:
            pathlib.Path(opt.json).write_text(json.dumps({**head, "rows": b.rows}, indent=1) + "\n")
    finally:
        for s in started:
            try:
                s.stop()
            except Exception as e:  # the others must be stopped too
                print(f"{s.name}: stop: {e}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
