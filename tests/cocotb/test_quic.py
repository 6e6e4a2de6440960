"""gw_connection_id and gw_quic against CARD.md 3: a packet each cycle, entries written between them.

A packet that meets a write sees the table before or after it; all others see one table alone.
"""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from layout import L

TOP = "gw_quic_bench"
LATENCY = 14
WRITE_SHOWS = 14  # cycles after which no packet sees what was there before
WALK = 94  # bytes of the window behind an IPv4 header
POOLS = (3, 200)


def bank_row(key, secret):
    """CARD.md 3: a Toeplitz hash, bit by bit."""
    return sum(((key & secret >> j).bit_count() & 1) << j for j in range(L.QuicIdRows.bit_length() - 1))


def key_of(entry):
    return entry["pool"] << 68 | entry["lb"] << 67 | entry["rotation"] << 64 | entry["id"]


def server_id(packet, lengths):
    """The tables of CARD.md 3, on the bytes of the UDP payload: (rotation, id), or None."""
    u = packet["payload"][: max(0, min(packet["left"], packet["room"]) - 8)]
    if not (packet["ask"] and packet["matched"] and packet["quic"] and u):
        return None
    if u[0] & 0x80:
        if len(u) < 14 or u[5] < 8:
            return None
        second = u[1:5] == bytes.fromhex("6b3343cf")
        if u[0] >> 4 & 3 in ((1, 2) if second else (0, 1)):
            return None
        c = u[6:][: u[5]]
    else:
        if len(u) < 9:
            return None
        c = u[1:]
    if packet["lb"]:
        rotation = c[0] >> 5
        length = lengths >> 4 * rotation & 15
        if rotation == 7 or length not in range(1, 9) or len(c) < 1 + length:
            return None
        return rotation, int.from_bytes(c[1 : 1 + length], "big")
    version = c[0] >> 6
    if version == 0:
        return None
    found = (int.from_bytes(c[:3], "big") >> 6 & 0xFFFF, int.from_bytes(c[1:4], "big"), int.from_bytes(c[1:5], "big"))[version - 1]
    return (0, found) if found else None


class World:
    def __init__(self, crowded):
        self.secrets = [random.getrandbits(8 if crowded else 192) for _ in range(L.Banks)]
        self.lengths = random.choice((0x8765421, 0x8421888, random.getrandbits(28)))
        self.ids = [random.choice((random.getrandbits(64), random.getrandbits(32), random.getrandbits(16), 1, 0)) for _ in range(12)]
        self.table = {}

    def entry(self):
        lb = random.getrandbits(1)
        rotation = random.randrange(8) if lb else 0
        length = self.lengths >> 4 * rotation & 15 if rotation < 7 else 8
        number = random.choice(self.ids) & ((1 << 8 * min(max(length, 1), 8)) - 1 if lb else random.choice((0xFFFF, 0xFFFFFF, 0xFFFFFFFF)))
        return dict(id=number, rotation=rotation, lb=lb, pool=random.choice(POOLS), valid=int(random.random() < 0.9),
                    backend=random.getrandbits(16), generation=random.getrandbits(8))  # fmt: skip

    def place(self, entry):
        """The entry's row in one of the banks, now and then another one."""
        bank = random.randrange(L.Banks)
        row = bank_row(key_of(entry), self.secrets[bank]) if random.random() < 0.95 else random.randrange(L.QuicIdRows)
        return bank * L.QuicIdRows + row

    def packet(self):
        known = random.choice(list(self.table.values())) if self.table and random.random() < 0.8 else self.entry()
        lb = known["lb"] if random.random() < 0.9 else random.getrandbits(1)
        c = bytearray(random.randbytes(20))
        number = known["id"]
        if lb:
            c[0] = known["rotation"] << 5 | c[0] & 31
            length = min(self.lengths >> 4 * known["rotation"] & 15, 8) if known["rotation"] < 7 else 8
            c[1 : 1 + length] = (number & (1 << 8 * length) - 1).to_bytes(length, "big")
        else:
            version = random.randrange(4)
            c[0] = version << 6 | c[0] & 63
            if version == 1:
                c[:3] = (1 << 22 | (number & 0xFFFF) << 6 | c[2] & 63).to_bytes(3, "big")
            elif version > 1:
                c[1 : version + 2] = (number & (1 << 8 * (version + 1)) - 1).to_bytes(version + 1, "big")
        if random.random() < 0.5:
            u = bytes([random.getrandbits(7)]) + c
        else:
            version = random.choice((b"\0\0\0\1", bytes.fromhex("6b3343cf"), random.randbytes(4)))
            length = random.choice((8, 9, 20, 20, random.randrange(256)))
            u = bytes([0x80 | random.getrandbits(7)]) + version + bytes([length]) + c
        left = 8 + random.choice((len(u), len(u), 1000, random.randrange(24)))
        return dict(payload=u.ljust(WALK - 8, b"\x5a"), left=left, room=random.choice((94, 74, 8 + random.randrange(24))), lb=lb,
                    pool=known["pool"] if random.random() < 0.9 else random.choice(POOLS), ask=random.random() < 0.95,
                    matched=random.random() < 0.95, quic=random.random() < 0.95)  # fmt: skip

    def find(self, packet):
        """(named, the entry's backend and generation)."""
        named = server_id(packet, self.lengths)
        if named is None:
            return None
        key = key_of(dict(id=named[1], rotation=named[0], lb=packet["lb"], pool=packet["pool"]))
        for bank in range(L.Banks):
            entry = self.table.get(bank * L.QuicIdRows + bank_row(key, self.secrets[bank]))
            if entry and entry["valid"] and key_of(entry) == key:
                return entry["backend"], entry["generation"]
        return "unknown"


