"""Deaths at random moments: actors work, one process dies, the actors end, somebody judges; again and again.

    c = Campaign(e, kills=100, seed=7, victims=("store", "worker", "client"))
    c.run(lambda: [Actor(e, "a", act)], judge)

A victim is the name of a room, "worker" (of the store), "process" (of a container), "client" (a command of an
actor) or "supervisor" (and all with it).
"""
import os, random, signal, subprocess, threading, time

from cases import ends, has, out
from engine import children_of, read_proc

SLOWEST = 90  # seconds that a command may take, however much of the engine died under it


def soon(what, probe, seconds=30):
    end = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.005)


def answers(e):
    return all(e.cli(verb, "-q", check=False).returncode == 0 for verb in ("images", "ps"))


def whole(e):
    """All rooms are back and `system check` finds nothing."""
    soon("store and runtime are back", lambda: answers(e))
    done = ends(e.cli("system", "check", check=False), 0)
    has(done.stdout, r" 0 findings", done)


def listed(e):
    """Name -> id of every image."""
    text = out(e, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    return dict(line.split() for line in text.splitlines())


def left_in_store(e):
    """Files that are neither index nor reserve."""
    store = os.path.join(e.root, "state", "store")
    return [f for _, _, files in os.walk(store) for f in files if not f.startswith(("meta.db", "reserve"))]


class Actor(threading.Thread):
    """Acts until it is told to stop.  act(actor) does one thing and is called again and again; `said` is what was
    acknowledged, by name; `fault` what must not have happened."""

    def __init__(self, e, who, act, said=None):
        super().__init__()
        self.e, self.who, self.act = e, who, act
        self.said, self.done, self.fault, self.process = {} if said is None else said, threading.Event(), None, None

    def run(self):
        try:
            while not self.done.is_set():
                self.act(self)
        except Exception as what:  # a thread has nobody to tell
            self.fault = what

    def cli(self, *words):
        """The command, which may die; CompletedProcess."""
        self.process = self.e.cli_start(*words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        try:
            text, error = self.process.communicate(timeout=SLOWEST)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError(f"{words}: no end within {SLOWEST} s") from None
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, text, error)

    def ok(self, *words):
        return self.cli(*words).returncode == 0


class Campaign:
    def __init__(self, e, kills, seed, victims, pauses=((0.01, 0.15),)):
        self.e, self.kills, self.victims, self.pauses = e, kills, victims, pauses
        self.rng, self.count, self.errors = random.Random(seed), {}, {}

    @property
    def done(self):
        return sum(self.count.values())

    # ---- dying ----

    def workers(self):
        """Those that have a job; two more wait for one."""
        return [pid for pid, spare in self.e.workers().items() if not spare]

    def container_processes(self):
        """Children of this root's monitors and what they have become."""
        found = []
        for monitor in self.e.strays():
            if "bulkhead-monitor" in read_proc(monitor, "cmdline").split("\0")[0]:
                found += children_of(monitor)
        return found

    def pid_of(self, victim, actors):
        if victim == "worker":
            pids = self.workers()
        elif victim == "process":
            pids = self.container_processes()
        elif victim == "client":
            pids = [a.process.pid for a in actors if a.process and a.process.poll() is None]
        else:
            pids = [self.e.rooms().get(victim)]
        pids = [p for p in pids if p]
        return self.rng.choice(pids) if pids else None

    def kill_one(self, actors):
        """What was killed; "nothing" when there was none of it in time."""
        victim, pid = self.rng.choice(self.victims), None
        if victim == "supervisor":
            self.e.kill()
            return victim
        end = time.monotonic() + 0.3
        while not pid and time.monotonic() < end:
            pid = self.pid_of(victim, actors)
            time.sleep(0 if pid else 0.001)
        try:
            os.kill(pid, signal.SIGKILL) if pid else None
        except ProcessLookupError:
            pid = None
        return victim if pid else "nothing"

    def one(self, actors):
        for actor in actors:
            actor.start()
        time.sleep(self.rng.uniform(*self.rng.choice(self.pauses)))
        victim = self.kill_one(actors)
        for actor in actors:
            actor.done.set()
        for actor in actors:
            actor.join()
            assert actor.fault is None, f"kill {self.done + 1}, {victim}: {actor.who}: {actor.fault!r}"
        if victim == "supervisor":
            soon("its rooms end with it", lambda: not self.e.strays())
            self.e.start()
        if victim != "nothing":
            self.count[victim] = self.count.get(victim, 0) + 1
        return victim

    def run(self, actors_now, judge):
        """actors_now() gives the actors of a round; judge(victim, actors) says what must hold after it."""
        while self.done < self.kills:
            actors = actors_now()
            victim = self.one(actors)
            try:
                whole(self.e)
                judge(victim, actors)
            except AssertionError as what:
                raise AssertionError(f"kill {self.done}, {victim}: {what}") from what
        print("  " + ", ".join(f"{name} {n}" for name, n in sorted(self.count.items())), flush=True)
