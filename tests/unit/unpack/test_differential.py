#!/usr/bin/env python3
"""Layers made by the worker, mounted, against the same tar extracted by GNU tar: every name, type, mode, owner,
time, link count, attribute and byte.  Then whiteouts and opaque directories through a real overlay.

Needs root, a kernel that mounts EROFS from a file, and GNU tar; else it is skipped (exit 77).
"""
import hashlib
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../integration/hostile"))
import erofsmount  # noqa: E402
import unpackjob as job  # noqa: E402
from tarbytes import directory, entry, tar  # noqa: E402

WORKER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.environ.get("BULKHEAD_BUILD", "build"), "bin/bulkhead-unpack")
CAP = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in (
    (1, 6, 0xFFFFFFFF), (2, 4, 1234), (4, 4, 0xFFFFFFFF), (16, 6, 0xFFFFFFFF), (32, 4, 0xFFFFFFFF)))


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def make_tree(top):
    """Everything that a layer can hold, but devices."""
    j = lambda *p: os.path.join(os.fsencode(top), *[os.fsencode(x) for x in p])  # noqa: E731
    os.makedirs(j("a", "b", "c"))
    for n in (0, 1, 511, 512, 513, 4095, 4096, 4097, 1000003):
        write(j("a", "size-%d" % n), bytes((i * 7 + n) & 0xFF for i in range(min(n, 5000))) * (n // 5000 + 1 if n else 0))
        os.truncate(j("a", "size-%d" % n), n)
    os.link(j("a", "size-513"), j("a", "b", "link1"))
    os.link(j("a", "size-513"), j("a", "b", "c", "link2"))
    for n in (1, 60, 64, 65, 300, 447, 448, 449, 512, 600, 4000):
        os.symlink("t/" * (n // 2) + "x" * (n % 2), j("a", "sym-%d" % n))
    os.link(j("a", "sym-60"), j("a", "sym-hard"), follow_symlinks=False)
    os.mkfifo(j("a", "fifo"))
    write(j("a", "setuid"), b"s", 0o4755)
    write(j("a", "setgid"), b"s", 0o2755)
    os.mkdir(j("a", "sticky"))
    os.chmod(j("a", "sticky"), 0o1777)
    write(j("a", "big-ids"), b"i")
    os.chown(j("a", "big-ids"), 4000000000, 4000000001)
    write(j("a", "\u00e9t\u00e9"), b"utf8")
    write(j("a").replace(b"a", b"a") + b"/\xff\xfe-raw", b"raw")
    write(j("a", "n" * 255), b"255")
    write(j("a", "new\nline \x1b[1m"), b"ctl")
    write(j("!before-dots"), b"!")
    write(j("--dash"), b"-")
    os.mkdir(j("many"))
    for i in range(3000):
        write(j("many", "file-number-%04d" % i), b"%d" % i)
    write(j("x-user"), b"x")
    os.setxattr(j("x-user"), "user.small", b"v")
    os.setxattr(j("x-user"), "user.large", bytes(range(256)) * 10)
    write(j("x-cap"), b"x", 0o755)
    os.setxattr(j("x-cap"), "security.capability", CAP)
    write(j("x-acl"), b"x", 0o664)
    os.setxattr(j("x-acl"), "system.posix_acl_access", ACL)
    os.mkdir(j("x-dir"))
    os.setxattr(j("x-dir"), "user.dir", b"d")
    with open(j("sparse"), "wb") as f:
        f.truncate(3 << 20)
        f.seek(1 << 20)
        f.write(b"middle")
        f.seek((2 << 20) + 100)
        f.write(b"later")
    with open(j("sparse-empty"), "wb") as f:
        f.truncate(1 << 20)
    with open(j("sparse-many"), "wb") as f:
        for i in range(200):
            f.seek(i * 16384)
            f.write(b"piece %d" % i)
    os.makedirs(j(*["deep"] * 30))
    for t, name in ((0, "t-epoch"), (-1500000000, "t-old"), (1700000000123456789, "t-nano"), (4102444800 * 10**9, "t-2100"),
                    (-5 * 10**8, "t-half-before")):
        write(j(name), b"t")
        os.utime(j(name), ns=(t, t))
    for folder, dirs, files in os.walk(os.fsencode(top), topdown=False):
        os.utime(folder, ns=(10**18 + len(dirs), 10**18 + len(files)))


KEPT = ("user.", "security.capability", "system.posix_acl_access", "system.posix_acl_default")


def facts(top, with_xattrs):
    out = {}
    subdirs = {}
    for folder, dirs, files in os.walk(os.fsencode(top)):
        subdirs[folder] = sum(not os.path.islink(os.path.join(folder, d)) for d in dirs)
        for path in [folder] if folder == os.fsencode(top) else []:
            out[b"."] = one(path, with_xattrs)
        for name in dirs + files:
            path = os.path.join(folder, name)
            out[os.path.relpath(path, os.fsencode(top))] = one(path, with_xattrs)
    for folder, n in subdirs.items():
        out[os.path.relpath(folder, os.fsencode(top))]["nlink"] = n + 2
    return out


def one(path, with_xattrs):
    st = os.lstat(path)
    f = {"mode": st.st_mode, "uid": st.st_uid, "gid": st.st_gid, "mtime": st.st_mtime_ns, "nlink": st.st_nlink}
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as fd:
            f["data"] = (st.st_size, hashlib.sha256(fd.read()).hexdigest())
    if stat.S_ISLNK(st.st_mode):
        f["target"] = os.readlink(path)
    if stat.S_ISDIR(st.st_mode):
        f.pop("nlink")
    if with_xattrs:
        f["xattrs"] = sorted((x, os.getxattr(path, x, follow_symlinks=False)) for x in os.listxattr(path, follow_symlinks=False)
                             if x.startswith(KEPT))
    return f


def make_layer(source, target, **params):
    with open(target, "w+b") as out, tempfile.TemporaryFile() as blob:
        o = job.run(WORKER, "layer", source, out.fileno(), blob.fileno(), job.params(**params))
    if o.kind != "layer":
        raise SystemExit("%s: %s" % (source, o))
    return o.layer


def compare(label, want, got):
    bad = 0
    for name in sorted(set(want) | set(got)):
        if want.get(name) != got.get(name):
            print("%s: %r\n   tar:   %s\n   layer: %s" % (label, name, want.get(name), got.get(name)))
            bad += 1
            if bad > 10:
                break
    return bad


def real_nlink(mounted, got):
    """Directory link counts are counted above; the mounted ones must agree."""
    bad = 0
    for name, f in got.items():
        if stat.S_ISDIR(f["mode"]):
            n = os.lstat(os.path.join(os.fsencode(mounted), name)).st_nlink
            if n != f["nlink"]:
                print("nlink of %r is %d, not %d" % (name, n, f["nlink"]))
                bad += 1
    return bad


def gnu_tar(options):
    return lambda top, path: subprocess.run(["tar", "-C", top, "-cf", path] + options + ["."], check=True)


def python_tar(form):
    def make(top, path):
        with tarfile.open(path, "w", format=form, errors="surrogateescape") as t:
            t.add(top, ".")
    return make


X = ["--xattrs", "--xattrs-include=*", "--acls"]
FORMS = {
    "gnu": (gnu_tar(["--format=gnu"]), False),
    "posix-sparse-1.0": (gnu_tar(["--format=posix", "--sparse", "--sparse-version=1.0"] + X[:2]), True),
    "posix-sparse-0.1": (gnu_tar(["--format=posix", "--sparse", "--sparse-version=0.1"] + X[:2]), True),
    "posix-sparse-0.0": (gnu_tar(["--format=posix", "--sparse", "--sparse-version=0.0"] + X[:2]), True),
    "gnu-sparse": (gnu_tar(["--format=gnu", "--sparse"]), False),
    "oldgnu": (gnu_tar(["--format=oldgnu", "--sparse"]), False),
    "python-pax": (python_tar(tarfile.PAX_FORMAT), False),
    "python-gnu": (python_tar(tarfile.GNU_FORMAT), False),
}


def check_form(work, name, make, with_xattrs):
    path, layer = os.path.join(work, name + ".tar"), os.path.join(work, name + ".layer")
    mnt, ext = os.path.join(work, name + ".mnt"), os.path.join(work, name + ".ext")
    os.mkdir(mnt)
    os.mkdir(ext)
    make(os.path.join(work, "tree"), path)
    subprocess.run(["tar", "-C", ext, "-xpf", path, "--numeric-owner", "--delay-directory-restore"] +
                   (X[:2] if with_xattrs else []), check=True)
    r = make_layer(path, layer)
    with open(path, "rb") as f:
        assert r["diff_id"] == "sha256:" + hashlib.sha256(f.read()).hexdigest()
    erofsmount.mount(layer, mnt)
    try:
        got = facts(mnt, with_xattrs)
        bad = compare(name, facts(ext, with_xattrs), got) + real_nlink(mnt, got)
    finally:
        erofsmount.umount(mnt)
    bad += check_again(path, layer, r)
    shutil.rmtree(ext)
    print("%-18s %d entries, %d inodes, index %d bytes: %s" % (name, r["entries"], r["inodes"], r["index_size"], "ok" if not bad else "BAD"))
    return bad


def check_again(path, layer, r):
    """The same tar gives the same file, whatever it was packed with."""
    bad = 0
    for tool in (["gzip", "-c"], ["gzip", "-1c"], ["zstd", "-qc"], ["xz", "-0c"], ["bzip2", "-c"]):
        if shutil.which(tool[0]) is None:
            continue
        packed = path + "." + tool[0]
        with open(packed, "wb") as f:
            subprocess.run(tool + [path], stdout=f, check=True)
        p = make_layer(packed, layer + ".2")
        with open(packed, "rb") as f:
            digest = "sha256:" + hashlib.sha256(f.read()).hexdigest()
        if p["digest"] != digest or p["diff_id"] != r["diff_id"] or subprocess.run(["cmp", layer, layer + ".2"]).returncode:
            print("%s: packed with %s the layer differs" % (path, tool[0]))
            bad += 1
        os.unlink(packed)
    return bad


def check_overlay(work):
    """Lower: files and directories.  Upper: whiteouts of both kinds.  Read through overlay, with both mark families."""
    lower = tar(directory(b"d/"), entry(b"d/gone", b"1"), entry(b"d/stays", b"1"), directory(b"o/"), entry(b"o/hidden", b"1"),
                directory(b"r/"), entry(b"r/old", b"1"), entry(b"top", b"1"), entry(b"replaced", b"1"), directory(b"dir-gone/"),
                entry(b"dir-gone/x", b"1"))
    upper = tar(entry(b"d/.wh.gone"), entry(b"o/.wh..wh..opq"), entry(b"o/new", b"2"), entry(b".wh.r"), directory(b"r/"),
                entry(b"r/new", b"2"), entry(b".wh.top"), entry(b".wh.replaced"), entry(b"replaced", b"2"), entry(b".wh.dir-gone"))
    want = ["d", "d/stays", "o", "o/new", "r", "r/new", "replaced"]
    bad = 0
    mounts = []
    for name, data in (("upper", upper), ("lower", lower)):
        with open(os.path.join(work, name + ".tar"), "wb") as f:
            f.write(data)
        make_layer(os.path.join(work, name + ".tar"), os.path.join(work, name + ".layer"))
        os.mkdir(os.path.join(work, name))
        erofsmount.mount(os.path.join(work, name + ".layer"), os.path.join(work, name))
        mounts.append(os.path.join(work, name))
    merged = os.path.join(work, "merged")
    os.mkdir(merged)
    for user in (False, True):
        erofsmount.overlay(mounts, merged, userxattr=user)
        got = sorted(os.path.relpath(os.path.join(f, n), merged) for f, d, fs in os.walk(merged) for n in d + fs)
        content = open(os.path.join(merged, "replaced")).read()
        erofsmount.umount(merged)
        if got != want or content != "2":
            print("overlay (userxattr=%s): %s" % (user, got))
            bad += 1
    for m in mounts:
        erofsmount.umount(m)
    print("overlay            whiteouts and opaque directories: %s" % ("ok" if not bad else "BAD"))
    return bad


def main():
    if os.geteuid() != 0 or shutil.which("tar") is None:
        print("needs root and GNU tar")
        return 77
    with tempfile.TemporaryDirectory(prefix="b-diff-") as work:
        probe = os.path.join(work, "probe")
        os.mkdir(probe)
        with open(probe + ".tar", "wb") as f:
            f.write(tar(entry(b"f", b"x")))
        make_layer(probe + ".tar", probe + ".layer")
        try:
            erofsmount.mount(probe + ".layer", probe)
        except OSError as e:
            print("this kernel does not mount a layer file: %s" % e)
            return 77
        erofsmount.umount(probe)
        os.mkdir(os.path.join(work, "tree"))
        make_tree(os.path.join(work, "tree"))
        bad = sum(check_form(work, name, make, x) for name, (make, x) in FORMS.items())
        bad += check_overlay(work)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
