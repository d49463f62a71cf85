"""What can be wrong with what other commands ask for: lists of tags, single documents, removal, copies."""
import json

import faulty_pulls  # noqa: F401  whose faults are those of copies too
from faulty_repo import FAULTS, MIB, Repo, fault


class Tags(Repo):
    ask = ("tags", "-q", "{0}")

    def page(self, h, tags, link=None):
        headers = {"Link": f'<{link}>; rel="next"'} if link else {}
        h.reply(200, json.dumps({"name": self.name, "tags": tags}).encode(), **headers)


@fault("tags-good")
class _(Tags):
    say = r"^1\n$"


@fault("tags-in-pages")
class _(Tags):
    """Links are relative, absolute, and without a path of their own."""
    say = r"^a\nb\nc\nd\n$"

    def list(self, h):
        at = h.query.get("last", "")
        path = f"/v2/{self.name}/tags/list"
        links = {"": ("a", f"{path}?last=a&n=1"), "a": ("b", f"{self.origin}{path}?last=b"), "b": ("c", "list?last=c"), "c": ("d", None)}
        self.page(h, [links[at][0]], links[at][1])


@fault("tags-null")
class _(Tags):
    say = r"^$"

    def list(self, h):
        h.reply(200, json.dumps({"name": self.name, "tags": None}).encode())


@fault("tags-with-escapes")
class _(Tags):
    """What is no tag is left out: it would be printed."""
    say = r"^good\n$"

    def list(self, h):
        self.page(h, ["\x1b[2Jbad", "good", "with blank", "", "a" * 500, "new\nline", None, 7, ["x"]])


@fault("tags-are-no-list")
class _(Tags):
    want = r"."

    def list(self, h):
        h.reply(200, b'{"tags": {"a": 1}}')


@fault("tags-are-html")
class _(Tags):
    want = r"."

    def list(self, h):
        h.reply(200, b"<html></html>", Content_Type="text/html")


@fault("tags-are-huge")
class _(Tags):
    want = r"large|limit|more than"

    def list(self, h):
        h.reply(200, b'{"tags": ["' + b"a" * (5 * MIB) + b'"]}')


@fault("tags-link-to-itself")
class _(Tags):
    want = r"end"

    def list(self, h):
        self.page(h, ["a"], h.path)


@fault("tags-pages-without-end")
class _(Tags):
    want, within = r"end|more than", 60

    def list(self, h):
        n = self.times("page")
        self.page(h, [f"t{n}"], f"/v2/{self.name}/tags/list?last=t{n}")


@fault("tags-page-is-empty")
class _(Tags):
    """A page without a name ends the list, whatever it links to."""
    say = r"^a\n$"

    def list(self, h):
        if "last" in h.query:
            return self.page(h, [], f"/v2/{self.name}/tags/list?last=b")
        self.page(h, ["a"], f"/v2/{self.name}/tags/list?last=a")


@fault("tags-link-elsewhere")
class _(Tags):
    """The next page on another origin: no token goes there."""
    login, want = True, r"."

    def list(self, h):
        self.page(h, ["a"], f"http://{self.registry.other}/tags/{self.name}/x")


@fault("tags-link-to-a-file")
class _(Tags):
    want = r"."

    def list(self, h):
        self.page(h, ["a"], "file:///etc/passwd")


@fault("tags-link-is-junk")
class _(Tags):
    want = r"."

    def list(self, h):
        h.reply(200, b'{"tags": ["a"]}', Link="<<<>>>;;; rel=\"next\"")


@fault("tags-404")
class _(Tags):
    want = r"not found|denied|unknown"

    def list(self, h):
        h.error(404, "NAME_UNKNOWN", "repository name not known to registry")


@fault("tags-404-without-words")
class _(Tags):
    """No manifest was asked for, so none is missed."""
    want = r"\w: not found"

    def list(self, h):
        h.reply(404)


@fault("tags-500-once")
class _(Tags):
    say = r"^1\n$"

    def list(self, h):
        super().list(h) if self.times("list") > 1 else h.error(500, "UNKNOWN")


# ---- one document -------------------------------------------------------------------------------------------

class Look(Repo):
    ask = ("manifest", "inspect", "{0}:1")


@fault("inspect-good")
class _(Look):
    say = r"schemaVersion"


