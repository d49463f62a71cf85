#!/usr/bin/env python3
"""Gives every hostile case to the worker as the store would: the archive job, then a layer job for each layer.

Asserts for each: the outcome that the case expects; never a death without Result; one line of at most 1,024
bytes without control bytes; under 256 MB; under 60 s; and for what loads, that the mounted tree holds what it
should, no device and no foreign overlay mark (needs root and a kernel that mounts EROFS from a file).
Usage: run_cases.py WORKER [NAME-PREFIX] [--no-slow] [--no-mount]
"""
import errno
import os
import stat
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import erofsmount  # noqa: E402
import make_cases  # noqa: E402
import unpackjob as job  # noqa: E402

RSS_MAX_KB = 256 * 1024
SECONDS_MAX = 60


class Wrong(Exception):
    pass


def check_run(o):
    if o.kind == "dead":
        raise Wrong("the worker died: status %s, %r" % (o.status, o.stderr[:300]))
    if o.rss_kb > RSS_MAX_KB and not os.environ.get("BH_SANITIZED"):
        raise Wrong("%d KB of memory" % o.rss_kb)
    if o.seconds > SECONDS_MAX:
        raise Wrong("%.1f s" % o.seconds)
    if o.kind == "error":
        text = o.message
        if not text or len(text) > 1024 or any(ord(ch) < 32 or 127 <= ord(ch) < 160 for ch in text):
            raise Wrong("message %r" % text)


def plan_layers(plan):
    """(missing, layers) of each image; a layer is (offset, size, digest, diff_id)."""
    for image in job.many(plan, 5):
        layers = [(job.one(l, 1, 0), job.one(l, 2, 0), job.one(l, 4).decode(), job.one(l, 5).decode())
                  for l in job.many(image, 11)]
        yield job.one(image, 12).decode(), layers


def walk_tree(top):
    for folder, dirs, files in os.walk(os.fsencode(top)):
        for name in dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if stat.S_ISBLK(st.st_mode) or stat.S_ISSOCK(st.st_mode) or (stat.S_ISCHR(st.st_mode) and st.st_rdev != 0):
                raise Wrong("a device in the tree: %r" % path)
            for x in os.listxattr(path, follow_symlinks=False):
                value = os.getxattr(path, x, follow_symlinks=False)
                if ".overlay." in x and not (x.endswith(".overlay.opaque") and value == b"y" and stat.S_ISDIR(st.st_mode)):
                    raise Wrong("overlay mark %s on %r" % (x, path))


def check_tree(case, layer_file):
    with tempfile.TemporaryDirectory(prefix="b-hostile-") as top:
        try:
            erofsmount.mount(layer_file, top)
        except OSError as e:
            if e.errno != errno.ENOTBLK:
                raise
            return  # this folder's file system (tmpfs) cannot back a mount; the kernel's view is not judged
        try:
            walk_tree(top)
            for name in case.get("holds", ()):
                if not os.path.lexists(os.path.join(os.fsencode(top), os.fsencode(name))):
                    raise Wrong("%r is not in the tree" % name)
            for name in case.get("lacks", ()):
                if os.path.lexists(os.path.join(os.fsencode(top), os.fsencode(name))):
                    raise Wrong("%r is in the tree" % name)
        finally:
            erofsmount.umount(top)


def run_layer(program, case, source, layer, limits, mount):
    offset, size, digest, diff_id = layer
    with tempfile.NamedTemporaryFile(prefix="b-hostile-") as out, tempfile.TemporaryFile() as blob:
        o = job.run(program, "layer", source, out.fileno(), blob.fileno(),
                    job.params(offset=offset, size=size, **limits))
        check_run(o)
        if o.kind == "error":
            return "refuse", o.message
        r = o.layer
        if r["diff_id"] != diff_id or (digest and r["digest"] != digest) or r["size"] != size:
            return "mismatch", "%s is not %s" % (r["diff_id"], diff_id)
        if os.fstat(out.fileno()).st_size != r["file_size"]:
            raise Wrong("file size")
        if mount and case["expect"] == "safe":
            check_tree(case, out.name)
    return "safe", ""


def run_case(program, case, mount):
    limits = make_cases.limits_of(case)
    with tempfile.NamedTemporaryFile(prefix="b-hostile-") as f, tempfile.TemporaryFile() as spool:
        f.write(make_cases.build(case))
        f.flush()
        o = job.run(program, "archive", f.name, spool.fileno(), par=job.params(**limits))
        check_run(o)
        if o.kind == "error":
            return "refuse", o.message
        source = spool.fileno() if job.one(o.body, 1, 0) else f.name
        images = list(plan_layers(o.body))
        loadable = [layers for missing, layers in images if not missing]
        if not loadable:
            return "unloadable", images[0][0] if images else ""
        for layer in {l for layers in loadable for l in layers}:
            outcome, text = run_layer(program, case, source, layer, limits, mount)
            if outcome != "safe":
                return outcome, text
    return "safe", ""


def main(argv):
    options = [a for a in argv if a.startswith("--")]
    words = [a for a in argv if not a.startswith("--")]
    program, prefix = words[0], (words[1] if len(words) > 1 else "")
    mount = "--no-mount" not in options and os.geteuid() == 0
    counts, bad = {}, []
    for case in make_cases.all_cases():
        if not case["name"].startswith(prefix) or ("--no-slow" in options and case["params"].get("slow")):
            continue
        if case["params"].get("rlimit") and os.environ.get("BH_SANITIZED"):
            continue
        try:
            outcome, text = run_case(program, case, mount)
            if outcome != case["expect"]:
                raise Wrong("expected %s, got %s: %s" % (case["expect"], outcome, text))
            if case["word"] and case["word"] not in text:
                raise Wrong("%r is not in the message: %s" % (case["word"], text))
            counts[outcome] = counts.get(outcome, 0) + 1
            if "--verbose" in options:
                print(case["name"], outcome, text)
        except Wrong as e:
            bad.append(case["name"])
            print("%s: %s" % (case["name"], e))
    print("hostile cases: %s; wrong: %d" % (", ".join("%s %d" % kv for kv in sorted(counts.items())), len(bad)))
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
