"""What tests of builds share: two small bases, contexts, and looking at what came of a build."""
import itertools, json, os

import makeimage as mk
from cases import inspect, out

BB = mk.busybox({"Env": ["PATH=/bin"], "Cmd": ["sh"]},
                [[("etc", None, 0o755), ("etc/passwd", b"root:x:0:0:r:/root:/bin/sh\nneko:x:77:88:n:/:/bin/sh\n", 0o644),
                  ("etc/group", b"root:x:0:\ncat:x:99:\n", 0o644), ("tmp", None, 0o1777), ("run", None, 0o755), ("var", None, 0o755),
                  ("var/run", "../run", 0o777), ("old", None, 0o755), ("old/file", b"old\n", 0o644), ("root", None, 0o700)]])
TRIGGER = mk.busybox({"Env": ["PATH=/bin"], "OnBuild": ["RUN echo trigger > /trigger", "ENV T=1"]}, [[("base", b"", 0o644)]])


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(BB, ["bb:latest"]), (TRIGGER, ["trigger:latest"])]), text=False)


def context(e, name, files):
    """A folder of files, by their paths."""
    folder = os.path.join(e.folder, name)
    os.makedirs(folder, exist_ok=True)
    for path, content in files.items():
        whole = os.path.join(folder, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        mk.write(whole, content if isinstance(content, bytes) else content.encode())
    return folder


_numbers = itertools.count()


def build(e, dockerfile, *flags, files=None, tag="t:1", **more):
    """The command's result; the image has the name `tag`."""
    folder = context(e, f"ctx{next(_numbers)}", {"Dockerfile": dockerfile, **(files or {})})
    return e.cli("build", "-t", tag, *flags, folder, check=False, **more)


def good(done):
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def sh(e, script, tag="t:1", *flags):
    return out(e, "run", "--rm", "--entrypoint", "/bin/sh", *flags, tag, "-c", script)


def layers(e, tag="t:1"):
    return inspect(e, tag)["RootFS"]["Layers"]


def rows(e, tag="t:1"):
    return [json.loads(line)["CreatedBy"] for line in out(e, "history", "--no-trunc", "--format", "json", tag).splitlines()]


def folders(e):
    return os.listdir(f"{e.root}/state/launch/containers")
