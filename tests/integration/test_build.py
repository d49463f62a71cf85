"""Builds from outside: Dockerfiles and contexts become images; what a failure, a cancel and a second time do."""
import functools, http.server, io, json, os, re, signal, subprocess, sys, tarfile, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from builds import build, context, folders, good, layers, rows, setup, sh  # noqa: E402
from cases import case, fails, has, inspect, lacks, out, run, same, until  # noqa: E402


# ---- config ----

@case("build: every metadata instruction, its config and its row in the history")
def _(e):
    good(build(e, """FROM bb
MAINTAINER neko
ARG WHO=me
ENV A=1 B="x $A y"
ENV A=2 C=$A
LABEL one=1 "two words"="a b"
EXPOSE 80 443/udp
VOLUME /data /more
USER neko:cat
WORKDIR /w
WORKDIR d
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=30s --retries=3 CMD true
ONBUILD RUN echo later
ENTRYPOINT ["cat"]
CMD ["-", "a\\"b"]
"""))
    i = inspect(e, "t:1")
    c = i["Config"]
    same((c["Env"], c["Labels"], sorted(c["ExposedPorts"]), sorted(c["Volumes"]), c["User"], c["WorkingDir"], c["StopSignal"], c["Shell"], c["OnBuild"],
          c["Entrypoint"], c["Cmd"], c["Healthcheck"], i["Author"]),
         (["PATH=/bin", "A=2", "B=x  y", "C=1"], {"one": "1", "two words": "a b"}, ["443/udp", "80/tcp"], ["/data", "/more"], "neko:cat", "/w/d", "SIGINT",
          ["/bin/sh", "-ec"], ["RUN echo later"], ["cat"], ["-", 'a"b'], {"Test": ["CMD-SHELL", "true"], "Interval": 30000000000, "Retries": 3}, "neko"))
    same(rows(e)[:16], ['CMD ["-" "a\\"b"]', 'ENTRYPOINT ["cat"]', "ONBUILD RUN echo later",
                        'HEALTHCHECK &{["CMD-SHELL" "true"] "30s" "0s" "0s" "0s" \'\\x03\'}', "SHELL [/bin/sh -ec]", "STOPSIGNAL SIGINT", "WORKDIR /w/d",
                        "WORKDIR /w", "USER neko:cat", "VOLUME [/data /more]", "EXPOSE map[443/udp:{} 80/tcp:{}]", "LABEL one=1 two words=a b", "ENV A=2 C=1",
                        "ENV A=1 B=x  y", "ARG WHO=me", "MAINTAINER neko"])
    same(sh(e, "stat -c %u:%g /w /w/d"), "77:99\n77:99\n")


@case("build: ENTRYPOINT drops the base's CMD, not the stage's own; --label; several tags; same image again")
def _(e):
    good(build(e, "FROM bb\nCMD [\"one\"]\n", tag="base:1"))
    good(build(e, "FROM base:1\nENTRYPOINT [\"e\"]\n", tag="base:2"))
    same((inspect(e, "base:2")["Config"]["Cmd"], inspect(e, "base:2")["Config"]["Entrypoint"]), (None, ["e"]))
    good(build(e, "FROM base:1\nCMD two\nENTRYPOINT [\"e\"]\n", "-t", "base:4", "--label", "l=m", tag="base:3"))
    c = inspect(e, "base:3")["Config"]
    same((c["Cmd"], c["Labels"]), (["/bin/sh", "-c", "two"], {"l": "m"}))
    same(inspect(e, "base:4")["Id"], inspect(e, "base:3")["Id"])
    good(build(e, "FROM base:1\nCMD two\nENTRYPOINT [\"e\"]\n", "--label", "l=m", tag="base:5"))
    same(inspect(e, "base:5")["Id"], inspect(e, "base:3")["Id"])


@case("build: RUN has its shell, variables, arguments, user, folder; each is a layer; the history tells the arguments")
def _(e):
    done = good(build(e, """FROM bb
ARG WHO=none
ARG EMPTY
ENV E=env
WORKDIR /w
RUN echo $WHO $E > a && pwd >> a && id -u >> a
USER neko
RUN ["/bin/sh", "-c", "id -u > /tmp/b"]
USER root
SHELL ["/bin/sh", "-c", "echo shell; eval $0"]
RUN echo x > /c
RUN true
""", "--build-arg", "WHO=you"))
    same(sh(e, "cat /w/a /tmp/b /c"), "you env\n/w\n0\n77\nx\n")
    same(len(layers(e)), len(layers(e, "bb")) + 5)
    has("\n".join(rows(e)), r"(?m)^RUN \|1 WHO=you /bin/sh -c echo \$WHO \$E > a && pwd >> a && id -u >> a # buildkit$")
    has(done.stderr, r"\[[0-9]+/[0-9]+\] RUN echo")
    has(done.stderr, r"(?m)^#[0-9]+ [0-9.]+ shell$")


@case("build: here-documents: script for the shell, with an interpreter, as files")
def _(e):
    good(build(e, """FROM bb
RUN <<EOF
echo one > /one
echo two > /two
EOF
RUN <<EOF
#!/bin/sh -e
echo "$0" > /zero
EOF
ARG V=val
COPY <<a.txt <<"b.txt" /docs/
plain $V
a.txt
raw $V
b.txt
RUN cat <<E > /cat
text
E
"""))
    same(sh(e, "cat /one /two /zero /docs/a.txt /docs/b.txt /cat; stat -c '%a %u' /docs/a.txt; ls /dev/pipes 2>&1 | wc -l"),
         "one\ntwo\n/dev/pipes/EOF\nplain val\nraw $V\ntext\n644 0\n1\n")


