"""Servers that are wrong as a whole: TLS that is none, logins, searches.  Each has a port of its own.

`tls`: settings of the server's TLS, None: plain.  A `raw` one gets the connection itself.
"""
import base64, json, random

from faulty_repo import MIB, PASSWORD, USER

HOSTS = {}


def host(name):
    def keep(cls):
        assert name not in HOSTS, name
        HOSTS[name] = cls
        return cls
    return keep


class Host:
    want, say, within = "", None, 20
    tls, raw, input = None, False, None
    ask = ("tags", "-q", "{0}/team/app")

    def __init__(self, registry, name):
        self.registry, self.name, self.requests, self.count = registry, name, [], 0

    def serve(self, h, path):
        h.reply(200, b'{"tags": ["1"]}')

    def talk(self, connection):
        pass


# ---- TLS ----------------------------------------------------------------------------------------------------

class Tls(Host):
    tls = {}


@host("tls-good")
class _(Tls):
    say = r"^1\n$"


@host("tls-1.1-at-most")
class _(Tls):
    import ssl as _ssl
    tls, want = {"minimum_version": _ssl.TLSVersion.TLSv1, "maximum_version": _ssl.TLSVersion.TLSv1_1,
                 "ciphers": "ALL:@SECLEVEL=0"}, r"tls"


class Raw(Host):
    raw = True

    def hello(self, connection):
        connection.settimeout(20)
        return connection.recv(65536)


@host("tls-stalls-in-the-handshake")
class _(Raw):
    want, within = r"time|connect", 40

    def talk(self, connection):
        self.hello(connection)
        self.registry.closing.wait(30)


@host("tls-drips-in-the-handshake")
class _(Raw):
    """A record of 16 KiB, a byte at a time: the time to connect is for all of it."""
    want, within = r"time|connect", 40

    def talk(self, connection):
        self.hello(connection)
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not self.registry.closing.wait(0.1):
            connection.sendall(b"\x02")


@host("tls-is-noise")
class _(Raw):
    want = r"."

    def talk(self, connection):
        self.hello(connection)
        connection.sendall(random.Random(1).randbytes(4096))


@host("tls-says-hello-and-leaves")
class _(Raw):
    want, within = r".", 30

    def talk(self, connection):
        self.hello(connection)


@host("tls-alert")
class _(Raw):
    want = r"tls"

    def talk(self, connection):
        self.hello(connection)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


@host("tls-endless-records")
class _(Raw):
    """Empty records for ever."""
    want, within = r".", 40

    def talk(self, connection):
        self.hello(connection)
        while not self.registry.closing.is_set():
            connection.sendall(b"\x16\x03\x03\x00\x00" * 1000)


@host("accepts-and-is-silent")
class _(Raw):
    want, within = r"time|connect", 40

    def talk(self, connection):
        self.registry.closing.wait(30)


# ---- logins -------------------------------------------------------------------------------------------------

class Login(Host):
    """Basic."""
    ask = ("login", "-u", USER, "--password-stdin", "{0}")
    input = PASSWORD

    def good(self, h):
        return h.headers.get("Authorization") == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def serve(self, h, path):
        if not self.good(h):
            return h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="r"')
        self.answer(h)

    def answer(self, h):
        h.reply(200, b"{}")


@host("login-good")
class _(Login):
    say, note = r"Login Succeeded", r".*kept unencrypted.*\n"


@host("login-refused")
class _(Login):
    want = r"unauthorized|incorrect|denied"

    def good(self, h):
        return False


@host("login-500-always")
class _(Login):
    want, within = r"500|server", 30

    def answer(self, h):
        h.error(500, "UNKNOWN")


@host("login-redirects-elsewhere")
class _(Login):
    """To a server that would be content with anybody."""
    want = r"."

    def serve(self, h, path):
        h.reply(307, Location=f"http://{self.registry.other}/v2/login/x")


@host("login-is-a-web-page")
class _(Login):
    """No registry at all: a login that asked for nothing is told as what it is."""
    want = r"."

    def serve(self, h, path):
        h.reply(404, b"<html>nothing</html>", Content_Type="text/html")


@host("login-stalls")
class _(Login):
    want, within = r"time", 40

    def serve(self, h, path):
        h.stall()


@host("login-wants-another-scheme")
class _(Login):
    want = r"."

    def serve(self, h, path):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate='Negotiate')


@host("login-complains-with-escapes")
class _(Login):
    want = r"."

    def serve(self, h, path):
        h.error(401, "DENIED", "\x1b[31mno\x1b[0m\r\nsecond line", WWW_Authenticate='Basic realm="r"')


# ---- searches -----------------------------------------------------------------------------------------------

class Search(Host):
    ask = ("search", "--format", "{{{{.Name}}}}", "{0}/app")

    def serve(self, h, path):
        if path == "/v1/search":
            return self.search(h)
        if path == "/v2/_catalog":
            return self.catalog(h)
        h.reply(200, b"{}")

    def search(self, h):
        h.error(404, "NOT_FOUND")

    def catalog(self, h):
        h.reply(200, json.dumps({"repositories": ["team/app", "other"]}).encode())


@host("search-good")
class _(Search):
    say = r"^hub/app\n$"

    def search(self, h):
        h.reply(200, b'{"results": [{"name": "hub/app", "description": "x", "star_count": 3, "is_official": true}]}', Content_Type="application/json")


@host("search-falls-back-to-the-catalog")
class _(Search):
    say, note = r"team/app\n$", r".*has no search.*\n"


@host("search-with-escapes")
class _(Search):
    """The name and the words about it are a stranger's."""
    ask, say = ("search", "--no-trunc", "{0}/app"), r"^[^\x1b\x07]*$"

    def search(self, h):
        h.reply(200, json.dumps({"results": [{"name": "hub/app\x1b[2J", "description": "\x1b]0;x\x07two\nlines", "star_count": 1}]}).encode(),
                Content_Type="application/json")


@host("search-is-cut-json")
class _(Search):
    want = r"."

    def search(self, h):
        h.reply(200, b'{"results": [{"name": "a', Content_Type="application/json")


@host("search-is-deep")
class _(Search):
    want = r"."

    def search(self, h):
        h.reply(200, b'{"results":' + b"[" * 200000, Content_Type="application/json")


@host("search-is-endless")
class _(Search):
    want = r"large|limit|more than"

    def search(self, h):
        h.start(200, Transfer_Encoding="chunked", Content_Type="application/json")
        while True:
            h.chunk(b" " * 65536)


@host("search-with-stars-of-nonsense")
class _(Search):
    want = r"."

    def search(self, h):
        h.reply(200, b'{"results": [{"name": "hub/app", "star_count": -5}]}', Content_Type="application/json")


@host("catalog-without-end")
class _(Search):
    """What fits is shown; the rest is not asked for for ever."""
    want, within = r"end|more than", 60

    def catalog(self, h):
        self.count += 1
        h.reply(200, json.dumps({"repositories": [f"none{self.count}"]}).encode(), Link=f'</v2/_catalog?last={self.count}>; rel="next"')


@host("catalog-is-huge")
class _(Search):
    want = r"large|limit|more than"

    def catalog(self, h):
        h.reply(200, b'{"repositories": ["' + b"a" * (5 * MIB) + b'"]}')
