"""What can go wrong while a registry is sent to: begins, addresses, lost bytes, rights, answers."""
import json

import makeimage as mk
from faulty_repo import Repo, fault


class Target(Repo):
    """Empty: everything must be sent."""
    push, chunk_min = True, 0

    def make(self):
        pass

    def serve(self, h, kind, rest):
        if self.login and not self.authorized(h):
            h.body()
            return self.challenge(h)
        return super().serve(h, kind, rest)

    def part(self, h, key, size):
        """The first `size` bytes of a body arrive and are kept."""
        self.uploads[key] += h.rfile.read(size)


def large(h):
    return int(h.headers.get("Content-Length") or 0) > 200000


@fault("push-good")
class _(Target):
    pass


@fault("push-location-relative")
class _(Target):
    def location(self, key):
        return f"/v2/{self.name}/blobs/uploads/{key}"


@fault("push-location-with-query")
class _(Target):
    def location(self, key):
        return f"http://{self.registry.host}/v2/{self.name}/blobs/uploads/{key}?_state=a%2Bb%3D&x=1"


@fault("push-location-elsewhere")
class _(Target):
    """The bytes go to another origin: the token does not."""
    login = True

    def location(self, key):
        return f"http://{self.registry.other}/upload/{self.name}/{key}"


@fault("push-location-missing")
class _(Target):
    want = r"did not say where|location"

    def begin(self, h):
        h.reply(202)


@fault("push-location-is-a-file")
class _(Target):
    want = r"."

    def location(self, key):
        return "file:///etc/passwd"


@fault("push-location-has-a-user")
class _(Target):
    want = r"."

    def location(self, key):
        return f"http://root:pw@{self.registry.other}/upload/{self.name}/{key}"


@fault("push-location-is-long")
class _(Target):
    want = r"."

    def location(self, key):
        return f"/v2/{self.name}/blobs/uploads/{key}?x=" + "y" * 20000


@fault("push-denied")
class _(Target):
    """Told before a byte of a layer travels."""
    want = r"denied"

    def begin(self, h):
        h.error(403, "DENIED", "requested access to the resource is denied")


@fault("push-unauthorized")
class _(Target):
    want = r"denied|unauthorized|authentication"
    login = True

    def authorized(self, h):
        return h.command == "HEAD"


@fault("push-begin-500-once")
class _(Target):
    def begin(self, h):
        super().begin(h) if self.times("post") > 1 else h.error(500, "UNKNOWN")


@fault("push-begin-404")
class _(Target):
    want = r"."

    def begin(self, h):
        h.error(404, "NAME_UNKNOWN", "repository name not known to registry")


@fault("push-reset-once")
class _(Target):
    """Half of the large layer arrives and is kept: the rest follows."""
    resumes = True

    def take(self, h, key):
        if large(h) and self.times("large") == 1:
            self.part(h, key, 200000)
            h.reset()
        return super().take(h, key)


@fault("push-reset-and-forgotten-once")
class _(Target):
    """The upload is gone afterwards: another is begun."""
    def take(self, h, key):
        if large(h) and self.times("large") == 1:
            h.rfile.read(200000)
            del self.uploads[key]
            h.reset()
        return super().take(h, key)


@fault("push-reset-always")
class _(Target):
    want, within = r".", 60

    def take(self, h, key):
        if large(h):
            h.rfile.read(100000)
            h.reset()
        return super().take(h, key)


@fault("push-stalls-once")
class _(Target):
    def take(self, h, key):
        if large(h) and self.times("large") == 1:
            h.rfile.read(100000)
            h.stall()
        return super().take(h, key)


@fault("push-500-once")
class _(Target):
    def take(self, h, key):
        if large(h) and self.times("large") == 1:
            h.body()
            return h.error(500, "UNKNOWN")
        return super().take(h, key)


@fault("push-429-once")
class _(Target):
    def take(self, h, key):
        if large(h) and self.times("large") == 1:
            h.body()
            return h.error(429, "TOOMANYREQUESTS", Retry_After="1")
        return super().take(h, key)


@fault("push-token-expires")
class _(Target):
    """The token is refused in the middle: another is got and the layer arrives."""
    login = True

    def authorized(self, h):
        wanted = 2 if h.command == "PUT" and "manifests" in h.path else 1
        text = h.headers.get("Authorization", "").rsplit("-", 1)[-1]
        return super().authorized(h) and text.isdigit() and int(text) >= wanted


@fault("push-chunks")
class _(Target):
    """The registry asks for chunks of at least 100,000 bytes."""
    def begin_headers(self):
        return {"OCI_Chunk_Min_Length": "100000"}


@fault("push-chunks-of-nonsense")
class _(Target):
    want = r"chunk"

    def begin_headers(self):
        return {"OCI_Chunk_Min_Length": "9" * 30}


@fault("push-range-lies")
class _(Target):
    """After a loss the registry claims more than was ever sent."""
    within = 40

    def take(self, h, key):
        if large(h) and self.times("large") == 1:
            h.rfile.read(100000)
            h.reset()
        return super().take(h, key)

    def upload(self, h, key):
        if h.command == "GET":
            return h.reply(204, Location=self.location(key), Range="0-99999999999")
        return super().upload(h, key)


@fault("push-digest-differs")
class _(Target):
    want = r"digest"

    def finish(self, h, key):
        self.uploads.pop(key)
        h.reply(201, Docker_Content_Digest="sha256:" + "4" * 64)


