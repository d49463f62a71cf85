"""Several stages, and other images as sources."""
from form import File, Link, case

TWO = "FROM base:1 AS one\nRUN mkdir -p /out/d; echo 1 > /out/f; echo 2 > /out/d/g; ln -s f /out/l; chown -R 33:33 /out/d; chmod 700 /out/d\n"

case("stage-copy-by-name", TWO + "FROM base:1\nCOPY --from=one /out /x\n")
case("stage-copy-by-number", TWO + "FROM scratch\nCOPY --from=0 /out/f /out/d /x/\n")
case("stage-copy-keeps-owner", TWO + "FROM scratch\nCOPY --from=one /out/d /a\nCOPY --from=one --chown=5 /out/d /b\n")
case("stage-copy-file-mode", "FROM base:1 AS s\nRUN touch /f; chmod 4750 /f; chown 5:6 /f; chmod 4750 /f\nFROM scratch\nCOPY --from=s /f /f\n")
case("stage-copy-link-source", TWO + "FROM scratch\nCOPY --from=one /out/l /x\nCOPY --from=one /linkdir/inner /y\nCOPY --from=one /abslink /z\n")
case("stage-copy-wildcard", TWO + "FROM scratch\nCOPY --from=one /out/* /x/\n")
case("stage-copy-missing", TWO + "FROM scratch\nCOPY --from=one /nothing /x\n", fails=r"nothing")
case("stage-copy-relative-source", TWO + "FROM scratch\nCOPY --from=one out/f /x\n")
case("stage-copy-ignores-dockerignore", TWO + "FROM scratch\nCOPY --from=one /out/f /x\n", {".dockerignore": "*\n"})
case("stage-copy-all", "FROM base:small AS s\nFROM scratch\nCOPY --from=s / /\n")
case("stage-copy-hard-links", "FROM base:1 AS s\nRUN mkdir /h; echo x > /h/a; ln /h/a /h/b\nFROM scratch\nCOPY --from=s /h /h\n")
case("stage-copy-special", "FROM base:1 AS s\nRUN mkdir /h; mkfifo /h/p; mkdir -m 1777 /h/t; ln -s /absolute/gone /h/l\nFROM scratch\nCOPY --from=s /h /h\n",
     differs={"docker": "20.10 leaves pipes out"})
case("stage-copy-image", "FROM scratch\nCOPY --from=base:rich /data/file /data/dir /x/\n")
case("stage-copy-of-unknown", "FROM base:1\nCOPY --from=nosuchstage /a /b\n", fails=r"nosuchstage")
case("stage-copy-of-later", "FROM base:1 AS a\nCOPY --from=b /x /x\nFROM base:1 AS b\nRUN touch /x\n", fails=r"\bb\b",
     differs={"docker": "takes later stages too, which is not documented", "buildah": "takes later stages too"})
case("stage-copy-of-itself", "FROM base:1 AS a\nCOPY --from=a /data /x\n", fails=r"\ba\b")
case("stage-copy-number-too-high", "FROM base:1\nCOPY --from=3 /data /x\n", fails=r"3")
case("stage-from-stage", "FROM base:1 AS one\nENV A=1\nRUN echo 1 > /one\nARG hidden=x\nFROM one AS two\nRUN echo $A$hidden > /two\nFROM two\nENV C=3\n",
     differs={"buildah": "does not hand arguments on to a stage made from this one"})
case("stage-unused-fails", "FROM base:1 AS bad\nRUN exit 1\nFROM base:1\nENV A=1\n")
case("stage-unused-unknown-image", "FROM nowhere.invalid/no/such:1 AS bad\nFROM base:1\nENV A=1\n")
case("stage-target", "FROM base:1 AS one\nENV A=1\nFROM base:1 AS two\nENV B=2\nFROM base:1 AS three\nRUN exit 1\n", target="two")
case("stage-target-number", "FROM base:1 AS one\nENV A=1\nFROM base:1\nRUN exit 1\n", target="0",
     differs={"docker": "BuildKit knows names only, docker's old builder takes numbers", "buildah": "knows names only"},
     want=['base 3', 'layers 0', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin", "A=1"]'])
case("stage-target-case", "FROM base:1 AS One\nENV A=1\nFROM base:1\nRUN exit 1\n", target="oNE",
     differs={"buildah": "looks at the case of names"})
case("stage-target-unknown", "FROM base:1 AS one\n", target="none", fails=r"none")
case("stage-same-name-twice", "FROM base:1 AS x\nRUN echo 1 > /o\nFROM base:1 AS x\nRUN echo 2 > /o\nFROM scratch\nCOPY --from=x /o /o\n")
case("stage-name-of-image", "FROM base:1 AS base\nRUN echo mine > /o\nFROM base\nENV A=1\n")
case("stage-bad-name", "FROM base:1 AS 1bad\n", fails=r"Dockerfile:1.*1bad",
     differs={"buildah": "does not check"})
case("stage-diamond", "FROM base:1 AS a\nRUN echo a > /a\nFROM a AS b\nRUN echo b > /b\nFROM a AS c\nRUN echo c > /c\nFROM scratch\nCOPY --from=b /a /b /x/\nCOPY --from=c /a /c /y/\n")
case("stage-args-do-not-leak", "FROM base:1 AS a\nARG X=1\nENV Y=$X\nFROM base:1\nENV Z=${X:-none}${Y:-none}\n", args={"X": "given"})
case("scratch-files", "FROM scratch\nCOPY d /\nENTRYPOINT [\"/x\"]\n", {"d/x": "x\n", "d/l": Link("x")})
case("scratch-only-config", "FROM scratch\nENV A=1\nCMD [\"x\"]\n")
case("from-unknown-image", "FROM nowhere.invalid/no/such:1\n", fails=r"nowhere\.invalid")
case("from-bad-name", "FROM UPPER:Case\n", fails=r"Dockerfile:1|UPPER")
case("from-only", "FROM base:1\n")
case("from-platform", "FROM --platform=linux/amd64 base:1\nENV A=1\n")
case("from-other-platform", "FROM --platform=linux/s390x base:1\nENV A=1\n", fails=r"s390x")
case("from-by-variable-stage", "ARG WHICH=b\nFROM base:1 AS a\nENV N=a\nFROM base:1 AS b\nENV N=b\nFROM $WHICH\n", args={"WHICH": "a"})

case("cache-is-of-what-is-below", "FROM base:1 AS a\nCOPY d /linkdir\nCOPY f /empty/\nFROM base:bare AS b\nCOPY d /linkdir\nCOPY f /empty/\nRUN ls -ld /linkdir /empty | cut -c1-10 > /o\n"
     "FROM scratch\nCOPY --from=a /data/dir /a\nCOPY --from=b /linkdir /b\nCOPY --from=b /o /empty/ /c/\n", {"d/x": "x\n", "f": "f\n"})
case("cache-looks-at-modes-and-owners", "FROM base:1\nCOPY a /1/\nCOPY b /2/\nCOPY --chown=5 a /3/\nCOPY --chmod=600 a /4/\nCOPY --chown=5 d /5\nCOPY d /6\n",
     {"a": "same\n", "b": File("same\n", 0o755), "d/a": "same\n"})
