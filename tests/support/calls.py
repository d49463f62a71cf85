"""Any method of an engine by its name, through libbulkhead and Python's ctypes; also as one of its rooms.

    c = Calls(engine.host)
    c.call("store", "ImageList", {})                     # the reply as a dictionary
    for event in c.stream("build", "Build", request): ..  # chunks as dictionaries
    as_room(engine, "build", function, ..)               # in a process that has that room's ids

Bytes are base64 in replies, `bytes` in requests.
"""

import ctypes
import json
import os
import pickle
import re
import subprocess
import sys

from engine import build_dir


def _sanitizer():
    """The runtime that a library with ASan or TSan wants to be loaded first, or None."""
    lib = os.path.join(build_dir(), "lib", "libbulkhead.so")
    plain = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    linked = subprocess.run(["ldd", lib], capture_output=True, text=True, check=False, env=plain).stdout
    return next((line.split()[2] for line in linked.splitlines() if re.search("lib[at]san", line) and "=>" in line), None)


def _sanitized(runtime):
    return dict(os.environ, LD_PRELOAD=runtime, BULKHEAD_SANITIZED="1", ASAN_OPTIONS="detect_leaks=0")


def _with_sanitizer():
    """This program starts itself again with that runtime."""
    runtime = _sanitizer()
    if runtime and not os.environ.pop("BULKHEAD_SANITIZED", None):
        os.execve(sys.executable, sys.orig_argv, _sanitized(runtime))
    if runtime:  # not for the programs that a test starts
        os.environ.pop("LD_PRELOAD", None)
        os.environ.pop("ASAN_OPTIONS", None)


_with_sanitizer()


class CallError(Exception):
    def __init__(self, code, reason, message, hint):
        super().__init__(message)
        self.code, self.reason, self.message, self.hint = code, reason, message, hint


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("reason", ctypes.c_char * 40), ("message", ctypes.c_char * 1024),
                ("hint", ctypes.c_char * 320)]


def _library():
    lib = ctypes.CDLL(os.path.join(build_dir(), "lib", "libbulkhead.so"))
    for name in ("map_new", "list_new", "to_json"):
        getattr(lib, "bulkhead_" + name).restype = ctypes.c_void_p
    return lib


class Calls:
    def __init__(self, host):
        self.lib = _library()
        self.free = ctypes.CDLL(None).free
        self.client = ctypes.c_void_p()
        err = _Error()
        if self.lib.bulkhead_open(host.encode(), ctypes.byref(self.client), ctypes.byref(err)) != 0:
            self._fail(err)

    def close(self):
        self.lib.bulkhead_close(self.client)

    @staticmethod
    def _fail(err):
        raise CallError(err.code, err.reason.decode(), err.message.decode(errors="replace"),
                        err.hint.decode(errors="replace"))

    def _set(self, m, key, v):
        lib, m, key = self.lib, ctypes.c_void_p(m), key.encode()
        if isinstance(v, bool):
            lib.bulkhead_set_bool(m, key, v)
        elif isinstance(v, int) and v >= 1 << 63:
            lib.bulkhead_set_uint(m, key, ctypes.c_uint64(v))
        elif isinstance(v, int):
            lib.bulkhead_set_int(m, key, ctypes.c_int64(v))
        elif isinstance(v, str):
            lib.bulkhead_set_str(m, key, v.encode())
        elif isinstance(v, bytes):
            lib.bulkhead_set_bytes(m, key, v, ctypes.c_size_t(len(v)))
        else:
            lib.bulkhead_set(m, key, ctypes.c_void_p(self._value(v)))

    def _value(self, v):
        if isinstance(v, dict):
            m = self.lib.bulkhead_map_new()
            for key, item in v.items():
                self._set(m, key, item)
            return m
        made = self.lib.bulkhead_list_new()
        for item in v:
            if isinstance(item, str):
                self.lib.bulkhead_add_str(ctypes.c_void_p(made), item.encode())
            elif isinstance(item, (bytes, int)):
                holder = self.lib.bulkhead_map_new()
                raise TypeError(f"a list of {type(item)} ({holder})")
            else:
                self.lib.bulkhead_add(ctypes.c_void_p(made), ctypes.c_void_p(self._value(item)))
        return made

    def _json(self, value):
        text = self.lib.bulkhead_to_json(value)
        result = json.loads(ctypes.string_at(text))
        self.free(ctypes.c_void_p(text))
        self.lib.bulkhead_value_free(value)
        return result

    def call(self, service, method, request=None, timeout_ms=0):
        err, reply = _Error(), ctypes.c_void_p()
        value = ctypes.c_void_p(self._value(request or {}))
        r = self.lib.bulkhead_call(self.client, service.encode(), method.encode(), value, timeout_ms,
                                   ctypes.byref(reply), ctypes.byref(err))
        self.lib.bulkhead_value_free(value)
        if r != 0:
            self._fail(err)
        return self._json(reply)

    def open(self, service, method, request=None, fds=()):
        err, stream = _Error(), ctypes.c_void_p()
        value = ctypes.c_void_p(self._value(request or {}))
        array = (ctypes.c_int * max(1, len(fds)))(*fds)
        r = self.lib.bulkhead_stream_open(self.client, service.encode(), method.encode(), value, array, len(fds),
                                          ctypes.byref(stream), ctypes.byref(err))
        self.lib.bulkhead_value_free(value)
        if r != 0:
            self._fail(err)
        return Stream(self, stream)

    def stream(self, service, method, request=None, fds=()):
        """All chunks; raises at the end when the call failed."""
        s = self.open(service, method, request, fds)
        try:
            yield from s
            s.finish()
        finally:
            s.close()


