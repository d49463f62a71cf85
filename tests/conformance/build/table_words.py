"""The text: variables, quotes, lines, directives."""
from form import case

OLD_FORMS = {"docker": "${v-w}, ${v+w} and ${v?w} came later", "buildah": "no ${v-w}, ${v+w}, ${v?w}"}
PLAIN = ["base 3", "layers 0", 'config Cmd ["/bin/sh"]', 'config Env ["PATH=/bin:/usr/bin"]']

case("env-forms", "FROM base:1\nENV A=1 B=\"two words\" C=three\\ words D='single $A' E=$A F=\"$A\" G=\\$A\nENV old form with  blanks\nENV H=\n")
case("env-sees-the-line-before", "FROM base:1\nENV a=hello\nENV a=bye b=$a\nENV c=$a\n")
case("env-quotes-inside", "FROM base:1\nENV A=a\"b c\"d B='it'\"'\"'s' C=\"q \\\" q\" D=\"back\\\\slash\" E=\"\\n\" F=\\n\n")
case("env-defaults", "FROM base:1\nENV S=set E=\nENV A=${S:-x} B=${E:-x} C=${N:-x} H=${N:-} I=${N:-$S} J=${N:-a${S}b} K=${N:-${M:-deep}}\n")
case("env-alternates", "FROM base:1\nENV S=set E=\nENV A=${S:+x} B=${E:+x} C=${N:+x} H=${S:+<${S}>}\n")
case("env-without-colon", "FROM base:1\nENV S=set E=\nENV A=${S-x} B=${E-x} C=${N-x} D=${S+x} F=${E+x} G=${N+x}\n", lacks=OLD_FORMS,
     want=PLAIN[:3] + ['config Env ["PATH=/bin:/usr/bin", "S=set", "E=", "A=set", "B=", "C=x", "D=x", "F=x", "G="]'])
case("env-required", "FROM base:1\nENV S=set\nENV A=${S:?must} B=b${S:?must}\n", lacks={"buildah": "no ${v:?word}"})
case("env-required-set", "FROM base:1\nENV E=\nENV B=b${E?must}\n", lacks=OLD_FORMS, want=PLAIN[:3] + ['config Env ["PATH=/bin:/usr/bin", "E=", "B=b"]'])
case("env-required-missing", "FROM base:1\nENV A=\"${NO:?must be given}\"\n", fails=r"must be given")
case("env-required-empty", "FROM base:1\nENV E=\nENV A=\"${E:?must not be empty}\"\n", fails=r"must not be empty")
case("env-patterns", "FROM base:1\nENV V=a/b/c.tar.gz\nENV A=${V#*/} B=${V##*/} C=${V%.*} D=${V%%.*} E=${V/b/X} F=${V//\\//-} G=${V#nope} H=${V%?z}\n",
     lacks={"docker": "no patterns in variables", "buildah": "no patterns in variables"},
     want=['base 3', 'layers 0', 'config Cmd ["/bin/sh"]',
           'config Env ["PATH=/bin:/usr/bin", "V=a/b/c.tar.gz", "A=b/c.tar.gz", "B=c.tar.gz", "C=a/b/c.tar", "D=a/b/c", "E=a/X/c.tar.gz", "F=a-b-c.tar.gz", '
           '"G=a/b/c.tar.gz", "H=a/b/c.tar."]'])
case("env-odd-names", "FROM base:1\nENV a_b1=x A.B=y\nENV C=$a_b1 D=$a_b1x E=${a_b1}x F=$ G=$1 H=$?x I=$$\n",
     differs={"buildah": "keeps $? and $$"})
case("env-bad-substitution", "FROM base:1\nENV A=${B\n", fails=r"Dockerfile:2")
case("env-empty-name", "FROM base:1\nENV =x\n", fails=r"Dockerfile:2",
     differs={"buildah": "takes it"})
case("env-one-word", "FROM base:1\nENV A\n", fails=r"Dockerfile:2")
case("env-in-path", "FROM base:1\nENV PATH=/x:$PATH\nENV PATH=$PATH:/y\nRUN echo $PATH > /p\n")
case("arg-default-and-given", "FROM base:1\nARG A=one\nARG B=two\nARG C\nENV X=$A Y=$B Z=$C W=${C:-none}\nRUN echo $A $B $C > /o\n", args={"B": "given"})
case("arg-several", "FROM base:1\nARG A=1 B=2 C\nENV X=$A$B$C\n", args={"C": "3"}, lacks={"buildah": "one name in a line only"})
case("arg-env-wins", "FROM base:1\nARG A=arg\nENV A=env\nRUN echo $A > /o\nARG A=again\nENV B=$A\n", args={"A": "given"},
     differs={"docker": "an ARG below takes over, against its documents"})
