"""The product's tutorial, step by step, against a fresh engine; run where the acceptance test is present.

BULKHEAD_ACCEPT names its folder; else it is looked for beside the checkout.  With docker-registry installed
the images come from a registry on loopback, through a mirror rule for the default one, and every step is
taken; without it they are loaded from archives, and the steps that need a registry are left out.
BULKHEAD_ACCEPT_IMAGES names a folder with the images made before.
"""
import contextlib, os, shutil, socket, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from engine import Engine, need_root, wait_for  # noqa: E402

NEED_REGISTRY = "pull,search,build,push,prune"

RULES = """unqualified-search-registries = ["docker.io"]

[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "127.0.0.1:{port}"
insecure = true
"""


def accept_folder():
    beside = os.path.join(HERE, "..", "..", "..", "shared", "accept")
    folder = os.path.abspath(os.environ.get("BULKHEAD_ACCEPT", beside))
    return folder if os.path.exists(os.path.join(folder, "tutorial.py")) else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def served(accept, words, port):
    """A server of images.py, ended by its pid."""
    process = subprocess.Popen([sys.executable, f"{accept}/images.py", *words], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_for(f"images.py {words[0]}", 20, lambda: listens(port))
        yield
    finally:
        process.kill()
        process.wait()


def make_images(accept, folder):
    given = os.environ.get("BULKHEAD_ACCEPT_IMAGES")
    if given:
        return given
    images = os.path.join(folder, "images")
    made = subprocess.run([sys.executable, f"{accept}/images.py", "make", images], capture_output=True, text=True)
    if made.returncode != 0:
        print(made.stderr[-2000:])
        sys.exit("the images of the tutorial could not be made")
    return images


def take(accept, engine, words):
    command = [sys.executable, f"{accept}/tutorial.py", *words, "--", engine.client(), "--host", engine.host]
    return subprocess.run(command, timeout=500).returncode


def with_registry(accept, images, folder):
    port, hub = free_port(), free_port()
    rules = os.path.join(folder, "registries.conf")
    with open(rules, "w") as f:
        f.write(RULES.format(port=port))
    with served(accept, ["serve", os.path.join(folder, "registry"), str(port)], port), \
            served(accept, ["hub", str(hub)], hub):
        subprocess.run([sys.executable, f"{accept}/images.py", "push", images, f"127.0.0.1:{port}"], check=True)
        with Engine(config=f'[registry]\nregistries_conf = "{rules}"\n') as engine:
            return take(accept, engine, ["--registry", f"127.0.0.1:{port}", "--hub", f"127.0.0.1:{hub}"])


def main():
    need_root()
    accept = accept_folder()
    if accept is None or not shutil.which("skopeo") or not shutil.which("mmdebstrap"):
        print("the acceptance test, skopeo or mmdebstrap is not there: skipped")
        sys.exit(77)
    folder = tempfile.mkdtemp(prefix="bulkhead-tutorial-")
    try:
        images = make_images(accept, folder)
        if shutil.which("docker-registry"):
            sys.exit(with_registry(accept, images, folder))
        with Engine() as engine:
            sys.exit(take(accept, engine, ["--preload", images, "--without", NEED_REGISTRY]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
