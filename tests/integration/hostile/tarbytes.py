"""Tars made byte by byte: every field can be wrong.  Used by the case files; nothing here is lenient or strict."""
import bz2
import gzip
import hashlib
import io
import json
import lzma
import zlib

BLK = 512


def octal(n, width):
    return (b"%0*o" % (width - 1, n)) + b"\0"


def base256(n, width):
    return (n & ((1 << (8 * width)) - 1) | (0x80 << (8 * (width - 1)))).to_bytes(width, "big")


def field(v, width):
    if isinstance(v, bytes):
        return v.ljust(width, b"\0")[:width]
    if v < 0 or v >= 8 ** (width - 1):
        return base256(v, width)
    return octal(v, width)


def header(name=b"f", mode=0o644, uid=0, gid=0, size=0, mtime=1700000000, type=b"0", link=b"", magic=b"ustar\x0000",
           prefix=b"", major=0, minor=0, checksum=None, tail=None):
    """One block.  Numbers may be given as raw bytes.  tail: raw bytes from offset 345 on."""
    b = bytearray(BLK)
    b[0:100] = name.ljust(100, b"\0")[:100]
    b[100:108] = field(mode, 8)
    b[108:116] = field(uid, 8)
    b[116:124] = field(gid, 8)
    b[124:136] = field(size, 12)
    b[136:148] = field(mtime, 12)
    b[156:157] = type
    b[157:257] = link.ljust(100, b"\0")[:100]
    b[257:265] = magic.ljust(8, b"\0")[:8]
    b[329:337] = field(major, 8)
    b[337:345] = field(minor, 8)
    if tail is not None:
        b[345:345 + len(tail)] = tail
    else:
        b[345:500] = prefix.ljust(155, b"\0")[:155]
    b[148:156] = b" " * 8
    if checksum is None:
        checksum = b"%06o\0 " % sum(b)
    b[148:156] = checksum
    return bytes(b)


def pad(data):
    return data + b"\0" * (-len(data) % BLK)


def entry(name=b"f", data=b"", **kw):
    kw.setdefault("size", len(data))
    return header(name, **kw) + pad(data)


def directory(name, **kw):
    kw.setdefault("mode", 0o755)
    return header(name, type=b"5", **kw)


def symlink(name, target, **kw):
    return header(name, type=b"2", link=target, mode=0o777, **kw)


def hardlink(name, target, **kw):
    return header(name, type=b"1", link=target, **kw)


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    n = len(body) + 1
    while len(b"%d" % n) + len(body) != n:
        n = len(b"%d" % n) + len(body)
    return b"%d" % n + body


def pax(records, type=b"x", raw=None):
    data = raw if raw is not None else b"".join(record(k, v) for k, v in records)
    return entry(b"PaxHeaders/x", data, type=type)


def gnu_long(data, type=b"L"):
    return entry(b"././@LongLink", data, type=type, magic=b"ustar  \0")


END = b"\0" * (2 * BLK)


def tar(*parts, end=END):
    return b"".join(parts) + end


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def gz(data, level=1):
    return gzip.compress(data, level, mtime=0)


GOOD_LAYER = tar(directory(b"bin/"), entry(b"bin/hello", b"hello\n", mode=0o755), directory(b"etc/"),
                 entry(b"etc/motd", b"good\n"))


def config(diff_ids, **more):
    c = {"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
         "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/hello"]},
         "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
         "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"} for _ in diff_ids]}
    c.update(more)
    return c


def dump(x):
    return x if isinstance(x, bytes) else json.dumps(x).encode()


def docker_archive(layers=(GOOD_LAYER,), diff_ids=None, conf=None, tags=("hostile/case:1",), manifest=None,
                   config_name=None, layer_names=None, extra=b"", members=None):
    """A docker-archive.  diff_ids: of the plain layers; conf, manifest: replacements (object or bytes)."""
    if diff_ids is None:
        diff_ids = [sha(plain(l)) for l in layers]
    conf = dump(config(diff_ids) if conf is None else conf)
    config_name = config_name or hashlib.sha256(conf).hexdigest() + ".json"
    layer_names = layer_names or ["l%d/layer.tar" % i for i in range(len(layers))]
    if manifest is None:
        manifest = [{"Config": config_name, "RepoTags": list(tags), "Layers": layer_names}]
    out = []
    if members is None:
        out.append(entry(config_name.encode(), conf))
        out += [entry(n.encode(), l) for n, l in zip(layer_names, layers)]
    else:
        out += members
    out.append(entry(b"manifest.json", dump(manifest)))
    return tar(*out, extra)


def plain(layer):
    """What the diffID is over: compression is undone if it can be, everything else is taken as it is."""
    for magic, undo in ((b"\x1f\x8b", lambda d: zlib_members(d)), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress)):
        if layer.startswith(magic):
            try:
                return undo(layer)
            except Exception:
                return layer
    return layer


def zlib_members(data):
    """All members, many of them empty: gzip.decompress takes minutes for that."""
    out = []
    while data[:2] == b"\x1f\x8b":
        z = zlib.decompressobj(31)
        out.append(z.decompress(data) + z.flush())
        data = z.unused_data
    return b"".join(out)


OCI = "application/vnd.oci.image."


def oci_layout(blobs, index, layout=b'{"imageLayoutVersion":"1.0.0"}', extra=b"", names=None):
    """blobs: list of bytes, stored under their true digest unless names gives another."""
    out = [] if layout is None else [entry(b"oci-layout", layout)]
    for i, b in enumerate(blobs):
        name = (names or {}).get(i, "blobs/sha256/" + hashlib.sha256(b).hexdigest()).encode()
        out.append((gnu_long(name + b"\0") if len(name) > 100 else b"") + entry(name, b))
    if index is not None:
        out.append(entry(b"index.json", dump(index)))
    return tar(*out, extra)


def desc(data, media, **more):
    d = {"mediaType": media, "digest": sha(data), "size": len(data)}
    d.update(more)
    return d


def oci_parts(layers=(GOOD_LAYER,), conf=None, manifest_more=None, layer_descs=None):
    """(config bytes, manifest bytes) of an OCI image."""
    conf = dump(config([sha(plain(l)) for l in layers]) if conf is None else conf)
    kind = ["layer.v1.tar+gzip" if l[:2] == b"\x1f\x8b" else "layer.v1.tar" for l in layers]
    m = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": desc(conf, OCI + "config.v1+json"),
         "layers": layer_descs if layer_descs is not None else [desc(l, OCI + k) for l, k in zip(layers, kind)]}
    m.update(manifest_more or {})
    return conf, dump({k: v for k, v in m.items() if v is not None})


def oci_index(*descs, **more):
    x = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": list(descs)}
    x.update(more)
    return x


def oci_image(layers=(GOOD_LAYER,), conf=None, manifest_more=None, name="hostile/case:1", desc_more=None,
              layer_descs=None, **kw):
    conf, m = oci_parts(layers, conf, manifest_more, layer_descs)
    d = desc(m, OCI + "manifest.v1+json", annotations={"io.containerd.image.name": "docker.io/" + name})
    d.update(desc_more or {})
    return oci_layout([conf, m] + list(layers), oci_index(d), **kw)


def many_entries(n):
    """n empty files, fast."""
    base = bytearray(header(b"n0000000"))
    total = sum(base) - sum(base[148:156]) + 8 * 32 - sum(base[1:8])
    out = io.BytesIO()
    for i in range(n):
        digits = b"%07d" % i
        base[1:8] = digits
        base[148:156] = b"%06o\0 " % (total + sum(digits))
        out.write(base)
    out.write(END)
    return out.getvalue()
