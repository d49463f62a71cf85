"""Exec sessions: what a process gets that joins a container is what the container's first process has, and no more."""
import ctypes, hashlib, json, os, re, struct, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, Terminal, case, fails, inspect, out, run, same, show, until  # noqa: E402
from engine import namespace, read_proc, status_of  # noqa: E402
from hangfs import HangFs  # noqa: E402

BB = mk.busybox({"Env": ["PATH=/bin", "FROM=image"]},
                [[("srv", None, 0o755), ("srv/a", b"a\n", 0o644), ("noexec", b"#!/bin/sh\n", 0o644), ("bin/pathbad", b"#!/no/such\n", 0o755),
                  ("bin/pathnox", b"#!/bin/sh\n", 0o644), ("script", b"#!/bin/sh\necho script $1\n", 0o755), ("badscript", b"#!/no/such\n", 0o755),
                  ("junk", b"\1\2\3 no program\n", 0o755), ("onself", b"#!/proc/self/exe\n", 0o755), ("toproc", "/proc/self/fd", 0o777),
                  ("secret", None, 0o700), ("secret/x", b"#!/bin/sh\n", 0o755)]])
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
# What a process has of its container.  Not in here: its ids, names, memory, times.
HAS = re.compile(r"^(Umask|Uid|Gid|Groups|NoNewPrivs|Seccomp|Seccomp_filters|Cap\w+|Sig(?:Blk|Ign|Cgt)|Speculation\w+|Cpus_allowed\w*|Mems_allowed\w*):.*$", re.M)


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(BB, ["bb:latest"])]), text=False)


def need_own(e):
    """runc joins its containers by itself, in its own words and order."""
    start(e, "probe")
    kept = os.path.exists(f"{e.root}/run/launch/oci/{inspect(e, 'probe')['Id']}/seccomp.bpf")
    away(e, "probe")
    if not kept:
        raise Skip("the OCI runtime keeps no filter")


def start(e, name, *flags):
    """A container whose first process has the same program as the one that will join it."""
    out(e, "run", "-d", "--name", name, *flags, "bb", "sleep", "500")
    return inspect(e, name)["State"]["Pid"]


def away(e, *names):
    out(e, "rm", "-f", *names)


def joined(e, name, first, *flags):
    """The host's pid of a `sleep 77` that has joined the container."""
    out(e, "exec", "-d", *flags, name, "sleep", "77")
    return until("it joined", lambda: next((p for p in in_container(first) if read_proc(p, "cmdline") == "sleep\x0077\0"), 0))


def in_container(first):
    pids = namespace(first, "pid")
    return [p for p in (int(n) for n in os.listdir("/proc") if n.isdigit()) if p != first and namespace(p, "pid") == pids]


def has_of(pid):
    return [m.group(0) for m in HAS.finditer(read_proc(pid, "status"))]


def set_dumpable(text):
    with open("/proc/sys/fs/suid_dumpable", "w") as f:
        f.write(text)


def root_of(pid):
    st = os.stat(f"/proc/{pid}/root/.")
    return st.st_dev, st.st_ino


# ---- the same as the first process ----

