"""Registries and the administrator's rules for them: TLS, certificates, mirrors, policy, tokens, lists of tags, searches.

The registries are small servers of this file, each with its own origin, that write down every request; where a real one
is needed, docker-registry.  Everything is on the loopback.
"""
import base64, fcntl, hashlib, http.server, io, json, os, re, select, shutil, signal, socket, ssl, subprocess, sys, tarfile, termios, threading, time, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from calls import CallError, as_room  # noqa: E402
from cases import Skip, case, ends, fails, has, lacks, out, run, same, until  # noqa: E402
from dockerregistry import DockerRegistry, bcrypt  # noqa: E402

SECRET = "pa55-of-ann"
BASIC = "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()
IMAGE = mk.Image([mk.tar_of([("hello", b"hello\n", 0o644)])], created="2024-01-01T00:00:00Z")
CONFIG = """[registry]
registries_conf = "%(dir)s/registries.conf"
certs_dir = "%(dir)s/certs.d"
policy = "%(dir)s/policy.json"
progress_timeout = 2
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        n = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(n) if n else b""
        url = urllib.parse.urlsplit(self.path)
        self.route, self.query = url.path, urllib.parse.parse_qs(url.query)
        self.server.seen.append((self.command, self.path, dict((k.lower(), v) for k, v in self.headers.items()), self.body))
        self.server.answer(self)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = serve


class Mini:
    """A server; answer(handler) says what it does.  tls: (certificate, key) files; clients: CA that clients must have."""

    def __init__(self, answer, tls=None, clients=None):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.server.answer, self.server.seen = answer, []
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if clients:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(clients)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.scheme = "https" if tls else "http"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def seen(self):
        return self.server.seen

    def headers(self, name):
        return [h[name] for _, _, h, _ in self.seen if name in h]


def tags(*names, repo="team/app"):
    def answer(h):
        if h.route == f"/v2/{repo}/tags/list":
            h.reply(200, {"name": repo, "tags": list(names)}, Content_Type="application/json")
        else:
            h.reply(404, {"errors": [{"code": "NAME_UNKNOWN", "message": "no such repository"}]}, Content_Type="application/json")
    return answer


# ---- what the administrator says ----

def rule(**more):
    mirrors = more.pop("mirrors", [])
    lines = ["[[registry]]"] + [f"{k.replace('_', '-')} = {json.dumps(v)}" for k, v in more.items()]
    for mirror in mirrors:
        lines += ["[[registry.mirror]]"] + [f"{k.replace('_', '-')} = {json.dumps(v)}" for k, v in mirror.items()]
    return "\n".join(lines) + "\n"


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fresh = path + ".new"
    with open(fresh, "w") as f:
        os.chmod(fresh, mode)
        f.write(text)
    os.rename(fresh, path)


def reload(e, good=True):
    e.log.clear()
    os.kill(e.process.pid, signal.SIGHUP)
    e.wait_log("registry[", "reloaded" if good else "reload-failed")


def rules(e, text="", policy='{"default":[{"type":"insecureAcceptAnything"}]}', good=True):
    write(f"{DIR}/registries.conf", text)
    write(f"{DIR}/policy.json", policy)
    reload(e, good)


def read(path):
    with open(path) as f:
        return f.read()


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificates(folder):
    os.makedirs(folder)
    for ca in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN=test {ca}",
                "-keyout", f"{folder}/{ca}.key", "-out", f"{folder}/{ca}.crt")
    for name in ("server", "client"):
        write(f"{folder}/{name}.ext", "subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr")
        openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{folder}/{name}.ext", "-out", f"{folder}/{name}.pem")


def served():
    return f"{KEYS}/server.pem", f"{KEYS}/server.key"


def trust(host, ca="ca"):
    write(f"{DIR}/certs.d/{host}/ca.crt", read(f"{KEYS}/{ca}.crt"))


def forget_certs():
    subprocess.run(["rm", "-rf", f"{DIR}/certs.d"], check=True)
    os.makedirs(f"{DIR}/certs.d")


# ---- TLS ----

@case("TLS: an authority of certs.d is trusted for its host, and after a reload; without it the error names the place")
def _(e):
    with Mini(tags("1"), tls=served()) as r, Mini(tags("2"), tls=served()) as other:
        name = f"{r.host}/team/app"
        fails(e, "tags", name, error=rf"tls: .*certificate.*certs\.d/{re.escape(r.host)}/ca\.crt")
        same(r.seen, [])
        trust(r.host)
        reload(e)
        same(out(e, "tags", "-q", name), "1\n")
        fails(e, "tags", f"{other.host}/team/app", error="certificate")
        trust(r.host, "other")
        reload(e)
        fails(e, "tags", name, error="certificate")
        forget_certs()


@case("TLS: insecure = true is for its host alone; --tls-verify=false for root")
def _(e):
    with Mini(tags("1"), tls=served()) as r, Mini(tags("2"), tls=served()) as other:
        rules(e, rule(location=r.host, insecure=True))
        same(out(e, "tags", "-q", f"{r.host}/team/app"), "1\n")
        fails(e, "tags", f"{other.host}/team/app", error="certificate")
        same(out(e, "tags", "-q", "--tls-verify=false", f"{other.host}/team/app"), "2\n")
        fails(e, "tags", f"{other.host}/team/app", error="certificate")  # the connection of before is not found again


@case("TLS: what a mirror is allowed holds for that mirror alone")
def _(e):
    with Mini(lambda h: h.reply(503, retry_after="0"), tls=served()) as lax, Mini(tags("1"), tls=served()) as strict, \
            Mini(tags("main"), tls=served()) as main:
        rules(e, rule(prefix="images.test", location=main.host, mirrors=[{"location": lax.host, "insecure": True}, {"location": strict.host}]))
        done = fails(e, "tags", "--retry", "0", "images.test/team/app", error="certificate")
        assert lax.seen and not strict.seen and not main.seen, (lax.seen, strict.seen, main.seen)
        has(done.stderr, rf"before it were tried: mirror {lax.host}: .*503.*; mirror {strict.host}: .*certificate")


@case("TLS: a client certificate goes to its host; its key is root's alone")
def _(e):
    with Mini(tags("1"), tls=served(), clients=f"{KEYS}/ca.crt") as r:
        trust(r.host)
        reload(e)
        fails(e, "tags", f"{r.host}/team/app", error=r"(?i)certificate|handshake|connection")
        write(f"{DIR}/certs.d/{r.host}/client.cert", read(f"{KEYS}/client.pem"))
        write(f"{DIR}/certs.d/{r.host}/client.key", read(f"{KEYS}/client.key"), 0o600)
        reload(e)
        same(out(e, "tags", "-q", f"{r.host}/team/app"), "1\n")
        os.unlink(f"{DIR}/certs.d/{r.host}/client.key")
        reload(e, good=False)
        has(e.log_text(), "needs NAME.cert and NAME.key")
        forget_certs()
        reload(e)


@case("TLS 1.1 is refused")
def _(e):
    with Mini(tags("1"), tls=served()) as r:
        try:
            r.server.socket.context.minimum_version = ssl.TLSVersion.TLSv1
            r.server.socket.context.maximum_version = ssl.TLSVersion.TLSv1_1
            r.server.socket.context.set_ciphers("ALL:@SECLEVEL=0")
        except (ValueError, ssl.SSLError) as why:
            raise Skip(str(why))
        trust(r.host)
        reload(e)
        fails(e, "tags", f"{r.host}/team/app", error=r"(?i)tls|ssl|version|protocol")
        same(r.seen, [])
        forget_certs()
        reload(e)


def call(calls, method, request):
    return calls.call("registry", method, request)


@case("plain HTTP: on the loopback it is tried; where TLS is asked for the error names the setting")
def _(e):
    with Mini(tags("1")) as r:
        same(out(e, "tags", "-q", f"{r.host}/team/app"), "1\n")
        try:
            as_room(e, "", call, "TagList", {"repository": f"{r.host}/team/app", "remote": {"tls_verify": 1}})
            raise AssertionError("plain HTTP was taken for TLS")
        except CallError as no:
            same(no.reason, "plain-http")
            has(no.message, "server gave HTTP response to HTTPS client")
            has(no.hint, "insecure = true.*registries.conf")


# ---- rules ----

@case("rules: rewriting, the longest prefix, blocked, aliases, the first search registry; a reload holds at once")
def _(e):
    with Mini(tags("deep", repo="base/x")) as a, Mini(tags("wide", repo="pub/y")) as b:
        rules(e, f'unqualified-search-registries = ["{b.host}"]\n' + rule(prefix="big.test", location=b.host + "/pub")
              + rule(prefix="big.test/in", location=a.host + "/base") + rule(prefix="big.test/no", blocked=True)
              + f'[aliases]\n"short" = "{a.host}/base/x"\n')
        same(out(e, "tags", "-q", "big.test/in/x"), "deep\n")
        same(out(e, "tags", "-q", "big.test/y"), "wide\n")
        fails(e, "tags", "big.test/no/x", error='blocked by registries.conf .prefix "big.test/no"')
        same(out(e, "tags", "-q", "short"), "deep\n")
        same(out(e, "tags", "-q", "pub/y"), "wide\n")
        n = len(b.seen)
        rules(e, "[[registry]]\nlocaton = 3\n", good=False)
        has(e.log_text(), r"registries.conf:2: .*localton|registries.conf:2: .*locaton")
        same(out(e, "tags", "-q", "big.test/y"), "wide\n")
        assert len(b.seen) > n
        rules(e)
        fails(e, "tags", "big.test/y", error="big.test")


@case("rules: registries.conf.d goes over the file, in order; tables in one line; a bad file is named and changes nothing")
def _(e):
    with Mini(tags("a", repo="x/app")) as a, Mini(tags("b", repo="y/app")) as b:
        rules(e, f'[[registry]]\nprefix = "one.test"\nblocked = true\n[[registry]]\nprefix = "two.test"\nlocation = "{a.host}/x"\n')
        fails(e, "tags", "one.test/app", error="blocked")
        write(f"{DIR}/registries.conf.d/20-two.conf", f'[aliases]\n"word" = "{b.host}/y/app"\n')
        write(f"{DIR}/registries.conf.d/10-one.conf", f'[aliases]\n"word" = "nowhere.invalid/x"\n[[registry]]\nprefix = "one.test"\n'
              f'mirror = [ {{ location = "{a.host}/none" }}, {{ location = "{b.host}/y", insecure = true }} ]\n')
        write(f"{DIR}/registries.conf.d/30-not.txt", "[[[")
        reload(e)
        same(out(e, "tags", "-q", "one.test/app"), "b\n")
        same(out(e, "tags", "-q", "two.test/app"), "a\n")
        same(out(e, "tags", "-q", "word"), "b\n")
        write(f"{DIR}/registries.conf.d/40-bad.conf", "\nblocked = true\n")
        reload(e, good=False)
        has(e.log_text(), r'registries\.conf\.d/40-bad\.conf:2: .*blocked')
        same(out(e, "tags", "-q", "word"), "b\n")
        subprocess.run(["rm", "-r", f"{DIR}/registries.conf.d"], check=True)
        rules(e)
        fails(e, "tags", "one.test/app", error=r"one\.test")


def asked_repositories(servers):
    """(server, repository) in the order they were asked for manifests; each once."""
    found = []
    for at, path in (entry for entry in ORDER):
        step = (at, path.split("/manifests/")[0]) if "/manifests/" in path else None
        if step and step not in found:
            found.append(step)
    ORDER.clear()
    for server in servers:
        server.seen.clear()
    return found


ORDER = []


@case("rules: skopeo asks the same places in the same order by the same file, or refuses as well")
def _(e):
    if not shutil.which("skopeo"):
        raise Skip("no skopeo here")

    def nothing(number):
        def answer(h):
            ORDER.append((number, h.route))
            if h.route == "/v2/":
                return h.reply(200, {})
            h.reply(404, {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}, Content_Type="application/json")
        return answer
    digest = "sha256:" + "1" * 64
    with Mini(nothing(0)) as a, Mini(nothing(1)) as b, Mini(nothing(2)) as c:
        text = "".join(f'[[registry]]\nlocation = "{s.host}"\ninsecure = true\n' for s in (a, b, c)) + f"""
