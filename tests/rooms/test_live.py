#!/usr/bin/env python3
"""What the kernel says of each real room: ids, capabilities, filter, namespaces, mounts, descriptors."""

import os
import re
import signal
import stat
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from engine import (ROOMS, Engine, build_dir, children_of, namespace, need_root, read_proc, status_of,  # noqa: E402
                    wait_for)

BUILD = sys.argv[1] if len(sys.argv) > 1 else build_dir()
TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_MAC_ADMIN, CAP_BPF = 16, 17, 22, 25, 33, 39
failures = []


def check(ok, text):
    print(("ok   " if ok else "FAIL ") + text)
    if not ok:
        failures.append(text)


def caps(status, name):
    return int(status["Cap" + name], 16)


def mounts(pid):
    """Mount point -> options, as the room has them."""
    return {line.split()[4]: line.split()[5].split(",") for line in read_proc(pid, "mountinfo").splitlines()}


def descriptors(pid):
    return {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def test_ids(name, status, seen):
    uids = set(status["Uid"].split())
    check(len(uids) == 1 and uids != {"0"} and not uids & seen, f"{name}: a uid of its own ({status['Uid'].split()[0]})")
    seen |= uids
    check("0" not in status["Groups"].split() + status["Gid"].split(), f"{name}: no group of root")


def test_locks(name, pid, status):
    zero = all(caps(status, kind) == 0 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
    check(zero, f"{name}: no capability in any set")
    check(status["Seccomp"] == "2" and int(status.get("Seccomp_filters", "1")) >= 1, f"{name}: seccomp filter")
    check(status["NoNewPrivs"] == "1", f"{name}: no_new_privs")
    check(status["CoreDumping"] == "0" and os.stat(f"/proc/{pid}/status").st_uid == 0, f"{name}: not dumpable")
    threads = [status_of(f"{pid}/task/{t}") for t in os.listdir(f"/proc/{pid}/task")]
    check(all(t.get("Seccomp") == "2" and t.get("NoNewPrivs") == "1" for t in threads),
          f"{name}: all {len(threads)} threads are filtered")


def test_namespaces(name, pid):
    shared = {kind for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup") if namespace(pid, kind) == namespace("self", kind)}
    expected = {"net"} if name == "registry" else set()
    check(shared == expected, f"{name}: shares {sorted(shared) or 'no namespace'} with the host")


def test_mounts(name, pid):
    points = mounts(pid)
    own = {"/run/" + name} | ({"/state"} if name in ("store", "runtime") else set())
    writable = {p for p, options in points.items() if "rw" in options} - {"/dev/null", "/proc"}
    check(writable == own, f"{name}: writes to {sorted(writable)}")
    check(all("nosuid" in options for options in points.values()), f"{name}: every mount is nosuid")
    check(all("nodev" in options for p, options in points.items() if not p.startswith("/dev/")), f"{name}: nodev but for /dev")
    check("/" in points and "ro" in points["/"], f"{name}: its root is read-only")
    hidden = [p for p in points if p.startswith(("/home", "/root", "/var", "/sys", "/boot", "/usr/bin", "/bin"))]
    check(not hidden, f"{name}: nothing of the host's but libraries" + (f": {hidden}" if hidden else ""))


def test_descriptors(name, pid):
    kinds = {fd: target.split(":")[0] for fd, target in descriptors(pid).items()}
    allowed = ("socket", "pipe", "anon_inode", "/dev/null", "/dev/urandom", "/state", "/run/" + name, "/memfd")
    allowed += ("/monitor",) if name == "runtime" else ()
    strange = {fd: t for fd, t in kinds.items() if not t.startswith(allowed)}
    check(not strange, f"{name}: {len(kinds)} descriptors, none strange" + (f": {strange}" if strange else ""))


def table_of_caps():
    """What the supervisor's table gives launch, as the kernel's bits."""
    with open("/usr/include/linux/capability.h", encoding="utf-8") as f:
        bit = {name: int(n) for name, n in re.findall(r"#define CAP_(\w+)\s+(\d+)\s*$", f.read(), flags=re.M)}
    with open(os.path.join(TOP, "supervisor", "rooms_table.h"), encoding="utf-8") as f:
        text = re.search(r"sup_launch_caps =(.*?);", re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S), flags=re.S).group(1)
    return sum(1 << bit[name] for name in re.findall(r"CAP\((\w+)\)", text))


def test_launch(pid):
    status = status_of(pid)
    dropped = (CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_MAC_ADMIN, CAP_BPF)
    bounding = caps(status, "Bnd")
    check(bounding == table_of_caps() & caps(status_of("self"), "Bnd"),
          "launch: the bounding set is that of supervisor/rooms_table.h, of what this host gives")
    check(not any(bounding >> cap & 1 for cap in dropped), "launch: the capabilities it does not need are gone for good")
    check(caps(status, "Eff") & ~bounding == 0 and caps(status, "Inh") == 0, "launch: nothing beyond its bounding set")
    check(namespace(pid, "mnt") != namespace("self", "mnt"), "launch: its own mounts")
    check(namespace(pid, "pid") == namespace("self", "pid"), "launch: the host's pids, containers outlive it")
    kinds = {t.split(":")[0] for t in descriptors(pid).values()}
    check(status["Threads"] == "1", "launch: one thread")
    check(not any(t.startswith(("/etc", "/home")) for t in kinds), "launch: no file of the host open")


def test_folders(e):
    for name in ("store", "runtime", "launch"):
        st = os.stat(os.path.join(e.root, "state", name))
        check(stat.S_IMODE(st.st_mode) == 0o700, f"state/{name}: closed to others")
    for name in ROOMS:
        st = os.stat(os.path.join(e.root, "run", name))
        check(stat.S_IMODE(st.st_mode) & 0o022 == 0, f"run/{name}: nobody else writes there")


def test_supervisor(pid):
    check(status_of(pid)["Threads"] == "1", "supervisor: one thread")
    inet = [line for kind in ("tcp", "udp", "tcp6", "udp6") for line in read_proc(pid, f"net/{kind}").splitlines()[1:]
            if line.split()[9] in {t[8:-1] for t in descriptors(pid).values() if t.startswith("socket:[")}]
    check(not inet, "supervisor: no socket of a network")


def find_child(engine, binary):
    """A worker is the supervisor's child; a monitor has the engine's mounts."""
    for pid in (int(n) for n in os.listdir("/proc") if n.isdigit()):
        if os.path.basename(read_proc(pid, "cmdline").split("\0")[0]) == binary:
            if pid in children_of(engine.process.pid) or engine.root + "/" in read_proc(pid, "mountinfo"):
                return pid
    return None


def confined(pids):
    return [pid for pid in pids if status_of(pid).get("Seccomp") == "2"]


def test_spares(engine):
    """Two workers wait ahead of their jobs, as locked up as any; one that dies is replaced, and no job fails by it."""
    waiting = wait_for("two spare workers", 10, lambda: len(confined(engine.spares())) == 2 and engine.spares())
    status = status_of(waiting[0])
    test_locks("spare", waiting[0], status)
    test_namespaces("spare", waiting[0])
    kinds = {fd: target.split(":")[0] for fd, target in descriptors(waiting[0]).items() if fd > 2}
    check(sorted(kinds) == [4, 5, 6, 7, 8] and kinds[4] == "socket" and kinds[7] == "pipe"
          and all(kinds[fd].startswith("/memfd") for fd in (5, 6, 8)), f"spare: holds its socket and its pipe, {kinds}")
    for pid in waiting:
        os.kill(pid, signal.SIGKILL)
    wait_for("their end", 10, lambda: not set(engine.workers()) & set(waiting))
    archive = os.path.join(engine.root, "small.tar")
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    check(engine.cli("import", archive, "rooms:small").returncode == 0, "a job whose spare has died is done by another")
    wait_for("new spares", 10, lambda: len(set(engine.spares()) - set(waiting)) == 2)


def test_worker(engine, uids):
    """The worker of an import that takes a while, held still to be looked at."""
    archive = os.path.join(engine.root, "large.tar")
    header = tarfile.TarInfo("zeros")
    header.size = 512 << 20
    with open(archive, "wb") as f:  # sparse: it costs nothing
        f.write(header.tobuf())
        f.truncate(header.size + 10240)
    load = engine.cli_start("import", archive, "rooms:zeros", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        pid = wait_for("a worker", 10, lambda: next(iter(confined(p for p, spare in engine.workers().items() if not spare)), None))
        os.kill(pid, signal.SIGSTOP)
        status = status_of(pid)
        test_ids("worker", status, uids)
        test_locks("worker", pid, status)
        test_namespaces("worker", pid)
        writable = {p for p, options in mounts(pid).items() if "rw" in options} - {"/dev/null", "/proc"}
        check(not writable, "worker: nowhere to write")
        given = descriptors(pid)
        check(len(given) <= 3 + 16 and not any(t.startswith(("/etc", "/usr", "/home")) for t in given.values()),
              f"worker: {len(given)} descriptors, all given to it")
        os.kill(pid, signal.SIGCONT)
        check(load.wait(60) == 0, "worker: goes on and does its job")
    finally:
        load.kill()
        load.wait()


def test_container(engine):
    """A container and its monitor, if there is a busybox to make an image of."""
    maker = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packaging", "busybox-image.py")
    image = os.path.join(engine.root, "busybox.tar")
    if subprocess.run([sys.executable, maker, image, "rooms:test"], capture_output=True, check=False).returncode != 0:
        print("     no busybox-static: container not looked at")
        return
    engine.cli("load", "-i", image)
    engine.cli("run", "-d", "rooms:test", "sleep", "100")
    monitor = wait_for("a monitor", 10, lambda: find_child(engine, "bulkhead-monitor"))
    wait_for("its lock", 10, lambda: status_of(monitor).get("Seccomp") == "2")
    status = status_of(monitor)
    check(status["Uid"].split()[0] not in ("0", status_of(engine.rooms()["runtime"])["Uid"].split()[0]),
          f"monitor: a uid of its own ({status['Uid'].split()[0]})")
    check(caps(status, "Eff") == caps(status, "Prm") == caps(status, "Amb") == 0, "monitor: no capability")
    check(status["NoNewPrivs"] == "1", "monitor: no_new_privs")
    # not the OCI runtime that is still at work
    pid = wait_for("its container", 10, lambda: next((p for p in children_of(monitor) if read_proc(p, "cmdline").startswith("sleep\0")), None))
    status = status_of(pid)
    check(int(status["Uid"].split()[0]) >= 1 << 28, f"container: its root is {status['Uid'].split()[0]} outside")
    check(caps(status, "Eff") == 0xA80425FB, "container: docker's default capabilities")
    check(status["Seccomp"] == "2", "container: seccomp filter")
    shared = {k for k in ("mnt", "pid", "net", "ipc", "uts", "user") if namespace(pid, k) == namespace("self", k)}
    check(not shared, "container: shares no namespace with the host" + (f": {shared}" if shared else ""))


need_root()
missing = [n for n in ROOMS if not os.path.exists(os.path.join(BUILD, "bin", "bulkhead-" + n))]
if missing:
    print(f"not built: {missing}, skipped", file=sys.stderr)
    sys.exit(77)
with Engine(build=BUILD) as engine:
    pids = engine.rooms()
    check(set(pids) == set(ROOMS), f"rooms: {sorted(pids)}")
    seen_uids = set()
    for room in ("store", "registry", "build", "runtime"):
        room_status = status_of(pids[room])
        test_ids(room, room_status, seen_uids)
        test_locks(room, pids[room], room_status)
        test_namespaces(room, pids[room])
        test_mounts(room, pids[room])
        test_descriptors(room, pids[room])
    test_launch(pids["launch"])
    test_spares(engine)
    test_worker(engine, seen_uids)
    test_container(engine)
    test_supervisor(engine.process.pid)
    test_folders(engine)
sys.exit(1 if failures else 0)
