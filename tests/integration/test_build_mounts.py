"""RUN --mount from outside: what may be written where, and the agent of the caller's keys."""
import os, re, shutil, signal, socket, struct, subprocess, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from builds import build, context, folders, good, layers, rows, setup, sh  # noqa: E402
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
