"""A WebSocket peer with permessage-deflate on the reference zlib, behind a pipe: RFC 6455 section 5.2, RFC 7692.

Commands come on the standard input and are answered on the standard output, one by one:

    command = name, 1 octet | connection, u32 | length, u32 | body
    answer  = b"+" or b"-" | length, u32 | body

Numbers are little-endian. "-" carries what went wrong, as text. The commands:

    O  opens a connection; the body is JSON, see `Connection.__init__`
    R  receives octets; the answer is the messages in them, each as: opcode, 1 octet | length, u32 | payload
    S  sends a message: way, 1 octet (see WAYS) | opcode, 1 octet | seed, u32 | payload; the answer is its frames

Needs nothing but Python 3 and its standard library.
"""

import json
import random
import struct
import sys
import traceback
import zlib

TAIL = b"\x00\x00\xff\xff"
LARGEST_WINDOW = 1 << 15
WAYS = "plain", "sync", "full", "pieces", "final_inside", "final_at_end", "bare_final_at_end"
CONTINUATION, TEXT, BINARY, PING = 0, 1, 2, 9


class Connection:
    def __init__(self, role, receive_window_bits, receive_takeover, send_window_bits, send_takeover, level,
                 memory_level, strategy):
        self.is_client = role == "client"
        self.receive_window_bits = receive_window_bits
        self.receive_takeover = receive_takeover
        self.send_window_bits = send_window_bits
        self.send_takeover = send_takeover
        self.settings = level, zlib.DEFLATED, -send_window_bits, memory_level, getattr(zlib, strategy)
        self.decompressor = None
        self.compressor = None
        self.sent = b""
        self.unread = b""
        self.opcode = None
        self.compressed = False
        self.payload = b""
        self.number = 0

    # Receiving.

    def receive(self, octets):
        self.unread += octets
        messages = []
        while True:
            frame = self.next_frame()
            if frame is None:
                return messages
            fin, rsv, opcode, payload = frame
            if opcode >= 8:
                check(fin and rsv == 0, "a control frame is whole and not compressed")
                continue
            if opcode == CONTINUATION:
                check(self.opcode is not None and rsv == 0, "a fragment continues, without RSV1")
            else:
                check(self.opcode is None and rsv in (0, 4), "a message begins, with RSV1 or nothing")
                self.opcode, self.compressed, self.payload = opcode, rsv == 4, b""
            self.payload += payload
            if fin:
                whole = self.decompress(self.payload) if self.compressed else self.payload
                messages.append((self.opcode, whole))
                self.opcode = None

    def next_frame(self):
        octets = self.unread
        if len(octets) < 2:
            return None
        length, at = octets[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(octets) < at + size:
                return None
            length = int.from_bytes(octets[at:at + size], "big")
            at += size
        masked = octets[1] >= 0x80
        check(masked != self.is_client, "clients mask and servers do not")
        key = octets[at:at + 4] if masked else b""
        at += len(key)
        if len(octets) < at + length:
            return None
        payload = octets[at:at + length]
        self.unread = octets[at + length:]
        return octets[0] >= 0x80, octets[0] >> 4 & 7, octets[0] & 15, mask(payload, key)

    def decompress(self, payload):
        """zlib lets references reach beyond the window, over what one call writes: so each may write only a little."""
        if self.decompressor is None or not self.receive_takeover:
            self.decompressor = zlib.decompressobj(-self.receive_window_bits)
        self.number += 1
        room = 1 if len(payload) < 600 and self.number % 2 else 61
        whole = []
        octets = payload + TAIL
        for at in range(0, len(octets), 1024):
            rest = octets[at:at + 1024]
            while True:
                piece = self.decompressor.decompress(rest, room)
                check(not self.decompressor.eof, "no block is the last one")
                whole.append(piece)
                rest = self.decompressor.unconsumed_tail
                if not rest and len(piece) < room:
                    break
        return b"".join(whole)

    # Sending.

    def send(self, way, opcode, seed, payload):
        generator = random.Random(seed)
        if way == "plain":
            return self.frames(generator, opcode, False, payload)
        compressed = self.compress(way, generator, payload) if payload else b"\x00"
        return self.frames(generator, opcode, True, compressed)

    def compress(self, way, generator, payload):
        if self.compressor is None or not self.send_takeover:
            self.sent = b""
            self.compressor = zlib.compressobj(*self.settings)
        window = 1 << self.send_window_bits
        out = b""
        rest = payload
        if way in ("pieces", "final_inside"):
            for _ in range(generator.randrange(1, 5)):
                cut = generator.randrange(len(rest))
                piece, rest = rest[:cut], rest[cut:]
                out += self.compressor.compress(piece)
                self.sent = (self.sent + piece)[-LARGEST_WINDOW:]
                if way == "pieces":
                    out += self.compressor.flush(generator.choice(
                        (zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK)))
                else:
                    out += self.finish(window)
        out += self.compressor.compress(rest)
        self.sent = (self.sent + rest)[-LARGEST_WINDOW:]
        if way == "final_at_end":
            return out + self.finish(window) + b"\x00"
        if way == "bare_final_at_end":
            return out + self.finish(window)
        out += self.compressor.flush(zlib.Z_FULL_FLUSH if way == "full" else zlib.Z_SYNC_FLUSH)
        check(out.endswith(TAIL), "a flush ends with an empty block")
        return out[:-len(TAIL)]

    def finish(self, window):
        """Ends the stream of zlib with a last block; a new one goes on with the same window (section 7.2.3.5)."""
        out = self.compressor.flush(zlib.Z_FINISH)
        self.compressor = zlib.compressobj(*self.settings, self.sent[-window:])
        return out

    def frames(self, generator, opcode, compressed, payload):
        cuts = generator.choice((0, 0, 1, 3))
        places = sorted(generator.randrange(len(payload) + 1) for _ in range(cuts))
        out = b""
        begun = 0
        for number, end in enumerate(places + [len(payload)]):
            first = (opcode if number == 0 else CONTINUATION) | (0x40 if compressed and number == 0 else 0)
            out += self.frame(generator, first | (0x80 if number == cuts else 0), payload[begun:end])
            begun = end
            if number < cuts and generator.random() < 0.2:
                out += self.frame(generator, 0x80 | PING, b"between fragments")
        return out

    def frame(self, generator, first, payload):
        length = len(payload)
        masked = 0x80 if self.is_client else 0
        if length < 126:
            head = struct.pack(">BB", first, masked | length)
        elif length < 1 << 16:
            head = struct.pack(">BBH", first, masked | 126, length)
        else:
            head = struct.pack(">BBQ", first, masked | 127, length)
        key = generator.randbytes(4) if self.is_client else b""
        return head + key + mask(payload, key)


def mask(payload, key):
    if not key:
        return payload
    length = len(payload)
    keys = (key * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(keys, "little")
    return masked.to_bytes(length, "little")


def check(holds, rule):
    if not holds:
        raise ValueError(rule)


def main():
    connections = {}
    commands, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head = commands.read(9)
        if not head:
            return
        name, number, length = struct.unpack("<cII", head)
        body = commands.read(length)
        try:
            if name == b"O":
                connections[number] = Connection(**json.loads(body))
                answer = zlib.ZLIB_RUNTIME_VERSION.encode()
            elif name == b"R":
                messages = connections[number].receive(body)
                answer = b"".join(struct.pack("<BI", opcode, len(whole)) + whole for opcode, whole in messages)
            else:
                way, opcode, seed = struct.unpack_from("<BBI", body)
                answer = connections[number].send(WAYS[way], opcode, seed, body[6:])
            status = b"+"
        except Exception:
            status, answer = b"-", traceback.format_exc().encode()
        answers.write(status + struct.pack("<I", len(answer)) + answer)
        answers.flush()


main()
