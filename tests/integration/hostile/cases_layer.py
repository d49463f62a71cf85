"""Hostile layers: paths and links (P), special files (S), the tar format (T), compression (Z).

Each case is a function that returns the bytes of a layer.  It is wrapped into a docker-archive with a
matching config, so that the same file can be given to `bulkhead load`.
Expected: "refuse" - one clear line, nothing stored; "safe" - it loads, and the tree holds what `holds` says.
`word` must be in the message.  Classes: reference security, section 2.
"""
import bz2
import lzma
import struct
import zlib

from tarbytes import (BLK, END, GOOD_LAYER, directory, entry, gnu_long, gz, hardlink, header, many_entries, pad, pax,
                      record, symlink, tar)

CASES = []


def case(name, expect, word="", holds=(), lacks=(), tar=None, **params):
    """tar: what the layer is when it is not compressed, where that cannot be found out with Python alone."""
    def add(fn):
        CASES.append(dict(name=name, expect=expect, word=word, holds=holds, lacks=lacks, params=params, make=fn, tar=tar))
        return fn
    return add


def layer(name, expect, data, word="", **more):
    case(name, expect, word, **more)(lambda: data)


F = b"x\n"

# ---- P: paths and links ----------------------------------------------------------------------

layer("P01-dotdot", "refuse", tar(entry(b"../../etc/evil", F)), "leads out")
layer("P02-absolute", "safe", tar(entry(b"/etc/evil", F)), holds=["etc/evil"])
layer("P03-dotdot-inside", "refuse", tar(entry(b"a/../../evil", F)), "leads out")
layer("P04-dot-dotdot", "refuse", tar(entry(b"./../evil", F)), "leads out")
layer("P05-absolute-dotdot", "safe", tar(entry(b"/../../evil", F)), holds=["evil"])
layer("P06-name-dotdot", "refuse", tar(directory(b"..")), "leads out")
layer("P07-root-is-file", "refuse", tar(entry(b".", F)), "not a directory")
layer("P08-slash-is-file", "refuse", tar(entry(b"/", F)), "not a directory")
layer("P09-root-is-symlink", "refuse", tar(symlink(b"./", b"/"), entry(b"x", F)), "not a directory")
layer("P10-through-absolute-link", "safe", tar(symlink(b"l", b"/etc"), entry(b"l/passwd", F)), holds=["l", "etc/passwd"])
layer("P11-through-dotdot-link", "safe", tar(symlink(b"l", b"../../../.."), entry(b"l/evil", F)), holds=["evil"])
layer("P12-chain-of-links", "safe", tar(symlink(b"a", b"b"), symlink(b"b", b"c"), symlink(b"c", b"/d"), entry(b"a/f", F)),
      holds=["d/f"])
layer("P13-loop", "refuse", tar(symlink(b"a", b"b"), symlink(b"b", b"a"), entry(b"a/f", F)), "circle")
layer("P14-self-loop", "refuse", tar(symlink(b"a", b"a"), entry(b"a/f", F)), "circle")
layer("P15-hardlink-host-file", "refuse", tar(hardlink(b"p", b"/etc/passwd")), "not in this layer")
layer("P16-hardlink-dotdot", "refuse", tar(hardlink(b"p", b"../../etc/passwd")), "leads out")
layer("P17-hardlink-to-symlink", "safe", tar(symlink(b"s", b"/etc/shadow"), hardlink(b"h", b"s")), holds=["s", "h"])
layer("P18-hardlink-to-directory", "refuse", tar(directory(b"d/"), hardlink(b"h", b"d")), "directory")
layer("P19-hardlink-with-data", "refuse", tar(entry(b"a", F), hardlink(b"b", b"a", size=512), b"Z" * 512), "checksum")
layer("P20-hardlink-to-itself", "refuse", tar(entry(b"a", F), hardlink(b"a", b"a")), "itself")
layer("P21-hardlink-through-link", "refuse", tar(symlink(b"l", b"/"), hardlink(b"h", b"l/etc/passwd")), "not in this layer")
layer("P22-file-dir-file", "safe", tar(entry(b"x", F), directory(b"x/"), entry(b"x/y", F), entry(b"x", b"last\n")),
      holds=["x"], lacks=["x/y"])
