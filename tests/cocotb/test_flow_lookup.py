"""gw_flow_lookup with gw_flow_table: rows, places, order, latency, correction, stamps."""

import cocotb
from cocotb.triggers import RisingEdge

from flow_bench import Bench, generator
from flow_model import DATA_BITS, ECC_BITS, KEY_BITS, Entry, Key, secded

TOP = "gw_flow_bench"
LATENCY = 17  # FlowLookupLatency
VALID_BIT = KEY_BITS + 24


async def bench(dut):
    b = Bench(dut, generator())
    await b.start()
    return b


def entry(b, key=None, **fields):
    return Entry(key or b.key(), b.rng.randrange(1024), b.rng.getrandbits(8), **fields)


@cocotb.test()
async def rows_are_the_specified_hash(dut):
    """Every bank's row, for keys one a cycle, against the definition."""
    b = await bench(dut)
    keys = [b.key() for _ in range(200)]
    keys += [Key(0, 0, 0, 0), Key(0xFFF, (1 << 128) - 1, 0xFFFF, 0xFFFF)]
    keys += [Key(0, 1 << i, 0, 0) for i in (0, 31, 32, 63, 64, 127)] + [Key(1 << 11, 0, 0, 0), Key(0, 0, 1 << 15, 0), Key(0, 0, 0, 1)]
    rows = []

    async def watch():
        while len(rows) < len(keys):
            await RisingEdge(dut.clk_i)
            if dut.probe_valid_o.value:
                rows.append(int(dut.probe_row_o.value))

    watcher = cocotb.start_soon(watch())
    results = await b.lookups(keys, gap=0.1)
    await watcher
    for key, row in zip(keys, rows, strict=True):
        assert row == sum(key.row(secret) << 12 * i for i, secret in enumerate(b.secrets)), key
    assert results == [None] * len(keys), "an empty table holds a flow"


@cocotb.test()
async def a_lookup_takes_its_latency(dut):
    b = await bench(dut)
    held = entry(b)
    await b.insert(held, 3, 3)
    dut.lookup_key_i.value = held.key.word()
    dut.lookup_valid_i.value = 1
    await RisingEdge(dut.clk_i)  # the edge that takes the lookup
    dut.lookup_valid_i.value = 0
    cycles = 0
    while not dut.lookup_valid_o.value:
        await RisingEdge(dut.clk_i)
        cycles += 1
        assert cycles < 100
    assert cycles == LATENCY, cycles
    assert dut.lookup_found_o.value


