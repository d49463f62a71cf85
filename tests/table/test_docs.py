#!/usr/bin/env python3
"""The documents and the unit against the tree: files and tests that they name are there, every key of the configuration too.

    test_docs.py SOURCE_FOLDER
"""
import os
import re
import sys

TOP = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FOLDERS = {"reg": "registry", "rt": "runtime", "cli": "client"}  # names of unit tests: test_<folder or this>_<file>
failures = []


def check(ok, text):
    print(("ok   " if ok else "FAIL ") + text)
    if not ok:
        failures.append(text)


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


def tree():
    paths = []
    for folder, folders, names in os.walk(TOP):
        if folder == TOP:
            folders[:] = [f for f in folders if not f.startswith(("build", ".git"))]
        paths += [os.path.relpath(os.path.join(folder, name), TOP) for name in names]
    return paths


def is_there(word, paths):
    """A path or the end of one; in unit tests also the name of the executable."""
    if any(p == word or p.endswith("/" + word) for p in paths):
        return True
    stem = re.sub(r"\.(c|py)$", "", word)
    if any(os.path.basename(p) in (stem + ".c", stem + ".py") for p in paths):
        return True
    unit = re.fullmatch(r"test_([a-z]+)_(\w+)", stem)
    return bool(unit) and f"tests/unit/{FOLDERS.get(unit[1], unit[1])}/test_{unit[2]}.c" in paths


def test_names(paths):
    documents = [p for p in paths if p.endswith(".md") and (p.startswith("docs/") or "/" not in p)]
    check(len(documents) > 8, f"{len(documents)} documents")
    for path in sorted(documents):
        text = read(path)
        words = set(re.findall(r"`((?:[\w./-]+/)?[\w-]+\.(?:c|h|py|sh|proto))`", text))
        words |= set(re.findall(r"`((?:test|fuzz)_\w+)`", text))
        words |= set(re.findall(r"`((?:docs|tests|svc-\w+|supervisor|client|lib|proto|packaging)/[\w./-]+)`", text))
        missing = sorted(w for w in words if not is_there(w, paths) and not os.path.exists(os.path.join(TOP, w)))
        check(not missing, f"{path}: what it names is there" + (f", but not {missing}" if missing else ""))


def test_cases():
    """A case of a test that the threat model quotes is one."""
    text, missing = read("docs", "threat-model.md"), []
    for name, quoted in re.findall(r'`(?:tests/integration/)?(test_\w+\.py)`((?:,? "[^"]+")+)', text):
        file = read("tests", "integration", name)
        missing += [f"{name}: {words}" for words in re.findall(r'"([^"]+)"', quoted) if words not in file]
    check(not missing, "threat model: the cases that it quotes are there" + (f", but not {missing}" if missing else ""))


def test_keys():
    """[table] key of the code, as the readers refuse all others, and of bulkheadd(8)."""
    code = {"storage_form"}
    for path in ("supervisor/rightless/settings.c", "svc-store/options.c"):
        for table, keys in re.findall(r'\{"(\w+)", "( [\w ]+ )"\}', read(path)):
            code |= {f"{table}.{key}" for key in keys.split()}
    listed = re.search(r'bh_conf_only_keys\(t,((?:\s*"[^"]*")+)', read("svc-registry/conf.c")).group(1)
    code |= {"registry." + key for key in re.sub(r'"', " ", listed).split()}
    page = read("docs", "man", "bulkheadd.8.scd").replace("\\", "")
    page = {key for key in re.findall(r"^\*([a-z_.]+)\*", page, flags=re.M)
            } | {key for line in re.findall(r"^\*[a-z_.]+\*,.*$", page, flags=re.M) for key in re.findall(r"\*([a-z_.]+)\*", line)}
    page = {key for key in page if "." in key or key == "storage_form"}
    check(code == page, f"bulkheadd(8) has the {len(code)} keys of the configuration" +
          (f"; only in the code: {sorted(code - page)}, only on the page: {sorted(page - code)}" if code != page else ""))


def test_unit():
    """What systemd leaves in the bounding set is what launch has: less keeps it from working, more is not needed."""
    table = re.search(r"sup_launch_caps =(.*?);", re.sub(r"/\*.*?\*/", "", read("supervisor", "rooms_table.h"), flags=re.S), flags=re.S)
    launch = {f"CAP_{name}" for name in re.findall(r"CAP\((\w+)\)", table.group(1))}
    unit = set(re.findall(r"CAP_\w+", read("packaging", "systemd", "bulkhead.service.in")))
    check(len(launch) > 10 and unit == launch, f"the unit's bounding set has launch's {len(launch)} capabilities" +
          (f"; they differ in {sorted(unit ^ launch)}" if unit != launch else ""))


everything = tree()
test_names(everything)
test_cases()
test_keys()
test_unit()
sys.exit(1 if failures else 0)
