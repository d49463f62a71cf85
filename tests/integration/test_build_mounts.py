"""RUN --mount from outside: what may be written where, and the agent of the caller's keys."""
import os, re, shutil, signal, socket, sqlite3, struct, subprocess, sys, tarfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from builds import build, context, folders, good, layers, rows, setup, sh  # noqa: E402
from calls import as_room  # noqa: E402
from cases import Skip, case, has, inspect, lacks, out, run, same, until  # noqa: E402

AGENT = "RUN --mount=type=ssh{} {}\n"


# ---- what may be written ----

@case("mounts: what is bound without rw refuses to be written, also to the container's root")
def _(e):
    good(build(e, """FROM bb AS st
RUN mkdir /sub && echo stage > /sub/s
FROM bb
RUN --mount=type=bind,target=/ctx touch /ctx/new 2>/said; rm /ctx/f 2>>/said; mkdir /ctx/d 2>>/said; cat /ctx/f >> /said
RUN --mount=from=st,source=/sub/s,target=/old/file sh -c 'echo x > /old/file' 2>/two; cat /old/file >> /two
RUN --mount=from=st,target=/m mount -o remount,rw /m 2>/dev/null && echo yes > /remounted; umount /m 2>/dev/null && echo yes > /unmounted; touch /m/x 2>/dev/null && echo yes > /written; true
RUN --mount=type=cache,target=/c,ro touch /c/x 2>/three; true
RUN --mount=type=bind,target=/ctx,rw touch /ctx/new && rm /ctx/f && ls /ctx > /four
RUN --mount=type=bind,target=/ctx,readonly=false touch /ctx/new
""", files={"f": "content\n"}))
    same(sh(e, "cat /said | wc -l; grep -c 'Read-only file system' /said; tail -n 1 /said; cat /two /three; ls /remounted /unmounted /written 2>&1 | grep -c 'No such'; cat /four; ls /old"),
         "4\n3\ncontent\nsh: can't create /old/file: Read-only file system\nstage\ntouch: /c/x: Read-only file system\n3\nDockerfile\nnew\nfile\n")
    lacks(sh(e, "ls -A /"), "ctx")


@case("mounts: a cache, a folder or a file inside a bound folder or a tmpfs is there, and only what is bound is read-only")
def _(e):
    good(build(e, """FROM bb
WORKDIR /src
RUN --mount=type=bind,target=. --mount=type=cache,target=out --mount=type=bind,source=more,target=deep,rw \
    cat f > /one; touch new 2>/two; echo built > out/x; echo w > deep/w; ls deep >> /one; grep -c ' /src' /proc/mounts >> /one
RUN --mount=type=cache,id=out,target=/src/out cat out/x > /three
RUN --mount=type=tmpfs,target=/t --mount=type=bind,target=/t/b --mount=type=cache,target=/t/c,id=out cat /t/b/f /t/c/x > /four; touch /t/own /t/c/y; touch /t/b/y 2>>/four; true
RUN --mount=type=bind,source=more,target=/same --mount=type=bind,target=/same ls /same > /five
""", files={"f": "f\n", "more/g": "", "out/a": "", "deep/b": ""}))
    same(sh(e, "cat /one /two /three /four /five; ls -A /src; ls -d /t 2>&1; true"),
         "f\ng\nw\n3\ntouch: new: Read-only file system\nbuilt\nf\nbuilt\ntouch: /t/b/y: Read-only file system\nDockerfile\ndeep\nf\nmore\nout\nls: /t: No such file or directory\n")


# ---- caches ----

class Highest:
    """The most that the layer files of an engine take while something runs, beyond what they took before."""

    def __init__(self, e):
        self.folder, self.done = f"{e.root}/state/store", threading.Event()
        self.before = self.high = self.size()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def size(self):
        total = 0
        for folder in ("layers", "ingest"):
            for path, _, names in os.walk(f"{self.folder}/{folder}"):
                for name in names:
                    try:
                        total += os.stat(os.path.join(path, name)).st_size
                    except FileNotFoundError:
                        pass
        return total

    def watch(self):
        while not self.done.wait(0.005):
            self.high = max(self.high, self.size())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.grown = self.high - self.before


