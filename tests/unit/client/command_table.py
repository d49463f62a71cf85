"""The command table of the program: names used once, docker 28's flags known, help for every command.

    command_table.py BULKHEAD
"""
import json
import subprocess
import sys

PROGRAM = sys.argv[1]
# letter/name or name; a flag that has no use here is in the table as ignored or as not available yet.
RUN = """i/interactive t/tty rm name pull q/quiet platform entrypoint e/env env-file u/user group-add w/workdir
h/hostname domainname init a/attach stop-signal stop-timeout restart cidfile l/label label-file annotation health-cmd
health-interval health-retries health-start-interval health-start-period health-timeout no-healthcheck privileged
cap-add cap-drop security-opt read-only userns pid ipc uts cgroupns cgroup-parent device device-cgroup-rule gpus runtime
sysctl ulimit shm-size tmpfs oom-kill-disable oom-score-adj use-api-socket m/memory memory-reservation memory-swap
memory-swappiness kernel-memory cpus c/cpu-shares cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpuset-cpus
cpuset-mems pids-limit blkio-weight blkio-weight-device device-read-bps device-read-iops device-write-bps
device-write-iops v/volume mount volumes-from volume-driver storage-opt network network-alias p/publish P/publish-all
expose dns dns-option dns-search add-host ip ip6 link link-local-ip mac-address log-driver log-opt cpu-count
cpu-percent io-maxbandwidth io-maxiops isolation"""
DOCKER = {
    "images": "a/all digests f/filter format no-trunc q/quiet tree",
    "rmi": "f/force no-prune platform",
    "tag": "",
    "history": "format H/human no-trunc q/quiet platform",
    "save": "o/output platform",
    "load": "i/input q/quiet platform",
    "import": "c/change m/message platform",
    "export": "o/output",
    "commit": "a/author m/message c/change p/pause",
    "image prune": "a/all filter f/force",
    "system df": "format v/verbose",
    "system prune": "a/all filter f/force volumes",
    "info": "f/format",
    "version": "f/format",
    "inspect": "f/format s/size type",
    "run": RUN + " d/detach sig-proxy detach-keys",
    "create": RUN,
    "ps": "a/all f/filter format n/last l/latest no-trunc q/quiet s/size",
    "start": "a/attach i/interactive detach-keys checkpoint checkpoint-dir",
    "stop": "s/signal t/timeout",
    "restart": "s/signal t/timeout",
    "kill": "s/signal",
    "pause": "",
    "top": "",
    "unpause": "",
    "rename": "",
    "wait": "",
    "rm": "f/force l/link v/volumes",
    "container prune": "filter f/force",
    "exec": "d/detach e/env env-file i/interactive t/tty u/user w/workdir privileged detach-keys",
    "attach": "no-stdin sig-proxy detach-keys",
    "logs": "details f/follow since until n/tail t/timestamps",
    "diff": "",
}
wrong = []


def run(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True)


def check_names(commands):
    owner = {}
    for c in commands:
        for name in [c["path"], *c["aliases"]]:
            if name in owner:
                wrong.append(f"'{name}' names two commands")
            owner[name] = c
        used = [o[k] for o in c["options"] for k in ("name", "letter") if o[k]]
        wrong.extend(f"'{c['path']}' has {u} twice" for u in set(used) if used.count(u) > 1)
        wrong.extend(f"'{c['path']}' --{o['name']} has no help" for o in c["options"] if not o["help"])
        if not c["summary"]:
            wrong.append(f"'{c['path']}' has no summary")
    return owner


def check_docker(owner):
    for verb, flags in DOCKER.items():
        if verb not in owner:
            wrong.append(f"no command '{verb}'")
            continue
        have = {o["name"]: o["letter"] for o in owner[verb]["options"]}
        for flag in flags.split():
            letter, name = flag.split("/") if "/" in flag else (None, flag)
            if name not in have:
                wrong.append(f"'{verb}' does not know --{name}")
            elif letter and have[name] != letter:
                wrong.append(f"'{verb}' --{name} has the letter {have[name]}, not {letter}")


def check_help(commands):
    for c in commands:
        if c["hidden"]:
            continue
        r = run(*c["path"].split(), "--help")
        if r.returncode != 0 or r.stderr or not r.stdout.startswith("Usage:  bulkhead " + c["path"]):
            wrong.append(f"'{c['path']} --help': {r.returncode} {r.stdout[:80]!r} {r.stderr[:200]!r}")


commands = json.loads(run("__doc", "json").stdout)["commands"]
check_docker(check_names(commands))
check_help(commands)
for shell in ("bash",):
    script = run("completion", shell).stdout
    r = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
    if r.returncode != 0:
        wrong.append(f"completion of {shell}: {r.stderr}")
print("\n".join(wrong) or f"{len(commands)} commands, all well")
sys.exit(1 if wrong else 0)