@fault("inspect-remote-good")
class _(Look):
    ask, say = ("inspect", "--remote", "{0}:1"), r"Architecture"


@fault("inspect-another-config")
class _(Look):
    ask, want = ("inspect", "--remote", "{0}:1"), r"digest|size|bytes"

    def blob(self, h, digest):
        h.reply(200, self.image.config.replace(b"linux", b"l1nux"))


@fault("inspect-endless")
class _(Look):
    want = r"large|limit|more than"

    def manifest(self, h, ref):
        h.start(200, Transfer_Encoding="chunked", Content_Type="application/vnd.oci.image.manifest.v1+json")
        while True:
            h.chunk(b" " * 65536)


@fault("inspect-with-escapes")
class _(Look):
    """What a stranger wrote is shown as JSON, where nothing moves the terminal."""
    say = r"schemaVersion"

    def make(self):
        super().make()
        self.tag("1", self.document(annotations={"a": "\x1b[2J\x07"}))


@fault("inspect-403")
class _(Look):
    want = r"denied"

    def manifest(self, h, ref):
        h.error(403, "DENIED", "\x1b]0;owned\x07requested access\nto the resource is denied")


# ---- removal ------------------------------------------------------------------------------------------------

class Removal(Repo):
    ask = ("image", "delete", "{0}:1")


@fault("delete-good")
class _(Removal):
    say = r""


@fault("delete-405")
class _(Removal):
    want = r"unsupported"

    def delete(self, h, ref):
        h.error(405, "UNSUPPORTED", "The operation is unsupported.")


@fault("delete-by-digest-alone")
class _(Removal):
    """As docker-registry does it: a tag is no name for a removal."""
    say = r""

    def delete(self, h, ref):
        super().delete(h, ref) if ref.startswith("sha256:") else h.error(400, "DIGEST_INVALID")


@fault("delete-404")
class _(Removal):
    want = r"not found|unknown"

    def delete(self, h, ref):
        h.error(404, "MANIFEST_UNKNOWN", "manifest unknown")


@fault("delete-stalls")
class _(Removal):
    want, within = r"time", 60

    def delete(self, h, ref):
        h.stall()


@fault("delete-redirects-elsewhere")
class _(Removal):
    """It is the registry that says who removes; its token stays behind."""
    login, say = True, r"Deleted"

    def delete(self, h, ref):
        h.reply(307, Location=f"http://{self.registry.other}/manifest/{self.name}/{ref}")


# ---- copies -------------------------------------------------------------------------------------------------

COPY = ("image", "copy", "{0}:1", "{host}/copied-{name}:1")


@fault("copy-good")
class _(Repo):
    ask = COPY


def copy_of(name):
    """The same fault while a copy goes from registry to registry."""
    @fault(f"copy-of-{name}")
    class _(FAULTS[name]):
        ask = COPY


for _name in ("blob-reset-once", "blob-cut-always", "blob-stalls-once", "blob-longer", "blob-404", "blob-500-once",
              "blob-reset-once-without-range", "blob-a-byte-for-each-request", "manifest-digest-header-lies", "manifest-endless", "redirect-elsewhere",
              "redirect-to-a-file", "token-expires-between-blobs"):
    copy_of(_name)


@fault("copy-of-a-corrupt-blob")
class _(FAULTS["blob-corrupt-in-the-middle"]):
    """The registry that gets it says so."""
    ask, want = COPY, r"digest"


@fault("copy-that-cannot-be-resumed")
class _(FAULTS["blob-resumed-at-another-place"]):
    """What was passed on already cannot be taken back."""
    ask, want = COPY, r"was asked for bytes from"


# ---- into a layout's folder: {folder} is the test's -----------------------------------------------------------

LAYOUT = ("image", "copy", "{0}:1", "oci:{folder}/layout-{name}:1")


def layout_of(name):
    """The same fault while a copy goes from a registry into a folder."""
    @fault(f"layout-of-{name}")
    class _(FAULTS[name]):
        ask = LAYOUT


for _name in ("blob-reset-once", "blob-cut-always", "blob-longer", "blob-404", "blob-500-once", "blob-corrupt-in-the-middle",
              "blob-reset-once-without-range", "manifest-digest-header-lies", "redirect-elsewhere", "token-expires-between-blobs"):
    layout_of(_name)
