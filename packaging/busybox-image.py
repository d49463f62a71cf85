#!/usr/bin/env python3
"""busybox-image.py OUT NAME[:TAG]: a docker archive of one image made of Debian's busybox-static.

Two layers: the program with a link for each applet, and a few files.  Nothing is downloaded, and the
same busybox gives the same bytes.
"""
import hashlib, io, json, subprocess, sys, tarfile

BUSYBOX = "/bin/busybox"


def entry(tar, name, data=None, mode=0o755, link=None):
    info = tarfile.TarInfo(name)
    info.mtime, info.mode = 1704164645, mode
    if link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, link
        tar.addfile(info)
    elif data is None:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    else:
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))


def layer(fill):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        fill(tar)
    return out.getvalue()


def programs(tar):
    entry(tar, "bin")
    entry(tar, "bin/busybox", open(BUSYBOX, "rb").read())
    applets = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    for name in sorted(set(applets) - {"busybox"}):
        entry(tar, f"bin/{name}", link="busybox")


def files(tar):
    for name, mode in (("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("srv", 0o755)):
        entry(tar, name, mode=mode)
    entry(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/srv:/bin/sh\n", 0o644)
    entry(tar, "etc/group", b"root:x:0:\nwww:x:33:\n", 0o644)
    entry(tar, "etc/motd", b"an image made of busybox\n", 0o644)


def main(out, name):
    layers = [layer(programs), layer(files)]
    config = json.dumps({
        "created": "2024-01-02T03:04:05Z", "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "busybox"},
                    {"created": "2024-01-02T03:04:05Z", "created_by": "files"}]}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    if ":" not in name.rsplit("/", 1)[-1]:
        name += ":latest"
    with tarfile.open(out, "w") as tar:
        names = [f"{i}/layer.tar" for i in range(len(layers))]
        for path, data in zip(names, layers):
            entry(tar, path, data, 0o644)
        entry(tar, config_name, config, 0o644)
        manifest = [{"Config": config_name, "RepoTags": [name], "Layers": names}]
        entry(tar, "manifest.json", json.dumps(manifest).encode(), 0o644)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
