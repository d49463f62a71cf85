"""What the kernel holds a container to: read back from its cgroup files, tried out, told by inspect; and what cannot be held."""
import json, os, re, signal, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, ends, fails, has, inspect, out, run, same, until  # noqa: E402
from engine import EngineWithoutCgroups  # noqa: E402

MB = 1 << 20
# of a container: version 1, version 2
FILES = {"memory": ("memory/{}/memory.limit_in_bytes", "{}/memory.max"), "soft": ("memory/{}/memory.soft_limit_in_bytes", "{}/memory.low"),
         "swap": ("memory/{}/memory.memsw.limit_in_bytes", "{}/memory.swap.max"), "swappiness": ("memory/{}/memory.swappiness", None),
         "oom": ("memory/{}/memory.oom_control", None), "quota": ("cpu/{}/cpu.cfs_quota_us", "{}/cpu.max"),
         "period": ("cpu/{}/cpu.cfs_period_us", "{}/cpu.max"), "shares": ("cpu/{}/cpu.shares", "{}/cpu.weight"),
         "cpus": ("cpuset/{}/cpuset.cpus", "{}/cpuset.cpus"), "mems": ("cpuset/{}/cpuset.mems", "{}/cpuset.mems"), "pids": ("pids/{}/pids.max", "{}/pids.max")}
FIELDS = ("Memory", "MemoryReservation", "MemorySwap", "MemorySwappiness", "OomKillDisable", "PidsLimit", "CpuShares", "CpuPeriod", "CpuQuota", "NanoCpus",
          "CpusetCpus", "CpusetMems", "BlkioWeight")
EAT = "dd if=/dev/zero of=/dev/null bs=100M count=1"