# ---- COPY and ADD ----

@case("build: COPY and ADD: folders, patterns, owners, modes, excludes, links, .dockerignore, archives")
def _(e):
    packed = mk.compress(mk.tar_of([("in", None, 0o755), ("in/side", b"inside", 0o600)]), "gzip")
    good(build(e, """FROM bb
WORKDIR /w
COPY src ./
COPY src/*.txt txt/
COPY --chown=neko src/a.txt owned
COPY --chown=5:cat --chmod=750 src/a.txt /mode
COPY --exclude=*.md src/deep deep2/
ADD pack.tgz unpacked/
ADD --unpack=false pack.tgz kept.tgz
COPY --from=bb /old/file /from
COPY src/a.txt /var/run/linked
""", files={"src/a.txt": "A", "src/b.txt": "B", "src/deep/c.md": "C", "src/deep/d": "D", "src/x.key": "no", "pack.tgz": packed, ".dockerignore": "**/*.key\n"}))
    same(sh(e, "find /w -type f | sort; cat /w/unpacked/in/side /from; stat -c '%n %a %u:%g' /w/owned /mode /w/unpacked/in/side /run/linked"),
         "/w/a.txt\n/w/b.txt\n/w/deep/c.md\n/w/deep/d\n/w/deep2/d\n/w/kept.tgz\n/w/owned\n/w/txt/a.txt\n/w/txt/b.txt\n/w/unpacked/in/side\n"
         "insideold\n/w/owned 644 77:88\n/mode 750 5:99\n/w/unpacked/in/side 600 0:0\n/run/linked 644 0:0\n")
    for text, words in (("COPY nothere /x", "nothere"), ("COPY --chown=nobodyhere src /x", "nobodyhere"), ("COPY --from=nosuchimage:9 / /x", "nosuchimage"),
                        ("ADD git@example.com:a/b.git /x", "git")):
        done = build(e, f"FROM bb\n{text}\n", files={"src/a.txt": "A"}, tag="bad:1")
        same((text, done.returncode), (text, 1))
        has(done.stderr, words)
        fails(e, "inspect", "bad:1")


@case("build: stages: only what the target needs, COPY --from by name and number, --target, ONBUILD")
def _(e):
    file = """ARG BASE=bb
FROM $BASE AS first
RUN echo 1 > /one
FROM first AS second
RUN echo 2 > /two
FROM bb AS never
RUN exit 9
FROM scratch AS last
COPY --from=second /one /two /
COPY --from=0 /one /again
FROM bb
RUN exit 8
"""
    done = good(build(e, file, "--target", "last"))
    lacks(done.stderr, "exit [89]")
    i = inspect(e, "t:1")
    same((len(i["RootFS"]["Layers"]), i["Config"]["Env"], i["Config"]["WorkingDir"]),
         (2, ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "/"))
    good(build(e, "FROM t:1 AS t\nFROM bb\nCOPY --from=t / /t\n", tag="t:2"))
    same(sh(e, "cat /t/one /t/two /t/again", "t:2"), "1\n2\n1\n")
    good(build(e, "FROM trigger\nRUN cat /trigger > /copied; echo $T >> /copied\n", tag="t:3"))
    same((sh(e, "cat /copied", "t:3"), inspect(e, "t:3")["Config"]["OnBuild"]), ("trigger\n1\n", None))
    has(build(e, file, "--target", "lst").stderr, "lst.*could not be found|did you mean")


# ---- errors ----

@case("build: a mistake in the file is told with line and word before anything happens; a step that fails, too")
def _(e):
    done = build(e, "ROM bb\nRUN true\n", tag="bad:1")
    same(done.returncode, 1)
    has(done.stderr, r"Dockerfile:1:1: unknown instruction: ROM")
    has(done.stderr, r"did you mean FROM\?")
    done = build(e, "FROM bb\nRUN echo before; exit 3\nRUN echo after\n", tag="bad:1")
    same(done.returncode, 1)
    has(done.stderr, r"before")
    has(done.stderr, r'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3')
    lacks(done.stderr, r"#[0-9]+ [0-9.]+ after")
    has(done.stderr, r"(?m)^Dockerfile:2:1: .*\n    RUN echo before; exit 3\n    \^\^\^$")
    fails(e, "inspect", "bad:1")
    has(build(e, "FROM nosuchimage:1\nRUN true\n", tag="bad:1").stderr, "nosuchimage")
    has(build(e, "FROM bb\nRUN [\"/nosuch\"]\n", tag="bad:1").stderr, "exit code: 127")
    has(build(e, "FROM bb\n", tag="Bad:1").stderr, "invalid reference format|must be lowercase")
    until("no step is left", lambda: folders(e) == [])
    same(out(e, "ps", "-aq"), "")


def cached(done):
    """The instructions that a build has taken from its cache."""
    names = dict(re.findall(r"^(#\d+) \[[^]]*\] (\w+ \S+)", done.stderr, re.M))
    return [names[number] for number in re.findall(r"^(#\d+) CACHED", done.stderr, re.M)]


