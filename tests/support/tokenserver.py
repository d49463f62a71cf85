"""A token server for docker-registry's `auth: token`, and what it was asked.

    with TokenServer(authority, {"ann": ("password", {"team": {"pull", "push"}}), "": (None, {"public": {"pull"}})}) as t:
        DockerRegistry(folder, more=t.config())
        t.asked                                  # [(user, [scope, ..]), ..]

A user's rights are by the first piece of a repository's name.  Standard library and openssl(1).
"""
import base64, http.server, json, subprocess, threading, time, urllib.parse

from certificates import openssl
from dockerregistry import free_port

SERVICE, ISSUER = "test-registry", "test-issuer"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenServer:
    def __init__(self, authority, users, life=300):
        self.users, self.life, self.asked, self.refresh = users, life, [], {}
        self.cert, self.key = authority.sign("token.test", rsa=True)
        self.root = authority.cert
        der = openssl("x509", "-in", self.cert, "-outform", "DER")
        self.header = b64(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}).encode())
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def reply(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                user, password = "", None
                if (words := self.headers.get("Authorization", "").split()) and words[0] == "Basic":
                    user, password = base64.b64decode(words[1]).decode().split(":", 1)
                outer.answer(self, user, password, query)

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                query = urllib.parse.parse_qs(self.rfile.read(length).decode())
                grant = query.get("grant_type", [""])[0]
                if grant == "refresh_token":
                    user = outer.refresh.get(query["refresh_token"][0])
                    return outer.answer(self, user, outer.users[user][0] if user else "", query, "access_token")
                outer.answer(self, query.get("username", [""])[0], query.get("password", [""])[0], query, "access_token")

        self.handler = Handler
        self.port = free_port()
        self.realm = f"http://127.0.0.1:{self.port}/token"

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def config(self):
        """Lines for docker-registry."""
        auth = {"token": {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": self.root}}
        return f"auth: {json.dumps(auth)}\n"

    def answer(self, h, user, password, query, key="token"):
        scopes = [s for text in query.get("scope", []) for s in text.split()]
        self.asked.append((user, scopes))
        if user not in self.users or self.users[user][0] != password:
            return h.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]})
        document = {key: self.sign(user, self.granted(user, scopes)), "expires_in": self.life}
        if query.get("offline_token") == ["true"] or query.get("access_type") == ["offline"]:
            document["refresh_token"] = f"refresh-of-{user}-{len(self.refresh)}"
            self.refresh[document["refresh_token"]] = user
        h.reply(200, document)

    def granted(self, user, scopes):
        rights, access = self.users[user][1], []
        for scope in scopes:
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            have = rights.get(name.split("/")[0], set()) if kind == "repository" else set()
            access.append({"type": kind, "name": name, "actions": sorted(have & set(actions.split(",")))})
        return access

    def sign(self, user, access):
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "exp": now + self.life, "nbf": now - 10, "iat": now - 10,
                  "jti": str(len(self.asked)), "access": access}
        text = f"{self.header}.{b64(json.dumps(claims).encode())}"
        made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), stdout=subprocess.PIPE, check=True)
        return f"{text}.{b64(made.stdout)}"
