"""The engines that compare.py drives, each with a root of its own that goes with the run."""
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from engine import Engine  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid):
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                todo += [int(c) for c in open(f"/proc/{p}/task/{task}/children").read().split()]
        except OSError:
            pass
    return out


class Side:
    """words: how its client is called.  run_flags: what keeps all sides from making a network."""
    name, words, run_flags, prefix, env = "", [], ["--network", "none"], "", {}

    def cli(self, *args, check=True, timeout=None):
        done = subprocess.run([*self.words, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, env={**os.environ, **self.env})
        if check and done.returncode != 0:
            raise SystemExit(f"{self.name}: {' '.join(args)}: {done.stderr.decode()!r}")
        return done

    def ask(self, *args):
        return self.cli(*args).stdout.decode().strip()

    def ref(self, name):
        return self.prefix + name

    # ---- builds ----

    def build(self, folder, tag, *words):
        self.cli("build", "-q", "--network", "none", "-t", tag, *words, str(folder))

    def forget_builds(self):
        """Everything that the next build could take from an earlier one."""

    def pids(self):
        return []

    def pss_mb(self):
        total = 0
        for p in self.pids():
            try:
                total += sum(int(line.split()[1]) for line in open(f"/proc/{p}/smaps_rollup") if line.startswith("Pss:"))
            except OSError:
                pass
        return total / 1024

    def cpu(self):
        """User and system seconds of the engine's processes and of the children that they waited for."""
        total = 0
        for p in self.pids():
            try:
                total += sum(int(x) for x in open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:15])
            except OSError:
                pass
        return total / TICK


class Bulkhead(Side):
    name = "bulkhead"

    def __init__(self, folder, build):
        os.makedirs(folder / "bulkhead")
        self.engine = Engine(build=build, root=str(folder / "bulkhead"))
        self.engine.own_root = True
        self.disk = self.engine.root

    def start(self):
        self.engine.start()
        self.words = [self.engine.client(), "--host", self.engine.host]
        return self.ask("--version")

    def forget_builds(self):
        self.cli("builder", "prune", "-af")

    def pids(self):
        return tree(self.engine.process.pid)

    def stop(self):
        self.engine.close()


class Docker(Side):
    name, env = "docker", {"DOCKER_BUILDKIT": "0"}

    def __init__(self, folder, _build):
        self.folder = folder / "docker"
        os.makedirs(self.folder)
        self.disk = str(self.folder / "data")
        self.words = ["docker", "-H", f"unix://{self.folder}/sock"]

    def forget_builds(self):
        self.cli("builder", "prune", "-af")
        self.cli("image", "prune", "-f")

    def start(self):
        (self.folder / "daemon.json").write_text("{}")
        f = self.folder
        self.process = subprocess.Popen(
            ["dockerd", "--config-file", f"{f}/daemon.json", "--data-root", f"{f}/data", "--exec-root", f"{f}/exec",
             "--pidfile", f"{f}/pid", "-H", f"unix://{f}/sock", "--iptables=false", "--ip6tables=false",
             "--bridge=none", "--ip-masq=false"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        form = "{{.Server.Version}} (client {{.Client.Version}})"
        for _ in range(300):
            done = self.cli("version", "--format", form, check=False)
            if done.returncode == 0:
                return done.stdout.decode().strip() + ", " + self.ask("info", "--format", "{{.Driver}}")
            time.sleep(0.1)
        raise SystemExit("dockerd did not start")

    def pids(self):
        return tree(self.process.pid)

    def stop(self):
        ids = self.cli("ps", "-aq", check=False).stdout.decode().split()
        if ids:
            self.cli("rm", "-f", *ids, check=False)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class BuildKit(Docker):
    """The daemon of a Docker that has been started, and its other builder."""
    name, env = "buildkit", {"DOCKER_BUILDKIT": "1"}

    def __init__(self, docker):
        self.folder, self.disk, self.process = docker.folder, docker.disk, docker.process
        # A client newer than 20.10 has BuildKit only with a plugin that Debian does not have.
        program = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
        self.words = [program, *docker.words[1:]]

    def stop(self):
        pass


class Podman(Side):
    # runc and cgroupfs, because crun refuses a hybrid cgroup tree with podman; no ulimit is raised.
    name, prefix = "podman", "localhost/"
    run_flags = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]

    def __init__(self, folder, _build):
        self.folder = folder / "podman"
        os.makedirs(self.folder)
        self.disk = str(self.folder / "root")
        self.words = ["podman", "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--runtime", "runc",
                      "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]

    def start(self):
        return self.ask("--version") + ", overlay"

    def forget_builds(self):
        self.cli("image", "prune", "-f")

    def stop(self):
        self.cli("rm", "-fa", "-t", "0", check=False)
        subprocess.run(["umount", "-l", f"{self.folder}/root/overlay"], stderr=subprocess.DEVNULL)


class Buildah(Podman):
    """Builds with containers that are no more than a chroot: the quickest that it has."""
    name = "buildah"

    def __init__(self, folder, _build):
        self.folder = folder / "buildah"
        os.makedirs(self.folder)
        self.words = ["buildah", "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--storage-driver", "overlay"]

    def build(self, folder, tag, *words):
        self.cli("bud", "-q", "--layers", "--isolation", "chroot", "-t", tag, *words, str(folder))

    def forget_builds(self):
        self.cli("rmi", "--prune", "-f", check=False)

    def stop(self):
        subprocess.run(["umount", "-l", f"{self.folder}/root/overlay"], stderr=subprocess.DEVNULL)
