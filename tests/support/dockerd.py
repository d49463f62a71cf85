"""A dockerd of the test's own, with folders and a socket that nobody else uses.

    with Dockerd(folder) as docker:     # Skip where there is none, or it does not start
        docker.run("version")           # subprocess.CompletedProcess, text
"""
import os, shutil, subprocess, time

from cases import Skip


def unmount(top):
    """All that is mounted below."""
    with open("/proc/self/mountinfo") as f:
        points = [line.split()[4] for line in f if line.split()[4].startswith(top + "/")]
    for point in sorted(points, reverse=True):
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)


class Dockerd:
    def __init__(self, folder, client="docker"):
        for program in ("dockerd", client):
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        self.top = os.path.join(folder, "docker")
        os.makedirs(self.top)
        with open(f"{self.top}/config", "w") as f:
            f.write("{}")
        self.words = [client, "-H", f"unix://{self.top}/sock"]
        with open(f"{self.top}/log", "w") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--config-file", f"{self.top}/config", "--data-root", f"{self.top}/data", "--exec-root", f"{self.top}/exec",
                 "--pidfile", f"{self.top}/pid", *self.words[1:], "--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-masq=false"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while self.run("version").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise Skip("dockerd does not start here")
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, *words, **more):
        return subprocess.run([*self.words, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **more)

    def __call__(self, *words):
        """What it prints; it must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, f"$ docker {' '.join(words)}\n  exit {done.returncode}: {done.stderr[-800:]}"
        return done.stdout

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        unmount(self.top)
