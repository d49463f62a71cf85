"""A registry that misbehaves on purpose: each repository has one fault, which its name tells.

    with FaultyRegistry(folder) as r:             # r.certs_dir is for the engine's configuration
        e.cli("pull", r.name("blob-reset-once") + ":1")
        r.repo("blob-reset-once").sent        # bytes of blobs that left, by digest
        r.elsewhere                           # requests that a second origin got, with all headers

The faults are in faulty_pulls.py, faulty_pushes.py and faulty_lists.py; those of faulty_hosts.py are of a whole server and
have a port each.  Any other name is a repository without a fault, empty if it begins with "to-".  Nothing here leaves the loopback.  Standard library and openssl(1).
"""
import base64, http.server, os, shutil, ssl, threading

import faulty_lists, faulty_pulls, faulty_pushes  # noqa: F401  they fill FAULTS
from certificates import Authority
from faulty_hosts import HOSTS
from faulty_repo import FAULTS, PASSWORD, USER, Handler, Repo


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    second, fault, tls = False, None, None

    def handle_error(self, request, client_address):
        pass  # clients that leave in the middle are what this is for

    def finish_request(self, request, client_address):
        """In the thread of the connection: a client may be slow with its part of the handshake."""
        if self.fault and self.fault.raw:
            return self.fault.talk(request)
        if self.tls:
            request.settimeout(30)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


class FaultyRegistry:
    def __init__(self, folder):
        self.repos, self.elsewhere, self.lock, self.closing = {}, [], threading.Lock(), threading.Event()
        self.servers, self.certs_dir = [], f"{folder}/certs.d"
        self.pace = 0  # seconds before each 64 KiB of a blob
        self.authority = Authority(f"{folder}/authority")
        self.certificate = self.authority.sign("127.0.0.1")
        os.makedirs(self.certs_dir)
        self.host = self.listen()
        self.other = self.listen(second=True)
        self.secure = self.listen(tls=self.context())
        self.hosts = {}
        for name, kind in HOSTS.items():
            fault = kind(self, name)
            self.hosts[name] = fault
            fault.host = self.listen(fault=fault, tls=self.context(**fault.tls) if fault.tls is not None else None)

    def context(self, **settings):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for name, value in settings.items():
            made.set_ciphers(value) if name == "ciphers" else setattr(made, name, value)
        made.load_cert_chain(*self.certificate)
        return made

    def listen(self, **how):
        server = Server(("127.0.0.1", 0), Handler)
        server.registry = self
        for name, value in how.items():
            setattr(server, name, value)
        self.servers.append(server)
        host = f"127.0.0.1:{server.server_address[1]}"
        if how.get("tls"):
            os.makedirs(f"{self.certs_dir}/{host}")
            shutil.copy(self.authority.cert, f"{self.certs_dir}/{host}/ca.crt")
        return host

    def __enter__(self):
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        ends = [threading.Thread(target=server.shutdown) for server in self.servers]  # each waits for its loop
        for end in ends:
            end.start()
        for end, server in zip(ends, self.servers):
            end.join()
            server.socket.close()

    def name(self, fault):
        """host/repository"""
        return f"{self.secure if self.repo(fault).secure else self.host}/{fault}"

    def repo(self, name):
        with self.lock:
            if name not in self.repos:
                other = faulty_pushes.Target if name.startswith("to-") else Repo
                self.repos[name] = FAULTS.get(name, other)(self, name)
            return self.repos[name]

    def leaks(self):
        """Requests at the second origin that carried a secret."""
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return [(verb, path) for verb, path, headers in list(self.elsewhere)
                if ("authorization" in headers or "cookie" in headers
                    or any(word in path + str(headers) for word in (PASSWORD, secret, "token-of-")))
                and not path.startswith("/token/realm-is-elsewhere/")]
