"""The flow table as its specification (CARD.md 3, 4, 7) says it, for the benches of lookup and commands.

Written from the text, with Python's integers, so that it shares nothing with RTL or Rust.
"""

from dataclasses import dataclass

ROWS, BANKS, WAYS = 4096, 4, 4
KEY_BITS, DATA_BITS, ECC_BITS = 172, 199, 9

OPCODES = {name: i for i, name in enumerate("nop write copy dump digest insert move delete fence".split())}
TABLES = {
    name: i
    for i, name in enumerate(
        "vip_match vip pool ring backend next_hop flow counter vip_counter backend_counter vip_prefix quic_id".split()
    )
}
ENTRIES = dict(
    vip_match=512, vip=256, pool=64, ring=32768, backend=1024, next_hop=16, flow=65536, counter=64,
    vip_counter=256, backend_counter=1024, vip_prefix=64, quic_id=32768,
)  # fmt: skip
EXPECT = {"free": 0, "same": 1, "unconfirmed": 2}
STATUS = (
    "ok bad_opcode bad_table out_of_range bad_address bad_length bad_phase bad_doorbell dma_error not_found occupied"
    " unsupported aborted"
).split()


def pack(fields):
    """Joins (value, width) pairs, the first in the lowest bits."""
    word, at = 0, 0
    for value, width in fields:
        assert 0 <= value < 1 << width, (value, width)
        word |= value << at
        at += width
    return word


def parity(word):
    return word.bit_count() & 1


def bank_row(key, key_bits, secret, rows):
    """`row[j]` = parity of `key AND (secret >> j)`."""
    key &= (1 << key_bits) - 1
    return sum(parity(key & (secret >> j)) << j for j in range(rows.bit_length() - 1))


def code_positions():
    """P(i): the numbers from 3 on that are no power of two."""
    positions, number = [], 3
    while len(positions) < DATA_BITS:
        if number & (number - 1):
            positions.append(number)
        number += 1
    return positions


POSITIONS = code_positions()


def secded(data):
    code = 0
    for i, position in enumerate(POSITIONS):
        if data >> i & 1:
            code ^= position
    return code | (parity(data) ^ parity(code)) << 8


@dataclass(frozen=True)
class Key:
    vip: int
    source: int
    source_port: int
    destination_port: int

    def word(self):
        return pack([(self.destination_port, 16), (self.source_port, 16), (self.source, 128), (self.vip, 12)])

    def row(self, secret):
        return bank_row(self.word(), KEY_BITS, secret, ROWS)


@dataclass
class Entry:
    key: Key
    backend: int
    generation: int
    pinned: int = 0
    confirmed: int = 0
    last_seen: int = 0
    fin: int = 0
    rst: int = 0

    def data(self):
        return pack(
            [(self.key.word(), KEY_BITS), (self.backend, 16), (self.generation, 8), (1, 1), (self.pinned, 1), (self.confirmed, 1)]
        )

    def record(self):
        """The 64-byte entry that DUMP writes."""
        data = self.data()
        return pack(
            [(data, DATA_BITS), (secded(data), ECC_BITS), (0, 8), (self.last_seen, 30), (self.fin, 1), (self.rst, 1), (0, 264)]
        )


def place_index(bank, way, row):
    return (bank * WAYS + way) * ROWS + row


def command(opcode, table=0, index=0, source_index=0, count=0, address=0, key=None, bank=0, way=0, to_bank=0, to_way=0,
            expectation=0, pinned=0, confirmed=0, backend=0, generation=0, tag=0, reserved=0):  # fmt: skip
    """The 64-byte command; op code, table and expectation by name or by number."""
    key = key or Key(0, 0, 0, 0)
    return pack(
        [
            (0, 1), (0, 7), (OPCODES.get(opcode, opcode), 8), (TABLES.get(table, table), 8), (0, 8), (tag, 32),
            (index, 32), (source_index, 32), (count, 32), (address, 64), (reserved, 32),
            (key.destination_port, 16), (key.source_port, 16), (key.source, 128), (key.vip, 12),
            (bank, 2), (way, 2), (to_bank, 2), (to_way, 2), (EXPECT.get(expectation, expectation), 2),
            (pinned, 1), (confirmed, 1), (backend, 16), (generation, 8), (0, 48),
        ]
    )  # fmt: skip


class Flows:
    """The table's contents: place -> Entry."""

    def __init__(self, secrets):
        self.secrets = secrets
        self.places = {}

    def place(self, key, bank, way):
        return place_index(bank, way, key.row(self.secrets[bank]))

    def find(self, key):
        """The (place, entry) that a lookup finds: the lowest (bank, way)."""
        for bank in range(BANKS):
            for way in range(WAYS):
                place = self.place(key, bank, way)
                entry = self.places.get(place)
                if entry and entry.key == key:
                    return place, entry
        return None

    def insert(self, entry, bank, way, expectation):
        place = self.place(entry.key, bank, way)
        held = self.places.get(place)
        if expectation == "free" and held:
            return "occupied"
        if expectation == "same" and not (held and held.key == entry.key):
            return "not_found"
        if expectation == "unconfirmed" and held and (held.confirmed or held.pinned):
            return "occupied"
        self.places[place] = entry
        return "ok"

    def move(self, key, bank, way, to_bank, to_way):
        place, to_place = self.place(key, bank, way), self.place(key, to_bank, to_way)
        held = self.places.get(place)
        if not held or held.key != key:
            return "not_found"
        if to_place in self.places:
            return "occupied"
        self.places[to_place] = self.places.pop(place)
        return "ok"

    def delete(self, key, bank, way):
        place = self.place(key, bank, way)
        held = self.places.get(place)
        if not held or held.key != key:
            return "not_found"
        del self.places[place]
        return "ok"

    def record(self, place):
        entry = self.places.get(place)
        return entry.record() if entry else 0