case("arg-not-before-its-line", "FROM base:1\nENV X=${A:-unset}\nARG A=1\nENV Y=$A\n", args={"A": "given"})
case("arg-global", "ARG TAG=1\nARG UNUSED=x\nFROM base:$TAG\nENV A=${TAG:-hidden}\nARG TAG\nENV B=$TAG\n")
case("arg-global-given", "ARG TAG=nope\nFROM base:$TAG\nARG TAG\nENV B=$TAG\n", args={"TAG": "rich"})
case("arg-global-default-of-stage", "ARG V=global\nFROM base:1\nARG V=stage\nENV A=$V\n")
case("arg-in-arg", "ARG A=1\nARG B=x$A\nFROM base:1\nARG B\nARG C=${B}y\nENV D=$C\n")
case("arg-empty-from", "ARG NAME\nFROM $NAME\n", fails=r"Dockerfile:2")
case("arg-undeclared", "FROM base:1\nENV A=${X:-no}\n", args={"X": "given"})
case("arg-proxy", "FROM base:1\nRUN echo \"$http_proxy\" > /o\n", args={"http_proxy": "http://127.0.0.1:1"})
case("arg-platform", "FROM --platform=$BUILDPLATFORM base:1\nARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETARCH\nARG BUILDPLATFORM\n"
     "ENV A=$TARGETPLATFORM B=$TARGETOS-$TARGETARCH C=$BUILDPLATFORM\n")
case("variables-everywhere", "FROM base:1\nARG p=/v\nENV n=80 s=SIGTERM u=www\nWORKDIR $p/w\nCOPY $n $p/c\nADD ${n} $p/a\nVOLUME $p/vol\nEXPOSE $n\nSTOPSIGNAL $s\n"
     "LABEL k$n=v$n\nUSER $u\n", {"80": "eighty\n"})
case("variables-nowhere", "FROM base:1\nENV v=1\nCMD [\"echo\", \"$v\"]\nENTRYPOINT echo $v\nRUN echo '$v' > /o\n")

case("lines-continued", "FROM base:1\nENV A=1 \\\n    B=2 \\  \n    C=3\nRUN echo a \\\n  b \\\n# a comment\n  c > /o\n")
case("lines-comments", "# first\n\n   # indented\nFROM base:1\n# between\nRUN echo '# not one' > /o # the shell's\nENV A=#x B=1#2\nLABEL a=#b c=\"# d\"\n")
case("lines-empty-in-continuation", "FROM base:1\nRUN echo a \\\n\n  b > /o\n")
case("lines-crlf", b"FROM base:1\r\nENV A=1 \\\r\n  B=2\r\nRUN echo x > /o\r\nCOPY a /a\r\n", {"a": "a\n"})
case("lines-bom", b"\xef\xbb\xbfFROM base:1\nENV A=1\n")
case("lines-no-newline-at-end", "FROM base:1\nENV A=1")
case("lines-case", "from base:1 AS x\nenv A=1\nRun echo $A > /o\nFROM x\ncopy --from=x /o /p\n")
case("lines-indented", "   FROM base:1\n\tENV A=1\n  RUN echo \\\n\t\tx > /o\n")
case("escape-backquote", "# escape=`\nFROM base:1\nENV A=a`\n  B=c:\\dir\\x C=`$A D=\"`\"\"\nRUN echo a `\n  b > /o\nCOPY a `\n  /x\n", {"a": "a\n"},
     differs={"buildah": "cannot escape a quote by a backquote"})
case("escape-bad", "# escape=x\nFROM base:1\n", fails=r"Dockerfile:1|escape")
case("directive-too-late", "# a comment\n# escape=`\nFROM base:1\nENV A=1 \\\n  B=2\n")
case("directive-unknown", "# nothing=1\n# escape=`\nFROM base:1\nENV A=1 \\\n  B=2\n")
case("directive-twice", "# escape=\\\n# escape=`\nFROM base:1\n", fails=r"Dockerfile:2|escape|twice|directive")
case("unknown-instruction", "FROM base:1\nRUM echo\n", fails=r"Dockerfile:2.*RUM|RUN")
case("no-from", "RUN true\n", fails=r"Dockerfile:1|FROM")
case("empty-file", "# nothing\n", fails=r"instruction|empty")
case("unknown-flag", "FROM base:1\nCOPY --form=x a /x\n", {"a": "a"}, fails=r"Dockerfile:2.*form")
case("copy-one-word", "FROM base:1\nCOPY a\n", {"a": "a"}, fails=r"Dockerfile:2")
case("from-four-words", "FROM base:1 AS x y\n", fails=r"Dockerfile:1")
case("label-forms", "FROM base:1\nLABEL a=1 b=\"two words\" \"c d\"=e 'f'=g h=\\\"i\\\"\nLABEL old style label\nLABEL a=2 multi=\"x\\\ny\" empty=\n")
case("label-of-base", "FROM base:rich\nLABEL l=2 new=3\n")
