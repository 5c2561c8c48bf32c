#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second implementation of docs/formats.md: checks docs/vectors/*.json from the page alone.

It shares nothing with Cairn: BLAKE3, Ed25519, CRC-32C and XXH3 are written here, slow and plain.
What is canonical is decoded and encoded again; what is not must be refused.

    tests/vectors.py [FOLDER]   checks the vectors of a tree, by default the one this file is in
"""

import hashlib
import json
import os
import struct
import sys

U32 = 0xFFFFFFFF
U64 = 0xFFFFFFFFFFFFFFFF

# --- BLAKE3 ---------------------------------------------------------------------------------------

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT, DERIVE_CONTEXT, DERIVE_MATERIAL = 1, 2, 4, 8, 32, 64
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def rotate(word, count):
    return (word >> count | word << (32 - count)) & U32


def compress(chain, block, size, counter, flags):
    words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    v = list(chain) + list(IV[:4]) + [counter & U32, counter >> 32, size, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(LANES):
            v[a] = (v[a] + v[b] + words[2 * i]) & U32
            v[d] = rotate(v[d] ^ v[a], 16)
            v[c] = (v[c] + v[d]) & U32
            v[b] = rotate(v[b] ^ v[c], 12)
            v[a] = (v[a] + v[b] + words[2 * i + 1]) & U32
            v[d] = rotate(v[d] ^ v[a], 8)
            v[c] = (v[c] + v[d]) & U32
            v[b] = rotate(v[b] ^ v[c], 7)
        words = [words[i] for i in PERMUTATION]
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def chunk(key, data, counter, flags, root):
    chain = key
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for i, block in enumerate(blocks):
        extra = (CHUNK_START if i == 0 else 0)
        if i == len(blocks) - 1:
            extra |= CHUNK_END | (ROOT if root else 0)
        chain = compress(chain, block, len(block), counter, flags | extra)
    return chain


def subtree(key, data, counter, flags, root):
    if len(data) <= 1024:
        return chunk(key, data, counter, flags, root)
    left = 1024
    while left * 2 < len(data):
        left *= 2
    block = struct.pack("<16I", *subtree(key, data[:left], counter, flags, False),
                        *subtree(key, data[left:], counter + left // 1024, flags, False))
    return compress(key, block, 64, 0, flags | PARENT | (ROOT if root else 0))


def blake3(data, key=IV, flags=0):
    return struct.pack("<8I", *subtree(key, data, 0, flags, True))


CONTEXT_KEYS = {}


def address(data, context=None):
    if context is None:
        return blake3(data)
    if context not in CONTEXT_KEYS:
        key = blake3(context.encode("ascii"), IV, DERIVE_CONTEXT)
        CONTEXT_KEYS[context] = struct.unpack("<8I", key)
    return blake3(data, CONTEXT_KEYS[context], DERIVE_MATERIAL)


# --- Ed25519 (RFC 8032) ---------------------------------------------------------------------------

P = 2 ** 255 - 19
L = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P


def point_add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_times(scalar, p):
    q = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        scalar >>= 1
    return q


def points_equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def recover(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = recover(BASE_Y, 0)


def point_of(data):
    number = int.from_bytes(data, "little")
    return recover(number & (2 ** 255 - 1), number >> 255)


def point_bytes(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def public_key_of(seed):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2 ** 254 - 8) | 2 ** 254
    return point_bytes(point_times(scalar, BASE))


def is_signed(public_key, message, signature):
    a, r = point_of(public_key), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    if any(points_equal(point_times(8, p), (0, 1, 1, 0)) for p in (a, r)):
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    h = int.from_bytes(digest, "little") % L
    return points_equal(point_times(s, BASE), point_add(r, point_times(h, a)))


# --- CRC-32C, XXH3-64 for keys of at most 16 bytes ------------------------------------------------

CRC_TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    CRC_TABLE.append(number)


def crc32c(data):
    state = U32
    for byte in data:
        state = state >> 8 ^ CRC_TABLE[(state ^ byte) & 0xFF]
    return state ^ U32


XXH_SECRET = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
                           "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c")


def xxh3(seed, data):
    size = len(data)
    secret = struct.unpack("<8Q", XXH_SECRET)
    if 4 <= size <= 8:
        seed ^= int.from_bytes((seed & U32).to_bytes(4, "little"), "big") << 32
        h = int.from_bytes(data[-4:], "little") + (int.from_bytes(data[:4], "little") << 32)
        h ^= ((secret[1] ^ secret[2]) - seed) & U64
        h ^= (h << 49 | h >> 15) & U64 ^ (h << 24 | h >> 40) & U64
        h = h * 0x9FB21C651E98DF25 & U64
        h ^= (h >> 35) + size
        h = h * 0x9FB21C651E98DF25 & U64
        return h ^ h >> 28
    assert 9 <= size <= 16, "the vectors have no such key"
    low = int.from_bytes(data[:8], "little") ^ ((secret[3] ^ secret[4]) + seed) & U64
    high = int.from_bytes(data[-8:], "little") ^ ((secret[5] ^ secret[6]) - seed) & U64
    product = low * high
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    h = (size + swapped + high + ((product ^ product >> 64) & U64)) & U64
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & U64
    return h ^ h >> 32


# --- Reading --------------------------------------------------------------------------------------

class Refused(Exception):
    """The bytes are not canonical."""


def need(condition, why):
    if not condition:
        raise Refused(why)


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def bytes(self, size):
        need(size <= len(self.data) - self.at, "missing bytes")
        self.at += size
        return self.data[self.at - size:self.at]

    def u(self, size):
        return int.from_bytes(self.bytes(size), "little")

    def i(self, size):
        return int.from_bytes(self.bytes(size), "little", signed=True)

    def zeros(self, size):
        need(self.bytes(size) == bytes(size), "bytes that are not zero")

    def end(self):
        need(self.at == len(self.data), "bytes behind the end")


def u(value, size):
    return value.to_bytes(size, "little")


# --- Merkle tree ----------------------------------------------------------------------------------

def node(left, right):
    return address(left + right, "cairn v1 merkle node")


def merkle_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(merkle_root(leaves[:split]), merkle_root(leaves[split:]))


def path_length(index, count):
    length = 0
    while count > 1:
        length += not (index == count - 1 and count % 2 == 1)
        index, count = index // 2, (count + 1) // 2
    return length


def root_of_path(leaf, index, count, path):
    need(index < count and len(path) == path_length(index, count), "path of another length")
    path = list(path)
    while count > 1:
        if not (index == count - 1 and count % 2 == 1):
            other = path.pop(0)
            leaf = node(other, leaf) if index % 2 else node(leaf, other)
        index, count = index // 2, (count + 1) // 2
    return leaf


# --- Space, fact, certificate ---------------------------------------------------------------------

TYPES = {1: "gcounter", 2: "pncounter"}
NAME_CHARACTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")


def decode_space(data):
    reader = Reader(data)
    need(reader.u(1) == 1, "version")
    kind = reader.u(1)
    need(kind in TYPES, "type")
    need(reader.u(2) == 1, "type version")
    realm = reader.u(4)
    size = reader.u(1)
    need(1 <= size <= 64, "size of the name")
    name = reader.bytes(size)
    need(all(c in NAME_CHARACTERS for c in name), "name")
    reader.end()
    return {"name": name.decode("ascii"), "type": TYPES[kind], "realm": realm,
            "id": address(data, "cairn v1 space")[:16]}


def decode_dot(reader):
    dot = (reader.u(4), reader.u(4), reader.u(8))
    need(dot[2] > 0, "sequence 0")
    return dot


def decode_fact(data):
    """The fact at the front of the data, and its size."""
    reader = Reader(data[:4096])
    need(reader.u(1) == 1, "version")
    flags, dependency_count, effect_count = reader.u(1), reader.u(1), reader.u(1)
    need(flags <= 1 and dependency_count <= 8 and 1 <= effect_count <= 8, "flags or counts")
    fact = {"realm": reader.u(4), "dot": decode_dot(reader), "clock": reader.u(8)}
    fact["dependencies"] = [decode_dot(reader) for _ in range(dependency_count)]
    slots = [dot[0] for dot in fact["dependencies"]]
    need(slots == sorted(set(slots)) and fact["dot"][0] not in slots, "order of dependencies")
    fact["idempotency_key"] = reader.bytes(16) if flags else b""
    fact["effects"] = []
    for _ in range(effect_count):
        space_id, operation = reader.bytes(16), reader.u(2)
        key_size, payload_size = reader.u(2), reader.u(4)
        need(operation == 1 and payload_size == 8, "operation")
        need(1 <= key_size <= 1024, "size of the key")
        fact["effects"].append((space_id, reader.bytes(key_size), reader.i(8)))
    reader.zeros(-reader.at % 64)
    fact["id"] = address(data[:reader.at], "cairn v1 fact")
    return fact, reader.at


def encode_fact(fact):
    data = u(1, 1) + u(1 if fact["idempotency_key"] else 0, 1)
    data += u(len(fact["dependencies"]), 1) + u(len(fact["effects"]), 1) + u(fact["realm"], 4)
    for slot, incarnation, sequence in [fact["dot"]]:
        data += u(slot, 4) + u(incarnation, 4) + u(sequence, 8)
    data += u(fact["clock"], 8)
    for slot, incarnation, sequence in fact["dependencies"]:
        data += u(slot, 4) + u(incarnation, 4) + u(sequence, 8)
    data += fact["idempotency_key"]
    for space_id, key, amount in fact["effects"]:
        data += space_id + u(1, 2) + u(len(key), 2) + u(8, 4) + key
        data += amount.to_bytes(8, "little", signed=True)
    return data + bytes(-len(data) % 64)


def decode_certificate(data):
    """The certificate at the front of the data, and its size."""
    reader = Reader(data)
    need(reader.u(1) == 1, "version")
    reader.zeros(3)
    certificate = {"realm": reader.u(4), "slot": reader.u(4), "incarnation": reader.u(4),
                   "first": reader.u(8), "count": reader.u(4), "facts_size": reader.u(4),
                   "cluster_id": reader.bytes(16), "previous": reader.bytes(32),
                   "root": reader.bytes(32), "leaf_index": reader.u(2), "leaf_count": reader.u(2)}
    reader.zeros(4)
    first, count, size = (certificate[name] for name in ("first", "count", "facts_size"))
    need(1 <= count <= 16384 and 1 <= first <= U64 - count, "first or count")
    need(size % 64 == 0 and 64 * count <= size <= min(4096 * count, 1052672), "size of the facts")
    need(1 <= certificate["leaf_count"] <= 64, "leaf count")
    need(certificate["leaf_index"] < certificate["leaf_count"], "leaf index")
    length = path_length(certificate["leaf_index"], certificate["leaf_count"])
    certificate["path"] = [reader.bytes(32) for _ in range(length)]
    certificate["signature"] = reader.bytes(64)
    certificate["link"] = address(data[:112], "cairn v1 certificate")
    return certificate, reader.at


def check_signature(certificate, public_key):
    root = root_of_path(certificate["link"], certificate["leaf_index"], certificate["leaf_count"],
                        certificate["path"])
    tick = address(root + u(certificate["leaf_count"], 4), "cairn v1 certificate tick")
    need(is_signed(public_key, tick, certificate["signature"]), "signature")


def decode_bundle(data, public_keys):
    certificate, at = decode_certificate(data)
    need(certificate["slot"] in public_keys, "unknown member")
    check_signature(certificate, public_keys[certificate["slot"]])
    need(len(data) - at == certificate["facts_size"], "size of the facts")
    facts = []
    for i in range(certificate["count"]):
        fact, size = decode_fact(data[at:])
        dot = (certificate["slot"], certificate["incarnation"], certificate["first"] + i)
        need(fact["dot"] == dot and fact["realm"] == certificate["realm"], "dot")
        facts.append(fact)
        at += size
    need(at == len(data), "bytes behind the last fact")
    need(merkle_root([fact["id"] for fact in facts]) == certificate["root"], "root")
    return certificate, facts


# --- Journal --------------------------------------------------------------------------------------

def blocks(size):
    return size + -size % 4096


def decode_header(data, position, segment_bytes):
    reader = Reader(data[:64])
    need(reader.u(4) == 0x4A4E5243, "magic")
    header = {"epoch": reader.u(4), "position": reader.u(8), "next": reader.u(8),
              "synced": reader.u(8), "size": reader.u(4), "count": reader.u(4),
              "previous_crc": reader.u(4)}
    reader.zeros(4)
    header["previous_position"] = reader.u(8)
    reader.zeros(4)
    need(reader.u(4) == crc32c(data[:60]), "CRC of the header")
    size, before = header["size"], header["previous_position"]
    need(header["epoch"] > 0 and header["position"] == position, "position")
    need(size % 8 == 0 and size <= 4 * 2 ** 20 - 80, "size of the records")
    need((size == 0) == (header["count"] == 0), "number of records")
    need(all(header[name] % 4096 == 0 for name in ("next", "synced", "previous_position")), "blocks")
    need(position < header["next"] < 2 ** 62 and header["synced"] <= position, "next or synced")
    need(before < position or (position == before == header["previous_crc"] == 0), "previous batch")
    end = position + blocks(64 + size + 16)
    segment_end = position - position % segment_bytes + segment_bytes
    need(end <= segment_end and header["next"] in (end, segment_end), "end of the batch")
    need(header["next"] - end < 4 * 2 ** 20, "what is skipped")
    header["batch_size"] = end - position
    return header


def decode_batch(data, position, segment_bytes):
    header = decode_header(data, position, segment_bytes)
    reader = Reader(data[:header["batch_size"]])
    reader.bytes(64)
    records = Reader(reader.bytes(header["size"]))
    need(reader.u(4) == 0x454E5243, "magic of the footer")
    header["crc"] = crc32c(data[:60] + records.data)
    need(reader.u(4) == header["crc"] and reader.u(8) == position, "footer")
    reader.zeros(-reader.at % 4096)
    reader.end()
    header["records"] = []
    while records.at < len(records.data):
        size, kind = records.u(4), records.u(2)
        records.zeros(2)
        header["records"].append((kind, records.bytes(size)))
        records.zeros(-size % 8)
    need(len(header["records"]) == header["count"], "number of records")
    return header


def recover_journal(ring, segment_bytes):
    """The batches, the damaged ranges, and the position where the journal ends."""
    batches, damage, position, last, expects = [], [], 0, None, True
    epoch = 0
    while True:
        try:
            batch = decode_batch(ring[position:], position, segment_bytes)
            need(batch["epoch"] >= epoch, "epoch")
            if expects:
                chain = (last["position"], last["crc"]) if last else (0, 0)
                need((batch["previous_position"], batch["previous_crc"]) == chain, "chain")
                need((batch["count"] == 0) == (batch["epoch"] > epoch), "opening batch")
        except Refused:
            claimed, valid = position, None
            for at in range(position, len(ring), 4096):
                try:
                    header = decode_header(ring[at:], at, segment_bytes)
                    need(header["epoch"] >= epoch, "epoch")
                    claimed = max(claimed, header["synced"])
                    if valid is None and at > position:
                        decode_batch(ring[at:], at, segment_bytes)
                        valid = at
                except Refused:
                    continue
            if claimed <= position:
                return batches, damage, position
            end = min(claimed, valid) if valid is not None else claimed
            damage.append((position, end))
            last, expects, position = {"position": position, "crc": 0}, False, end
            continue
        batches.append(batch)
        last, expects, epoch, position = batch, True, batch["epoch"], batch["next"]


# --- Member file, checkpoint, digests -------------------------------------------------------------

def decode_member(data):
    need(len(data) == 128, "size")
    reader = Reader(data)
    need(reader.u(4) == 0x4D4E5243 and reader.u(4) == 1, "magic or version")
    member = {"cluster_id": reader.bytes(16), "realm": reader.u(4), "slot": reader.u(4),
              "segment_bytes": reader.u(8), "segment_count": reader.u(4)}
    reader.zeros(4)
    member["public_key"], member["seed"] = reader.bytes(32), reader.bytes(32)
    reader.zeros(12)
    need(reader.u(4) == crc32c(data[:124]), "CRC")
    need(public_key_of(member["seed"]) == member["public_key"], "key and seed")
    return member


def decode_checkpoint(head, body):
    reader = Reader(head)
    need(reader.u(4) == 0x434E5243 and reader.u(4) == 1, "magic or version")
    state = {"generation": reader.u(8), "cluster_id": reader.bytes(16), "realm": reader.u(4),
             "slot": reader.u(4), "incarnation": reader.u(4)}
    reader.zeros(4)
    state.update(position=reader.u(8), low_water=reader.u(8), clock=reader.u(8))
    need(state["low_water"] <= state["position"], "low water")
    body_size = reader.u(8)
    state.update(head=reader.bytes(32), body_address=reader.bytes(32),
                 previous_position=reader.u(8), previous_crc=reader.u(4), epoch=reader.u(4))
    reader.zeros(12)
    need(reader.u(4) == crc32c(head[:172]), "CRC")
    reader.end()
    need(body_size == len(body), "size of the body")
    need(address(body, "cairn v1 checkpoint") == state["body_address"], "address of the body")
    reader = Reader(body)
    state["members"] = {}
    for _ in range(reader.u(8)):
        slot = reader.u(4)
        state["members"][slot] = reader.bytes(32)
    state["origins"] = []
    for _ in range(reader.u(8)):
        origin = dict(zip(("slot", "incarnation"), (reader.u(4), reader.u(4))))
        for name in ("applied", "certified", "seen", "folded"):
            origin[name] = reader.u(8)
        origin["link"], origin["base"] = reader.bytes(32), reader.bytes(32)
        need(origin["certified"] <= origin["applied"], "certified")
        need(origin["seen"] == 0 or origin["seen"] >= origin["applied"], "seen")
        state["origins"].append(origin)
    state["spaces"] = [decode_space(reader.bytes(reader.u(1))) for _ in range(reader.u(8))]
    state["keys"] = {}
    for _ in range(reader.u(8)):
        key = reader.bytes(16)
        state["keys"][key] = (reader.u(8), reader.u(4), reader.u(8))
    state["cells"] = {}
    for _ in range(reader.u(8)):
        space, size, total = reader.u(4), reader.u(4), reader.i(16)
        need(space < len(state["spaces"]) and 1 <= size <= 1024, "cell")
        cell = (state["spaces"][space]["id"], reader.bytes(size))
        need(cell not in state["cells"], "a cell twice")
        state["cells"][cell] = total
    reader.end()
    return state


def fingerprint(effects):
    value = len(effects)
    for space_id, key, amount in effects:
        value = xxh3((value + 1) & U64, space_id)
        value = xxh3(value, key)
        value = xxh3(value, amount.to_bytes(8, "little", signed=True))
    return value


def cells_digest(cells):
    records = [space_id + total.to_bytes(16, "little", signed=True) + u(len(key), 4) + key
               for (space_id, key), total in cells.items()]
    return address(b"".join(sorted(address(record, "cairn v1 cell") for record in records)),
                   "cairn v1 cells")


def facts_digest(origins):
    data, before = b"", None
    for slot, _, link in sorted(origins):
        if link != bytes(32) and (slot, link) != before:
            data += u(slot, 4) + link
        before = (slot, link)
    return address(data, "cairn v1 facts")


# --- The vectors ----------------------------------------------------------------------------------

class Checks:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.failures = []

    def load(self, name):
        with open(os.path.join(self.folder, name + ".json"), encoding="ascii") as file:
            return json.load(file)

    def equal(self, found, expected, what):
        self.count += 1
        if found != expected:
            self.failures.append(f"{what}: found {found!r}, expected {expected!r}")

    def refused(self, function, data, what):
        self.count += 1
        try:
            function(data)
        except Refused:
            return
        self.failures.append(f"{what}: not refused")


def whole(function):
    """A decoder of a prefix as one of all the bytes."""
    def decode(data):
        value, size = function(data)
        need(size == len(data), "bytes behind the end")
        return value
    return decode


def flips(data, step):
    for bit in range(0, len(data) * 8, step):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def check_addresses(checks):
    data = bytes(i % 251 for i in range(5000))
    for row in checks.load("addresses")["addresses"]:
        found = address(data[:row["size"]], row.get("context"))
        checks.equal(found.hex(), row["address"], f"address of {row['size']} {row.get('context')}")


def check_merkle(checks):
    for tree in checks.load("merkle")["trees"]:
        count = tree["count"]
        leaves = [address(bytes([i])) for i in range(count)]
        checks.equal(merkle_root(leaves).hex(), tree["root"], f"root of {count}")
        for index, text in enumerate(tree["paths"]):
            data = bytes.fromhex(text)
            path = [data[i:i + 32] for i in range(0, len(data), 32)]
            found = root_of_path(leaves[index], index, count, path)
            checks.equal(found.hex(), tree["root"], f"path {index} of {count}")
            checks.refused(lambda longer: root_of_path(leaves[index], index, count, longer),
                           path + [bytes(32)], f"a longer path {index} of {count}")


def check_spaces(checks):
    vectors = checks.load("space")
    for row in vectors["spaces"]:
        space = decode_space(bytes.fromhex(row["bytes"]))
        space["id"] = space["id"].hex()
        checks.equal(space, {name: row[name] for name in space}, "space")
    for row in vectors["refused"]:
        checks.refused(decode_space, bytes.fromhex(row["bytes"]), f"space: {row['why']}")


def dot_of(row):
    return row["slot"], row["incarnation"], int(row["sequence"])


def check_facts(checks):
    vectors = checks.load("fact")
    for row in vectors["facts"]:
        expected = {"realm": row["realm"], "dot": dot_of(row), "clock": int(row["clock"]),
                    "dependencies": [dot_of(dot) for dot in row["dependencies"]],
                    "idempotency_key": bytes.fromhex(row["idempotency_key"]),
                    "effects": [(bytes.fromhex(effect["space_id"]), bytes.fromhex(effect["key"]),
                                 int(effect["amount"])) for effect in row["effects"]]}
        checks.equal(encode_fact(expected).hex(), row["bytes"], "bytes of a fact")
        expected["id"] = bytes.fromhex(row["id"])
        checks.equal(whole(decode_fact)(bytes.fromhex(row["bytes"])), expected, "fact")
    for row in vectors["refused"]:
        checks.refused(whole(decode_fact), bytes.fromhex(row["bytes"]), f"fact: {row['why']}")


def check_certificate(checks, row):
    certificate, size = decode_certificate(bytes.fromhex(row["bytes"]))
    checks.equal(size, len(row["bytes"]) // 2, "size of a certificate")
    for name, value in certificate.items():
        expected = row[name]
        if name == "path":
            value = b"".join(value)
        if isinstance(value, bytes):
            value = value.hex()
        checks.equal(value, int(expected) if name == "first" else expected, f"certificate {name}")
    return certificate


def check_certificates(checks):
    vectors = checks.load("certificate")
    keys = {int(slot): bytes.fromhex(key) for slot, key in vectors["public_keys"].items()}
    links = {}
    for row in vectors["bundles"]:
        certificate = check_certificate(checks, row)
        previous = links.get(certificate["slot"], bytes(32))
        checks.equal(certificate["previous"], previous, "chain")
        checks.equal(certificate["first"], 1, "first certificate of an incarnation")
        links[certificate["slot"]] = certificate["link"]
        data = bytes.fromhex(row["bundle"])
        checks.equal(len(decode_bundle(data, keys)[1]), row["count"], "facts of a bundle")
        checks.refused(lambda data: decode_bundle(data, keys), data + b"\0", "a longer bundle")
        for bit, changed in flips(data, 41):
            checks.refused(lambda data: decode_bundle(data, keys), changed, f"bundle, bit {bit}")
    for row in vectors["tick"]:
        check_signature(check_certificate(checks, row), keys[1])
    for row in vectors["refused"]:
        checks.refused(whole(decode_certificate), bytes.fromhex(row["bytes"]),
                       f"certificate: {row['why']}")


def check_journal(checks):
    vectors = checks.load("journal")
    segment_bytes = int(vectors["segment_bytes"])
    ring = bytearray(segment_bytes)
    for row in vectors["batches"]:
        data = bytes.fromhex(row["bytes"])
        ring[int(row["position"]):int(row["position"]) + len(data)] = data
    batches, damage, end = recover_journal(bytes(ring), segment_bytes)
    checks.equal((damage, end), ([], int(vectors["batches"][-1]["next"])), "end of the journal")
    checks.equal(len(batches), len(vectors["batches"]), "number of batches")
    for batch, row in zip(batches, vectors["batches"]):
        for name in ("epoch", "position", "next", "synced", "previous_position", "previous_crc",
                     "crc"):
            checks.equal(batch[name], int(row[name]), f"batch {name}")
        records = [(record["kind"], bytes.fromhex(record["payload"])) for record in row["records"]]
        checks.equal(batch["records"], records, "records")
    for broken in range(len(batches)):
        check_broken_batch(checks, bytes(ring), segment_bytes, batches, broken)
    return batches


def check_broken_batch(checks, ring, segment_bytes, batches, broken):
    """Damage when a header behind it claims it, torn otherwise."""
    rotten = bytearray(ring)
    rotten[batches[broken]["position"] + 64] ^= 1
    found, damage, end = recover_journal(bytes(rotten), segment_bytes)
    start, behind = batches[broken]["position"], batches[broken]["next"]
    claimed = any(batch["synced"] > start for batch in batches[broken + 1:])
    checks.equal(damage, [(start, behind)] if claimed else [], f"damage of batch {broken}")
    checks.equal(end, batches[-1]["next"] if claimed else start, f"end with bad batch {broken}")
    left = batches[:broken] + (batches[broken + 1:] if claimed else [])
    checks.equal(found, left, f"batches beside bad batch {broken}")


def replay(batches):
    """Cells, links and requests that the records of a journal give."""
    cells, links, requests, applied = {}, {}, {}, {}
    for kind, payload in (record for batch in batches for record in batch["records"]):
        if kind == 5:
            fact = whole(decode_fact)(payload)
            slot, incarnation, sequence = fact["dot"]
            need(applied.get((slot, incarnation), 0) + 1 == sequence, "sequence")
            applied[slot, incarnation] = sequence
            for space_id, key, amount in fact["effects"]:
                cells[space_id, key] = cells.get((space_id, key), 0) + amount
            if fact["idempotency_key"]:
                requests[fact["idempotency_key"]] = (sequence, incarnation,
                                                     fingerprint(fact["effects"]))
        if kind == 6:
            certificate = whole(decode_certificate)(payload)
            links[certificate["slot"]] = (certificate["incarnation"], certificate["link"])
    return cells, [(slot, *link) for slot, link in links.items()], requests


def check_files(checks):
    row = checks.load("member")
    data = bytes.fromhex(row["bytes"])
    for name, value in decode_member(data).items():
        value = value.hex() if isinstance(value, bytes) else value
        checks.equal(str(value), str(row[name]), f"member {name}")
    for bit, changed in flips(data, 7):
        checks.refused(decode_member, changed, f"member, bit {bit}")

    row = checks.load("checkpoint")
    head, body = bytes.fromhex(row["header"]), bytes.fromhex(row["body"])
    state = decode_checkpoint(head, body)
    for name in ("generation", "position", "low_water", "clock", "incarnation",
                 "previous_position", "previous_crc", "epoch"):
        checks.equal(state[name], int(row[name]), f"checkpoint {name}")
    for bit, changed in flips(head, 11):
        checks.refused(lambda data: decode_checkpoint(data, body), changed, f"header, bit {bit}")
    for bit, changed in flips(body, 97):
        checks.refused(lambda data: decode_checkpoint(head, data), changed, f"body, bit {bit}")
    return state


def check_states(checks, batches, checkpoint):
    states = checks.load("digests")["states"]
    for row in states:
        cells = {(bytes.fromhex(cell["space_id"]), bytes.fromhex(cell["key"])): int(cell["sum"])
                 for cell in row["cells"]}
        origins = [(origin["slot"], origin["incarnation"], bytes.fromhex(origin["link"]))
                   for origin in row["certified"]]
        checks.equal(cells_digest(cells).hex(), row["cells_digest"], "cells digest")
        checks.equal(facts_digest(origins).hex(), row["facts_digest"], "facts digest")
    # The same state by two other ways: from the journal, and from the checkpoint.
    cells, origins, requests = replay(batches)
    checks.equal(cells_digest(cells).hex(), states[1]["cells_digest"], "cells of the journal")
    checks.equal(facts_digest(origins).hex(), states[1]["facts_digest"], "facts of the journal")
    checks.equal(checkpoint["cells"], cells, "cells of the checkpoint")
    checks.equal(checkpoint["keys"], requests, "idempotency keys of the checkpoint")
    origins = [(origin["slot"], origin["incarnation"], origin["link"])
               for origin in checkpoint["origins"]]
    checks.equal(facts_digest(origins).hex(), states[1]["facts_digest"], "facts of the checkpoint")


def main(arguments):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    checks = Checks(os.path.join(arguments[0] if arguments else here, "docs", "vectors"))
    check_addresses(checks)
    check_merkle(checks)
    check_spaces(checks)
    check_facts(checks)
    check_certificates(checks)
    batches = check_journal(checks)
    check_states(checks, batches, check_files(checks))
    print(*checks.failures, sep="\n", end="\n" if checks.failures else "")
    print(f"{checks.count} checks, {len(checks.failures)} failures")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
