"""COPY: sources, targets, names, owners, modes, what is left out."""
from form import Dir, File, Hard, Link, case

TREE = {"a": "a\n", "b": "b\n", "d/one": "1\n", "d/two": File("2\n", 0o600), "d/sub/three": "3\n", "d/.dot": "dot\n", "d/empty": Dir(0o700)}

case("copy-file-to-file", "FROM base:1\nCOPY a /x\n", TREE)
case("copy-file-to-new-folder", "FROM base:1\nCOPY a /new/\n", TREE)
case("copy-file-to-deep-name", "FROM base:1\nCOPY a /p/q/r\n", TREE)
case("copy-file-to-existing-folder", "FROM base:1\nCOPY a /data\n", TREE)
case("copy-file-over-file", "FROM base:1\nCOPY a /data/file\n", TREE)
case("copy-file-relative-target", "FROM base:1\nWORKDIR /data\nCOPY a x\nCOPY b .\nCOPY d ./dd/\n", TREE,
     differs={"docker": "makes a layer of a WORKDIR that is there"})
case("copy-file-up-from-workdir", "FROM base:1\nWORKDIR /data\nCOPY a ../../x\n", TREE,
     differs={"docker": "makes a layer of a WORKDIR that is there"})
case("copy-folder-contents", "FROM base:1\nCOPY d /x\n", TREE)
case("copy-folder-slashes", "FROM base:1\nCOPY d/ /x/\nCOPY ./d/sub/ /y\n", TREE)
case("copy-folder-over-folder", "FROM base:1\nCOPY d /data/dir\n", {"d/inner": "new\n", "d/sub/more": "more\n"})
case("copy-folder-mode-of-target-kept", "FROM base:1\nCOPY d /empty\n", {"d": Dir(0o700), "d/x": "x\n"})
case("copy-folder-mode-taken", "FROM base:1\nCOPY d /fresh\n", {"d": Dir(0o700), "d/x": "x\n", "d/s": Dir(0o2775)},
     differs={"buildah": "drops the set-group-id bit"})
case("copy-several-to-folder", "FROM base:1\nCOPY a b d /x/\n", TREE)
case("copy-several-needs-slash", "FROM base:1\nCOPY a b /x\n", TREE, fails=r"Dockerfile:2.*COPY.*/|folder|director",
     differs={"docker": "20.10 does not check what is documented, later ones do", "buildah": "does not check what docker documents"})
case("copy-several-same-name", "FROM base:1\nCOPY a d1/a /x/\n", {"a": "first\n", "d1/a": "second\n"})
case("copy-wildcard", "FROM base:1\nCOPY *.txt /x/\n", {"one.txt": "1\n", "two.txt": "2\n", "three.md": "3\n", "d/four.txt": "4\n"})
case("copy-wildcard-one", "FROM base:1\nCOPY a* /x\n", {"a1": "1\n", "b": "b\n"})
case("copy-wildcard-class", "FROM base:1\nCOPY f[0-9].? g[^a-c] /x/\n",
     {"f1.c": "1\n", "f2.h": "2\n", "fx.c": "x\n", "f3.cc": "3\n", "ga": "a\n", "gz": "z\n"})
case("copy-wildcard-escaped", "FROM base:1\nCOPY a\\[1\\].txt /x/\nCOPY arr[[]0].txt /y/\n", {"a[1].txt": "1\n", "a1.txt": "no\n", "arr[0].txt": "0\n"},
     differs={"buildah": "does not know [[]"})
case("copy-wildcard-folders", "FROM base:1\nCOPY d* /x/\n", {"d1/a": "1\n", "d2/b": "2\n", "d2/c/d": "3\n", "d": "file\n"})
case("copy-wildcard-middle", "FROM base:1\nCOPY */conf /x/\n", {"p/conf/a": "a\n", "q/conf/b": "b\n", "r/other/c": "c\n"})
case("copy-wildcard-none", "FROM base:1\nCOPY *.nothing /x/\n", TREE,
     differs={"buildah": "refuses it"})
