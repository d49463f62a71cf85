"""RUN, what it leaves behind, and its mounts."""
from form import File, case

ONE = ["base 3", "layers 1", 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]']
TWO = ["base 3", "layers 2", *ONE[2:]]

case("run-shell", "FROM base:1\nRUN echo a; echo b > /x && ln -s x /y\n")
case("run-exec", "FROM base:1\nRUN [\"/bin/touch\", \"/a b\", \"/$HOME\"]\n")
case("run-exec-of-image", "FROM base:1\nRUN [\"echo\", \"found in PATH\"]\nRUN /data/exec > /o\n")
case("run-fails", "FROM base:1\nRUN exit 7\n", fails=r"7")
case("run-not-found", "FROM base:1\nRUN [\"/no/such\"]\n", fails=r"no/such")
case("run-fails-in-pipe", "FROM base:1\nSHELL [\"/bin/sh\", \"-eo\", \"pipefail\", \"-c\"]\nRUN false | true\n", fails=r"1")
case("run-changes-every-kind", "FROM base:1\nRUN mkdir -p /n/m; chmod 2750 /n; echo f > /n/f; ln /n/f /n/h; ln -s f /n/s; mkfifo -m 640 /n/p; chown -h 5:6 /n/s /n/f; "
     "chmod 4755 /data/exec; touch /n/empty\n")
case("run-removes", "FROM base:1\nRUN rm /data/file; rm -r /data/dir; rm /linkdir; rmdir /empty\n")
case("run-replaces", "FROM base:1\nRUN rm -r /data/dir && mkdir /data/dir && echo n > /data/dir/new; rm /data/file && mkdir /data/file; rm -r /empty; echo x > /empty\n")
case("run-renames", "FROM base:1\nRUN mv /data/dir /moved; mv /data/file /data/file2\n")
case("run-only-metadata", "FROM base:1\nRUN chmod 600 /data/file; chown www:extra /data/dir\n")
case("run-changes-nothing", "FROM base:1\nRUN true\n")
case("run-changes-nothing-twice", "FROM base:1\nRUN true\nRUN [ -d /data ]\nRUN echo x > /o\nRUN rm /o\nRUN true\nRUN echo x > /o\nRUN cat /o > /p\n")
case("run-touches-system", "FROM base:1\nRUN echo x > /tmp/t; echo y > /run/y; echo z > /dev/shm/z; echo h > /etc/hostname2\n")
case("run-removes-then-copy", "FROM base:1\nRUN rm -r /data\nCOPY a /data/\n", {"a": "a\n"})
case("run-sees-copy", "FROM base:1\nCOPY d /d\nRUN cat /d/a > /o; rm /d/b; echo c > /d/c\n", {"d/a": "a\n", "d/b": "b\n"})
case("run-hard-link-to-base", "FROM base:1\nRUN ln /data/file /again\n")
case("run-big-file", "FROM base:1\nRUN dd if=/dev/zero of=/z bs=1M count=3 2>/dev/null; for i in 1 2 3 4 5 6 7 8; do cat /etc/passwd /z >> /two; done\n")
case("run-xattr-none-lost", "FROM base:1\nCOPY f /f\nRUN chmod 700 /f\n", {"f": File("x\n", xattrs={"user.k": b"v"})},
     differs={"buildah": "keeps user attributes of the context, docker does not"})
case("run-environment", "FROM base:rich\nARG G=arg\nENV E=env\nRUN env | grep -v -E '^(HOME|SHLVL|HOSTNAME|PWD|OLDPWD|_)=' | sort > /o; pwd >> /o; echo $HOME >> /o\n",
     differs={"buildah": "makes the folders of volumes"})
case("run-user", "FROM base:1\nUSER www\nRUN id > /tmp/o; touch /tmp/f; echo $HOME >> /tmp/o\nUSER app:extra\nRUN id > /tmp/p\nUSER 4242\nRUN id -u > /tmp/q\n"
     "USER 0\nRUN touch /root/r\n",
     differs={"docker": "20.10 leaves the main group out of the list, 28 has it there"})
