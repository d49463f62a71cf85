#!/usr/bin/env python3
"""Each room taken over: its twin tries everything that must be refused, and every act is refused."""

import os
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from engine import Engine, build_dir, need_root, wait_for  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else build_dir()
LEAST_ACTS = 40
failures = []


def check(ok, text):
    print(("ok   " if ok else "FAIL ") + text)
    if not ok:
        failures.append(text)


def twins(folder):
    for name in ("store", "registry", "build", "launch", "runtime", "unpack"):
        os.symlink(os.path.join(BUILD, "tests", "bulkhead-evil"), os.path.join(folder, "bulkhead-" + name))


def config(root, **words):
    return "[test]\n" + "".join(f'{k} = "{v}"\n' for k, v in dict(words, root=root).items())


def sanitized():
    out = subprocess.run(["ldd", os.path.join(BUILD, "tests", "bulkhead-evil")], capture_output=True, text=True, check=False)
    return "libasan" in out.stdout or "libtsan" in out.stdout


def results(engine):
    found = {}
    for line in engine.log_lines("evil room="):
        m = re.search(r"evil room=(\S+) act=(.+) refused=(\S+) how=(\S+)", line)
        found.setdefault(m.group(1), {})[m.group(2)] = (m.group(3), m.group(4))
    return found


def test_acts(libexec):
    """Something to connect to, to trace and to read lies ready on the host."""
    listener = socket.create_server(("127.0.0.1", 0))
    hidden = socket.socket(socket.AF_UNIX)
    hidden.bind("\0bulkhead-test-%d" % os.getpid())
    hidden.listen()
    victim = subprocess.Popen(["sleep", "1000"])
    root = tempfile.mkdtemp(prefix="bulkhead-evil-")
    text = config(root, act="yes", pid=victim.pid, port=listener.getsockname()[1],
                  abstract="bulkhead-test-%d" % os.getpid())
    engine = Engine(build=BUILD, libexec=libexec, config=text, root=root)
    engine.own_root = True
    try:
        with engine:
            wait_for("all twins are through", 60, lambda: len(engine.log_lines("act=end")) >= 5
                     and engine.log_lines("act=may-read-certificates"))
            judge(results(engine), victim)
    finally:
        victim.kill()
        victim.wait()
        listener.close()
        hidden.close()


def has_certificates():
    return os.path.isdir("/etc/ssl/certs")


def judge(found, victim):
    count = len(found.get("store", {}))
    check(count >= LEAST_ACTS, f"store: {count} acts were tried")
    for room in ("store", "registry", "build", "runtime", "worker"):
        acts = found.get(room, {})
        through = sorted(act for act, (refused, _) in acts.items() if refused != "yes" and not act.startswith("may-"))
        if sanitized():  # their reports need /usr and /proc
            through = [act for act in through if act not in ("landlock", "open-proc", "personality")]
        check(len(acts) >= count - 3 and not through, f"{room}: {len(acts)} acts refused" + (f", but {through}" if through else ""))
        how = acts.get("landlock", ("", ""))[1]
        check(sanitized() or how in ("EACCES", "SIGSYS"), f"{room}: Landlock answers {how}")
    rights = {act: done for act, (done, _) in found["registry"].items() if act.startswith("may-")}
    if not has_certificates():  # nothing to read on this host
        rights["may-read-certificates"] = "yes"
    check(len(rights) == 3 and set(rights.values()) == {"yes"}, f"registry: keeps what it needs: {rights}")
    check(victim.poll() is None, "the process outside lives")


def test_death(libexec):
    """Without the test's trap the first forbidden call is the last; it is logged as what it may be."""
    root = tempfile.mkdtemp(prefix="bulkhead-evil-")
    engine = Engine(build=BUILD, libexec=libexec, config=config(root, die="build"), root=root)
    engine.own_root = True
    with engine:
        lines = engine.wait_log("room-died room=build", "attack-like=yes")
        check("signal=31" in lines[0], "build: mount() was its death by SIGSYS")
        others = {name for name in engine.rooms()} - {"build"}
        check(others == {"store", "registry", "launch", "runtime"}, "the other rooms went on")


def test_out_of_turn(libexec):
    """A message that the room may not send ends it."""
    root = tempfile.mkdtemp(prefix="bulkhead-evil-")
    engine = Engine(build=BUILD, libexec=libexec, config=config(root, speak="registry"), root=root)
    engine.own_root = True
    with engine:
        lines = engine.wait_log("room-kill room=registry")
        check("may not send" in lines[0], "registry: SPAWN out of turn, killed")
        check(not engine.log_lines("worker["), "no worker was started for it")


need_root()
with tempfile.TemporaryDirectory(prefix="bulkhead-evil-bin-") as bin_folder:
    os.chmod(bin_folder, 0o755)
    twins(bin_folder)
    test_acts(bin_folder)
    test_death(bin_folder)
    test_out_of_turn(bin_folder)
sys.exit(1 if failures else 0)