case("copy-wildcard-below-missing", "FROM base:1\nCOPY nothing/here/* /x/\n", TREE, fails=r"\"/nothing/here\": not found")
case("copy-missing", "FROM base:1\nCOPY nothing /x/\n", TREE, fails=r"nothing")
case("copy-outside", "FROM base:1\nCOPY ../../etc/hostname /x/\n", TREE, fails=r"hostname")
case("copy-dotdot-inside", "FROM base:1\nCOPY d/../a /x/\n", TREE)
case("copy-absolute-source", "FROM base:1\nCOPY /a /d/one /x/\n", TREE)
case("copy-all", "FROM base:1\nCOPY . /ctx\n", {**TREE, ".hidden": "h\n"})
case("copy-names", "FROM base:1\nCOPY [\"with space\", \"tab\\tname\", \"/x/\"]\nCOPY [\"d d/\", \"/y y/\"]\nCOPY ü€𝄞 /u/\n",
     {"with space": "1\n", "tab\tname": "2\n", "d d/e e": "3\n", "ü€𝄞/ñ": "4\n"})
case("copy-quoted-target", "FROM base:1\nCOPY a \"/q\"\nCOPY b /'s'\n", TREE)
case("copy-empty-folder", "FROM base:1\nCOPY e /e\nCOPY f /f/\n", {"e": Dir(0o750), "f/g": Dir(0o711)})
case("copy-modes", "FROM base:1\nCOPY d /x/\n",
     {"d/su": File("s", 0o4755), "d/sg": File("g", 0o2711), "d/none": File("n", 0), "d/w": File("w", 0o666), "d/t": Dir(0o1777), "d/x": File("x", 0o111)},
     differs={"buildah": "drops the set-id bits"})
case("copy-owners-are-dropped", "FROM base:1\nCOPY d /x\n", {"d": Dir(0o755, 5, 6), "d/f": File("f", 0o644, 1000, 1001)})
case("copy-hard-links", "FROM base:1\nCOPY d /x/\n", {"d/a": "linked\n", "d/b": Hard("d/a")})
case("copy-big-and-sparse", "FROM base:1\nCOPY big zero /x/\n", {"big": bytes(range(256)) * 5000, "zero": b"\0" * 3_000_000 + b"end"})

case("copy-link-in-folder", "FROM base:1\nCOPY d /x/\n",
     {"d/f": "f\n", "d/l": Link("f"), "d/up": Link("../a"), "d/abs": Link("/etc/passwd"), "d/none": Link("gone"), "d/dir": Link("sub"), "d/sub/x": "x\n", "a": "a\n"})
case("copy-link-is-followed", "FROM base:1\nCOPY l /x\nCOPY ld /y\nCOPY ld/in /z\n", {"f": "f\n", "l": Link("f"), "real/in": "in\n", "ld": Link("real")})
case("copy-link-out-of-context", "FROM base:1\nCOPY l /x\n", {"l": Link("../../../../etc/passwd")}, fails=r"\bl\b")
case("copy-link-absolute-is-of-context", "FROM base:1\nCOPY l /x\n", {"l": Link("/real"), "real": "of the context\n"})
case("copy-link-loop", "FROM base:1\nCOPY l1 /x\n", {"l1": Link("l2"), "l2": Link("l1")}, fails=r"l1")
case("copy-through-linked-folder", "FROM base:1\nCOPY a /linkdir/\nCOPY b /abslink/\n", TREE)
case("copy-through-linked-folder-name", "FROM base:1\nCOPY a /linkdir/x\nCOPY b /climb/y\n", TREE)
case("copy-onto-linked-folder", "FROM base:1\nCOPY d /linkdir\n", TREE)
case("copy-onto-linked-file", "FROM base:1\nCOPY a /filelink\n", TREE,
     differs={"buildah": "replaces the link, docker writes through it"})
case("copy-onto-dangling-link", "FROM base:1\nCOPY a /dangling\n", TREE,
     differs={"buildah": "makes a folder of the link's target"})
case("copy-below-dangling-link", "FROM base:1\nCOPY a /dangling/x\n", TREE)
case("copy-onto-loop", "FROM base:1\nCOPY a /loop/x\n", TREE, fails=r"loop|link")
case("copy-file-over-folder", "FROM base:1\nCOPY a /t/\nCOPY d /t/x/\nCOPY x /t/\n", {"a": "a\n", "d/e": "e\n", "x": "x\n"}, fails=r"/t/x|folder|director",
     differs={"buildah": "replaces a folder by a file"})
case("copy-folder-over-file", "FROM base:1\nCOPY d /data/file\n", TREE, fails=r"data/file|folder|director")
case("copy-link-over-file", "FROM base:1\nCOPY d /data/\n", {"d/file": Link("exec")})
case("copy-file-over-link", "FROM base:1\nCOPY d /\n", {"d/filelink": "now a file\n", "d/dangling": "and this\n"})
case("copy-folder-over-link", "FROM base:1\nCOPY d /\n", {"d/linkdir/x": "x\n"}, fails=r"linkdir",
     differs={"buildah": "follows a link inside the target, docker does not"})