@case("build: a COPY comes from the cache whatever was done before it, unless its target is another then")
def _(e):
    file = "FROM bb\nWORKDIR /w\nCOPY one /w/one\nRUN cat /w/one/f > /seen; touch /w/new; rm /w/new\nCOPY many /w/many/\nCOPY more /w/many\n"
    files = {"one/f": "1", "many/a": "a", "more/b": "b"}
    good(build(e, file, files=files))
    for change, want in (({"one/f": "22"}, ["WORKDIR /w", "COPY many", "COPY more"]), ({"many/a": "aa"}, ["WORKDIR /w", "COPY one", "RUN cat", "COPY more"]),
                         ({"more/b": "bb"}, ["WORKDIR /w", "COPY one", "RUN cat", "COPY many"])):
        same(cached(good(build(e, file, files={**files, **change}))), want)
        same(sh(e, "cat /seen /w/one/f /w/many/a /w/many/b; ls -A /w /w/many"),
             "".join([*[{**files, **change}[name] for name in ("one/f", "one/f", "many/a", "more/b")], "/w:\nmany\none\n\n/w/many:\na\nb\n"]))
    good(build(e, "FROM bb\nCOPY many /x/\n", files=files, tag="on:1"))
    for script, want, mode in (("true", ["COPY many"], "drwxr-xr-x"), ("mkdir /x", ["COPY many"], "drwxr-xr-x"), ("mkdir -m 0700 /x", [], "drwx------"), ("ln -s /old /x", [], "lrwxrwxrwx")):
        same(cached(good(build(e, f"FROM bb\nRUN {script}; echo '{script}' > /own\nCOPY many /x/\n", files=files, tag="on:2"))), want)
        same(sh(e, "cat /x/a /own; ls -ld /x | cut -c1-10", "on:2"), f"a{script}\n{mode}\n")


@case("build: the same again comes from the cache and is the same image; what differs is done again")
def _(e):
    file = "FROM bb\nARG X=1\nCOPY src /src\nRUN echo $X > /x; date >> /x\nENV A=b\nRUN cat /x > /y\n"
    files = {"src/a": "1", "src/b": "2"}
    first = good(build(e, file, files=files))
    lacks(first.stderr, "CACHED")
    one = inspect(e, "t:1")["Id"]
    second = good(build(e, file, files=files))
    same((inspect(e, "t:1")["Id"], len(re.findall("CACHED", second.stderr))), (one, 3))
    other = good(build(e, file, files={**files, "src/a": "3"}, tag="t:2"))
    same(len(re.findall("CACHED", other.stderr)), 0)
    good(build(e, file.replace("A=b", "A=c"), files=files, tag="t:3"))
    same(layers(e, "t:3")[:-1], layers(e)[:-1])
    arg = good(build(e, file, "--build-arg", "X=2", files=files, tag="t:4"))
    same(len(re.findall("CACHED", arg.stderr)), 1)
    fresh = good(build(e, file, "--no-cache", files=files, tag="t:5"))
    same((len(re.findall("CACHED", fresh.stderr)), inspect(e, "t:5")["Id"] != one), (0, True))


@case("build: --cache-from: RUN takes layers of an image with the same history, COPY does not")
def _(e):
    file = "FROM bb\nENV A=1\nRUN date +%N > /x\nCOPY f /f\nRUN date +%N > /y\n"
    good(build(e, file, files={"f": "1"}, tag="from:1"))
    out(e, "builder", "prune", "-af")
    good(build(e, file.replace("A=1", "A=2"), "--cache-from", "from:1", files={"f": "1"}, tag="t:1"))
    assert layers(e, "t:1")[2] != layers(e, "from:1")[2], "another ENV, but the same layer"
    done = good(build(e, file, "--cache-from", "type=registry,ref=from:1", "--cache-from", "nosuch/image:1", files={"f": "1"}, tag="t:2"))
    same(layers(e, "t:2")[:3], layers(e, "from:1")[:3])
    has(done.stderr, "importing cache manifest from from:1")


@case("build: SOURCE_DATE_EPOCH: nothing in the image is younger, and two cold builds give the same image")
def _(e):
    file = "FROM bb\nCOPY a /a\nWORKDIR /new\nRUN echo x > /x\nLABEL l=m\n"
    ids = []
    for i in range(2):
        good(build(e, file, "--no-cache", "--source-date-epoch", "1700000000", files={"a": "1"}, tag=f"epoch:{i}"))
        ids.append(inspect(e, f"epoch:{i}")["Id"])
        time.sleep(1.1)
    same(ids[0], ids[1])
    same(inspect(e, "epoch:0")["Created"][:19], "2023-11-14T22:13:20")
    same(sh(e, "stat -c %Y /a /new /x", "epoch:0"), "1700000000\n" * 3)


