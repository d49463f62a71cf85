#!/usr/bin/env python3
"""The contract in proto/: no message contains itself, numbers are not doubled, names have their form.

    test_proto.py PROTO_FOLDER [PROTOC]

protobuf-c has no limit on nesting, so a message that may contain itself could overflow a stack
(docs/protocol.md, "Limits").
"""
import glob
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance"))
from second_client import one, parse, text  # noqa: E402  a reader of protobuf without a library


def descriptor_set(folder, protoc):
    files = sorted(glob.glob(os.path.join(folder, "*.proto")))
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([protoc, "--proto_path=" + folder, "--descriptor_set_out=" + out.name, "--include_imports",
                        *files], check=True)
        return [parse(f) for f in parse(out.read()).get(1, [])]


def messages(prefix, packed_list):
    """(full name, [(field name, number, type name)]) of each message, nested ones too."""
    for packed in packed_list:
        message = parse(packed)
        name = prefix + "." + text(message, 1)
        fields = [(text(f, 1), one(f, 3), text(f, 6)) for f in map(parse, message.get(2, []))]
        yield name, fields
        yield from messages(name, message.get(3, []))


def find_cycle(graph, name, path, done):
    if name in path:
        return path[path.index(name):] + [name]
    if name in done:
        return None
    for _, _, target in graph.get(name, []):
        cycle = find_cycle(graph, target, path + [name], done)
        if cycle:
            return cycle
    done.add(name)
    return None


def main(folder, protoc="protoc-c"):
    graph, problems, done = {}, [], set()
    for f in descriptor_set(folder, protoc):
        package = text(f, 2)
        if not package.startswith("bulkhead.") or package.rsplit(".", 1)[1] != "v1":
            problems.append("%s: package %s is not bulkhead.<name>.v1" % (text(f, 1), package))
        if text(f, 12) != "proto3":
            problems.append("%s: not proto3" % text(f, 1))
        for name, fields in messages("." + package, f.get(4, [])):
            graph[name] = fields
            numbers = [number for _, number, _ in fields]
            if len(set(numbers)) != len(numbers):
                problems.append("%s: a number is used twice" % name)
        for service in map(parse, f.get(6, [])):
            methods = [text(parse(m), 1) for m in service.get(2, [])]
            for needed in ("Ping", "Version"):
                if needed not in methods:
                    problems.append("%s: service %s has no %s" % (text(f, 1), text(service, 1), needed))
    for name in graph:
        cycle = find_cycle(graph, name, [], done)
        if cycle:
            problems.append("message contains itself: " + " -> ".join(cycle))
    if len(graph) < 50:
        problems.append("only %d messages found: is this the right folder?" % len(graph))
    for problem in problems:
        print(problem, file=sys.stderr)
    print("%d messages, %d problems" % (len(graph), len(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
