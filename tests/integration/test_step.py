"""RUN steps as the build room asks for them: Runtime/Step called with that room's ids."""
import base64, os, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from calls import CallError, Calls, as_room, begin_as_room  # noqa: E402
from cases import case, has, out, run, same, until  # noqa: E402

BB = mk.busybox({"Env": ["PATH=/bin", "FROM=image"], "Cmd": ["sh"], "Entrypoint": ["/bin/no"]},
                [[("srv", None, 0o755), ("srv/a", b"a\n", 0o644), ("srv/b", b"b\n", 0o644)]])


HOLDS = []


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(BB, ["bb:latest"])]), text=False)


def request(script, **more):
    command = script if isinstance(script, list) else ["/bin/sh", "-c", script]
    config = {"platform": {"os": "linux", "architecture": "amd64"}, "diff_ids": [mk.sha(layer) for layer in BB.layers],
              "config": {"env": ["PATH=/bin", "FROM=image"], "cmd": ["sh"], "entrypoint": ["/bin/no"]}}
    return {"config": config, "admin": True, "command": command, "network": "none", "hostname": "sandbox", **more}


def hold(calls, owner=0):
    """Ends with the process, as that of a build with its call."""
    h = calls.open("store", "Hold", {"owner": owner, "purpose": "build"})
    HOLDS.append(h)
    return int(h.next()["hold"])


def step(calls, asked):
    text, last = {1: b"", 2: b""}, None
    asked.setdefault("hold", hold(calls, asked.get("owner", 0)))
    for event in calls.stream("runtime", "Step", asked):
        if event.get("stream"):
            text[event["stream"]] += base64.b64decode(event.get("data", ""))
        last = event
    assert last["done"], last
    return last, text[1], text[2]


def folders(e):
    return sorted(os.listdir(f"{e.root}/state/launch/containers")) + sorted(os.listdir(f"{e.root}/state/monitor"))


@case("step: output, exit code, environment, user, folder, here-document; in no list, nothing left")
def _(e):
    for script, more, want in (("echo o; echo e >&2; exit 3", {}, (3, b"o\n", b"e\n")), ("echo $A $FROM; exit 1", {"env": ["A=x"]}, (1, b"x image\n", b"")),
                               ("id -u; pwd; hostname; exit 1", {"user": "33", "workdir": "/srv"}, (1, b"33\n/srv\nsandbox\n", b"")),
                               ("cat; exit 1", {"stdin": b"x" * 300000}, (1, b"x" * 300000, b"")), ("exit 1", {"stdin": b"x" * 300000}, (1, b"", b"")),
                               ("grep -c ' /t tmpfs' /proc/mounts; exit 1", {"mount": [{"type": "tmpfs", "target": "/t", "size": 65536}]}, (1, b"1\n", b"")),
                               ("cat /a/b/s; ls -ln /a/b/s | cut -c1-30; grep -c b/s /proc/mounts; /dev/pipes/x; exit 1",
                                {"mount": [{"type": "file", "target": "/a/b/s", "data": b"top\0", "mode": 0o440, "uid": 5, "gid": 6},
                                           {"type": "file", "target": "/dev/pipes/x", "data": b"#!/bin/sh\necho ran\n", "mode": 0o755}]},
                                (1, b"top\0-r--r-----    1 5        6    \n1\nran\n", b"")),
                               ("cat /x/a; touch /x/n; ls /srv; exit 1", {"mount": [{"type": "layer", "target": "/x", "source": "/srv", "read_only": True}]},
                                (1, b"a\na\nb\n", b"touch: /x/n: Read-only file system\n")),
                               ("ulimit -n; exit 1", {"ulimit": [{"name": "nofile", "soft": 77, "hard": 99}]}, (1, b"77\n", b""))):
        last, o, err = as_room(e, "build", step, request(script, **more))
        same((script, last.get("exit_code", 0), o, err), (script, *want))
        same(last.get("diff_id", ""), "")
    last, _, err = as_room(e, "build", step, request(["/nosuch"]))
    same(last["exit_code"], 127)
    has(err.decode(), "nosuch")
    same(out(e, "ps", "-aq"), "")
    until_gone(e)


def many_steps(calls):
    took = []
    for _ in range(12):
        start = time.monotonic()
        last, _, _ = step(calls, request(["/bin/true"]))
        took.append(time.monotonic() - start)
        same((last.get("exit_code", 0), last.get("diff_id", "")), (0, ""))
    return sorted(took)


@case("step: a command that changes nothing makes no layer, and is quick")
def _(e):
    took = as_room(e, "build", many_steps)
    print(f"  a step takes {took[0] * 1000:.0f} ms, in the middle {took[6] * 1000:.0f} ms", flush=True)


def begin_step(calls, then):
    s = calls.open("runtime", "Step", request("echo up; sleep 100", hold=hold(calls)))
    while s.next().get("stream") != 1:
        pass
    if then == "leave":
        os._exit(0)
    if then == "stay":
        print("up", flush=True)
        time.sleep(60)
    s.cancel()
    s.close()


def until_gone(e):
    until("the folders of steps are gone", lambda: folders(e) == [], 30)


@case("step: cancelled, or its caller gone, nothing is left; other users are refused")
def _(e):
    as_room(e, "build", begin_step, "cancel")
    until_gone(e)
    as_room(e, "build", begin_step, "leave")
    until_gone(e)
    for who, asked, words in (("registry", request("true"), "not allowed|may not|denied|permission"),
                              ("build", request("true", admin=False, owner=1000, network="host"), "administrators"),
                              ("build", request("true", admin=False, owner=1000), "sha256:.* is not here"),
                              ("build", request("true", hold=12345), "hold")):
        try:
            as_room(e, who, step, asked)
            raise AssertionError(f"{who} may do {asked}")
        except CallError as error:
            has(error.message, words)


@case("step: what a room that was killed has left is removed at its next start")
def _(e):
    child, r = begin_as_room(e, "build", begin_step, "stay")
    until("the step runs", lambda: len(folders(e)) == 2 and running(e), 30)
    rooms = {x["name"]: x["pid"] for x in Calls(e.host).call("runtime", "Rooms")["room"]}
    os.kill(rooms["runtime"], 9)
    until_gone(e)
    child.kill()
    child.wait()
    os.close(r)


def running(e):
    folder = f"{e.root}/state/launch/containers"
    return all(os.path.exists(f"{folder}/{name}/run") for name in os.listdir(folder))


if __name__ == "__main__":
    run(setup)
