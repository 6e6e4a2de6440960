"""`gw_sum_ring` alone: a read in each cycle gives what was written last, up to the cycle of its answer."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

TOP = "gw_sum_ring"
LATENCY = 3  # TableLatency
SUMS_BITS = 44  # of gw_sums_t
PLACES = 6  # few, so that reads and writes meet


@cocotb.test()
async def answers_are_the_latest_sums(dut):
    clock = cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    for port in (dut.soon_i, dut.soon_payload_i, dut.we_i, dut.sum_i, dut.re_i, dut.raddr_i):
        port.value = 0
    await FallingEdge(dut.clk_i)
    stored, soon, asked, overtaken = {}, None, [], 0
    for cycle in range(20000):
        coming = soon  # what was announced in the last cycle
        soon = (random.randrange(PLACES), random.getrandbits(SUMS_BITS)) if random.random() < 0.4 else None
        place = random.randrange(PLACES)
        asked.append((place, stored.get(place)))
        if coming:
            stored[coming[0]] = coming[1]
        dut.we_i.value = int(coming is not None)
        dut.sum_i.value = coming[0] << SUMS_BITS | coming[1] if coming else random.getrandbits(SUMS_BITS)
        dut.soon_i.value = int(soon is not None)
        dut.soon_payload_i.value = soon[0] if soon else random.randrange(PLACES)
        dut.re_i.value, dut.raddr_i.value = 1, place
        await ReadOnly()
        if cycle >= LATENCY:
            place, then = asked.pop(0)
            if place in stored:
                assert int(dut.sum_o.value) == stored[place], (cycle, place)
                overtaken += stored[place] != then
        await FallingEdge(dut.clk_i)
    assert overtaken > 1000
    clock.cancel()