[[registry]]
prefix = "one.test"
location = "{a.host}/at/a"
insecure = true
mirror = [{{location = "{b.host}/at/b", insecure = true}}, {{ location = "{c.host}", insecure = true }}]
[[registry]]
prefix = "one.test/deep"
location = "{c.host}/deeper"
insecure = true
[[registry]]
prefix = "one.test/deep/no"
location = "one.test/deep/no"
blocked = true
[[registry]]
prefix = "digests.test"
location = "{a.host}"
insecure = true
mirror-by-digest-only = true
[[registry.mirror]]
location = "{b.host}"
insecure = true
[[registry]]
prefix = "*.wild.test"
insecure = true
[[registry.mirror]]
location = "{b.host}/wild"
insecure = true
[[registry]]
prefix = "no.wild.test"
location = "no.wild.test"
blocked = true
"""
        rules(e, text)
        write(f"{e.folder}/registries.conf", text)
        for name in ("one.test/app:1", "one.test/deep/app:1", "one.test/deeper/app:1", "one.test/deep/no/app:1", f"one.test/app@{digest}",
                     "digests.test/app:1", f"digests.test/app@{digest}", "x.wild.test/app:1", "no.wild.test/app:1", f"{a.host}/team/app:1"):
            ours = e.cli("inspect", "--remote", name, check=False)
            places = asked_repositories((a, b, c))
            theirs = subprocess.run(["skopeo", "--registries-conf", f"{e.folder}/registries.conf", "inspect", f"docker://{name}"], capture_output=True, text=True)
            same((name, asked_repositories((a, b, c)), "blocked" in theirs.stderr), (name, places, "blocked" in ours.stderr), theirs)
            assert ours.returncode != 0 and (places or "blocked" in ours.stderr), name
        rules(e)


@case("rules: files that others may write are not read, and change nothing")
def _(e):
    os.chmod(f"{DIR}/policy.json", 0o666)
    e.log.clear()
    os.kill(e.process.pid, signal.SIGHUP)
    e.wait_log("reload-failed", "can be changed by others than root")
    os.chmod(f"{DIR}/policy.json", 0o644)
    reload(e)


@case("policy: reject and what cannot be verified refuse a pull before a byte of it is asked for")
def _(e):
    with Mini(tags("1")) as r:
        accept, reject = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
        signed = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]
        rules(e, "", json.dumps({"default": reject, "transports": {"docker": {f"{r.host}/team": accept, f"{r.host}/team/signed": signed}}}))
        done = ends(e.cli("pull", f"{r.host}/else:1", check=False), 1)
        has(done.stderr, "rejected by policy.json")
        done = ends(e.cli("pull", f"{r.host}/team/signed:1", check=False), 1)
        has(done.stderr, 'asks for "signedBy".*cannot be verified')
        same(r.seen, [])
        done = ends(e.cli("pull", f"{r.host}/team/app:1", check=False), 1)
        assert r.seen
        rules(e)


@case("errors name the places in the order tried, host, port and reason")
def _(e):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{s.getsockname()[1]}"
    with Mini(tags("1")) as r:
        rules(e, rule(prefix="gone.invalid", mirrors=[{"location": dead}, {"location": f"{r.host}/elsewhere"}]))
        done = fails(e, "tags", "gone.invalid/team/app", error="repository does not exist or may require 'docker login'")
        has(done.stderr, rf"also tried: mirror {dead}: .*connect to {dead}: Connection refused; gone\.invalid: .*no such host")
        rules(e)
        fails(e, "tags", f"{dead}/a", error=f"connect to {dead}: Connection refused")
        fails(e, "tags", "no.such.invalid/a", error=r"no\.such\.invalid.*no such host")


# ---- credentials and tokens ----

def token_registry(served_tags, realm, scopes=None):
    """Wants "Bearer good"; the realm is where tokens are."""
    def answer(h):
        if h.headers.get("Authorization") != f"Bearer {TOKEN['value']}":
            h.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}, Content_Type="application/json",
                    WWW_Authenticate=f'Bearer realm="{realm() if callable(realm) else realm}",service="svc",scope="repository:team/app:pull"')
        elif h.route == "/v2/":
            h.reply(200, {})
        else:
            served_tags(h)
    return answer


TOKEN = {"value": "good-1"}


def token_server(h):
    if h.command == "POST":
        form = urllib.parse.parse_qs(h.body.decode())
        ok = form.get("refresh_token") == ["refresh-of-ann"] and form.get("grant_type") == ["refresh_token"]
        return h.reply(200, {"access_token": TOKEN["value"]}) if ok else h.reply(401, {"details": "bad refresh token"})
    if h.headers.get("Authorization") not in (None, BASIC):
        return h.reply(401, {"details": "incorrect username or password"})
    body = {"token": TOKEN["value"], "expires_in": 300}
    if "offline_token" in h.query:
        body["refresh_token"] = "refresh-of-ann"
    return h.reply(200, body)


def basic_registry(user, repo, served="1"):
    """Wants this user's password."""
    def answer(h):
        if h.headers.get("Authorization") != "Basic " + base64.b64encode(f"{user}:pw-{user}".encode()).decode():
            return h.reply(401, {"errors": [{"code": "UNAUTHORIZED"}]}, Content_Type="application/json", WWW_Authenticate='Basic realm="r"')
        tags(served, repo=repo)(h)
    return answer