layer("P23-dir-becomes-link", "safe", tar(directory(b"d/"), entry(b"d/a", F), symlink(b"d", b"/tmp"), entry(b"d/b", F)),
      holds=["d", "tmp/b"], lacks=["d/a"])
layer("P24-empty-target", "refuse", tar(symlink(b"s", b"")), "without target")
layer("P25-long-target", "refuse", tar(gnu_long(b"t" * 4096 + b"\0", b"K"), symlink(b"s", b"t")), "4095")
layer("P26-long-name", "refuse", tar(gnu_long(b"n/" * 2100 + b"\0"), entry(b"n", F)), "limits.path")
layer("P27-long-part", "refuse", tar(gnu_long(b"n" * 256 + b"\0"), entry(b"n", F)), "255")
layer("P28-deep", "refuse", tar(gnu_long(b"d/" * 300 + b"f\0"), entry(b"d", F)), "limits.depth")
layer("P29-name-255", "safe", tar(gnu_long(b"n" * 255 + b"\0"), entry(b"n", F)), holds=["n" * 255])
layer("P30-control-bytes", "safe", tar(entry(b"a\n\x1b[31mred\x07", F)), holds=["a\n\x1b[31mred\x07"])
layer("P31-control-bytes-refused", "refuse", tar(entry(b"../\x1b]0;owned\x07\n", F)), "leads out")
layer("P32-not-utf8", "safe", tar(entry(b"\xff\xfe\x80", F)), holds=[b"\xff\xfe\x80"])
layer("P33-backslashes", "safe", tar(entry(b"..\\..\\evil", F)), holds=["..\\..\\evil"])
layer("P34-dots-and-blanks", "safe", tar(entry(b"... ", F), entry(b" ", F)), holds=["... ", " "])
layer("P35-empty-name", "refuse", tar(entry(b"", F)), "empty")
layer("P36-nul-in-pax-name", "refuse", tar(pax([(b"path", b"a\0b")]), entry(b"x", F)), "path")
layer("P37-whiteout-of-nothing", "refuse", tar(entry(b"d/.wh.")), "whiteout")
layer("P38-whiteout-of-dot", "refuse", tar(entry(b"d/.wh..")), "whiteout")
layer("P39-whiteout-of-dotdot", "refuse", tar(entry(b"d/.wh...")), "whiteout")
layer("P40-aufs-plink", "safe", tar(directory(b".wh..wh.plnk/"), entry(b".wh..wh.plnk/1.2", F),
                                    hardlink(b"kept", b".wh..wh.plnk/1.2")), holds=["kept"], lacks=[".wh..wh.plnk"])
layer("P41-whiteout-outside", "refuse", tar(entry(b"../.wh.etc")), "leads out")
layer("P42-whiteout-through-link", "safe", tar(symlink(b"l", b"/etc"), entry(b"l/.wh.passwd")), holds=["etc/passwd"])
layer("P43-opaque-root", "safe", tar(entry(b".wh..wh..opq"), entry(b"x", F)), holds=["x"])
layer("P44-file-as-parent", "safe", tar(entry(b"a", F), entry(b"a/b", F)), holds=["a/b"])
layer("P45-fifo-as-parent", "safe", tar(header(b"a", type=b"6"), entry(b"a/b", F)), holds=["a/b"])
layer("P46-pax-path-dotdot", "refuse", tar(pax([(b"path", b"../../evil")]), entry(b"fine", F)), "leads out")
layer("P47-pax-link-dotdot", "refuse", tar(pax([(b"linkpath", b"../../etc/passwd")]), hardlink(b"h", b"fine")), "leads out")
layer("P48-prefix-dotdot", "refuse", tar(entry(b"evil", F, prefix=b"../..")), "leads out")
layer("P49-whiteout-and-file", "safe", tar(entry(b".wh.a"), entry(b"a", F)), holds=["a"])
layer("P50-40-links", "refuse", tar(*[symlink(b"l%d" % i, b"l%d" % (i + 1)) for i in range(60)], entry(b"l0/f", F)), "circle")
layer("P51-link-expansion", "refuse",
      tar(*[symlink(b"l%d" % i, b"/".join([b"l%d" % (i + 1)] * 12)) for i in range(30)], entry(b"l0/f", F)), "limits.depth")

