"""What can be wrong with what a registry serves: blobs, manifests, tokens, redirects, HTTP itself."""
import gzip, json, time

import makeimage as mk
from faulty_repo import DOCKER_MANIFEST, FAULTS, MIB, SCHEMA1, Repo, fault

HALF = 1 << 19
INVALID = "invalid|wrong|not|cannot|unexpected"


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


# ---- blobs: connections that break --------------------------------------------------------------------------

class Once(Repo):
    """Wrong when the large layer is asked for first: the connection ends in the middle.  Right from then on."""

    def fault(self, h, digest, data):
        if self.times("blob") > 1:
            return self.whole(h, digest)
        self.first(h, digest, data)

    def first(self, h, digest, data):
        self.half(h, digest, data)
        h.hang_up()

    def half(self, h, digest, data):
        h.start(200, len(data))
        self.send(h, digest, data[:HALF])


class Resumed(Once):
    """Wrong when the rest is asked for."""

    def fault(self, h, digest, data):
        start = h.range_start()
        self.rest(h, digest, data, start) if start else super().fault(h, digest, data)


@fault("blob-cut-once")
class _(Once):
    """Range is honoured."""
    resumes = True


@fault("blob-reset-once")
class _(Once):
    resumes = True

    def first(self, h, digest, data):
        self.half(h, digest, data)
        h.reset()