@case("exec: rights, ids, limits, namespaces, cgroups, root, environment are those of the container's first process")
def _(e):
    need_own(e)
    variants = ([], ["--cap-drop", "ALL"], ["--cap-drop", "ALL", "--cap-add", "NET_RAW"], ["--cap-add", "ALL"], ["--security-opt", "no-new-privileges"],
                ["--security-opt", "seccomp=unconfined"], ["-u", "33"], ["-u", "www", "--group-add", "77"], ["-u", "5:6"], ["-w", "/srv"], ["--read-only"],
                ["--ulimit", "nofile=100:200", "--ulimit", "core=0:0"], ["--oom-score-adj", "300"], ["--network", "host"], ["--cgroupns", "host"],
                ["--hostname", "named"], ["-e", "A=b c"], ["--security-opt", "no-new-privileges", "-u", "33", "--cap-drop", "ALL"])
    quiet = {"names": ["stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "fchown", "lseek"], "action": "SCMP_ACT_ERRNO"}
    for i, more in enumerate(({}, {"flags": ["SECCOMP_FILTER_FLAG_LOG"]}, {"flags": ["SECCOMP_FILTER_FLAG_TSYNC"]},
                              {"flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"]}, {"syscalls": [quiet]})):
        path = os.path.join(e.folder, f"profile{i}.json")
        mk.write(path, json.dumps({"defaultAction": "SCMP_ACT_ALLOW", **more}).encode())
        variants += (["--security-opt", f"seccomp={path}"],)
    for flags in variants:
        first = start(e, "same", *flags)
        other = joined(e, "same", first)
        same((flags, has_of(other)), (flags, has_of(first)))
        for name in ("limits", "cgroup", "oom_score_adj", "uid_map", "gid_map", "mountinfo", "environ", "timerslack_ns", "attr/current", "personality"):
            same((flags, name, read_proc(other, name)), (flags, name, read_proc(first, name)))
        same((flags, [namespace(other, k) for k in KINDS]), (flags, [namespace(first, k) for k in KINDS]))
        same((flags, root_of(other), os.readlink(f"/proc/{other}/cwd")), (flags, root_of(first), os.readlink(f"/proc/{first}/cwd")))
        away(e, "same")


@case("exec: -u, -w, -e, --privileged change what they say and nothing else")
def _(e):
    need_own(e)
    first = start(e, "own", "--security-opt", "no-new-privileges", "--ulimit", "nofile=100:200")
    plain = dict(line.split(":\t") for line in has_of(first))
    for flags, change in ((["-u", "33"], {"Uid": "\t".join(["33"] * 4), "Gid": "\t".join(["33"] * 4), "Groups": "33 500", "CapPrm": f"{0:016x}", "CapEff": f"{0:016x}"}),
                          (["-u", "7:8"], {"Uid": "\t".join(["7"] * 4), "Gid": "\t".join(["8"] * 4), "Groups": "8", "CapPrm": f"{0:016x}", "CapEff": f"{0:016x}"}),
                          (["--privileged"], {k: f"{(1 << 41) - 1:016x}" for k in ("CapPrm", "CapEff", "CapBnd")})):
        got = dict(m.group(0).split(":\t") for m in HAS.finditer(out(e, "exec", *flags, "own", "cat", "/proc/self/status")))
        inside = dict(m.group(0).split(":\t") for m in HAS.finditer(out(e, "exec", "own", "cat", "/proc/1/status")))
        same((flags, {k: v.strip() for k, v in got.items()}), (flags, {k: v.strip() for k, v in {**inside, **change}.items()}))
    assert plain["Seccomp"] == "2" and plain["NoNewPrivs"] == "1", plain
    same(out(e, "exec", "-w", "/srv", "-e", "X=1", "own", "sh", "-c", "pwd; echo $X $FROM $HOME"), "/srv\n1 image /root\n")
    same(out(e, "exec", "-w", "/secret", "-u", "33", "own", "pwd"), "/secret\n")  # as docker: the folder is entered before the user is taken
    same(out(e, "exec", "own", "sh", "-c", "ls /proc/self/fd | wc -l; readlink /proc/self/fd/0; umask"), "4\n/dev/null\n0022\n")
    words = out(e, "exec", "own", "cat", "/proc/self/stat").split()
    same((words[3], words[4], words[5]), ("0", words[0], words[0]))  # its own session; its parent is none of the container's
    away(e, "own")


@case("exec: a container of the host's ids, or privileged, is joined too")
def _(e):
    for flags in (["--userns", "host"], ["--privileged"]):
        out(e, "run", "-d", "--name", "wide", *flags, "bb", "sleep", "500")
        inside = [{m.group(1): m.group(0) for m in HAS.finditer(out(e, "exec", "wide", "cat", f"/proc/{who}/status"))} for who in ("1", "self")]
        same((flags, inside[1]), (flags, inside[0]))
        away(e, "wide")


# ---- what fails ----

@case("exec: 126 and 127 as docker, one line, and why")
def _(e):
    need_own(e)
    start(e, "codes")
    for code, says, words in ((127, "stat /nosuch: no such file", ["codes", "/nosuch"]), (127, r"executable file not found in \$PATH", ["codes", "nosuch"]),
                              (127, r"executable file not found in \$PATH", ["codes", ""]), (127, r"not found in \$PATH", ["-e", "PATH=", "codes", "ls"]),
                              (127, "not a directory", ["codes", "/srv/a/x"]), (127, "no such file.*interpreter", ["codes", "/badscript"]),
                              (127, "no such file.*interpreter", ["codes", "pathbad"]), (126, "permission denied", ["codes", "pathnox"]),
                              (126, "permission denied", ["codes", "/noexec"]), (126, "is a directory", ["codes", "/srv"]), (126, "exec format error", ["codes", "/junk"]),
                              (2, "can't open", ["-u", "33", "codes", "/secret/x"]), (126, 'working folder "/nope": No such', ["-w", "/nope", "codes", "pwd"]),
                              (126, "Not a directory", ["-w", "/srv/a", "codes", "pwd"]), (126, "(?i)unable to find user", ["-u", "nobodyhere", "codes", "pwd"])):
        done = fails(e, "exec", *words, code=code, error=says)
        same((words, done.stdout), (words, ""), done)
    same(out(e, "exec", "codes", "./script", "x"), "script x\n")
    same(in_container(inspect(e, "codes")["State"]["Pid"]), [])
    away(e, "codes")


@case("exec: no way out by a working folder: nothing of the host is open when it is entered (CVE-2024-21626)")
def _(e):
    start(e, "folder")
    for n in range(3, 40):
        fails(e, "exec", "-w", f"/proc/self/fd/{n}", "folder", "pwd", code=126)
        fails(e, "exec", "-w", f"/toproc/{n}", "folder", "pwd", code=126)
    same(out(e, "exec", "-w", "/proc/self/cwd", "folder", "sh", "-c", "pwd -P; ls -d srv"), "/\nsrv\n")
    same(out(e, "exec", "-w", "/proc/self/root", "folder", "sh", "-c", "ls -d srv"), "srv\n")
    away(e, "folder")


@case("exec: the program that enters cannot be changed from within (CVE-2019-5736)")
def _(e):
    programs = [os.path.join(e.bin, n) for n in ("bulkhead-monitor", "bulkhead-launch", "bulkhead-init")]

    def now():
        return [(hashlib.sha256(open(p, "rb").read()).hexdigest(), os.stat(p).st_uid, os.stat(p).st_mode) for p in programs]
    before = now()
    start(e, "selfexe", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined")
    done = e.cli("exec", "selfexe", "/onself", check=False)
    assert done.returncode != 0, show(done)
    # with a loader of the container's own, which is what the kernel then runs in its name
    out(e, "exec", "selfexe", "sh", "-c", "mkdir -p /lib64 && printf '#!/bin/sh\\n' > /attack && cp /bin/busybox /lib64/ld-linux-x86-64.so.2")
    for _ in range(5):
        e.cli("exec", "selfexe", "/onself", check=False)
    same(now(), before)
    away(e, "selfexe")


@case("exec: without the container's own filter there is no session")
def _(e):
    need_own(e)
    first = start(e, "filter")
    ident = inspect(e, "filter")["Id"]
    path = f"{e.root}/run/launch/oci/{ident}/seccomp.bpf"
    with open(path, "rb") as f:
        kept = f.read()
    os.rename(path, path + ".away")
    fails(e, "exec", "filter", "true", code=126, error="filter for system calls")
    with open(path, "wb") as f:
        f.write(kept[:-3])
    fails(e, "exec", "filter", "true", code=126, error="is no filter")
    os.rename(path + ".away", path)
    same(out(e, "exec", "filter", "echo", "again"), "again\n")
    same(in_container(first), [])
    away(e, "filter")


@case("exec -t: a terminal of the container, the user's, with its size from the start; nothing else in its place")
def _(e):
    need_own(e)
    start(e, "term")
    t = Terminal(e, "exec", "-it", "-u", "33", "term", "sh", "-c", "stty size; stat -c %u:%g:%a $(tty); echo x > $(tty) && echo own; ps -o tty,pid | tail -1; exit 3", rows=33, cols=99)
    t.read_until(rb"33 99\r\n33:5:620\r\nx\r\nown")
    same(t.end(), 3)
    for make in ("mkfifo /dev/ptmx", "ln -s /srv/a /dev/ptmx", "ln -s /dev/null /dev/ptmx", "ln -s /dev/pts/0 /dev/ptmx", "true"):
        out(e, "exec", "term", "sh", "-c", f"rm -f /dev/ptmx; {make}")
        t = Terminal(e, "exec", "-it", "term", "sh", "-c", "echo ran")
        t.read_until(rb"make a terminal in the container")
        same((make, t.end()), (make, 126))
    out(e, "exec", "term", "sh", "-c", "rm -f /dev/ptmx; ln -s pts/ptmx /dev/ptmx")
    t = Terminal(e, "exec", "-it", "term", "echo", "ran")
    t.read_until(rb"ran")
    same(t.end(), 0)
    away(e, "term")


@case("exec: the container's own /dev/null is taken if it is one; a thing in its place is not")
def _(e):
    need_own(e)
    start(e, "null")
    # /dev is a tmpfs of the container; its null is a mount, which only an unmount could take away
    same(out(e, "exec", "null", "sh", "-c", "rm -f /dev/null 2>/dev/null; cat; readlink /proc/self/fd/0"), "/dev/null\n")
    away(e, "null")


# ---- while it enters ----

@case("exec: on its way in a process shows nothing to the container, and has nothing of the host (ptrace, descriptors)")
def _(e):
    need_own(e)
    fs = HangFs(os.path.join(e.folder, "hang"))
    try:
        fs.__enter__()
    except OSError as why:
        raise Skip(str(why)) from why
    with open("/proc/sys/fs/suid_dumpable") as f:
        dumpable = f.read()
    try:
        set_dumpable("1")  # else the kernel alone would hide it after the change of ids
        e.restart()  # launch sees what was mounted before it
        first = start(e, "hang", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "-v", f"{fs.folder}:/hang")
        session = e.cli_start("exec", "-w", "/hang/hang", "hang", "true", stderr=subprocess.PIPE, text=True)
        assert fs.asked.wait(20), "nobody went there"
        entering = until("it is in there", lambda: [p for p in in_container(first) if read_proc(p, "comm").startswith("bulkhead")])
        same(len(entering), 1)
        pid = entering[0]
        # the host's view: it is nobody of the host any more, and holds its streams, the orders' answer and no more
        base = int(read_proc(first, "uid_map").split()[1])
        state = status_of(pid)
        same((state["Uid"].split(), state["Gid"].split(), state["Groups"]), ([str(base)] * 4, [str(base)] * 4, ""))
        same([namespace(pid, k) for k in KINDS], [namespace(first, k) for k in KINDS])
        same(read_proc(pid, "cgroup"), read_proc(first, "cgroup"))
        links = {int(n): os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        same(sorted(links)[:3], [0, 1, 2])
        assert links[0] == "/dev/null" and all(v.startswith("pipe:") for n, v in links.items() if n > 0) and len(links) == 4, links
        # the container's view, as its root with every capability that it can have
        look = ("for p in /proc/[0-9]*; do case $(cat $p/comm 2>/dev/null) in bulkhead*) echo found; for l in exe cwd root fd/0 fd/1 fd/16 ns/mnt; do readlink $p/$l; done; "
                "for f in environ maps mem auxv stack; do head -c 1 $p/$f; done; for x in $p/fd/* $p/map_files/*; do readlink $x; done; (: > $p/exe) && echo written;; esac; done 2>/dev/null; true")
        same(out(e, "exec", "hang", "sh", "-c", look).strip(), "found")
        fs.release()
        same((session.wait(20), "working folder" in session.stderr.read()), (126, True))
        same(in_container(first), [])
        away(e, "hang")
    finally:
        set_dumpable(dumpable)
        fs.release()
        e.restart()


def key_finder():
    """A program (x86-64) that ends with 1 when a key `user` "bulkhead-probe" is among those that it has, else with 0."""
    code = bytes.fromhex("b8fa000000" "bf0a000000" "48c7c6fdffffff" "488d151c000000" "4c8d151a000000" "4531c0" "0f05"  # keyctl(SEARCH, session, ..)
                         "31ff" "4885c0" "400f9fc7" "b83c000000" "0f05")
    code += b"user\0bulkhead-probe\0"
    at = 0x400000 + 120
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, at, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096) + code


@case("exec: the keys of who started the engine are not the session's")
def _(e):
    need_own(e)
    libc = ctypes.CDLL(None)
    if os.uname().machine != "x86_64" or libc.syscall(250, 1, None) < 0:  # keyctl(JOIN_SESSION_KEYRING): of this test alone
        raise Skip("no program for this machine, or no keyrings")
    assert libc.syscall(248, b"user", b"bulkhead-probe", b"x", 1, ctypes.c_long(-3)) > 0  # add_key, to the session's
    path = os.path.join(e.folder, "finder")
    mk.write(path, key_finder())
    os.chmod(path, 0o755)
    same(subprocess.run([path], check=False).returncode, 1)
    e.restart()
    start(e, "keys", "--security-opt", "seccomp=unconfined", "-v", f"{path}:/finder:ro")
    same([e.cli("exec", *words, check=False).returncode for words in (["keys", "/finder"], ["-u", "33", "keys", "/finder"])], [0, 0])
    away(e, "keys")


@case("exec: many at once, into one container and while it ends")
def _(e):
    need_own(e)
    start(e, "many")
    ps = [e.cli_start("exec", "many", "sh", "-c", f"echo {i}; exit {i}", stdout=subprocess.PIPE, text=True) for i in range(24)]
    same([(p.communicate(timeout=60)[0], p.returncode) for p in ps], [(f"{i}\n", i) for i in range(24)])
    ps = [e.cli_start("exec", "many", "sleep", "30", stderr=subprocess.PIPE, text=True) for _ in range(12)]
    time.sleep(0.05)
    out(e, "kill", "many")
    ended = [(p.communicate(timeout=30)[1], p.returncode) for p in ps]
    assert all(code == 137 or (code == 1 and "not running" in text) for text, code in ended), ended
    fails(e, "exec", "many", "true", error="(?i)not running")
    away(e, "many")


@case("nothing is left")
def _(e):
    until("monitors end", lambda: not e.strays(), 5)
    same(os.listdir(f"{e.root}/run/monitor"), [])


if __name__ == "__main__":
    run(setup)
