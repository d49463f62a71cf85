"""Images for tests, made without any tool: layers, configs, docker archives, OCI layouts.

Every byte is told by the arguments, so that two calls give the same image.
"""
import bz2, gzip, hashlib, io, json, lzma, os, shutil, subprocess, tarfile

CREATED = "2024-01-02T03:04:05Z"
BUSYBOX = "/bin/busybox"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if how == "bzip2":
        return bz2.compress(data)
    if how == "xz":
        return lzma.compress(data)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    assert how == "plain", how
    return data


def tar_of(entries):
    """(name, content, mode[, uid]): content None is a folder, a str a symbolic link, bytes a file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, mode, *owner in entries:
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = 1704164645, mode
            info.uid = info.gid = owner[0] if owner else 0
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return made.getvalue()


_busybox = None


def busybox_layer():
    global _busybox
    if _busybox is None:
        applets = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
        with open(BUSYBOX, "rb") as f:
            program = f.read()
        entries = [("bin", None, 0o755), ("bin/busybox", program, 0o755)]
        entries += [(f"bin/{name}", "busybox", 0o777) for name in sorted(set(applets) - {"busybox"})]
        entries += [("etc", None, 0o755), ("tmp", None, 0o1777), ("root", None, 0o700), ("home", None, 0o755),
                    ("home/www", None, 0o755, 33),
                    ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/home/www:/bin/sh\n", 0o644),
                    ("etc/group", b"root:x:0:\nwww:x:33:\nextra:x:500:www\n", 0o644)]
        _busybox = tar_of(entries)
    return _busybox


class Image:
    """layers: uncompressed tars, lowest first; run: the config's "config"."""

    def __init__(self, layers, run=None, created=CREATED, history=None, **more):
        self.layers = layers
        self.config = json.dumps({
            "created": created, "architecture": "amd64", "os": "linux", **more,
            "config": run if run is not None else {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [sha(layer) for layer in layers]},
            "history": history or [{"created": created, "created_by": f"step {i}"} for i in range(len(layers))]}).encode()

    @property
    def id(self):
        return sha(self.config)


def busybox(run=None, extra=(), **more):
    """An image that can run: busybox, and one layer for each list of entries in extra."""
    return Image([busybox_layer(), *(tar_of(entries) for entries in extra)], run, **more)


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o644, 0
    tar.addfile(info, io.BytesIO(data))


def docker_archive(named):
    """[(image, [tag, ...]), ...] -> bytes of a `docker save` of before 25."""
    made, seen = io.BytesIO(), set()
    with tarfile.open(fileobj=made, mode="w") as tar:
        manifest = []
        for image, tags in named:
            names = []
            for layer in image.layers:
                name = sha(layer)[7:] + "/layer.tar"
                names.append(name)
                if name not in seen:
                    add(tar, name, layer)
                    seen.add(name)
            config = image.id[7:] + ".json"
            if config not in seen:
                add(tar, config, image.config)
                seen.add(config)
            manifest.append({"Config": config, "RepoTags": tags or None, "Layers": names})
        add(tar, "manifest.json", json.dumps(manifest).encode())
    return made.getvalue()


class Layout:
    """An OCI layout in memory: name -> bytes."""

    def __init__(self):
        self.files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.manifests = []

    def blob(self, data):
        self.files["blobs/sha256/" + sha(data)[7:]] = data
        return {"digest": sha(data), "size": len(data)}

    def manifest(self, image, codec="gzip", annotations=None):
        """The descriptor of the image's manifest."""
        kind = LAYER + {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}[codec]
        document = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": CONFIG, **self.blob(image.config)},
                    "layers": [{"mediaType": kind, **self.blob(compress(layer, codec))} for layer in image.layers]}
        if annotations:
            document["annotations"] = annotations
        return {"mediaType": MANIFEST, **self.blob(json.dumps(document, indent=1).encode())}

    def add(self, image, tag=None, **how):
        descriptor = self.manifest(image, **how)
        if tag:
            descriptor["annotations"] = {"org.opencontainers.image.ref.name": tag}
            if "/" in tag or ":" in tag:
                descriptor["annotations"] = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag.rsplit(":", 1)[-1]}
        self.manifests.append(descriptor)
        return descriptor["digest"]

    def index(self, images, tag, absent=(), media=INDEX):
        """An index of images, those in `absent` only named by it; the digest of the index."""
        entries = []
        for image in images:
            descriptor = self.manifest(image)
            config = json.loads(image.config)
            descriptor["platform"] = {"os": config["os"], "architecture": config["architecture"]}
            entries.append(descriptor)
            if image in absent:
                del self.files["blobs/sha256/" + descriptor["digest"][7:]]
        document = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": entries}, indent=2).encode()
        self.manifests.append({"mediaType": media, **self.blob(document), "annotations": {"io.containerd.image.name": tag}})
        return sha(document)

    def close(self):
        self.files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode()
        return self.files

    def tar(self):
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            for name, data in sorted(self.close().items()):
                add(tar, name, data)
        return made.getvalue()

    def folder(self, path):
        shutil.rmtree(path, ignore_errors=True)
        for name, data in self.close().items():
            at = os.path.join(path, name)
            os.makedirs(os.path.dirname(at), exist_ok=True)
            with open(at, "wb") as f:
                f.write(data)
        return path


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path
