#!/usr/bin/env python3
"""record.py: asks docker and buildah anew and writes expected.json.
record.py --new: asks only for cases that expected.json has not, and adds them.
record.py WORD: only the cases whose names have the word; the answers are shown and nothing is written.
"""
import json
import os
import shutil
import signal
import sys
import tempfile

import bases
import form
import peers
import result
import table_add, table_config, table_copy, table_run, table_stages, table_words  # noqa: E401,F401

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.json")


def ask(peer, cases, folder, reader):
    """name -> lines of the result, or why it failed as a str."""
    contexts, answers, built = f"{folder}/contexts-{peer.name}", {}, []
    for one in cases:
        if peer.name in one.lacks:
            continue
        why = peer.build(one, one.write(contexts), contexts)
        if why is None:
            built.append(one)
        else:
            answers[one.name] = why.strip() or "no reason given"
    results = peer.results([one.tag for one in built], reader) if built else {}
    for one in built:
        lines = results[one.tag]
        answers[one.name] = lines if peer.has_layers else without_layers(lines)
    return answers


def ask_peers(cases):
    """peer -> answers.  Those that this host cannot run are left out, with a word on standard error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the peers end with us
    folder = tempfile.mkdtemp(prefix="bh-peers-")
    found = {}
    try:
        data, images = bases.archive()
        archive = bases.mk.write(f"{folder}/bases.tar", data)
        for make in (peers.Docker, peers.Buildah):
            try:
                peer = make(folder)
            except peers.Skip as why:
                print(f"{make.name}: {why}", file=sys.stderr)
                continue
            try:
                peer.load(archive)
                found[peer.name] = ask(peer, cases, folder, result.Reader(images))
            finally:
                peer.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def stable(answer):
    """What is kept of an answer: of a failure only that it is one, its text names temporary folders."""
    return answer if isinstance(answer, list) else "fails"


def shorter(answers):
    """{"both": ..} when they agree, where buildah tells no number of layers."""
    docker, buildah = answers.get("docker"), answers.get("buildah")
    if docker is None or buildah is None or without_layers(docker) != buildah:
        return answers
    return {"both": docker}


def without_layers(answer):
    return answer if isinstance(answer, str) else [line for line in answer if not line.startswith("layers ")]


def save(found, known):
    """case -> {"docker": .., "buildah": ..} or {"both": ..}."""
    whole = {}
    for one in form.ALL:
        if one.name in known:
            whole[one.name] = shorter({peer: answer for peer, answer in known[one.name].items() if peer not in one.lacks})
            continue
        answers = {peer: stable(found[peer][one.name]) for peer in sorted(found) if one.name in found[peer]}
        whole[one.name] = shorter(answers)
    with open(EXPECTED, "w") as f:
        f.write(json.dumps(whole, indent=0, ensure_ascii=False) + "\n")


def expected():
    """case -> peer -> lines or "fails"."""
    with open(EXPECTED) as f:
        whole = json.load(f)
    return {name: {"docker": a["both"], "buildah": without_layers(a["both"])} if "both" in a else a for name, a in whole.items()}


def show(found):
    for peer, answers in found.items():
        for name, answer in answers.items():
            print(f"== {peer}: {name}", *(answer if isinstance(answer, list) else answer.splitlines()[-6:]), sep="\n  ")


if __name__ == "__main__":
    known = expected() if sys.argv[1:] == ["--new"] else {}
    if len(sys.argv) > 1 and not known:
        show(ask_peers([c for c in form.ALL if sys.argv[1] in c.name]))
    else:
        found = ask_peers([c for c in form.ALL if c.name not in known])
        if len(found) != 2:
            sys.exit("both peers are needed to write expected.json")
        save(found, known)
