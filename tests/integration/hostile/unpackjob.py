"""Runs one job of bulkhead-unpack as the supervisor would: fixed descriptors, one Result back.

The Result is read here with twenty lines of protobuf wire format, so that these tests need no
generated code and look at the bytes that the store would see.
"""
import os
import resource
import struct
import subprocess
import tempfile

MAGIC = 0x424A5031
KEEP_BLOB, STRICT_END, PLAIN_ONLY = 1, 2, 4
TO_END = 2**64 - 1


def params(flags=KEEP_BLOB, offset=0, size=TO_END, **limits):
    order = ["max_entries", "max_unpacked", "max_sparse", "max_document"]
    small = ["max_path", "max_depth", "max_xattrs", "max_pax", "max_layers", "max_images"]
    return struct.pack("<IIQQ4Q6I4Q", MAGIC, flags, offset, size, *[limits.get(k, 0) for k in order],
                       *[limits.get(k, 0) for k in small], 0, 0, 0, 0)


def fields(data):
    """All (number, value) of one message; nested messages stay bytes."""
    out, i = [], 0

    def varint():
        nonlocal i
        v = shift = 0
        while True:
            b = data[i]
            i += 1
            v |= (b & 0x7F) << shift
            shift += 7
            if not b & 0x80:
                return v
    while i < len(data):
        key = varint()
        if key & 7 == 0:
            out.append((key >> 3, varint()))
        elif key & 7 == 2:
            n = varint()
            out.append((key >> 3, data[i:i + n]))
            i += n
        else:
            raise ValueError("wire type %d" % (key & 7))
    return out


def one(data, number, default=b""):
    for k, v in fields(data):
        if k == number:
            return v
    return default


def many(data, number):
    return [v for k, v in fields(data) if k == number]


LAYER_FIELDS = {1: "digest", 2: "size", 3: "codec", 4: "diff_id", 5: "tar_size", 6: "file_size", 7: "index_offset",
                8: "index_size", 9: "index_sha256", 10: "entries", 11: "inodes", 12: "left_out", 13: "whiteouts",
                14: "content", 15: "blob_written"}


class Outcome:
    """kind: 'layer', 'plan', 'document', 'config', 'error', or 'dead' (no Result: killed or crashed)."""

    def __init__(self, status, data, stderr, usage, seconds):
        self.status, self.data, self.stderr, self.seconds = status, data, stderr, seconds
        self.rss_kb, self.cpu = usage.ru_maxrss, usage.ru_utime + usage.ru_stime
        self.kind, self.body = "dead", b""
        names = {1: "error", 2: "layer", 3: "plan", 4: "document", 5: "config"}
        if status == 0 and data:
            (number, body), = fields(data)
            self.kind, self.body = names[number], body

    @property
    def message(self):
        return one(self.body, 3).decode("utf-8", "replace") if self.kind == "error" else ""

    @property
    def reason(self):
        return one(self.body, 2).decode() if self.kind == "error" else ""

    @property
    def layer(self):
        out = {name: 0 for name in LAYER_FIELDS.values()}
        for k, v in fields(self.body):
            out[LAYER_FIELDS[k]] = v.decode() if k in (1, 4) else v
        return out

    def __repr__(self):
        return "<%s %s %s>" % (self.kind, self.message or "", self.stderr.decode("utf-8", "replace").strip())


def run(program, job, source, out=None, blob=None, par=None, timeout=120, fsize=None, cpu=60):
    """source: path or descriptor.  out, blob: descriptors or None."""
    import time
    null = os.open("/dev/null", os.O_RDWR)
    src = os.open(source, os.O_RDONLY) if isinstance(source, str) else source
    spare = tempfile.TemporaryFile() if out is None else None
    result = tempfile.TemporaryFile()
    pfile = tempfile.TemporaryFile()
    pfile.write(par or params())
    pfile.flush()
    fds = [null, src, spare.fileno() if out is None else out, null if blob is None else blob, result.fileno(),
           pfile.fileno()]
    high = [os.dup(f) for f in fds]
    high = [_above(f, 20) for f in high]

    def child():
        for i, f in enumerate(high):
            os.dup2(f, 3 + i)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
        if fsize:
            resource.setrlimit(resource.RLIMIT_FSIZE, (fsize, fsize))
    start = time.monotonic()
    err = tempfile.TemporaryFile()
    p = subprocess.Popen([program, job, "5"], stderr=err, preexec_fn=child, close_fds=True,
                         pass_fds=list(range(3, 9)) + high)
    try:
        deadline = start + timeout
        while True:
            pid, status, usage = os.wait4(p.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                p.kill()
                pid, status, usage = os.wait4(p.pid, 0)
                break
            time.sleep(0.002)
        p.returncode = os.waitstatus_to_exitcode(status)
    finally:
        for f in high:
            os.close(f)
    seconds = time.monotonic() - start
    result.seek(0)
    err.seek(0)
    outcome = Outcome(p.returncode, result.read(), err.read(), usage, seconds)
    for f in (result, pfile, err) + ((spare,) if spare else ()):
        f.close()
    os.close(null)
    if isinstance(source, str):
        os.close(src)
    return outcome


def _above(fd, least):
    import fcntl
    new = fcntl.fcntl(fd, fcntl.F_DUPFD, least)
    os.close(fd)
    return new