# ---- S: special files and attributes ---------------------------------------------------------


def xattr(name, value, **kw):
    return tar(pax([(b"SCHILY.xattr." + name, value)]), entry(b"f", F, **kw))


layer("S01-char-device", "safe", tar(header(b"null", type=b"3", major=1, minor=3), entry(b"f", F)), holds=["f"], lacks=["null"])
layer("S02-block-device", "safe", tar(header(b"sda", type=b"4", major=8, minor=0), entry(b"f", F)), holds=["f"], lacks=["sda"])
layer("S03-foreign-whiteout", "safe", tar(header(b"gone", type=b"3"), entry(b"f", F)), holds=["f"], lacks=["gone"])
layer("S04-fifo", "safe", tar(header(b"pipe", type=b"6")), holds=["pipe"])
layer("S05-overlay-redirect", "safe", xattr(b"trusted.overlay.redirect", b"/../other"), holds=["f"])
layer("S06-user-overlay-opaque", "safe", tar(pax([(b"SCHILY.xattr.user.overlay.opaque", b"y")]), directory(b"d/")), holds=["d"])
layer("S07-selinux", "safe", xattr(b"security.selinux", b"system_u:object_r:shadow_t:s0\0"), holds=["f"])
layer("S08-bad-capability", "safe", xattr(b"security.capability", b"\xff" * 20), holds=["f"])
layer("S09-bad-acl", "safe", xattr(b"system.posix_acl_access", b"\2\0\0\0" + b"\xff" * 24), holds=["f"])
layer("S10-xattr-100k", "safe", xattr(b"user.big", b"v" * 100000), holds=["f"])
layer("S11-300-xattrs", "refuse", tar(pax([(b"SCHILY.xattr.user.n%d" % i, b"v") for i in range(300)]), entry(b"f", F)), "not valid")
layer("S12-setuid", "safe", tar(entry(b"su", F, mode=0o6755)), holds=["su"])
layer("S13-metacopy", "safe", xattr(b"trusted.overlay.metacopy", b""), holds=["f"])
layer("S14-hardlink-to-device", "safe", tar(header(b"null", type=b"3", major=1, minor=3), hardlink(b"n2", b"null"), entry(b"f", F)),
      holds=["f"], lacks=["n2"])
layer("S15-contiguous", "safe", tar(entry(b"c", F, type=b"7")), holds=["c"])
layer("S16-unknown-type", "refuse", tar(entry(b"z", F, type=b"Z")), "type 0x5a")
layer("S17-multi-volume", "refuse", tar(entry(b"m", F, type=b"M", magic=b"ustar  \0")), "type 0x4d")
layer("S18-dumpdir", "refuse", tar(entry(b"d", b"Yx\0\0", type=b"D", magic=b"ustar  \0")), "type 0x44")
layer("S19-volume-label", "safe", tar(header(b"label", type=b"V", magic=b"ustar  \0"), entry(b"f", F)), holds=["f"], lacks=["label"])
layer("S20-xattrs-too-large", "refuse",
      tar(pax([(b"SCHILY.xattr.user.n%d" % i, b"v" * 60000) for i in range(3)]), entry(b"f", F)), "limits.xattrs")