@fault("blob-reset-at-each-quarter")
class _(Repo):
    resumes, within = True, 30

    def fault(self, h, digest, data):
        start = h.range_start()
        if start >= len(data) * 3 // 4:
            return self.whole(h, digest)
        if start:
            h.start(206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            h.start(200, len(data))
        self.send(h, digest, data[start:start + len(data) // 4])
        h.hang_up()


@fault("blob-reset-once-without-range")
class _(Repo):
    """A server that knows no Range sends the whole again."""
    def fault(self, h, digest, data):
        h.start(200, len(data))
        if self.times("blob") > 1:
            return self.send(h, digest, data)
        self.send(h, digest, data[:HALF])
        h.reset()


@fault("blob-cut-always")
class _(Repo):
    """Never more than the first half, Range or not."""
    want, within = r"connection|ended|closed|reset", 40

    def fault(self, h, digest, data):
        h.start(200, len(data))
        self.send(h, digest, data[:HALF])
        h.hang_up()


@fault("blob-closed-before-headers-once")
class _(Once):
    def first(self, h, digest, data):
        h.hang_up()


@fault("blob-closed-before-headers-always")
class _(Repo):
    want, within = r"connection|closed|empty", 40

    def fault(self, h, digest, data):
        h.hang_up()


@fault("blob-stalls-once")
class _(Once):
    resumes = True

    def first(self, h, digest, data):
        self.half(h, digest, data)
        h.wfile.flush()
        h.stall()


@fault("blob-stalls-always")
class _(Repo):
    want, within = r"time|progress|stall", 60

    def fault(self, h, digest, data):
        h.stall()


@fault("blob-resumed-after-416")
class _(Resumed):
    """Range is refused after the first half: from the beginning, then."""
    def rest(self, h, digest, data, start):
        h.error(416, "RANGE_INVALID")


@fault("blob-resumed-at-another-place")
class _(Resumed):
    def rest(self, h, digest, data, start):
        h.start(206, len(data), Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")
        self.send(h, digest, data)


@fault("blob-resumed-without-content-range")
class _(Resumed):
    def rest(self, h, digest, data, start):
        h.start(206, len(data) - start)
        self.send(h, digest, data[start:])


@fault("blob-resumed-with-another-size")
class _(Resumed):
    def rest(self, h, digest, data, start):
        h.start(206, len(data) - start, Content_Range=f"bytes {start}-{len(data)}/{len(data) + 1}")
        self.send(h, digest, data[start:])


@fault("blob-first-half-wrong-then-resumed")
class _(Once):
    """What was kept of the first try is not the blob: once more from the beginning."""
    def first(self, h, digest, data):
        self.half(h, digest, flip(data, HALF // 2))
        h.hang_up()


@fault("blob-slow")
class _(Repo):
    """As slow as it takes for somebody to lose patience: a while for each 64 KiB, until `hurry`."""
    big, within = 2 * MIB, 60

    def send(self, h, digest, data):
        if digest != self.large:
            return super().send(h, digest, data)
        for at in range(0, len(data), 65536):
            if not self.count.get("hurry"):
                time.sleep(0.15)
            super().send(h, digest, data[at:at + 65536])


@fault("blob-slow-too")
class _(FAULTS["blob-slow"]):
    pass


@fault("blob-slow-again")
class _(FAULTS["blob-slow"]):
    pass


@fault("blob-slow-for-two")
class _(FAULTS["blob-slow"]):
    pass


@fault("blob-slow-for-one-who-stands-still")
class _(FAULTS["blob-slow"]):
    pass


# ---- blobs: other bytes -------------------------------------------------------------------------------------

@fault("blob-corrupt-at-begin")
class _(Repo):
    want = r"digest|gzip|inflate|invalid|corrupt"

    def fault(self, h, digest, data):
        h.start(200, len(data))
        self.send(h, digest, flip(data, 3))


@fault("blob-corrupt-in-the-middle")
class _(Repo):
    want = r"digest|gzip|inflate|invalid|corrupt"

    def fault(self, h, digest, data):
        h.start(200, len(data))
        self.send(h, digest, flip(data, HALF))


@fault("blob-corrupt-last-byte")
class _(Repo):
    want = r"digest|gzip|inflate|invalid|corrupt|size"

    def fault(self, h, digest, data):
        h.start(200, len(data))
        self.send(h, digest, flip(data, len(data) - 1))


@fault("blob-of-another-layer")
class _(Repo):
    """A good gzip of a good tar, of the same size, and still not what the manifest names."""
    want = r"digest"

    def fault(self, h, digest, data):
        other = gzip.compress(self.image.layers[1][:-1] + b"x", 6, mtime=0)[:len(data)].ljust(len(data), b"\0")
        h.start(200, len(data))
        self.send(h, digest, other)

    want = r"digest|gzip|inflate|invalid|corrupt"


@fault("blob-longer")
class _(Repo):
    want = r"size|bytes"

    def fault(self, h, digest, data):
        h.start(200, len(data) + 10)
        self.send(h, digest, data + b"0123456789")


@fault("blob-longer-without-length")
class _(Repo):
    want = r"size|bytes"

    def fault(self, h, digest, data):
        h.start(200, Transfer_Encoding="chunked")
        h.chunk(data)
        h.chunk(b"0123456789")
        h.chunk(b"")


@fault("blob-shorter")
class _(Repo):
    want = r"size|bytes"

    def fault(self, h, digest, data):
        h.start(200, len(data) - 10)
        self.send(h, digest, data[:-10])


@fault("blob-endless")
class _(Repo):
    want = r"size|bytes"

    def fault(self, h, digest, data):
        h.start(200, Transfer_Encoding="chunked")
        h.chunk(data)
        while True:
            h.chunk(data)


@fault("blob-empty")
class _(Repo):
    want = r"size|bytes"

    def fault(self, h, digest, data):
        h.reply(200)


@fault("blob-is-a-login-page")
class _(Repo):
    want = r"size|bytes"

    def fault(self, h, digest, data):
        h.reply(200, b"<html><body>please log in</body></html>", Content_Type="text/html")


@fault("blob-no-content")
class _(Repo):
    want = r"."

    def fault(self, h, digest, data):
        h.reply(204)


@fault("blob-until-close")
class _(Repo):
    """No length at all: the size is known from the manifest."""
    def fault(self, h, digest, data):
        h.start(200, Connection="close")
        self.send(h, digest, data)
        h.hang_up()


@fault("blob-in-small-chunks")
class _(Repo):
    def fault(self, h, digest, data):
        h.start(200, Transfer_Encoding="chunked")
        for at in range(0, len(data), 4099):
            h.chunk(data[at:at + 4099])
        h.chunk(b"")


@fault("blob-labelled-gzip")
class _(Repo):
    """Content-Encoding on top of a blob that is gzip by itself: the bytes count, not the label."""
    def fault(self, h, digest, data):
        h.start(200, len(data), Content_Encoding="gzip")
        self.send(h, digest, data)


# ---- blobs: statuses ----------------------------------------------------------------------------------------

@fault("blob-404")
class _(Repo):
    want = r"names it, and not the blob"

    def fault(self, h, digest, data):
        h.error(404, "BLOB_UNKNOWN", "blob unknown to registry")


@fault("blob-403")
class _(Repo):
    want = r"denied"

    def fault(self, h, digest, data):
        h.error(403, "DENIED", "requested access to the resource is denied")


@fault("blob-500-once")
class _(Once):
    def first(self, h, digest, data):
        h.error(500, "UNKNOWN")


@fault("blob-503-always")
class _(Repo):
    want, within = r"503|unavailable", 40

    def fault(self, h, digest, data):
        h.error(503, "UNAVAILABLE")


@fault("blob-429-with-retry-after")
class _(Repo):
    """The pause that the registry asks for is kept."""
    def fault(self, h, digest, data):
        if self.times("blob") == 1:
            self.asked = time.monotonic()
            return h.error(429, "TOOMANYREQUESTS", Retry_After="2")
        self.waited = time.monotonic() - self.asked
        self.whole(h, digest)


@fault("blob-429-for-a-day")
class _(Repo):
    want = r"too ?many ?requests|429"

    def fault(self, h, digest, data):
        h.error(429, "TOOMANYREQUESTS", "too many requests", Retry_After="86400")


@fault("blob-418")
class _(Repo):
    want = r"418"

    def fault(self, h, digest, data):
        h.reply(418, b"\x1b[31mteapot\x07" * 9000, Content_Type="text/plain")


# ---- manifests ----------------------------------------------------------------------------------------------

@fault("manifest-unknown")
class _(Repo):
    """The error names the tags that are nearest."""
    want = r"not found: manifest unknown"

    def make(self):
        super().make()
        digest = self.tags.pop("1")
        self.tags.update({t: digest for t in ("1.0", "1.1", "11", "stable", "2", "latest", "edge", "12")})


@fault("manifest-404-is-html")
class _(Repo):
    want = r"not found"

    def manifest(self, h, ref):
        h.reply(404, b"<html>nothing here</html>", Content_Type="text/html")


@fault("manifest-500-once")
class _(Repo):
    def manifest(self, h, ref):
        super().manifest(h, ref) if self.times("manifest") > 1 else h.error(500, "UNKNOWN")


@fault("manifest-endless-error")
class _(Repo):
    want = r"."

    def manifest(self, h, ref):
        h.start(400, Transfer_Encoding="chunked", Content_Type="application/json")
        while True:
            h.chunk(b'{"errors": [' * 1000)


@fault("manifest-digest-header-lies")
class _(Repo):
    want = r"digest"

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data, Content_Type=kind, Docker_Content_Digest="sha256:" + "5" * 64)


@fault("manifest-digest-header-is-junk")
class _(Repo):
    """What is no digest says nothing."""

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data, Content_Type=kind, Docker_Content_Digest="sha256:../../etc/passwd")


@fault("manifest-of-index-is-another")
class _(Repo):
    want = r"digest"

    def make(self):
        super().make()
        entry = self.keep(self.document())
        self.other = self.keep(self.document(annotations={"a": "b"}))
        self.chosen = entry["digest"]
        self.tag("1", self.index({**entry, "platform": {"os": "linux", "architecture": "amd64"}}))

    def manifest(self, h, ref):
        if ref == self.chosen:
            kind, data = self.manifests[self.other["digest"]]
            return h.reply(200, data, Content_Type=kind)
        return super().manifest(h, ref)


@fault("manifest-of-index-has-another-size")
class _(Repo):
    want = r"bytes|size"

    def make(self):
        super().make()
        entry = {**self.keep(self.document()), "platform": {"os": "linux", "architecture": "amd64"}}
        entry["size"] += 1
        self.tag("1", self.index(entry))


@fault("manifest-of-index-is-missing")
class _(Repo):
    want = r"not found|unknown"

    def make(self):
        super().make()
        entry = {"mediaType": mk.MANIFEST, "digest": "sha256:" + "7" * 64, "size": 500,
                 "platform": {"os": "linux", "architecture": "amd64"}}
        self.tag("1", self.index(entry))


@fault("manifest-too-large")
class _(Repo):
    want = r"large|limit|more than|exceed"

    def manifest(self, h, ref):
        h.reply(200, b" " * (5 * MIB), Content_Type=mk.MANIFEST)


@fault("manifest-endless")
class _(Repo):
    want = r"large|limit|more than|exceed"

    def manifest(self, h, ref):
        h.start(200, Transfer_Encoding="chunked", Content_Type=mk.MANIFEST)
        while True:
            h.chunk(b" " * 65536)


@fault("manifest-length-is-huge")
class _(Repo):
    want = r"."

    def manifest(self, h, ref):
        h.start(200, 1 << 62, Content_Type=mk.MANIFEST)
        h.hang_up()


@fault("manifest-header-says-index")
class _(Repo):
    want = r"calls itself .* but came as"

    def manifest(self, h, ref):
        _, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data, Content_Type=mk.INDEX)


@fault("manifest-header-says-docker")
class _(Repo):
    want = r"calls itself .* but came as"

    def manifest(self, h, ref):
        _, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data, Content_Type=DOCKER_MANIFEST)


@fault("manifest-without-type")
class _(Repo):
    def manifest(self, h, ref):
        _, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data)


@fault("manifest-is-both")
class _(Repo):
    """An index for one reader and a manifest for another."""
    want = r"."

    def make(self):
        super().make()
        entry = self.keep(self.document())
        self.tag("1", self.document(manifests=[{**entry, "platform": {"os": "linux", "architecture": "amd64"}}]))


@fault("manifest-schema1")
class _(Repo):
    want = r"schema ?1"

    def make(self):
        super().make()
        self.tag("1", {"schemaVersion": 1, "name": self.name, "tag": "1", "architecture": "amd64",
                       "fsLayers": [{"blobSum": self.large}], "history": [{"v1Compatibility": "{}"}]}, SCHEMA1)


@fault("manifest-schema1-without-type")
class _(Repo):
    want = r"schema ?1"

    def make(self):
        super().make()
        self.tag("1", {"schemaVersion": 1, "name": self.name, "tag": "1",
                       "fsLayers": [{"blobSum": self.large}], "history": [{"v1Compatibility": "{}"}]}, "application/json")

    def manifest(self, h, ref):
        _, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data)


