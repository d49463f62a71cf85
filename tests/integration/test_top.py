"""top: the container's processes and no others, in the columns of the host's ps; for everybody; with and without a cgroup."""
import os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import case, fails, has, inspect, out, run, same, until  # noqa: E402
from engine import EngineWithoutCgroups  # noqa: E402

ANN = {"user": 23001, "group": 23001, "extra_groups": []}
CONFIG = '[socket]\nmode = "0666"\n'


def setup(e):
    for who in ({}, ANN):
        out(e, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:latest"])]), text=False, **who)


def start(e, name, **who):
    """Three processes, one of them of an exec session; the pid of the first."""
    out(e, "run", "-d", "--name", name, "bb", "sh", "-c", "sleep 301 & wait", **who)
    out(e, "exec", "-d", name, "sleep", "302", **who)
    until("all are there", lambda: out(e, "top", name, "-o", "pid,args", **who).count("sleep 30") >= 2)
    return inspect(e, name)["State"]["Pid"] if not who else None


@case("top: the columns of ps -ef, laid out as docker's; sessions too, other containers not")
def _(e):
    first = start(e, "one")
    start(e, "two")
    lines = out(e, "top", "one").splitlines()
    same(lines[0], "".join(f"{word:<20}" for word in "UID PID PPID C STIME TTY TIME".split()) + "CMD")
    same(sorted(re.split(r" {3,}", line)[-1] for line in lines[1:]), ["sh -c sleep 301 & wait", "sleep 301", "sleep 302"])  # ps has them by pid
    host = subprocess.run(["ps", "-ef", f"-q{first}"], capture_output=True, text=True, check=True).stdout
    same([line.split()[:3] for line in lines if "wait" in line], [host.splitlines()[1].split()[:3]])
    same(str(first) in out(e, "container", "top", "one", "-o", "pid").splitlines(), True)
    has(out(e, "top", "one", "aux"), r"\AUSER +PID +%CPU +%MEM .*COMMAND\n")
    out(e, "pause", "one")
    same(len(out(e, "top", "one").splitlines()), 4)
    out(e, "rm", "-f", "one", "two")


@case("top: what is no list of processes is an error in docker's words")
def _(e):
    start(e, "one")
    id_ = inspect(e, "one")["Id"]
    fails(e, "top", "one", "-eo", "comm", error="Couldn't find PID field in ps output")
    fails(e, "top", "one", "-o", "comm=PID,pid", error="Unexpected pid")
    fails(e, "top", "one", "-Z9", error="ps: ")
    fails(e, "top", "nosuch", error="No such container: nosuch")
    fails(e, "top", error="requires at least 1 argument")
    out(e, "stop", "-t", "0", "one")
    fails(e, "top", "one", error=f"Container {id_} is not running")
    out(e, "rm", "one")


@case("top: for an ordinary user too")
def _(e):
    start(e, "anns", **ANN)
    same(len(out(e, "top", "anns", **ANN).splitlines()), 4)
    out(e, "rm", "-f", "anns", **ANN)


@case("top: without a cgroup by the pid namespace")
def _(e):
    with EngineWithoutCgroups() as bare:
        out(bare, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:latest"])]), text=False)
        first = start(bare, "one")
        lines = out(bare, "top", "one", "-o", "pid").splitlines()
        same((lines[0], len(lines), str(first) in lines), ("PID", 4, True))
        out(bare, "run", "-d", "--name", "all", "--pid", "host", "--userns", "host", "bb", "sleep", "303")
        fails(bare, "top", "all", error="cannot be told from others")
        out(bare, "rm", "-f", "one", "all")


run(setup, CONFIG)