layer("S21-xattr-long-name", "safe", xattr(b"user." + b"n" * 300, b"v"), holds=["f"])
layer("S22-default-acl-on-file", "safe",
      xattr(b"system.posix_acl_default", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", t, 7, 2**32 - 1) for t in (1, 4, 32))),
      holds=["f"])
layer("S23-root-rootid-capability", "safe", xattr(b"security.capability", struct.pack("<IIIIII", 0x03000001, 1, 0, 0, 0, 0)), holds=["f"])
layer("S24-opaque-mark-twice", "safe", tar(directory(b"d/"), entry(b"d/.wh..wh..opq"), entry(b"d/.wh..wh..opq"), entry(b"d/f", F)),
      holds=["d/f"], lacks=["d/.wh..wh..opq"])
layer("S25-whiteout-is-directory", "safe", tar(directory(b".wh.d/")), holds=["d"])

# ---- T: the format ---------------------------------------------------------------------------

layer("T01-checksum", "refuse", tar(header(b"f", checksum=b"000000\0 ")), "checksum")
layer("T02-cut-header", "refuse", header(b"f")[:300], "not a tar")
layer("T03-cut-data", "refuse", entry(b"f", b"d" * 5000)[:2000], "ends")
layer("T04-no-end", "safe", entry(b"f", F), holds=["f"])
layer("T05-one-zero-block", "safe", entry(b"f", F) + bytes(BLK), holds=["f"])
layer("T06-garbage-behind", "safe", tar(entry(b"f", F)) + b"garbage" * 1000, holds=["f"])
layer("T07-pax-size-smaller", "safe", tar(pax([(b"size", b"0")]), header(b"f", size=512), entry(b"in", F)), holds=["f", "in"])
layer("T08-pax-size-larger", "safe", tar(pax([(b"size", b"1024")]), header(b"f", size=0), entry(b"hidden", F)), holds=["f"], lacks=["hidden"])
layer("T09-negative-size", "refuse", tar(header(b"f", size=-1)), "negative")
layer("T10-size-2-63", "refuse", tar(header(b"f", size=b"\x80\0\0\0\x7f" + b"\xff" * 7)), "")
layer("T11-size-garbage", "refuse", tar(header(b"f", size=b"12x4")), "size")
layer("T12-size-beyond-end", "refuse", tar(header(b"f", size=8589934591)), "ends")
layer("T13-pax-length-wrong", "refuse", tar(pax(None, raw=b"99 path=x\n"), entry(b"f", F)), "length")
layer("T14-pax-length-huge", "refuse", tar(pax(None, raw=b"99999999999999999999 path=x\n"), entry(b"f", F)), "length")
layer("T15-pax-no-newline", "refuse", tar(pax(None, raw=b"9 path=xy"), entry(b"f", F)), "length")
layer("T16-pax-no-equals", "refuse", tar(pax(None, raw=b"9 pathxx\n"), entry(b"f", F)), "length")
layer("T17-pax-giant", "refuse", tar(pax([(b"comment", b"c" * (2 << 20))]), entry(b"f", F)), "the limit is")
layer("T18-pax-uid", "refuse", tar(pax([(b"uid", b"8589934592")]), entry(b"f", F)), "uid")
layer("T19-pax-time", "refuse", tar(pax([(b"mtime", b"soon")]), entry(b"f", F)), "mtime")


def old_sparse(pieces, real, data, extended=0):
    tail = bytearray(BLK - 345)
    for i, (at, n) in enumerate(pieces):
        o = 386 - 345 + i * 24
        tail[o:o + 12] = b"%011o\0" % at
        tail[o + 12:o + 24] = b"%011o\0" % n
    tail[482 - 345] = extended
    tail[483 - 345:495 - 345] = b"%011o\0" % real
    return header(b"sparse", type=b"S", size=len(data), magic=b"ustar  \0", tail=bytes(tail)) + pad(data)


def sparse1(lines, real, data, name=b"sparse"):
    body = pad(lines) + data
    return pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", name),
                (b"GNU.sparse.realsize", real)]) + entry(b"GNUSparseFile.0/x", body)


