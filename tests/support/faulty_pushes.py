"""What can go wrong while a registry is sent to: begins, addresses, lost bytes, rights, answers."""
import json

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