@fault("manifest-is-html")
class _(Repo):
    want = r"."

    def manifest(self, h, ref):
        h.reply(200, b"<html><body>welcome</body></html>", Content_Type="text/html")


@fault("manifest-is-cut-json")
class _(Repo):
    want = r"."

    def make(self):
        super().make()
        self.tag("1", json.dumps(self.document()).encode()[:-20], mk.MANIFEST)


@fault("manifest-is-deep-json")
class _(Repo):
    want = r"."

    def make(self):
        super().make()
        self.tag("1", b'{"a":' * 100000, mk.MANIFEST)


@fault("manifest-is-empty")
class _(Repo):
    want = r"."

    def make(self):
        super().make()
        self.tag("1", b"", mk.MANIFEST)


@fault("manifest-has-keys-twice")
class _(Repo):
    want = r"."

    def make(self):
        super().make()
        text = json.dumps(self.document())
        self.tag("1", (text[:-1] + ', "layers": []}').encode(), mk.MANIFEST)


@fault("manifest-with-negative-size")
class _(Repo):
    want = r"size"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["size"] = -5
        self.tag("1", document)


@fault("manifest-with-smaller-size")
class _(Repo):
    want = r"size|bytes"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["size"] -= 100
        self.tag("1", document)


@fault("manifest-with-huge-size")
class _(Repo):
    want = r"size|bytes|space|limit"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["size"] = 1 << 61
        self.tag("1", document)


