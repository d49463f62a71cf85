"""Bulkhead builds each case of the tables; the result is that of docker (BuildKit) and buildah, or the table says why not.

expected.json has what the two made of the case (test_build_peers.py asks them).  A difference that the
table does not explain fails, and so does an explanation without a difference.  Then all is built once
more: the images must be the same, now out of the cache.  A word on the command line takes some cases.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import sys
import tempfile
import time

import bases
import form
import peers
import record
import result

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
from engine import Engine, need_root  # noqa: E402


class Bulkhead:
    """The engine in the place of a peer."""
    name, has_layers = "bulkhead", True

    def __init__(self, engine, folder):
        self.engine, self.folder, self.ids = engine, folder, {}

    def build(self, case, context, top):
        done = self.engine.cli("build", "-q", *peers.build_words(case, context, top), check=False)
        if done.returncode != 0:
            return done.stderr or "no word on standard error"
        before = self.ids.setdefault(case.name, done.stdout)
        return None if before == done.stdout else f"built twice, it was {before.strip()} and then {done.stdout.strip()}"

    def results(self, tags, reader):
        path = f"{self.folder}/all.tar"
        self.engine.cli("save", "-o", path, *tags)
        return peers.read_archive(path, reader)


def lines_of_difference(got, want):
    if "fails" in (got, want):
        return [f"got  {got}", f"want {want}"]
    if sorted(got) == sorted(want):
        return ["in another order"]
    return [f"got  {line}" for line in got if line not in want] + [f"want {line}" for line in want if line not in got]


def against_peer(case, got, peer, want):
    """Complaints about one peer; whether bulkhead does as it does."""
    mine = got if peer == "docker" else record.without_layers(got)
    if mine == want:
        return ([f"no longer differs from {peer}: the table says \"{case.differs[peer]}\""] if peer in case.differs else []), True
    if peer in case.differs:
        return [], False
    if want == "fails":
        return [f"{peer} refuses it"], False
    return [f"differs from {peer}", *lines_of_difference(mine, want)], False


def judge(case, answer, known):
    """Complaints about what bulkhead made of a case."""
    if isinstance(answer, str):
        if case.fails is None:
            return [f"failed: {answer.strip()[-700:]}"]
        if not re.search(case.fails, answer):
            return [f"the error does not match {case.fails!r}: {answer.strip()[-700:]}"]
    elif case.fails is not None:
        return ["was built, but must be refused", *answer[2:]]
    got, complaints, agrees = record.stable(answer), [], False
    for peer, want in known.items():
        said, same = against_peer(case, got, peer, want)
        complaints += said
        agrees = agrees or same
    if case.want is not None and got != case.want:
        complaints += ["not what the table wants", *lines_of_difference(got, case.want)]
    if not agrees and case.want is None and case.fails is None and not complaints:
        complaints.append("no peer agrees, and the table does not say what is wanted")
    return complaints


def build_all(side, cases, folder, reader):
    contexts = f"{folder}/contexts"
    for case in cases:
        case.write(contexts)

    def one(case):
        return case, side.build(case, os.path.join(contexts, case.name, "context"), contexts)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = dict(pool.map(one, cases))
        built = [c for c, why in answers.items() if why is None]
        results = side.results([c.tag for c in built], reader) if built else {}
        again = dict(pool.map(one, built))
    return {c: again[c] or results[c.tag] if why is None else why for c, why in answers.items()}


def main():
    need_root()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the engine ends with us
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    cases, known, failed, begin = [c for c in form.ALL if word in c.name], record.expected(), 0, time.monotonic()
    folder = tempfile.mkdtemp(prefix="bh-build-")
    os.chmod(folder, 0o755)
    try:
        data, images = bases.archive()
        with Engine() as engine:
            engine.cli("load", "-q", "-i", bases.mk.write(f"{folder}/bases.tar", data))
            side = Bulkhead(engine, folder)
            answers = build_all(side, cases, folder, result.Reader(images))
            tags = engine.cli("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
            left = engine.cli("ps", "-aq").stdout.split()
            wrong = engine.cli("system", "check", check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    broken = [line for line in engine.log if re.search(r"Sanitizer|runtime error:|seccomp-refused|assert|signal=(31|11|6)\b", line)]
    if left or broken or wrong.returncode != 0:
        failed += 1
        print("not ok - what is left behind", *left, *broken, wrong.stdout, wrong.stderr, sep="\n    ")
    for case, answer in answers.items():
        complaints = judge(case, answer, known.get(case.name, {}))
        if isinstance(answer, str) and case.tag in tags:
            complaints.append("was refused, and is in the image list")
        failed += bool(complaints)
        for i, line in enumerate(complaints):
            print(f"not ok - {case.name}: {line}" if i == 0 else f"    {line}")
    print(f"{len(cases)} cases, {failed} failed, {time.monotonic() - begin:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
