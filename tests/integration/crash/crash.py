#!/usr/bin/env python3
"""The store under failing calls, kills and a full disk: what was acknowledged stays, what was not leaves nothing.

  crash.py STOREDIR_TOOL SHIM fail     the k-th write, sync, link .. of each act fails, for every k
  crash.py STOREDIR_TOOL SHIM kill     the process is killed there instead
  crash.py STOREDIR_TOOL SHIM cut      the power fails there: what was not synced is gone
  crash.py STOREDIR_TOOL SHIM full     a small tmpfs runs full (needs root)

BH_CRASH_STEP=n tries every n-th point only: 1 for all of them; when nothing is said 5, for cut 12.
"""
import errno, gzip, hashlib, io, json, os, pathlib, random, shutil, subprocess, sys, tarfile, tempfile

TOOL, SHIM, MODE = sys.argv[1:4]
work = pathlib.Path(tempfile.mkdtemp(prefix="bh-crash-"))
points = bad = 0


def add(tar, name, data):
    t = tarfile.TarInfo(name)
    t.size = len(data)
    tar.addfile(t, io.BytesIO(data))


def layer(text, size=3000):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, text[:80], (text.encode() * (size // len(text) + 1))[:size])
    return out.getvalue()


def archive(path, images, size=3000):
    """docker-archive of {name: [layer texts]}"""
    manifest = []
    seen = set()
    with tarfile.open(path, "w") as tar:
        for name, texts in images.items():
            layers = [layer(t, size) for t in texts]
            config = json.dumps({
                "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Cmd": [name]},
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
                "history": [{"created_by": t} for t in texts]}).encode()
            member = hashlib.sha256(config).hexdigest() + ".json"
            add(tar, member, config)
            names = []
            for l in layers:
                names.append(hashlib.sha256(l).hexdigest() + ".tar")
                if names[-1] not in seen:
                    add(tar, names[-1], l)
                seen.add(names[-1])
            manifest.append({"Config": member, "RepoTags": [name], "Layers": names})
        add(tar, "manifest.json", json.dumps(manifest).encode())


def blobs(folder, texts, size):
    """A folder of blobs: an image of gzip layers; the digest of its manifest, and its first layer (digest, size, diff id)."""
    folder.mkdir()

    def put(data):
        digest = hashlib.sha256(data).hexdigest()
        (folder / digest).write_bytes(data)
        return {"digest": "sha256:" + digest, "size": len(data)}
    tars = [layer(t, size) for t in texts]
    diff_ids = ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
                             "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode())
    oci = "application/vnd.oci.image."
    layers = [{"mediaType": oci + "layer.v1.tar+gzip", **put(gzip.compress(t, 1, mtime=0))} for t in tars]
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
                               "config": {"mediaType": oci + "config.v1+json", **config}, "layers": layers}).encode())
    return manifest["digest"], (layers[0]["digest"], layers[0]["size"], diff_ids[0])


def tool(store, *args, **env):
    e = {k: v for k, v in os.environ.items() if not k.startswith("BH_FAIL")}
    if env:
        e.update(LD_PRELOAD=SHIM, **env)
    return subprocess.run([TOOL, str(store), *map(str, args)], env=e, capture_output=True, text=True, timeout=120)


def good(r):
    assert r.returncode == 0, (r.args, r.returncode, r.stdout, r.stderr)
    return r.stdout


def listing(store):
    return sorted(good(tool(store, "list")).splitlines())


def names(lines):
    """Without ids that differ by time: sizes and names only."""
    return sorted(" ".join(l.split()[2:]) for l in lines)


def complain(act, k, why, r):
    global bad
    bad += 1
    print(f"{MODE} {act[0]} at {k}: {why}\n  {r.args[1:]} exit {r.returncode}\n  {r.stdout[-300:]!r} {r.stderr[-300:]!r}")


def fresh(base):
    store = work / "s"
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(base, store)
    return store


def power_cut(store, log, keep_index):
    """What the disk has after a power cut at this moment, at worst: new names whose folders were not synced are gone,
    files are empty that were written and not synced.  keep_index: of the index everything was written just in time."""
    synced, dirty, pending = {}, set(), {}
    for line in log.read_text().splitlines():
        what, inode, *more = line.split()
        if what == "w":
            dirty.add(inode)
        elif what == "s":
            synced[inode] = int(more[0])
            dirty.discard(inode)
            pending.pop(inode, None)
        elif what == "u":
            for inodes in pending.values():
                inodes.discard(inode)
        else:
            pending.setdefault(inode, set()).add(more[0])
    gone = set().union(*pending.values())
    for path in sorted(store.rglob("*"), reverse=True):
        inode = str(path.lstat().st_ino)
        if path.name.startswith("meta.db"):
            if path.name == "meta.db-wal" and not keep_index:
                os.truncate(path, synced.get(inode, 0))
        elif inode in gone:
            path.rmdir() if path.is_dir() and not any(path.iterdir()) else shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif path.is_file() and inode in dirty:
            os.truncate(path, 0)


