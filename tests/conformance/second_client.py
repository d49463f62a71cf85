#!/usr/bin/env python3
"""A second client of Bulkhead that shares no code with it: written from docs/protocol.md only.

    second_client.py RUN images                          list the images of the store
    second_client.py RUN logs CONTAINER [--follow]       its log, as a stream
    second_client.py RUN hello SERVICE                   what the service says of itself
    second_client.py RUN call SERVICE METHOD [HEX]       one unary call; request and reply in hex
    second_client.py RUN stream SERVICE METHOD [HEX]     the chunks of a stream, in hex

RUN is the folder of the engine's sockets (DIR/run); SERVICE is a folder in it.

SP framing, the frame and protobuf are written out here by hand; nothing but the standard library.
"""
import os
import socket
import struct
import sys

HELLO, OPEN, PULL, PUSH, CANCEL = 1, 2, 3, 4, 5
ACCEPTED, DATA, ACK, DONE, IDLE = 16, 17, 18, 19, 20


# ---- protobuf ---------------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    while True:
        low = value & 0x7F
        value >>= 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def field(number, value):
    """One field; None and empty values are left out, as proto3 does."""
    if value is None or value == 0 or value == b"" or value == "":
        return b""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(int(value))


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def parse(data):
    """{field number: [values]}; a length-delimited value stays bytes."""
    out, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire == 1:
            value, at = data[at:at + 8], at + 8
        elif wire == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        elif wire == 5:
            value, at = data[at:at + 4], at + 4
        else:
            raise ValueError("wire type %d" % wire)
        out.setdefault(number, []).append(value)
    return out


def one(message, number, default=0):
    return message.get(number, [default])[0]


def text(message, number):
    return bytes(one(message, number, b"")).decode("utf-8", "replace")


# ---- SP over ipc ------------------------------------------------------------------------------

class CallError(Exception):
    pass


class Connection:
    def __init__(self, directory):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(os.path.join(directory, "rpc.sock"))
        self.sock.sendall(b"\0SP\0\0\x30\0\0")  # protocol 0x30: REQ
        if self.read(8) != b"\0SP\0\0\x31\0\0":  # 0x31: REP
            raise CallError("the other side is no service of Bulkhead")
        self.next_request = 1
        self.next_call = 1
        self.waiting = {}

    def read(self, size):
        out = b""
        while len(out) < size:
            part = self.sock.recv(size - len(out))
            if not part:
                raise CallError("the service has closed the connection")
            out += part
        return out

    def send(self, envelope, payload=b""):
        """Sends one request; returns its id, which the reply carries."""
        number = self.next_request
        self.next_request += 1
        offset = 8 + len(envelope)
        frame = b"BH\1\0" + struct.pack("<HH", len(envelope), offset) + envelope + payload
        body = struct.pack(">I", number | 0x80000000) + frame
        self.sock.sendall(b"\1" + struct.pack(">Q", len(body)) + body)
        return number

    def reply(self, number):
        """The envelope and the payload that answer that request."""
        while number not in self.waiting:
            kind, size = struct.unpack(">BQ", self.read(9))
            body = self.read(size)
            answered = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF
            frame = body[4:]
            if kind != 1 or frame[:4] != b"BH\1\0":
                raise CallError("this is no frame of version 1")
            env_len, offset = struct.unpack("<HH", frame[4:8])
            self.waiting[answered] = parse(frame[8:8 + env_len]), frame[offset:]
        return self.waiting.pop(number)

    def exchange(self, envelope, payload=b""):
        return self.reply(self.send(envelope, payload))

    def hello(self):
        envelope, _ = self.exchange(field(1, HELLO) + field(16, 1))
        return {"epoch": one(envelope, 13), "major": one(envelope, 16), "minor": one(envelope, 17),
                "max_chunk": one(envelope, 18)}

    def call(self, method, request=b"", timeout_ms=30000):
        number = self.next_call
        self.next_call += 1
        envelope, payload = self.exchange(
            field(1, OPEN) + field(2, number) + field(3, method) + field(4, timeout_ms), request)
        finish(envelope)
        return payload

    def stream(self, method, request=b""):
        """Yields the chunks of a server stream; keeps two requests under way."""
        number = self.next_call
        self.next_call += 1
        envelope, _ = self.exchange(field(1, OPEN) + field(2, number) + field(3, method) + field(15, 1), request)
        if one(envelope, 1) == DONE:
            finish(envelope)
        pulls = {seq: self.send(field(1, PULL) + field(2, number) + field(5, seq)) for seq in (0, 1)}
        seq = 0
        while True:
            envelope, payload = self.reply(pulls.pop(seq))
            kind = one(envelope, 1)
            if kind == DATA:
                pulls[seq + 2] = self.send(field(1, PULL) + field(2, number) + field(5, seq + 2))
                seq += 1
                yield payload
            elif kind == IDLE:
                pulls[seq] = self.send(field(1, PULL) + field(2, number) + field(5, seq))
            else:
                self.send(field(1, CANCEL) + field(2, number))  # the call may be forgotten
                finish(envelope)
                return


def finish(envelope):
    if one(envelope, 1) != DONE:
        raise CallError("unexpected frame of kind %d" % one(envelope, 1))
    if one(envelope, 7):
        detail = parse(one(envelope, 9, b""))
        raise CallError("status %d: %s%s" % (one(envelope, 7), text(envelope, 8),
                                             " (%s)" % text(detail, 3) if 3 in detail else ""))


# ---- commands ---------------------------------------------------------------------------------

def images(run):
    """One line an image: id, names.  Fields: proto/store.proto, ImageListReply and ImageSummary."""
    store = Connection(os.path.join(run, "store"))
    reply = parse(store.call("bulkhead.store.v1.Store/ImageList"))
    for packed in reply.get(1, []):
        image = parse(packed)
        names = [bytes(name).decode() for name in image.get(2, [])]
        print(text(image, 1), " ".join(names) or "<none>")
    return 0


def logs(run, name, follow=""):
    """Fields: proto/runtime.proto, ContainerLogsRequest and LogChunk."""
    runtime = Connection(os.path.join(run, "runtime"))
    request = field(1, name) + field(2, 1) + field(3, 1) + field(4, follow == "--follow")
    for packed in runtime.stream("bulkhead.runtime.v1.Runtime/ContainerLogs", request):
        chunk = parse(packed)
        to = sys.stderr if one(chunk, 1) == 2 else sys.stdout
        to.buffer.write(bytes(one(chunk, 3, b"")))
        to.flush()
    return 0


def hello(run, service):
    print("epoch %(epoch)x protocol %(major)d.%(minor)d chunk %(max_chunk)d" %
          Connection(os.path.join(run, service)).hello())
    return 0


def call(run, service, method, request=""):
    print(Connection(os.path.join(run, service)).call(method, bytes.fromhex(request)).hex())
    return 0


def stream(run, service, method, request=""):
    for chunk in Connection(os.path.join(run, service)).stream(method, bytes.fromhex(request)):
        print(chunk.hex())
    return 0


COMMANDS = {"images": images, "logs": logs, "hello": hello, "call": call, "stream": stream}


def main(argv):
    if len(argv) < 3 or argv[2] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return COMMANDS[argv[2]](argv[1], *argv[3:])
    except (CallError, OSError) as error:
        print("second_client: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
