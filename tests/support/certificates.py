"""An authority of a test's own and what it signs, by openssl(1).

    ca = Authority(folder)
    cert, key = ca.sign("127.0.0.1", "localhost")     # paths; days=-1: expired; client=True: of a client
"""
import os, subprocess


def openssl(*words, **more):
    return subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True, **more).stdout


class Authority:
    def __init__(self, folder, name="Test authority"):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.count = folder, 0
        self.cert, self.key = f"{folder}/ca.crt", f"{folder}/ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.key, "-out", self.cert)

    def sign(self, *hosts, days=30, client=False, rsa=False):
        """(certificate, key) of a key for these hosts."""
        self.count += 1
        base = f"{self.folder}/{self.count}"
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={hosts[0]}", "-keyout", f"{base}.key", "-out", f"{base}.csr")
        names = ",".join(("IP:" if h.replace(".", "").isdigit() or ":" in h else "DNS:") + h for h in hosts)
        with open(f"{base}.ext", "w") as f:
            f.write(f"subjectAltName={names}\nextendedKeyUsage={'client' if client else 'server'}Auth\n")
        period = ["-days", str(days)]
        openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", *period,
                "-extfile", f"{base}.ext", "-out", f"{base}.crt")
        return f"{base}.crt", f"{base}.key"