@fault("manifest-with-a-path-for-digest")
class _(Repo):
    want = r"digest"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["digest"] = "sha256:../../../../etc/passwd"
        self.tag("1", document)


@fault("manifest-with-unknown-digest-algorithm")
class _(Repo):
    want = r"digest|algorithm|verif"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["digest"] = "blake9:" + "a" * 64
        self.tag("1", document)


@fault("manifest-with-a-wrong-diff-id")
class _(Repo):
    want = r"diff|digest|layer"

    def make(self):
        super().make()
        config = json.loads(self.image.config)
        config["rootfs"]["diff_ids"][1] = "sha256:" + "3" * 64
        desc = self.put_blob(json.dumps(config).encode())
        self.tag("1", self.document(config={"mediaType": mk.CONFIG, **desc}))


@fault("manifest-with-a-diff-id-too-many")
class _(Repo):
    want = r"layers"

    def make(self):
        super().make()
        config = json.loads(self.image.config)
        config["rootfs"]["diff_ids"].append("sha256:" + "3" * 64)
        desc = self.put_blob(json.dumps(config).encode())
        self.tag("1", self.document(config={"mediaType": mk.CONFIG, **desc}))


@fault("manifest-with-foreign-layer")
class _(Repo):
    """An address elsewhere is not asked unless an administrator allowed it."""
    want, gone = r"foreign", False

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        document["layers"][1]["urls"] = [f"http://{self.registry.other}/blob/{self.name}/{self.large}"]
        self.tag("1", document)

    def fault(self, h, digest, data):
        return h.error(404, "BLOB_UNKNOWN") if self.gone else self.whole(h, digest)


@fault("manifest-with-encrypted-layer")
class _(Repo):
    want = r"encrypted"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["mediaType"] = mk.LAYER + "+gzip+encrypted"
        self.tag("1", document)


@fault("manifest-with-another-layer-type")
class _(Repo):
    """An artifact then: kept, never run; it has the digest of its manifest as ID."""
    artifact = True

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["mediaType"] = "application/x-iso9660-image"
        self.tag("1", document)


@fault("index-for-others")
class _(Repo):
    want = r"no matching manifest for linux/amd64 in the manifest list entries"

    def make(self):
        super().make()
        entry = self.keep(self.document())
        self.tag("1", self.index({**entry, "platform": {"os": "plan9", "architecture": "mips"}}))


