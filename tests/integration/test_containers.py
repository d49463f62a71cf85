"""Containers from outside: made, run, spoken to, looked at, changed into images, removed."""
import hashlib, io, json, os, re, signal, subprocess, sys, tarfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Engine, Terminal, case, ends, fails, has, inspect, lacks, out, run, same, show, until  # noqa: E402

BB = mk.busybox({"Env": ["PATH=/bin", "FROM=image"], "Cmd": ["sh", "-c", "echo default"], "Labels": {"role": "test"}},
                [[("srv", None, 0o755), ("srv/a", b"a\n", 0o644), ("srv/b", b"b\n", 0o644), ("noexec", b"#!/bin/sh\n", 0o644),
                  ("script", b"#!/bin/sh\necho script $1\n", 0o755), ("badscript", b"#!/no/such\n", 0o755), ("badperm", b"#!/noexec\n", 0o755),
                  ("junk", b"\1\2 no program\n", 0o755)]])
WEB = mk.busybox({"Env": ["PATH=/bin"], "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["cmd"], "User": "www", "WorkingDir": "/home/www/deep",
                  "StopSignal": "SIGINT"}, [[("web", b"", 0o644)]])
PORTS = mk.busybox({"Env": ["PATH=/bin"], "ExposedPorts": {"8080/tcp": {}}})
DOCKER_CAPS = 0x00000000a80425fb


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(BB, ["bb:latest"]), (WEB, ["web:latest"]), (PORTS, ["ports:latest"])]), text=False)


def sh(e, script, *flags, image="bb", **more):
    """Output of a shell script in a container that is removed afterwards."""
    return out(e, "run", "--rm", *flags, image, "sh", "-c", script, **more)


def status(e, name):
    return inspect(e, name)["State"]["Status"]


def gone(e, name):
    return e.cli("inspect", "--type", "container", name, check=False).returncode == 1


def file(e, name):
    return os.path.join(e.folder, name)


# ---- run ----

@case("run: output, both streams, exit codes of command, engine, signal")
def _(e):
    same(out(e, "run", "--rm", "bb"), "default\n")
    done = e.cli("run", "--rm", "bb", "sh", "-c", "echo o; echo e >&2; exit 9", check=False)
    same((done.stdout, done.stderr, done.returncode), ("o\n", "e\n", 9))
    for code, words in ((125, ["--nosuch", "bb"]), (125, ["nosuchimage"]), (125, ["--name", "a/b", "bb"]), (127, ["bb", "/nosuch"]), (127, ["bb", "nosuch"]),
                        (126, ["bb", "/noexec"]), (126, ["bb", "/srv"]), (0, ["bb", "/script", "x"]), (125, ["-w", "rel", "bb"]), (125, ["-u", "nobodyhere", "bb"]),
                        (137, ["--init", "bb", "sh", "-c", "kill -9 $$"]), (143, ["--init", "bb", "sh", "-c", "kill -15 $$; sleep 5"])):
        done = e.cli("run", "--rm", *words, check=False)
        assert done.returncode == code, f"want {code}\n  {show(done)}"
        if code in (125, 126, 127):
            same((words, len(done.stderr.strip().splitlines()) <= 2, done.stdout), (words, True, ""), done)
    # found, but what its first line names is not there, or it is no program: the container has begun, its code says why
    for code, says, words in ((127, "No such file", ["/badscript"]), (126, "[Ee]xec format error", ["/junk"]), (126, "Permission denied", ["/badperm"])):
        for flags in ([], ["-t"], ["--userns", "host"]):
            done = e.cli("run", *flags, "--name", "bad", "bb", *words, check=False)
            has(done.stdout + done.stderr, says, done)
            same((flags, words, done.returncode, inspect(e, "bad")["State"]["ExitCode"]), (flags, words, code, code), done)
            out(e, "rm", "bad")
    same(e.cli("run", "--rm", "bb", "sh", "-c", "echo 'exec container process `x`: No such file or directory' >&2; exit 1", check=False).returncode, 1)
    same(out(e, "ps", "-aq"), "")


@case("run: entrypoint, command, user and folder of the image; -e, --env-file, -w, -u, --entrypoint, --hostname")
def _(e):
    same(out(e, "run", "--rm", "web"), "entry cmd\n")
    same(out(e, "run", "--rm", "web", "x", "y"), "entry x y\n")
    same(out(e, "run", "--rm", "--entrypoint", "/bin/sh", "web", "-c", "id -u; pwd; echo $HOME"), "33\n/home/www/deep\n/home/www\n")
    same(out(e, "run", "--rm", "--entrypoint", "", "web", "echo", "bare"), "bare\n")
    mk.write(file(e, "env"), b"# comment\nONE=1\nTWO=a b\nPASSED\n\n")
    got = sh(e, "env", "-e", "X=y z", "-e", "FROM=us", "-e", "PASSED2", "--env-file", file(e, "env"), "--hostname", "ship",
             env={**os.environ, "PASSED": "host", "PASSED2": "h2"})
    for line in ("X=y z", "FROM=us", "ONE=1", "TWO=a b", "PASSED=host", "PASSED2=h2", "HOSTNAME=ship", "HOME=/root"):
        has(got, f"^{re.escape(line)}$")
    for flags, script, want in ((["-w", "/new/dir"], "pwd", "/new/dir"), (["-u", "33"], "id -u; id -g", "33\n33"), (["-u", "www"], "id -G", "33 500"),
                                (["-u", "www:500"], "id -g", "500"), (["-u", "4000:4001"], "id -u; id -g", "4000\n4001"), (["-u", "33", "--group-add", "77"], "id -G | grep -c 77", "1"),
                                (["-h", "h1", "--domainname", "d1"], "hostname", "h1"), (["--add-host", "db:10.0.0.9"], "grep -c '10.0.0.9.*db' /etc/hosts", "1"),
                                (["--dns", "10.1.1.1"], "cat /etc/resolv.conf | grep -c 10.1.1.1", "1"), (["-l", "a=b"], "echo x", "x")):
        same((flags, sh(e, script, *flags)), (flags, want + "\n"))
    cid = sh(e, "hostname")
    has(cid, r"\A[0-9a-f]{12}\n\Z")


@case("run -i: 3 MB in, 50 MB out, half-close; the input ends without -i")
def _(e):
    data = os.urandom(3_000_000)
    done = ends(e.cli("run", "--rm", "-i", "bb", "sha256sum", input=data, text=False), 0)
    same(done.stdout.split()[0].decode(), hashlib.sha256(data).hexdigest())
    done = ends(e.cli("run", "--rm", "-i", "bb", "cat", input=data, text=False), 0)
    assert done.stdout == data, f"{len(done.stdout)} bytes came back"
    done = e.cli("run", "--rm", "bb", "sh", "-c", "head -c 50000000 /dev/zero | tr '\\0' x; echo end >&2", text=False)
    same((len(done.stdout), done.stdout.count(b"x"), done.stderr), (50_000_000, 50_000_000, b"end\n"))
    done = e.cli("run", "--rm", "-i", "bb", "sh", "-c", "cat >/dev/null; sleep 0.3; echo after", input="x\n")
    same(done.stdout, "after\n")
    same(out(e, "run", "--rm", "bb", "wc", "-c", stdin=None), "0\n")


