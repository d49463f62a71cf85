"""The repositories of faulty_registry.py: what a good one does, and the helpers that faults are made of.

A fault is a class that overrides one method of Repo.  `want` is what must come out of it: "" means that
the operation succeeds, else a pattern of the error's text.
"""
import http.server, json, random, socket, struct, threading, time, urllib.parse

import makeimage as mk

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
USER, PASSWORD = "ann", "s3cret-of-ann"
MIB = 1 << 20


class Gone(Exception):
    """The connection was ended on purpose."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    # ---- what faults are made of ----

    def reply(self, status, body=b"", **headers):
        self.start(status, len(body), **headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def start(self, status, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def error(self, status, code, message="told so", **headers):
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.reply(status, body, Content_Type="application/json", **headers)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def hang_up(self):
        self.close_connection = True
        raise Gone

    def reset(self):
        """The other side gets ECONNRESET."""
        self.wfile.flush()
        time.sleep(0.05)  # what was sent may arrive first
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        raise Gone

    def stall(self):
        self.server.registry.closing.wait(60)
        self.hang_up()

    def range_start(self):
        text = self.headers.get("Range", "")
        return int(text[len("bytes="):].split("-")[0]) if text.startswith("bytes=") else 0

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    # ---- dispatch ----

    def handle_one(self):
        registry = self.server.registry
        url = urllib.parse.urlsplit(self.path)
        self.query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        seen = (self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        try:
            if self.server.second:
                registry.elsewhere.append(seen)
                self.on_second(registry, url.path)
            else:
                self.on_first(registry, url.path, seen)
        except (Gone, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def on_first(self, registry, path, seen):
        if getattr(self.server, "fault", None):
            self.server.fault.requests.append(seen)
            return self.server.fault.serve(self, path)
        if path in ("/v2", "/v2/"):
            return self.reply(200, b"{}")
        if path.startswith("/token/"):
            repo = registry.repo(path.split("/")[2])
            repo.requests.append(seen)
            return repo.token(self)
        for kind in ("/manifests/", "/blobs/uploads/", "/blobs/", "/tags/"):
            if path.startswith("/v2/") and kind in path:
                name, rest = path[len("/v2/"):].split(kind, 1)
                repo = registry.repo(name)
                repo.requests.append(seen)
                return repo.serve(self, kind.strip("/"), rest)
        return self.error(404, "NAME_UNKNOWN")

    def on_second(self, registry, path):
        """/blob/REPO/DIGEST, /manifest/REPO/TAG, /upload/REPO/ID, /back/REPO/DIGEST"""
        kind, name, rest = path.strip("/").split("/", 2)
        repo = registry.repo(name)
        if kind == "blob":
            return repo.second_blob(self, rest)
        if kind == "manifest":
            return Repo.manifest(repo, self, rest)
        if kind == "upload":
            return Repo.upload(repo, self, rest)
        if kind == "token":
            return Repo.token(repo, self)
        if kind == "tags":
            return self.reply(200, b'{"tags": ["elsewhere"]}')
        if kind == "v2":
            return self.reply(200, b"{}")
        if kind == "back":
            return self.reply(307, Location=f"http://{registry.host}/v2/{name}/blobs/{rest}?back=1")
        return self.error(404, "NAME_UNKNOWN")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one


# ---- repositories -------------------------------------------------------------------------------------------

class Repo:
    """One that works.  Its image is its own, so that no layer is known from another."""
    want = ""          # of a pull; "" = it succeeds
    within = 20        # seconds
    login = False      # it wants a token
    big = MIB          # bytes of the layer that faults are about
    push = False       # the fault is about pushes
    ask = None         # words of another command than pull: {0} is the host and name of the repository
    say = None         # what that prints, a pattern
    secure = False     # by TLS
    after = None       # the fault that must have been tried before
    artifact = False   # what comes is none that runs
    resumes = False    # no byte of the large layer travels twice

    def __init__(self, registry, name):
        self.registry, self.name, self.lock = registry, name, threading.Lock()
        self.requests, self.sent, self.count = [], {}, {}
        self.blobs, self.manifests, self.tags, self.uploads, self.got = {}, {}, {}, {}, {}
        self.tokens = 0
        self.make()

    # ---- content ----

    def noise(self, size):
        return random.Random(self.name).randbytes(size)

    def make(self):
        small = mk.tar_of([("name", self.name.encode(), 0o644)])
        large = mk.tar_of([("data", None, 0o755), ("data/noise", self.noise(self.big), 0o644)])
        self.image = mk.Image([small, large])
        self.layers = [mk.compress(layer, "gzip") for layer in self.image.layers]
        self.large = mk.sha(self.layers[1])
        self.put_blob(self.image.config)
        for layer in self.layers:
            self.put_blob(layer)
        self.tag("1", self.document())

    def put_blob(self, data):
        self.blobs[mk.sha(data)] = data
        return {"digest": mk.sha(data), "size": len(data)}

    def document(self, **changes):
        """The manifest as a dictionary."""
        return {"schemaVersion": 2, "mediaType": mk.MANIFEST,
                "config": {"mediaType": mk.CONFIG, "digest": self.image.id, "size": len(self.image.config)},
                "layers": [{"mediaType": mk.LAYER + "+gzip", "digest": mk.sha(b), "size": len(b)} for b in self.layers],
                **changes}

    def keep(self, document, kind=None):
        """A manifest or index; its descriptor."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        kind = kind or document["mediaType"]
        self.manifests[mk.sha(data)] = (kind, data)
        return {"mediaType": kind, "digest": mk.sha(data), "size": len(data)}

    def tag(self, tag, document, kind=None):
        self.tags[tag] = self.keep(document, kind)["digest"]

    def index(self, *entries):
        return {"schemaVersion": 2, "mediaType": mk.INDEX, "manifests": list(entries)}

    def times(self, what):
        """How often this was asked for, with this one."""
        with self.lock:
            self.count[what] = self.count.get(what, 0) + 1
            return self.count[what]

    # ---- requests ----

    def serve(self, h, kind, rest):
        if self.login and not self.authorized(h):
            return self.challenge(h)
        if kind == "manifests" and h.command == "DELETE":
            return self.delete(h, rest)
        if kind == "manifests":
            return self.put_manifest(h, rest) if h.command == "PUT" else self.manifest(h, rest)
        if kind == "tags":
            return self.list(h)
        if kind == "blobs":
            return self.head_blob(h, rest) if h.command == "HEAD" else self.blob(h, rest)
        return self.upload(h, rest)

    @property
    def origin(self):
        return f"https://{self.registry.secure}" if self.secure else f"http://{self.registry.host}"

    def realm(self):
        return f"{self.origin}/token/{self.name}"

    def challenge(self, h):
        text = f'Bearer realm="{self.realm()}",service="faulty",scope="repository:{self.name}:pull,push"'
        h.error(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=text)

    def authorized(self, h):
        return h.headers.get("Authorization", "").startswith(f"Bearer token-of-{self.name}-")

    def token(self, h):
        self.tokens += 1
        h.reply(200, json.dumps({"token": f"token-of-{self.name}-{self.tokens}", "expires_in": 300}).encode())

    def manifest(self, h, ref):
        kind, data = self.manifests.get(self.tags.get(ref, ref), (None, None))
        if data is None:
            return h.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        h.reply(200, data, Content_Type=kind, Docker_Content_Digest=mk.sha(data))

    def list(self, h):
        h.reply(200, json.dumps({"name": self.name, "tags": sorted(self.tags)}).encode())

    def delete(self, h, ref):
        digest = self.tags.get(ref, ref)
        if self.manifests.pop(digest, None) is None:
            return h.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        self.tags = {t: d for t, d in self.tags.items() if d != digest}
        h.reply(202)

    def head_blob(self, h, digest):
        data = self.got.get(digest, self.blobs.get(digest))
        return h.reply(200, data) if data is not None else h.reply(404)

    def blob(self, h, digest):
        if digest not in self.blobs:
            return h.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if digest == self.large:
            return self.fault(h, digest, self.blobs[digest])
        return self.whole(h, digest)

    def fault(self, h, digest, data):
        """The large layer."""
        self.whole(h, digest)

    second_blob = lambda self, h, digest: self.whole(h, digest)

    def whole(self, h, digest):
        """As a good registry does it."""
        data = self.blobs[digest]
        start = h.range_start()
        if start:
            h.start(206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            h.start(200, len(data), Accept_Ranges="bytes")
        self.send(h, digest, data[start:])

    def send(self, h, digest, data):
        for at in range(0, len(data), 65536):
            piece = data[at:at + 65536]
            time.sleep(self.registry.pace)
            h.wfile.write(piece)
            with self.lock:
                self.sent[digest] = self.sent.get(digest, 0) + len(piece)

    # ---- pushes ----

    def put_manifest(self, h, ref):
        data = h.body()
        self.tags[ref] = mk.sha(data)
        self.manifests[mk.sha(data)] = (h.headers.get("Content-Type"), data)
        h.reply(201, Docker_Content_Digest=mk.sha(data), Location=f"/v2/{self.name}/manifests/{mk.sha(data)}")

    def location(self, key):
        return f"{self.origin}/v2/{self.name}/blobs/uploads/{key}?state=x%2Fy"

    def begin(self, h):
        key = str(self.times("begin"))
        self.uploads[key] = b""
        h.reply(202, Location=self.location(key), Range="0-0", **self.begin_headers())

    def begin_headers(self):
        return {}

    def upload(self, h, key):
        if h.command == "POST":
            h.body()
            return self.begin(h)
        if key not in self.uploads:
            h.body()
            return h.error(404, "BLOB_UPLOAD_UNKNOWN")
        if h.command == "GET":
            return h.reply(204, Location=self.location(key), Range=f"0-{max(len(self.uploads[key]) - 1, 0)}")
        if h.command == "DELETE":
            del self.uploads[key]
            return h.reply(204)
        return self.take(h, key)

    def take(self, h, key):
        """PATCH and PUT."""
        if h.command == "PATCH" and int(h.headers["Content-Range"].split("-")[0]) != len(self.uploads[key]):
            h.body()
            return h.error(416, "RANGE_INVALID", Location=self.location(key), Range=f"0-{max(len(self.uploads[key]) - 1, 0)}")
        self.uploads[key] += h.body()
        if h.command == "PATCH":
            return h.reply(202, Location=self.location(key), Range=f"0-{len(self.uploads[key]) - 1}")
        return self.finish(h, key)

    def finish(self, h, key):
        data = self.uploads.pop(key)
        if mk.sha(data) != h.query.get("digest"):
            return h.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.got[mk.sha(data)] = data
        h.reply(201, Docker_Content_Digest=mk.sha(data), Location=f"/v2/{self.name}/blobs/{mk.sha(data)}")


FAULTS = {}


def fault(name):
    def keep(cls):
        assert name not in FAULTS, name
        FAULTS[name] = cls
        return cls
    return keep