def users_of(r):
    """Who said who they are."""
    return sorted({base64.b64decode(h.split()[1]).decode() for h in r.headers("authorization")})


@case("credentials: mirrors, aliases, rewritten places and the hub each get those of their own host and path, and no others")
def _(e):
    with Mini(basic_registry("first", "m/team/app", "none")) as first, Mini(basic_registry("second", "team/app")) as second, \
            Mini(basic_registry("home", "team/app")) as home, Mini(basic_registry("deep", "pub/in/app")) as deep:
        rules(e, rule(prefix="images.test", location=home.host, mirrors=[{"location": f"{first.host}/m"}, {"location": second.host}])
              + rule(prefix="docker.io", mirrors=[{"location": second.host}])
              + rule(prefix="hub.test", location="index.docker.io", mirrors=[{"location": f"{deep.host}/pub"}])
              + f'[aliases]\n"short" = "{deep.host}/pub/in/app"\n')
        first.server.answer = lambda h: h.reply(404, {}) if h.headers.get("Authorization") else basic_registry("first", "m/team/app")(h)
        env = {**os.environ, "DOCKER_CONFIG": f"{e.folder}/many"}

        def keep(*names):
            auth = {name: {"auth": base64.b64encode(f"{user}:pw-{user}".encode()).decode()} for name, user in names}
            write(f"{e.folder}/many/config.json", json.dumps({"auths": auth}), 0o600)
        keep((first.host, "first"), (second.host, "second"), (home.host, "home"), (deep.host, "wide"), (f"{deep.host}/pub/in", "deep"),
             ("https://index.docker.io/v1/", "hub"), ("images.test", "name"))
        same(out(e, "tags", "-q", "images.test/team/app", env=env), "1\n")
        same([users_of(r) for r in (first, second, home, deep)], [["first:pw-first"], ["second:pw-second"], [], []])
        second.server.answer = lambda h: h.reply(404, {})
        same(out(e, "tags", "-q", "images.test/team/app", env=env), "1\n")
        same(users_of(home), ["home:pw-home"])
        same(out(e, "tags", "-q", "short", env=env), "1\n")
        same(out(e, "tags", "-q", f"{deep.host}/pub/in/app", env=env), "1\n")
        same(users_of(deep), ["deep:pw-deep"])
        second.server.answer = basic_registry("second", "team/app")
        same(out(e, "tags", "-q", "team/app", env=env), "1\n")  # the hub's login stays with the hub
        same(users_of(second), ["second:pw-second"])
        same(out(e, "tags", "-q", "hub.test/in/app", env=env), "1\n")
        same(users_of(deep), ["deep:pw-deep"])
        for r in (first, second, home, deep):
            r.seen.clear()
        keep(("images.test", "name"), ("docker.io", "hub"))
        fails(e, "tags", "images.test/team/app", env=env, error="denied|unauthorized|login")
        same([users_of(r) for r in (first, second, home)], [[], [], []])  # the name alone is not where it goes
        fails(e, "tags", "--creds", "home:pw-wrong", "images.test/team/app", env=env, error="denied|unauthorized|login")
        same([users_of(r) for r in (first, second, home)], [[], [], ["home:pw-wrong"]])
        rules(e)