@fault("index-of-attestations")
class _(Repo):
    want = r"no matching manifest"

    def make(self):
        super().make()
        entry = self.keep(self.document())
        self.tag("1", self.index({**entry, "platform": {"os": "unknown", "architecture": "unknown"},
                                  "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}))


@fault("index-of-indexes")
class _(Repo):
    want = r"index"

    def make(self):
        super().make()
        entry = self.keep(self.document())
        for _ in range(12):
            entry = self.keep(self.index({**entry, "platform": {"os": "linux", "architecture": "amd64"}}))
        self.tags["1"] = entry["digest"]


@fault("config-is-another")
class _(Repo):
    want = r"digest|bytes|size"

    def blob(self, h, digest):
        if digest == self.image.id:
            return h.reply(200, self.image.config.replace(b"linux", b"l1nux"))
        return super().blob(h, digest)


@fault("config-is-large")
class _(Repo):
    want = r"large|limit|more than"

    def make(self):
        super().make()
        document = self.document()
        document["config"]["size"] = 1 << 40
        self.tag("1", document)


@fault("config-404")
class _(Repo):
    want = r"unknown|not found"

    def blob(self, h, digest):
        return h.error(404, "BLOB_UNKNOWN") if digest == self.image.id else super().blob(h, digest)


@fault("config-stalls")
class _(Repo):
    want, within = r"time|progress|stall", 60

    def blob(self, h, digest):
        return h.stall() if digest == self.image.id else super().blob(h, digest)


# ---- rights -------------------------------------------------------------------------------------------------

class Private(Repo):
    login = True


@fault("token-good")
class _(Private):
    pass


@fault("token-expires-between-blobs")
class _(Private):
    """The registry wants another token before the large layer."""
    def authorized(self, h):
        wanted = 2 if self.large in h.path else 1
        text = h.headers.get("Authorization", "").rsplit("-", 1)[-1]
        return super().authorized(h) and text.isdigit() and int(text) >= wanted


@fault("token-refused-for-ever")
class _(Private):
    want = r"denied|unauthorized|authentication"

    def authorized(self, h):
        return False


@fault("token-500-once")
class _(Private):
    def token(self, h):
        super().token(h) if self.times("token") > 1 else h.error(500, "UNKNOWN")


@fault("token-401")
class _(Private):
    want = r"denied|unauthorized|incorrect"

    def token(self, h):
        h.error(401, "UNAUTHORIZED", "incorrect username or password")


@fault("token-is-html")
class _(Private):
    want = r"token"

    def token(self, h):
        h.reply(200, b"<html></html>", Content_Type="text/html")


@fault("token-is-empty")
class _(Private):
    want = r"token"

    def token(self, h):
        h.reply(200, b"{}")


@fault("token-with-a-line-break")
class _(Private):
    """A token that would be two headers."""
    want = r"token"

    def token(self, h):
        h.reply(200, json.dumps({"token": f"token-of-{self.name}-1\r\nX-Other: 1"}).encode())

    def authorized(self, h):
        assert h.headers.get("X-Other") is None, "a header was smuggled in"
        return False


@fault("token-endless")
class _(Private):
    want = r"token|large|limit|more than"

    def token(self, h):
        h.start(200, Transfer_Encoding="chunked")
        while True:
            h.chunk(b'{"token": "' + b"a" * 65536)


@fault("token-stalls")
class _(Private):
    want, within = r"time|progress|stall", 60

    def token(self, h):
        h.stall()


@fault("realm-is-a-file")
class _(Private):
    want = r"realm|address|scheme|http"

    def realm(self):
        return "file:///etc/passwd"


@fault("realm-is-gopher")
class _(Private):
    want = r"realm|address|scheme|http"

    def realm(self):
        return f"gopher://{self.registry.other}/token/{self.name}/x"


@fault("realm-has-a-user")
class _(Private):
    want = r"realm|user|address"

    def realm(self):
        return f"http://root:pw@{self.registry.host}/token/{self.name}"


@fault("realm-redirects-elsewhere")
class _(Private):
    """The token server sends on to another origin: the password stays behind."""

    def token(self, h):
        h.reply(307, Location=f"http://{self.registry.other}/token/{self.name}/x")


@fault("challenge-missing")
class _(Private):
    want = r"denied|unauthorized|authentication"

    def challenge(self, h):
        h.error(401, "UNAUTHORIZED")


@fault("challenge-is-junk")
class _(Private):
    want = r"."

    def challenge(self, h):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate='Bearer realm="unfinished, scope=,,,=')


@fault("challenge-is-huge")
class _(Private):
    want = r"."

    def challenge(self, h):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate='Bearer realm="http://' + "a" * 60000 + '"')


@fault("challenge-unknown-scheme")
class _(Private):
    want = r"."

    def challenge(self, h):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate='Negotiate abc, Digest realm="x", nonce="y"')


@fault("basic-wrong")
class _(Private):
    want = r"denied|unauthorized|authentication"

    def challenge(self, h):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="faulty"')

    def authorized(self, h):
        return False


# ---- redirects ----------------------------------------------------------------------------------------------

class Elsewhere(Private):
    """Wants a token itself; the second origin must not see it."""
    to = "blob"

    def fault(self, h, digest, data):
        h.reply(307, Location=f"http://{self.registry.other}/{self.to}/{self.name}/{digest}")


@fault("redirect-elsewhere")
class _(Elsewhere):
    pass