PLACE = "$(grep ' {} ' /proc/self/mountinfo | cut -d' ' -f4)"


def cache_rows(e):
    db = sqlite3.connect(f"file:{e.root}/state/store/meta.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT key, note, (SELECT count(*) FROM cache_layer WHERE cache=k) FROM cache"
                          " WHERE kind='exec.cachemount' ORDER BY k").fetchall()
    finally:
        db.close()


@case("mounts: what a step writes is as large as what it changes in a cache, also where it is mounted elsewhere")
def _(e):
    fill = "FROM bb\nRUN --mount=type=cache,id=big,target=/c dd if=/dev/urandom of=/c/big bs=1M count=48 2>/dev/null; sha256sum < /c/big > /sum\n"
    good(build(e, fill, tag="fill:1"))
    for i, target in enumerate(["/c", "/root/.cache/deep", *["/c"] * 9]):
        with Highest(e) as highest:
            good(build(e, f"FROM bb\nRUN --mount=type=cache,id=big,target={target} echo {i} > {target}/small{i}; ls {target} | wc -l > /n; sha256sum < {target}/big > /sum; sleep 0.1\n"))
        assert highest.grown < 1 << 20, f"step {i} wrote {highest.grown} bytes"
        same(sh(e, "cat /n /sum; ls -A / | grep -c '^c$'; true"), f"{i + 2}\n{sh(e, 'cat /sum', 'fill:1')}0\n")
    assert cache_rows(e)[-1][2] <= 8, "layers pile up"
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=big,target=/c rm /c/small*; mv /c/big /c/other; mkdir /c/small1\n"))
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=big,target=/c sh -c 'ls -F /c; sha256sum < /c/other' > /sum\n"))
    same(sh(e, "cat /sum"), f"other\nsmall1/\n{sh(e, 'cat /sum', 'fill:1')}")
    same(cache_rows(e)[-1][2], 1)  # much was written over: it is one again
    out(e, "builder", "prune", "-af")
    same(cache_rows(e), [])


@case("mounts: a cache keeps mode and owner of its folder, is one for two targets, and does not get the places of other mounts")
def _(e):
    stat = "stat -c '%a %u:%g'"
    good(build(e, f"FROM bb\nRUN --mount=type=cache,id=own,target=/c,mode=0750,uid=5,gid=6 {stat} /c > /one; chmod 1711 /c; chown 7:8 /c; ln -s x /c/link\n"
                  f"RUN --mount=type=cache,id=own,target=/c,mode=0700 {stat} /c > /two\n"
                  f"RUN --mount=type=cache,id=own,target=/a --mount=type=cache,id=own,target=/b,ro echo x > /a/x; cat /b/x > /three; touch /b/y 2>>/three; rm /a/x\n"))
    same(sh(e, "cat /one /two /three"), "750 5:6\n1711 7:8\nx\ntouch: /b/y: Read-only file system\n")
    secret = os.path.join(e.folder, "token")
    mk.write(secret, b"s3cr3t")
    good(build(e, "FROM bb\nRUN --mount=type=cache,target=/h --mount=type=cache,target=/h/in/side --mount=type=tmpfs,target=/h/tmp"
                  " --mount=type=bind,target=/h/src --mount=type=secret,id=t,target=/h/token cat /h/src/f /h/token > /one; echo a > /h/mine; echo b > /h/in/side/deep\n"
                  "RUN --mount=type=cache,target=/h --mount=type=cache,id=/h/in/side,target=/s sh -c 'ls -A /h /s' > /two\n", "--secret", f"id=t,src={secret}", files={"f": "file\n"}))
    same(sh(e, "cat /one /two; ls -A / | grep -c -e '^h$' -e '^s$'; true"), "file\ns3cr3t/h:\nmine\n\n/s:\ndeep\n0\n")


