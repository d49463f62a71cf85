"""Cases of one test file: each is a function that takes the engine; one engine for the whole file.

    @case("images: an empty list has its header")
    def _(e): ...

    run(file=__file__)          # prints ok/not ok for each; the exit status is 1 when one failed

A word on the command line runs only the cases whose names have it.  BULKHEAD_TEST_CONFIG is put at the
front of the engine's configuration (storage_form = "extracted").  Standard library only.
"""
import json, os, pty, re, select, shutil, sys, tempfile, time, traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from engine import Engine, EngineError, need_root  # noqa: E402

_cases = []


class Skip(Exception):
    """This host cannot run the case; the text says what it lacks."""


def case(name):
    def keep(function):
        _cases.append((name, function))
        return function
    return keep


def run(setup=None, config=None):
    """All cases in the order they are written.  setup(engine, folder) comes first."""
    need_root()
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = skipped = 0
    begin = time.monotonic()
    folder = tempfile.mkdtemp(prefix="bulkhead-cases-")
    try:
        extra = os.environ.get("BULKHEAD_TEST_CONFIG")
        with Engine(config=f"{extra}\n{config or ''}" if extra else config) as e:
            e.folder = folder
            if setup:
                setup(e)
            for name, function in _cases:
                if only not in name:
                    continue
                start = time.monotonic()
                try:
                    function(e)
                except Skip as why:
                    skipped += 1
                    print(f"ok - {name} # skipped: {why}", flush=True)
                except AssertionError as what:
                    failed += 1
                    print(f"not ok - {name}\n  {what or traceback.format_exc(limit=-2)}", flush=True)
                except Exception as what:  # a case that cannot be judged has failed
                    failed += 1
                    print(f"not ok - {name}\n  {type(what).__name__}: {what}\n{traceback.format_exc(limit=-3)}", flush=True)
                else:
                    print(f"ok - {name} ({time.monotonic() - start:.1f} s)", flush=True)
            for line in e.log:
                if re.search(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|seccomp-refused|assert|signal=(31|11|6)\b", line):
                    failed += 1
                    print(f"not ok - the engine's log\n  {line}", flush=True)
            if failed and os.environ.get("BULKHEAD_TEST_LOG"):
                sys.stderr.write(e.log_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(_cases)} cases, {failed} failed, {skipped} skipped, {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


# ---- looking at what a command did ----

def show(done):
    def text(b):
        return b[-700:] if isinstance(b, str) else repr(b[-300:]) if b is not None else ""
    return f"$ {' '.join(map(str, done.args[3:]))}\n  exit {done.returncode}\n  out: {text(done.stdout)!r}\n  err: {text(done.stderr)!r}"


def same(got, want, done=None):
    assert got == want, f"got  {str(got)[-900:]!r}\n  want {str(want)[-900:]!r}" + (f"\n  {show(done)}" if done is not None else "")


def has(text, pattern, done=None):
    assert re.search(pattern, text, re.M), f"no match for {pattern!r} in {text[-900:]!r}" + (f"\n  {show(done)}" if done is not None else "")


def lacks(text, pattern):
    assert not re.search(pattern, text, re.M), f"{pattern!r} is in {text[-900:]!r}"


def ends(done, code):
    assert done.returncode == code, f"want exit {code}\n  {show(done)}"
    return done


def out(e, *words, **more):
    """Standard output of a command that must succeed."""
    return ends(e.cli(*words, check=False, **more), 0).stdout


def fails(e, *words, code=1, error=r".", **more):
    """The command ends with `code`, one line of error that matches, and nothing on standard output."""
    done = ends(e.cli(*words, check=False, **more), code)
    has(done.stderr, error, done)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, f"{len(lines)} lines of error\n  {show(done)}"
    return done


def inspect(e, name, *words):
    return json.loads(out(e, "inspect", *words, name))[0]


def until(what, probe, seconds=10):
    """Waits for a true value of probe()."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Terminal:
    """The command with a terminal as its standard streams."""

    def __init__(self, e, *words, rows=24, cols=80):
        self.words = words
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(e.client(), [e.client(), "--host", e.host, *words])
        self.seen = b""
        self.resize(rows, cols)

    def resize(self, rows, cols):
        import fcntl, struct, termios
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, data):
        os.write(self.fd, data)

    def read_until(self, pattern, seconds=15):
        """What the screen got once it matches the pattern (bytes)."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end, f"{self.words}: no {pattern!r} within {seconds} s in {self.seen[-500:]!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                assert data, f"{self.words}: ended without {pattern!r}: {self.seen[-500:]!r}"
                self.seen += data
        return self.seen

    def forget(self):
        self.seen = b""

    def end(self, seconds=15):
        """The exit code, once the command ends by itself."""
        stop = time.monotonic() + seconds
        while time.monotonic() < stop:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        raise AssertionError(f"{self.words}: did not end within {seconds} s: {self.seen[-500:]!r}")


__all__ = ["Engine", "EngineError", "Skip", "case", "run", "show", "same", "has", "lacks", "ends", "out", "fails", "inspect", "until", "Terminal"]
