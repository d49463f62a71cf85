"""expected.json is what docker and buildah do: each case is built by those that are installed and compared.

Nothing of bulkhead runs here; test_build.py compares bulkhead with the same file.  A sample of the cases
is taken, all of them with BULKHEAD_TEST_PEERS=all.
"""
import os
import sys

import form
import record


def main():
    if os.geteuid() != 0:
        print("needs root, skipped", file=sys.stderr)
        sys.exit(77)
    known, failed = record.expected(), 0
    cases = form.ALL if os.environ.get("BULKHEAD_TEST_PEERS") == "all" else form.ALL[::12]
    found = record.ask_peers(cases)
    for peer, answers in found.items():
        for name, answer in answers.items():
            want = known.get(name, {}).get(peer)
            if record.stable(answer) != want:
                failed += 1
                print(f"not ok - {peer}: {name}")
                print(*(f"  now  {line}" for line in answer if line not in (want or [])) if isinstance(answer, list) else [f"  now  {answer[-300:]}"], sep="\n")
                print(*(f"  then {line}" for line in want or ["nothing"] if line not in answer) if want != "fails" else ["  then it failed"], sep="\n")
        print(f"{peer}: {len(answers)} cases compared")
    if not found:
        print("neither docker nor buildah works here, skipped")
        sys.exit(77)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
