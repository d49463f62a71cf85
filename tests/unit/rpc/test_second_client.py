#!/usr/bin/env python3
"""The client that shares no code with us, against the test service: test_second_client.py ECHO_SERVER CLIENT."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

ECHO = "bulkhead.test.v1.Echo/"


def run(client, *args):
    done = subprocess.run([sys.executable, client, *args], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def check(what, got, want):
    if got != want:
        raise SystemExit("%s: got %r, want %r" % (what, got, want))


def main(server, client):
    root = tempfile.mkdtemp(prefix="bh-rpc-")
    folder = os.path.join(root, "echo")
    os.mkdir(folder)
    service = subprocess.Popen([server, folder])
    try:
        for _ in range(200):
            if os.path.exists(os.path.join(folder, "fd.sock")):
                break
            time.sleep(0.02)
        code, out, err = run(client, root, "hello", "echo")
        check("hello", (code, out.split()[2:]), (0, ["protocol", "1.0", "chunk", "1048576"]))
        check("unary", run(client, root, "call", "echo", ECHO + "Say", "0a026869"), (0, "0a026869\n", ""))
        code, out, err = run(client, root, "stream", "echo", ECHO + "Count", "20e807")
        check("stream", (code, len(out.split("\n"))), (0, 1001))
        code, out, err = run(client, root, "call", "echo", ECHO + "Say", "0a0268691805")
        check("error", (code, err), (1, "second_client: status 5: say: hi (ask for something else)\n"))
        code, out, err = run(client, root, "call", "echo", ECHO + "Nope")
        check("unknown method", (code, "status 12" in err), (1, True))
    finally:
        service.kill()
        service.wait()
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
