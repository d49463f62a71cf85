"""Five builds as people have them, on a Debian that mmdebstrap makes: C copied to scratch, a Python service, nginx with a
configuration, a Node program, and twelve stages of which some are not needed.  Each is built, run and used, and built
again from the cache with the same image ID.

Takes minutes and Debian's packages, so it runs with BULKHEAD_TEST_REAL=1 alone; BULKHEAD_TEST_DEBIAN names a tar made
before (mmdebstrap --variant=minbase --include=PACKAGES bookworm FILE).
"""
import json, os, shutil, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import case, has, inspect, lacks, out, run, same, until  # noqa: E402

PACKAGES = "gcc,libc6-dev,make,python3-minimal,libpython3-stdlib,nginx-light,nodejs"
BASE = "debian:real"


def base_tar(folder):
    made = os.environ.get("BULKHEAD_TEST_DEBIAN")
    if made:
        return made
    path = os.path.join(folder, "debian.tar")
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", path], check=True)
    return path


def setup(e):
    out(e, "import", base_tar(e.folder), BASE)


def build(e, name, files):
    """Builds it, and again: (the image's ID, what the first build said)."""
    folder = os.path.join(e.folder, name)
    for path, text in files.items():
        at = os.path.join(folder, path)
        os.makedirs(os.path.dirname(at), exist_ok=True)
        with open(at, "w") as f:
            f.write(text)
    done = e.cli("build", "--progress", "plain", "-t", f"real/{name}", folder)
    first = inspect(e, f"real/{name}")["Id"]
    start = time.monotonic()
    again = out(e, "build", "-q", "-t", f"real/{name}", folder).strip()
    same(again, first)
    assert time.monotonic() - start < 5, "nothing has changed, and the build takes more than five seconds"
    return first, done.stdout + done.stderr


def fetch(e, container, url):
    """Inside of the container, which has no network but its own loopback."""
    program = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=5).read().decode(), end='')"
    done = e.cli("exec", container, "python3", "-c", program, check=False)
    return done.stdout if done.returncode == 0 else None


@case("a C program is built in one stage and copied to scratch")
def _(e):
    build(e, "c", {
        "Dockerfile": f"""FROM {BASE} AS build
WORKDIR /src
COPY Makefile *.c *.h ./
ARG VERSION=1.2
RUN make CFLAGS="-O2 -Wall -Werror -DVERSION='\\"$VERSION\\"'" LDFLAGS=-static && strip hello

FROM scratch
COPY --from=build /src/hello /hello
ENTRYPOINT ["/hello"]
CMD ["world"]
""",
        "Makefile": "hello: main.o greet.o\n\t$(CC) $(LDFLAGS) -o $@ $^\nmain.o greet.o: greet.h\n",
        "greet.h": "void greet(const char *whom);\n",
        "greet.c": '#include "greet.h"\n#include <stdio.h>\nvoid greet(const char *whom) { printf("hello, %s, from " VERSION "\\n", whom); }\n',
        "main.c": '#include "greet.h"\nint main(int n, char **v) { for (int i = 1; i < n; i++) greet(v[i]); return n < 2; }\n'})
    same(out(e, "run", "--rm", "real/c"), "hello, world, from 1.2\n")
    same(out(e, "run", "--rm", "real/c", "a", "b"), "hello, a, from 1.2\nhello, b, from 1.2\n")
    image = inspect(e, "real/c")
    same(len(image["RootFS"]["Layers"]), 1)
    assert image["Size"] < 2_000_000, f"{image['Size']} bytes: more than the program was taken along"
    folder = os.path.join(e.folder, "c")
    out(e, "build", "-q", "--build-arg", "VERSION=2", "-t", "real/c2", folder)
    same(out(e, "run", "--rm", "real/c2"), "hello, world, from 2\n")


@case("a Python service answers as its user")
def _(e):
    build(e, "python", {
        "Dockerfile": f"""# syntax=docker/dockerfile:1
FROM {BASE}
ENV PYTHONDONTWRITEBYTECODE=1 \\
    PORT=8000
WORKDIR /srv/app
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache test -s requirements.txt
COPY --chown=www-data:www-data service ./service
RUN <<E
set -e
python3 -c 'import service'
E
USER www-data
EXPOSE $PORT
HEALTHCHECK --interval=5s CMD ["python3", "-c", "import service"]
CMD ["python3", "-m", "service"]
""",
        "requirements.txt": "# nothing but the standard library\n",
        "service/__init__.py": "NAME = 'service'\n",
        "service/__main__.py": """import http.server, json, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"path": self.path, "uid": os.getuid(), "cwd": os.getcwd()}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
"""})
    config = inspect(e, "real/python")["Config"]
    same((config["User"], config["ExposedPorts"], config["WorkingDir"]), ("www-data", {"8000/tcp": {}}, "/srv/app"))
    out(e, "run", "-d", "--name", "service", "--network", "none", "real/python")
    answer = until("the service answers", lambda: fetch(e, "service", "http://127.0.0.1:8000/x?y=1"), 30)
    same(json.loads(answer), {"path": "/x?y=1", "uid": 33, "cwd": "/srv/app"})
    out(e, "rm", "-f", "service")


