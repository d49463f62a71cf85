"""Rooms and the supervisor die while containers run: the containers, their logs and their ends stay."""
import contextlib, os, shutil, signal, sqlite3, struct, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from calls import CallError, Calls  # noqa: E402
from cases import Skip, case, ends, inspect, out, run, same, show, until  # noqa: E402

ROOMS = ("store", "registry", "build", "launch", "runtime")
TICK = "i=0; trap 'exit 5' TERM; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done"


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:latest"])]), text=False)


def start(e, name, script=TICK, *flags):
    out(e, "run", "-d", "--name", name, *flags, "bb", "sh", "-c", script)
    until("it writes", lambda: out(e, "logs", name))


def status(e, name):
    return inspect(e, name)["State"]["Status"]


def gone(e, name):
    return e.cli("inspect", "--type", "container", name, check=False).returncode == 1


def kill_room(e, name):
    old = e.rooms()[name]
    os.kill(old, signal.SIGKILL)
    until(f"{name} is there again", lambda: e.rooms().get(name, old) != old, 20)
    until(f"{name} answers", lambda: e.cli("ps", "-q", check=False).returncode == 0 and e.cli("images", "-q", check=False).returncode == 0, 20)


def ticks(e, name):
    """The log is whole: every number once, in order.  The newest number."""
    numbers = [int(line.split()[1]) for line in out(e, "logs", name).splitlines()]
    same(numbers, list(range(len(numbers))))
    return numbers[-1]


