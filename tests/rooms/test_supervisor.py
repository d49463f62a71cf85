#!/usr/bin/env python3
"""How the supervisor keeps order: restarts, stop, reload, workers, one engine for a root, clear refusals."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from engine import Engine, EngineError, build_dir, namespace, need_root, wait_for  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else build_dir()
failures = []


def check(ok, text):
    print(("ok   " if ok else "FAIL ") + text)
    if not ok:
        failures.append(text)


def programs(folder, leave_out=()):
    """Rooms that do nothing but keep the channel; the store is the one that asks for workers."""
    for name in ("store", "registry", "build", "launch", "runtime", "unpack"):
        twin = "bulkhead-cooperative" if name in ("store", "unpack") else "bulkhead-evil"
        if name not in leave_out:
            os.symlink(os.path.join(BUILD, "tests", twin), os.path.join(folder, "bulkhead-" + name))
    return folder


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/status") as f:
            return "State:\tZ" not in f.read()
    except OSError:
        return False


def renewed(engine, name, old, seconds=10):
    """The pid of the room once it is another process."""
    def probe():
        pid = engine.rooms().get(name, old)
        return pid if pid != old else None
    return wait_for(f"{name} is back", seconds, probe)


def test_restart(libexec):
    with Engine(build=BUILD, libexec=libexec) as e:
        first = e.rooms()
        check(len(first) == 5, "five rooms run")
        os.kill(first["build"], signal.SIGKILL)
        renewed(e, "build", first["build"])
        others = {name: pid for name, pid in e.rooms().items() if name != "build"}
        check(others == {name: pid for name, pid in first.items() if name != "build"}, "only the killed room comes anew")
        os.kill(first["launch"], signal.SIGKILL)
        renewed(e, "launch", first["launch"])
        renewed(e, "runtime", first["runtime"])
        check(e.rooms()["store"] == first["store"], "runtime starts again with launch, and nobody else")
        store = first["store"]
        for _ in range(3):
            os.kill(store, signal.SIGKILL)
            store = renewed(e, "store", store)
        before = time.monotonic()
        os.kill(store, signal.SIGKILL)
        renewed(e, "store", store)
        check(0.5 < time.monotonic() - before < 8, "each restart of the same room waits longer")


def test_stop(libexec):
    e = Engine(build=BUILD, libexec=libexec)
    with e:
        pids = e.rooms().values()
        before = time.monotonic()
        check(e.stop() == 0 and time.monotonic() - before < 5, "SIGTERM: a clean stop within 5 s")
        check(not any(alive(pid) for pid in pids), "no room is left")
        e.start()
        pids = list(e.rooms().values())
        os.kill(e.rooms()["store"], signal.SIGSTOP)
        before = time.monotonic()
        e.stop()
        check(time.monotonic() - before < 5, "a stopped store does not hold the stop up")
        e.start()
        pids = list(e.rooms().values())
        e.kill()
        wait_for("the rooms are gone", 3, lambda: not any(alive(pid) for pid in pids))
        check(True, "rooms end with a killed supervisor")
        e.start()
        check(len(e.rooms()) == 5, "a new supervisor takes the root over")


def test_lock(libexec):
    with Engine(build=BUILD, libexec=libexec) as e:
        second = subprocess.run([os.path.join(e.bin, "bulkheadd"), "--root", e.root, "--libexec", libexec],
                                capture_output=True, text=True, timeout=20, check=False)
        check(second.returncode == 1 and f"process {e.process.pid} already runs" in second.stderr, "one engine for a root")
        check(len(e.rooms()) == 5, "the first one goes on")


def test_reload(libexec):
    with Engine(build=BUILD, libexec=libexec, config="# one\n") as e:
        path = os.path.join(e.root, "test.toml")
        with open(path, "w") as f:
            f.write("# two\n")
        e.process.send_signal(signal.SIGHUP)
        check("# two" in e.wait_log("step=reload")[0], "SIGHUP: rooms get the new text")
        with open(path, "w") as f:
            f.write("[socket]\nmode = 7\n")
        e.process.send_signal(signal.SIGHUP)
        check("test.toml:2" in e.wait_log("reload-failed")[0], "a bad file is refused with its line, the old one stays")
        os.chmod(path, 0o666)
        e.process.send_signal(signal.SIGHUP)
        wait_for("refusal", 5, lambda: e.log_lines("reload-failed", "can be changed by others"))
        check(len(e.rooms()) == 5, "a file that others can write is refused")


def test_notify(libexec):
    with tempfile.TemporaryDirectory(prefix="bulkhead-notify-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(os.path.join(folder, "s"))
        s.settimeout(10)
        os.environ["NOTIFY_SOCKET"] = os.path.join(folder, "s")
        try:
            with Engine(build=BUILD, libexec=libexec) as e:
                check(b"READY=1" in s.recv(4096), "sd_notify: READY=1")
                e.stop()
                check(b"STOPPING=1" in s.recv(4096), "sd_notify: STOPPING=1")
        finally:
            del os.environ["NOTIFY_SOCKET"]


def test_workers(libexec):
    with Engine(build=BUILD, libexec=libexec, config='[test]\nwork = "yes"\n') as e:
        e.wait_log("step=end", seconds=60)
        steps = [line.split("step=")[1] for line in e.log_lines("step=")]
        wrong = [step for step in steps if " ok=yes " not in step]
        check(len(steps) >= 11 and not wrong, f"workers: {len(steps)} steps" + (f", wrong: {wrong}" if wrong else ""))
        workers = [p for name, p in rooms_and_workers(e) if name == "unpack"]
        check(len(workers) == 3, "three workers are at work")
        check(len({namespace(p, "net") for p in workers} | {namespace(e.rooms()["store"], "net")}) == 4,
              "each in a network namespace of its own")
        os.kill(e.rooms()["store"], signal.SIGKILL)
        wait_for("its workers end with the store", 5, lambda: not any(alive(p) for p in workers))
        check(True, "workers end with the store that asked for them")


def rooms_and_workers(e):
    from engine import children_of, read_proc
    for pid in children_of(e.process.pid):
        name = os.path.basename(read_proc(pid, "cmdline").split("\0")[0])
        yield name.replace("bulkhead-", ""), pid


def refused(words, *parts):
    """bulkheadd with these words fails with status 1 and one line that has the parts."""
    done = subprocess.run([os.path.join(BUILD, "bin", "bulkheadd"), *words], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode == 1 and all(part in done.stderr for part in parts) and done.stdout == "", done.stderr


def test_refusals():
    with tempfile.TemporaryDirectory(prefix="bulkhead-refuse-") as top:
        root = os.path.join(top, "root")
        lacking = programs(tempfile.mkdtemp(dir=top), leave_out=("build",))
        os.chmod(lacking, 0o755)
        ok, text = refused(["--root", root, "--libexec", lacking], "bulkhead-build", "No such file", "hint=")
        check(ok, "a missing program is named" + ("" if ok else f": {text}"))
        os.symlink("/bin/false", os.path.join(lacking, "bulkhead-build"))
        ok, text = refused(["--root", root, "--libexec", lacking], "room build ended before it could serve")
        check(ok, "a room that cannot start ends the engine" + ("" if ok else f": {text}"))
        ok, text = refused(["--root", os.path.join(top, "x" * 120), "--libexec", lacking], "too long", "hint=")
        check(ok, "a root whose sockets would not fit is refused" + ("" if ok else f": {text}"))
        ok, text = refused(["--root", root, "--config", "/nonexistent.toml"], "/nonexistent.toml", "No such file")
        check(ok, "a missing configuration is named" + ("" if ok else f": {text}"))
        typo = os.path.join(top, "typo.toml")
        for text, part in (("[rooms]\nuid_bas = 5\n", "typo.toml:2"), ("[sockets]\nmode = 1\n", '"sockets"'),
                           ('[socket]\nmode = "0777"\n', "0666"), ("[rooms]\nadmin_uids = \"root\"\n", "1000,1001"),
                           ("x = = 1\n", "typo.toml:1")):
            with open(typo, "w") as f:
                f.write(text)
            ok, said = refused(["--root", root, "--config", typo], part)
            check(ok, f"configuration {text!r} is refused" + ("" if ok else f": {said}"))
        reachable = os.path.join(top, "bulkheadd")  # the checkout may lie where nobody can go
        shutil.copy(os.path.join(BUILD, "bin", "bulkheadd"), reachable)
        os.chmod(top, 0o711)
        as_nobody = subprocess.run([reachable, "--root", root], capture_output=True, text=True,
                                   user=65534, timeout=20, check=False)
        check(as_nobody.returncode == 1 and "needs root" in as_nobody.stderr, "without root: says so")
        check(not [n for n in os.listdir(os.path.join(root, "run", "stage"))], "nothing is left on the stage")


need_root()
with tempfile.TemporaryDirectory(prefix="bulkhead-sup-bin-") as bin_folder:
    os.chmod(bin_folder, 0o755)
    programs(bin_folder)
    for test in (test_restart, test_stop, test_lock, test_reload, test_notify, test_workers):
        try:
            test(bin_folder)
        except EngineError as failed:
            check(False, f"{test.__name__}: {failed}")
    test_refusals()
sys.exit(1 if failures else 0)
