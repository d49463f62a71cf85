#!/usr/bin/env python3
"""Every hostile case through `bulkhead load` of a real engine, with the outcomes of make_cases.py.

After each refusal: one line on standard error, without control bytes; the same images and files in the store as
before; every room still the same process.  What loads is removed again, and the store is as before too.
At the end `system check` finds nothing, and no process of the engine ever took more than 256 MB.
Needs root.  Usage: run_load.py [NAME-PREFIX] [--no-slow]   (BULKHEAD_BUILD names the build)
"""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../support")]
import engine  # noqa: E402
import make_cases  # noqa: E402

RSS_MAX_KB = 256 * 1024
# Limits that a case was made for, as the engine's config has them; others are the worker's own.
CONFIG_KEYS = {"max_unpacked": "unpacked", "max_entries": "entries"}


class Wrong(Exception):
    pass


def config_of(case):
    limits = {CONFIG_KEYS[k]: v for k, v in make_cases.limits_of(case).items() if k in CONFIG_KEYS}
    if not limits:
        return None
    return "[limits]\n" + "".join('%s = %s\n' % (k, v if k == "entries" else '"%d"' % v) for k, v in sorted(limits.items()))


def files(root):
    top = os.path.join(root, "state/store")
    out = []
    for tree in ("layers", "blobs", "ingest"):
        for folder, _, names in os.walk(os.path.join(top, tree)):
            out += [os.path.relpath(os.path.join(folder, n), top) for n in names]
    return sorted(out)


def images(e):
    return e.cli("images", "--all", "--quiet", "--no-trunc").stdout.split()


def rooms(e):
    return {line.split()[0]: line.split()[2] for line in e.cli("system", "rooms").stdout.splitlines()[1:]}


def check_refusal(case, r):
    text = r.stderr.rstrip("\n")
    if r.returncode != 1:
        raise Wrong("exit status %d" % r.returncode)
    if "\n" in text or not text:
        raise Wrong("not one line: %r" % r.stderr)
    if any(ord(ch) < 32 or 127 <= ord(ch) < 160 for ch in text):
        raise Wrong("control bytes: %r" % text)
    if case["word"] and case["word"] not in text:
        raise Wrong("%r is not in: %s" % (case["word"], text))


def remove_all(e):
    have = images(e)
    if have:
        e.cli("rmi", "--force", *have)


def run_case(e, case, verbose):
    want = case.get("load") or ("safe" if case["expect"] == "safe" else "refuse")
    with tempfile.NamedTemporaryFile(prefix="b-hostile-") as f:
        f.write(make_cases.build(case))
        f.flush()
        os.chmod(f.name, 0o644)
        before = files(e.root)
        r = e.cli("load", "--quiet", "--input", f.name, check=False, timeout=120)
        if verbose:
            print(case["name"], r.returncode, r.stderr.strip())
        if want == "refuse":
            check_refusal(case, r)
            if images(e):
                raise Wrong("it left an image")
        else:
            if r.returncode != 0:
                raise Wrong("refused: %s" % r.stderr.strip())
            if not images(e):
                raise Wrong("no image came")
            remove_all(e)
        after = files(e.root)
        if after != before:
            raise Wrong("files left: %s" % sorted(set(after) ^ set(before))[:4])


def peak_kb(pid):
    return int(engine.status_of(pid).get("VmHWM", "0 kB").split()[0])


def run_group(config, cases, verbose):
    bad = []
    with engine.Engine(config=config) as e:
        first = rooms(e)
        for case in cases:
            try:
                run_case(e, case, verbose)
                now = rooms(e)
                if now != first:
                    first = now
                    raise Wrong("a room was started again: %s" % now)
            except Wrong as w:
                bad.append(case["name"])
                print("%s: %s" % (case["name"], w))
                remove_all(e)
        for name, pid in first.items():
            if peak_kb(pid) > RSS_MAX_KB and not os.environ.get("BH_SANITIZED"):
                bad.append(name)
                print("%s took %d KB" % (name, peak_kb(pid)))
        r = e.cli("system", "check", check=False)
        if r.returncode != 0:
            bad.append("system check")
            print("system check: %s%s" % (r.stdout, r.stderr))
    return bad


def main(argv):
    engine.need_root()
    prefix = ([a for a in argv if not a.startswith("--")] + [""])[0]
    groups, bad, n = {}, [], 0
    for case in make_cases.all_cases():
        slow = case["params"].get("slow") and "--no-slow" in argv
        rlimit = case["params"].get("rlimit") and os.environ.get("BH_SANITIZED")
        if case["name"].startswith(prefix) and not slow and not rlimit:
            groups.setdefault(config_of(case), []).append(case)
            n += 1
    for config, cases in groups.items():
        bad += run_group(config, cases, "--verbose" in argv)
    print("hostile cases through load: %d; wrong: %d" % (n, len(bad)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
