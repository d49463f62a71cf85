#!/usr/bin/env python3
"""What the kernel says of each real room: ids, capabilities, filter, namespaces, mounts, descriptors."""

import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from engine import ROOMS, Engine, build_dir, namespace, need_root, read_proc, status_of  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else build_dir()
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


def test_launch(pid):
    status = status_of(pid)
    dropped = (CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_MAC_ADMIN, CAP_BPF)
    bounding = caps(status, "Bnd")
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
    test_supervisor(engine.process.pid)
    test_folders(engine)
sys.exit(1 if failures else 0)