class Stream:
    def __init__(self, calls, handle):
        self.calls, self.lib, self.handle = calls, calls.lib, handle

    def __iter__(self):
        while True:
            event = self.next()
            if event is None:
                return
            yield event

    def next(self):
        err, value = _Error(), ctypes.c_void_p()
        if self.lib.bulkhead_stream_recv_value(self.handle, ctypes.byref(value), ctypes.byref(err)) != 0:
            Calls._fail(err)
        return self.calls._json(value) if value else None

    def send(self, data):
        err = _Error()
        if self.lib.bulkhead_stream_send(self.handle, data, ctypes.c_size_t(len(data)), ctypes.byref(err)) != 0:
            Calls._fail(err)

    def close_send(self):
        err = _Error()
        if self.lib.bulkhead_stream_close_send(self.handle, ctypes.byref(err)) != 0:
            Calls._fail(err)

    def recv(self):
        err, data, n = _Error(), ctypes.c_void_p(), ctypes.c_size_t()
        if self.lib.bulkhead_stream_recv(self.handle, ctypes.byref(data), ctypes.byref(n), ctypes.byref(err)) != 0:
            Calls._fail(err)
        return ctypes.string_at(data, n.value) if data else None

    def finish(self):
        err, reply = _Error(), ctypes.c_void_p()
        if self.lib.bulkhead_stream_finish(self.handle, ctypes.byref(reply), ctypes.byref(err)) != 0:
            Calls._fail(err)
        return self.calls._json(reply) if reply else None

    def cancel(self):
        self.lib.bulkhead_stream_cancel(self.handle)

    def close(self):
        self.lib.bulkhead_stream_free(self.handle)


_CHILD = """
import importlib.util, os, pickle, sys, traceback
sys.path.insert(0, {support!r})
import calls
name, args, host, uid, gid = pickle.load(sys.stdin.buffer)
spec = importlib.util.spec_from_file_location("cases_of_room", {file!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
calls._library()  # wherever the checkout lies: that user may not reach it
os.setgroups([os.stat(host.replace("ipc://", "") + "/runtime/rpc.sock").st_gid]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
try:
    result = (True, getattr(module, name)(calls.Calls(host), *args))
except calls.CallError as e:
    result = (False, (e.code, e.reason, e.message, e.hint))
except Exception:
    result = (False, traceback.format_exc())
with os.fdopen({fd}, "wb") as f:
    pickle.dump(result, f)
os._exit(0)
"""


def begin_as_room(engine, room, function, *args):
    """function(Calls, *args), of a file's top level, in a new process with the ids of that room ("": its own): Popen, pipe."""
    rows = [json.loads(line) for line in engine.cli("system", "rooms", "--format", "json").stdout.splitlines()]
    who = {"Uid": os.getuid(), "Gid": os.getgid()} if not room else next(row for row in rows if row["Name"] == room)
    r, w = os.pipe()
    text = _CHILD.format(support=os.path.dirname(os.path.abspath(__file__)), file=function.__code__.co_filename, fd=w)
    child = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, pass_fds=[w],
                             env=_sanitized(_sanitizer()) if _sanitizer() else None)
    child.stdin.write(pickle.dumps((function.__name__, args, engine.host, who["Uid"], who["Gid"])))
    child.stdin.close()
    os.close(w)
    return child, r


def as_room(engine, room, function, *args):
    """The same, to its end: its result, or its exception."""
    child, r = begin_as_room(engine, room, function, *args)
    with os.fdopen(r, "rb") as f:
        text = f.read()
    child.wait()
    if not text:
        return None  # it left by itself
    good, value = pickle.loads(text)
    if good:
        return value
    raise CallError(*value) if isinstance(value, tuple) else AssertionError(value)