@case("mounts: a cache with from= keeps what it began with; source= takes a part of it")
def _(e):
    base = "FROM bb AS st\nRUN mkdir -p /f/sub && echo one > /f/sub/a && echo two > /f/b\nFROM bb\nARG N\n"
    file = base + "RUN --mount=type=cache,id=from,target=/c,from=st,source=/f ls -R /c > /said; echo $N >> /c/sub/a; cat /c/sub/a >> /said\n"
    good(build(e, file, "--build-arg", "N=1"))
    same(sh(e, "cat /said"), "/c:\nb\nsub\n\n/c/sub:\na\none\n1\n")
    good(build(e, file, "--build-arg", "N=2"))
    same(sh(e, "cat /said"), "/c:\nb\nsub\n\n/c/sub:\na\none\n1\n2\n")


@case("mounts: nothing of an image shows in a cache, and nothing of a cache in an image")
def _(e):
    good(build(e, f"FROM bb\nRUN --mount=type=cache,id=seen,target=/c echo {PLACE.format('/c')} > /place; cat /place > /c/x\n"))
    place = sh(e, "cat /place").strip()
    assert re.fullmatch("/proc/[0-9a-f]{64}", place), place
    good(build(e, f"FROM bb AS one\nCOPY f {place}/f\nRUN --mount=type=cache,id=seen,target=/c sh -c 'ls -A /c {place}' > /said 2>&1; touch /c/y\n"
                  f"FROM bb\nRUN mkdir /evil\nCOPY --link ln /\nRUN --mount=type=cache,target=/c,id=fresh sh -c 'ls -A /c /evil' > /said2; touch /c/z\nCOPY --from=one /said /\n",
               files={"f": "", "ln/x": ""}))
    same(sh(e, "cat /said /said2"), f"ls: {place}: No such file or directory\n/c:\nx\n/c:\n\n/evil:\n")
    for row in layers(e)[len(layers(e, "bb:latest")):]:
        with open(f"{e.root}/state/store/layers/sha256/{row[7:9]}/{row[7:]}", "rb") as f:
            f.seek(4096)
            lacks(" ".join(tarfile.open(fileobj=f).getnames()), "proc")


@case("mounts: a cache whose layers would make the stack too high is copied")
def _(e):
    many = "FROM bb AS high\n" + "".join(f"COPY f /f{i}\n" for i in range(96)) + "FROM {}\nRUN --mount=type=cache,id=high,target=/c,mode=0711 sh -c 'ls -ld /c | cut -c1-10; ls /c' > /said; echo > /c/{}\n"
    for base, name, want in (("bb", "a", ""), ("high", "b", "a\n"), ("high", "c", "a\nb\n"), ("bb", "d", "a\nb\nc\n")):
        good(build(e, many.format(base, name), files={"f": ""}))
        same(sh(e, "cat /said"), f"drwx--x--x\n{want}")


def put_old_cache(calls, key):
    hold = calls.open("store", "Hold", {"owner": 0, "purpose": "build"})
    number = int(hold.next()["hold"])
    made = calls.call("store", "LayerCompose", {"hold": number, "item": [{"data": b"old\n", "target": b"/d/x", "uid": 3}]})
    calls.call("store", "CachePut", {"hold": number, "key": key, "kind": "exec.cachemount", "diff_id": [made["diff_id"]], "note": b"1", "replace": True})
    hold.cancel()
    hold.close()


@case("mounts: a cache that an earlier version has left is taken over")
def _(e):
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=old,target=/c touch /c/new\n"))
    as_room(e, "build", put_old_cache, cache_rows(e)[-1][0])
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=old,target=/c,mode=0711 sh -c 'stat -c %a /c; ls -A /c; stat -c %u /c/d/x; cat /c/d/x' > /said\n"))
    same(sh(e, "cat /said"), "711\nd\n3\nold\n")
    assert cache_rows(e)[-1][1].startswith(b"2 "), cache_rows(e)
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=old,target=/c rm /c/d/x; touch /c/d/y\nRUN --mount=type=cache,id=old,target=/z ls -A /c/d > /said || true\nRUN --mount=type=cache,id=old,target=/c ls -A /c/d > /said\n"))
    same(sh(e, "cat /said"), "y\n")


