"""A file system that never answers one question: looking for the name `hang` in it waits for ever.

    with HangFs(folder) as fs:      # mounted there; Skip-worthy OSError where FUSE is missing
        ...                         # a process that goes to folder/hang stays in that call
        fs.asked.wait(10)           # until somebody has asked

Leaving the block ends the call with an error.  The kernel's FUSE protocol, standard library only.
"""
import ctypes, os, struct, threading

_LOOKUP, _FORGET, _GETATTR, _STATFS, _INIT, _INTERRUPT, _BATCH_FORGET = 1, 2, 3, 17, 26, 36, 42
_ENOENT, _ENOSYS = 2, 38
_libc = ctypes.CDLL(None, use_errno=True)


class HangFs:
    def __init__(self, folder):
        self.folder, self.asked, self.fd = folder, threading.Event(), -1

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if _libc.mount(b"hangfs", self.folder.encode(), b"fuse", 6, options) != 0:  # nosuid, nodev
            error = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(error, f"mount a FUSE file system: {os.strerror(error)}")
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release()

    def release(self):
        """Whoever waits gets an error; what is mounted is dead from here on."""
        if self.fd >= 0:
            _libc.umount2(self.folder.encode(), 3)  # force, detach: ends the connection
            self.thread.join(5)
            os.close(self.fd)
            self.fd = -1

    def _serve(self):
        while True:
            try:
                question = os.read(self.fd, 1 << 20)
            except OSError:
                return
            _, what, unique, node = struct.unpack_from("<IIQQ", question)
            error, answer = self._answer(what, node, question[40:])
            if error is None:
                continue
            try:
                os.write(self.fd, struct.pack("<IiQ", 16 + len(answer), -error, unique) + answer)
            except OSError:
                return

    def _answer(self, what, node, data):
        if what in (_FORGET, _BATCH_FORGET, _INTERRUPT):
            return None, b""
        if what == _INIT:
            return 0, struct.pack("<IIIIHHIIHHII6I", 7, 31, 4096, 0, 8, 8, 4096, 1, 1, 0, 0, 0, *[0] * 6)
        if what == _GETATTR:
            return 0, struct.pack("<QII6Q10I", 60, 0, 0, node, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
        if what == _STATFS:
            return 0, struct.pack("<5Q10I", *[0] * 5, 4096, 255, 4096, *[0] * 7)
        if what == _LOOKUP and data.rstrip(b"\0") == b"hang":
            self.asked.set()
            return None, b""
        return (_ENOENT if what == _LOOKUP else _ENOSYS), b""