case("run-user-cannot", "FROM base:1\nUSER www\nRUN touch /root/x\n", fails=r".")
case("run-user-unknown", "FROM base:1\nUSER nobody\nRUN true\n", fails=r"nobody")
case("run-umask-and-limits", "FROM base:1\nRUN umask > /o; touch /f; mkdir /d\n")
case("run-stdin-is-empty", "FROM base:1\nRUN cat > /o; echo $? >> /o\n")
case("run-volume-changes-are-kept", "FROM base:1\nRUN mkdir /v; echo before > /v/a\nVOLUME /v\nRUN echo after > /v/b; rm -f /v/a\nCOPY c /v/\n", {"c": "c\n"},
     differs={"buildah": "drops changes in volumes as docker's old builder did"})
case("run-in-bare-image", "FROM base:bare\nRUN echo x > /o\n",
     differs={"docker": "leaves mount points behind", "buildah": "leaves mount points behind"},
     want=['base 1', 'layers 1', 'config Env ["PATH=/bin"]', 'file /o 644 0:0 "x\\n"'])
case("run-in-scratch", "FROM scratch\nCOPY busy /bin/sh\nRUN [\"/bin/sh\", \"--help\"]\n", {"busy": File(open("/bin/busybox", "rb").read(), 0o755)},
     differs={"docker": "leaves mount points behind", "buildah": "leaves mount points behind"},
     want=['base 0', 'layers 2', 'config Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]', 'dir /bin 755 0:0',
           'file /bin/sh 755 0:0 busybox'])
case("run-heredoc", "FROM base:1\nARG A=1\nRUN <<E\necho $A > /o\nfor i in 1 2; do\n  echo $i >> /o\ndone\nE\nRUN cat <<\"F\" > /p\n$A\nF\n",
     lacks={"docker": "no here documents", "buildah": "no here documents"},
     want=TWO + ['file /o 644 0:0 "1\\n1\\n2\\n"', 'file /p 644 0:0 "$A\\n"'])
case("run-heredoc-shebang", "FROM base:1\nRUN <<E\n#!/bin/cat -n\nline\nE\n",
     lacks={"docker": "no here documents", "buildah": "no here documents"},
     want=ONE)

case("mount-bind", "FROM base:1\nRUN --mount=type=bind,source=d,target=/m cat /m/a > /o; ls -a /m >> /o\n", {"d/a": "a\n", "d/.b": "b\n", "c": "c\n"},
     differs={"docker": "leaves the mount point behind"})
case("mount-bind-default-type", "FROM base:1\nRUN --mount=target=/m cat /m/c > /o\n", {"d/a": "a\n", "c": "c\n"},
     differs={"docker": "leaves the mount point behind"})
case("mount-bind-file", "FROM base:1\nRUN --mount=source=c,target=/data/file cat /data/file > /o\n", {"c": "c\n"},
     differs={"buildah": "removes what the mount hid"})
case("mount-bind-from-stage", "FROM base:1 AS s\nRUN mkdir /out; echo made > /out/f\nFROM base:1\nRUN --mount=from=s,source=/out,target=/m cp /m/f /got\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-bind-from-image", "FROM base:1\nRUN --mount=from=base:rich,source=/data,target=/m cp /m/file /got\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-bind-is-read-only", "FROM base:1\nRUN --mount=target=/m echo x > /m/new\n", {"c": "c\n"},
     fails=r"Read-only file system")
case("mount-bind-rw-is-dropped", "FROM base:1\nRUN --mount=target=/m,rw echo x > /m/new; ls /m > /o\nRUN --mount=target=/m ls /m > /p\n", {"c": "c\n"},
     differs={"docker": "leaves the mount point behind", "buildah": "writes into the context"}, want=TWO + ['file /o 644 0:0 "Dockerfile\\nc\\nnew\\n"', 'file /p 644 0:0 "Dockerfile\\nc\\n"'])
case("mount-bind-over-existing", "FROM base:1\nRUN --mount=source=d,target=/data/dir ls /data/dir > /o\n", {"d/a": "a\n"},
     differs={"buildah": "removes what the mount hid"})