D = b"s" * 512
layer("T20-sparse-overlap", "refuse", tar(old_sparse([(0, 512), (256, 512)], 4096, D * 2)), "out of order")
layer("T21-sparse-order", "refuse", tar(old_sparse([(1024, 512), (0, 512)], 4096, D * 2)), "out of order")
layer("T22-sparse-sum", "refuse", tar(old_sparse([(0, 512)], 4096, D * 2)), "holds")
layer("T23-sparse-count", "refuse", tar(sparse1(b"999999999999\n0\n1\n", b"10", D)), "")
layer("T24-sparse-map-cut", "refuse", tar(sparse1(b"60000\n", b"10", b"")), "")
layer("T25-sparse-size-huge", "refuse", tar(sparse1(b"0\n", b"4611686018427387904", b"")), "the limit is")
layer("T26-sparse-bomb", "refuse", tar(sparse1(b"1\n0\n512\n", b"1099511627776", D)), "the limit is")
layer("T27-not-a-tar", "refuse", b"this is not a tar at all. " * 100, "not a tar")
layer("T28-zip", "refuse", b"PK\x03\x04" + b"\x14\0\0\0\0\0" + b"z" * 1000, "not a tar")
layer("T29-rar", "refuse", b"Rar!\x1a\x07\x01\0" + b"r" * 1000, "not a tar")
layer("T30-cpio", "refuse", b"070701" + b"0" * 1000, "not a tar")
layer("T31-empty-file", "safe", b"")
layer("T32-erofs-image", "refuse", bytes(1024) + struct.pack("<I", 0xE0F5E1E2) + bytes(4096), "behind the end")
case("T33-million-entries", "refuse", "limits.entries", slow=True)(lambda: gz(many_entries(1000001)))
layer("T34-two-pax", "refuse", tar(pax([(b"path", b"a")]), pax([(b"path", b"b")]), entry(b"f", F)), "two extended")
layer("T35-pax-alone", "refuse", tar(pax([(b"path", b"a")])), "without its entry")
layer("T36-long-name-unended", "safe", tar(gnu_long(b"n" * 200), entry(b"n", F)), holds=["n" * 200])
layer("T37-long-name-garbage", "refuse", tar(gnu_long(b"good\0evil"), entry(b"n", F)), "behind its end")
layer("T38-two-names-differ", "refuse", tar(gnu_long(b"gnu\0"), pax([(b"path", b"pax")]), entry(b"n", F)), "differ")
layer("T39-global-path", "refuse", tar(pax([(b"path", b"evil")], b"g"), entry(b"f", F)), "at once")
layer("T40-global-comment", "safe", tar(pax([(b"comment", b"0123456789abcdef")], b"g"), entry(b"f", F)), holds=["f"])
layer("T41-v7", "safe", tar(entry(b"f", F, magic=b""), header(b"d/", type=b"\0", magic=b"")), holds=["f", "d"])
layer("T42-uid-33-bits", "refuse", tar(header(b"f", uid=2**33)), "32 bits")
layer("T43-owner-negative", "refuse", tar(header(b"f", gid=-2)), "32 bits")
layer("T44-long-link-giant", "refuse", tar(header(b"././@LongLink", type=b"K", size=1 << 33, magic=b"ustar  \0")), "limits.path")
layer("T45-nul-in-xattr-name", "refuse", xattr(b"user.a\0b", b"v"), "not valid")
layer("T46-time-before-1970", "safe", tar(pax([(b"mtime", b"-12345.75")]), entry(b"f", F)), holds=["f"])
layer("T47-time-far", "safe", tar(pax([(b"mtime", b"36028797018963968")]), entry(b"f", F)), holds=["f"])
layer("T48-header-behind-zero", "refuse", bytes(BLK) + tar(entry(b"f", F)), "zero block")
layer("T49-sparse-offset-alone", "refuse",
      tar(pax([(b"GNU.sparse.size", b"10"), (b"GNU.sparse.offset", b"0")]), entry(b"f", F)), "no length")
layer("T50-sparse-two-maps", "refuse", tar(pax([(b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"0,2"),
                                                (b"GNU.sparse.offset", b"0"), (b"GNU.sparse.numbytes", b"2")]), entry(b"f", F)), "not known")
