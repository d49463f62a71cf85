"""pause and unpause: what stands still, what may be done to it meanwhile, what ends it."""
import json, os, signal, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, ends, fails, has, inspect, out, run, same, until  # noqa: E402

TICK = 'i=0; trap "echo got" HUP; while :; do i=$((i+1)); echo $i > /n; sleep 0.05; done'


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:latest"])]), text=False)


def start(e, name, *words):
    out(e, "run", "-d", "--name", name, "bb", *(words or ("sh", "-c", TICK)))
    return inspect(e, name)["Id"]


def state(e, name):
    s = inspect(e, name)["State"]
    return s["Status"], s["Running"], s["Paused"]


def count(e, name):
    """What its loop has come to, read from its files, not by a process of its own."""
    upper = f"{e.root}/state/launch/containers/{inspect(e, name)['Id']}/upper/n"
    return int(until("the loop counts", lambda: open(upper, encoding="ascii").read().strip() if os.path.exists(upper) else ""))


def stands(e, name):
    first = count(e, name)
    time.sleep(0.4)
    return count(e, name) == first


def pause(e, *names):
    same(out(e, "pause", *names), "".join(f"{name}\n" for name in names))


def another_room(e, room):
    old = e.rooms()["runtime"]  # which goes with launch
    os.kill(e.rooms()[room], signal.SIGKILL)
    until("there is another", lambda: e.rooms().get("runtime", old) != old, 20)
    until("it answers", lambda: e.cli("ps", check=False).returncode == 0, 20)


@case("pause: the processes stand still, ps, inspect, filter and info say so; unpause lets them go on")
def _(e):
    id_ = start(e, "one")
    start(e, "two")
    assert not stands(e, "one")
    pause(e, "one", "two")
    assert stands(e, "one") and stands(e, "two")
    same(state(e, "one"), ("paused", True, True))
    has(out(e, "ps", "--filter", "name=one", "--format", "{{.Status}} {{.State}}"), r"\AUp .* \(Paused\) paused\n\Z")
    same(out(e, "ps", "--filter", "status=paused", "--format", "{{.Names}}"), "two\none\n")
    same(out(e, "ps", "-q", "--filter", "status=running"), "")
    same(json.loads(out(e, "info", "--format", "{{json .ContainersPaused}}")), 2)
    fails(e, "pause", "one", error=f"Container {id_} is already paused")
    same(out(e, "container", "unpause", "one", "two"), "one\ntwo\n")
    assert not stands(e, "one")
    same(state(e, "one"), ("running", True, False))
    fails(e, "unpause", "one", error=f"Container {id_} is not paused")
    fails(e, "pause", "nosuch", error="No such container: nosuch")
    out(e, "stop", "-t", "0", "two")
    fails(e, "pause", "two", error="is not running")
    fails(e, "unpause", "two", error="is not paused")
    out(e, "rm", "-f", "one", "two")


@case("pause: what may not be done meanwhile, in docker's words; logs, commit, rename and diff work and leave it paused")
def _(e):
    id_ = start(e, "one", "sh", "-c", "echo said; while :; do sleep 0.1; done")
    until("it has said so", lambda: out(e, "logs", "one") == "said\n")
    pause(e, "one")
    fails(e, "exec", "one", "true", error="Container one is paused, unpause the container before exec")
    fails(e, "attach", "one", error="You cannot attach to a paused container, unpause it first")
    fails(e, "start", "one", error="cannot start a paused container, try unpause instead")
    fails(e, "rm", "one", error='cannot remove container "one": container is paused and must be unpaused first')
    same(out(e, "logs", "one"), "said\n")
    out(e, "commit", "one", "made:1")
    same(state(e, "one")[0], "paused")
    out(e, "diff", "one")
    out(e, "rename", "one", "other")
    same(out(e, "container", "prune", "-f").splitlines()[-1], "Total reclaimed space: 0B")
    same(state(e, "other")[0], "paused")
    same(out(e, "rm", "-f", id_), f"{id_}\n")
    out(e, "rmi", "made:1")


@case("pause: a signal lets it go on, stop and kill end it, restart starts it anew, wait hears of the end")
def _(e):
    start(e, "one")
    pause(e, "one")
    out(e, "kill", "-s", "HUP", "one")
    same(state(e, "one"), ("running", True, False))
    until("it got the signal", lambda: out(e, "logs", "one") == "got\n")
    for words, code in ((("stop", "-t", "1"), 137), (("kill",), 137), (("stop", "-t", "5", "-s", "KILL"), 137)):
        out(e, "start", "one")
        pause(e, "one")
        waits = e.cli_start("wait", "one", stdout=-1, text=True)
        begin = time.monotonic()
        out(e, *words, "one")
        assert time.monotonic() - begin < 8, words
        same((words, waits.communicate(timeout=20)[0]), (words, f"{code}\n"))
        same(state(e, "one")[0], "exited")
    out(e, "start", "one")
    pause(e, "one")
    out(e, "restart", "-t", "0", "one")
    same(state(e, "one")[0], "running")
    assert not stands(e, "one")
    out(e, "rm", "-f", "one")


@case("pause: it outlives the death of the runtime room and of launch, and so does its end")
def _(e):
    start(e, "one")
    start(e, "runs")
    pause(e, "one")
    for room in ("runtime", "launch"):
        another_room(e, room)
        same((room, state(e, "one")), (room, ("paused", True, True)))
        assert stands(e, "one") and not stands(e, "runs"), room
    same(out(e, "unpause", "one"), "one\n")
    assert not stands(e, "one")
    another_room(e, "runtime")
    assert not stands(e, "one")
    same(state(e, "one")[0], "running")
    pause(e, "one")
    another_room(e, "runtime")
    out(e, "rm", "-f", "one", "runs")


@case("pause: a container whose monitor was killed while it was paused leaves no process")
def _(e):
    start(e, "one")
    pid = inspect(e, "one")["State"]["Pid"]
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        monitor = int(f.read().rsplit(")", 1)[1].split()[1])
    pause(e, "one")
    os.kill(monitor, signal.SIGKILL)
    until("it is known", lambda: state(e, "one")[0] == "exited", 20)
    until("its processes have gone", lambda: not os.path.exists(f"/proc/{pid}"), 20)
    out(e, "rm", "one")


@case("pause: many that pause, unpause and kill at once end with one that can be killed")
def _(e):
    for turn in range(3):
        start(e, "one")
        work = [e.cli_start(*words, stdout=-1, stderr=-1) for _ in range(4) for words in (("pause", "one"), ("unpause", "one"), ("kill", "-s", "HUP", "one"))]
        for p in work:
            p.communicate(timeout=60)
        s = state(e, "one")
        assert s in (("running", True, False), ("paused", True, True)), s
        same((turn, stands(e, "one")), (turn, s[0] == "paused"))
        ends(e.cli("kill", "one", check=False), 0)
        out(e, "rm", "one")


@case("pause: a kill at the same moment ends the container, whichever comes first")
def _(e):
    for turn in range(12):
        start(e, "one", "sleep", "300")
        begin = time.monotonic()
        first, second = (("kill", "one"), ("pause", "one"))[::1 if turn % 2 else -1]
        work = [e.cli_start(*words, stdout=-1, stderr=-1) for words in (first, second)]
        for p in work:
            p.communicate(timeout=60)
        same((turn, state(e, "one")[0]), (turn, "exited"))
        assert time.monotonic() - begin < 8, turn
        out(e, "rm", "one")


run(setup)