@cocotb.test()
async def every_place_is_found_and_the_lowest_wins(dut):
    b = await bench(dut)
    flows = []
    for bank in range(4):
        for way in range(4):
            flow = entry(b)
            assert await b.insert(flow, bank, way) == "ok"
            flows.append(flow)
    results = await b.lookups([flow.key for flow in flows])
    assert results == [b.expected(flow.key) for flow in flows]
    # One key in all places, from the highest down: each new one wins.
    key = b.key()
    for place in reversed(range(16)):
        assert await b.insert(entry(b, key), place // 4, place % 4) == "ok"
        (result,) = await b.lookups([key])
        assert result == b.expected(key) and result[2] >> 12 == place


@cocotb.test()
async def known_and_unknown_flows_at_one_a_cycle(dut):
    b = await bench(dut)
    known = []
    for _ in range(60):
        flow = entry(b)
        if await b.insert(flow, b.rng.randrange(4), b.rng.randrange(4)) == "ok":
            known.append(flow.key)
    keys = [b.rng.choice(known) if b.rng.random() < 0.6 else b.key() for _ in range(1500)]
    # Near misses: one bit beside a known key.
    for key in known:
        bit = 1 << b.rng.randrange(128)
        keys.append(Key(key.vip, key.source ^ bit, key.source_port, key.destination_port))
        keys.append(Key(key.vip ^ 1, key.source, key.source_port, key.destination_port))
    b.rng.shuffle(keys)
    assert await b.lookups(keys) == [b.expected(key) for key in keys]
    assert await b.lookups(keys[:300], gap=0.5) == [b.expected(key) for key in keys[:300]]
    assert (b.corrected, b.uncorrectable) == (0, 0)


@cocotb.test()
async def one_wrong_bit_is_corrected_or_a_miss(dut):
    """Each bit of a stored word: in the key or `valid` it hides the flow, elsewhere it is corrected and counted."""
    b = await bench(dut)
    held = entry(b, pinned=1, confirmed=1)
    await b.insert(held, 1, 2)
    place, _ = b.flows.find(held.key)
    for bit in range(DATA_BITS + ECC_BITS):
        await b.flip(place, 1 << bit)
        before = b.corrected
        (result,) = await b.lookups([held.key])
        await b.cycles(2)
        hidden = bit < KEY_BITS or bit == VALID_BIT
        assert result == (None if hidden else b.expected(held.key)), bit
        assert b.corrected - before == (0 if hidden else 1), bit
        await b.flip(place, 1 << bit)
    assert await b.lookups([held.key]) == [b.expected(held.key)]
    assert b.uncorrectable == 0


@cocotb.test()
async def a_wrong_bit_never_lends_a_flow_to_another(dut):
    """A stored key that a flipped bit turned into the packet's is not the packet's flow."""
    b = await bench(dut)
    for _ in range(20):
        held = entry(b)
        bit = b.rng.randrange(KEY_BITS)
        word = held.key.word() ^ 1 << bit
        other = Key(word >> 160, word >> 32 & (1 << 128) - 1, word >> 16 & 0xFFFF, word & 0xFFFF)
        # Both keys share a row only when the secret's window at this bit is 0 in this bank: make it so.
        bank = b.rng.randrange(4)
        b.secrets[bank] &= ~(((1 << 12) - 1) << bit)
        dut.secret_i.value = sum(secret << 192 * i for i, secret in enumerate(b.secrets))
        b.flows.places.clear()
        place = b.flows.place(held.key, bank, 0)
        assert place == b.flows.place(other, bank, 0)
        data = held.data()
        await b.store(place, data | secded(data) << DATA_BITS)
        await b.flip(place, 1 << bit)
        before = b.corrected
        results = await b.lookups([other, held.key])
        await b.cycles(2)
        assert results == [None, None]
        assert b.corrected == before + 1
        await b.store(place, 0)


@cocotb.test()
async def two_wrong_bits_are_a_miss(dut):
    b = await bench(dut)
    held = entry(b)
    await b.insert(held, 0, 1)
    place, _ = b.flows.find(held.key)
    outside = [i for i in range(KEY_BITS, DATA_BITS + ECC_BITS) if i != VALID_BIT]
    count = 0
    for i, first in enumerate(outside):
        for second in outside[i + 1 :]:
            await b.flip(place, 1 << first | 1 << second)
            (result,) = await b.lookups([held.key])
            assert result is None, (first, second)
            await b.flip(place, 1 << first | 1 << second)
            count += 1
    await b.cycles(3)
    assert (b.corrected, b.uncorrectable) == (0, count)


@cocotb.test()
async def hits_leave_their_stamps(dut):
    b = await bench(dut)
    flows = []
    for _ in range(12):
        flow = entry(b)
        if await b.insert(flow, b.rng.randrange(4), b.rng.randrange(4)) == "ok":
            flows.append(flow)
    for _ in range(8):
        b.set_time(b.time + b.rng.randrange(1, 1 << 20))
        keys, flags = [], []
        for _ in range(b.rng.randrange(1, 30)):
            flow = b.rng.choice(flows)
            fin, rst = b.rng.random() < 0.1, b.rng.random() < 0.1
            keys.append(flow.key)
            flags.append((int(fin), int(rst)))
            flow.last_seen = b.time
            flow.fin |= fin
            flow.rst |= rst
        await b.lookups(keys, flags)
        await b.cycles(80)
        for flow in flows:
            await b.check_place(b.flows.find(flow.key)[0])
