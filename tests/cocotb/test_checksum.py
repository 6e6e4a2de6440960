"""`gw_checksum` against RFC 1071 in whole numbers: random sums, and those that carry once, twice, or come to all ones."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

TOP = "gw_checksum"
LATENCY = 2
SUM_BITS = 22  # of SumBits in gw_pkg


def checksum(part, total, zero):
    """The one's complement of the one's complement sum; of UDP, 0 is sent as all ones (RFC 768)."""
    folded = part + total
    while folded >> 16:
        folded = (folded & 0xFFFF) + (folded >> 16)
    return 0xFFFF if folded == 0xFFFF and not zero else folded ^ 0xFFFF


async def check(dut, cases):
    """A case a cycle; each result two cycles later."""
    clock = cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    dut.rst_ni.value = dut.valid_i.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = dut.valid_i.value = 1
    waiting = []
    for case in [*cases, *[(0, 0, 0)] * LATENCY]:
        if len(waiting) == LATENCY:
            old = waiting.pop(0)
            assert int(dut.checksum_o.value) == checksum(*old), (old, hex(int(dut.checksum_o.value)))
        dut.part_i.value, dut.sum_i.value, dut.zero_i.value = case
        waiting.append(case)
        await FallingEdge(dut.clk_i)
    clock.cancel()


@cocotb.test()
async def random_sums(dut):
    await check(dut, [(random.randrange(1 << 16), random.randrange(1 << SUM_BITS), random.randrange(2)) for _ in range(20000)])


@cocotb.test()
async def sums_at_the_edges(dut):
    near = [0, 1, 2, 0x3E, 0x3F, 0x40, 0x7FFF, 0x8000, 0xFFBF, 0xFFC0, 0xFFC1, 0xFFFD, 0xFFFE, 0xFFFF]
    high = [0, 1, 2, 0x1F, 0x3E, 0x3F]
    await check(dut, [(part, upper << 16 | lower, zero) for part in near for lower in near for upper in high for zero in (0, 1)])


@cocotb.test()
async def sums_of_all_ones(dut):
    """Each upper part with what brings the sum to all ones, and to its neighbours."""
    cases = []
    for upper in range(1 << (SUM_BITS - 16)):
        for part in (0, 1, 0x1234, 0xFFFE, 0xFFFF):
            for beside in (-1, 0, 1):
                lower = (0xFFFF + beside - upper - part) % 0xFFFF
                cases += [(part, upper << 16 | lower, zero) for zero in (0, 1)]
    assert sum(checksum(*case) in (0, 0xFFFF) for case in cases) >= len(cases) // 4
    await check(dut, cases)
