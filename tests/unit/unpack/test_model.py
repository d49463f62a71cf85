#!/usr/bin/env python3
"""Random tars against a small model of docs/store-format.md, section 4.

Few names, many collisions: replaced directories, links to links, whiteouts beside files, parents that are
symlinks, hard links to what was replaced.  The mounted layer must be the model's tree, or both refuse.
Needs root and a kernel that mounts EROFS from a file; else skipped (exit 77).
Usage: test_model.py WORKER [COUNT] [SEED]
"""
import os
import random
import stat
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration/hostile"))
import erofsmount  # noqa: E402
import unpackjob as job  # noqa: E402
from tarbytes import directory, entry, hardlink, header, symlink, tar  # noqa: E402


class Refused(Exception):
    pass


class Node:
    def __init__(self, kind, data=b"", mode=0o644):
        self.kind, self.data, self.mode = kind, data, mode  # kind: dir file link fifo dev
        self.names, self.opaque = {}, False  # dir: name -> [node or None, whiteout]


def clean(name):
    parts = []
    for p in name.split(b"/"):
        if p in (b"", b"."):
            continue
        if p == b"..":
            if parts:
                parts.pop()
            elif not name.startswith(b"/"):
                raise Refused("leads out")
        else:
            parts.append(p)
    return parts


class Model:
    def __init__(self):
        self.root = Node("dir", mode=0o755)

    def walk(self, parts, create):
        """Directories along the way, as a list from the root, so that '..' of a target has a meaning."""
        way, todo, links = [self.root], list(parts), 0
        while todo:
            p = todo.pop(0)
            if p == b"..":
                if len(way) > 1:
                    way.pop()
                continue
            node = way[-1].names.get(p, [None, False])[0]
            if node and node.kind == "link":
                links += 1
                if links > 40:
                    raise Refused("circle")
                if node.data.startswith(b"/"):
                    way = [self.root]
                todo = [x for x in node.data.split(b"/") if x not in (b"", b".")] + todo
                continue
            if node is None or node.kind != "dir":
                if not create:
                    return None
                node = Node("dir", mode=0o755)
                way[-1].names.setdefault(p, [None, False])[0] = node
            way.append(node)
        return way[-1]

    def apply(self, e):
        kind, name, arg = e
        parts = clean(name)
        if not parts:
            if kind != "dir":
                raise Refused("root")
            self.root.mode = arg
            return
        parent, base = self.walk(parts[:-1], True), parts[-1]
        if base == b".wh..wh..opq":
            parent.opaque = True
            return
        if base.startswith(b".wh.") and not base.startswith(b".wh..wh."):
            if base[4:] in (b"", b".", b".."):
                raise Refused("nothing")
            parent.names.setdefault(base[4:], [None, False])[1] = True
            return
        slot = parent.names.setdefault(base, [None, False])
        if kind == "hard":
            slot[0] = self.target(arg, slot)
        elif kind == "dir" and slot[0] and slot[0].kind == "dir":
            slot[0].mode = arg
        elif kind == "dir":
            slot[0] = Node("dir", mode=arg)
        else:
            slot[0] = Node(kind, arg)

    def target(self, link, slot):
        parts = clean(link)
        parent = self.walk(parts[:-1], False) if parts else None
        found = parent.names.get(parts[-1]) if parent else None
        if not found or not found[0] or found[0].kind == "dir" or found is slot:
            raise Refused("target")
        return found[0]

    def facts(self):
        out = {}

        def go(node, path):
            for name, (child, whiteout) in node.names.items():
                if name.startswith(b".wh..wh."):
                    continue
                full = path + [name]
                key = b"/".join(full)
                if child is None:
                    if whiteout:
                        out[key] = ("whiteout",)
                elif child.kind == "dir":
                    out[key] = ("dir", child.mode, child.opaque or whiteout)
                    go(child, full)
                elif child.kind != "dev":
                    out[key] = (child.kind, child.data if child.kind in ("file", "link") else b"", id(child))
        go(self.root, [])
        out[b"."] = ("dir", self.root.mode, self.root.opaque)
        return out