@case("run -t -i: a terminal with its size, resize, Ctrl-C, detach keys, raw bytes")
def _(e):
    t = Terminal(e, "run", "-it", "--name", "term", "bb", "sh", rows=33, cols=101)
    t.read_until(rb"[#$] ")
    t.type(b"tty; stty size; echo $TERM\n")
    t.read_until(rb"/dev/(pts/|console)[^#]*33 101[^#]*xterm")
    t.resize(50, 132)
    os.kill(t.pid, signal.SIGWINCH)
    time.sleep(0.3)
    t.type(b"stty size\n")
    t.read_until(rb"50 132")
    t.type(b"sleep 100\n")
    time.sleep(0.4)
    t.type(b"\x03")
    t.type(b"echo st$((1))ll\n")
    t.read_until(rb"st1ll")
    t.type(b"\x10\x11")  # Ctrl-P Ctrl-Q
    same(t.end(), 0)
    same(status(e, "term"), "running")
    t = Terminal(e, "attach", "--detach-keys", "ctrl-x,a", "term")
    t.type(b"echo ag$((1))in\n")
    t.read_until(rb"ag1in")
    t.type(b"\x18a")
    same(t.end(), 0)
    t = Terminal(e, "attach", "term")
    t.type(b"exit 6\n")
    same(t.end(), 6)
    out(e, "rm", "term")
    done = e.cli("run", "-t", "-i", "--rm", "bb", "sh", check=False, stdin=subprocess.DEVNULL)
    same(done.returncode != 0, True)
    has(done.stderr, "(?i)not a TTY")


