"""The images that the cases start from.  The same bytes at every run with the same busybox."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import makeimage as mk  # noqa: E402

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
www:x:33:33:www:/home/www:/bin/sh
app:x:1000:1000:app:/home/app:/bin/sh
lonely:x:44:4444:no group has that number:/:/bin/sh
7:x:70:70:a name that is a number:/:/bin/sh
"""
GROUP = b"root:x:0:\nwww:x:33:\nextra:x:500:www\napp:x:1000:\n"

# What runc and crun would make as mount points is there, so that no builder leaves some of its own.
SYSTEM = [(name, None, mode) for name, mode in (
    ("proc", 0o555), ("sys", 0o555), ("dev", 0o755), ("dev/pts", 0o755), ("dev/shm", 0o1777), ("dev/mqueue", 0o1777), ("run", 0o755),
    ("var", 0o755), ("var/tmp", 0o1777), ("srv", 0o755), ("usr", 0o755), ("usr/bin", 0o755))]
SYSTEM += [("etc/hosts", b"", 0o644), ("etc/resolv.conf", b"", 0o644), ("etc/hostname", b"", 0o644), ("dev/console", b"", 0o600)]
SYSTEM += [("etc/passwd", PASSWD, 0o644), ("etc/group", GROUP, 0o644)]
DATA = [("data", None, 0o755), ("data/file", b"base\n", 0o644), ("data/exec", b"#!/bin/sh\necho ran\n", 0o755), ("data/dir", None, 0o750),
        ("data/dir/inner", b"inner\n", 0o640), ("data/dir/sub", None, 0o755), ("data/dir/sub/deep", b"deep\n", 0o600),
        ("data/owned", b"owned\n", 0o644, 33), ("home/app", None, 0o700, 1000), ("empty", None, 0o711),
        ("linkdir", "data/dir", 0o777), ("abslink", "/data/dir", 0o777), ("filelink", "data/file", 0o777),
        ("dangling", "/nowhere/at/all", 0o777), ("climb", "../../../data/dir", 0o777), ("loop", "loop", 0o777)]


def run(**more):
    return {"Env": ["PATH=/bin:/usr/bin"], "Cmd": ["/bin/sh"], **more}


def images():
    """Name -> makeimage.Image."""
    layers = [mk.busybox_layer(), mk.tar_of(SYSTEM), mk.tar_of(DATA)]
    rich = run(Env=["PATH=/bin:/usr/bin", "A=from base", "B=b"], Entrypoint=["/bin/echo", "e"], Cmd=["c"], WorkingDir="/data",
               Labels={"l": "1", "kept": "yes"}, Volumes={"/vol": {}}, ExposedPorts={"80/tcp": {}}, StopSignal="SIGUSR1",
               Healthcheck={"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}, Shell=["/bin/sh", "-ec"])
    return {
        "base:1": mk.Image(layers, run()),
        "base:rich": mk.Image(layers, rich),
        "base:user": mk.Image(layers, run(User="www")),
        "base:workdir": mk.Image(layers, run(WorkingDir="/site/dir")),
        "base:onbuild": mk.Image(layers, run(OnBuild=["ENV O=1", "RUN echo $O > /o", "COPY on /on", "WORKDIR /ow"])),
        "base:bare": mk.Image([mk.busybox_layer()], {"Env": ["PATH=/bin"]}),
        "base:small": mk.Image(layers[2:], {}),
        "base:noconfig": mk.Image(layers, {}),
    }


def archive():
    """All of them as one docker archive, and the diff ids of each."""
    made = images()
    return mk.docker_archive([(image, [name]) for name, image in made.items()]), made
