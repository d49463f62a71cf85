"""An engine in a temporary root, for tests: started, spoken to, stopped, and removed without a trace.

Python's standard library only.  Needs root.  Use:

    with Engine() as e:                       # BULKHEAD_BUILD or ../../build
        e.cli("images")                       # CompletedProcess; raises when the exit status is not 0
        e.cli("run", "x", check=False)

Whatever happens inside, on the way out the supervisor, the rooms, monitors and containers of this
root have ended, mounts are gone and the root is deleted.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IMMUTABLE_FL = 0x80086601, 0x40086602, 0x10
ROOMS = ("store", "registry", "build", "launch", "runtime")


class EngineError(Exception):
    """The engine did not do what every test relies on; the text has its log."""


def build_dir():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.path.abspath(os.environ.get("BULKHEAD_BUILD", os.path.join(here, "..", "..", "build")))


def need_root():
    if os.geteuid() != 0:
        print("needs root, skipped", file=sys.stderr)
        sys.exit(77)


def wait_for(what, seconds, probe):
    """The first true value of probe(); EngineError when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise EngineError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def read_proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    pairs = (line.split(":", 1) for line in read_proc(pid, "status").splitlines() if ":" in line)
    return {key: value.strip() for key, value in pairs}


def namespace(pid, kind):
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return ""


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