@fault("redirect-elsewhere-and-cut-once")
class _(Elsewhere):
    resumes = True

    def second_blob(self, h, digest):
        data = self.blobs[digest]
        if self.times("second") > 1:
            return self.whole(h, digest)
        h.start(200, len(data))
        self.send(h, digest, data[:HALF])
        h.hang_up()


@fault("redirect-elsewhere-wants-a-login")
class _(Elsewhere):
    """The second origin asks for the password: it is not for it."""
    want = r"."

    def second_blob(self, h, digest):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Basic realm="give it to me"')


@fault("redirect-elsewhere-and-back")
class _(Elsewhere):
    """The way leads back to the registry: what was left behind stays so."""
    want, to = r".", "back"

    def authorized(self, h):
        if "back" in h.query and "Authorization" in h.headers:
            self.registry.elsewhere.append((h.command, h.path, {"authorization": "by way of another origin"}))
        return super().authorized(h)


@fault("redirect-manifest-elsewhere")
class _(Private):
    def manifest(self, h, ref):
        h.reply(307, Location=f"http://{self.registry.other}/manifest/{self.name}/{ref}")


@fault("redirect-relative")
class _(Repo):
    def fault(self, h, digest, data):
        if "again" in h.query:
            return self.whole(h, digest)
        h.reply(302, Location=f"/v2/{self.name}/blobs/{digest}?again=1")


@fault("redirect-in-a-circle")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307, Location=h.path)


@fault("redirect-longer-each-time")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307, Location=h.path + ("&" if "?" in h.path else "?") + "x=" + "y" * 500)


@fault("redirect-to-nowhere")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307)


@fault("redirect-to-a-file")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307, Location="file:///etc/passwd")


@fault("redirect-to-ftp")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307, Location=f"ftp://{self.registry.other}/{self.name}")


@fault("redirect-with-a-user")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307, Location=f"http://root:pw@{self.registry.other}/blob/{self.name}/{digest}")


@fault("redirect-to-a-closed-port")
class _(Repo):
    want, within = r"connect|refused", 30

    def fault(self, h, digest, data):
        h.reply(307, Location="http://127.0.0.1:1/x")


# ---- HTTP itself --------------------------------------------------------------------------------------------

@fault("http-is-noise")
class _(Repo):
    want = r"."

    def manifest(self, h, ref):
        h.wfile.write(bytes(range(256)) * 40)
        h.hang_up()


@fault("http-headers-endless")
class _(Repo):
    want = r"."

    def manifest(self, h, ref):
        h.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            h.wfile.write(b"X-More: " + b"a" * 1000 + b"\r\n")


@fault("http-header-without-end")
class _(Repo):
    want = r"."

    def manifest(self, h, ref):
        h.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            h.wfile.write(b"a" * 65536)


@fault("http-length-negative")
class _(Repo):
    want = r"."

    def fault(self, h, digest, data):
        h.start(200, -1)
        self.send(h, digest, data)
        h.hang_up()


@fault("http-informational-endless")
class _(Repo):
    want, within = r".", 40

    def manifest(self, h, ref):
        while True:
            h.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")


@fault("http-bad-chunks")
class _(Repo):
    want, within = r".", 40

    def fault(self, h, digest, data):
        h.start(200, Transfer_Encoding="chunked")
        h.chunk(data[:1000])
        h.wfile.write(b"zzzz\r\n")
        h.hang_up()


@fault("http-1.0")
class _(Repo):
    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + data)
        h.hang_up()


@fault("http-headers-slow")
class _(Repo):
    """A byte now and then is no progress for ever."""
    want, within = r".", 90

    def manifest(self, h, ref):
        h.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.registry.closing.wait(0.5):
            h.wfile.write(b"a")


@fault("http-headers-1000")
class _(Repo):
    want = r"headers"

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data, Content_Type=kind, **{f"X_More_{i}": "1" for i in range(1000)})


@fault("http-header-of-a-mebibyte")
class _(Repo):
    want = r"header"

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, data, Content_Type=kind, X_Long="a" * MIB)


@fault("http-informational-slow")
class _(Repo):
    """Nothing but "wait a moment", before a blob, which may take long otherwise."""
    want, within = r".", 40

    def fault(self, h, digest, data):
        while not self.registry.closing.wait(0.5):
            h.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")


@fault("http-informational-fast")
class _(Repo):
    want, within = r".", 40

    def fault(self, h, digest, data):
        while True:
            h.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)


@fault("http-body-labelled-gzip")
class _(Repo):
    """A manifest in gzip that nobody asked for: its digest is another."""
    want = r"."

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.reply(200, gzip.compress(data), Content_Type=kind, Content_Encoding="gzip", Docker_Content_Digest=mk.sha(data))


# ---- more of blobs ------------------------------------------------------------------------------------------

