"""The RTL's assertions are alive: a push into a full FIFO stops the simulation."""

import cocotb
from cocotb.regression import SimFailure
from cocotb.triggers import FallingEdge
from test_common import FIFO_DEPTH, start

TOP = "gw_common_bench"


@cocotb.test(expect_error=SimFailure)
async def a_push_into_a_full_fifo_stops_the_simulation(dut):
    await start(dut)
    dut.push_i.value = 1
    for _ in range(FIFO_DEPTH):
        await FallingEdge(dut.clk_i)
    assert int(dut.full_o.value) == 1
    await FallingEdge(dut.clk_i)
    assert False, "the assertion in gw_fifo did not fire"
