"""What the docker command prints about data that a test chooses: the command is real, the engine behind it is not.

Only the questions of `docker images` are answered.  Standard library only.
"""
import fcntl, http.server, json, os, pty, socketserver, struct, subprocess, termios, threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps(self.server.images if "/images/json" in self.path else {}).encode()
        self.send_response(200)
        for name, value in (("Api-Version", "1.51"), ("Ostype", "linux"), ("Content-Type", "application/json"), ("Content-Length", len(body))):
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def on_terminal(words, columns, env):
    """All that the words print on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={**env, "TERM": "xterm"})
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 65536):
            seen += data
    except OSError:  # the other end has gone
        pass
    os.close(ours)
    assert process.wait() == 0, seen
    return seen.decode().replace("\r\n", "\n")


def docker_images(folder, images, *words, columns=None):
    """`docker images WORDS` with these images of the Engine API; on a terminal, or into a pipe."""
    path = os.path.join(folder, "fake.sock")
    env = {**os.environ, "DOCKER_CONFIG": folder}
    command = ["docker", "-H", f"unix://{path}", "images", *words]
    with Server(path, Handler) as server:
        server.images = images
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            if columns:
                return on_terminal(command, columns, env)
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout
        finally:
            server.shutdown()
            os.unlink(path)