@case("nginx serves what was copied, by the configuration that was copied")
def _(e):
    build(e, "nginx", {
        "Dockerfile": f"""FROM {BASE}
RUN rm -rf /etc/nginx/sites-enabled/* /var/www/html/*
COPY nginx.conf /etc/nginx/
COPY --chmod=u=rwX,go=rX site/ /var/www/html/
RUN nginx -t && ln -sf /dev/stderr /var/log/nginx/error.log
STOPSIGNAL SIGQUIT
EXPOSE 8080
CMD ["nginx", "-g", "daemon off;"]
""",
        "nginx.conf": """error_log stderr; pid /run/nginx.pid; user www-data;
events { worker_connections 64; }
http {
  access_log off;
  server { listen 127.0.0.1:8080; root /var/www/html; location = /made { default_type text/plain; return 200 "by nginx\\n"; } }
}
""",
        "site/index.html": "<h1>built</h1>\n", "site/deep/page.html": "deep\n", ".dockerignore": "**/*.bak\n", "site/x.bak": "no\n"})
    out(e, "run", "-d", "--name", "web", "--network", "none", "real/nginx")
    same(until("nginx answers", lambda: fetch(e, "web", "http://127.0.0.1:8080/"), 30), "<h1>built</h1>\n")
    same(fetch(e, "web", "http://127.0.0.1:8080/deep/page.html"), "deep\n")
    same(fetch(e, "web", "http://127.0.0.1:8080/made"), "by nginx\n")
    same(fetch(e, "web", "http://127.0.0.1:8080/x.bak"), None)
    out(e, "stop", "web")
    same(inspect(e, "web")["State"]["ExitCode"], 0)
    out(e, "rm", "web")


@case("a Node program is tested in one stage and runs in another")
def _(e):
    _, said = build(e, "node", {
        "Dockerfile": f"""ARG BASE={BASE}
FROM $BASE AS deps
WORKDIR /app
COPY package.json ./
COPY vendor ./node_modules

FROM deps AS test
COPY . .
RUN node test.js > report.txt

FROM $BASE
WORKDIR /app
ENV NODE_ENV=production
COPY --from=deps /app/node_modules ./node_modules
COPY --from=test /app/report.txt /app/
COPY package.json index.js ./
ENTRYPOINT ["node", "index.js"]
""",
        "package.json": '{"name": "app", "version": "3.0.0", "main": "index.js"}\n',
        "vendor/left/package.json": '{"name": "left", "version": "1.0.0", "main": "left.js"}\n',
        "vendor/left/left.js": "module.exports = (s, n) => String(s).padStart(n);\n",
        "index.js": "const left = require('left');\nconst {version} = require('./package.json');\nconsole.log(left(process.argv[2] || version, 8), process.env.NODE_ENV);\n",
        "test.js": "const assert = require('assert');\nassert.strictEqual(require('left')(1, 3), '  1');\nconsole.log('passed', process.version);\n"})
    has(said, r"\[test ")
    same(out(e, "run", "--rm", "real/node"), "   3.0.0 production\n")
    same(out(e, "run", "--rm", "real/node", "x"), "       x production\n")
    has(out(e, "run", "--rm", "--entrypoint", "cat", "real/node", "report.txt"), r"^passed v\d+")


@case("twelve stages: those that are not needed are not built")
def _(e):
    stages = [f"FROM {BASE} AS base\nRUN echo base > /base\n", "FROM base AS a\nRUN echo a > /a\n", "FROM base AS b\nRUN echo b > /b\n",
              "FROM base AS unused1\nRUN echo wrong; exit 1\n", "FROM a AS c\nRUN cat /a /base > /c\n", "FROM b AS d\nCOPY --from=a /a /from-a\nRUN cat /b /from-a > /d\n",
              "FROM nowhere.invalid/none:1 AS unused2\nCOPY no-such-file /\n", "FROM unused1 AS unused3\nRUN exit 2\n", "FROM scratch AS files\nCOPY --from=c /c /\nCOPY --from=d /d /\n",
              "FROM base AS tests\nCOPY --from=files / /t/\nRUN test -s /t/c && touch /ok\n", "FROM base AS unused4\nRUN sleep 1000\n",
              "FROM base\nCOPY --from=files /c /d /result/\nCOPY --from=tests /ok /\nCMD [\"cat\", \"/result/c\", \"/result/d\"]\n"]
    same(len(stages), 12)
    _, said = build(e, "twelve", {"Dockerfile": "\n".join(stages)})
    lacks(said, "unused")
    same(out(e, "run", "--rm", "real/twelve"), "a\nbase\nb\na\n")
    folder = os.path.join(e.folder, "twelve")
    failed = e.cli("build", "--target", "unused3", "-t", "real/none", folder, check=False)
    same(failed.returncode, 1)
    has(failed.stderr, r"exit code: 1")
    out(e, "build", "-q", "--target", "d", "-t", "real/d", folder)
    same(out(e, "run", "--rm", "real/d", "cat", "/d"), "b\na\n")


if __name__ == "__main__":
    if os.environ.get("BULKHEAD_TEST_REAL") != "1":
        print("BULKHEAD_TEST_REAL is not 1, skipped", file=sys.stderr)
        sys.exit(77)
    if not shutil.which("mmdebstrap") and not os.environ.get("BULKHEAD_TEST_DEBIAN"):
        print("mmdebstrap is not installed, skipped", file=sys.stderr)
        sys.exit(77)
    run(setup)