@case("credentials: each search registry gets those of its own host, --creds goes to the first alone")
def _(e):
    with Mini(basic_registry("first", "none")) as first, Mini(basic_registry("second", "none")) as second, Mini(basic_registry("third", "team/app")) as third:
        rules(e, f"unqualified-search-registries = {json.dumps([r.host for r in (first, second, third)])}\n")
        env = {**os.environ, "DOCKER_CONFIG": f"{e.folder}/each"}
        keep = [(first, "first"), (third, "third")]
        write(f"{e.folder}/each/config.json", json.dumps(
            {"auths": {r.host: {"auth": base64.b64encode(f"{user}:pw-{user}".encode()).decode()} for r, user in keep}}), 0o600)
        same(out(e, "tags", "-q", "team/app", env=env), "1\n")
        same([users_of(r) for r in (first, second, third)], [["first:pw-first"], [], ["third:pw-third"]])
        for r in (first, second, third):
            r.seen.clear()
        same(out(e, "tags", "-q", "--creds", "me:pw-mine", "team/app", env=env), "1\n")
        same([users_of(r) for r in (first, second, third)], [["me:pw-mine"], [], ["third:pw-third"]])
        same(as_room(e, "", ask_meanings, 0, "team/app", first.host + "/team/app"), [[0, 1, 2], [0]])
        same(as_room(e, "", ask_meanings, 1, "team/app"), [[0]])  # a push goes to the first
        same(as_room(e, "", ask_meanings, 4, "word"), [[0, 1, 2]])
        rules(e, f"unqualified-search-registries = {json.dumps([first.host, third.host])}\n" + rule(location=first.host, blocked=True))
        first.seen.clear()
        same(out(e, "tags", "-q", "team/app", env=env), "1\n")  # blocked: never asked, and no end of the search
        same(first.seen, [])
        fails(e, "tags", f"{first.host}/team/app", env=env, error="blocked by registries.conf")
        fails(e, "tags", "nosuch", env=env, error=f"tried 2 registries: {first.host}/nosuch: the registry is blocked.*; pull access denied for {third.host}/nosuch")
        rules(e)


def ask_meanings(calls, use, *names):
    reply = calls.call("registry", "Resolve", {"reference": list(names), "use": use})
    return [[p.get("meaning", 0) for p in r.get("place", [])] for r in reply["reference"]]


def ask_places(calls, use, *names):
    reply = calls.call("registry", "Resolve", {"reference": list(names), "use": use})
    return [[(p["name"], p.get("mirror", False)) for p in r.get("place", [])] for r in reply["reference"]]


@case("resolve: what a call will be sent to, without a connection; what is refused has no places")
def _(e):
    rules(e, rule(prefix="a.test/team", location="b.test/x", mirrors=[{"location": "m.test"}]) + rule(prefix="no.test", blocked=True)
          + rule(prefix="hub.test", location="registry-1.docker.io") + '[aliases]\n"short" = "a.test/team/app"\n')
    full = [("m.test/app", True), ("b.test/x/app", False)]
    same(as_room(e, "", ask_places, 0, "a.test/team/app:1", "short", "no.test/x", "NO", "debian", "hub.test/me/app"),
         [full, full, [], [], [("docker.io/library/debian", False)], [("docker.io/me/app", False)]])
    same(as_room(e, "", ask_places, 1, "short"), [full[1:]])
    same(as_room(e, "", ask_places, 3, "short"), [full])
    same(as_room(e, "", ask_places, 4, "debian", "a.test/word"), [[("docker.io", False)], [("a.test", False)]])
    rules(e)


@case("tokens: anonymous, one for several calls, a new one when it is refused, another for a credential")
def _(e):
    with Mini(token_server) as t, Mini(token_registry(tags("1"), f"http://{t.host}/token")) as r:
        name = f"{r.host}/team/app"
        for _ in range(3):
            same(out(e, "tags", "-q", name), "1\n")
        same([(p, h.get("authorization")) for _, p, h, _ in t.seen], [("/token?service=svc&scope=repository%3Ateam%2Fapp%3Apull", None)])
        TOKEN["value"] = "good-2"  # the old one is worth nothing now
        same(out(e, "tags", "-q", name), "1\n")
        same(len(t.seen), 2)
        same(out(e, "tags", "-q", "--creds", f"ann:{SECRET}", name), "1\n")
        same(t.seen[2][2].get("authorization"), BASIC)
        has(t.seen[2][1], "account=ann")
        fails(e, "tags", "--creds", "ann:wrong", name, error="incorrect username or password")
        assert BASIC not in r.headers("authorization"), "the password reached the registry itself"


@case("login: the identity token is kept in place of the password, and used")
def _(e):
    config = f"{e.folder}/cli"
    with Mini(token_server) as t, Mini(token_registry(tags("1"), f"http://{t.host}/token")) as r:
        done = e.cli("--config", config, "login", "-u", "ann", "--password-stdin", r.host, input=SECRET, check=False)
        ends(done, 0)
        has(done.stdout, "^Login Succeeded$")
        entry = json.loads(read(f"{config}/config.json"))["auths"][r.host]
        same(entry.get("identitytoken"), "refresh-of-ann")
        lacks(read(f"{config}/config.json"), SECRET)
        same(out(e, "--config", config, "tags", "-q", f"{r.host}/team/app"), "1\n")
        same(t.seen[-1][0], "POST")
        done = ends(e.cli("--config", config, "login", "-u", "ann", "--password-stdin", r.host, input="wrong", check=False), 1)
        has(done.stderr, "incorrect username or password")


