"""What a case of the build tests is, and how its context gets onto the disk.

The tables (table_*.py) call case(); nothing here knows a builder.
"""
import os

TIME = 1704164645
ALL = []


class File:
    def __init__(self, data=b"", mode=0o644, uid=0, gid=0, xattrs=None):
        self.data = data.encode() if isinstance(data, str) else data
        self.mode, self.uid, self.gid, self.xattrs = mode, uid, gid, xattrs or {}


class Dir:
    def __init__(self, mode=0o755, uid=0, gid=0):
        self.mode, self.uid, self.gid = mode, uid, gid


class Link:
    def __init__(self, target):
        self.target = target


class Hard:
    """A further name of another file of the context."""

    def __init__(self, other):
        self.other = other


class Case:
    """One Dockerfile.

    files: path -> text, bytes, File, Dir, Link, Hard.     args: build args.       target: stage.
    secrets: id -> text.     words: further words for every builder.     name_of_file: the Dockerfile's name.
    fails: every builder must refuse it; for bulkhead the text is a regular expression of its error.
    differs: peer -> why bulkhead's result is rightly another; a reason that is no longer needed fails.
    lacks: peer -> what it cannot do; it is not asked.
    want: lines of the result, exactly; must be there when no peer agrees with bulkhead.
    """

    def __init__(self, name, dockerfile, files=None, *, args=None, target=None, secrets=None, words=(), name_of_file="Dockerfile",
                 fails=None, differs=None, lacks=None, want=None):
        self.name = name
        self.dockerfile = dockerfile.lstrip("\n").encode() if isinstance(dockerfile, str) else dockerfile
        self.files, self.args, self.target, self.secrets = files or {}, args or {}, target, secrets or {}
        self.words, self.name_of_file, self.fails = list(words), name_of_file, fails
        self.differs, self.lacks, self.want = differs or {}, lacks or {}, want

    @property
    def tag(self):
        return f"case/{self.name}:1"

    def write(self, top):
        """The context folder and beside it the secrets; returns the context's path."""
        folder = os.path.join(top, self.name, "context")
        os.makedirs(folder)
        later = []
        for path, what in self.files.items():
            at = os.path.join(folder, path)
            make_parents(folder, os.path.dirname(path))
            if isinstance(what, Hard):
                later.append((what, at))
            else:
                put(at, File(what) if isinstance(what, (str, bytes)) else what)
        for what, at in later:
            os.link(os.path.join(folder, what.other), at)
        if self.name_of_file not in self.files:
            put(os.path.join(folder, self.name_of_file), File(self.dockerfile))
        for name, text in self.secrets.items():
            put(self.secret(top, name), File(text, 0o600))
        for at, folders, names in os.walk(folder):
            for name in folders + names:
                os.utime(os.path.join(at, name), (TIME, TIME), follow_symlinks=False)
        return folder

    def secret(self, top, name):
        return os.path.join(top, self.name, "secret-" + name)


def make_parents(folder, path):
    at = folder
    for part in path.split("/") if path else []:
        at = os.path.join(at, part)
        if not os.path.isdir(at):
            os.mkdir(at)
            os.chmod(at, 0o755)


def put(at, what):
    if isinstance(what, Link):
        os.symlink(what.target, at)
        return
    if isinstance(what, Dir):
        os.makedirs(at, exist_ok=True)
    else:
        with open(at, "wb") as f:
            f.write(what.data)
        for key, value in what.xattrs.items():
            os.setxattr(at, key, value)
    os.chown(at, what.uid, what.gid)
    os.chmod(at, what.mode)


def case(name, dockerfile, files=None, **more):
    assert name not in (c.name for c in ALL), f"two cases are named {name}"
    ALL.append(Case(name, dockerfile, files, **more))