def works(e, name):
    """Runs on, its log grows, exec and attach work."""
    same(status(e, name), "running")
    before = ticks(e, name)
    until("the log grows", lambda: ticks(e, name) > before + 2)
    same(out(e, "exec", name, "echo", "in"), "in\n")
    p = e.cli_start("attach", "--no-stdin", "--sig-proxy=false", name, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert p.stdout.readline().startswith("tick "), "attach shows what it writes"
    finally:
        p.kill(), p.wait(), p.stdout.close()


for victim in ROOMS:
    @case(f"kill -9 of {victim}: a container runs on, its log is whole, its end is known")
    def _(e, victim=victim):
        start(e, "on")
        pid = inspect(e, "on")["State"]["Pid"]
        kill_room(e, victim)
        works(e, "on")
        same(inspect(e, "on")["State"]["Pid"], pid)
        same(out(e, "run", "--rm", "bb", "echo", "new"), "new\n")
        same(out(e, "stop", "on"), "on\n")
        same((status(e, "on"), inspect(e, "on")["State"]["ExitCode"]), ("exited", 5))
        out(e, "rm", "on")


@case("kill -9 of the supervisor and a new start: the same")
def _(e):
    start(e, "over")
    pid = inspect(e, "over")["State"]["Pid"]
    e.kill()
    until("the rooms have ended with it", lambda: not os.path.exists(f"/proc/{pid}/nosuch") and e.process.poll() is not None)
    os.kill(pid, 0)
    time.sleep(0.5)
    e.start()
    same(inspect(e, "over")["State"]["Pid"], pid)
    works(e, "over")
    out(e, "stop", "over")
    same(out(e, "wait", "over"), "5\n")
    out(e, "rm", "over")


@case("a clean stop and start: containers run on; what ended meanwhile is known, --rm is carried out")
def _(e):
    start(e, "stays")
    start(e, "ended", "echo one; sleep 1; echo last; exit 7")
    start(e, "removed", "echo x; sleep 1", "--rm")
    start(e, "killed", "echo x; exec sleep 100")
    pid = inspect(e, "killed")["State"]["Pid"]
    e.stop()
    os.kill(pid, signal.SIGKILL)
    time.sleep(1.5)
    e.start()
    works(e, "stays")
    same((status(e, "ended"), inspect(e, "ended")["State"]["ExitCode"], out(e, "logs", "ended")), ("exited", 7, "one\nlast\n"))
    same((status(e, "killed"), inspect(e, "killed")["State"]["ExitCode"]), ("exited", 137))
    until("--rm is carried out", lambda: gone(e, "removed"))
    out(e, "rm", "-f", "stays", "ended", "killed")


@case("runtime dies while clients wait, follow and attach: they end with an error or their answer, never hang")
def _(e):
    start(e, "ww", "echo a; sleep 2; echo b; exit 9")
    clients = [e.cli_start(*words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for words in (("wait", "ww"), ("logs", "-f", "ww"), ("attach", "--no-stdin", "ww"))]
    time.sleep(0.4)
    kill_room(e, "runtime")
    for p in clients:
        output, error = p.communicate(timeout=20)
        assert p.returncode == 0 or error.strip() or p.returncode == 9, (p.args[3:], p.returncode, output, error)
    until("it ends", lambda: status(e, "ww") == "exited")
    same((inspect(e, "ww")["State"]["ExitCode"], out(e, "logs", "ww")), (9, "a\nb\n"))
    out(e, "rm", "ww")


@case("a run in the foreground goes on over the death of launch and store")
def _(e):
    p = e.cli_start("run", "--rm", "--name", "fg", "bb", "sh", "-c", "echo begin; sleep 2; echo end; exit 4", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    same(p.stdout.readline(), "begin\n")
    kill_room(e, "launch")
    kill_room(e, "store")
    rest, error = p.communicate(timeout=20)
    same((rest, p.returncode), ("end\n", 4))
    until("--rm is carried out", lambda: gone(e, "fg"))


@case("the monitor is killed: the container's end is told, nothing hangs, rm works")
def _(e):
    start(e, "orphan")
    cid = inspect(e, "orphan")["Id"]
    monitors = [int(p) for p in os.listdir("/proc") if p.isdigit() and cid in cmdline(p) and "bulkhead-monitor" in cmdline(p)]
    assert monitors, "no monitor is found"
    for pid in monitors:
        os.kill(pid, signal.SIGKILL)
    until("its state is told", lambda: status(e, "orphan") != "running", 10)
    same(out(e, "rm", "-f", "orphan"), "orphan\n")


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


@case("kill -9 of runtime: an exec session runs on, and its code can be asked for; so can one that ended meanwhile")
def _(e):
    start(e, "ses")
    notes = f"{e.root}/state/monitor/{inspect(e, 'ses')['Id']}"
    p = e.cli_start("exec", "ses", "sh", "-c", "touch /in; while [ ! -e /go ]; do sleep 0.1; done; exit 7", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("it runs", lambda: e.cli("exec", "ses", "test", "-e", "/in", check=False).returncode == 0)
    session = until("it is the only one", lambda: (lambda ids: ids[0] if len(ids) == 1 else None)(inspect(e, "ses")["ExecIDs"]))
    ended = "e" * 64
    with open(f"{notes}/exec-{ended}", "wb") as f:  # as a monitor leaves it when nobody came for the end
        f.write(struct.pack("<IIiiiiIIQqq", 16, 3, 99, 0, 9, 0, 0, 0, 1, 1, 2))
    for junk in ("exec-", "exec-" + "f" * 64, "exec-../x".replace("/", "_")):
        with open(f"{notes}/{junk}", "wb") as f:
            f.write(b"short")
    kill_room(e, "runtime")
    p.kill(), p.wait()
    same(inspect(e, "ses")["ExecIDs"], [session])
    assert os.path.exists(f"{notes}/exec-{session}")
    calls = Calls(e.host)
    same(calls.call("runtime", "ExecWait", {"exec_id": ended})["exit_code"], 9)
    out(e, "exec", "ses", "touch", "/go")
    same(calls.call("runtime", "ExecWait", {"exec_id": session})["exit_code"], 7)
    until("a note that was fetched goes", lambda: not os.path.exists(f"{notes}/exec-{session}"))
    try:
        calls.call("runtime", "ExecWait", {"exec_id": "f" * 64})
        raise AssertionError("a note that is cut off is no session")
    except CallError as what:
        same(what.reason, "no-such-exec")
    out(e, "rm", "-f", "ses")


@case("many deaths in a row: the store is whole, nothing is left")
def _(e):
    start(e, "through")
    for name in ROOMS * 2:
        os.kill(until("it is there", lambda: e.rooms().get(name), 20), signal.SIGKILL)
        time.sleep(0.1)
    until("the engine answers", lambda: e.cli("exec", "through", "true", check=False).returncode == 0, 30)
    works(e, "through")
    out(e, "rm", "-f", "through")
    done = e.cli("system", "check", check=False)
    same(done.returncode, 0, done)
    until("monitors end", lambda: not e.strays(), 5)
    same(os.listdir(f"{e.root}/state/launch/containers"), [])


@case("a container keeps the OCI runtime that it was made for, over restarts of the engine and whatever its trial finds")
def _(e):
    if not shutil.which("runc") or not shutil.which("crun"):
        raise Skip("runc and crun are not both here")
    ident = out(e, "create", "--name", "kept", "bb", "sh", "-c", TICK).strip()
    found = inspect(e, "kept")["OciRuntime"]
    other = {"crun": "runc", "runc": "crun"}[found]
    e.stop()
    with contextlib.closing(sqlite3.connect(f"{e.root}/state/runtime/containers.db")) as db:
        same(db.execute("SELECT oci FROM container WHERE id=?", (ident,)).fetchone(), ({"crun": 0, "runc": 1}[found],))
        db.execute("UPDATE container SET oci=? WHERE id=?", ({"crun": 0, "runc": 1}[other], ident))
        db.commit()
    e.start()
    out(e, "start", "kept")
    until("it writes", lambda: out(e, "logs", "kept"))
    for _ in range(2):
        same(inspect(e, "kept")["OciRuntime"], other)
        same(os.path.exists(f"{e.root}/run/launch/oci/{ident}/state.json"), other == "runc")
        works(e, "kept")
        e.restart()
        until("it answers", lambda: e.cli("ps", "-q", check=False).returncode == 0)
    out(e, "restart", "-t", "1", "kept")
    same(inspect(e, "kept")["OciRuntime"], other)
    out(e, "rm", "-f", "kept")
    same(os.path.exists(f"{e.root}/run/launch/oci/{ident}"), False)
    out(e, "create", "--name", "new", "bb")
    same(inspect(e, "new")["OciRuntime"], found)
    out(e, "rm", "new")


if __name__ == "__main__":
    run(setup)
