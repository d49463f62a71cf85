"""ADD: archives and what only looks like one."""
import bz2
import gzip
import io
import lzma
import tarfile

from form import File, case

def tar(*entries, **more):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=more.get("format", tarfile.PAX_FORMAT)) as out:
        for name, content, mode, *rest in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, 1704164645
            if rest:
                info.uid, info.gid = rest[0], rest[0]
                info.uname = info.gname = rest[1] if len(rest) > 1 else ""
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                info.type, info.linkname = content
            else:
                info.size = len(content)
            out.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return made.getvalue()


PLAIN = ["base 3", "layers 1", 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]']
SYM, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
SIMPLE = tar(("top", None, 0o750), ("top/f", b"file\n", 0o640, 7), ("top/x", b"#!\n", 0o4755), ("top/l", (SYM, "f"), 0o777), ("top/h", (HARD, "top/f"), 0o640, 7))

case("add-file", "FROM base:1\nADD a /x\nADD a b /y/\nADD d /z\n", {"a": "a\n", "b": "b\n", "d/c": File("c\n", 0o600)})
case("add-tar", "FROM base:1\nADD t.tar /x\n", {"t.tar": SIMPLE})
case("add-tar-gz", "FROM base:1\nADD t.tgz /x/\n", {"t.tgz": gzip.compress(SIMPLE, mtime=0)})
case("add-tar-bz2", "FROM base:1\nADD t.tar.bz2 /x/\n", {"t.tar.bz2": bz2.compress(SIMPLE)})
case("add-tar-xz", "FROM base:1\nADD t.tar.xz /x/\n", {"t.tar.xz": lzma.compress(SIMPLE)})
case("add-tar-by-content", "FROM base:1\nADD thing /x/\n", {"thing": gzip.compress(SIMPLE, mtime=0)})
case("add-not-a-tar", "FROM base:1\nADD t.tar u.tar.gz /x/\n", {"t.tar": "no archive\n", "u.tar.gz": gzip.compress(b"only packed\n", mtime=0)})
case("add-tar-and-file", "FROM base:1\nADD t.tar a /x/\n", {"t.tar": SIMPLE, "a": "a\n"})
case("add-tar-in-folder-is-not-unpacked", "FROM base:1\nADD d /x/\n", {"d/t.tar": SIMPLE})
case("add-tar-over-folders", "FROM base:1\nADD t.tar /\n",
     {"t.tar": tar(("data", None, 0o700, 5), ("data/file", b"new\n", 0o600), ("data/dir/inner", b"in\n", 0o644), ("linkdir/via", b"via\n", 0o644))})
case("add-tar-without-folders", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("p/q/r", b"r\n", 0o644, 3))})
case("add-tar-dots", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("./", None, 0o711), ("./a", b"a\n", 0o644), ("b//c", b"c\n", 0o644))},
     differs={"buildah": "gives the target the mode of the archive's root"})
case("add-tar-whiteouts", "FROM base:1\nADD t.tar /data/\n", {"t.tar": tar((".wh.file", b"", 0o644), ("dir/.wh..wh..opq", b"", 0o644), ("dir/new", b"n\n", 0o644))},
     differs={"docker": "such names reach the layer and remove files", "buildah": "such names reach the layer and remove files"},
     want=PLAIN + ['file /data/dir/new 644 0:0 "n\\n"'])
case("add-tar-links", "FROM base:1\nADD t.tar /x/\n",
     {"t.tar": tar(("a", b"a\n", 0o644), ("b", (HARD, "a"), 0o644), ("c", (SYM, "/etc"), 0o777), ("d", (SYM, "../../.."), 0o777), ("e", (HARD, "b"), 0o644))})
case("add-tar-climbs", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("../../out", b"out\n", 0o644))}, fails=r"\.\./",
     differs={"docker": "takes the dots off", "buildah": "takes the dots off"})
case("add-tar-through-own-link", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("l", (SYM, "/etc"), 0o777), ("l/shadow", b"s\n", 0o644))},
     differs={"docker": "follows the link as well, but makes no folder there", "buildah": "follows the link as well, but makes no folder there"},
     want=PLAIN + ['dir /x 755 0:0', 'dir /x/etc 755 0:0', 'file /x/etc/shadow 644 0:0 "s\\n"', 'link /x/l 0:0 -> /etc'])
case("add-tar-names", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("n" * 150 + "/" + "m" * 120, b"long\n", 0o644), ("ü ö", b"u\n", 0o644))})
case("add-tar-gnu-names", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("n" * 150 + "/" + "m" * 120, b"long\n", 0o644), format=tarfile.GNU_FORMAT)})
case("add-tar-twice-same-name", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("a", b"1\n", 0o644), ("a", b"22\n", 0o600), ("b", None, 0o755), ("b", b"file\n", 0o644))},
     differs={"buildah": "keeps the mode of the folder that it replaces by a file"})
case("add-tar-owner-names", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("a", b"a\n", 0o644, 4242, "www"))})
case("add-tar-chown", "FROM base:1\nADD --chown=www:extra t.tar /x/\n", {"t.tar": SIMPLE})
case("add-tar-fifo", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("p", (tarfile.FIFOTYPE, ""), 0o600))})
case("add-tar-empty", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar()})
case("add-tar-truncated", "FROM base:1\nADD t.tar /x/\n", {"t.tar": tar(("big", bytes(range(250)) * 400, 0o644))[:60_000]}, fails=r"t\.tar|short|end|truncat")
case("add-tar-wildcard", "FROM base:1\nADD *.tar /x/\n", {"a.tar": tar(("a", b"a\n", 0o644)), "b.tar": tar(("b", b"b\n", 0o644)), "c": "c\n"})
case("add-tar-to-workdir", "FROM base:1\nWORKDIR /w\nADD t.tar .\nADD t.tar sub\n", {"t.tar": SIMPLE})
case("add-unpack-flag", "FROM base:1\nADD --unpack=false t.tar /x/\nADD --unpack t.tar /y/\n", {"t.tar": tar(("a", b"a\n", 0o644))},
     lacks={"docker": "no --unpack", "buildah": "no --unpack"},
     want=['base 3', 'layers 2', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'dir /x 755 0:0',
           "file /x/t.tar 644 0:0 " + __import__("result").brief(tar(("a", b"a\n", 0o644))), 'dir /y 755 0:0', 'file /y/a 644 0:0 "a\\n"'])
