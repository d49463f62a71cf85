"""The images that compare.py measures with: made here, the same at every run, nothing downloaded."""
import hashlib
import io
import json
import pathlib
import random
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
POOL = [random.Random(i).randbytes(16) for i in range(4096)] + [b"\0" * 16] * 4096
BIG, SMALL, BUSYBOX = "bench/big:1", "bench/small:1", "bench/bb:1"
N_IMAGES = 1000


def words(rng, n):
    """Bytes that compress about as program files do."""
    return b"".join(rng.choices(POOL, k=n // 16)).ljust(n, b"x")


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


def diff_id(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(diff_ids, number=0):
    return json.dumps({"created": "2024-01-02T03:04:05Z", "architecture": "amd64", "os": "linux",
                       "config": {"Env": ["PATH=/bin", f"NUMBER={number}"], "Cmd": ["/bin/sh"]},
                       "rootfs": {"type": "layers", "diff_ids": diff_ids},
                       "history": [{"created_by": f"layer {i}"} for i in range(len(diff_ids))]}).encode()


def archive(path, layers, images):
    """images: (name, config); every image has all the layers.  Returns the images' ids."""
    ids = []
    with tarfile.open(path, "w") as tar:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for i, data in enumerate(layers):
            add(f"{i}/layer.tar", data)
        manifest = []
        for name, text in images:
            ids.append(hashlib.sha256(text).hexdigest())
            add(ids[-1] + ".json", text)
            manifest.append({"Config": ids[-1] + ".json", "RepoTags": [name],
                             "Layers": [f"{i}/layer.tar" for i in range(len(layers))]})
        add("manifest.json", json.dumps(manifest).encode())
    return ids


def big(path):
    """8 layers, 460 MB, sizes of files as in a distribution.  Returns id and diff ids."""
    rng, layers = random.Random(7), []
    for k in range(8):
        files, size = [(f"usr/l{k}", None)], 0
        while size < 460_000_000 // 8:
            n = min(int(rng.lognormvariate(10.2, 1.6)) + 1, 20_000_000)
            files.append((f"usr/l{k}/f{len(files)}", words(rng, n)))
            size += n
        layers.append(layer(files))
    ids = [diff_id(x) for x in layers]
    return archive(path, layers, [(BIG, config(ids))])[0], ids


def small(path):
    """One layer of 60,000 files in 600 folders."""
    rng, entries = random.Random(8), [("data", None)]
    for d in range(600):
        entries.append((f"data/d{d}", None))
        entries += [(f"data/d{d}/f{i}", words(rng, 512 + rng.randrange(4096))) for i in range(100)]
    data = layer(entries)
    return archive(path, [data], [(SMALL, config([diff_id(data)]))])[0], [diff_id(data)]


def many(folder, each=100):
    """1,000 images, each with a config and a name of its own, over one layer; in ten archives many-*.tar."""
    data = layer([("hello", b"hello\n")])
    for k in range(0, N_IMAGES, each):
        archive(folder / f"many-{k:04d}.tar", [data],
                [(f"bench/n{i}:1", config([diff_id(data)], i)) for i in range(k, k + each)])


def build_context(folder, n=5000):
    """n small files in a tree, and two that a test changes."""
    rng = random.Random(9)
    for i in range(n):
        at = folder / "src" / f"d{i // 100}"
        at.mkdir(parents=True, exist_ok=True)
        (at / f"f{i}.c").write_bytes(words(rng, 512 + rng.randrange(8192)))
    for name in ("early", "late"):
        (folder / name).mkdir()
        (folder / name / "one").write_text("0")
    return folder


def busybox(path):
    subprocess.run([sys.executable, str(HERE.parent / "packaging/busybox-image.py"), str(path), BUSYBOX], check=True)