layer("T51-sparse-unknown-key", "refuse", tar(pax([(b"GNU.sparse.future", b"1")]), entry(b"f", F)), "not valid")
layer("T52-sparse-directory", "refuse", tar(pax([(b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"")]), directory(b"d/")), "belongs")
layer("T53-old-sparse-cut", "refuse", old_sparse([(0, 512)], 4096, b"", extended=1), "ends")
layer("T54-sparse-good", "safe", tar(old_sparse([(1024, 512)], 1 << 20, D)), holds=["sparse"])
layer("T55-sparse-odd", "safe", tar(sparse1(b"2\n3\n5\n1000\n7\n", b"5000", b"helloseven!!")), holds=["sparse"])
layer("T56-pax-zero-length", "safe", tar(pax([]), entry(b"f", F)), holds=["f"])
layer("T57-global-between", "refuse", tar(pax([(b"path", b"a")]), pax([(b"comment", b"c")], b"g"), entry(b"f", F)), "global")
layer("T58-size-blanks", "safe", tar(header(b"f", size=b"     2 \0") + pad(F)), holds=["f"])
layer("T59-header-size-max", "refuse", tar(header(b"f", size=b"\x80" + b"\xff" * 11)), "size")
layer("T60-mtime-garbage", "refuse", tar(header(b"f", mtime=b"\xff" * 3 + b"zz")), "")
layer("T61-many-global-headers", "safe", tar(pax([(b"comment", b"c")], b"g") * 5000, entry(b"f", F)), holds=["f"])
layer("T62-implied-flood", "refuse",
      tar(*[gnu_long(b"".join(b"%d-%d/" % (i, k) for k in range(100)) + b"f\0") + header(b"f") for i in range(300)]),
      "limits.entries", max_entries=10000)
layer("T63-hash-collisions", "safe", tar(*[header(b"%08d" % i) for i in range(20000)]), holds=["00019999"])
layer("T64-replace-flood", "safe", tar(*[(header(b"same") + directory(b"same/") + header(b"same/x")) for i in range(5000)]), holds=["same/x"])
layer("T65-gnu-name-empty", "refuse", tar(gnu_long(b"\0"), entry(b"f", F)), "empty")
layer("T66-label-with-pax", "safe", tar(pax([(b"path", b"p")]), header(b"v", type=b"V", magic=b"ustar  \0"), entry(b"f", F)), holds=["f"], lacks=["p"])

# ---- Z: compression --------------------------------------------------------------------------

ZEROS = tar(entry(b"zeros", bytes(64 << 20)))


@case("Z01-gzip-bomb", "refuse", "limits.unpacked", max_unpacked=32 << 20)
def gzip_bomb():
    return gz(ZEROS, 9)


@case("Z02-gzip-bomb-nested-members", "refuse", "limits.unpacked", max_unpacked=32 << 20)
def member_bomb():
    return gz(ZEROS[:16 << 20], 9) * 5


layer("Z03-gzip-cut", "refuse", gz(GOOD_LAYER)[:-20], "cut off")
layer("Z04-gzip-crc", "refuse", gz(GOOD_LAYER)[:-8] + b"\1\2\3\4" + gz(GOOD_LAYER)[-4:], "checksum")
layer("Z05-gzip-garbage", "refuse", gz(GOOD_LAYER) + b"garbage", "behind its end")
layer("Z06-gzip-members", "safe", gz(GOOD_LAYER[:700]) + gz(b"") + gz(GOOD_LAYER[700:]), holds=["bin/hello"])
layer("Z07-gzip-empty-members", "safe", gz(b"") * 50000 + gz(GOOD_LAYER), holds=["bin/hello"])
layer("Z08-gzip-zeros-behind", "safe", gz(GOOD_LAYER) + bytes(1000), holds=["bin/hello"])
layer("Z09-gzip-of-gzip", "refuse", gz(gz(GOOD_LAYER)), "not a tar")
layer("Z10-gzip-header-only", "refuse", b"\x1f\x8b\x08\0\0\0\0\0\0\3", "cut off")
layer("Z11-gzip-bad-method", "refuse", b"\x1f\x8b\x07\0\0\0\0\0\0\3" + b"x" * 100, "not valid")
layer("Z12-gzip-long-name", "safe", b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 300000 + b"\0" + gz(GOOD_LAYER)[10:], holds=["bin/hello"])
layer("Z13-gzip-bad-block", "refuse", b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 100, "not valid")