@case("a realm is not followed to plain HTTP, other schemes, users in it, nor its redirects with the password")
def _(e):
    with Mini(lambda h: h.reply(200, {"token": "stolen"})) as thief, Mini(token_server) as t:
        where = {}
        with Mini(token_registry(tags("1"), lambda: where["realm"]), tls=served()) as r:
            trust(r.host)
            reload(e)
            name, creds = f"{r.host}/team/app", ("--creds", f"ann:{SECRET}")
            for realm in (f"http://{t.host}/token", "file:///etc/passwd", f"https://ann:x@{t.host}/", "gopher://127.0.0.1/", "nonsense", ""):
                where["realm"] = realm
                fails(e, "tags", *creds, name)
            same(t.seen, [])
            same([h for h in r.headers("authorization")], [])
            forget_certs()
            reload(e)
        with Mini(lambda h: h.reply(307, Location=f"http://{thief.host}/steal")) as bouncer, \
                Mini(token_registry(tags("1"), lambda: f"http://{bouncer.host}/token")) as r:
            fails(e, "tags", *creds, f"{r.host}/team/app")
            assert thief.seen, "the redirect was not followed"
            same(thief.headers("authorization"), [])


@case("answers of a token server: too long, no JSON, no token, a line break, 429, a slow one")
def _(e):
    bad = {"long": (200, b'{"token":"' + b"a" * 200000 + b'"}'), "text": (200, b"<html>"), "none": (200, {"expires_in": 5}),
           "break": (200, {"token": "a\r\nX-Evil: 1"}), "number": (200, {"token": 3}), "busy": (429, {"details": "later"}), "broken": (500, b"")}
    for kind, (status, body) in bad.items():
        with Mini(lambda h: h.reply(status, body)) as t, Mini(token_registry(tags("1"), f"http://{t.host}/token")) as r:
            fails(e, "tags", "--retry", "0", f"{r.host}/team/app", error="token")
            assert all("x-evil" not in h for _, _, h, _ in r.seen), kind
    with Mini(lambda h: time.sleep(8)) as t, Mini(token_registry(tags("1"), f"http://{t.host}/token")) as r:
        begin = time.monotonic()
        fails(e, "tags", "--retry", "0", f"{r.host}/team/app", error="in time")
        assert time.monotonic() - begin < 6


@case("redirects: the authorization stays behind, also on the way back; too many, circles and other schemes end")
def _(e):
    def bounce(target):
        return lambda h: h.reply(401, WWW_Authenticate='Basic realm="x"') if not h.headers.get("Authorization") else h.reply(307, Location=target())
    creds = ("--creds", f"ann:{SECRET}")
    places = {}
    with Mini(lambda h: h.reply(307, Location=f"http://{places['a']}/back")) as b, Mini(
            lambda h: tags("1", repo="x")(h) if h.route == "/back" else bounce(lambda: f"http://{b.host}/over")(h)) as a:
        places["a"] = a.host
        fails(e, "tags", *creds, f"{a.host}/team/app")
        back = [h for _, p, h, _ in a.seen if p == "/back"]
        assert b.seen and back, (a.seen, b.seen)
        same(b.headers("authorization"), [])
        same([h for h in back if "authorization" in h], [])
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "", "http://127.0.0.1:0/", "//"):
        with Mini(bounce(lambda: target)) as r:
            fails(e, "tags", *creds, f"{r.host}/team/app", error="redirect|Location|address")
    with Mini(lambda h: h.reply(302, Location=h.path)) as r:
        fails(e, "tags", f"{r.host}/team/app", error="redirect")
        same(len(r.seen), 11)
    with Mini(lambda h: h.reply(200, {"tags": ["stolen"]})) as plain, Mini(lambda h: h.reply(302, Location=f"http://{plain.host}/")
                                                                            , tls=served()) as r:
        trust(r.host)
        reload(e)
        fails(e, "tags", f"{r.host}/team/app", error="https to http")
        same(plain.seen, [])
        forget_certs()
        reload(e)


# ---- what may pass is tried again, what does not end is ended ----

@case("tried again: 503 and 429 with Retry-After, lost connections; given up: 400, and a wish of a day")
def _(e):
    def flaky(times, status, **headers):
        left = [times]

        def answer(h):
            left[0] -= 1
            if left[0] < 0:
                return tags("1")(h)
            if status == 0:
                h.close_connection = True
                return h.connection.shutdown(socket.SHUT_RDWR)
            return h.reply(status, **headers)
        return answer
    for times, status, headers in ((2, 503, {}), (1, 429, {"Retry_After": "1"}), (2, 0, {}), (1, 504, {})):
        with Mini(flaky(times, status, **headers)) as r:
            same(out(e, "tags", "-q", f"{r.host}/team/app"), "1\n")
            assert len(r.seen) >= times + 1, (status, len(r.seen))
    with Mini(flaky(99, 429, Retry_After="86400")) as r:
        fails(e, "tags", f"{r.host}/team/app", error="toomanyrequests.*86400 seconds")
        same(len(r.seen), 1)
    with Mini(flaky(99, 400)) as r:
        fails(e, "tags", f"{r.host}/team/app", error="400")
        same(len(r.seen), 1)
    with Mini(flaky(99, 503)) as r:
        fails(e, "tags", "--retry", "3", f"{r.host}/team/app", error="503")
        assert len(r.seen) <= 3, len(r.seen)


def raw(send, tls_answer=b"HTTP/1.1 400 Bad Request\r\n\r\n"):
    """A server of raw bytes: send(socket) after a request, tls_answer to who begins with TLS."""
    class Raw:
        def __enter__(self):
            self.socket = socket.create_server(("127.0.0.1", 0))
            self.host = "127.0.0.1:%d" % self.socket.getsockname()[1]
            threading.Thread(target=self.loop, daemon=True).start()
            return self

        def loop(self):
            while True:
                try:
                    c, _ = self.socket.accept()
                except OSError:
                    return
                threading.Thread(target=self.one, args=(c,), daemon=True).start()

        def one(self, c):
            with c:
                try:
                    if c.recv(65536)[:1] == b"\x16":
                        return c.sendall(tls_answer)
                    send(c)
                except OSError:
                    pass

        def __exit__(self, *_):
            self.socket.close()
    return Raw()


@case("answers without end, without sense or without hurry end in time and in a bounded memory")
def _(e):
    def forever(prefix, piece, pause=0.0):
        def send(c):
            c.sendall(prefix)
            while True:
                c.sendall(piece)
                time.sleep(pause)
        return send
    ok = b"HTTP/1.1 200 OK\r\n"
    chunked = ok + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    for send, error in ((forever(ok, b"X-A: " + b"a" * 1000 + b"\r\n"), "headers"),
                        (forever(ok, b"X-A: a\r\n"), "headers"),
                        (forever(ok + b"X: ", b"a" * 65536), "header|large"),
                        (forever(chunked, b"10000\r\n" + b" " * 65536 + b"\r\n"), "more than 4194304 bytes"),
                        (lambda c: c.sendall(ok + b"Content-Length: 99999999999999\r\n\r\n"), "more than 4194304 bytes"),
                        (lambda c: c.sendall(b"SSH-2.0-x\r\n"), "."),
                        (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "."),
                        (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n"), "."),
                        (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), "lost|closed"),
                        (lambda c: time.sleep(6), "in time"),
                        (forever(chunked, b"1\r\n \r\n", 0.2), "in time")):
        with raw(send) as r:
            begin = time.monotonic()
            fails(e, "tags", "--retry", "0", f"{r.host}/team/app", error=error)
            assert time.monotonic() - begin < 12, error
    with open(f"/proc/{e.rooms()['registry']}/status") as f:
        rss = int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))
    linked = subprocess.run(["ldd", f"{e.bin}/bulkhead-registry"], capture_output=True, text=True, check=True).stdout
    assert rss < 64 * 1024 or "libasan" in linked, f"{rss} kB"


