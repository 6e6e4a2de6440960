"""gw_vip_prefix_table against CARD.md 3: a packet each cycle while entries change each cycle.

A packet is matched by all writes of earlier cycles and by none of later ones: each step of the pipeline must see the same table.
"""

import ipaddress
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from layout import L

TOP = "gw_vip_prefix_bench"
LATENCY = 7


class Model:
    """Prefixes as networks of Python's library, which knows nothing of masks in 128 bits."""

    def __init__(self):
        self.entries = {}

    def write(self, index, entry):
        self.entries.pop(index, None)
        if entry is None or not entry["valid"] or entry["vip"] >= L.Vips:
            return
        most = 128 if entry["ipv6"] else 32
        family = ipaddress.IPv6Network if entry["ipv6"] else ipaddress.IPv4Network
        network = family((entry["address"] & (1 << most) - 1, min(entry["length"], most)), strict=False)
        self.entries[index] = (network, entry["protocol"], entry["port"], entry["vip"])

    def find(self, packet):
        best = None
        for index, (network, protocol, port, vip) in self.entries.items():
            if packet["address"] in network and protocol == packet["protocol"] and port in (0, packet["port"]):
                candidate = ((network.prefixlen, port != 0, -index), vip)
                best = max(best, candidate) if best else candidate
        return best and best[1]


class World:
    """Few addresses, ports and protocols, so that entries nest and meet."""

    def __init__(self):
        self.roots = {True: [random.getrandbits(128) for _ in range(2)], False: [random.getrandbits(32) for _ in range(2)]}

    def address(self, ipv6):
        most = 128 if ipv6 else 32
        return random.choice(self.roots[ipv6]) ^ (random.getrandbits(most) >> random.choice((most, most, random.randrange(most))))

    def entry(self):
        ipv6 = random.random() < 0.5
        length = random.choice((random.randrange(256), *[random.randrange(129 if ipv6 else 33) for _ in range(9)]))
        return dict(
            address=self.address(ipv6), ipv6=int(ipv6), protocol=random.choice((6, 6, 17)), port=random.choice((0, 0, 80, 443)),
            valid=int(random.random() < 0.9), vip=random.choice((random.randrange(4096), *[random.randrange(L.Vips) for _ in range(9)])),
            length=length,
        )  # fmt: skip

    def packet(self):
        ipv6 = random.random() < 0.5
        family = ipaddress.IPv6Address if ipv6 else ipaddress.IPv4Address
        return dict(address=family(self.address(ipv6)), protocol=random.choice((6, 6, 17)), port=random.choice((80, 443, 9)))


def key(packet):
    address = packet["address"]
    return int(address) << 25 | int(address.version == 6) << 24 | packet["protocol"] << 16 | packet["port"]


async def bench(dut):
    cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    for name in ("write_i", "read_i", "clear_i", "table_i", "index_i", "wdata_i", "search_i", "key_i"):
        getattr(dut, name).value = 0
    dut.rst_ni.value = 0
    for _ in range(3):
        await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1


async def play(dut, cycles, writing, places=L.VipPrefixes):
    """Random searches and writes; returns how many packets were found."""
    world, model = World(), Model()
    expected, found = [], 0
    written = []  # by the cycle before: searches of this cycle do not see it yet
    for cycle in range(cycles + LATENCY):
        # At this edge the inputs of the cycle before are taken; what is visible is the answer to the search LATENCY cycles ago.
        search = cycle < cycles and random.random() < 0.9
        packet = world.packet()
        dut.search_i.value, dut.key_i.value = int(search), key(packet)
        expected.append(model.find(packet) if search else "none asked")
        for index, entry in written:
            model.write(index, entry)
        written = []
        dut.write_i.value = dut.clear_i.value = 0
        if random.random() < writing:
            index, entry = random.randrange(places), world.entry()
            other = random.random() < 0.1  # another table's write changes nothing here
            dut.write_i.value, dut.index_i.value = 1, index
            dut.table_i.value = L.TableVip if other else L.TableVipPrefix
            dut.wdata_i.value = L.pack("vip_prefix", **entry)
            if not other:
                written.append((index, entry))
        elif random.random() < writing / 20:
            dut.clear_i.value, dut.index_i.value = 1, (index := random.randrange(places))
            written.append((index, None))
        await RisingEdge(dut.clk_i)
        if cycle >= LATENCY and expected[cycle - LATENCY] != "none asked":
            wanted = expected[cycle - LATENCY]
            seen = int(dut.vip_o.value) if int(dut.hit_o.value) else None
            assert seen == wanted, f"cycle {cycle}: VIP {seen}, not {wanted}"
            found += wanted is not None
    dut.write_i.value = dut.clear_i.value = dut.search_i.value = 0
    return found


@cocotb.test()
async def the_longest_of_many(dut):
    """Hardly any writes: full tables, searched each cycle."""
    await bench(dut)
    assert await play(dut, 3000, 0.1) > 300


@cocotb.test()
async def packets_meet_whole_entries(dut):
    """A write in almost every cycle, to few places: each packet sees the entries before or after it."""
    await bench(dut)
    assert await play(dut, 4000, 0.9, 6) > 200


@cocotb.test()
async def a_dump_reads_what_was_written(dut):
    await bench(dut)
    for index in range(L.VipPrefixes):
        dut.clear_i.value, dut.index_i.value = 1, index
        await RisingEdge(dut.clk_i)
    dut.clear_i.value = 0
    words = {}
    for index in random.sample(range(L.VipPrefixes), 20):
        words[index] = random.getrandbits(174)
        dut.write_i.value, dut.table_i.value, dut.index_i.value, dut.wdata_i.value = 1, L.TableVipPrefix, index, words[index] | 1 << 174
        await RisingEdge(dut.clk_i)
    dut.write_i.value = 0
    for index in range(L.VipPrefixes):
        dut.read_i.value, dut.index_i.value = 1, index
        await RisingEdge(dut.clk_i)
        dut.read_i.value = 0
        for _ in range(40):
            await RisingEdge(dut.clk_i)
            if int(dut.rvalid_o.value):
                break
        assert int(dut.rdata_o.value) == words.get(index, 0), index