@fault("blob-drips-and-arrives")
class _(Repo):
    """Slower than the time without progress allows for the whole, never for a part."""
    def fault(self, h, digest, data):
        h.start(200, len(data))
        for at in range(0, len(data), MIB // 6):
            time.sleep(0.5)
            self.send(h, digest, data[at:at + MIB // 6])


@fault("blob-drips-for-ever")
class _(Repo):
    """A byte now and then is no progress, and what came of it no reason to begin to count anew."""
    want, within = r"time|progress", 40

    def fault(self, h, digest, data):
        start = h.range_start()
        if start:
            h.start(206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            h.start(200, len(data))
        for at in range(start, len(data)):
            self.send(h, digest, data[at:at + 1])
            if self.registry.closing.wait(0.4):
                h.hang_up()


@fault("blob-a-byte-for-each-request")
class _(Repo):
    """Range is honoured, and every answer ends after one byte."""
    want, within = r"connection|lost", 40

    def fault(self, h, digest, data):
        start = h.range_start()
        if start:
            h.start(206, len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            h.start(200, len(data))
        self.send(h, digest, data[start:start + 1])
        h.hang_up()


@fault("blob-416-always")
class _(Repo):
    want = r"."

    def fault(self, h, digest, data):
        h.error(416, "RANGE_INVALID")


@fault("blob-206-unasked")
class _(Repo):
    """A part for who asked for the whole."""
    want = r"."

    def fault(self, h, digest, data):
        h.start(206, len(data) - HALF, Content_Range=f"bytes {HALF}-{len(data) - 1}/{len(data)}")
        self.send(h, digest, data[HALF:])


@fault("blob-502-then-503-then-good")
class _(Repo):
    def fault(self, h, digest, data):
        n = self.times("blob")
        self.whole(h, digest) if n > 2 else h.error(501 + n, "UNKNOWN")


@fault("blob-429-with-a-date")
class _(Once):
    def first(self, h, digest, data):
        h.error(429, "TOOMANYREQUESTS", Retry_After=time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2)))


@fault("blob-429-with-nonsense")
class _(Once):
    def first(self, h, digest, data):
        h.error(429, "TOOMANYREQUESTS", Retry_After="-99999999999999999999")


@fault("blob-bomb")
class _(Repo):
    """Small here and larger than the limit when it is unpacked."""
    want, within = r"limit|large|more than", 60

    def make(self):
        small = mk.tar_of([("name", self.name.encode(), 0o644)])
        self.image = mk.Image([small, small])
        bomb = gzip.compress(b"\0" * (300 * MIB), 1)
        self.layers = [mk.compress(small, "gzip"), bomb]
        self.large = mk.sha(bomb)
        self.put_blob(self.image.config)
        for layer in self.layers:
            self.put_blob(layer)
        self.tag("1", self.document())


# ---- more of manifests --------------------------------------------------------------------------------------

@fault("manifest-405")
class _(Repo):
    want = r"405|not allowed"

    def manifest(self, h, ref):
        h.reply(405)


@fault("manifest-403-with-escapes")
class _(Repo):
    want = r"denied"

    def manifest(self, h, ref):
        h.error(403, "DENIED", "\x1b]0;owned\x07no\r\nbulkhead: a second line\x9b31m\u202e")


@fault("manifest-names-the-config-a-layer")
class _(Repo):
    """A tar where JSON should be."""
    want = r"."

    def make(self):
        super().make()
        document = self.document()
        document["config"] = {"mediaType": mk.CONFIG, "digest": self.large, "size": len(self.layers[1])}
        self.tag("1", document)


@fault("manifest-names-the-layer-a-config")
class _(Repo):
    """JSON where a tar should be."""
    want = r"."

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1] = {"mediaType": mk.LAYER, "digest": self.image.id, "size": len(self.image.config)}
        self.tag("1", document)


@fault("manifest-names-an-index-as-manifest")
class _(Repo):
    want = r"."

    def make(self):
        super().make()
        entry = self.keep(self.index({**self.keep(self.document()), "platform": {"os": "linux", "architecture": "amd64"}}))
        entry["mediaType"] = mk.MANIFEST
        self.tag("1", self.index({**entry, "platform": {"os": "linux", "architecture": "amd64"}}))


@fault("manifest-names-itself")
class _(Repo):
    """By tag, there is no digest that could: a platform's entry whose answer is the index again."""
    want = r"digest"

    def make(self):
        super().make()
        self.tag("1", self.index({"mediaType": mk.INDEX, "digest": "sha256:" + "8" * 64, "size": 400,
                                  "platform": {"os": "linux", "architecture": "amd64"}}))

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags["1"]]
        h.reply(200, data, Content_Type=kind)


@fault("manifest-with-thousands-of-layers")
class _(Repo):
    want = r"layers"

    def make(self):
        super().make()
        document = self.document()
        document["layers"] = document["layers"] * 5000
        self.tag("1", document)


@fault("manifest-with-empty-layer-size")
class _(Repo):
    want = r"size|bytes|digest"

    def make(self):
        super().make()
        document = self.document()
        document["layers"][1]["size"] = 0
        self.tag("1", document)


@fault("manifest-moves-all-the-time")
class _(Repo):
    """Each time the tag is asked for it is another: one of them is pulled, whole."""
    def manifest(self, h, ref):
        if ref == "1":
            self.tag("1", self.document(annotations={"n": str(self.times("manifest"))}))
        super().manifest(h, ref)


# ---- more of rights -----------------------------------------------------------------------------------------

@fault("token-expired-when-given")
class _(Private):
    def token(self, h):
        self.tokens += 1
        h.reply(200, json.dumps({"token": f"token-of-{self.name}-{self.tokens}", "expires_in": 0,
                                 "issued_at": "2001-01-01T00:00:00Z"}).encode())


@fault("token-called-access-token")
class _(Private):
    def token(self, h):
        h.reply(200, json.dumps({"access_token": f"token-of-{self.name}-1"}).encode())


@fault("token-is-a-number")
class _(Private):
    want = r"token"

    def token(self, h):
        h.reply(200, b'{"token": 5}')


@fault("token-of-a-mebibyte")
class _(Private):
    want = r"large|limit|more than"

    def token(self, h):
        h.reply(200, json.dumps({"token": f"token-of-{self.name}-" + "1" * MIB}).encode())


@fault("token-lives-for-nonsense")
class _(Private):
    want = r"."

    def token(self, h):
        h.reply(200, json.dumps({"token": f"token-of-{self.name}-1", "expires_in": "soon"}).encode())


@fault("token-complains-with-escapes")
class _(Private):
    want = r"."

    def token(self, h):
        h.error(401, "DENIED", "\x1b[2Jgo\r\naway")


@fault("realm-is-elsewhere")
class _(Private):
    """As docker.io has it: the password is for the realm that the registry names, the token for the registry."""
    def realm(self):
        return f"http://{self.registry.other}/token/{self.name}/x"


@fault("challenge-five-hundred-times")
class _(Private):
    want = r"headers"

    def challenge(self, h):
        h.send_response(401)
        for i in range(500):
            h.send_header("WWW-Authenticate", f'Bearer realm="http://{self.registry.other}/token/{self.name}/{i}"')
        h.send_header("Content-Length", "0")
        h.end_headers()


@fault("challenge-offers-both")
class _(Private):
    """Bearer is better than Basic, in whichever order."""
    def challenge(self, h):
        h.error(401, "UNAUTHORIZED", WWW_Authenticate=f'Basic realm="r", Bearer realm="{self.realm()}",service="faulty"')


# ---- TLS: the way down is closed ----------------------------------------------------------------------------

class Secure(Private):
    secure = True


@fault("tls-is-good")
class _(Secure):
    pass


@fault("tls-realm-is-plain")
class _(Secure):
    """The password would be told to everybody."""
    want = r"realm|http"

    def realm(self):
        return f"http://{self.registry.other}/token/{self.name}/x"


@fault("tls-redirects-to-plain")
class _(Secure):
    want = r"redirect"

    def fault(self, h, digest, data):
        h.reply(307, Location=f"http://{self.registry.other}/blob/{self.name}/{digest}")


@fault("tls-redirects-a-manifest-to-plain")
class _(Secure):
    want = r"redirect"

    def manifest(self, h, ref):
        h.reply(307, Location=f"http://{self.registry.other}/manifest/{self.name}/{ref}")


@fault("tls-token-redirects-to-plain")
class _(Secure):
    want = r"redirect"

    def token(self, h):
        h.reply(307, Location=f"http://{self.registry.other}/token/{self.name}/x")


@fault("tls-manifest-is-cut")
class _(Secure):
    """No length, no close_notify: somebody in between has cut the connection."""
    want, within = r".", 30

    def manifest(self, h, ref):
        kind, data = self.manifests[self.tags.get(ref, ref)]
        h.start(200, Content_Type=kind, Connection="close")
        h.wfile.write(data[:-1])
        h.hang_up()


@fault("redirect-ten-times")
class _(Repo):
    def fault(self, h, digest, data):
        n = int(h.query.get("n", 0))
        h.reply(307, Location=f"{h.path.split('?')[0]}?n={n + 1}") if n < 10 else self.whole(h, digest)


@fault("redirect-eleven-times")
class _(Repo):
    want = r"redirect"

    def fault(self, h, digest, data):
        n = int(h.query.get("n", 0))
        h.reply(307, Location=f"{h.path.split('?')[0]}?n={n + 1}") if n < 11 else self.whole(h, digest)
