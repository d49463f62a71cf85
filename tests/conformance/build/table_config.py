"""What only changes the image's settings."""
from form import case

case("config-inherited", "FROM base:rich\n")
case("config-entrypoint-resets-cmd", "FROM base:rich\nENTRYPOINT [\"/bin/new\"]\n")
case("config-entrypoint-and-cmd", "FROM base:rich\nCMD [\"mine\"]\nENTRYPOINT [\"/bin/new\"]\n")
case("config-cmd-after-entrypoint", "FROM base:rich\nENTRYPOINT [\"/bin/new\"]\nCMD [\"x\", \"y z\"]\n")
case("config-cmd-shell", "FROM base:1\nCMD echo a  b | cat\n")
case("config-cmd-rich-shell", "FROM base:rich\nCMD echo shell of the base\n",
     differs={"buildah": "does not take SHELL for CMD"})
case("config-entrypoint-shell", "FROM base:1\nENTRYPOINT exec top -b\n")
case("config-cmd-empty", "FROM base:rich\nCMD []\nENTRYPOINT []\n")
case("config-cmd-bad-json", "FROM base:1\nCMD ['single', 'quotes']\n")
case("config-cmd-json-escapes", "FROM base:1\nCMD [\"a\\tb\", \"\\u00fc\", \"q\\\"q\", \"\\\\\"]\n")
case("config-cmd-json-over-lines", "FROM base:1\nCMD [ \"a\", \\\n  \"b\" ]\n")
case("config-last-one-wins", "FROM base:1\nCMD [\"1\"]\nCMD [\"2\"]\nENTRYPOINT [\"e1\"]\nENTRYPOINT [\"e2\"]\nUSER a\nUSER b:c\nSTOPSIGNAL 9\nSTOPSIGNAL SIGINT\n")
case("config-shell", "FROM base:1\nSHELL [\"/bin/sh\", \"-ec\"]\nCMD echo x\nENTRYPOINT y\nRUN echo $- > /o\n",
     differs={"buildah": "does not take SHELL for CMD and ENTRYPOINT"})
case("config-shell-not-json", "FROM base:1\nSHELL /bin/sh -c\n", fails=r"Dockerfile:2")
case("config-expose", "FROM base:1\nEXPOSE 80 443/tcp 53/udp\nEXPOSE 8000-8003 9000-9001/udp 22/TCP\n",
     differs={"buildah": "keeps ranges and the case of the protocol as text"})
case("config-expose-bad", "FROM base:1\nEXPOSE eighty\n", fails=r"eighty",
     differs={"buildah": "takes any word"})
case("config-expose-range-bad", "FROM base:1\nEXPOSE 90-80\n", fails=r"90-80",
     differs={"buildah": "takes any word"})
case("config-expose-inherited", "FROM base:rich\nEXPOSE 81\n")
case("config-healthcheck-shell", "FROM base:1\nHEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --retries=5 CMD curl -f http://localhost || exit 1\n")
case("config-healthcheck-exec", "FROM base:1\nHEALTHCHECK --interval=500ms CMD [\"/bin/true\", \"x\"]\n")
case("config-healthcheck-none", "FROM base:rich\nHEALTHCHECK NONE\n")
case("config-healthcheck-last", "FROM base:1\nHEALTHCHECK CMD a\nHEALTHCHECK --retries=1 CMD b\n")
case("config-healthcheck-start-interval", "FROM base:1\nHEALTHCHECK --start-interval=2s --start-period=10s CMD a\n",
     lacks={"docker": "no --start-interval", "buildah": "no --start-interval"},
     want=['base 3', 'layers 0', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]',
           'config Healthcheck {"StartInterval": 2000000000, "StartPeriod": 10000000000, "Test": ["CMD-SHELL", "a"]}'])
case("config-healthcheck-bad", "FROM base:1\nHEALTHCHECK --interval=soon CMD a\n", fails=r"Dockerfile:2.*soon|interval")
case("config-healthcheck-no-cmd", "FROM base:1\nHEALTHCHECK a\n", fails=r"Dockerfile:2")
case("config-stopsignal", "FROM base:1\nSTOPSIGNAL SIGRTMIN+3\n")
case("config-stopsignal-bad", "FROM base:1\nSTOPSIGNAL SIGNOTHING\n", fails=r"SIGNOTHING")
case("config-volume-forms", "FROM base:1\nVOLUME /a /b\nVOLUME [\"/c\", \"/d e\"]\nVOLUME rel\n",
     differs={"buildah": "makes the folders of volumes"})
case("config-volume-inherited", "FROM base:rich\nVOLUME /more\n",
     differs={"buildah": "makes the folders of volumes"})
case("config-volume-empty", "FROM base:1\nVOLUME []\n", fails=r"Dockerfile:2")
case("config-user-forms", "FROM base:1\nUSER 12\n")
case("config-user-group", "FROM base:1\nUSER app:extra\n")
case("config-maintainer", "FROM base:1\nMAINTAINER Jane Doe <jane@example.org>\n")
case("config-no-config-base", "FROM base:noconfig\nLABEL a=1\n")
case("config-onbuild-kept", "FROM base:1\nONBUILD RUN echo x\nONBUILD COPY . /x\nONBUILD env A=$B\n")
case("config-onbuild-nested", "FROM base:1\nONBUILD ONBUILD RUN x\n", fails=r"Dockerfile:2")
case("config-onbuild-from", "FROM base:1\nONBUILD FROM x\n", fails=r"Dockerfile:2")
case("config-onbuild-runs", "FROM base:onbuild\nENV P=2\n", {"on": "on\n"})
case("config-onbuild-not-inherited", "FROM base:onbuild AS a\nFROM a\nENV Q=1\n", {"on": "on\n"})
case("config-onbuild-missing-file", "FROM base:onbuild\n", {"off": "x"}, fails=r"\bon\b")
case("config-labels-by-option", "FROM base:1\nLABEL a=1 b=2\n", words=["--label", "b=3", "--label", "c=x y"])

case("workdir-forms", "FROM base:1\nWORKDIR /w\nWORKDIR rel\nWORKDIR ../up\nWORKDIR /a//b/./c/\nRUN pwd > /o\n",
     differs={"docker": "later releases tidy the path", "buildah": "does not tidy the path"},
     want=['base 3', 'layers 5', 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]', 'config WorkingDir "/a/b/c"', 'dir /a 755 0:0', 'dir /a/b 755 0:0',
           'dir /a/b/c 755 0:0', 'file /o 644 0:0 "/a/b/c\\n"', 'dir /w 755 0:0', 'dir /w/rel 755 0:0', 'dir /w/up 755 0:0'])
case("workdir-is-made", "FROM base:1\nWORKDIR /deep/er/still\n")
case("workdir-exists", "FROM base:1\nWORKDIR /data/dir\n",
     differs={"docker": "makes a layer of a WORKDIR that is there"})
case("workdir-of-base", "FROM base:workdir\nRUN pwd > /o\nWORKDIR x\n")
case("workdir-relative-first", "FROM base:1\nWORKDIR rel\n")
case("workdir-with-user", "FROM base:1\nUSER app\nWORKDIR /home/app/w\nRUN touch mine\n")
case("workdir-through-link", "FROM base:1\nWORKDIR /linkdir/new\nRUN pwd > /o\n")
case("workdir-is-a-file", "FROM base:1\nWORKDIR /data/file\n", fails=r"data/file|folder|director",
     differs={"buildah": "does not look"})
case("workdir-spaces", "FROM base:1\nWORKDIR /with space\nRUN pwd > /o\n")
case("workdir-scratch", "FROM scratch\nWORKDIR /w\n")