@case("a call whose client leaves ends at once")
def _(e):
    gone = []

    def wait(c):
        c.settimeout(20)
        gone.append(c.recv(1))
    with raw(wait) as r:
        p = e.cli_start("tags", f"{r.host}/team/app", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        p.wait(10)
        until("the end of its connection", lambda: gone == [b""], 1.5)


@case("plain HTTP: a server that hangs up on a TLS greeting is asked again without")
def _(e):
    def answer(c):
        c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"tags":["1"]}')
    with raw(answer, tls_answer=b"") as r:
        same(out(e, "tags", "-q", f"{r.host}/team/app"), "1\n")


# ---- lists and searches ----

@case("tags: pages, limit, pattern, odd names; pages that lead elsewhere or in a circle")
def _(e):
    def paged(h):
        last = h.query.get("last", [""])[0]
        names = [f"v{i}" for i in range(10)]
        at = names.index(last) + 1 if last else 0
        more = {"Link": f'</v2/team/app/tags/list?n=3&last={names[at + 2]}>; rel="next"'} if at + 3 < 10 else {}
        h.reply(200, {"name": "x", "tags": names[at:at + 3] + (["bad tag\x1b[31m", "-x"] if at == 0 else [])}, **more)
    with Mini(paged) as r:
        name = f"{r.host}/team/app"
        same(out(e, "tags", "-q", name).split(), [f"v{i}" for i in range(10)])
        same(out(e, "tags", "-q", "--limit", "4", name).split(), ["v0", "v1", "v2", "v3"])
        same(out(e, "tags", "-q", "-f", "v[79]", name).split(), ["v7", "v9"])
    for link in ('<http://127.0.0.1:1/x>; rel="next"', "nonsense", '</v2/team/app/tags/list?n=1000>; rel="next"', '<ftp://x/>; rel=next'):
        with Mini(lambda h: h.reply(200, {"tags": ["a"]}, Link=link)) as r:
            fails(e, "tags", f"{r.host}/team/app", error=".")
    for body in ({"tags": None}, {}, {"tags": []}):
        with Mini(lambda h: h.reply(200, body)) as r:
            same(out(e, "tags", "-q", f"{r.host}/team/app"), "")
    for body in (b"[]", b"{", {"tags": 3}, {"tags": {"a": 1}}, b'{"tags":["a"],"tags":["b"]}'):
        with Mini(lambda h: h.reply(200, body)) as r:
            fails(e, "tags", f"{r.host}/team/app")


HITS = [{"name": f"team/web{i}", "description": "d\x1b[31m\nline", "star_count": i, "is_official": i == 9, "is_automated": False} for i in range(10)]


@case("search: a registry's own, its limits and filters; the catalog of one that has none; the index that is configured")
def _(e):
    def hub(h):
        if h.route != "/v1/search":
            return h.reply(404)
        return h.reply(200, {"results": HITS[:int(h.query["n"][0])]}, Content_Type="application/json")
    with Mini(hub) as r:
        shown = out(e, "search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", f"{r.host}/web")
        has(shown, r"^team/web9 9 (true|\[OK\])$")
        same(r.seen[-1][1], "/v1/search?q=web&n=25")
        same(len(out(e, "search", "--limit", "3", "--format", "{{.Name}}", f"{r.host}/w%20&n=9").split()), 3)
        same(r.seen[-1][1], "/v1/search?q=w%2520%26n%3D9&n=3")
        same(out(e, "search", "-f", "stars=8", "--format", "{{.Name}}", f"{r.host}/w").split(), ["team/web8", "team/web9"])
        same(out(e, "search", "-f", "is-official=true", "--format", "{{.Name}}", f"{r.host}/w").split(), ["team/web9"])
        lacks(out(e, "search", f"{r.host}/w"), "\x1b")
        fails(e, "search", "--limit", "101", f"{r.host}/w", error=r"\[1, 100\]")
        fails(e, "search", "-f", "is-automated=true", f"{r.host}/w", error="filter")

    def catalog(h):
        if h.route != "/v2/_catalog":
            return h.reply(404)
        second = "last" in h.query
        return h.reply(200, {"repositories": ["c/web"] if second else ["a/Web", "b/x"]},
                       **({} if second else {"Link": '</v2/_catalog?last=b/x>; rel="next"'}))
    with Mini(catalog) as r:
        done = ends(e.cli("search", "--format", "{{.Name}}", f"{r.host}/web", check=False), 0)
        same(done.stdout.split(), ["a/Web", "c/web"])
        has(done.stderr, "has no search")


@case("search: all search registries, in their order, with the registry before the name; one that fails is told")
def _(e):
    def hub(h):
        h.reply(200, {"results": HITS[:2]} if h.route == "/v1/search" else {}, Content_Type="application/json")

    def catalog(h):
        h.reply(200, {"repositories": ["a/web", "b/x"]}) if h.route == "/v2/_catalog" else h.reply(404)
    with Mini(hub) as one, Mini(catalog) as two, Mini(lambda h: h.reply(400, b"no")) as bad:
        rules(e, f"unqualified-search-registries = {json.dumps([one.host, two.host + '/team', two.host])}\n")
        done = ends(e.cli("search", "--format", "{{.Name}}", "web", check=False), 0)
        same(done.stdout.split(), [f"{one.host}/team/web0", f"{one.host}/team/web1", f"{two.host}/a/web"])
        same(re.findall(r"(\S+) has no search", done.stderr), [two.host])
        same(len([1 for _, path, _, _ in two.seen if path.startswith("/v1/search")]), 1)
        same(out(e, "search", "--format", "{{.Index}}", "web").split(), [one.host, one.host, two.host])
        same([json.loads(line)["Index"] for line in out(e, "search", "--format", "json", "web").splitlines()], [one.host, one.host, two.host])
        has(out(e, "search", "web"), rf"(?m)^NAME +DESCRIPTION +STARS +OFFICIAL\n{one.host}/team/web0 ")
        same(out(e, "search", "--format", "{{.Name}}", f"{one.host}/web").split(), ["team/web0", "team/web1"])
        lacks(out(e, "search", "--format", "json", f"{one.host}/web"), "Index")
        rules(e, f"unqualified-search-registries = {json.dumps([bad.host, one.host])}\n")
        done = ends(e.cli("search", "--format", "{{.Name}}", "web", check=False), 0)
        same(done.stdout.split(), [f"{one.host}/team/web0", f"{one.host}/team/web1"])
        has(done.stderr, f"warning: search on {bad.host}: ")
        rules(e, f"unqualified-search-registries = {json.dumps([bad.host, '127.0.0.1:1'])}\n")
        fails(e, "search", "--retry", "0", "web", error=f"{bad.host}.*; .*127.0.0.1:1")
        rules(e, f"unqualified-search-registries = {json.dumps([one.host])}\n")
        same(out(e, "search", "--format", "{{.Name}}", "web").split(), ["team/web0", "team/web1"])
    rules(e)