case("mount-bind-missing", "FROM base:1\nRUN --mount=source=none,target=/m true\n", {"d/a": "a\n"}, fails=r"none",
     differs={"buildah": "does not look"})
case("mount-bind-leaves-its-point", "FROM base:1\nRUN --mount=target=/deep/er/m echo x > /deep/er/kept\n", {"c": "c\n"},
     differs={"docker": "leaves the mount point behind"})
case("mount-cache", "FROM base:1\nRUN --mount=type=cache,target=/c echo one >> /c/f; cp /c/f /o\nRUN --mount=type=cache,target=/c echo two >> /c/f; cp /c/f /p\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-cache-by-id", "FROM base:1\nRUN --mount=type=cache,id=k,target=/c echo one > /c/f\nRUN --mount=type=cache,id=k,target=/elsewhere cp /elsewhere/f /o\n"
     "RUN --mount=type=cache,id=other,target=/c ls /c > /p\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-cache-owner", "FROM base:1\nRUN --mount=type=cache,target=/c2,uid=33,gid=500,mode=0750 ls -ldn /c2 | cut -c1-30 > /o\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-tmpfs", "FROM base:1\nRUN --mount=type=tmpfs,target=/t echo x > /t/f; ls /t > /o\nRUN [ ! -e /t/f ]\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-tmpfs-over-data", "FROM base:1\nRUN --mount=type=tmpfs,target=/data ls /data > /o\n",
     differs={"buildah": "removes what the mount hid"})
case("mount-secret", "FROM base:1\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /o; ls -ln /run/secrets/s | cut -c1-10 >> /o\n", secrets={"s": "hidden text\n"},
     differs={"docker": "leaves the mount point behind", "buildah": "leaves the mount point behind"}, want=ONE + ['file /o 644 0:0 "12\\n-r--------\\n"'])
case("mount-secret-target", "FROM base:1\nRUN --mount=type=secret,id=s,target=/etc/key,mode=0440,uid=33,gid=500 wc -c < /etc/key > /o; ls -ln /etc/key | cut -c1-20 >> /o\n",
     secrets={"s": "hidden text\n"})
case("mount-secret-not-given", "FROM base:1\nRUN --mount=type=secret,id=s ls /run/secrets > /o 2>/dev/null; echo $? >> /o\n")
case("mount-secret-required", "FROM base:1\nRUN --mount=type=secret,id=s,required cat /run/secrets/s\n", fails=r"\bs\b")
case("mount-secret-env", "FROM base:1\nRUN --mount=type=secret,id=s,env=KEY echo ${#KEY} > /o; ls -A /run > /p\nRUN echo ${KEY:-gone} > /q\n", secrets={"s": "hidden text"},
     lacks={"docker": "no env=", "buildah": "no env="},
     want=TWO + ['file /o 644 0:0 "11\\n"', 'file /p 644 0:0 ""',
           'file /q 644 0:0 "gone\\n"'])
case("mount-several", "FROM base:1 AS s\nRUN echo s > /s\nFROM base:1\nRUN --mount=from=s,target=/a --mount=type=tmpfs,target=/b --mount=type=cache,target=/cc "
     "cp /a/s /b/s; cp /b/s /cc/s; cp /cc/s /o\n",
     differs={"docker": "leaves the mount point behind"})
case("mount-unknown-type", "FROM base:1\nRUN --mount=type=bond,target=/m true\n", fails=r"Dockerfile:2.*bond")
case("mount-unknown-key", "FROM base:1\nRUN --mount=type=bind,targt=/m true\n", fails=r"Dockerfile:2.*targt")
case("mount-relative-target", "FROM base:1\nWORKDIR /w\nRUN --mount=target=m cat m/c > /o\n", {"c": "c\n"},
     differs={"docker": "leaves the mount point behind", "buildah": "wants absolute targets"}, want=TWO + ['config WorkingDir "/w"', 'file /o 644 0:0 "c\\n"', 'dir /w 755 0:0'])