async def bench(dut, world):
    cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    for name in ("write_i", "read_i", "clear_i", "table_i", "index_i", "wdata_i", "valid_i"):
        getattr(dut, name).value = 0
    dut.secret_i.value = sum(secret << L.SecretBits * bank for bank, secret in enumerate(world.secrets))
    dut.id_bytes_i.value = world.lengths
    dut.rst_ni.value = 0
    for _ in range(3):
        await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    for row in range(L.QuicIdRows):
        dut.clear_i.value, dut.index_i.value = 1, row
        await RisingEdge(dut.clk_i)
    dut.clear_i.value = 0


async def play(dut, cycles, writing, crowded=False):
    """Random packets and writes; returns how many were found, unknown, and not asked for."""
    world = World(crowded)
    await bench(dut, world)
    expected, tally = [], dict(found=0, unknown=0, none=0)
    for cycle in range(cycles + LATENCY):
        # at this edge the inputs of the cycle before are taken
        valid = cycle < cycles and random.random() < 0.95
        packet = world.packet()
        dut.valid_i.value = int(valid)
        dut.bytes_i.value = int.from_bytes(bytes(8) + packet["payload"], "little")
        for name in ("left", "room", "matched", "quic", "pool", "ask"):
            getattr(dut, name + "_i").value = int(packet[name])
        dut.quic_lb_i.value = packet["lb"]
        dut.write_i.value = 0
        answers = {world.find(packet)} if valid else {None}
        expected.append((packet if valid else None, answers))
        if cycle < cycles and random.random() < writing:
            entry = world.entry()
            index, other = world.place(entry), random.random() < 0.1  # another table's write changes nothing here
            dut.write_i.value, dut.index_i.value = 1, index
            dut.table_i.value = L.TableVipMatch if other else L.TableQuicId
            dut.wdata_i.value = L.pack("quic_id", **entry)
            if not other:
                world.table[index] = entry
                for waiting, seen in expected[-WRITE_SHOWS:]:
                    if waiting:
                        seen.add(world.find(waiting))
        await RisingEdge(dut.clk_i)
        if cycle >= LATENCY:
            answer = None
            if int(dut.valid_o.value):
                assert int(dut.named_o.value)
                answer = (int(dut.backend_o.value), int(dut.generation_o.value)) if int(dut.found_o.value) else "unknown"
            wanted = expected[cycle - LATENCY][1]
            assert answer in wanted, f"cycle {cycle}: {answer}, not {wanted}, of {expected[cycle - LATENCY][0]}"
            tally["none" if answer is None else answer if answer == "unknown" else "found"] += 1
    dut.valid_i.value = dut.write_i.value = 0
    return tally


@cocotb.test()
async def ids_lead_where_the_table_says(dut):
    tally = await play(dut, 6000, 0.05)
    assert tally["found"] > 500 and tally["unknown"] > 500 and tally["none"] > 500, tally


@cocotb.test()
async def keys_share_rows(dut):
    """Few rows: entries of other keys lie where a packet looks, and the lowest bank wins."""
    tally = await play(dut, 3000, 0.3, crowded=True)
    assert tally["found"] > 200, tally


@cocotb.test()
async def a_dump_reads_what_was_written(dut):
    world = World(False)
    await bench(dut, world)
    last = L.Banks * L.QuicIdRows - 1
    words = {index: random.getrandbits(101) for index in {0, L.QuicIdRows - 1, L.QuicIdRows, last, *random.sample(range(last), 20)}}
    for index, word in words.items():
        dut.write_i.value, dut.table_i.value, dut.index_i.value, dut.wdata_i.value = 1, L.TableQuicId, index, word | 1 << 101
        await RisingEdge(dut.clk_i)
    dut.write_i.value = 0
    for index in {*words, *random.sample(range(last), 20)}:
        dut.read_i.value, dut.index_i.value = 1, index
        await RisingEdge(dut.clk_i)
        dut.read_i.value = 0
        for _ in range(40):
            await RisingEdge(dut.clk_i)
            if int(dut.rvalid_o.value):
                break
        assert int(dut.rdata_o.value) == words.get(index, 0), index