def each_cut(base, act):
    """Like kills, and then only what was synced is there; once more after the act has been acknowledged."""
    global points
    store = fresh(base)
    before = names(listing(store))
    count, log = work / "count", work / "log"
    good(tool(store, *act, BH_FAIL_COUNT=str(count)))
    after = names(listing(store))
    total = int(count.read_text())
    step = int(os.environ.get("BH_CRASH_STEP", "12"))  # each point is looked at twice
    for k in [*range(1 + points % step, total + 1, step), total + 1000]:
        for keep_index in (False, True):
            store = fresh(base)
            log.write_text("")
            r = tool(store, *act, BH_FAIL_AT=str(k), BH_FAIL_KILL="1", BH_FAIL_LOG=str(log))
            points += 1
            power_cut(store, log, keep_index)
            told = "acknowledged" in r.stdout
            judge(store, act, f"{k}, index {'as it was' if keep_index else 'as synced'}", r, after if told else before, after)
    print(f"{act[0]}: {total} calls")


def judge(store, act, k, r, before, after):
    """After a failure or a kill the store is clean and shows all or nothing of the act."""
    c = tool(store, "check")
    if c.returncode != 0:
        complain(act, k, "check: " + c.stdout.strip() + c.stderr.strip(), r)
        return
    seen = names(listing(store))
    if MODE == "fail" and r.returncode not in (0, 1):
        complain(act, k, "neither done nor refused: " + r.stderr[-3000:], r)
    if r.returncode == 0 and seen != after:
        complain(act, k, f"acknowledged, but {seen}", r)
    if r.returncode == 1 and not r.stderr.strip():
        complain(act, k, "failed without a word", r)
    if seen not in (before, after):
        complain(act, k, f"neither before nor after: {seen}", r)
    strays = [p for p in (store / "ingest").iterdir()]
    if strays:
        complain(act, k, f"left {strays}", r)


def each_point(base, act):
    global points
    store = fresh(base)
    before = names(listing(store))
    count = work / "count"
    good(tool(store, *act, BH_FAIL_COUNT=str(count)))
    after = names(listing(store))
    total = int(count.read_text())
    assert total > 0
    variants = ([{"BH_FAIL_KILL": "1"}] if MODE == "kill" else
                [{"BH_FAIL_ERRNO": str(errno.EIO)}, {"BH_FAIL_ERRNO": str(errno.ENOSPC), "BH_FAIL_STICKY": "1"}])
    step = int(os.environ.get("BH_CRASH_STEP", "5"))
    for k in range(1 + points % step, total + 1, step):
        for v in variants:
            store = fresh(base)
            r = tool(store, *act, BH_FAIL_AT=str(k), **v)
            points += 1
            judge(store, act, k, r, before, after)
    print(f"{act[0]}: {total} calls")


def prepared():
    base = work / "base"
    base.mkdir()
    archive(work / "one.tar", {"one:1": ["base", "a"], "two:1": ["base", "b"]})
    archive(work / "more.tar", {"three:1": ["base", "c", "d"], "one:1": ["e"]})
    global pulled, first
    pulled, _ = blobs(work / "blobs", ["p", "q"], 3000)
    random.seed(1)
    _, big = blobs(work / "big", [random.randbytes(300_000).hex()], 600_000)
    first = ("cut", work / "big", *big)
    (work / "layer.tar").write_bytes(layer("change"))
    (work / "folder" / "sub").mkdir(parents=True)
    for name in ("one", "sub/two"):
        (work / "folder" / name).write_bytes(name.encode() * 1000)
        os.utime(work / "folder" / name, (1, 1))
    good(tool(base, "load", work / "one.tar"))
    good(tool(base, "load", work / "more.tar"))
    good(tool(base, "rmi", "three:1"))
    return base


def acts():
    return [("load", work / "more.tar"), ("import", work / "layer.tar", "imp:1"),
            ("build", work / "folder", "built:1"),
            ("commit", "two:1", work / "layer.tar", "com:1"), ("rmi", "two:1"), ("tag", "two:1", "tag:1"),
            ("untag", "one:1"), ("prune",), ("pull", work / "blobs", pulled, "example.com/a:1"), first,
            ("push", "two:1"), ("save", work / "out.tar", "one:1", "two:1")]


def full():
    mount = work / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)]).returncode != 0:
        sys.exit(77)
    try:
        archive(work / "fits.tar", {"fits:1": ["x"]}, 200000)
        archive(work / "big.tar", {"big:1": [f"layer{i}" for i in range(12)]}, 1000000)
        good(tool(mount, "load", work / "fits.tar"))
        before = listing(mount)
        r = tool(mount, "load", work / "big.tar")
        assert r.returncode == 1 and r.stderr.count("\n") == 1, r
        assert "no space left on the file system" in r.stderr and "needed" in r.stderr, r.stderr
        assert listing(mount) == before
        good(tool(mount, "check"))
        # and with nothing left at all: looking and removing still work
        with open(mount / "filler", "wb") as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
                    f.flush()
            except OSError:
                pass
        assert listing(mount) == before
        r = tool(mount, "load", work / "big.tar")
        assert r.returncode == 1 and "no space left" in r.stderr, r
        print(good(tool(mount, "rmi", "fits:1")), end="")
        good(tool(mount, "prune"))
        assert listing(mount) == []
        good(tool(mount, "check"))
    finally:
        subprocess.run(["umount", str(mount)], check=True)


try:
    if MODE == "full":
        full()
    else:
        base = prepared()
        for act in acts():
            (each_cut if MODE == "cut" else each_point)(base, act)
        print(f"{points} points, {bad} bad")
finally:
    shutil.rmtree(work, ignore_errors=True)
sys.exit(1 if bad else 0)