@case("search: truth is a word in JSON and a mark in the table; no limit is the default one")
def _(e):
    def answer(h):
        same((h.route, h.query["n"]), ("/v1/search", ["25"]))
        h.reply(200, {"results": [{"name": "x/a", "is_official": True, "star_count": 3}, {"name": "x/b"}]}, Content_Type="application/json")
    with Mini(answer) as r:
        same([json.loads(line)["IsOfficial"] for line in out(e, "search", "--limit", "0", "--format", "json", f"{r.host}/x").splitlines()], ["true", "false"])
        same(out(e, "search", "--format", "{{.Name}}:{{.IsOfficial}}", f"{r.host}/x"), "x/a:[OK]\nx/b:\n")


@case("a wrong tag names near ones; inspect --remote, manifest inspect and delete on a real registry; htpasswd")
def _(e):
    if not DockerRegistry.program():
        raise Skip("docker-registry is not installed")
    folder = f"{e.folder}/real"
    os.makedirs(folder)
    write(f"{folder}/htpasswd", f"ann:{bcrypt(SECRET)}\n")
    with DockerRegistry(f"{folder}/open") as r:
        for tag in ("3.18", "3.19", "latest"):
            r.put(IMAGE, f"team/app:{tag}")
        digest = r.digest("team/app:3.19")
        done = ends(e.cli("inspect", "--remote", f"{r.host}/team/app:3.1", check=False), 1)
        has(done.stderr, r"manifest for .*team/app:3\.1 not found: manifest unknown.*3\.1[89]")
        same(json.loads(out(e, "manifest", "inspect", f"{r.host}/team/app:3.19"))["schemaVersion"], 2)
        has(out(e, "inspect", "--remote", f"{r.host}/team/app:3.19"), digest)
        out(e, "image", "delete", f"{r.host}/team/app:3.19")
        same(r.digest("team/app:3.19"), None)
        fails(e, "image", "delete", f"{r.host}/team/app:3.19", error="not found|unknown")
    auth = f"auth:\n  htpasswd: {{realm: test, path: {folder}/htpasswd}}\n"
    with DockerRegistry(f"{folder}/closed", auth) as r:
        config = f"{e.folder}/closed-cli"
        done = ends(e.cli("--config", config, "tags", f"{r.host}/team/app", check=False), 1)
        has(done.stderr, f"may require 'docker login': unauthorized: .*bulkhead login {r.host}")
        done = ends(e.cli("--config", config, "login", "-u", "ann", "--password-stdin", r.host, input="wrong", check=False), 1)
        has(done.stderr, "unauthorized")
        ends(e.cli("--config", config, "login", "-u", "ann", "--password-stdin", r.host, input=SECRET, check=False), 0)
        done = ends(e.cli("--config", config, "tags", f"{r.host}/team/app", check=False), 1)
        has(done.stderr, "name unknown")


DOCKER = "application/vnd.docker.distribution.manifest."


