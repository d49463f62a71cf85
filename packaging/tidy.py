#!/usr/bin/env python3
"""clang-tidy over the product's sources by the rules of .clang-tidy; what packaging/tidy.supp knows does not count.

    packaging/tidy.py [FILE...]      all files take some minutes the first time

A file that was clean is looked at again when what the compiler sees of it, or the rules, have changed: build-tidy/clean
keeps the sums.  Wants the Debian packages clang-14, clang-tidy-14 and those of a build (packaging/packages.sh).
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD, CLEAN = "build-tidy", "build-tidy/clean"
PRODUCT = ("lib/*.c", "supervisor/*.c", "svc-*.c", "client/*.c")


def commands():
    """Of each source: what compiles it, by clang and with its generated headers."""
    subprocess.run(["cmake", "-S", ".", "-B", BUILD, "-G", "Ninja", "-DCMAKE_C_COMPILER=clang-14", "-DBUILD_TESTING=OFF"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD, "--target", "bh_proto"], check=True, stdout=subprocess.DEVNULL)
    with open(f"{BUILD}/compile_commands.json", encoding="utf-8") as f:
        return {os.path.relpath(row["file"], TOP): row for row in json.load(f)}


def sum_of(row, rules):
    words = shlex.split(row["command"])
    at = words.index("-o")
    seen = subprocess.run([*words[:at], *words[at + 2:], "-E"], cwd=row["directory"], capture_output=True, check=False)
    return hashlib.sha256(rules + seen.stdout + seen.stderr).hexdigest()


def look(path, row, rules, known):
    """Lines of what is new; a clean file is remembered."""
    mark = os.path.join(CLEAN, path.replace("/", "+"))
    now = sum_of(row, rules)
    if os.path.exists(mark) and open(mark, encoding="utf-8").read() == now:
        return []
    done = subprocess.run(["clang-tidy-14", "-p", BUILD, "--quiet", path], capture_output=True, text=True, check=False)
    found = []
    for line in done.stdout.splitlines():
        said = re.match(r"(/[^:]+):\d+:\d+: (?:warning|error): .*\[([^],]+)", line)
        if said and f"{os.path.relpath(said[1], TOP)} {said[2]}" not in known:
            found.append(os.path.relpath(line, TOP) if line.startswith(TOP) else line)
    if done.returncode != 0 and not found:
        found.append(f"{path}: clang-tidy-14 ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    if not found:
        with open(mark, "w", encoding="utf-8") as f:
            f.write(now)
    return found


def main():
    os.chdir(TOP)
    missing = [tool for tool in ("clang-14", "clang-tidy-14", "cmake", "ninja") if not shutil.which(tool)]
    if missing:
        sys.exit(f"tidy: {', '.join(missing)} cannot be found: apt-get install clang-14 clang-tidy-14 cmake ninja-build")
    rows = commands()
    os.makedirs(CLEAN, exist_ok=True)
    with open(".clang-tidy", "rb") as f:
        rules = f.read()
    with open("packaging/tidy.supp", encoding="utf-8") as f:
        known = {line.strip() for line in f if not line.startswith("#")}
    listed = sys.argv[1:] or subprocess.run(["git", "ls-files", *PRODUCT], capture_output=True, text=True, check=True).stdout.split()
    unknown = [path for path in listed if path not in rows]
    if sys.argv[1:] and unknown:
        sys.exit(f"tidy: {unknown[0]} is no source of the product")
    jobs = int(os.environ.get("BH_JOBS", os.cpu_count() or 1))
    new = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(lambda path: look(path, rows[path], rules, known), [p for p in listed if p in rows]):
            new += len(found)
            print(*found, sep="\n", end="\n" if found else "", flush=True)
    print(f"tidy: {len(listed) - len(unknown)} files, {new or 'nothing'} found")
    sys.exit(1 if new else 0)


main()
