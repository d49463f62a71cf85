"""Rows of compare.py that build: cold, from the cache, one changed file, six stages side by side.

docker is measured with both of its builders, and podman beside buildah (whose containers are but a chroot).  No RUN
has a network.
"""
import shutil

import data
import sides

ROWS = ("cold", "cached", "changed", "stages")
TAG = "bench/built:1"

TEN = """FROM {base}
ENV MODE=release LANG=C
WORKDIR /app
COPY early /app/early
COPY src /app/src
RUN find src -type f | wc -l > files
RUN cat src/d1/*.c > one.txt
RUN mkdir out && cp src/d2/*.c out/
COPY late /app/late
RUN cat early/one late/one > both
"""

SIX = "".join(f"""FROM {{base}} AS s{i}
RUN i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; echo {i} > /made{i}
""" for i in range(5)) + "FROM {base}\n" + "".join(f"COPY --from=s{i} /made{i} /\n" for i in range(5))


def must(right, what):
    if not right:
        raise SystemExit(f"wrong result: {what}")


class Builds:
    def __init__(self, b, part):
        self.b, self.sides, self.count = b, part, 0
        self.context = data.build_context(b.folder / "context")
        self.small = b.folder / "context-small"
        self.small.mkdir()
        for s in part:
            for folder, text in ((self.context, TEN), (self.small, SIX)):
                (folder / f"Dockerfile.{s.name}").write_text(text.format(base=s.ref(data.BUSYBOX)))
            for folder in (self.context, self.small):
                (folder / ".dockerignore").write_text("Dockerfile*\n.dockerignore\n")

    def build(self, folder, *words):
        return lambda s: s.build(folder, s.ref(TAG), "-f", str(folder / f"Dockerfile.{s.name}"), *words)

    def nothing(self, s):
        s.cli("rmi", "-f", s.ref(TAG), check=False)
        s.forget_builds()

    def change(self, folder):
        def act(_):
            self.count += 1
            (self.context / folder / "one").write_text(str(self.count))
        return act

    def says(self, path, text):
        def check(s, _):
            if isinstance(s, sides.Buildah):
                return
            got = s.ask("run", "--rm", *s.run_flags, s.ref(TAG), "cat", path)
            must(got == text(), f"{s.name}: {path} of what was built is {got!r}")
        return check

    def run(self):
        whole, heavy = self.build(self.context), self.b.opt.heavy
        if self.b.wanted("cold"):
            self.b.compare("build, cold", whole, heavy, 90, None, self.nothing, self.says("/app/files", lambda: "5000"), self.sides)
            self.b.peaks("peak PSS, build", self.sides, self.nothing, whole)
        for s in self.sides:
            whole(s)
        if self.b.wanted("cached"):
            self.b.compare("build, all cached", whole, self.b.opt.runs, 45, None, None, None, self.sides)
        if self.b.wanted("changed"):
            for folder, what in (("late", "2 steps"), ("early", "6 steps")):  # that have to be done again
                self.b.compare(f"build, 1 new, {what}", whole, heavy, 45, None, self.change(folder),
                               self.says(f"/app/{folder}/one", lambda: str(self.count)), self.sides)
        if self.b.wanted("stages"):
            self.b.compare("build, 6 stages", self.build(self.small), heavy, 60, None, self.nothing, self.says("/made4", lambda: "4"), self.sides)


def run(b, start):
    part = []
    for s in b.sides:
        part.append(s)
        if isinstance(s, sides.Docker):
            part.append(sides.BuildKit(s))
    if shutil.which("buildah") and "buildah" not in b.opt.without:
        buildah = start(sides.Buildah)
        buildah.cli("pull", "-q", f"docker-archive:{b.folder / 'bb.tar'}")
        part.append(buildah)
    Builds(b, part).run()
