"""`gw_counter_ram` against whole numbers: events of every pace and address, what a hold shows, and sums beyond 32 bits."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge

TOP = "gw_counter_ram"
PARAMETERS = {"Entries": 16}
ENTRIES = 16
SEEN = 4  # cycles from an event to the reads that see it
HELD = 3  # cycles from an event to a hold that still shows it


class Counters:
    """Packets and bytes by index."""

    def __init__(self):
        self.now = [(0, 0)] * ENTRIES

    def add(self, index, size):
        packets, total = self.now[index]
        self.now[index] = (packets + 1, total + size)


async def start(dut):
    for port in (dut.rst_ni, dut.event_i, dut.refresh_i, dut.hold_i, dut.clear_i, dut.read_i):
        port.value = 0
    cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    await ClockCycles(dut.clk_i, 4)
    await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    dut.clear_i.value = 1
    for index in range(ENTRIES):
        dut.clear_index_i.value = index
        await FallingEdge(dut.clk_i)
    dut.clear_i.value = 0
    await ClockCycles(dut.clk_i, SEEN)
    await FallingEdge(dut.clk_i)
    return Counters()


async def event(dut, counters, index, size):
    dut.event_i.value, dut.event_index_i.value, dut.event_bytes_i.value = 1, index, size
    counters.add(index, size)
    await FallingEdge(dut.clk_i)
    dut.event_i.value = 0


async def idle(dut, cycles):
    for _ in range(cycles):
        await FallingEdge(dut.clk_i)


async def read(dut):
    """Each counter, one a cycle: {bytes, packets} two cycles later."""
    found = []
    for index in range(ENTRIES + 2):
        dut.read_i.value, dut.read_index_i.value = int(index < ENTRIES), index % ENTRIES
        if index >= 2:
            value = int(dut.data_o.value)
            found.append((value & (1 << 64) - 1, value >> 64))
        await FallingEdge(dut.clk_i)
    return found


async def refresh(dut):
    for index in range(ENTRIES):
        dut.refresh_i.value, dut.refresh_index_i.value = 1, index
        await FallingEdge(dut.clk_i)
    dut.refresh_i.value = 0
    await idle(dut, SEEN)


@cocotb.test()
async def every_event_counts_at_any_distance(dut):
    """One a cycle to one address, to a few, with gaps: what the RAM does not show yet is not lost."""
    counters = await start(dut)
    for spread, gap in ((1, 0.0), (2, 0.0), (3, 0.3), (ENTRIES, 0.0), (4, 0.6)):
        for _ in range(600):
            await event(dut, counters, random.randrange(spread), random.randrange(1 << 16))
            while random.random() < gap:
                await FallingEdge(dut.clk_i)
        await idle(dut, SEEN)
        assert await read(dut) == counters.now, (spread, gap)


@cocotb.test()
async def a_hold_shows_one_moment_and_loses_nothing(dut):
    """Events go on while reads see the counters as they were; refreshed, they see all of them."""
    counters = await start(dut)
    for _ in range(20):
        for _ in range(random.randrange(1, 50)):
            await event(dut, counters, random.randrange(4), random.randrange(1 << 16))
        await idle(dut, HELD - 1)  # the last event is HELD cycles before the hold
        shown = list(counters.now)
        dut.hold_i.value = 1
        for _ in range(random.randrange(1, 30)):
            await event(dut, counters, random.randrange(4), random.randrange(1 << 16))
        assert await read(dut) == shown
        await idle(dut, SEEN)
        assert await read(dut) == shown, "a hold that moves"
        dut.hold_i.value = 0
        await idle(dut, 1)
        await refresh(dut)
        assert await read(dut) == counters.now


@cocotb.test()
async def an_event_too_close_to_a_hold_waits(dut):
    for distance in range(1, 7):
        counters = await start(dut)
        await event(dut, counters, 5, 100)
        await idle(dut, distance - 1)
        dut.hold_i.value = 1
        await idle(dut, 8)
        seen = (await read(dut))[5]
        assert seen == ((1, 100) if distance >= HELD else (0, 0)), distance
        dut.hold_i.value = 0
        await refresh(dut)
        assert (await read(dut))[5] == (1, 100)


@cocotb.test()
async def bytes_go_on_beyond_32_bits(dut):
    await start(dut)
    cycles = (1 << 32) // 0xFFFF + 200
    dut.event_index_i.value, dut.event_bytes_i.value, dut.event_i.value = 9, 0xFFFF, 1
    await ClockCycles(dut.clk_i, cycles)
    await FallingEdge(dut.clk_i)
    dut.event_i.value = 0
    await idle(dut, SEEN)
    packets, total = (await read(dut))[9]
    assert abs(packets - cycles) <= 1
    assert total == packets * 0xFFFF > 1 << 32