# ---- ssh ----

def program(path):
    """A program of this host and its libraries, as files of a context."""
    found = {}
    for name in [path, *re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout)]:
        with open(name, "rb") as f:
            found[f"fs{name}"] = f.read()
    return found


class RealAgent:
    """ssh-agent with one key."""

    def __init__(self, folder):
        for word in ("ssh-agent", "ssh-add", "ssh-keygen"):
            if shutil.which(word) is None:
                raise Skip(f"there is no {word}")
        self.key = os.path.join(folder, "id")
        self.path = os.path.join(folder, "agent.sock")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "neko@test", "-f", self.key], check=True)
        self.process = subprocess.Popen(["ssh-agent", "-D", "-a", self.path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.environment = {**os.environ, "SSH_AUTH_SOCK": self.path}
        self.print = subprocess.run(["ssh-keygen", "-lf", self.key + ".pub"], capture_output=True, text=True, check=True).stdout.split()[1]
        self.print = re.escape(self.print)  # it may have a "+"

    def __enter__(self):
        try:
            until("the agent's socket", lambda: os.path.exists(self.path))
            subprocess.run(["ssh-add", "-q", self.key], env=self.environment, check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


@case("mounts: type=ssh: ssh-add in a RUN lists and uses the caller's keys and can do no more")
def _(e):
    folder = os.path.join(e.folder, "ssh")
    os.makedirs(folder)
    with RealAgent(folder) as agent:
        files = {**program("/usr/bin/ssh-add"), **program("/usr/bin/ssh-keygen"), "pub": open(agent.key + ".pub", encoding="ascii").read()}
        file = """FROM bb
ENV PATH=/bin:/usr/bin
COPY --chmod=755 fs /
COPY pub /root/pub
RUN --mount=type=ssh ssh-add -l > /list; echo $SSH_AUTH_SOCK > /where; stat -c '%a %u %F' $SSH_AUTH_SOCK >> /where
RUN --mount=type=ssh echo signed > /data && ssh-keygen -q -Y sign -f /root/pub -n file /data && grep -c SIGNATURE /data.sig
RUN --mount=type=ssh,required=true ssh-add -D 2>&1; ssh-add -x < /dev/null 2>&1; ssh-add -l
RUN test ! -e /run/buildkit && test -z "$SSH_AUTH_SOCK"
"""
        done = good(build(e, file, "--ssh", "default", files=files, env=agent.environment))
        has(sh(e, "cat /list"), agent.print)
        same(sh(e, "cat /where"), "/run/buildkit/ssh_agent.0\n600 0 socket\n")
        has(subprocess.run(["ssh-add", "-l"], env=agent.environment, capture_output=True, text=True, check=True).stdout, agent.print)
        signature = os.path.join(folder, "data.sig")
        mk.write(signature, sh(e, "cat /data.sig").encode())
        subprocess.run(["ssh-keygen", "-Y", "check-novalidate", "-n", "file", "-s", signature], input=b"signed\n", check=True, stdout=subprocess.DEVNULL)
        everything = done.stderr + "".join(rows(e)) + str(inspect(e, "t:1")) + sh(e, "find /run")
        lacks(everything, agent.path)
        lacks(everything, "ssh_agent")
        again = good(build(e, file, "--ssh", "default", files=files, env=agent.environment, tag="t:2"))
        same(len(re.findall("CACHED", again.stderr)), 6)
        same(inspect(e, "t:2")["Id"], inspect(e, "t:1")["Id"])


class OwnAgent:
    """One that answers each request with the number of keys it was made with, and remembers what it was asked."""

    def __init__(self, path, keys):
        self.asked, self.path = [], path
        self.reply = struct.pack(">IBI", 5, 12, keys)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, connection.makefile("rb") as reader:
            while len(head := reader.read(4)) == 4:
                self.asked.append(reader.read(struct.unpack(">I", head)[0])[0])
                connection.sendall(self.reply)


ASK = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* ask SOCKET TYPE: a message without content; the answer in hexadecimal digits. */
int main(int argc, char **argv) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    unsigned char message[5] = {0, 0, 0, 1, (unsigned char)atoi(argv[argc - 1])}, answer[64];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(a.sun_path, argv[1], sizeof a.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 || write(fd, message, 5) != 5)
        return perror("ask"), 1;
    ssize_t n = read(fd, answer, sizeof answer);
    for (ssize_t i = 0; i < n; i++)
        printf("%02x", answer[i]);
    return puts(""), 0;
}
"""


def asking(e):
    """The program `ask` as files of a context."""
    path = os.path.join(e.folder, "ask")
    if not os.path.exists(path):
        subprocess.run(["cc", "-static", "-o", path, "-xc", "-"], input=ASK.encode(), check=True)
    with open(path, "rb") as f:
        return {"ask": f.read()}


WITH_ASK = "FROM bb\nCOPY --chmod=755 ask /bin/\n"


@case("mounts: type=ssh: several agents, targets, owners, modes; what is not known is refused before it reaches the agent")
def _(e):
    folder = os.path.join(e.folder, "agents")
    os.makedirs(folder)
    one, two = OwnAgent(f"{folder}/1", 1), OwnAgent(f"{folder}/2", 2)
    file = WITH_ASK + """RUN --mount=type=ssh,id=a --mount=type=ssh,id=b,target=/b.sock,mode=0666,uid=77,gid=99 ask $SSH_AUTH_SOCK 11 > /one; ask /b.sock 11 >> /one; stat -c '%a %u %g' /b.sock >> /one
USER neko
RUN --mount=type=ssh,id=b,uid=77 ask $SSH_AUTH_SOCK 11 > /tmp/two; ls /run/buildkit >> /tmp/two
RUN --mount=type=ssh,id=b ask $SSH_AUTH_SOCK 11 > /tmp/three 2>&1; true
RUN --mount=type=ssh,id=none test ! -e /run/buildkit/ssh_agent.0 && echo fine > /tmp/four
USER root
RUN --mount=type=ssh,id=a ask $SSH_AUTH_SOCK 17 > /five; ask $SSH_AUTH_SOCK 27 >> /five; ask $SSH_AUTH_SOCK 19 >> /five
RUN --mount=type=ssh,id=a export X=$SSH_AUTH_SOCK; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do (ask $X 11 >> /six) & done; wait
ENV SSH_AUTH_SOCK=/mine
RUN --mount=type=ssh,id=a echo $SSH_AUTH_SOCK > /seven
"""
    good(build(e, file, "--ssh", f"a={one.path}", "--ssh", f"b={two.path}", files=asking(e)))
    same(sh(e, "cat /one"), "000000050c00000001\n000000050c00000002\n666 77 99\n")
    same(sh(e, "cat /tmp/two"), "000000050c00000002\nssh_agent.0\n")
    has(sh(e, "cat /tmp/three"), "Permission denied")
    same(sh(e, "cat /tmp/four /five /seven; sort -u /six; wc -l < /six"),
         "fine\n" + "0000000105\n" * 3 + "/mine\n000000050c00000001\n12\n")
    same((set(one.asked), set(two.asked)), ({11}, {11}))
    until("the containers to go", lambda: not folders(e))


@case("mounts: type=ssh: what is missing or wrong is told; a build that is cancelled or an agent that goes leaves nothing")
def _(e):
    folder = os.path.join(e.folder, "wrong")
    os.makedirs(folder)
    agent = OwnAgent(f"{folder}/1", 1)
    bare = {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"}
    required = "FROM bb\nRUN --mount=type=ssh,required=true true\n"
    has(build(e, required, tag="bad:1").stderr, 'no SSH key "default" forwarded from the client')
    has(build(e, required, "--ssh", "default", tag="bad:1", env=bare).stderr, "make sure SSH_AUTH_SOCK is set")
    has(build(e, required, "--ssh", f"default={folder}/none", tag="bad:1").stderr, "No such file")
    mk.write(f"{folder}/key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    has(build(e, required, "--ssh", f"default={folder}/key", tag="bad:1").stderr, "ssh-add")
    has(build(e, required, "--ssh", f"a={agent.path}", "--ssh", f"a={agent.path}", tag="bad:1").stderr, "duplicate ID a")
    has(build(e, required, "--ssh", "=x", tag="bad:1").stderr, "invalid argument")
    good(build(e, required, "--ssh", f"default={agent.path}"))
    agent.server.close()
    os.unlink(agent.path)
    with socket.socket(socket.AF_UNIX) as closed:  # a socket that nobody listens on
        closed.bind(agent.path)
        good(build(e, WITH_ASK + "RUN --mount=type=ssh test -z $(ask $SSH_AUTH_SOCK 11)\n", "--ssh", f"default={agent.path}", files=asking(e)))
    os.unlink(agent.path)
    slow = OwnAgent(agent.path, 1)
    folder = context(e, "slow", {"Dockerfile": WITH_ASK + "RUN --mount=type=ssh ask $SSH_AUTH_SOCK 11; sleep 100\n", **asking(e)})
    client = e.cli_start("build", "-t", "bad:1", "--ssh", f"default={agent.path}", folder, stderr=subprocess.DEVNULL)
    until("a question from the step", lambda: slow.asked)
    client.kill()
    client.wait()
    until("the container to go", lambda: not folders(e))
    same(out(e, "images", "-q", "bad:1"), "")


@case("mounts: type=ssh: a caller that does not take its connections stops nobody else, and gets them all in the end")
def _(e):
    folder = os.path.join(e.folder, "stopped")
    os.makedirs(folder)
    agent, files = OwnAgent(f"{folder}/1", 1), asking(e)
    slow = context(e, "many", {"Dockerfile": WITH_ASK + "RUN --mount=type=ssh ask $SSH_AUTH_SOCK 11; sleep 0.5; "
                               "for i in $(seq 40); do (ask $SSH_AUTH_SOCK 11 >> /n) & done; wait; wc -l < /n > /lines\n", **files})
    client = e.cli_start("build", "-t", "many:1", "--ssh", f"default={agent.path}", slow, stderr=subprocess.DEVNULL)
    until("a question from the step", lambda: agent.asked)
    os.kill(client.pid, signal.SIGSTOP)
    time.sleep(1.5)
    good(build(e, WITH_ASK + "RUN --mount=type=ssh ask $SSH_AUTH_SOCK 11\n", "--ssh", f"default={agent.path}", files=files))
    os.kill(client.pid, signal.SIGCONT)
    same(client.wait(30), 0)
    same(sh(e, "cat /lines", "many:1"), "40\n")


@case("mounts: type=ssh: an agent that hangs holds up nobody: the build ends, and its client with it")
def _(e):
    folder = os.path.join(e.folder, "hung")
    os.makedirs(folder)
    with socket.socket(socket.AF_UNIX) as hung:  # two wait in its queue, who comes then waits for ever
        hung.bind(f"{folder}/1")
        hung.listen(1)
        file = WITH_ASK + "RUN --mount=type=ssh for i in $(seq 80); do (timeout 2 ask $SSH_AUTH_SOCK 11 > /dev/null 2>&1) & done; wait; echo over\n"
        good(build(e, file, "--ssh", f"default={folder}/1", files=asking(e), timeout=40))


if __name__ == "__main__":
    run(setup)
