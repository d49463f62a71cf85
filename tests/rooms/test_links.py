#!/usr/bin/env python3
"""What each binary links, how long the privileged code is, and who includes whom."""

import glob
import os
import re
import subprocess
import sys

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BULKHEAD_BUILD", TOP + "/build"))

# Beside what every program has: the C library, and in sanitizer builds their runtimes.
ALWAYS = {"linux-vdso", "ld-linux-x86-64", "ld-linux-aarch64", "libc", "libm", "libpthread", "libdl", "librt", "libgcc_s",
          "libasan", "libubsan", "libtsan", "libstdc++", "libgcov", "libresolv"}
PROC = {"libseccomp", "libcap-ng"}
RPC = PROC | {"libnng", "libprotobuf-c", "libatomic", "libmbedtls", "libmbedx509", "libmbedcrypto"}
ALLOWED = {
    "bulkheadd": PROC,
    "bulkhead-launch": PROC,
    "bulkhead-monitor": PROC,
    "bulkhead-tree": PROC | {"libcrypto"},
    "bulkhead-init": set(),
    "bulkhead-unpack": PROC | {"libcrypto", "libz", "libzstd", "libisal", "liblzma", "libbz2", "libjansson",
                               "libprotobuf-c"},
    "bulkhead-store": RPC | {"libsqlite3", "libcrypto", "libjansson", "libz", "libzstd", "libisal"},
    "bulkhead-runtime": RPC | {"libsqlite3", "libcrypto", "libjansson"},
    "bulkhead-build": RPC | {"libcrypto", "libjansson"},
    "bulkhead-registry": None,  # TLS and HTTP bring their own
}
# Code that runs with rights; a *_table.h has constants alone and is counted apart.  What launch's children do after they gave all up lies in other folders.
PRIVILEGED = ("supervisor/*.[ch]", "lib/proc/spawn.[ch]", "lib/proc/ask.[ch]", "svc-runtime/launch/*.[ch]")
PRIVILEGED_GOAL = 3000  # of code in all of these, and of all lines in the .c files of supervisor and launch
PRIVILEGED_MAX = 2967  # a ratchet: lower it with the code, never raise it
ROOM_FOLDERS = ("supervisor", "svc-store", "svc-registry", "svc-build", "svc-runtime", "client")
failures = []


def check(ok, text):
    print(("ok   " if ok else "FAIL ") + text)
    if not ok:
        failures.append(text)


def linked(path):
    out = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    words = (line.split()[0] for line in out.splitlines() if line.strip() and "statically" not in line)
    return {re.sub(r"\.so.*", "", os.path.basename(word)) for word in words}


def lines_of_code(path):
    """Lines that are neither blank nor comment."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    return sum(1 for line in text.splitlines() if re.sub(r"//.*", "", line).strip())


def test_links():
    for name, allowed in ALLOWED.items():
        path = os.path.join(BUILD, "bin", name)
        if not os.path.exists(path):
            check(False, f"{name} is not built")
            continue
        if allowed is None:
            continue
        extra = {lib for lib in linked(path) if not lib.startswith("ld-linux")} - ALWAYS - allowed
        check(not extra, f"{name} links nothing else" + (f": {sorted(extra)}" if extra else ""))


def test_lines():
    total = 0
    for pattern in PRIVILEGED:
        paths = glob.glob(os.path.join(TOP, pattern))
        data = sum(lines_of_code(path) for path in paths if path.endswith("_table.h"))
        part = sum(lines_of_code(path) for path in paths) - data
        print(f"     {part:5} lines of code in {pattern}" + (f", and {data} of constant tables" if data else ""))
        total += part
    paths = glob.glob(os.path.join(TOP, "supervisor/*.c")) + glob.glob(os.path.join(TOP, "svc-runtime/launch/*.c"))
    whole = 0
    for path in paths:
        with open(path, encoding="utf-8") as f:
            whole += len(f.readlines())
    check(whole <= PRIVILEGED_GOAL, f"supervisor and launch have {whole} lines with comments, at most {PRIVILEGED_GOAL}")
    check(total <= PRIVILEGED_MAX, f"privileged code has {total} lines, at most {PRIVILEGED_MAX}, goal {PRIVILEGED_GOAL}")


def test_includes():
    """A room includes lib/, generated messages and itself, never another room; lib includes no room."""
    wrong = []
    for top in ROOM_FOLDERS + ("lib",):
        for folder, _, names in os.walk(os.path.join(TOP, top)):
            for name in names:
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as f:
                    quoted = re.findall(r'^\s*#\s*include\s+"([^"]+)"', f.read(), flags=re.M)
                wrong += [f"{os.path.relpath(path, TOP)}: {inc}" for inc in quoted
                          if any(inc.startswith(other + "/") for other in ROOM_FOLDERS if other != top)
                          or inc.startswith("../")]
    check(not wrong, "no room includes another" + (f": {wrong}" if wrong else ""))


def test_hardening():
    """Position independent, full RELRO, no executable stack."""
    for name in ALLOWED:
        path = os.path.join(BUILD, "bin", name)
        if not os.path.exists(path):
            continue
        out = subprocess.run(["readelf", "-lhdW", path], capture_output=True, text=True, check=False).stdout
        static = "INTERP" not in out
        stack = re.search(r"GNU_STACK.*", out)
        ok = "GNU_RELRO" in out and stack is not None and "RWE" not in stack.group(0)
        check(ok and ("DYN (" in out or static) and ("BIND_NOW" in out or "NOW" in out or static), f"{name} is hardened")


test_links()
test_lines()
test_includes()
test_hardening()
sys.exit(1 if failures else 0)