def docker_document(r, repo, image):
    """The manifest of an image in docker's types."""
    document = r.document(repo, image)
    document["mediaType"] = DOCKER + "v2+json"
    document["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for layer in document["layers"]:
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    return document


def fill(r):
    """One of each kind; their names."""
    one = mk.Image([mk.tar_of([("one", b"1", 0o644)])])
    old = mk.Image([mk.tar_of([("old", b"2", 0o644)])], architecture="arm", variant="v7", **{"os.version": "10", "os.features": ["x"]})

    def entry(document, **more):
        return {**r.manifest(f"team/all@{mk.sha(json.dumps(document, indent=1).encode())}", document), **more}
    r.put(one, "team/oci:1")
    r.manifest("team/docker:1", docker_document(r, "team/docker", old))
    bare = {**r.document("team/bare", old), "annotations": {"z": "<&>", "a": "b"}}
    del bare["mediaType"]
    r.manifest("team/bare:1", bare, mk.MANIFEST)
    plain, docker = r.document("team/all", one), docker_document(r, "team/all", old)
    odd = {"architecture": "arm", "variant": "v7", "os": "linux", "os.features": ["x", "y"], "os.version": "10"}
    r.manifest("team/all:index", {"schemaVersion": 2, "mediaType": mk.INDEX, "annotations": {"top": "t"}, "manifests": [
        entry(plain, platform={"architecture": "amd64", "os": "linux"}, annotations={"x": "y"}), entry(docker, platform=odd), entry(r.document("team/all", old))]})
    r.manifest("team/all:list", {"schemaVersion": 2, "mediaType": DOCKER + "list.v2+json", "manifests": [entry(docker, platform=odd)]})
    return ["team/oci:1", "team/docker:1", "team/bare:1", "team/all:index", "team/all:list", f"team/oci@{r.digest('team/oci:1')}"]


@case("manifest inspect -v: byte for byte what docker prints, of manifests, indexes and lists in the making")
def _(e):
    if not DockerRegistry.program() or not shutil.which("docker"):
        raise Skip("docker-registry or docker is not installed")
    env = {**os.environ, "DOCKER_CONFIG": f"{e.folder}/docker-manifests"}
    os.makedirs(env["DOCKER_CONFIG"])

    def docker(*words):
        done = subprocess.run(["docker", "manifest", *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else f"{done.returncode}: {done.stderr}"

    def ours(*words):
        return out(e, "manifest", *words, env=env)
    with DockerRegistry(f"{e.folder}/kinds") as r:
        for name in fill(r):
            same(ours("inspect", "-v", f"{r.host}/{name}"), docker("inspect", "-v", "--insecure", f"{r.host}/{name}"))
        made, parts = f"{r.host}/team/made:1", [f"{r.host}/team/docker:1", f"{r.host}/team/oci:1"]
        for tool in (ours, docker):
            tool("create", made, *parts, *(["--insecure"] if tool == docker else []))
            tool("annotate", "--os-version", "11", "--variant", "v8", "--os-features", "f", made, parts[1])
        same(ours("inspect", "-v", made), docker("inspect", "-v", made))
        same(ours("inspect", "-v", made, parts[1]), docker("inspect", "-v", made, parts[1]))
        same(json.loads(ours("inspect", made, parts[1])), json.loads(docker("inspect", made, parts[1])))


# ---- ADD of an address ----

def most_memory(e):
    """Of the registry room, so far."""
    return int(re.search(r"VmHWM:\s+(\d+)", read(f"/proc/{e.rooms()['registry']}/status")).group(1)) << 10


def fetch(calls, request, spool=True):
    r, w = os.pipe()
    data = []
    file = [os.open("/tmp", os.O_TMPFILE | os.O_RDWR)] if spool else []
    reader = threading.Thread(target=lambda: [data.append(b) for b in iter(lambda: os.read(r, 65536), b"")])
    reader.start()
    stream = calls.open("registry", "Fetch", request, [w, *file])
    for fd in (w, *file):
        os.close(fd)
    try:
        reply, error = stream.finish(), None
    except CallError as no:
        reply, error = None, (no.reason, no.message)
    reader.join()
    return reply, error, b"".join(data)


def fetch_into_file(calls, request, pipe=False):
    """Into a file of the caller, or with one beside the pipe."""
    file, ends = os.open("/tmp", os.O_TMPFILE | os.O_RDWR), os.pipe()
    calls.open("registry", "Fetch", request, [ends[1], file] if pipe else [file]).finish()


def fetch_unread(calls, request):
    """Into a pipe that nobody reads, and cancelled when it is full: did the room let go of it?"""
    r, w = os.pipe()
    stream = calls.open("registry", "Fetch", request, [w])
    os.close(w)
    filled, before = 0, -1
    while filled == 0 or filled != before:
        time.sleep(0.2)
        before, filled = filled, int.from_bytes(fcntl.ioctl(r, termios.FIONREAD, bytes(4)), sys.byteorder)
    stream.cancel()
    end = select.poll()
    end.register(r, 0)  # the end of the pipe alone
    return filled, bool(end.poll(10000))


@case("fetch: a body as a tar with its time and digest; conditions, checksums, unknown lengths; into pipes alone, and let go when cancelled")
def _(e):
    body = b"content of a file\n" * 5000
    sha = "sha256:" + hashlib.sha256(body).hexdigest()
    lost = []

    def answer(h):
        if h.headers.get("If-None-Match") == '"v1"':
            return h.reply(304)
        if h.route == "/dir/file.txt":
            return h.reply(200, body, ETag='"v1"', Last_Modified="Wed, 21 Oct 2015 07:28:00 GMT")
        if h.route == "/long":
            return h.reply(200, bytes(8 << 20))
        if h.route == "/lost" and not lost:  # a head, and no body behind it
            lost.append(True)
            h.send_response(200)
            h.send_header("Content-Length", str(len(body) + 1))
            h.end_headers()
            h.wfile.flush()
            return h.connection.shutdown(socket.SHUT_RDWR)
        if h.route == "/lost":
            return h.reply(200, body)
        if h.route in ("/chunked", "/large"):
            h.send_response(200)
            h.send_header("Transfer-Encoding", "chunked")
            h.end_headers()
            for i in range(0, len(body), 10000):
                piece = body[i:i + 10000]
                h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            for i in range(100 if h.route == "/large" else 0):
                h.wfile.write(b"100000\r\n%s\r\n" % bytes(1 << 20))
            return h.wfile.write(b"0\r\n\r\n")
        return h.reply(404)

    def file_of(data):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            member = tar.getmembers()
            same([m.name for m in member], ["body"])
            return member[0], tar.extractfile(member[0]).read()
    with Mini(answer) as r:
        base = f"http://{r.host}"
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/dir/file.txt?x=1", "checksum": sha})
        same((error, reply["digest"], int(reply["size"]), reply["filename"], reply["etag"]), (None, sha, len(body), "file.txt", '"v1"'))
        member, content = file_of(data)
        same((content == body, member.mtime, member.mode), (True, 1445412480, 0o600))
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/chunked"})
        same((error, file_of(data)[1] == body), (None, True))
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/lost"})
        same((error, len(lost), file_of(data)[1] == body), (None, 1, True))
        before = most_memory(e)
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/large"})
        same((error, int(reply["size"]), len(file_of(data)[1])), (None, len(body) + (100 << 20), len(body) + (100 << 20)))
        linked = subprocess.run(["ldd", f"{e.bin}/bulkhead-registry"], capture_output=True, text=True, check=True).stdout
        assert most_memory(e) - before < 16 << 20 or "libasan" in linked, f"{most_memory(e) - before >> 20} MiB for a body without a length"
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/chunked"}, False)
        same((error[0], data), ("no-spool", b""))
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/dir/file.txt", "etag": '"v1"'})
        same((error, reply["not_modified"], data), (None, True, b""))
        reply, error, data = as_room(e, "build", fetch, {"url": f"{base}/dir/file.txt", "checksum": "sha256:" + "0" * 64})
        same(error[0], "digest-mismatch")
        assert not data.endswith(b"\0" * 1024), "the end mark came all the same"
        for url in (f"{base}/nothing", "file:///etc/passwd", "ftp://127.0.0.1/x", "x"):
            reply, error, data = as_room(e, "build", fetch, {"url": url})
            assert error and not data, url
        request = {"url": f"{base}/dir/file.txt", "raw": True}
        for room, *function in (("", call, "Fetch", request), ("", fetch_into_file, request), ("", fetch_into_file, request, True),
                                ("build", fetch_into_file, request)):
            try:
                as_room(e, room, *function)
                raise AssertionError(f"fetched: {room} {function}")
            except CallError as no:
                same(no.code, -3)
        for room in ("", "build"):
            filled, gone = as_room(e, room, fetch_unread, {"url": f"{base}/long", "raw": not room})
            assert filled >= 32768 and gone, (room, filled, gone)


@case("no secret is in the engine's log")
def _(e):
    lacks(e.log_text(), f"{SECRET}|{re.escape(BASIC)}|refresh-of-ann|good-1|good-2")


if __name__ == "__main__":
    import tempfile
    DIR = tempfile.mkdtemp(prefix="bulkhead-rules-")
    KEYS = f"{DIR}/keys"
    os.chmod(DIR, 0o755)
    write(f"{DIR}/registries.conf", "")
    write(f"{DIR}/policy.json", '{"default":[{"type":"insecureAcceptAnything"}]}')
    os.makedirs(f"{DIR}/certs.d")
    make_certificates(KEYS)
    try:
        run(config=CONFIG % {"dir": DIR})
    finally:
        subprocess.run(["rm", "-rf", DIR], check=False)
