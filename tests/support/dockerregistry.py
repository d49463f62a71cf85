"""The registry of Debian's package docker-registry on a port of the loopback, for tests; and what is in it.

    with DockerRegistry(folder) as r:
        r.put(image, "team/app:1")            # makeimage.Image
        r.digest("team/app:1")

Standard library only.
"""
import base64, ctypes, json, os, shutil, socket, ssl, subprocess, time, urllib.error, urllib.request

import makeimage as mk

ACCEPT = ", ".join([mk.INDEX, mk.MANIFEST, "application/vnd.docker.distribution.manifest.list.v2+json",
                    "application/vnd.docker.distribution.manifest.v2+json"])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def bcrypt(password):
    """The only form that docker-registry takes in an htpasswd file."""
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt.restype = ctypes.c_char_p
    return lib.crypt(password.encode(), b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


class DockerRegistry:
    """more: lines of the configuration, at its top level; http: entries of its "http"; tls: (certificate, key) files;
    login: (name, password) for what is asked by hand; address: of the loopback; delete: manifests may be removed."""

    def __init__(self, folder, more="", http=(), tls=None, login=None, address="127.0.0.1", delete=True, port=None):
        self.folder, self.more, self.process, self.login = folder, more, None, login
        self.http, self.tls, self.delete, self.address = dict(http), tls, delete, address
        self.port = port or free_port()
        self.host = f"{address}:{self.port}"

    @staticmethod
    def program():
        return shutil.which("docker-registry")

    def config(self):
        http = {"addr": self.host, **self.http}
        if self.tls:
            http["tls"] = {"certificate": self.tls[0], "key": self.tls[1], **http.get("tls", {})}
        return (f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                f"storage:\n  filesystem: {{rootdirectory: {self.folder}/data}}\n"
                f"  delete: {{enabled: {'true' if self.delete else 'false'}}}\nhttp: {json.dumps(http)}\n{self.more}")

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        config = os.path.join(self.folder, "config.yml")
        with open(config, "w") as f:
            f.write(self.config())
        self.process = subprocess.Popen([self.program(), "serve", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                socket.create_connection((self.address.strip("[]"), self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        raise AssertionError("docker-registry did not begin to listen")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    # ---- by hand ----

    def trust(self):
        """The test is no judge of certificates: the engine is."""
        return ssl._create_unverified_context() if self.tls else None

    def ask(self, verb, path, data=None, **headers):
        """(status, headers, body)"""
        scheme = "https" if self.tls else "http"
        url = path if path.startswith("http") else f"{scheme}://{self.host}/v2/{path}"
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        request = urllib.request.Request(url, data=data, method=verb, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.trust()) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as no:
            return no.code, no.headers, no.read()

    def blob(self, repo, data):
        """Puts it; its descriptor."""
        digest = mk.sha(data)
        _, headers, _ = self.ask("POST", f"{repo}/blobs/uploads/", b"")
        where = headers["Location"]
        status, _, body = self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", data,
                                   Content_Type="application/octet-stream")
        assert status == 201, (status, body)
        return {"digest": digest, "size": len(data)}

    def manifest(self, name, document, kind=None):
        """name: "repo:tag" or "repo@digest"; its descriptor."""
        data = document if isinstance(document, bytes) else json.dumps(document, indent=1).encode()
        kind = kind or document["mediaType"]
        repo, _, ref = name.rpartition("@" if "@" in name else ":")
        status, _, body = self.ask("PUT", f"{repo}/manifests/{ref}", data, Content_Type=kind)
        assert status == 201, (status, body)
        return {"mediaType": kind, "digest": mk.sha(data), "size": len(data)}

    def document(self, repo, image, codec="gzip"):
        """The blobs go there; the manifest as a dictionary."""
        kind = mk.LAYER + {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}[codec]
        return {"schemaVersion": 2, "mediaType": mk.MANIFEST,
                "config": {"mediaType": mk.CONFIG, **self.blob(repo, image.config)},
                "layers": [{"mediaType": kind, **self.blob(repo, mk.compress(layer, codec))} for layer in image.layers]}

    def put(self, image, name, codec="gzip"):
        """An image under "repo:tag"; the descriptor of its manifest."""
        return self.manifest(name, self.document(name.rpartition(":")[0], image, codec))

    def put_index(self, name, images):
        """[(image, platform), ...] -> the descriptor of an index of them."""
        repo, entries = name.rpartition(":")[0], []
        for image, platform in images:
            document = self.document(repo, image)
            digest = mk.sha(json.dumps(document, indent=1).encode())
            entries.append({**self.manifest(f"{repo}@{digest}", document), "platform": platform})
        return self.manifest(name, {"schemaVersion": 2, "mediaType": mk.INDEX, "manifests": entries})

    def read(self, name):
        """(descriptor, document) of what a name means, or None."""
        repo, _, ref = name.rpartition("@" if "@" in name else ":")
        status, headers, body = self.ask("GET", f"{repo}/manifests/{ref}", Accept=ACCEPT)
        if status != 200:
            return None
        return {"mediaType": headers["Content-Type"], "digest": mk.sha(body), "size": len(body)}, json.loads(body)

    def digest(self, name):
        found = self.read(name)
        return found and found[0]["digest"]

    def has_blob(self, repo, digest):
        return self.ask("HEAD", f"{repo}/blobs/{digest}")[0] == 200

    def get_blob(self, repo, digest):
        return self.ask("GET", f"{repo}/blobs/{digest}")[2]