def mounted(top):
    out = {}

    def one(path):
        st = os.lstat(path)
        if stat.S_ISDIR(st.st_mode):
            marks = [x for x in ("trusted.overlay.opaque", "user.overlay.opaque") if x in os.listxattr(path)]
            assert len(marks) in (0, 2), path
            return ("dir", stat.S_IMODE(st.st_mode), bool(marks))
        if stat.S_ISCHR(st.st_mode):
            assert st.st_rdev == 0
            return ("whiteout",)
        if stat.S_ISLNK(st.st_mode):
            return ("link", os.readlink(path), st.st_ino)
        if stat.S_ISFIFO(st.st_mode):
            return ("fifo", b"", st.st_ino)
        with open(path, "rb") as f:
            return ("file", f.read(), st.st_ino)
    for folder, dirs, files in os.walk(os.fsencode(top)):
        for n in dirs + files:
            out[os.path.relpath(os.path.join(folder, n), os.fsencode(top))] = one(os.path.join(folder, n))
    out[b"."] = one(os.fsencode(top))
    return out


def normal(facts):
    """Identities of inodes become the list of names that share them."""
    groups = {}
    for k, v in facts.items():
        if v[0] in ("file", "link", "fifo"):
            groups.setdefault(v[2], []).append(k)
    return {k: v[:2] + (tuple(sorted(groups[v[2]])),) if v[0] in ("file", "link", "fifo") else v for k, v in facts.items()}


NAMES = [b"a", b"b", b"c", b"d"]


def random_name(r, deep=4):
    parts = [r.choice(NAMES) for _ in range(r.randint(1, deep))]
    if r.random() < 0.05:
        parts.insert(r.randrange(len(parts) + 1), r.choice([b"..", b".", b""]))
    return (b"/" if r.random() < 0.1 else b"") + b"/".join(parts)


def random_entry(r, i):
    k = r.random()
    name = random_name(r)
    if k < 0.35:
        return ("file", name, b"%d" % i)
    if k < 0.55:
        return ("dir", name, r.choice([0o755, 0o700, 0o1777]))
    if k < 0.70:
        return ("link", name, r.choice([random_name(r, 3), b"../" * r.randint(1, 3) + r.choice(NAMES), b"/" + r.choice(NAMES)]))
    if k < 0.80:
        return ("hard", name, random_name(r))
    if k < 0.84:
        return ("fifo", name, b"")
    if k < 0.87:
        return ("dev", name, b"")
    folder, _, base = name.rpartition(b"/")
    base = b".wh..wh..opq" if k < 0.90 else b".wh." + base
    return ("file", (folder + b"/" if folder else b"") + base, b"")


def bytes_of(e):
    kind, name, arg = e
    return {"file": lambda: entry(name, arg), "dir": lambda: directory(name, mode=arg), "link": lambda: symlink(name, arg),
            "hard": lambda: hardlink(name, arg), "fifo": lambda: header(name, type=b"6"),
            "dev": lambda: header(name, type=b"3", major=1, minor=3)}[kind]()


def random_case(r):
    """Mostly entries that the model takes: one that it refuses ends a tar."""
    model, entries, refused = Model(), [], False
    for i in range(r.randint(1, 80)):
        e = random_entry(r, i)
        before = len(entries)
        entries.append(e)
        try:
            model.apply(e)
        except Refused:
            if r.random() < 0.97:
                # take it back; the model may have made parents, so start again without it
                entries.pop()
                model = Model()
                for old in entries:
                    model.apply(old)
                continue
            refused = True
            break
        assert len(entries) == before + 1
    return model, entries, refused


def check(worker, work, seed):
    model, entries, refused = random_case(random.Random(seed))
    path = os.path.join(work, "t.tar")
    with open(path, "wb") as f:
        f.write(tar(*[bytes_of(e) for e in entries]))
    with open(path + ".layer", "w+b") as out:
        o = job.run(worker, "layer", path, out.fileno())
    if o.kind == "dead" or (o.kind == "error") != refused:
        print("seed %d: %s, the model says %s\n  %s" % (seed, o, "refuse" if refused else "take", entries))
        return 1
    if refused:
        return 0
    top = os.path.join(work, "m")
    os.makedirs(top, exist_ok=True)
    erofsmount.mount(path + ".layer", top)
    try:
        got = normal(mounted(top))
    finally:
        erofsmount.umount(top)
    want = normal(model.facts())
    if got != want:
        bad = [k for k in set(got) | set(want) if got.get(k) != want.get(k)]
        print("seed %d: %r: got %s, want %s\n  %s" % (seed, bad[0], got.get(bad[0]), want.get(bad[0]), entries))
        return 1
    return 0


def main(argv):
    if os.geteuid() != 0:
        return 77
    count, start = int(argv[1]) if len(argv) > 1 else 300, int(argv[2]) if len(argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="b-model-") as work:
        try:
            bad = sum(check(argv[0], work, s) for s in range(start, start + count))
        except OSError as e:
            print("this kernel does not mount a layer file: %s" % e)
            return 77
    print("%d random tars, %d wrong" % (count, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
