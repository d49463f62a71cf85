"""The product's tutorial, step by step, against a fresh engine; run where the acceptance test is present.

BULKHEAD_ACCEPT names its folder; else it is looked for beside the checkout.
"""
import os, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
from engine import Engine, need_root  # noqa: E402

LATER = "pull,search,build,push,prune"  # verbs of later versions


def accept_folder():
    beside = os.path.join(HERE, "..", "..", "..", "shared", "accept")
    folder = os.path.abspath(os.environ.get("BULKHEAD_ACCEPT", beside))
    return folder if os.path.exists(os.path.join(folder, "tutorial.py")) else None


def main():
    need_root()
    accept = accept_folder()
    if accept is None or not shutil.which("skopeo") or not shutil.which("mmdebstrap"):
        print("the acceptance test, skopeo or mmdebstrap is not there: skipped")
        sys.exit(77)
    images = tempfile.mkdtemp(prefix="bulkhead-tutorial-")
    try:
        made = subprocess.run([sys.executable, f"{accept}/images.py", "make", images], capture_output=True, text=True)
        if made.returncode != 0:
            print(made.stderr[-2000:])
            sys.exit("the images of the tutorial could not be made")
        with Engine() as engine:
            words = [sys.executable, f"{accept}/tutorial.py", "--preload", images, "--without", LATER, "--",
                     engine.client(), "--host", engine.host]
            sys.exit(subprocess.run(words, timeout=500).returncode)
    finally:
        shutil.rmtree(images, ignore_errors=True)


if __name__ == "__main__":
    main()