def zstd_raw(data, window=None, magic=b"\x28\xb5\x2f\xfd"):
    """A frame of raw blocks, with a window descriptor of our choice."""
    head = magic + b"\0" + bytes([window if window is not None else 0x58])
    blocks = b""
    parts = [data[i:i + 100000] for i in range(0, len(data), 100000)] or [b""]
    for i, p in enumerate(parts):
        blocks += struct.pack("<I", len(p) << 3 | (i == len(parts) - 1))[:3] + p
    return head + blocks


layer("Z14-zstd-good", "safe", zstd_raw(GOOD_LAYER), tar=GOOD_LAYER, holds=["bin/hello"])
layer("Z15-zstd-cut", "refuse", zstd_raw(GOOD_LAYER)[:-100], "cut off")
layer("Z16-zstd-garbage", "refuse", b"\x28\xb5\x2f\xfd" + b"\xff" * 500, "zstd")
layer("Z17-zstd-window-huge", "refuse", zstd_raw(GOOD_LAYER, window=0xF8), "zstd")
layer("Z18-zstd-skippable", "safe", b"\x50\x2a\x4d\x18" + struct.pack("<I", 1000) + bytes(1000) + zstd_raw(GOOD_LAYER), tar=GOOD_LAYER, holds=["bin/hello"])
layer("Z19-zstd-skippable-huge", "refuse", b"\x50\x2a\x4d\x18" + struct.pack("<I", 0xFFFFFFFF) + bytes(1000), "cut off")
layer("Z20-zstd-frames", "safe", zstd_raw(GOOD_LAYER[:600]) + zstd_raw(GOOD_LAYER[600:]), tar=GOOD_LAYER, holds=["bin/hello"])
layer("Z21-zstd-garbage-behind", "refuse", zstd_raw(GOOD_LAYER) + b"garbage!", "zstd")


@case("Z22-zstd-bomb", "refuse", "limits.unpacked", max_unpacked=8 << 20)
def zstd_bomb():
    block = struct.pack("<I", (100000 << 3) | 2)[:3] + b"\0"  # RLE
    first = GOOD_LAYER[:-1024]
    return (b"\x28\xb5\x2f\xfd\0\x58" + struct.pack("<I", len(first) << 3)[:3] + first + block * 200 +
            struct.pack("<I", 1)[:3])


layer("Z23-bzip2", "safe", bz2.compress(GOOD_LAYER), holds=["bin/hello"])
layer("Z24-bzip2-cut", "refuse", bz2.compress(GOOD_LAYER)[:-10], "bzip2")
layer("Z25-bzip2-garbage", "refuse", b"BZh9" + b"\xff" * 300, "bzip2")
layer("Z26-xz", "safe", lzma.compress(GOOD_LAYER), holds=["bin/hello"])
layer("Z27-xz-cut", "refuse", lzma.compress(GOOD_LAYER)[:-40], "xz")


@case("Z28-xz-dictionary", "refuse", "xz", rlimit=True)  # sanitized builds have no RLIMIT_DATA
def xz_dictionary():
    x = bytearray(lzma.compress(GOOD_LAYER))
    size = (x[12] + 1) * 4
    at = 12 + x[12:12 + size].index(b"\x21\x01") + 2  # LZMA2, one byte of properties: the dictionary
    x[at] = 40  # 4 GiB
    x[12 + size - 4:12 + size] = struct.pack("<I", zlib.crc32(bytes(x[12:12 + size - 4])))
    return bytes(x)


@case("Z29-xz-bomb", "refuse", "limits.unpacked", max_unpacked=8 << 20)
def xz_bomb():
    return lzma.compress(ZEROS[:32 << 20], preset=1)


@case("Z30-bzip2-bomb", "refuse", "limits.unpacked", max_unpacked=8 << 20)
def bz2_bomb():
    return bz2.compress(ZEROS[:32 << 20])


layer("Z31-plain-too-large", "refuse", tar(entry(b"f", bytes(4 << 20))), "limits.unpacked", max_unpacked=1 << 20)
layer("Z32-name-like-gzip", "safe", tar(entry(b"\x1f\x8bfile", F)), holds=[b"\x1f\x8bfile"])
layer("Z33-name-like-bzip2", "safe", tar(entry(b"BZh9", F)), holds=["BZh9"])