case("copy-link-over-folder", "FROM base:1\nCOPY d /\n", {"d/data": Link("empty")}, fails=r"data|folder|director",
     differs={"buildah": "replaces a folder by a link"})
case("copy-file-with-slash-needs-folder", "FROM base:1\nCOPY a /data/file/\n", TREE, fails=r"data/file|folder|director")
case("copy-below-file", "FROM base:1\nCOPY a /data/file/x\n", TREE, fails=r"data/file|folder|director")

case("copy-chown-numbers", "FROM base:1\nCOPY --chown=5:6 a /x\nCOPY --chown=7 b d /y/\nCOPY --chown=:8 a /z\nCOPY --chown=1000 a /m/n/o\n", TREE)
case("copy-chown-names", "FROM base:1\nCOPY --chown=www a /x\nCOPY --chown=www:extra d /y\nCOPY --chown=app:0 a /z\nCOPY --chown=0:app a /w\n", TREE)
case("copy-chown-name-that-is-a-number", "FROM base:1\nCOPY --chown=7:7 a /x\n", TREE)
case("copy-chown-lonely", "FROM base:1\nCOPY --chown=lonely a /x\n", TREE)
case("copy-chown-variable", "FROM base:1\nARG who=www\nENV grp=extra\nCOPY --chown=$who:${grp} a /x\n", TREE)
case("copy-chown-unknown-user", "FROM base:1\nCOPY --chown=nobody a /x\n", TREE, fails=r"nobody",
     differs={"docker": "20.10 takes root for a name that it does not find, later ones refuse it"})
case("copy-chown-one-half", "FROM base:1\nCOPY --chown=www: a /x\nCOPY --chown=:500 b /y\nCOPY --chown=7: d /z\n", TREE,
     differs={"buildah": "takes the user's own group where docker takes root's"})
case("copy-chown-unknown-group", "FROM base:1\nCOPY --chown=www:nobody a /x\n", TREE, fails=r"nobody",
     differs={"docker": "20.10 ignores a group that it does not find, later ones refuse it"})
case("copy-chown-scratch-name", "FROM scratch\nCOPY --chown=www a /x\n", TREE, fails=r"www|passwd")
case("copy-chown-scratch-number", "FROM scratch\nCOPY --chown=12:34 d /x\n", TREE)
case("copy-chown-existing-folder", "FROM base:1\nCOPY --chown=9:9 d /data/dir/\n", TREE)
case("copy-chmod", "FROM base:1\nCOPY --chmod=640 a d /x/\nCOPY --chmod=4711 b /s\nCOPY --chmod=0755 a /z\n", TREE,
     differs={"docker": "loses the set-user-id bit of --chmod=4711"})
case("copy-chmod-links", "FROM base:1\nCOPY --chmod=600 d /x/\n", {"d/f": "f\n", "d/l": Link("f"), "d/s/t": "t\n"})
case("copy-chmod-and-chown", "FROM base:1\nCOPY --chmod=700 --chown=www:www d /x\n", TREE)
case("copy-chmod-symbolic", "FROM base:1\nCOPY --chmod=u=rwX,go= d /x\nCOPY --chmod=a+x a /y\n", TREE,
     lacks={"docker": "octal modes only", "buildah": "octal modes only"},
     want=['base 3', 'layers 2', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'dir /x 755 0:0', 'file /x/.dot 600 0:0 "dot\\n"',
           'dir /x/empty 700 0:0', 'file /x/one 600 0:0 "1\\n"', 'dir /x/sub 700 0:0', 'file /x/sub/three 600 0:0 "3\\n"',
           'file /x/two 600 0:0 "2\\n"', 'file /y 755 0:0 "a\\n"'])
case("copy-chmod-bad", "FROM base:1\nCOPY --chmod=rwx a /x\n", TREE, fails=r"Dockerfile:2.*rwx|chmod",
     differs={"docker": "20.10 ignores a mode that it cannot read, later ones refuse it"})
case("copy-user-does-not-own", "FROM base:user\nCOPY a /x\nUSER app\nCOPY d /home/app/d\n", TREE)