class Engine:
    """bulkheadd in a folder of its own.  config: text; libexec: folder of the rooms' programs."""

    def __init__(self, build=None, config=None, libexec=None, root=None, keep=False, start_timeout=60):
        self.build = build or build_dir()
        self.bin = os.path.join(self.build, "bin")
        self.config = config
        self.libexec = libexec
        self.keep = keep
        self.own_root = root is None
        self.root = root or tempfile.mkdtemp(prefix="bulkhead-test-")
        self.start_timeout = start_timeout
        self.process = None
        self.log = []
        self._reader = None
        os.chmod(self.root, 0o711)

    # ---- life ----

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            last = "".join(line + "\n" for line in self.log[-80:])
            sys.stderr.write(f"--- last lines of the engine in {self.root}\n{last}---\n")
        self.close()

    def command(self):
        words = [os.path.join(self.bin, "bulkheadd"), "--root", self.root]
        if self.config is not None:
            path = os.path.join(self.root, "test.toml")
            with open(path, "w") as f:
                f.write(self.config)
            words += ["--config", path]
        if self.libexec:
            words += ["--libexec", self.libexec]
        return words

    def start(self):
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", start_new_session=True)
        self._reader = threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        said = []
        waiter = threading.Thread(target=lambda p=self.process: said.append(p.stdout.readline()), daemon=True)
        waiter.start()
        waiter.join(self.start_timeout)
        if said != ["ready\n"]:
            self.kill()
            raise EngineError(f"the engine did not become ready (said {said})\n{self.log_text()}")
        return self

    def _read_log(self, stream):
        for line in stream:
            self.log.append(line.rstrip("\n"))

    def stop(self, seconds=5):
        """SIGTERM; the exit status.  More than `seconds` is an error (design: 5)."""
        if not self.process or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise EngineError(f"the engine did not stop within {seconds} s\n{self.log_text()}") from late
        finally:
            self._close_pipes()
        return self.process.returncode

    def kill(self):
        """SIGKILL of the supervisor; the rooms must follow by themselves."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._close_pipes()

    def _close_pipes(self):
        if self._reader:
            self._reader.join(2)
        if self.process and self.process.stdout:
            self.process.stdout.close()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """Ends everything that belongs to this root and removes it."""
        with contextlib.suppress(Exception):
            self._remove_containers()
        with contextlib.suppress(Exception):
            self.stop()
        self.kill()
        self.end_strays()
        self._unmount()
        if self.own_root and not self.keep:
            clear_immutable(self.root)
            shutil.rmtree(self.root, ignore_errors=True)

    def _remove_containers(self):
        if self.process is None or self.process.poll() is not None or not os.path.exists(self.client()):
            return
        ids = self.cli("ps", "-aq", check=False, timeout=10).stdout.split()
        if ids:
            self.cli("rm", "-f", *ids, check=False, timeout=30)

    def strays(self):
        """Monitors and containers of this root: their mounts or their command line name it.  What a supervisor has
        that runs, its rooms and workers, is not astray."""
        own = {os.getpid()}
        if self.process and self.process.poll() is None:
            own.update([self.process.pid, *children_of(self.process.pid)])
        found = []
        own_mounts = namespace("self", "mnt")
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            if pid in own:
                continue
            words = read_proc(pid, "cmdline").split("\0")
            ours = os.path.basename(words[0]).startswith("bulkhead-") and any(self.root in w for w in words[1:])
            if namespace(pid, "mnt") not in ("", own_mounts) and f"{self.root}/" in read_proc(pid, "mountinfo"):
                ours = True
            if ours:
                found.append(pid)
        return found

    def end_strays(self):
        for _ in range(20):
            pids = self.strays()
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def _unmount(self):
        points = [line.split()[4] for line in read_proc("self", "mountinfo").splitlines()]
        for point in sorted((p for p in points if p.startswith(self.root + "/")), reverse=True):
            subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)

    # ---- talk ----

    @property
    def host(self):
        return f"ipc://{self.root}/run"

    def client(self):
        return os.path.join(self.bin, "bulkhead")

    def for_users(self, program):
        """A copy that other users can reach, wherever the checkout lies, and the environment it needs."""
        folder = os.path.join(self.root, "client")
        copy = os.path.join(folder, os.path.basename(program))
        if not os.path.exists(folder):
            os.mkdir(folder, 0o755)
            os.chmod(folder, 0o755)
            libraries = os.path.join(self.build, "lib")
            for name in os.listdir(libraries):
                if ".so" in name:
                    shutil.copy(os.path.join(libraries, name), folder)
        if not os.path.exists(copy):
            shutil.copy(program, copy)
        return copy, {**os.environ, "LD_LIBRARY_PATH": folder}

    def cli(self, *words, check=True, timeout=120, text=True, **more):
        """bulkhead --host .. WORDS; output and errors are captured unless `more` says otherwise."""
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        client = self.client()
        if "user" in more:
            client, environment = self.for_users(client)
            more.setdefault("env", environment)
        done = subprocess.run([client, "--host", self.host, *words], text=text, timeout=timeout, **more)
        if check and done.returncode != 0:
            raise EngineError(f"bulkhead {' '.join(words)}: exit status {done.returncode}\n{done.stderr}")
        return done

    def cli_start(self, *words, **more):
        """The same, in the background: a Popen."""
        return subprocess.Popen([self.client(), "--host", self.host, *words], **more)

    # ---- look ----

    def children(self):
        """(name, pid) of the supervisor's living children, by the binary that each was started as."""
        for pid in children_of(self.process.pid):
            name = os.path.basename(read_proc(pid, "cmdline").split("\0")[0])
            if name.startswith("bulkhead-"):
                yield name[len("bulkhead-"):], pid

    def rooms(self):
        """Name -> pid of the living rooms, without the workers."""
        return {name: pid for name, pid in self.children() if name != "unpack"}

    def workers(self):
        """pid -> whether it is a spare: one that still has the socket which will bring its order."""
        found = {}
        for pid in (pid for name, pid in self.children() if name == "unpack"):
            try:
                found[pid] = os.readlink(f"/proc/{pid}/fd/4").startswith("socket")
            except OSError:
                found[pid] = False
        return found

    def spares(self):
        return [pid for pid, spare in self.workers().items() if spare]

    def log_text(self):
        return "".join(line + "\n" for line in self.log)

    def log_lines(self, *words):
        return [line for line in list(self.log) if all(word in line for word in words)]

    def wait_log(self, *words, seconds=20):
        return wait_for(f"a log line with {words}", seconds, lambda: self.log_lines(*words))


class EngineWithoutCgroups(Engine):
    """On a host that has none."""

    def command(self):
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", 'mount -t tmpfs none /sys/fs/cgroup; exec "$@"', "sh",
                *super().command()]


def clear_immutable(root):
    """Sealed layers cannot be removed before this."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    flags = struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("l", 0)))[0]
                    if flags & FS_IMMUTABLE_FL:
                        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", flags & ~FS_IMMUTABLE_FL))
                finally:
                    os.close(fd)
