#!/usr/bin/env python3
"""Writes the hostile corpus: DIR/<case>.tar, each an image archive, and DIR/expected.tsv.

expected.tsv: name, outcome for `bulkhead load` (refuse or safe), word that the message should have, limits
that the case was made for ("-": the defaults do).  run_cases.py runs the same cases through the worker
alone.  Usage: make_cases.py DIR [NAME-PREFIX]
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases_archive  # noqa: E402
import cases_layer  # noqa: E402
from tarbytes import docker_archive, plain, sha  # noqa: E402


def all_cases():
    for c in cases_archive.CASES:
        yield dict(c, layer=False)
    for c in cases_layer.CASES:
        yield dict(c, layer=True)


def build(case):
    data = case["make"]()
    if case["layer"]:
        data = docker_archive([data], [sha(case["tar"] or plain(data))], tags=["hostile/%s:1" % case["name"].lower()])
    return data


def limits_of(case):
    return {k: v for k, v in case["params"].items() if k.startswith("max_")}


def main(target, prefix=""):
    os.makedirs(target, exist_ok=True)
    with open(os.path.join(target, "expected.tsv"), "w") as table:
        for case in all_cases():
            if not case["name"].startswith(prefix):
                continue
            with open(os.path.join(target, case["name"] + ".tar"), "wb") as f:
                f.write(build(case))
            limits = ",".join("%s=%d" % kv for kv in limits_of(case).items()) or "-"
            outcome = case.get("load") or ("safe" if case["expect"] == "safe" else "refuse")
            table.write("\t".join([case["name"], outcome, case["word"] or "-", limits]) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:3])