@case("build: cancelled or its client gone, nothing is left and nothing has a name")
def _(e):
    folder = context(e, "cancel", {"Dockerfile": "FROM bb\nRUN echo up; sleep 60\n"})
    for how in (signal.SIGINT, signal.SIGKILL):
        p = subprocess.Popen([e.client(), "--host", e.host, "build", "-t", "bad:1", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in p.stderr:
            if re.search(r"^#[0-9]+ [0-9.]+ up", line):
                break
        p.send_signal(how)
        p.wait(20)
        p.stderr.close()
        p.stdout.close()
        until("no step is left", lambda: folders(e) == [], 30)
        fails(e, "inspect", "bad:1")
    out(e, "system", "check")


@case("build: --memory and --cpus hold a RUN, --ulimit, --shm-size, --add-host and --network reach it")
def _(e):
    done = build(e, "FROM bb\nRUN dd if=/dev/zero of=/dev/null bs=100M count=1\n", "--memory", "32m", tag="bad:1")
    info = json.loads(out(e, "system", "info", "--format", "json"))
    if done.returncode == 0 and info.get("OCIRuntime", {}).get("Cgroup", info.get("Cgroup", "")) not in ("", "none"):
        raise AssertionError(f"100 MB fit into 32: {done.stderr}")
    same(build(e, "FROM bb\nRUN true\n", "--memory", "1m", tag="bad:1").returncode, 1)
    good(build(e, "FROM bb\nRUN ulimit -n > /n; df -k /dev/shm | tail -1 >> /n; grep added /etc/hosts >> /n; ls /sys/class/net >> /n\n", "--ulimit", "nofile=70:80",
               "--shm-size", "3m", "--add-host", "added:10.1.2.3", "--cpus", "0.5"))
    text = sh(e, "cat /n")
    has(text, r"\A70\n")
    has(text, r" 3072 ")
    has(text, r"10\.1\.2\.3\s+added")
    has(text, r"(?m)^lo$")
    good(build(e, "FROM bb\nRUN --network=host ls /sys/class/net > /net\n"))
    same(sorted(sh(e, "cat /net").split()), sorted(os.listdir("/sys/class/net")))


# ---- mounts ----

@case("build: RUN --mount: bind of context, stage, image; what is written there is dropped")
def _(e):
    good(build(e, """FROM bb AS st
RUN echo stage > /s
FROM bb
WORKDIR /w
RUN --mount=type=bind,target=/ctx,rw cat /ctx/sub/f > /one; touch /ctx/new; ls /ctx > /list
RUN --mount=source=sub,target=/old,rw cat /old/f > /two; ls /old >> /two; echo more > /old/more; mkdir /old/dir
RUN --mount=from=st,target=here cat here/s > /three
RUN --mount=from=bb,source=/old/file,target=/var/run/x cat /run/x > /four
""", files={"sub/f": "content\n"}))
    same(sh(e, "cat /one /list /two /three /four; ls /old /w /run"),
         "content\nDockerfile\nnew\nsub\ncontent\nf\nstage\nold\n/old:\nfile\n\n/run:\n\n/w:\n")
    lacks(sh(e, "ls -A /"), "ctx")
    again = good(build(e, "FROM bb\nRUN --mount=type=bind,target=/c cat /c/f > /one\n", files={"f": "1"}, tag="b:1"))
    changed = good(build(e, "FROM bb\nRUN --mount=type=bind,target=/c cat /c/f > /one\n", files={"f": "2"}, tag="b:2"))
    lacks(again.stderr + changed.stderr, "CACHED")
    same(sh(e, "cat /one", "b:2"), "2")


@case("build: RUN --mount=type=cache keeps from build to build, is in no layer, and has rules for several")
def _(e):
    file = "FROM bb\nARG N\nRUN --mount=type=cache,target=/root/.cache/x echo $N >> /root/.cache/x/log; cat /root/.cache/x/log > /seen; ls -ld /root/.cache/x > /mode\n"
    for i in range(1, 12):
        good(build(e, file, "--build-arg", f"N={i}"))
        same(sh(e, "cat /seen"), "".join(f"{k}\n" for k in range(1, i + 1)))
    same(sh(e, "ls -A /root; cut -c1-10 /mode"), "drwxr-xr-x\n")
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=/root/.cache/x,target=/other rm /other/log; touch /other/b\n"))
    good(build(e, "FROM bb\nRUN --mount=type=cache,id=/root/.cache/x,target=/z ls -A /z > /seen\n"))
    same(sh(e, "cat /seen"), "b\n")
    good(build(e, "FROM bb\nRUN --mount=type=cache,target=/old ls -A /old > /seen; echo 1 > /old/x\nRUN --mount=type=cache,target=/old,mode=0700,uid=5 ls -A /old > /seen2\n"))
    same(sh(e, "cat /seen /seen2; ls /old"), "x\nfile\n")
    has(out(e, "builder", "du"), "exec.cachemount")
    mount = "--mount=type=cache,target=/l{},id=l{},sharing=locked"
    locked = "FROM bb AS s{}\nRUN {} {} echo {} >> /l1/log; sleep 1; echo {} >> /l1/log; cp /l1/log /log\n"
    file = locked.format(1, mount.format(1, 1), mount.format(2, 2), "a", "a") + locked.format(2, mount.format(2, 2), mount.format(1, 1), "b", "b")
    good(build(e, file + "FROM bb\nCOPY --from=s1 /log /one\nCOPY --from=s2 /log /two\nRUN --mount=type=cache,target=/x,id=l1 --mount=type=cache,target=/y,id=l1,sharing=locked true\n"))
    same(sh(e, "cat /one /two").split(), ["a", "a", "a", "a", "b", "b"] if len(sh(e, "cat /one")) == 4 else ["b", "b", "a", "a", "b", "b"])


@case("build: secrets as files and variables, in no layer, key, history or log; tmpfs")
def _(e):
    secret = os.path.join(e.folder, "secret")
    mk.write(secret, b"s3cr3t-value\n")
    file = """FROM bb
RUN --mount=type=secret,id=a wc -c < /run/secrets/a > /n; stat -c '%a %u' /run/secrets/a >> /n
RUN --mount=type=secret,id=a,target=/root/.netrc,mode=0444 id -u > /m; wc -c < /root/.netrc >> /m
RUN --mount=type=secret,id=a,env=TOKEN echo ${#TOKEN} > /k
RUN --mount=type=secret,id=none test ! -e /run/secrets/none
RUN --mount=type=tmpfs,target=/scratch,size=1m echo x > /scratch/x; grep -c ' /scratch tmpfs' /proc/mounts > /t
"""
    done = good(build(e, file, "--secret", f"id=a,src={secret}"))
    same(sh(e, "cat /n /m /k /t; ls -A /run /root; ls -d /scratch 2>&1 | grep -c 'No such'"), "13\n400 0\n0\n13\n13\n1\n/root:\n\n/run:\n1\n")
    everything = done.stderr + done.stdout + out(e, "history", "--no-trunc", "t:1") + out(e, "inspect", "t:1")
    lacks(everything, "s3cr3t")
    found = subprocess.run(["grep", "-rl", "s3cr3t-value", f"{e.root}/state"], capture_output=True, text=True, check=False).stdout
    same(found, "")
    has(build(e, "FROM bb\nRUN --mount=type=secret,id=q,required=true true\n", tag="bad:1").stderr, "secret q: not found")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


# ---- outputs ----

@case("build: outputs: an image without a name, archives, a tar, a folder; --squash, -q, --iidfile")
def _(e):
    file = "FROM bb\nRUN rm /old/file; echo 1 > /one\nWORKDIR /w\nCMD [\"x\"]\n"
    folder = context(e, "out", {"Dockerfile": file})
    one = out(e, "build", "-q", folder).strip()
    has(one, r"\Asha256:[0-9a-f]{64}\Z")
    same(sh(e, "cat /one", one), "1\n")
    iid = os.path.join(e.folder, "iid")
    out(e, "build", "--iidfile", iid, folder)
    same(open(iid, encoding="ascii").read(), one)
    for kind in ("docker", "oci"):
        path = os.path.join(e.folder, f"{kind}.tar")
        good(e.cli("build", "-t", "kept/out:1", "-o", f"type={kind},dest={path}", folder, check=False))
        fails(e, "inspect", "kept/out:1")
        has(out(e, "load", "-i", path), "kept/out:1")
        same(inspect(e, "kept/out:1")["Id"], one)
        out(e, "rmi", "kept/out:1")
    path = os.path.join(e.folder, "root.tar")
    good(e.cli("build", "-o", f"type=tar,dest={path}", folder, check=False))
    with tarfile.open(path) as tar:
        names = {m.name.rstrip("/") for m in tar}
    assert {"one", "w", "bin/busybox"} <= names and "old/file" not in names, names
    target = os.path.join(e.folder, "root")
    good(e.cli("build", "-o", target, folder, check=False))
    same((open(f"{target}/one", encoding="ascii").read(), os.path.isdir(f"{target}/w"), os.path.exists(f"{target}/old/file")), ("1\n", True, False))
    good(e.cli("build", "-t", "squashed:1", "--squash", folder, check=False))
    same((layers(e, "squashed:1")[:-1], sh(e, "cat /one; ls /old", "squashed:1"), inspect(e, "squashed:1")["Config"]["Cmd"]), (layers(e, "bb"), "1\n", ["x"]))
    good(e.cli("build", "-o", f"type=tar,dest={path}", context(e, "empty", {"Dockerfile": "FROM scratch\nLABEL a=b\n"}), check=False))
    with tarfile.open(path) as tar:
        same(tar.getnames(), [])


@case("build: --squash makes one layer of the build's own and leaves the base's; what they remove stays removed")
def _(e):
    file = """FROM bb
RUN mkdir /a /d && echo 1 > /a/1 && echo 2 > /a/2 && ln /a/1 /a/hard && echo x > /d/x
RUN rm -r /old && mkdir /old && echo new > /old/new && rm /a/2 /etc/group && rm -r /d && echo file > /d
RUN rm /a/1 && rm -r /home /tmp && mkdir -m 1777 /tmp && mkdir /home && echo h > /home/h && rm /d && mkdir /d && echo y > /d/y && rm -r /var
WORKDIR /w
ENV A=1
"""
    good(build(e, file, "--squash", tag="sq:1"))
    plain = build(e, file, tag="sq:plain")
    good(plain)
    look = "find / -xdev ! -path '/proc*' ! -path '/sys*' ! -path '/dev*' | sort; cat /old/new /d/y /a/hard /home/h"
    same(sh(e, look, "sq:1"), sh(e, look, "sq:plain"))
    same((len(layers(e, "bb")), layers(e, "sq:1")[:-1], len(layers(e, "sq:plain"))), (2, layers(e, "bb"), 6))
    same(inspect(e, "sq:1")["Config"], inspect(e, "sq:plain")["Config"])
    same(sum("squash" in line for line in out(e, "history", "--no-trunc", "sq:1").splitlines()), 1)
    good(build(e, "FROM sq:1\nRUN test ! -e /etc/group && test ! -e /old/file && test ! -e /var\n"))
    good(build(e, "FROM bb AS one\nRUN touch /x\nFROM one\nRUN rm /x /old/file\n", "--squash"))
    same((len(layers(e)), sh(e, "ls -d /x /old/file 2>&1 | grep -c 'No such'")), (3, "2\n"))
    good(build(e, "FROM bb\nENV A=1\n", "--squash"))
    same(layers(e), layers(e, "bb"))


@case("build: ADD of an address, a context that is an archive at an address, named contexts")
def _(e):
    served = context(e, "served", {"file.txt": "from the net\n"})
    with tarfile.open(os.path.join(served, "ctx.tar.gz"), "w:gz") as tar:
        for name, text in (("Dockerfile", "FROM bb\nCOPY . /c\n"), ("a", "A"), ("b.key", "no"), (".dockerignore", "*.key\n")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    handler = functools.partial(Quiet, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        good(build(e, f"FROM bb\nADD {base}/file.txt /got/\nADD --chmod=644 {base}/file.txt /named\nADD {base}/ctx.tar.gz /kept\nADD --unpack {base}/ctx.tar.gz /un/\n"))
        same(sh(e, "cat /got/file.txt /named /un/a; stat -c %a /got/file.txt /named; tar tzf /kept | wc -l"), "from the net\nfrom the net\nA600\n644\n4\n")
        same(build(e, f"FROM bb\nADD {base}/missing /x\n", tag="bad:1").returncode, 1)
        good(e.cli("build", "-t", "url:1", f"{base}/ctx.tar.gz", check=False))
        same(sh(e, "ls -A /c", "url:1"), ".dockerignore\nDockerfile\na\n")
        other = context(e, "other", {"f": "other\n"})
        with tarfile.open(os.path.join(served, "named.tar.gz"), "w:gz") as tar:
            info = tarfile.TarInfo("Dockerfile")
            info.size = len(text := b"FROM bb\nCOPY --from=more f /f\n")
            tar.addfile(info, io.BytesIO(text))
        good(e.cli("build", "-t", "url:2", "--build-context", f"more={other}", f"{base}/named.tar.gz", check=False))
        same(sh(e, "cat /f", "url:2"), "other\n")
        for flag in ("--check", "--call=targets"):  # what nobody looked at is not without problems
            fails(e, "build", flag, f"{base}/ctx.tar.gz", error="the Dockerfile is in the archive")
        server.shutdown()
    good(build(e, "FROM bb\nCOPY --from=more f /f\nRUN --mount=from=more,target=/m cat /m/f > /g\nFROM base\nCOPY --from=0 /f /g /\n",
               "--build-context", f"more={other}", "--build-context", "base=docker-image://bb"))
    same(sh(e, "cat /f /g"), "other\nother\n")


@case("build: what is written wrong is told before anything happens, at its place, with a word that was perhaps meant")
def _(e):
    names = context(e, "names", {"good": "# args\n A=1\r\nB\n", "bad": "A=1\n=2\n", "blank": "A B=1\n", "binary": "A=\0"})
    good(build(e, "FROM bb\nARG A B C\nLABEL l=$A$B$C\n", "--build-arg-file", f"{names}/good", "--build-arg", "C=3", env={**os.environ, "B": "2"}))
    same(inspect(e, "t:1")["Config"]["Labels"], {"l": "123"})
    for name, word in (("bad", "no name before the ="), ("blank", "contains whitespaces"), ("binary", "not UTF-8 text"), ("missing", "No such file")):
        done = build(e, "FROM bb\n", "--build-arg-file", f"{names}/{name}", tag="bad:1")
        same(done.returncode, 125, done)
        has(done.stderr, f"--build-arg-file.*{word}", done)
    for text, words in (("COPY --chmod=9999 f /f", ["Dockerfile:2:14", "invalid chmod parameter", "parse error on line 2"]),
                        ("EXPOSE 80 abc", ["Dockerfile:2:11", 'invalid port "abc"', "parse error on line 2"]),
                        ("RUN --mount=type=cache true", ['invalid mount target "/"']),
                        ("FROM scratch\nRUN true", ["line 3: RUN has no program to run", "FROM scratch"]),
                        ("FROM bb AS builder\nRUN true\nFROM bb\nCOPY --from=bulder /f /f", ["did you mean the stage builder"]),
                        ("FROM bb AS base\nRUN true\nFROM bsae", ["did you mean the stage base"])):
        done = build(e, f"FROM bb\n{text}\n", files={"f": "1"}, tag="bad:1")
        same(done.returncode, 1, done)
        for word in words:
            has(done.stderr, re.escape(word), done)
    good(build(e, "FROM bb\nARG M=640 P=81\nCOPY --chmod=$M f /f\nEXPOSE $P\n", files={"f": "1"}))
    for flags, code, word in ((("-t", "BAD:x"), 125, 'invalid argument "BAD:x" for "-t, --tag" flag'), (("--call", "bogus"), 125, "--call"),
                              (("--ulimit", "nofile=x"), 125, "--ulimit"), (("--platform", "nosuch"), 1, "unknown operating system or architecture"),
                              (("--memory", "1m"), 1, "minimum memory limit allowed is 6MB")):
        done = build(e, "FROM bb\nRUN true\n", *flags, tag="bad:1")
        same(done.returncode, code, done)
        has(done.stderr, re.escape(word), done)
    good(build(e, "FROM bb\nEXPOSE 80:81 127.0.0.1:1:2/udp [::1]:5:6 7-9:17-19\n"))  # as BuildKit takes it
    same(sorted(inspect(e, "t:1")["Config"]["ExposedPorts"]), ["17/tcp", "18/tcp", "19/tcp", "2/udp", "6/tcp", "81/tcp"])
    one = inspect(e, "bb")["Id"][7:]
    same(build(e, f"FROM {one[:3]}\n", tag="bad:1").returncode, 1)
    good(build(e, f"FROM {one[:12]}\n"))


@case("build: a mount without a target is where the stage is; --security=insecure runs with the host's ids, as its diff does")
def _(e):
    good(build(e, "FROM bb\nWORKDIR /w\nRUN --mount=type=bind ls > /list; touch x 2>> /list; true\n", files={"f": "1"}))
    same(sh(e, "cat /list"), "Dockerfile\nf\ntouch: x: Read-only file system\n")
    good(build(e, "FROM bb\nRUN --security=insecure cat /proc/self/uid_map > /map && mount -t tmpfs none /tmp\n"))
    has(sh(e, "cat /map"), r"\A\s+0\s+0\s")
    out(e, "run", "--name", "pv", "--privileged", "bb", "touch", "/new")
    same(out(e, "diff", "pv"), "A /new\n")
    out(e, "commit", "pv", "pv:1")
    out(e, "rm", "pv")
    same(sh(e, "ls /new", "pv:1"), "/new\n")


@case("build: contexts on standard input, compressed or not, with -f; archives as named contexts; what is none is told")
def _(e):
    folder = context(e, "tarred", {"D2": "FROM bb\nCOPY o /o\nCOPY --from=x o /x\n", "o": "one\n"})
    more = context(e, "tarred-more", {"o": "more\n"})
    for option in ("", "z", "j", "J"):
        archive = subprocess.run(["tar", f"-c{option}f", "-", "-C", folder, "."], stdout=subprocess.PIPE, check=True).stdout
        named = os.path.join(e.folder, f"more{option}.tar")
        subprocess.run(["tar", f"-c{option}f", named, "-C", more, "."], check=True)
        good(e.cli("build", "-t", "t:1", "-f", "D2", "--build-context", f"x={named}", "-", input=archive, text=False, check=False))
        same(sh(e, "cat /o /x"), "one\nmore\n")
    done = e.cli("build", "-f", "none", "-", input=archive, text=False, check=False)
    has(done.stderr.decode(), "open none: no such file")
    plain = "FROM bb\nCOPY --from=x o /x\n"
    for value, word in (("oci-layout:///none/x", "/none/x"), ("target:x", "bake"), ("https://host/x.git", "git"), ("/none", "No such file"), (f"{folder}/o", "unpack")):
        done = build(e, plain, "--build-context", f"x={value}", tag="bad:1")
        same(done.returncode, 1, done)
        has(done.stderr, re.escape(word), done)


@case("build: named contexts from an OCI layout, by tag and digest, of several platforms too, and from addresses")
def _(e):
    folder = os.path.join(e.folder, "layout")
    for n, arch in (("1", "amd64"), ("2", "amd64")):
        good(build(e, f"FROM bb\nENV N={n}\nCOPY f /f\n", files={"f": n}, tag=f"laid:{n}"))
        path = os.path.join(e.folder, f"laid{n}.tar")
        out(e, "save", "-o", path, f"laid:{n}")
        subprocess.run(["skopeo", "copy", "-q", f"oci-archive:{path}", f"oci:{folder}:{n}"], check=True)
        out(e, "rmi", f"laid:{n}")
    with open(f"{folder}/index.json", encoding="utf-8") as f:
        digest = json.load(f)["manifests"][1]["digest"]
    before = out(e, "images", "-aq")
    file = "FROM base\nRUN cat /f > /g; echo $N >> /g\nCOPY --from=base /f /h\nRUN --mount=from=base,target=/m cat /m/f >> /g\n"
    for value, n in ((f"{folder}:1", "1"), (f"{folder}@{digest}", "2")):
        good(build(e, file, "--build-context", f"base=oci-layout://{value}", tag="t:1"))
        same(sh(e, "cat /g /h"), f"{n}{n}\n{n}{n}")
    out(e, "rmi", "-f", "t:1")
    same(set(out(e, "images", "-aq").split()) - set(before.split()), set(out(e, "images", "-aq", "-f", "dangling=true").split()) - set(before.split()))
    has(build(e, file, "--build-context", f"base=oci-layout://{folder}", tag="bad:1").stderr, "holds 2 images")
    has(build(e, file, "--build-context", f"base=oci-layout://{folder}:3", tag="bad:1").stderr, "no image with the tag 3")
    two = os.path.join(e.folder, "layout2")
    good(build(e, "FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\nCOPY f /f\n", "--platform", "linux/amd64,linux/arm64", "-o", f"type=oci,dest={two}.tar", files={"f": "x"}))
    os.makedirs(two)
    subprocess.run(["tar", "-xf", f"{two}.tar", "-C", two], check=True)
    good(build(e, "FROM other\nCOPY --from=other /f /g\n", "--platform", "linux/amd64,linux/arm64", "--build-context", f"other=oci-layout://{two}", tag="t:2"))
    same(inspect(e, "t:2")["Config"]["Env"][-1], "A=amd64")
    good(build(e, "FROM other\n", "--platform", "linux/arm64", "--build-context", f"other=oci-layout://{two}", tag="t:3"))
    same(inspect(e, "t:3")["Config"]["Env"][-1], "A=arm64")
    has(build(e, "FROM other\n", "--platform", "linux/s390x", "--build-context", f"other=oci-layout://{two}", tag="bad:1").stderr, "s390x")
    served = context(e, "served-named", {"in/a/b": "from afar\n", "plain": "a file\n"})
    subprocess.run(["tar", "-czf", f"{served}/x.tgz", "-C", f"{served}/in", "."], check=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        good(build(e, "FROM bb\nCOPY --from=far a/b /b\nCOPY --from=file context /c\n", "--build-context", f"far={url}/x.tgz", "--build-context", f"file={url}/plain", "--build-context", f"unused={url}/none"))
        same(sh(e, "cat /b /c"), "from afar\na file\n")
        good(build(e, "FROM far\nCOPY --from=bb /bin/busybox /bin/sh\nRUN echo x > /x\n", "--build-context", f"far={url}/x.tgz", "--platform", "linux/amd64"))
        same(sh(e, "read x < /a/b; echo $x"), "from afar\n")
        has(build(e, "FROM far\n", "--build-context", f"far={url}/none", tag="bad:1").stderr, "build context far")
        server.shutdown()
    out(e, "system", "check")


@case("build: --call=outline and --call=targets print the tables of buildx")
def _(e):
    folder = context(e, "outlined", {"Dockerfile": """# GO_VERSION sets the version
ARG GO_VERSION=1.22
ARG BASE=bb
ARG FULL=${BASE}:latest
ARG NOBODY=1
# tool is what
# tool makes the tool
FROM ${FULL} AS Tool
ARG GO_VERSION
# DEBUG is for\x1b[31m those who look
ARG DEBUG
ARG LONG_ARGUMENT_NAME=x$GO_VERSION
RUN --mount=type=secret,id=key,required=true --mount=type=secret,id=other true
FROM bb AS unused
ARG UNUSED=1
FROM bb AS release
COPY --from=tool /etc /etc
RUN --mount=type=ssh true
"""})
    same(out(e, "build", "--call=targets", folder), "TARGET            DESCRIPTION\ntool              is what\nunused            \nrelease (default) \n")
    same(out(e, "build", "--call=outline", "--build-arg", "DEBUG=yes", folder),
         "TARGET: release\n\n"
         "BUILD ARG            VALUE       DESCRIPTION\n"
         "GO_VERSION           1.22        sets the version\n"
         "BASE                 bb          \n"
         "FULL                 bb:latest   \n"
         "DEBUG                yes         is for\\x1b[31m those who look\n"
         "LONG_ARGUMENT_NAME   x1.22       \n\n"
         "SECRET   REQUIRED\nkey      true\nother    \n\n"
         "SSH       REQUIRED\ndefault   \n\n")
    same(out(e, "build", "--call=outline", "--target", "tool", folder).splitlines()[:2], ["TARGET:      tool", "DESCRIPTION: is what"])
    told = json.loads(out(e, "build", "--call=outline", "--format", "json", folder))
    same([a["name"] for a in told["outline"]][:1], ["GO_VERSION"])


# ---- logs ----

@case("build: logs are kept, also long ones; history lists builds")
def _(e):
    good(build(e, "FROM bb\nRUN i=0; while [ $i -lt 60000 ]; do echo line $i of a long log that goes on and on; i=$((i+1)); done\n", tag="log:1"))
    ids = out(e, "builder", "history", "-q").split()
    done = e.cli("builder", "logs", ids[0])
    text = done.stdout + done.stderr
    has(text, "line 0 of a long log")
    has(text, "line 59999 of a long log")
    same(len(re.findall("line [0-9]+ of", text)), 60000)
    has(out(e, "builder", "history"), "log:1")
    fails(e, "builder", "logs", "0123456789abcdef")


@case("build: stages side by side; what both need is made once")
def _(e):
    now = "cut -d' ' -f1 /proc/uptime >>"
    file = f"FROM bb AS base\nRUN {now} /x\n" + "".join(f"FROM base AS s{i}\nRUN {now} /s; sleep 2; {now} /s\n" for i in range(4))
    file += "FROM bb\n" + "".join(f"COPY --from=s{i} /s /s{i}\nCOPY --from=s{i} /x /x{i}\n" for i in range(4))
    good(build(e, file, "--jobs", "4"))
    spans = [[float(word) for word in sh(e, f"cat /s{i}").split()] for i in range(4)]
    together = sum(a[0] < b[1] and b[0] < a[1] for a in spans for b in spans) - len(spans)
    assert together >= 2, f"not side by side: {spans}"
    same(len(set(sh(e, "cat /x0 /x1 /x2 /x3").split())), 1)


if __name__ == "__main__":
    run(setup)