@fault("push-digest-refused")
class _(Target):
    want = r"digest"

    def finish(self, h, key):
        self.uploads.pop(key)
        h.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")


@fault("push-manifest-refused")
class _(Target):
    want = r"manifest invalid"

    def put_manifest(self, h, ref):
        h.body()
        h.error(400, "MANIFEST_INVALID", "manifest invalid")


@fault("push-manifest-changed")
class _(Target):
    want = r"stored sha256:4+ where sha256:"

    def put_manifest(self, h, ref):
        h.body()
        h.reply(201, Docker_Content_Digest="sha256:" + "4" * 64)


@fault("push-manifest-500-once")
class _(Target):
    def put_manifest(self, h, ref):
        if self.times("manifest") > 1:
            return super().put_manifest(h, ref)
        h.body()
        h.error(500, "UNKNOWN")


@fault("push-endless-answer")
class _(Target):
    want = r"."

    def begin(self, h):
        h.start(400, Transfer_Encoding="chunked")
        while True:
            h.chunk(json.dumps({"errors": []}).encode() * 1000)


@fault("push-head-lies")
class _(Target):
    """HEAD says that a blob of another size is there: it is sent all the same."""
    def head_blob(self, h, digest):
        return h.reply(200, b"12345") if digest not in self.got else super().head_blob(h, digest)


@fault("push-mounts")
class _(Target):
    """A layer that another repository of this registry has does not travel."""
    after = "push-good"

    def begin(self, h):
        source = h.query.get("from")
        data = self.registry.repo(source).got.get(h.query.get("mount")) if source else None
        if data is None:
            return super().begin(h)
        self.got[mk.sha(data)] = data
        self.times("mount")
        h.reply(201, Location=f"/v2/{self.name}/blobs/{mk.sha(data)}", Docker_Content_Digest=mk.sha(data))


@fault("push-mount-lies")
class _(Target):
    """It says that it has mounted, and has nothing: the manifest tells it."""
    after, want = "push-good", r"blob unknown"

    def begin(self, h):
        if "mount" in h.query:
            return h.reply(201, Location=f"/v2/{self.name}/blobs/{h.query['mount']}")
        super().begin(h)

    def put_manifest(self, h, ref):
        data = h.body()
        document = json.loads(data)
        if any(d["digest"] not in self.got for d in document["layers"]):
            return h.error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        super().put_manifest(h, ref)


@fault("push-mount-500")
class _(Target):
    """Mounts fail; the ordinary way is open."""
    after, within = "push-good", 40

    def begin(self, h):
        h.error(500, "UNKNOWN") if "mount" in h.query else super().begin(h)


@fault("push-blob-413")
class _(Target):
    want = r"413|too large"

    def take(self, h, key):
        h.body()
        h.reply(413)


@fault("push-blob-403")
class _(Target):
    """It let the upload begin, and changes its mind."""
    want = r"denied"

    def take(self, h, key):
        h.body()
        h.error(403, "DENIED", "requested access to the resource is denied")


@fault("push-blob-403-at-once")
class _(Target):
    """The answer comes before the body has left, and the connection ends."""
    want, within = r".", 40

    def take(self, h, key):
        if not large(h):
            return super().take(h, key)
        h.error(403, "DENIED", "requested access to the resource is denied")
        h.hang_up()


@fault("push-finish-202")
class _(Target):
    """"Accepted" is not "created"."""
    want = r"."

    def finish(self, h, key):
        self.uploads.pop(key)
        h.reply(202)


@fault("push-head-500-once")
class _(Target):
    def head_blob(self, h, digest):
        super().head_blob(h, digest) if self.times("head") > 1 else h.reply(500)


@fault("push-redirects-elsewhere")
class _(Target):
    """The upload itself is sent on: the token stays here."""
    login, within = True, 40

    def take(self, h, key):
        if h.server.second or not large(h):
            return super().take(h, key)
        h.body()
        h.reply(307, Location=f"http://{self.registry.other}/upload/{self.name}/{key}?{h.path.partition('?')[2]}")


@fault("push-redirects-in-a-circle")
class _(Target):
    want = r"redirect"

    def begin(self, h):
        h.reply(307, Location=h.path)


@fault("push-manifest-refused-with-escapes")
class _(Target):
    want = r"manifest invalid"

    def put_manifest(self, h, ref):
        h.body()
        h.error(400, "MANIFEST_INVALID", "\x1b[2J\x1b]0;owned\x07first\r\nsecond: \x9b31mred\u202e")


@fault("push-manifest-header-flood")
class _(Target):
    want = r"headers"

    def put_manifest(self, h, ref):
        h.body()
        h.reply(201, **{f"X_More_{i}": "1" for i in range(1000)})


@fault("push-tls-location-is-plain")
class _(Target):
    secure, login, want = True, True, r"http"

    def location(self, key):
        return f"http://{self.registry.other}/upload/{self.name}/{key}"


@fault("push-tls-good")
class _(Target):
    secure, login = True, True


@fault("push-a-byte-for-each-request")
class _(Target):
    """One more byte of the large layer is kept each time, and the connection lost."""
    want, within = r"connection|lost", 40

    def take(self, h, key):
        if not large(h):
            return super().take(h, key)
        self.part(h, key, 1)
        h.reset()