case("copy-exclude", "FROM base:1\nCOPY --exclude=*.o --exclude=d/keep/not src /x/\n",
     {"src/a.c": "c\n", "src/a.o": "o\n", "src/d/b.o": "deep\n", "src/d/b.c": "c\n"},
     lacks={"docker": "no --exclude", "buildah": "no --exclude"},
     want=['base 3', 'layers 1', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'dir /x 755 0:0', 'file /x/a.c 644 0:0 "c\\n"',
           'dir /x/d 755 0:0', 'file /x/d/b.c 644 0:0 "c\\n"', 'file /x/d/b.o 644 0:0 "deep\\n"'])
case("copy-parents", "FROM base:1\nCOPY --parents p/q/*.txt r/one /x/\n", {"p/q/a.txt": "a\n", "p/q/b.md": "b\n", "r/one": "1\n"},
     lacks={"docker": "no --parents", "buildah": "no --parents"},
     want=['base 3', 'layers 1', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'dir /x 755 0:0', 'dir /x/p 755 0:0',
           'dir /x/p/q 755 0:0', 'file /x/p/q/a.txt 644 0:0 "a\\n"', 'dir /x/r 755 0:0', 'file /x/r/one 644 0:0 "1\\n"'])
case("copy-link-flag", "FROM base:1\nCOPY --link a /l/\nCOPY --link=false b /l/\nCOPY --link d /m\n", TREE,
     lacks={"docker": "no --link", "buildah": "no --link"},
     want=['base 3', 'layers 3', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'dir /l 755 0:0', 'file /l/a 644 0:0 "a\\n"',
           'file /l/b 644 0:0 "b\\n"', 'dir /m 755 0:0', 'file /m/.dot 644 0:0 "dot\\n"', 'dir /m/empty 700 0:0', 'file /m/one 644 0:0 "1\\n"',
           'dir /m/sub 755 0:0', 'file /m/sub/three 644 0:0 "3\\n"', 'file /m/two 600 0:0 "2\\n"'])
case("copy-heredoc", "FROM base:1\nARG who=me\nCOPY <<one <<\"two\" /x/\nhello $who\none\nhello $who\ntwo\nCOPY --chmod=755 <<-E /s\n\t#!/bin/sh\n\techo hi\nE\n",
     lacks={"docker": "no here documents", "buildah": "no here documents"},
     want=['base 3', 'layers 2', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'file /s 755 0:0 "#!/bin/sh\\necho hi\\n"',
           'dir /x 755 0:0', 'file /x/one 644 0:0 "hello me\\n"', 'file /x/two 644 0:0 "hello $who\\n"'])

NOISE = {"a.txt": "a\n", "b.md": "b\n", "keep.md": "k\n", "d/a.txt": "da\n", "d/keep/x": "x\n", "d/e/f/g.log": "g\n", "logs/1": "1\n", "#odd": "odd\n"}
case("ignore-simple", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": "# a comment\n*.txt\n\n  logs  \nDockerfile\n.dockerignore\n"})
case("ignore-negation", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": "*\n!*.md\n!d/keep\nb.md\n"})
case("ignore-reincluded-inside", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": "d\n!d/keep/x\nDockerfile\n.dockerignore\n"})
case("ignore-double-star", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": "**/*.log\n**/a.txt\n**/keep\n!keep.md\nDockerfile*\n.docker*\n"})
case("ignore-slashes", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": "/a.txt\nd/e/\n./b.md\nlogs/../keep.md\nDockerfile\n.dockerignore\n"})
case("ignore-classes", "FROM base:1\nCOPY . /x\n", {"a1": "1\n", "a2": "2\n", "b1": "3\n", "c?": "4\n", "cx": "5\n", ".dockerignore": "a[1]\n[!a]1\nc\\?\nDockerfile\n.dockerignore\n"})
case("ignore-hides-from-copy", "FROM base:1\nCOPY a.txt /x\n", {**NOISE, ".dockerignore": "a.txt\n"}, fails=r"a\.txt")
case("ignore-crlf-bom", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": b"\xef\xbb\xbf*.md\r\n!keep.md\r\nDockerfile\r\n.dockerignore\r\n"})
case("ignore-of-dockerfile", "FROM base:1\nCOPY . /x\n", {**NOISE, ".dockerignore": "a.txt\n", "Other.dockerignore": "*.md\nOther*\n.docker*\n"}, name_of_file="Other")
case("ignore-dockerfile-itself", "FROM base:1\nCOPY . /x\n", {"a": "a\n", ".dockerignore": "Dockerfile\n.dockerignore\n"})
