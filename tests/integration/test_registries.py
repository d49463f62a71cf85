"""Real registries of Debian's docker-registry, one for each way to be: TLS, logins, tokens, caches, proxies, rules,
deletion; and images of every size, to and from the tools of others."""
import base64, contextlib, json, os, random, re, shutil, signal, stat, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import makeimage as mk  # noqa: E402
from cases import Skip, case, ends, fails, has, inspect, lacks, out, run, same, until  # noqa: E402
from certificates import Authority  # noqa: E402
from dockerd import Dockerd  # noqa: E402
from dockerregistry import DockerRegistry, bcrypt  # noqa: E402
from proxyserver import ProxyServer  # noqa: E402
from tokenserver import TokenServer  # noqa: E402

NOBODY = 65534
PASSWORDS = {"ann": "pw-of-ann-8c1", "bob": "pw-of-bob-77f"}


class Place:
    """All that must stand before the engine starts: ports, certificates, the administrator's files."""

    def __init__(self, top):
        self.top = top
        for name in ("certs.d", "ca"):
            os.mkdir(f"{top}/{name}")
        self.ca, other = Authority(f"{top}/ca/one"), Authority(f"{top}/ca/two", "Unknown authority")
        good = self.ca.sign("127.0.0.1", "localhost", "registry.test")
        self.plain = self.make("plain")
        self.tls = self.make("tls", tls=good)
        self.stranger = self.make("stranger", tls=other.sign("127.0.0.1"))
        self.misnamed = self.make("misnamed", tls=self.ca.sign("elsewhere.test"))
        self.expired = self.make("expired", tls=self.ca.sign("127.0.0.1", days=-1))
        self.mutual = self.make("mutual", tls=good, http={"tls": {"clientcas": [self.ca.cert]}})
        self.lax = self.make("lax", tls=other.sign("127.0.0.1"))
        with open(f"{top}/htpasswd", "w") as f:
            for user, password in PASSWORDS.items():
                f.write(f"{user}:{bcrypt(password)}\n")
        self.basic = self.make("basic", more=f"auth: {{htpasswd: {{realm: r, path: {top}/htpasswd}}}}\n", login=("ann", PASSWORDS["ann"]))
        self.tokens = TokenServer(self.ca, {
            "ann": (PASSWORDS["ann"], {"team": {"pull", "push", "delete"}, "both": {"pull", "push"}, "public": {"pull", "push"}}),
            "bob": (PASSWORDS["bob"], {"team": {"pull"}, "bobs": {"pull", "push"}, "both": {"pull"}}),
            "": (None, {"public": {"pull"}})})
        self.token = self.make("token", more=self.tokens.config())
        self.home = self.make("home")
        self.mirrors = [self.make(f"mirror{i}") for i in range(2)]
        self.cache = self.make("cache", more=f"proxy: {{remoteurl: 'http://{self.home.host}'}}\n")
        self.fixed = self.make("fixed", delete=False)
        for r, files in ((self.tls, "a"), (self.misnamed, "a"), (self.expired, "a"), (self.mutual, "b")):
            folder = f"{top}/certs.d/{r.host}"
            os.mkdir(folder)
            shutil.copy(self.ca.cert, f"{folder}/ca.crt")
            if files == "b":
                for path, end in zip(self.ca.sign("engine", client=True), ("cert", "key")):
                    shutil.copy(path, f"{folder}/client.{end}")
        os.mkdir(f"{top}/certs.d/registry.test")
        shutil.copy(self.ca.cert, f"{top}/certs.d/registry.test/ca.crt")
        self.proxy = ProxyServer({"registry.test": self.tls.port, "plain.test": self.plain.port}, login=("pat", "pw-of-proxy-3d"))
        self.rules()
        mk.write(f"{top}/policy.json", json.dumps({
            "default": [{"type": "insecureAcceptAnything"}],
            "transports": {"docker": {f"{self.plain.host}/refused": [{"type": "reject"}],
                                      f"{self.plain.host}/refused/but": [{"type": "insecureAcceptAnything"}],
                                      f"{self.plain.host}/signed": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/x"}]}}}).encode())

    def make(self, name, **how):
        return DockerRegistry(f"{self.top}/{name}", **how)

    def rules(self, more="", search=None):
        """registries.conf"""
        a, b = (m.host for m in self.mirrors)
        mk.write(f"{self.top}/registries.conf", f'''
unqualified-search-registries = {json.dumps(search or [self.plain.host])}
[[registry]]
location = "{self.lax.host}"
insecure = true
[[registry]]
prefix = "wide.test"
location = "{self.home.host}"
[[registry.mirror]]
location = "{a}/first"
[[registry.mirror]]
location = "{b}"
[[registry]]
prefix = "wide.test/narrow"
location = "{self.plain.host}/moved"
[[registry]]
prefix = "wide.test/never"
blocked = true
[[registry]]
prefix = "digests.test"
location = "{self.home.host}"
[[registry.mirror]]
location = "{a}"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "cached.test"
location = "{self.home.host}"
[[registry.mirror]]
location = "{self.cache.host}"
[[registry]]
prefix = "guarded.test"
location = "{self.basic.host}/home"
[[registry.mirror]]
location = "{self.basic.host}/mirror"
[[registry]]
prefix = "docker.io"
[[registry.mirror]]
location = "{self.basic.host}/hub"
[[registry]]
location = "plain.test"
insecure = true
{more}
[aliases]
"short" = "{self.plain.host}/long/name"
"guarded" = "{self.basic.host}/by/alias"
'''.encode())

    def config(self):
        return f'''
[socket]
mode = "0666"
[registry]
registries_conf = "{self.top}/registries.conf"
certs_dir = "{self.top}/certs.d"
policy = "{self.top}/policy.json"
tries = 2
connect_timeout = 5
progress_timeout = 10
https_proxy = "http://pat:pw-of-proxy-3d@{self.proxy.host}"
http_proxy = "http://pat:pw-of-proxy-3d@{self.proxy.host}"
no_proxy = "direct.test,10.0.0.0/8"
'''


P = None


def setup(e):
    e.logins = 0
    P.proxy.__enter__()


def as_nobody(e):
    """Arguments for another user's command."""
    _, env = e.for_users(e.client())
    return {"user": NOBODY, "env": {**env, "HOME": "/nonexistent", "DOCKER_CONFIG": "/nonexistent"}}


def logins(e, **auths):
    """An environment whose DOCKER_CONFIG is fresh."""
    e.logins += 1
    folder = os.path.join(e.folder, f"docker-{e.logins}")
    os.mkdir(folder)
    if auths:
        mk.write(f"{folder}/config.json", json.dumps({"auths": auths}).encode())
    return {**os.environ, "DOCKER_CONFIG": folder}


def auth(user):
    return {"auth": base64.b64encode(f"{user}:{PASSWORDS[user]}".encode()).decode()}


def image(word, *more, run=None, **extra):
    return mk.Image([mk.tar_of([("word", word.encode(), 0o644)]), *more], run, **extra)


def load(e, im, *names):
    out(e, "load", "-q", input=mk.docker_archive([(im, list(names))]), text=False)
    return im


def forget(e):
    """Nothing is here any more: what comes next must travel."""
    ids = out(e, "images", "-aq", "--no-trunc").split()
    if ids:
        out(e, "rmi", "-f", *sorted(set(ids)))


def there_and_back(e, registry, name, **more):
    """Pushed, forgotten, pulled: the same image with the same digest."""
    full = f"{registry.host}/{name}"
    im = load(e, image(full), full)
    said = out(e, "push", full, **more)
    digest = re.search(r"digest: (sha256:[0-9a-f]{64}) size: \d+\s*$", said).group(1)
    forget(e)
    has(out(e, "pull", full, **more), f"^Digest: {digest}$")
    same(inspect(e, full)["Id"], im.id)
    return digest


def quiet(e, *secrets):
    """None of these was ever told."""
    text = e.log_text()
    for secret in [*PASSWORDS.values(), "pw-of-proxy-3d", *secrets]:
        assert secret not in text, "a secret is in the engine's log"


# ---- TLS ----------------------------------------------------------------------------------------------------

@case("plain HTTP on the loopback works without a word in any file, but not where TLS is demanded")
def _(e):
    with P.plain as r:
        same(there_and_back(e, r, "plain/app:1"), r.digest("plain/app:1"))
        done = fails(e, "pull", "--tls-verify=true", f"{r.host}/plain/app:1", error=r"HTTPS|TLS")
        has(done.stderr, r"insecure|--tls-verify", done)
        same(out(e, "pull", "-q", f"localhost:{r.port}/plain/app:1"), f"localhost:{r.port}/plain/app:1\n")


@case("IPv6: a registry by its address")
def _(e):
    if not os.path.exists("/proc/net/if_inet6"):
        raise Skip("no IPv6 here")
    with DockerRegistry(f"{P.top}/six", address="[::1]") as r:
        same(there_and_back(e, r, "six/app:1"), r.digest("six/app:1"))


@case("TLS: the authority of certs.d is trusted for its host")
def _(e):
    with P.tls as r:
        same(there_and_back(e, r, "tls/app:1"), r.digest("tls/app:1"))
        same(out(e, "tags", "-q", f"{r.host}/tls/app"), "1\n")


@case("TLS: an unknown authority, another name, an expired certificate are refused, and told apart")
def _(e):
    with P.stranger as r:
        done = fails(e, "pull", f"{r.host}/x:1", error="certificate")
        has(done.stderr, r"certs\.d|certs_dir|authority|issuer", done)
    with P.misnamed as r:
        has(fails(e, "pull", f"{r.host}/x:1", error="certificate.*(name|127\\.0\\.0\\.1)").stderr, "for another name")
    with P.expired as r:
        lacks(fails(e, "pull", f"{r.host}/x:1", error="certificate.*expired.*renew").stderr, "certs.d")


@case("TLS: --tls-verify=false is for administrators, and for others where a rule says insecure")
def _(e):
    with P.stranger as r:
        r.put(image("unverified"), "x:1")
        out(e, "pull", "--tls-verify=false", f"{r.host}/x:1")
        fails(e, "pull", f"{r.host}/x:1", error="certificate")
        fails(e, "pull", "--tls-verify=false", f"{r.host}/x:1", **as_nobody(e), error="administrators|insecure")
    with P.lax as r:
        r.put(image("lax"), "x:1")
        out(e, "pull", f"{r.host}/x:1", **as_nobody(e))
        out(e, "pull", "--tls-verify=false", f"{r.host}/x:1", **as_nobody(e))
        fails(e, "pull", "--tls-verify=true", f"{r.host}/x:1", **as_nobody(e), error="certificate")


@case("TLS: a client certificate is shown where certs.d has one, and its absence is told")
def _(e):
    with P.mutual as r:
        same(there_and_back(e, r, "mutual/app:1") is not None, True)
        fails(e, "pull", f"localhost:{r.port}/mutual/app:1", error="certificate")


# ---- logins -------------------------------------------------------------------------------------------------

@case("htpasswd: login, wrong password, logout; the file is the user's alone; the error names login")
def _(e):
    env = logins(e)
    with P.basic as r:
        full = f"{r.host}/private/app:1"
        r.put(image("private"), "private/app:1")
        done = fails(e, "pull", full, env=env, error="denied|unauthorized|authentication")
        has(done.stderr, "login", done)
        fails(e, "login", "-u", "ann", "--password-stdin", r.host, env=env, input="wrong\n",
              error=f"login to {r.host}: unauthorized: incorrect username or password$")
        assert not os.path.exists(f"{env['DOCKER_CONFIG']}/config.json"), "a refused login was kept"
        has(out(e, "login", "-u", "ann", "--password-stdin", r.host, env=env, input=PASSWORDS["ann"] + "\n"), "Login Succeeded")
        path = f"{env['DOCKER_CONFIG']}/config.json"
        same(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        same(json.load(open(path))["auths"], {r.host: auth("ann")})
        same(os.listdir(env["DOCKER_CONFIG"]), ["config.json"])
        same(out(e, "login", "--get-login", r.host, env=env), "ann\n")
        out(e, "pull", full, env=env)
        there_and_back(e, r, "private/app:2", env=env)
        out(e, "pull", "--creds", f"bob:{PASSWORDS['bob']}", full, env=logins(e))
        fails(e, "pull", "--creds", "bob:wrong", full, env=logins(e), error="denied|unauthorized|authentication|incorrect")
        before = os.stat(path).st_ino
        done = ends(e.cli("login", r.host, env=env, check=False), 0)
        same((done.stdout, done.stderr), ("Login Succeeded\n", "Authenticating with existing credentials... [Username: ann]\n"))
        same(os.stat(path).st_ino, before)
        out(e, "logout", r.host, env=env)
        lacks(open(path).read(), "auth\"")
        fails(e, "pull", full, env=env, error="denied|unauthorized|authentication")
    quiet(e)


@case("htpasswd: a mirror, a rewritten place and an alias are asked with the login that is kept for them")
def _(e):
    with P.basic as r:
        for at, name in enumerate(("mirror/app", "home/app", "hub/library/app", "by/alias")):
            r.put(image(f"guarded {at}"), f"{name}:1")
        env = logins(e, **{r.host: auth("ann")})
        for at, name in ((0, "guarded.test/app:1"), (3, "guarded:1"), (2, "docker.io/library/app:1")):
            out(e, "pull", name, env=env)
            same(inspect(e, {"guarded:1": f"{r.host}/by/alias:1"}.get(name, name))["Id"], image(f"guarded {at}").id)
            fails(e, "pull", name, env=logins(e), error="denied|unauthorized|authentication|Connect|no such host|resolve")
        out(e, "push", "guarded.test/app:1", env=env)
        same(r.digest("home/app:1"), r.digest("mirror/app:1"))
        same(out(e, "tags", "-q", "guarded", env=env), "1\n")
        out(e, "image", "copy", "guarded:1", "guarded.test/copied:1", env=env)
        assert r.digest("home/copied:1"), "a copy goes to the rewritten place with its login"
        mk.write(f"{e.folder}/Dockerfile", b"FROM guarded.test/app:1\n")
        forget(e)
        out(e, "build", "-q", "-f", f"{e.folder}/Dockerfile", e.folder, env=env)
        forget(e)
        out(e, "build", "-q", "-f", f"{e.folder}/Dockerfile", "-o", f"type=registry,name={r.host}/by/output:1", e.folder, env=env)
        assert r.digest("by/output:1"), "a name of the output is pushed with its login"
        forget(e)
        done = ends(e.cli("build", "-q", "-f", f"{e.folder}/Dockerfile", e.folder, env=logins(e), check=False), 1)
        has(done.stderr, "unauthorized: authentication required", done)
        for text, more in ((f"FROM scratch\nCOPY --from={r.host}/by/alias:1 /word /a\n", []),
                           ("FROM scratch AS guarded\nCOPY --from=other /word /b\n", ["--build-context", "other=docker-image://guarded.test/app:1"]),
                           (f"FROM scratch\nCOPY --from=guarded:1 /word /c\n", [])):
            mk.write(f"{e.folder}/Dockerfile", text.encode())
            forget(e)
            out(e, "build", "-q", "-f", f"{e.folder}/Dockerfile", *more, e.folder, env=env)
        forget(e)
        first = out(e, "create", "guarded:1", "/x", env=env).strip()
        same(inspect(e, first)["Config"]["Image"], f"{r.host}/by/alias:1")
    second = out(e, "create", "guarded:1", "/x").strip()  # it is here: no registry is asked
    out(e, "rm", first, second)
    quiet(e)


@case("image copy: credentials of the source and of the target, also on one registry")
def _(e):
    ann, bob = (f"{user}:{PASSWORDS[user]}" for user in ("ann", "bob"))
    with P.tokens, P.token as r, P.basic as other:
        env = logins(e, **{r.host: auth("ann")})
        load(e, image("to copy"), f"{r.host}/team/copy:1")
        out(e, "push", f"{r.host}/team/copy:1", env=env)
        none = logins(e)
        out(e, "image", "copy", "--src-creds", ann, "--dest-creds", bob, f"{r.host}/team/copy:1", f"{r.host}/bobs/copy:1", env=none)
        fails(e, "image", "copy", "--src-creds", bob, "--dest-creds", ann, f"{r.host}/team/copy:1", f"{r.host}/bobs/copy:2", env=none, error="denied|unauthorized")
        out(e, "image", "copy", "--src-creds", bob, "--dest-creds", ann, f"{r.host}/bobs/copy:1", f"{other.host}/private/copy:1", env=none)
        fails(e, "image", "copy", "--src-creds", bob, f"{r.host}/bobs/copy:1", f"{other.host}/private/copy:2", env=none, error="denied|unauthorized")
        out(e, "image", "copy", "--src-creds", bob, f"{r.host}/bobs/copy:1", f"oci:{e.folder}/copied:1", env=none)
        out(e, "image", "copy", "--dest-creds", bob, f"oci:{e.folder}/copied:1", f"{r.host}/bobs/copy:3", env=none)
    quiet(e)


@case("a credential helper keeps, gives, lists and forgets")
def _(e):
    env = logins(e)
    shelf = f"{env['DOCKER_CONFIG']}/bin"
    os.mkdir(shelf)
    mk.write(f"{shelf}/docker-credential-shelf", b"""#!/usr/bin/env python3
import json, os, sys
path = os.path.dirname(os.path.abspath(__file__)) + "/../shelf.json"
kept = json.load(open(path)) if os.path.exists(path) else {}
verb, said = sys.argv[1], sys.stdin.read().strip()
if verb == "store":
    d = json.loads(said)
    kept[d["ServerURL"]] = [d["Username"], d["Secret"]]
elif verb == "erase":
    kept.pop(said, None)
elif verb == "list":
    print(json.dumps({k: v[0] for k, v in kept.items()}))
elif said in kept:
    print(json.dumps({"ServerURL": said, "Username": kept[said][0], "Secret": kept[said][1]}))
else:
    print("credentials not found in native keychain")
    sys.exit(1)
json.dump(kept, open(path, "w"))
""")
    os.chmod(f"{shelf}/docker-credential-shelf", 0o755)
    env["PATH"] = f"{shelf}:{env['PATH']}"
    with P.basic as r:
        mk.write(f"{env['DOCKER_CONFIG']}/config.json", json.dumps({"credHelpers": {r.host: "shelf"}}).encode())
        r.put(image("shelf"), "private/shelf:1")
        fails(e, "pull", f"{r.host}/private/shelf:1", env=env, error="denied|unauthorized|authentication")
        out(e, "login", "-u", "ann", "--password-stdin", r.host, env=env, input=PASSWORDS["ann"])
        assert PASSWORDS["ann"] not in open(f"{env['DOCKER_CONFIG']}/config.json").read(), "the helper is there for it"
        same(json.load(open(f"{env['DOCKER_CONFIG']}/shelf.json")), {r.host: ["ann", PASSWORDS["ann"]]})
        has(out(e, "login", "--list", env=env), re.escape(r.host))
        out(e, "pull", f"{r.host}/private/shelf:1", env=env)
        out(e, "logout", r.host, env=env)
        same(json.load(open(f"{env['DOCKER_CONFIG']}/shelf.json")), {})


@case("a helper that is missing or fails is told and passed over; a file that was asked for and is not there is an error")
def _(e):
    env = logins(e)
    shelf = f"{env['DOCKER_CONFIG']}/bin"
    os.mkdir(shelf)
    mk.write(f"{shelf}/docker-credential-broken", b"#!/bin/sh\necho 'no session bus'; exit 1\n")
    os.chmod(f"{shelf}/docker-credential-broken", 0o755)
    env["PATH"] = f"{shelf}:{env['PATH']}"
    with P.plain as public, P.basic as private:
        public.put(image("public"), "helped/app:1")
        for word, why in (("nowhere", "docker-credential-nowhere: No such file"), ("broken", "docker-credential-broken get failed: no session bus")):
            mk.write(f"{env['DOCKER_CONFIG']}/config.json", json.dumps({"credsStore": word}).encode())
            done = ends(e.cli("pull", f"{public.host}/helped/app:1", f"{public.host}/helped/app:1", env=env, check=False), 0)
            same(len(re.findall(f"^bulkhead: warning: .*{why}", done.stderr, re.M)), 1, done)
            done = ends(e.cli("pull", f"{private.host}/private/none:1", env=env, check=False), 1)
            has(done.stderr, why, done), has(done.stderr, "login", done)
        fails(e, "pull", "--authfile", f"{e.folder}/not-there.json", f"{public.host}/helped/app:1", error="not-there.json: No such file")
        fails(e, "pull", "--retry", "-5", f"{public.host}/helped/app:1", code=125, error="--retry")
        fails(e, "pull", "--policy", "often", f"{public.host}/helped/app:1", code=125, error="--policy")
        fails(e, "pull", "scratch", error="reserved")


@case("tokens: anonymous for what is public, one for several requests, rights of each user, push refused at once")
def _(e):
    with P.tokens as t, P.token as r:
        ann, bob = logins(e, **{r.host: auth("ann")}), logins(e, **{r.host: auth("bob")})
        there_and_back(e, r, "team/app:1", env=ann)
        load(e, image("public"), f"{r.host}/public/app:1")
        out(e, "push", f"{r.host}/public/app:1", env=ann)
        forget(e)
        t.asked.clear()
        out(e, "pull", f"{r.host}/public/app:1", env=logins(e))
        same(t.asked, [("", ["repository:public/app:pull"])])
        out(e, "pull", f"{r.host}/team/app:1", env=bob)
        done = fails(e, "pull", f"{r.host}/team/app:1", env=logins(e), error="denied|unauthorized")
        has(done.stderr, "login", done)
        load(e, image("bob's", mk.tar_of([("big", random.Random(2).randbytes(3 << 20), 0o644)])), f"{r.host}/team/app:9")
        fails(e, "push", f"{r.host}/team/app:9", env=bob, error="denied|unauthorized")
        fails(e, "login", "-u", "ann", "--password-stdin", r.host, env=logins(e), input="wrong", error="incorrect|unauthorized|denied")
        fresh = logins(e)
        has(out(e, "login", "-u", "ann", "--password-stdin", r.host, env=fresh, input=PASSWORDS["ann"]), "Login Succeeded")
        out(e, "pull", f"{r.host}/team/app:1", env=fresh)
    quiet(e, "refresh-of-")


@case("tokens: one login for each path, the longest counts; a mount asks for both repositories")
def _(e):
    with P.tokens as t, P.token as r:
        env = logins(e, **{f"{r.host}/team": auth("ann"), f"{r.host}/bobs": auth("bob"), r.host: auth("bob")})
        load(e, image("paths"), f"{r.host}/team/deep/app:1", f"{r.host}/bobs/app:1")
        t.asked.clear()
        out(e, "push", f"{r.host}/team/deep/app:1", env=env)
        assert t.asked and {user for user, _ in t.asked} == {"ann"}, t.asked
        t.asked.clear()
        out(e, "push", f"{r.host}/bobs/app:1", env=env)
        assert t.asked and {user for user, _ in t.asked} == {"bob"}, t.asked
        ann = logins(e, **{r.host: auth("ann")})
        big = image("mounted", mk.tar_of([("big", random.Random(5).randbytes(1 << 20), 0o644)]))
        load(e, big, f"{r.host}/team/one:1", f"{r.host}/both/two:1")
        out(e, "push", f"{r.host}/team/one:1", env=ann)
        has(out(e, "push", f"{r.host}/both/two:1", env=ann), "Mounted from team/one")


# ---- what a registry can ------------------------------------------------------------------------------------

@case("deletion: a tag's manifest, a digest; a registry that does not allow it says so")
def _(e):
    with P.plain as r:
        r.put(image("going"), "gone/app:1")
        digest = r.put(image("going too"), "gone/app:2")["digest"]
        out(e, "image", "delete", f"{r.host}/gone/app:1")
        same(r.digest("gone/app:1"), None)
        out(e, "image", "delete", f"{r.host}/gone/app@{digest}")
        same(r.digest(f"gone/app@{digest}"), None)
        fails(e, "image", "delete", f"{r.host}/gone/app:7", error="not found|unknown")
    with P.fixed as r:
        r.put(image("staying"), "stays/app:1")
        fails(e, "image", "delete", f"{r.host}/stays/app:1", error="unsupported|not (allow|support)")
        assert r.digest("stays/app:1")


@case("a cache in front of another registry fills itself, and goes on without it")
def _(e):
    name = "cached.test/team/app:1"
    with contextlib.ExitStack() as both:
        home = both.enter_context(P.home)
        cache = both.enter_context(P.cache)
        im = image("through the cache", mk.tar_of([("d", random.Random(3).randbytes(400000), 0o644)]))
        digest = home.put(im, "team/app:1")["digest"]
        has(out(e, "pull", name), f"^Digest: {digest}$")
        same(cache.digest("team/app:1"), digest)
        forget(e)
        home.__exit__()
        out(e, "pull", name)
        same(inspect(e, name)["Id"], im.id)


# ---- rules --------------------------------------------------------------------------------------------------

@case("rules: mirrors in their order, then the registry; a longer prefix; blocked; a short name; search order")
def _(e):
    with P.home as home, P.mirrors[0] as a, P.mirrors[1] as b, P.plain as plain:
        everywhere = [image(word) for word in ("at a", "at b", "at home")]
        a.put(everywhere[0], "first/team/app:1")
        b.put(everywhere[1], "team/app:1")
        home.put(everywhere[2], "team/app:1")
        b.put(everywhere[1], "team/app:2")
        home.put(everywhere[2], "team/app:2")
        home.put(everywhere[2], "team/app:3")
        for tag, want in (("1", everywhere[0]), ("2", everywhere[1]), ("3", everywhere[2])):
            out(e, "pull", f"wide.test/team/app:{tag}")
            same(inspect(e, f"wide.test/team/app:{tag}")["Id"], want.id)
        done = fails(e, "pull", "wide.test/team/app:9", error="not found")
        has(done.stderr, f"mirror {re.escape(a.host)}.*mirror {re.escape(b.host)}", done)
        moved = image("moved")
        plain.put(moved, "moved/app:1")
        out(e, "pull", "wide.test/narrow/app:1")
        same(inspect(e, "wide.test/narrow/app:1")["Id"], moved.id)
        fails(e, "pull", "wide.test/never/app:1", error="blocked")
        fails(e, "push", "wide.test/never/app:1", error="blocked|No such image|not exist")
        plain.put(moved, "long/name:1")
        has(out(e, "pull", "short:1"), "long/name:1")
        plain.put(moved, "library/unqualified:1")
        plain.put(moved, "unqualified:1")
        out(e, "pull", "unqualified:1")
        digest = home.put(everywhere[2], "by/digest:1")["digest"]
        a.put(everywhere[0], "by/digest:1")
        out(e, "pull", "digests.test/by/digest:1")
        same(inspect(e, "digests.test/by/digest:1")["Id"], everywhere[2].id)
        same(a.digest(f"by/digest@{digest}"), None)
        out(e, "pull", f"digests.test/by/digest@{digest}")
        load(e, image("pushed"), "wide.test/team/pushed:1")
        out(e, "push", "wide.test/team/pushed:1")
        assert home.digest("team/pushed:1") and not b.digest("team/pushed:1"), "a push goes to the registry, not to a mirror"


@case("rules: a mirror that is down costs a try, not the pull")
def _(e):
    with P.home as home:
        home.put(image("alone"), "team/alone:1")
        begin = time.monotonic()
        out(e, "pull", "wide.test/team/alone:1")
        assert time.monotonic() - begin < 8, "the dead mirrors took too long"


def podman_of(e):
    """Its command line, with a store of the test's own."""
    need("podman")
    top = os.path.join(e.folder, "podman")
    os.makedirs(top, exist_ok=True)
    words = ["podman", "--root", f"{top}/root", "--runroot", f"{top}/run", "--storage-driver", "vfs"]
    if subprocess.run([*words, "info"], capture_output=True).returncode != 0:
        raise Skip("podman does not work here")
    return words


def searched(e, *hosts):
    """With these search registries from now on; none: as before."""
    P.rules(search=list(hosts))
    seen = len(e.log)
    e.process.send_signal(signal.SIGHUP)
    until("the rules", lambda: any("registry[" in line and "reloaded" in line for line in e.log[seen:]))


@case("short names: search registries in their order, past those that are down, deny or have nothing; the error tells all")
def _(e):
    down = f"127.0.0.1:{P.mirrors[0].port}"  # nobody is there
    with P.home as home, P.basic as guarded, P.plain as plain:
        ours = [image(word) for word in ("of home", "of plain", "guarded one")]
        home.put(ours[0], "both:1")
        plain.put(ours[1], "both:1")
        plain.put(ours[1], "only/plain:latest")
        plain.put(ours[1], "only/plain:2")
        guarded.put(ours[2], "kept:1")
        searched(e, down, home.host, guarded.host, plain.host)
        forget(e)
        said = out(e, "pull", "both:1")
        has(said, rf"Trying to pull {down}/both:1\.\.\.\n.*Trying to pull {home.host}/both:1\.\.\.\n1: Pulling from both\n")
        same(inspect(e, f"{home.host}/both:1")["Id"], ours[0].id)
        same(out(e, "pull", "-q", "only/plain"), f"{plain.host}/only/plain:latest\n")
        same(sorted(out(e, "tags", "-q", "only/plain").split()), ["2", "latest"])
        has(out(e, "pull", "-a", "only/plain"), f"{plain.host}/only/plain")
        same(sorted(out(e, "images", "--format", "{{.Tag}}", f"{plain.host}/only/plain").split()), ["2", "latest"])
        done = fails(e, "pull", "nosuch:1", error="tried 4 registries: ")
        at = [done.stderr.find(f"{host}/nosuch") for host in (down, home.host, guarded.host, plain.host)]
        assert -1 not in at and at == sorted(at), done.stderr
        has(done.stderr, f"{down}/nosuch:1: connect.*; manifest for {home.host}/nosuch:1 not found.*; pull access denied for {guarded.host}/nosuch.*; manifest for {plain.host}/nosuch:1 not found", done)
        fails(e, "tags", "nosuch", error="tried 4 registries: ")
        fails(e, "manifest", "inspect", "nosuch:1", error="tried 4 registries: ")
        same(json.loads(out(e, "manifest", "inspect", "both:1")), json.loads(out(e, "manifest", "inspect", f"{home.host}/both:1")))
        out(e, "pull", "-q", "kept:1", env=logins(e, **{guarded.host: auth("ann")}))
        same(inspect(e, f"{guarded.host}/kept:1")["Id"], ours[2].id)
        forget(e)
        first = out(e, "create", "only/plain", "/x").strip()
        same(inspect(e, first)["Config"]["Image"], f"{plain.host}/only/plain:latest")
        out(e, "rm", first)
        mk.write(f"{e.folder}/Dockerfile", b"FROM only/plain:2\nCOPY --from=both:1 /word /other\n")
        out(e, "build", "-q", "-f", f"{e.folder}/Dockerfile", "-t", "built:1", e.folder)
        same(inspect(e, "built:1")["RootFS"]["Layers"][0], mk.sha(ours[1].layers[0]))
    for words in (("create", "only/plain:2", "/x"), ("pull", "--policy", "missing", "only/plain:2"), ("pull", "--policy", "never", "only/plain:2"),
                  ("build", "-q", "--no-cache", "-f", f"{e.folder}/Dockerfile", e.folder)):  # it is here: no registry is asked
        got = out(e, *words)
        if words[0] == "create":
            out(e, "rm", got.strip())
    fails(e, "pull", "--policy", "never", "only/plain:9", error="No such image")
    searched(e, P.plain.host)
    quiet(e)


@case("short names: podman takes them from the same registry, or has none as well")
def _(e):
    podman = podman_of(e)
    with P.home as home, P.plain as plain:
        for name, at in (("one", [home]), ("two", [plain]), ("both", [home, plain]), ("team/three", [plain])):
            for r in at:
                r.put(image(f"{name} of {r.host}"), f"{name}:1")
        def compare(hosts, *names, keep=False):
            searched(e, *hosts)
            mk.write(f"{e.folder}/search.conf", f"unqualified-search-registries = {json.dumps(hosts)}\n".encode())
            env = {**os.environ, "CONTAINERS_REGISTRIES_CONF": f"{e.folder}/search.conf"}
            for name in names:
                if not keep:
                    forget(e)
                ours = e.cli("pull", "-q", name, check=False)
                theirs = subprocess.run([*podman, "pull", "-q", "--tls-verify=false", name], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
                same(ours.returncode == 0, theirs.returncode == 0, (name, ours, theirs))
                if ours.returncode == 0:
                    same(inspect(e, ours.stdout.strip())["Id"], "sha256:" + theirs.stdout.strip())
        compare([home.host, plain.host], "one:1", "two:1", "team/three:1", "none:1", "both:1")
        compare([plain.host, home.host], "both:1", keep=True)  # what is here decides which one is meant
        sh(*podman, "rmi", "-af")
        compare([f"127.0.0.1:{P.mirrors[0].port}", plain.host, home.host], "both:1")  # nobody is at the first
        sh(*podman, "rmi", "-af")
        searched(e, P.plain.host)


@case("rules: a reload changes them at once; a file with an error changes nothing")
def _(e):
    with P.plain as plain, P.home as home:
        plain.put(image("reloaded"), "new/app:1")
        home.put(image("still"), "team/still:1")
        fails(e, "pull", "fresh.test/app:1", error=r"fresh\.test")
        P.rules(f'[[registry]]\nprefix = "fresh.test"\nlocation = "{plain.host}/new"\n')
        e.process.send_signal(signal.SIGHUP)
        until("the new rule", lambda: e.cli("pull", "fresh.test/app:1", check=False).returncode == 0)
        P.rules('[[registry]]\nprefix = "fresh.test"\nlocaton = "x.test"\n')
        seen = len(e.log)
        e.process.send_signal(signal.SIGHUP)
        until("a word on the error", lambda: any("localton" in line or "locaton" in line for line in e.log[seen:]))
        out(e, "pull", "fresh.test/app:1")
        P.rules()
        e.process.send_signal(signal.SIGHUP)
        until("the old rules", lambda: e.cli("pull", "fresh.test/app:1", check=False).returncode != 0)
        out(e, "pull", "wide.test/team/still:1")


@case("policy.json: rejected, accepted below it, and what wants a signature")
def _(e):
    with P.plain as r:
        for name in ("refused/app", "refused/but/app", "signed/app"):
            r.put(image(name), f"{name}:1")
        fails(e, "pull", f"{r.host}/refused/app:1", error="policy")
        out(e, "pull", f"{r.host}/refused/but/app:1")
        fails(e, "pull", f"{r.host}/signed/app:1", error="policy.*(signedBy|verif)")


@case("a proxy: CONNECT for TLS, whole addresses for plain HTTP; not for what no_proxy has; its password is no word of a log")
def _(e):
    with P.tls as tls, P.plain as plain:
        proxy = P.proxy
        proxy.seen.clear()
        tls.put(image("by proxy"), "far/app:1")
        plain.put(image("by proxy, plain"), "far/app:1")
        out(e, "pull", "registry.test/far/app:1")
        assert proxy.seen and all(line == "CONNECT registry.test:443" for line in proxy.seen), proxy.seen
        same([head for head in proxy.heads if re.search("(?im)^authorization:", head)], [])
        proxy.seen.clear()
        fails(e, "pull", "direct.test/far/app:1", error=r"direct\.test")
        same(proxy.seen, [])
        out(e, "pull", f"{plain.host}/far/app:1")
        same(proxy.seen, [])
        out(e, "pull", "plain.test/far/app:1")
        has("\n".join(proxy.seen), r"^GET http://plain\.test/v2/far/app/manifests/1$")
        there_and_back(e, type("R", (), {"host": "registry.test"}), "far/up:1")
        done = fails(e, "pull", "nowhere.test/app:1", error=r"nowhere\.test")
        fails(e, "pull", "docker.io/library/nothere:1", error=r"docker\.io/library/nothere:1: ")
        lacks(done.stderr, "pw-of-proxy")
    quiet(e)


# ---- images -------------------------------------------------------------------------------------------------

def sh(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-500:]}"
    return done.stdout


def need(program):
    if not shutil.which(program):
        raise Skip(f"no {program} here")


@case("skopeo: an index of five platforms, zstd layers, sixty layers; and what we push goes to it with its digest")
def _(e):
    need("skopeo")
    with P.plain as r:
        layout = mk.Layout()
        archs = ("amd64", "arm64", "s390x", "riscv64", "ppc64le")
        five = [image(f"five {arch}", architecture=arch) for arch in archs]
        many = mk.Image([mk.tar_of([(f"f{i}", str(i).encode(), 0o644)]) for i in range(60)])
        index = layout.index(five, "five:1")
        layout.add(many, "many:1")
        layout.add(image("zstd", mk.tar_of([("d", random.Random(7).randbytes(500000), 0o644)])), "zstd:1")
        folder = layout.folder(os.path.join(e.folder, "layout"))
        skopeo = ["skopeo", "copy", "-q", "--dest-tls-verify=false"]
        for at, name in enumerate(("five", "many", "zstd")):
            single = os.path.join(e.folder, f"layout-{name}")
            shutil.copytree(folder, single)
            desc = {k: v for k, v in layout.manifests[at].items() if k != "annotations"}
            mk.write(f"{single}/index.json", json.dumps({"schemaVersion": 2, "manifests": [desc]}).encode())
            how = {"five": ["--all"], "zstd": ["--dest-compress-format", "zstd"]}.get(name, [])
            sh(*skopeo, *how, f"oci:{single}", f"docker://{r.host}/peer/{name}:1")
        same(r.digest("peer/five:1"), index)
        for arch, im in zip(archs, five):
            has(out(e, "pull", "--platform", f"linux/{arch}", f"{r.host}/peer/five:1"), f"^Digest: {index}$")
            same(inspect(e, f"{r.host}/peer/five:1")["Id"], im.id)
        same(len(re.findall("Pull complete", out(e, "pull", f"{r.host}/peer/many:1"))), 60)
        has(json.dumps(r.read("peer/zstd:1")), r"\+zstd")
        out(e, "pull", f"{r.host}/peer/zstd:1")
        ours = load(e, mk.busybox(extra=[[("ours", b"ours\n", 0o644)]]), f"{r.host}/peer/ours:1")
        out(e, "push", f"{r.host}/peer/ours:1")
        sh("skopeo", "copy", "-q", "--src-tls-verify=false", "--preserve-digests", f"docker://{r.host}/peer/ours:1", f"dir:{e.folder}/ours")
        same(mk.sha(open(f"{e.folder}/ours/manifest.json", "rb").read()), r.digest("peer/ours:1"))
        same(json.load(open(f"{e.folder}/ours/manifest.json"))["config"]["digest"], ours.id)


@case("podman pulls what we push, and the reverse, with the same digests")
def _(e):
    podman = podman_of(e)
    with P.plain as r:
        name = f"{r.host}/podman/ours:1"
        im = load(e, image("for podman", mk.tar_of([("d", random.Random(8).randbytes(200000), 0o644)])), name)
        out(e, "push", name)
        sh(*podman, "pull", "-q", "--tls-verify=false", name)
        same(json.loads(sh(*podman, "inspect", name))[0]["Digest"], r.digest("podman/ours:1"))
        sh(*podman, "push", "-q", "--tls-verify=false", name, f"docker://{r.host}/podman/theirs:1")
        forget(e)
        has(out(e, "pull", f"{r.host}/podman/theirs:1"), f"^Digest: {r.digest('podman/theirs:1')}$")
        same(inspect(e, f"{r.host}/podman/theirs:1")["RootFS"]["Layers"], [mk.sha(layer) for layer in im.layers])
        sh(*podman, "rmi", "-af")


@case("docker pulls what we push, and the reverse, with the same digests")
def _(e):
    with Dockerd(e.folder) as docker, P.plain as r:
        name, back = f"{r.host}/docker/ours:1", f"{r.host}/docker/theirs:1"
        im = load(e, image("for docker", mk.tar_of([("d", random.Random(9).randbytes(200000), 0o644)])), name)
        out(e, "push", name)
        has(docker("pull", name), f"^Digest: {r.digest('docker/ours:1')}$")
        same(docker("inspect", "-f", "{{.Id}}", name).strip(), im.id)
        docker("tag", name, back)
        has(docker("push", back), f"digest: {r.digest('docker/theirs:1')} ")
        forget(e)
        has(out(e, "pull", back), f"^Digest: {r.digest('docker/theirs:1')}$")
        same(inspect(e, back)["Id"], im.id)


@case("a layer of 100,000 files, an empty layer, every tag of a repository, several names in one call")
def _(e):
    with P.plain as r:
        files = [("d", None, 0o755)]
        for i in range(100000):
            if i % 1000 == 0:
                files.append((f"d/{i // 1000}", None, 0o755))
            files.append((f"d/{i // 1000}/{i}", b"x" if i % 10 else b"", 0o644))
        large = mk.Image([mk.tar_of(files), mk.tar_of([])])
        digest = r.put(large, "size/files:1")["digest"]
        begin = time.monotonic()
        has(out(e, "pull", f"{r.host}/size/files:1"), f"^Digest: {digest}$")
        assert time.monotonic() - begin < 30
        same(inspect(e, f"{r.host}/size/files:1")["Id"], large.id)
        out(e, "tag", f"{r.host}/size/files:1", f"{r.host}/size/again:1")
        out(e, "push", f"{r.host}/size/again:1")
        same(r.digest("size/again:1"), digest)
        for tag in ("1", "2", "3"):
            r.put(image(f"all {tag}"), f"size/all:{tag}")
        out(e, "pull", "-a", f"{r.host}/size/all")
        same(sorted(out(e, "images", "--format", "{{.Tag}}", f"{r.host}/size/all").split()), ["1", "2", "3"])
        r.put(image("several"), "size/other:1")
        same(out(e, "pull", "-q", f"{r.host}/size/all:1", f"{r.host}/size/other:1", f"{r.host}/size/all:2").split(),
             [f"{r.host}/size/{x}" for x in ("all:1", "other:1", "all:2")])
        done = ends(e.cli("pull", f"{r.host}/size/all:1", f"{r.host}/size/none:1", check=False), 1)
        has(done.stdout, "size/all:1", done)
        has(done.stderr, "size/none", done)


@case("at the end: no room was started again, the store is whole, no secret is in the log")
def _(e):
    out(e, "system", "check")
    same(e.log_lines("room-died") + e.log_lines("worker-died"), [])
    quiet(e, "refresh-of-")


if __name__ == "__main__":
    if DockerRegistry.program() is None:
        print("no docker-registry, skipped", file=sys.stderr)
        sys.exit(77)
    TOP = tempfile.mkdtemp(prefix="bulkhead-registries-")
    os.chmod(TOP, 0o755)
    try:
        P = Place(TOP)
        run(setup=setup, config=P.config())
    finally:
        shutil.rmtree(TOP, ignore_errors=True)
