"""A forward proxy of the loopback: CONNECT for TLS, whole addresses for plain HTTP; names lead where the test says.

    with ProxyServer({"registry.test": 5000}, login=("p", "q")) as p:
        p.seen                                   # ["CONNECT registry.test:443", "GET http://registry.test/v2/", ..]
"""
import base64, socket, threading, urllib.parse


class ProxyServer:
    def __init__(self, places, login=None):
        self.places, self.seen, self.heads = places, [], []
        self.login = login and "Basic " + base64.b64encode(":".join(login).encode()).decode()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65536)
                if not data:
                    return
                head += data
            head, rest = head.split(b"\r\n\r\n", 1)
            first, *lines = head.decode().split("\r\n")
            verb, target, _ = first.split(" ", 2)
            self.seen.append(f"{verb} {target}")
            self.heads.append(head.decode())
            headers = dict(line.split(": ", 1) for line in lines)
            if self.login and headers.get("Proxy-Authorization") != self.login:
                return client.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            url = urllib.parse.urlsplit(target if verb != "CONNECT" else f"//{target}")
            if url.hostname not in self.places:
                return client.sendall(b"HTTP/1.1 502 Unknown\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            with socket.create_connection(("127.0.0.1", self.places[url.hostname])) as server:
                if verb == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    server.sendall(rest)
                else:
                    path = url.path + (f"?{url.query}" if url.query else "")
                    kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
                    server.sendall("\r\n".join([f"{verb} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode() + rest)
                both = [threading.Thread(target=self.pump, args=pair, daemon=True) for pair in ((client, server), (server, client))]
                for thread in both:
                    thread.start()
                for thread in both:
                    thread.join()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