@case("run: signals of the client go to the command; -d prints the ID; --cidfile; --rm; --name twice")
def _(e):
    p = e.cli_start("run", "--name", "sig", "bb", "sh", "-c", "trap 'echo got; exit 4' TERM; echo ready; while :; do sleep 0.1; done",
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    same(p.stdout.readline(), "ready\n")
    p.send_signal(signal.SIGTERM)
    same((p.wait(10), p.stdout.read()), (4, "got\n"))
    p.stdout.close(), p.stderr.close()
    done = fails(e, "run", "--name", "sig", "bb", code=125, error="(?i)already in use")
    out(e, "rm", "sig")
    cid = out(e, "run", "-d", "--rm", "--cidfile", file(e, "cid"), "bb", "sh", "-c", "sleep 0.4").strip()
    has(cid, r"\A[0-9a-f]{64}\Z")
    same(open(file(e, "cid")).read(), cid)
    fails(e, "run", "--cidfile", file(e, "cid"), "bb", code=125, error="cid")
    until("--rm removes it", lambda: gone(e, cid))


@case("run --rm: when the client has ended the name is free, however long the files take to go")
def _(e):
    many = "i=0; while [ $i -lt 3000 ]; do : > /srv/$i; i=$((i+1)); done"
    for i in range(6):
        same(out(e, "run", "--rm", "--name", "again", "bb", "sh", "-c", f"{many}; echo {i}"), f"{i}\n")


# ---- life ----

@case("create, start, stop, kill, wait, restart, rename, rm and their rules")
def _(e):
    cid = out(e, "create", "--name", "life", "bb", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done").strip()
    same(status(e, "life"), "created")
    same(out(e, "start", "life"), "life\n")
    same(out(e, "start", "life"), "life\n")  # running already: no error
    until("it is up", lambda: out(e, "logs", "life"))
    fails(e, "rm", "life", error="(?i)running")
    fails(e, "create", "--name", "life", "bb", code=125, error="(?i)in use")
    waiter = e.cli_start("wait", "life", stdout=subprocess.PIPE, text=True)
    time.sleep(0.2)
    start = time.monotonic()
    same(out(e, "stop", cid[:12]), cid[:12] + "\n")
    assert time.monotonic() - start < 4, "a container that ends on TERM took long"
    same(waiter.communicate(timeout=5)[0], "3\n")
    same((status(e, "life"), inspect(e, "life")["State"]["ExitCode"]), ("exited", 3))
    same(out(e, "wait", "life"), "3\n")
    same(out(e, "stop", "life"), "life\n")
    fails(e, "kill", "life", error="(?i)not running")
    out(e, "restart", "-t", "1", "life")
    same(status(e, "life"), "running")
    out(e, "rename", "life", "lief")
    same(out(e, "kill", "-s", "KILL", "lief"), "lief\n")
    until("it is dead", lambda: status(e, "lief") == "exited")
    same(out(e, "wait", "lief"), "137\n")
    out(e, "run", "-d", "--name", "deaf", "bb", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    start = time.monotonic()
    out(e, "stop", "-t", "1", "deaf")
    assert 0.9 < time.monotonic() - start < 4, time.monotonic() - start
    same(inspect(e, "deaf")["State"]["ExitCode"], 137)
    same(out(e, "rm", "deaf", "lief"), "deaf\nlief\n")
    out(e, "run", "-d", "--name", "forced", "bb", "sleep", "100")
    same(out(e, "rm", "-f", "forced"), "forced\n")
    fails(e, "rm", "forced", error="(?i)no such container: forced")
    ends(e.cli("rm", "-f", "forced", check=False), 0)
    for verb in ("start", "stop", "wait", "kill", "logs", "attach", "diff"):
        fails(e, verb, "nosuch", error="(?i)no such container: nosuch")
    out(e, "run", "-d", "--name", "usr", "bb", "sh", "-c", "trap 'echo usr1' USR1; while :; do sleep 0.1; done")
    time.sleep(0.3)
    out(e, "kill", "-s", "SIGUSR1", "usr")
    until("the signal", lambda: out(e, "logs", "usr") == "usr1\n")
    out(e, "rm", "-f", "usr")


@case("ps: columns, states, filters, formats, sizes")
def _(e):
    out(e, "run", "-d", "--name", "p-run", "-l", "team=x", "bb", "sleep", "100")
    e.cli("run", "--name", "p-exit", "bb", "sh", "-c", "echo 123456789 > /f; exit 5", check=False)
    out(e, "create", "--name", "p-new", "web")
    table = out(e, "ps")
    has(table, r"\ACONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n")
    has(table, r"^[0-9a-f]{12} +bb +\"sleep 100\" +.* ago +Up .* p-run$")
    same(len(table.splitlines()), 2)
    table = out(e, "ps", "-a")
    has(table, r"Exited \(5\) .* ago .*p-exit$")
    has(table, r" Created .*p-new$")
    def filtered(*words):
        return sorted(out(e, "ps", "-a", "--format", "{{.Names}}", *(w for f in words for w in ("--filter", f))).split())
    for words, want in ((["status=exited"], ["p-exit"]), (["status=running"], ["p-run"]), (["status=created", "status=exited"], ["p-exit", "p-new"]),
                        (["name=p-e"], ["p-exit"]), (["name=^p-run$"], ["p-run"]), (["label=team"], ["p-run"]), (["label=team=y"], []),
                        (["label=role=test"], ["p-exit", "p-run"]), (["exited=5"], ["p-exit"]), (["ancestor=web"], ["p-new"]), (["before=p-exit"], ["p-run"]),
                        (["since=p-exit"], ["p-new"]), (["network=none"], ["p-exit", "p-new", "p-run"]), (["network=host"], [])):
        same((words, filtered(*words)), (words, want))
    fails(e, "ps", "--filter", "colour=red", error="colour")
    fails(e, "ps", "--filter", "status=perhaps", error="perhaps")
    same(out(e, "ps", "-lq"), inspect(e, "p-new")["Id"][:12] + "\n")
    same(len(out(e, "ps", "-n", "2", "-q").split()), 2)
    same(out(e, "ps", "-aq", "--no-trunc", "--filter", "name=p-new"), inspect(e, "p-new")["Id"] + "\n")
    row = json.loads(out(e, "ps", "-a", "--format", "json", "--filter", "name=p-run"))
    same({k: row[k] for k in ("Names", "State", "Image", "Command")}, {"Names": "p-run", "State": "running", "Image": "bb", "Command": '"sleep 100"'})
    same(out(e, "ps", "--format", '{{.Label "team"}}/{{.Networks}}'), "x/none\n")
    has(out(e, "ps", "-as", "--filter", "name=p-exit"), r"SIZE\n.*\b(1\d|[1-9])\d*B \(virtual ")
    same(sorted(out(e, "container", "prune", "-f", "--filter", "label=team").splitlines()[:1]), ["Total reclaimed space: 0B"])
    got = out(e, "container", "prune", "-f")
    has(got, r"\ADeleted Containers:\n")
    same(out(e, "ps", "-a", "--format", "{{.Names}}"), "p-run\n")
    out(e, "rm", "-f", "p-run")


# ---- logs, attach, exec ----

@case("logs: all, --tail, -t, --since, --until, -f, streams apart, rotation, none")
def _(e):
    out(e, "run", "-d", "--name", "lg", "bb", "sh", "-c", "for i in 1 2 3; do echo o$i; done; echo err >&2; sleep 1.2; echo late; sleep 0.6; echo end")
    done = until("three lines", lambda: (lambda d: d if "err" in d.stderr else None)(e.cli("logs", "lg")))
    same((done.stdout, done.stderr), ("o1\no2\no3\n", "err\n"))
    follower = e.cli_start("logs", "-f", "lg", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    same(follower.communicate(timeout=10)[0], "o1\no2\no3\nlate\nend\n")
    same(follower.returncode, 0)
    same(out(e, "logs", "--tail", "2", "lg"), "late\nend\n")
    same(out(e, "logs", "-n", "0", "lg"), "")
    for line in out(e, "logs", "-t", "lg").splitlines():
        has(line, r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (o\d|late|end)\Z")
    stamp = out(e, "logs", "-t", "--tail", "2", "lg").split()[0]
    same(out(e, "logs", "--since", stamp, "lg"), "late\nend\n")
    same(out(e, "logs", "--until", stamp, "lg").split()[:3], ["o1", "o2", "o3"])
    same(out(e, "logs", "--since", "1h", "--tail", "1", "lg"), "end\n")
    out(e, "run", "--name", "rot", "--log-opt", "max-size=20k", "--log-opt", "max-file=3", "bb", "sh", "-c", "i=0; while [ $i -lt 8000 ]; do echo line $i; i=$((i+1)); done")
    lines = out(e, "logs", "rot").splitlines()
    assert lines[-1] == "line 7999" and 500 < len(lines) < 8000, (lines[-1], len(lines))
    numbers = [int(line.split()[1]) for line in lines if re.fullmatch(r"line \d+", line)]
    same(numbers, list(range(numbers[0], 8000)))
    folder = f"{e.root}/state/monitor/{inspect(e, 'rot')['Id']}"
    sizes = [os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder) if n.startswith("log")]
    assert len(sizes) == 3 and max(sizes) <= 20480, sizes
    same(out(e, "run", "--name", "nolog", "--log-driver", "none", "bb", "echo", "x"), "x\n")
    done = e.cli("logs", "nolog", check=False)
    assert done.stdout == "", show(done)
    out(e, "rm", "lg", "rot", "nolog")


@case("attach: output, input, exit code, several at once, --no-stdin, a detached client's death harms nobody")
def _(e):
    out(e, "run", "-d", "-i", "--name", "at", "bb", "sh", "-c", "while read x; do echo got $x; [ $x = stop ] && exit 8; done")
    one = e.cli_start("attach", "at", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    two = e.cli_start("attach", "--no-stdin", "at", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    dead = e.cli_start("attach", "--no-stdin", "at", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    dead.kill()
    dead.wait()
    dead.stdout.close()
    one.stdin.write("hello\nstop\n")
    one.stdin.flush()
    same((one.stdout.read(), one.wait(5)), ("got hello\ngot stop\n", 8))
    same((two.communicate(timeout=5)[0], two.returncode), ("got hello\ngot stop\n", 8))
    one.stdin.close(), one.stdout.close()
    fails(e, "attach", "at", error="(?i)stopped container|not running")
    out(e, "rm", "-f", "at")
    out(e, "create", "-i", "--name", "sa", "bb", "cat")
    same(out(e, "start", "-ai", "sa", input="through\n"), "through\n")
    out(e, "rm", "sa")


@case("a reader that stops reading does not stop the container")
def _(e):
    p = e.cli_start("run", "--name", "slow", "bb", "sh", "-c", "head -c 400000 /dev/zero | tr '\\0' y; echo done > /flag; sleep 30",
                    stdout=subprocess.PIPE)
    q = e.cli_start("logs", "-f", "slow", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    time.sleep(1.0)
    p.kill(), p.wait(), p.stdout.close()
    q.kill(), q.wait(), q.stdout.close()
    until("the container goes on", lambda: e.cli("exec", "slow", "cat", "/flag", check=False).stdout == "done\n")
    same(len(out(e, "logs", "slow")), 400000)
    out(e, "rm", "-f", "slow")


@case("a reader that goes away ends the client, not the container: run, exec, attach, logs -f")
def _(e):
    loop = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"
    for words in (["run", "--name", "loop", "bb", "sh", "-c", loop], ["exec", "loop", "sh", "-c", loop], ["attach", "--no-stdin", "--sig-proxy=false", "loop"], ["logs", "-f", "loop"]):
        p = e.cli_start(*words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        p.stdout.readline()
        p.stdout.close()
        try:
            same((words[0], p.wait(5)), (words[0], 0 if words[0] == "logs" else 1))
        finally:
            p.kill()
        same(status(e, "loop"), "running")
    out(e, "rm", "-f", "loop")


@case("output that cannot be written is told, and fails the command")
def _(e):
    for words in (["run", "--rm", "bb", "echo", "x"], ["images"], ["inspect", "web"], ["ps"], ["save", "bb"]):
        with open("/dev/full", "w") as full:
            done = e.cli(*words, check=False, stdout=full)
        assert done.returncode == 1 and "No space left" in done.stderr, show(done)


@case("exec: streams, codes, -d, -e, -u, -w, -t, 3 MB in; not running")
def _(e):
    out(e, "run", "-d", "--name", "ex", "-e", "OWN=1", "-u", "33", "bb", "sleep", "100")
    done = e.cli("exec", "ex", "sh", "-c", "echo o; echo e >&2; exit 7", check=False)
    same((done.stdout, done.stderr, done.returncode), ("o\n", "e\n", 7))
    for words, want in ((["ex", "id", "-u"], "33\n"), (["-u", "0", "ex", "id", "-u"], "0\n"), (["-e", "K=v w", "ex", "sh", "-c", "echo $OWN $K"], "1 v w\n"),
                        (["-w", "/srv", "ex", "pwd"], "/srv\n"), (["ex", "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"], "sleep 100 "), (["ex", "/script", "q"], "script q\n")):
        same((words, out(e, "exec", *words)), (words, want))
    for code, command in ((127, "/nosuch"), (126, "/noexec"), (127, "nosuch")):
        done = e.cli("exec", "ex", command, check=False)
        assert done.returncode == code and done.stderr, show(done)
    data = os.urandom(3_000_000)
    done = e.cli("exec", "-i", "ex", "cat", input=data, text=False)
    assert done.stdout == data, f"{len(done.stdout)} bytes came back"
    out(e, "exec", "-d", "-u", "0", "ex", "sh", "-c", "sleep 0.2; echo x > /made")
    until("exec -d ran", lambda: e.cli("exec", "ex", "cat", "/made", check=False).stdout == "x\n")
    t = Terminal(e, "exec", "-it", "ex", "sh", rows=31, cols=77)
    t.read_until(rb"[#$] ")
    t.type(b"stty size; tty\n")
    t.read_until(rb"31 77[^#$]*/dev/pts")
    t.resize(20, 60)
    os.kill(t.pid, signal.SIGWINCH)
    time.sleep(0.3)
    t.type(b"stty size; exit 12\n")
    t.read_until(rb"20 60")
    same(t.end(), 12)
    many = [e.cli_start("exec", "ex", "sh", "-c", f"echo {i}; exit {i}", stdout=subprocess.PIPE, text=True) for i in range(12)]
    same([(p.communicate(timeout=20)[0], p.returncode) for p in many], [(f"{i}\n", i) for i in range(12)])
    out(e, "stop", "-t", "0", "ex")
    fails(e, "exec", "ex", "true", error="(?i)not running")
    fails(e, "exec", "nosuch", "true", error="(?i)no such container")
    out(e, "rm", "ex")


# ---- files ----

@case("volumes and mounts: bind rw and ro, a missing source, a file, tmpfs, --read-only")
def _(e):
    host = file(e, "host")
    os.makedirs(f"{host}/sub", exist_ok=True)
    mk.write(f"{host}/f", b"from the host\n")
    os.chmod(e.folder, 0o755), os.chmod(host, 0o777), os.chmod(f"{host}/f", 0o644)
    same(sh(e, "cat /m/f; echo new > /m/made", "-v", f"{host}:/m"), "from the host\n")
    same(open(f"{host}/made").read(), "new\n")
    done = e.cli("run", "--rm", "-v", f"{host}:/m:ro", "bb", "sh", "-c", "echo x > /m/no", check=False)
    has(done.stderr, "(?i)read-only")
    same(sh(e, "cat /one", "-v", f"{host}/f:/one:ro"), "from the host\n")
    same(sh(e, "cat /one", "--mount", f"type=bind,source={host}/f,target=/one,readonly"), "from the host\n")
    fails(e, "run", "--rm", "--mount", f"type=bind,source={host}/nosuch,target=/x", "bb", "true", code=125, error="nosuch")
    same(sh(e, "ls -d /x", "-v", f"{host}/nosuch:/x"), "/x\n")
    assert os.path.isdir(f"{host}/nosuch")
    fails(e, "run", "--rm", "-v", "named:/x", "bb", "true", code=125, error="(?i)volume|named|absolute")
    fails(e, "run", "--rm", "-v", f"{host}:relative", "bb", "true", code=125, error="(?i)absolute|relative")
    got = sh(e, "grep ' /t ' /proc/mounts; grep ' /u ' /proc/mounts; echo x > /t/f && cat /t/f", "--tmpfs", "/t:size=1m,mode=700", "--mount", "type=tmpfs,target=/u,tmpfs-size=2m")
    has(got, r"^\S+ /t tmpfs .*size=1024k")
    has(got, r"^\S+ /u tmpfs .*size=2048k")
    has(got, r"^x$")
    has(e.cli("run", "--rm", "--read-only", "bb", "sh", "-c", "echo x > /f", check=False).stderr, "(?i)read-only")
    same(sh(e, "echo x > /t/f; cat /t/f", "--read-only", "--tmpfs", "/t"), "x\n")
    same(sh(e, "df -k /dev/shm | awk 'NR==2{print $2}'", "--shm-size", "8m"), "8192\n")


@case("diff, commit, export: what changed; -m -a -c -p; layers that two commits give alike")
def _(e):
    out(e, "run", "--name", "chg", "bb", "sh", "-c", "echo n > /srv/new; echo a2 > /srv/a; rm /srv/b; mkdir /d; ln -s x /d/l; touch -d @1700000000 /srv/new /srv/a; mkdir /gone; rmdir /gone")
    got = out(e, "diff", "chg").splitlines()
    for line in ("A /d", "A /d/l", "A /srv/new", "C /srv", "C /srv/a", "D /srv/b"):
        assert line in got, (line, got)
    lacks("\n".join(got), "gone")
    cid = out(e, "commit", "-m", "note", "-a", "me", "-c", "CMD cat /srv/new", "-c", "LABEL z=1", "chg", "made:1").strip()
    i = inspect(e, "made:1")
    same((i["Id"], i["Comment"], i["Author"], i["Config"]["Cmd"], i["Config"]["Labels"]), (cid, "note", "me", ["/bin/sh", "-c", "cat /srv/new"], {"role": "test", "z": "1"}))
    same(i["RootFS"]["Layers"][:-1], inspect(e, "bb", "--type", "image")["RootFS"]["Layers"])
    same(out(e, "run", "--rm", "made:1"), "n\n")
    same(sh(e, "ls /srv; cat /srv/a; readlink /d/l", image="made:1"), "a\nnew\na2\nx\n")
    again = out(e, "commit", "chg").strip()
    same(inspect(e, again)["RootFS"]["Layers"], i["RootFS"]["Layers"])
    has(out(e, "history", "made:1"), "note")
    out(e, "export", "-o", file(e, "x.tar"), "chg")
    done = e.cli("export", "chg", text=False)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        names = {m.name.removeprefix("./").rstrip("/"): m for m in tar.getmembers()}
        assert "srv/new" in names and "srv/b" not in names and names["d/l"].issym(), sorted(names)[:20]
        same(tar.extractfile(names["srv/a"]).read(), b"a2\n")
    with tarfile.open(file(e, "x.tar")) as tar:
        same(len(tar.getmembers()), len(names))
    t = Terminal(e, "export", "chg")
    same(t.end(), 1)
    has(t.seen.decode(), "(?i)terminal")
    flat = out(e, "import", file(e, "x.tar"), "flat:1").strip()
    same(sh(e, "cat /srv/a", image="flat:1"), "a2\n")
    fails(e, "commit", "chg", "Bad:name", error="(?i)lowercase")
    fails(e, "commit", "-c", "RUN x", "chg", error="RUN")
    out(e, "run", "-d", "--name", "live", "bb", "sh", "-c", "i=0; while :; do echo $i > /tick; i=$((i+1)); done")
    for pause in ("-p=true", "-p=false"):
        out(e, "commit", pause, "live", "live:1")
        has(sh(e, "cat /tick", image="live:1"), r"\A\d*\n?\Z")
    same(status(e, "live"), "running")
    out(e, "rm", "-f", "live", "chg")
    out(e, "rmi", "live:1", "made:1", "flat:1", again)


# ---- isolation ----

@case("rights: ids, capabilities, seccomp, no-new-privileges, masked paths, devices, descriptors")
def _(e):
    got = sh(e, "cat /proc/self/uid_map; grep -E 'CapEff|CapBnd|Seccomp:|NoNewPrivs' /proc/self/status")
    has(got, r"^\s+0\s+[1-9]\d+\s+65536$")
    has(got, f"^CapEff:\t{DOCKER_CAPS:016x}$")
    has(got, f"^CapBnd:\t{DOCKER_CAPS:016x}$")
    has(got, "^Seccomp:\t2$")
    a, b = (sh(e, "cat /proc/self/uid_map") for _ in range(2))
    has(sh(e, "grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges"), "1$")
    same(sh(e, "grep CapEff /proc/self/status", "--cap-drop", "ALL").split()[1], f"{0:016x}")
    same(sh(e, "grep CapEff /proc/self/status", "--cap-drop", "all", "--cap-add", "NET_RAW").split()[1], f"{1 << 13:016x}")
    same(sh(e, "grep CapEff /proc/self/status", "-u", "33").split()[1], f"{0:016x}")
    fails(e, "run", "--rm", "--cap-add", "NOSUCH", "bb", "true", code=125, error="NOSUCH")
    same(sh(e, "ls -l /proc/self/fd | wc -l"), "5\n")  # total, 0, 1, 2 and the folder itself
    same(sh(e, "ls /sys/firmware 2>/dev/null | wc -l; cat /proc/kcore 2>/dev/null | head -c 10 | wc -c; cat /proc/keys /proc/timer_list 2>/dev/null | wc -c"), "0\n0\n0\n")
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/irq/x", "/sys/kernel/x"):
        done = e.cli("run", "--rm", "bb", "sh", "-c", f"echo x > {path}", check=False)
        assert done.returncode != 0, path
    for script in ("mknod /tmp/d b 8 0 && head -c 1 /tmp/d", "mount -t tmpfs x /tmp", "unshare -m true", "chroot /proc/1/root true && false", "hostname newname",
                   "dmesg", "reboot -f", "nsenter -t 1 -n true && mount -t proc x /tmp", "cat /dev/sda /dev/vda"):
        done = e.cli("run", "--rm", "bb", "sh", "-c", script, check=False)
        assert done.returncode != 0, script
    same(sh(e, "ls /dev").split(), sorted(sh(e, "ls /dev").split()))
    assert set(sh(e, "ls /dev").split()) <= {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
    same(sh(e, "echo x > /dev/null; head -c 3 /dev/zero | wc -c"), "3\n")


@case("rights: the host's /dev/null, which a container without -i has, stays the host's")
def _(e):
    def now():
        st = os.stat("/dev/null")
        return st.st_uid, st.st_gid, st.st_mode & 0o7777

    want = (0, 0, 0o666)
    if now() != want:  # an engine without this fix has been here
        print(f"# /dev/null was {now()} and is put right")
        os.chown("/dev/null", 0, 0)
        os.chmod("/dev/null", 0o666)
    script = "for i in 0 1 2; do chmod 600 /proc/self/fd/$i; done 2>/dev/null; id -u"
    same((sh(e, "cat; echo >&0; " + script), now()), ("0\n", want))
    out(e, "run", "-d", "--name", "nul", "bb", "sleep", "100")
    for flags in ([], ["-u", "33"], ["-t"]):
        done = e.cli("exec", *flags, "nul", "sh", "-c", script, check=False)
        same((flags, done.returncode, now()), (flags, 0, want), done)
    out(e, "run", "--rm", "-t", "bb", "true")
    out(e, "rm", "-f", "nul")
    same(now(), want)


class Contained(Engine):
    """In a mount namespace as containers have it: each device is a mount of its own over an empty file."""

    def command(self):
        script = ("mkdir $1/dev; mount -t tmpfs dev $1/dev; cd $1/dev; mkdir pts shm mqueue; mount --rbind /dev/pts pts; ln -s pts/ptmx ptmx;"
                  " for d in null zero full random urandom tty; do touch $d; mount --bind /dev/$d $d; done; cd /; mount --move $1/dev /dev;"
                  ' shift; exec "$@"')
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", self.root, *super().command()]


@case("an engine in a container, where each device is a mount: run with and without input and terminal, exec")
def _(e):
    with Contained() as inner:
        setup(inner)
        same(sh(inner, "cat; echo x > /dev/null; ls -l /dev/null | cut -c1"), "c\n")
        same(out(inner, "run", "--rm", "-i", "bb", "cat", input="in\n"), "in\n")
        same(out(inner, "run", "--rm", "-t", "bb", "echo", "tty"), "tty\n")
        out(inner, "run", "-d", "--name", "stays", "bb", "sleep", "100")
        same(out(inner, "exec", "stays", "cat", "/dev/null"), "")


@case("seccomp: a profile of one's own, for run, exec, a restart and a build; builtin; what is wrong with it exits 125")
def _(e):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
                            {"name": "symlink", "action": "SCMP_ACT_KILL_PROCESS"}]}
    path = file(e, "nomkdir.json")
    mk.write(path, json.dumps(profile, indent=2).encode())
    opt = ("--security-opt", f"seccomp={path}")
    same(sh(e, "mkdir /x 2>&1; grep Seccomp: /proc/self/status; ln -s a /b; echo $?", *opt), "mkdir: can't create directory '/x': Permission denied\nSeccomp:\t2\n159\n")
    same(sh(e, "mkdir /x && echo made", *opt, "--cap-add", "SYS_ADMIN"), "made\n")
    same(sh(e, "mkdir /x && echo made", *opt, "--security-opt", "seccomp=builtin"), "made\n")  # the last one counts
    out(e, "run", "-d", "--name", "locked", *opt, "bb", "sleep", "1000")
    for _ in range(2):
        has(fails(e, "exec", "locked", "mkdir", "/x").stderr, "Permission denied")
        out(e, "restart", "-t", "0", "locked")
    same(json.loads(json.loads(out(e, "inspect", "locked"))[0]["HostConfig"]["SecurityOpt"][0].removeprefix("seccomp=")), profile)
    out(e, "rm", "-f", "locked")
    context = os.path.join(e.folder, "locked")
    os.makedirs(context, exist_ok=True)
    mk.write(file(e, "locked/Dockerfile"), b"FROM bb\nRUN mkdir /x\n")
    has(ends(e.cli("build", "-q", *opt, context, check=False), 1).stderr, "Permission denied")
    out(e, "rmi", out(e, "build", "-q", "--security-opt", "seccomp=builtin", context).strip())
    for text, error in ((b"", "JSON text"), (b"not json", "JSON text"), (b"{", "seccomp profile: not valid JSON"), (b"{}", "defaultAction"), (b"\xff{}", "JSON text"),
                        (b'{"defaultAction": "SCMP_ACT_NONE"}', "SCMP_ACT_NONE"), (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscals": []}', "syscals"),
                        (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_NOTIFY"}]}', "agent"),
                        (b'{"defaultAction": "SCMP_ACT_ALLOW"' + b" " * (128 << 10) + b"}", "larger|long"),
                        (b'{"defaultAction": "SCMP_ACT_ALLOW", "comment": "' + b"x" * (127 << 10) + b'"}', None)):
        path = file(e, "bad.json")
        mk.write(path, text)
        if error is None:
            same(sh(e, "echo well", "--security-opt", f"seccomp={path}"), "well\n")
            continue
        done = fails(e, "run", "--rm", "--security-opt", f"seccomp={path}", "bb", "true", code=125, error=error)
        same(len(done.stderr.strip().splitlines()), 1)
        fails(e, "create", "--security-opt", f"seccomp={path}", "bb", "true", code=125, error=error)
    fails(e, "run", "--rm", "--security-opt", "seccomp=/nonexistent.json", "bb", "true", code=125, error="/nonexistent.json: No such file")
    same(out(e, "ps", "-aq"), "")


@case("namespaces: processes, network none has lo up, host; pid, ipc, uts; --userns=host, --privileged; cgroup; init; ulimit; sysctl")
def _(e):
    same(sh(e, "ps | grep -c -v PID | head -1; echo $$").split()[-1], "1")
    same(sh(e, "ls /sys/class/net; cat /sys/class/net/lo/operstate >/dev/null; ping -c 1 -w 2 127.0.0.1 >/dev/null && echo up"), "lo\nup\n")
    same(sh(e, "ls /sys/class/net | wc -l", "--network", "none"), "1\n")
    host = sorted(os.listdir("/sys/class/net"))
    got = sh(e, "cat /proc/net/dev | sed 1,2d | cut -d: -f1 | tr -d ' '", "--network", "host").split()
    same(sorted(got), [n for n in host if n != "bonding_masters"])
    fails(e, "run", "--rm", "--network", "bridge", "bb", "true", code=125, error="(?i)later|not available|bridge")
    fails(e, "run", "--rm", "--network", "mynet", "bb", "true", code=125, error="mynet")
    same(sh(e, "cat /proc/self/uid_map", "--userns", "host").split(), ["0", "0", "4294967295"])
    got = sh(e, "cat /proc/self/uid_map; grep -E 'CapEff|Seccomp:' /proc/self/status", "--privileged")
    has(got, "^Seccomp:\t0$")
    caps = int(re.search(r"CapEff:\t([0-9a-f]+)", got).group(1), 16)
    assert caps & ~DOCKER_CAPS & (1 << 21), hex(caps)  # SYS_ADMIN
    has(sh(e, "cat /proc/1/comm", "--init"), "init")
    has(sh(e, "ulimit -n; ulimit -u", "--ulimit", "nofile=100:200"), r"\A100\n")
    same(sh(e, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "--sysctl", "net.ipv4.ip_unprivileged_port_start=7"), "7\n")
    fails(e, "run", "--rm", "--sysctl", "kernel.panic=1", "bb", "true", code=125, error="kernel.panic")
    has(sh(e, "cat /proc/self/cgroup"), r".")
    lacks(sh(e, "cat /proc/self/cgroup"), re.escape(e.root))
    same(sh(e, "cat /proc/self/oom_score_adj", "--oom-score-adj", "500"), "500\n")
    has(sh(e, "readlink /proc/self/ns/uts", "--uts", "host", "--userns", "host"), re.escape(os.readlink("/proc/self/ns/uts")))
    p = e.cli_start("run", "--rm", "--init", "--name", "zombie", "bb", "sh", "-c", "(sleep 0.1 &) ; sleep 1; ps -o stat,comm | grep -c ^Z", stdout=subprocess.PIPE, text=True)
    same(p.communicate(timeout=10)[0], "0\n")


@case("as docker: groups, hosts, tmpfs, --pull, --ipc host, a missing device, exit codes of exec, ps, logs, prompts")
def _(e):
    same(sh(e, "id", "-u", "1000:1000"), "uid=1000 gid=1000 groups=1000\n")
    same(sh(e, "id -G", "--group-add", "55"), "0 55\n")
    got = sh(e, "cat /etc/hosts", "--add-host", "a:1.2.3.4", "--add-host", "b=1.2.3.5", "--add-host", "c=[fd00::1]")
    has(got, "^1.2.3.4\ta$"), has(got, "^1.2.3.5\tb$"), has(got, "^fd00::1\tc$")
    for bad in ("x", "=1.2.3.4", "x=", "x:nowhere"):
        fails(e, "run", "--rm", "--add-host", bad, "bb", "true", code=125, error="add-host")
    same(sh(e, "grep ' /t ' /proc/mounts; stat -c '%u:%g %a' /t; echo x > /t/x", "--tmpfs", "/t:size=1m,mode=1770"),
         "tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=1770 0 0\n0:0 1770\n")
    fails(e, "run", "--rm", "--tmpfs", "/t:ro", "bb", "touch", "/t/x", error="Read-only")
    fails(e, "run", "--rm", "--pull", "sometimes", "bb", "true", code=125, error="invalid pull option: 'sometimes'")
    same(sh(e, "echo well", "--ipc", "host"), "well\n")
    fails(e, "run", "--rm", "--device", "/dev/nosuch", "bb", "true", code=125, error='custom device "/dev/nosuch": No such file')
    fails(e, "run", "--rm", "--device", "/etc/passwd", "bb", "true", code=125, error="not a device node")
    fails(e, "run", "--rm", "--cap-add", "nosuch", "bb", "true", code=125, error='"CAP_NOSUCH"')
    for option, value in (("--pid", "bad"), ("--uts", "bad"), ("--userns", "bad"), ("--cgroupns", "bad"), ("--ipc", "bad")):
        fails(e, "run", "--rm", option, value, "bb", "true", code=125, error=f"{option}: invalid mode: bad")
    for flags, error in ((["-v", "/a:/b:/c:/d"], "too many colons"), (["-v", "/a:/b:bad"], "invalid mode"), (["--mount", "type=bind,src=/a"], "target is required"),
                         (["--mount", "type=tmpfs,dst=/a,nosuch=1"], "unexpected key"), (["-a", "bad"], "valid streams are"), (["-d", "-a", "stdout"], "cannot specify both --attach and --detach")):
        fails(e, "run", "--rm", *flags, "bb", "true", code=125, error=error)
    out(e, "run", "-d", "--name", "doc", "bb", "sh", "-c", "echo out; exec sleep 300")
    same(out(e, "ps", "--format", "{{.Command}}", "--no-trunc"), "\"sh -c 'echo out; exec sleep 300'\"\n")
    same(out(e, "ps", "-q", "-f", "isolation=default"), out(e, "ps", "-q"))
    fails(e, "ps", "-f", "bad", code=125, error="bad format of filter")
    fails(e, "images", "-f", "bad", code=125, error="bad format of filter")
    until("it writes", lambda: out(e, "logs", "doc"))
    same(out(e, "logs", "--details", "doc"), " out\n")
    has(out(e, "logs", "-t", "--details", "doc"), r"\A20\S+Z  out\n\Z")
    same(out(e, "logs", "--since", "2030-01-01", "doc") + out(e, "logs", "--since", "2030-01-01T10:00Z", "doc") + out(e, "logs", "--until", "2020-01-01T10:00:00.5", "doc"), "")
    same(out(e, "logs", "--since", "2020-01-01", "doc") + out(e, "logs", "--until", "2030-01-01T10", "doc"), "out\nout\n")
    now = int(time.time())
    ago, west = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - 5 * 3600 - 60)), {**os.environ, "TZ": "UTC+5"}
    same(out(e, "logs", "--since", ago, "doc", env=west), "out\n")
    same(out(e, "logs", "--since", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now + 3600)), "doc", env=west), "")
    fails(e, "logs", "--since", "2030-13-01", "doc", error="not a time")
    for flags, code in ((["-w", "/nope"], (126, 127)), (["-w", "rel"], (126,)), (["-u", "nosuch"], (126,))):
        done = e.cli("exec", *flags, "doc", "true", check=False)
        assert done.returncode in code, show(done)
    fails(e, "exec", "doc", "nosuch", code=127)
    out(e, "tag", "bb", "gone:1")
    out(e, "create", "--name", "old", "gone:1")
    out(e, "rmi", "-f", "gone:1")
    has(out(e, "ps", "-a", "-f", "name=old", "--format", "{{.Image}}"), r"\A(gone:1|[0-9a-f]{12})\n\Z")
    same(out(e, "container", "prune", input="n\n"), "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ")
    same(out(e, "image", "prune", input="n\n"), "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ")
    out(e, "rm", "-f", "doc", "old")


@case("as docker: kill -9 waits for the end; labels, mounts in CSV, modes, StopTimeout")
def _(e):
    for signal_ in ([], ["-s", "KILL"], ["-s", "9"]):
        out(e, "run", "-d", "--name", "fast", "bb", "sleep", "1000")
        out(e, "kill", *signal_, "fast")
        same(inspect(e, "fast")["State"]["ExitCode"], 137)
        out(e, "rm", "fast")
    for label, error in (("=v", "empty name"), ("a b=1", "whitespace")):
        fails(e, "run", "--rm", "-l", label, "bb", "true", code=125, error=error)
    folder = os.path.join(e.folder, "a,b")
    os.makedirs(folder, exist_ok=True)
    mk.write(f"{folder}/f", b"in csv\n")
    same(sh(e, "cat /r/f", "--mount", f'type=bind,"src={folder}",dst=/r,readonly'), "in csv\n")
    for mount, error in (("type=tmpfs,dst=/t,tmpfs-mode=9", "tmpfs-mode"), ("type=tmpfs,dst=/t,tmpfs-mode=20000", "tmpfs-mode"), ("type=tmpfs,dst=/t,tmpfs-size=x", "tmpfs-size")):
        fails(e, "run", "--rm", "--mount", mount, "bb", "true", code=125, error=error)
    fails(e, "run", "--rm", "--tmpfs", "/t:mode=999", "bb", "true", code=125, error="invalid tmpfs option")
    out(e, "create", "--name", "slow", "--stop-timeout", "7", "--dns-opt", "ndots:2", "bb")
    same(out(e, "inspect", "-f", "{{.Config.StopTimeout}} {{.HostConfig.DnsOptions}}", "slow"), "7 [ndots:2]\n")
    out(e, "rm", "slow")
    opts = ("-v", f"{e.folder}:/v:ro", "--mount", f"type=bind,src={e.folder},dst=/m,ro", "--tmpfs", "/t:size=1m,exec", "--cap-add", "net_admin", "--cap-drop", "ALL")
    out(e, "create", "--name", "mounted", *opts, "bb")
    host, mounts = inspect(e, "mounted")["HostConfig"], {m["Destination"]: (m["Type"], m["Mode"], m["RW"]) for m in inspect(e, "mounted")["Mounts"]}
    same(host["Binds"], [f"{e.folder}:/v:ro"])
    same(host["Mounts"], [{"Type": "bind", "Source": e.folder, "Target": "/m", "ReadOnly": True}])
    same((host["Tmpfs"], host["CapAdd"], host["CapDrop"]), ({"/t": "size=1048576,exec"}, ["CAP_NET_ADMIN"], ["ALL"]))
    same((mounts["/v"], mounts["/m"]), (("bind", "ro", False), ("bind", "", False)))
    has(out(e, "ps", "-a", "-f", "name=mounted", "--format", "{{.Mounts}}"), re.escape(e.folder[:14] + "…"))
    has(out(e, "ps", "-a", "-f", "name=mounted", "--format", "{{.Mounts}}", "--no-trunc"), re.escape(e.folder))
    out(e, "rm", "mounted")
    out(e, "run", "--name", "used", "bb", "sh", "-c", "echo 12345 > /f")
    has(out(e, "system", "df", "-v"), r"(?s)\nContainers space usage:\n\nCONTAINER ID +IMAGE +COMMAND +LOCAL VOLUMES +SIZE +CREATED +STATUS +NAMES\n[0-9a-f]{12} +bb +\"sh -c 'echo 12345 >…\" +0 +6B "
        r".* ago +Exited \(0\) .* ago +used\n\nLocal Volumes space usage:\n\nVOLUME NAME +LINKS +SIZE\n\nBuild cache usage: [0-9.]+k?B\n")
    out(e, "rm", "used")


@case("as docker: files of variables and labels; the ID of what -d could not start; a file onto a folder")
def _(e):
    path = file(e, "names")
    mk.write(path, b"\xef\xbb\xbfA=1\n  B=2 3\n\n#c\nC=a=b\n")
    same(sh(e, "echo $A-$B-$C", "--env-file", path), "1-2 3-a=b\n")
    out(e, "create", "--name", "labelled", "--label-file", path, "bb")
    labels = inspect(e, "labelled")["Config"]["Labels"]
    same([labels.get(k) for k in "ABC"], ["1", "2 3", "a=b"])
    out(e, "rm", "labelled")
    for text, error in ((b"A = 1\n", "whitespaces"), (b"=1\n", "no name"), (b"A b\n", "whitespaces"), (b"A=\xff\n", "UTF-8")):
        mk.write(path, text)
        for option in ("--env-file", "--label-file"):
            fails(e, "run", "--rm", option, path, "bb", "true", code=125, error=error)
    done = ends(e.cli("run", "-d", "--name", "bad", "bb", "nosuch", check=False), 127)
    has(done.stdout, r"\A[0-9a-f]{64}\n\Z")
    same(inspect(e, "bad")["State"]["Status"], "created")
    out(e, "rm", "bad")
    same(e.cli("run", "-d", "--rm", "bb", "nosuch", check=False).stdout, "")
    mk.write(path, b"a file\n")
    for target in ("/etc", "/nosuch/folder"):
        done = e.cli("run", "--rm", "-v", f"{path}:{target}", "bb", "cat", target, check=False)
        same((target, done.returncode), (target, 125 if target == "/etc" else 0), done)
    fails(e, "run", "--rm", "-v", f"{path}:/etc", "bb", "true", code=125, error="mount /etc: is a directory put onto a file, or a file onto a directory")
    same(out(e, "ps", "-aq"), "")


@case("as docker: --expose in the config, inspect, ps and what is committed; wrong ports")
def _(e):
    flags = [word for port in ("80", "90-92/udp", "5/SCTP", "81/tcp", "100-102", "80/tcp") for word in ("--expose", port)]
    out(e, "run", "-d", "--name", "exp", *flags, "ports", "sleep", "100")
    exposed = {f"{port}": {} for port in ("80/tcp", "81/tcp", "90/udp", "91/udp", "92/udp", "5/sctp", "100/tcp", "101/tcp", "102/tcp", "8080/tcp")}
    i = inspect(e, "exp")
    same((i["Config"]["ExposedPorts"], i["NetworkSettings"]["Ports"]), (exposed, dict.fromkeys(exposed)))
    ports = ("ps", "-a", "--format", "{{.Names}}|{{.Ports}}")
    same(out(e, *ports), "exp|80-81/tcp, 100-102/tcp, 5/sctp, 8080/tcp, 90-92/udp\n")  # docker's order
    for value, found in (("80", True), ("90-92/udp", True), ("90", False), ("5/sctp", True), ("8000-9000", True), ("7", False)):
        same((value, out(e, "ps", "-q", "--filter", f"expose={value}") != ""), (value, found))
    out(e, "commit", "exp", "exposing:1")
    same(inspect(e, "exposing:1")["Config"]["ExposedPorts"], exposed)
    out(e, "stop", "-t", "0", "exp")
    i = inspect(e, "exp")
    same((out(e, *ports), i["NetworkSettings"]["Ports"], i["Config"]["ExposedPorts"]), ("exp|\n", {}, exposed))
    out(e, "rm", "exp")
    out(e, "run", "-d", "--name", "exp", "--network", "host", "--expose", "81", "ports", "sleep", "100")
    same((out(e, *ports), inspect(e, "exp")["NetworkSettings"]["Ports"], inspect(e, "exp")["Config"]["ExposedPorts"]), ("exp|\n", {}, {"8080/tcp": {}, "81/tcp": {}}))
    out(e, "rm", "-f", "exp")
    out(e, "create", "--name", "exp", "--expose", "1-65535/udp", "ports", "sleep", "100")
    same(out(e, "inspect", "-f", "{{len .Config.ExposedPorts}}", "exp"), "65536\n")
    out(e, "rm", "exp")
    same(sorted(inspect(e, "ports")["Config"]["ExposedPorts"]), ["8080/tcp"])
    for wrong, word in (("80:81", "invalid port format for --expose: 80:81"), ("x", "invalid range format for --expose: x"), ("90-80", "90-80"),
                        ("65536", "65536"), ("", "invalid range format for --expose: , error: "), ("80-", "80-"), ("80/foo", "80/foo")):
        done = e.cli("create", "--expose", wrong, "ports", "true", check=False)
        same((wrong, done.returncode), (wrong, 125), done)
        has(done.stderr, re.escape(word), done)
    out(e, "rmi", "exposing:1")


@case("flags of later versions say so and exit 125; wrong values too")
def _(e):
    for flags in (["-p", "80:80"], ["--restart", "always"], ["--health-cmd", "x"], ["-P"], ["--cgroup-parent", "x"],
                  ["--volumes-from", "x"], ["--gpus", "all"], ["--link", "a"], ["--runtime", "runc"], ["--ulimit", "nofile"],
                  ["--security-opt", "nosuch"], ["--mount", "type=nosuch,target=/x"], ["-e", "=x"], ["--log-driver", "syslog"], ["--stop-signal", "NOSUCH"], ["--userns", "x"]):
        done = e.cli("run", "--rm", *flags, "bb", "true", check=False)
        assert done.returncode == 125 and len(done.stderr.strip().splitlines()) == 1, f"{flags}\n  {show(done)}"
    for verb in ("cp", "stats", "port"):
        fails(e, verb, "x", code=125, error="(?i)not available")
    same(out(e, "ps", "-aq"), "")


@case("images of 128 layers run and are committed no deeper; deeper ones are refused with the number")
def _(e):
    def deep(n):
        return mk.Image([mk.busybox_layer(), *(mk.tar_of([(f"layer{i}", b"x", 0o644)]) for i in range(n - 1))])
    out(e, "load", "-q", input=mk.docker_archive([(deep(128), ["deep:128"]), (deep(129), ["deep:129"])]), text=False)
    same(sh(e, "ls / | grep -c layer", image="deep:128"), "127\n")
    fails(e, "run", "--rm", "deep:129", code=125, error="129 layers.*128")
    fails(e, "create", "deep:129", code=125, error="129 layers.*128")
    out(e, "rmi", "deep:128", "deep:129")
    same(out(e, "ps", "-aq"), "")


@case("eight at once")
def _(e):
    many = [e.cli_start("run", "--rm", "bb", "sh", "-c", f"echo {i}; exit {i}", stdout=subprocess.PIPE, text=True) for i in range(8)]
    same([(p.communicate(timeout=30)[0], p.returncode) for p in many], [(f"{i}\n", i) for i in range(8)])
    same(out(e, "ps", "-aq"), "")


@case("nothing is left: no process, no mount, no folder of a container")
def _(e):
    until("monitors end", lambda: not e.strays(), 5)
    same(os.listdir(f"{e.root}/state/launch/containers"), [])
    same(os.listdir(f"{e.root}/state/monitor"), [])
    same([n for n in os.listdir(f"{e.root}/run/monitor")], [])
    ends(e.cli("system", "check", check=False), 0)


if __name__ == "__main__":
    run(setup)