def setup(e):
    out(e, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:latest"])]), text=False)
    e.held = set(words(e))
    e.v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def words(e):
    line = re.search(r"(?m)^ Limits of containers: (.*)$", out(e, "info")).group(1)
    return line.split()


def need(e, *limits):
    lacks = [x for x in limits if x not in e.held]
    if lacks:
        raise Skip(f"this host holds no limit of {', '.join(lacks)}")


def kernel(e, name, what):
    path = FILES[what][1 if e.v2 else 0]
    with open(f"/sys/fs/cgroup/{path.format('bulkhead/' + inspect(e, name)['Id'])}", encoding="ascii") as f:
        return f.read().strip()


def config(e, name):
    return {key: inspect(e, name)["HostConfig"][key] for key in FIELDS}


@case("limits: what is asked for is what the kernel has, and what inspect tells; nothing is there unasked")
def _(e):
    need(e, "memory", "cpu-cfs", "cpu-shares", "cpuset", "pids", "memory-reservation")
    swap = ["--memory-swap", "100m"] if "swap" in e.held else []
    out(e, "run", "-d", "--name", "all", "-m", "64m", *swap, "--memory-reservation", "32m", "--cpus", "0.5", "-c", "300", "--cpuset-cpus", "0", "--cpuset-mems", "0",
        "--pids-limit", "20", "bb", "sleep", "500")
    same([kernel(e, "all", x) for x in ("memory", "soft", "cpus", "mems", "pids")], [str(64 * MB), str(32 * MB), "0", "0", "20"])
    same(kernel(e, "all", "quota"), "50000 100000" if e.v2 else "50000")
    same(kernel(e, "all", "shares"), "12" if e.v2 else "300")
    if swap:
        same(kernel(e, "all", "swap"), str((100 - 64 if e.v2 else 100) * MB))
    told = config(e, "all")
    same(told.pop("OomKillDisable"), False if "oom-kill" in e.held else None)
    same(told, {"Memory": 64 * MB, "MemoryReservation": 32 * MB, "MemorySwap": 100 * MB if swap else -1, "MemorySwappiness": None, "PidsLimit": 20,
                "CpuShares": 300, "CpuPeriod": 0, "CpuQuota": 0, "NanoCpus": 500000000, "CpusetCpus": "0", "CpusetMems": "0", "BlkioWeight": 0})
    out(e, "run", "-d", "--name", "none", "bb", "sleep", "500")
    told = config(e, "none")
    told.pop("OomKillDisable")
    same(told, {"Memory": 0, "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": None, "PidsLimit": None, "CpuShares": 0, "CpuPeriod": 0, "CpuQuota": 0,
                "NanoCpus": 0, "CpusetCpus": "", "CpusetMems": "", "BlkioWeight": 0})
    same(kernel(e, "none", "pids"), "max")
    assert e.v2 or int(kernel(e, "none", "memory")) > 1 << 60
    out(e, "rm", "-f", "all", "none")


@case("limits: period and quota, swap without end, swappiness, the killer switched off")
def _(e):
    need(e, "memory", "cpu-cfs")
    out(e, "run", "-d", "--name", "some", "--cpu-period", "50000", "--cpu-quota", "20000", "-m", "64m", "--memory-swap", "-1", "bb", "sleep", "500")
    same(kernel(e, "some", "quota"), "20000 50000" if e.v2 else "20000")
    same(kernel(e, "some", "period"), "20000 50000" if e.v2 else "50000")
    same((config(e, "some")["CpuPeriod"], config(e, "some")["CpuQuota"], config(e, "some")["MemorySwap"]), (50000, 20000, -1))
    if "swap" in e.held:
        assert kernel(e, "some", "swap") == "max" or int(kernel(e, "some", "swap")) > 1 << 60
        out(e, "run", "-d", "--name", "twice", "-m", "64m", "bb", "sleep", "500")
        same(kernel(e, "twice", "swap"), str((64 if e.v2 else 128) * MB))
        same(config(e, "twice")["MemorySwap"], 128 * MB)
        out(e, "rm", "-f", "twice")
    out(e, "rm", "-f", "some")
    need(e, "swappiness", "oom-kill")
    done = ends(e.cli("run", "-d", "--name", "more", "--memory-swappiness", "5", "--oom-kill-disable", "bb", "sleep", "500", check=False), 0)
    has(done.stderr, r"\AWARNING: OOM killer is disabled for the container, but no memory limit is set, .*\n\Z")
    same(kernel(e, "more", "swappiness"), "5")
    has(kernel(e, "more", "oom"), r"oom_kill_disable 1\b")
    same((config(e, "more")["MemorySwappiness"], config(e, "more")["OomKillDisable"]), (5, True))
    out(e, "rm", "-f", "more")


@case("limits: more memory than is allowed ends in 137 and OOMKilled, also in a child; exec is held as well")
def _(e):
    need(e, "memory")
    for name, words_, code in (("first", EAT.split(), 137), ("child", ["sh", "-c", f"{EAT}; exit 3"], 3)):
        ends(e.cli("run", "--name", name, "-m", "24m", "bb", *words_, check=False), code)
        state = inspect(e, name)["State"]
        same((name, state["OOMKilled"], state["ExitCode"]), (name, True, code))
    ends(e.cli("start", "-a", "first", check=False), 137)
    same(inspect(e, "first")["State"]["OOMKilled"], True)
    ends(e.cli("run", "--name", "fits", "-m", "200m", "bb", *EAT.split(), check=False), 0)
    same(inspect(e, "fits")["State"]["OOMKilled"], False)
    out(e, "run", "-d", "--name", "lives", "-m", "24m", "bb", "sleep", "500")
    ends(e.cli("exec", "lives", *EAT.split(), check=False), 137)
    same(inspect(e, "lives")["State"]["Status"], "running")
    out(e, "rm", "-f", "first", "child", "fits", "lives")


@case("limits: no more processes than are allowed")
def _(e):
    need(e, "pids")
    done = e.cli("run", "--rm", "--pids-limit", "4", "bb", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 5 & done", check=False)
    has(done.stderr, r"(?i)can't fork|resource temporarily")


@case("limits: they hold again after a restart of the container and of the rooms")
def _(e):
    need(e, "memory", "pids")
    out(e, "run", "-d", "--name", "stays", "-m", "64m", "--pids-limit", "20", "bb", "sleep", "500")
    before = config(e, "stays")
    for room in ("runtime", "launch"):
        old = e.rooms()["runtime"]  # which goes with launch
        os.kill(e.rooms()[room], signal.SIGKILL)
        until("there is another", lambda: e.rooms().get("runtime", old) != old, 20)
        until("it answers", lambda: e.cli("ps", check=False).returncode == 0, 20)
        same(config(e, "stays"), before)
        out(e, "restart", "-t", "0", "stays")
        same((kernel(e, "stays", "memory"), kernel(e, "stays", "pids")), (str(64 * MB), "20"))
    out(e, "rm", "-f", "stays")


@case("limits: what is out of range is refused in docker's words")
def _(e):
    need(e, "memory", "cpu-cfs", "cpuset")
    n = os.cpu_count()
    for flags, error in ((["-m", "5m"], "Minimum memory limit allowed is 6MB"), (["-m", "64m", "--memory-swap", "32m"], "Minimum memoryswap limit should be larger"),
                         (["--memory-swap", "64m"], "You should always set the Memory limit"), (["--memory-swap", "x"], "invalid size: 'x'"),
                         (["--memory-swappiness", "101"], "Valid memory swappiness range is 0-100"),
                         (["--cpus", str(n + 1)], f"Range of CPUs is from 0.01 to {n}.00, as there are only {n} CPUs available"),
                         (["--cpus", "1", "--cpu-quota", "5000"], "Nano CPUs and CPU Quota cannot both be set"),
                         (["--cpu-period", "9"], "CPU cfs period can not be less"), (["--cpuset-cpus", f"0-{n + 7}"], "Requested CPUs are not available"),
                         (["--cpuset-mems", "x"], "Invalid value x for cpuset mems")):
        fails(e, "run", "--rm", *flags, "bb", "true", code=125, error=re.escape(error))
    same(out(e, "ps", "-aq"), "")


@case("limits: those of build hold each RUN")
def _(e):
    need(e, "memory", "cpu-cfs", "cpu-shares", "cpuset")
    folder = os.path.join(e.folder, "limits")
    os.makedirs(folder)
    mk.write(f"{folder}/Dockerfile", b"FROM bb\nRUN cat /sys/fs/cgroup/*/*/cpu.shares /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu.weight 2>/dev/null;"
             b" cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; grep Cpus_allowed_list /proc/self/status; true\n")
    done = ends(e.cli("build", "--progress", "plain", "-m", "64m", "--memory-swap", "64m", "-c", "300", "--cpuset-cpus", "0", "--cpu-period", "50000", "--cpu-quota", "20000", folder,
                      check=False), 0)
    has(done.stderr, rf"\b{64 * MB}\n")
    has(done.stderr, r"Cpus_allowed_list:\s+0\n")
    has(done.stderr, r" 12\n" if e.v2 else r" 300\n")
    mk.write(f"{folder}/Dockerfile", f"FROM bb\nRUN {EAT}\n".encode())
    has(ends(e.cli("build", "-m", "24m", folder, check=False), 1).stderr, "137")
    has(ends(e.cli("build", "--cpu-period", "9", folder, check=False), 1).stderr, "CPU cfs period can not be less")


@case("limits: without a cgroup each is told and dropped, and info says so")
def _(e):
    with EngineWithoutCgroups() as bare:
        out(bare, "load", "-q", input=mk.docker_archive([(mk.busybox(), ["bb:latest"])]), text=False)
        done = ends(bare.cli("run", "--name", "free", "-m", "64m", "--pids-limit", "9", "--cpuset-cpus", "0", "bb", *EAT.split(), check=False), 0)
        for word in ("memory limit", "PIDs limit", "Cpuset"):
            has(done.stderr, rf"(?m)^WARNING: .*{word}.*discarded")
        same([config(bare, "free")[x] for x in ("Memory", "PidsLimit", "CpusetCpus")], [0, None, ""])
        fails(bare, "run", "--rm", "--cpus", "1", "bb", "true", code=125, error="NanoCPUs can not be set")
        folder = os.path.join(e.folder, "bare")
        os.makedirs(folder)
        mk.write(f"{folder}/Dockerfile", b"FROM bb\nRUN echo done\n")
        done = ends(bare.cli("build", "--progress", "plain", "-m", "64m", folder, check=False), 0)
        has(done.stderr, r"(?m)^#[0-9]+ [0-9.]+ WARNING: .*memory limit.*discarded")
        done = bare.cli("info")
        has(done.stdout, r"(?m)^ Limits of containers: none$")
        has(done.stderr, r"(?m)^WARNING: No memory limit support$")
        same(json.loads(out(bare, "info", "--format", "{{json .MemoryLimit}}")), False)


run(setup)
