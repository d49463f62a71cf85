"""A registry that misbehaves on purpose: each repository has one fault, which its name tells.

    with FaultyRegistry() as r:
        e.cli("pull", f"{r.host}/blob-reset-once:1")
        r.repo("blob-reset-once").sent        # bytes of blobs that left, by digest
        r.elsewhere                           # requests that a second origin got, with all headers

The faults are in faulty_pulls.py and faulty_pushes.py.  Nothing here leaves the loopback.  Standard library only.
"""
import base64, http.server, threading

import faulty_pulls, faulty_pushes  # noqa: F401  they fill FAULTS
from faulty_repo import FAULTS, PASSWORD, USER, Handler, Repo


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients that leave in the middle are what this is for


class FaultyRegistry:
    def __init__(self):
        self.repos, self.elsewhere, self.lock, self.closing = {}, [], threading.Lock(), threading.Event()
        self.servers = []
        for second in (False, True):
            server = Server(("127.0.0.1", 0), Handler)
            server.registry, server.second = self, second
            self.servers.append(server)
        self.host, self.other = (f"127.0.0.1:{s.server_address[1]}" for s in self.servers)

    def __enter__(self):
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def repo(self, name):
        with self.lock:
            if name not in self.repos:
                self.repos[name] = FAULTS.get(name, Repo)(self, name)
            return self.repos[name]

    def leaks(self):
        """Requests at the second origin that carried a secret."""
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return [(verb, path) for verb, path, headers in self.elsewhere
                if "authorization" in headers or "cookie" in headers
                or any(word in path + str(headers) for word in (PASSWORD, secret, "token-of-"))]
