"""An image, as lines that two builders can agree on.

    base 3                                  layers of a base image that it starts with
    config Env ["PATH=/bin"]                one line for each setting that is not empty, keys sorted
    file /a/b 644 0:0 "text"                what the layers above the base changed in the flattened tree;
    dir /x 755 0:0                          long or binary content: its length and the start of its SHA-256
    link /l 0:0 -> target
    same /a/c = /a/b                        a hard link
    gone /bin/vi
    xattr /a/b user.x "v"                   follows the line of its file

Times are not compared, and neither is history.
"""
import hashlib
import json
import tarfile

SETTINGS = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "Shell", "StopSignal", "User", "Volumes", "WorkingDir")


class Node:
    def __init__(self, info, content):
        self.mode, self.uid, self.gid = info.mode & 0o7777, info.uid, info.gid
        self.kind = ("dir" if info.isdir() else "link" if info.issym() else "file" if info.isreg() else "fifo" if info.isfifo()
                     else "device")
        self.content = content
        self.xattrs = {k[len("SCHILY.xattr."):]: v for k, v in info.pax_headers.items() if k.startswith("SCHILY.xattr.")}

    def line(self):
        owner = f"{self.uid}:{self.gid}"
        if self.kind == "link":
            return f"{owner} -> {self.content}"
        return f"{self.mode:o} {owner} {self.content}".rstrip()


with open("/bin/busybox", "rb") as program:
    BUSYBOX = program.read()


def brief(data):
    if data == BUSYBOX:  # whose version is the host's affair
        return "busybox"
    if len(data) <= 80 and data.isascii() and all(b >= 32 or b in b"\n\t\r" for b in data):
        return json.dumps(data.decode())
    return f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}"


class Typed(tarfile.TarInfo):
    """Of 1988 and later: some readers take a folder without a type for a file."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        if buf[156:157] == b"\0" and buf.strip(b"\0"):
            raise ValueError(f"{buf[:100]!r} has no type")
        return super().frombuf(buf, encoding, errors)


class Layer:
    """What one layer's tar says: nodes and links in order, whiteouts apart."""

    def __init__(self, stream):
        self.entries, self.gone, self.opaque = [], [], []
        digest = hashlib.sha256()
        with tarfile.open(fileobj=Hashed(stream, digest), mode="r|", format=tarfile.PAX_FORMAT, tarinfo=Typed) as tar:
            for info in tar:
                self._entry(tar, info)
        while chunk := stream.read(1 << 16):
            digest.update(chunk)
        self.diff_id = "sha256:" + digest.hexdigest()

    def _entry(self, tar, info):
        path = "/" + info.name.removeprefix("./").strip("/")
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            self.opaque.append(folder or "/")
        elif name.startswith(".wh."):
            self.gone.append(f"{folder}/{name[4:]}")
        elif info.islnk():
            self.entries.append((path, "/" + info.linkname.removeprefix("./").strip("/")))
        elif path not in ("/", "/."):
            content = ""
            if info.isreg():
                content = brief(tar.extractfile(info).read())
            elif info.issym():
                content = info.linkname
            elif info.isdev():
                content = f"{info.devmajor}:{info.devminor}"
            self.entries.append((path, Node(info, content)))


class Hashed:
    def __init__(self, stream, digest):
        self.stream, self.digest = stream, digest

    def read(self, n):
        data = self.stream.read(n)
        self.digest.update(data)
        return data


def below(path, folder):
    return path.startswith(folder.rstrip("/") + "/")


class Tree:
    def __init__(self, nodes=None):
        self.nodes = dict(nodes or {})

    def remove(self, path, itself=True):
        for name in [n for n in self.nodes if below(n, path) or (itself and n == path)]:
            del self.nodes[name]

    def apply(self, layer):
        for path in layer.opaque:
            self.remove(path, itself=False)
        for path in layer.gone:
            self.remove(path)
        for path, node in layer.entries:
            if isinstance(node, str):
                node = self.nodes[node]
            if node.kind != "dir" or (path in self.nodes and self.nodes[path].kind != "dir"):
                self.remove(path)
            self.nodes[path] = node
        return self

    def lines(self):
        """path -> lines of it."""
        first, out = {}, {}
        for path in sorted(self.nodes):
            node = self.nodes[path]
            other = first.setdefault(id(node), path)
            if other != path:
                out[path] = [f"same {path} = {other}"]
                continue
            out[path] = [f"{node.kind} {path} {node.line()}"]
            out[path] += [f"xattr {path} {key} {json.dumps(value)}" for key, value in sorted(node.xattrs.items())]
        return out


class Reader:
    """Results of images; layers that were read once are known by their diff id."""

    def __init__(self, base_images):
        self.layers, self.trees = {}, {}
        self.bases = [[self.learn(layer) for layer in image.layers] for image in base_images.values()]

    def learn(self, data):
        import io
        layer = Layer(io.BytesIO(data))
        self.layers[layer.diff_id] = layer
        return layer.diff_id

    def tree_of_base(self, ids):
        key = tuple(ids)
        if key not in self.trees:
            tree = Tree()
            for name in ids:
                tree.apply(self.layers[name])
            self.trees[key] = (tree, tree.lines())
        return self.trees[key]

    def result(self, config, open_layer):
        """config: the image's JSON; open_layer(i): a stream of layer i's uncompressed tar."""
        ids = config["rootfs"].get("diff_ids") or []
        n = max((len(b) for b in self.bases if ids[:len(b)] == b), default=0)
        base, before = self.tree_of_base(ids[:n])
        tree = Tree(base.nodes)
        for i in range(n, len(ids)):
            if ids[i] not in self.layers:
                layer = Layer(open_layer(i))
                assert layer.diff_id == ids[i], f"layer {i} is {layer.diff_id}, the config says {ids[i]}"
                self.layers[ids[i]] = layer
            tree.apply(self.layers[ids[i]])
        after = tree.lines()
        lines = [f"base {n}", f"layers {len(ids) - n}", *settings(config)]
        for path in sorted({*before, *after}):
            if before.get(path) != after.get(path):
                lines += after.get(path, [f"gone {path}"])
        return lines


def settings(config):
    run = config.get("config") or {}
    found = {key: run.get(key) for key in SETTINGS}
    found["author"] = config.get("author")
    if found["Labels"]:
        found["Labels"] = {k: v for k, v in found["Labels"].items() if k != "io.buildah.version"}
    if found["WorkingDir"] == "/":  # what an absent one means
        found["WorkingDir"] = ""
    return [f"config {key} {json.dumps(value, sort_keys=True)}" for key, value in sorted(found.items()) if value not in (None, "", [], {})]
