"""FIFOs, delays and the skid buffer against queues in Python."""

import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

TOP = "gw_common_bench"
FIFO_DEPTH, DEEP_DEPTH = 5, 20


async def start(dut):
    for name in ("push_i", "pop_i", "fifo_data_i", "delay_valid_i", "delay_data_i", "skid_valid_i", "skid_data_i", "skid_ready_i"):
        getattr(dut, name).value = 0
    dut.rst_ni.value = 0
    Clock(dut.clk_i, 2, "ns").start()
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await FallingEdge(dut.clk_i)


@cocotb.test()
async def fifos_keep_order_and_sustain_one_a_cycle(dut):
    await start(dut)
    outputs = [dut.fifo_data_0_o, dut.fifo_data_1_o, dut.fifo_data_2_o]
    model = [deque(), deque(), deque()]
    depths = [FIFO_DEPTH, DEEP_DEPTH, DEEP_DEPTH]
    streaming = 0
    for cycle in range(12000):
        # Phases: mostly pushes, mostly pops, both at full rate.
        phase = cycle // 150 % 4
        push_rate, pop_rate = ((0.9, 0.3), (0.2, 0.9), (1.0, 1.0), (0.5, 0.5))[phase]
        valid = int(dut.fifo_valid_o.value)
        value = random.getrandbits(24)
        push = pop = 0
        for i in range(3):
            if valid >> i & 1:
                assert model[i], f"fifo {i} shows an entry that was not pushed"
                assert int(outputs[i].value) == model[i][0], f"fifo {i}, cycle {cycle}"
            if i == 0:
                assert bool(valid & 1) == bool(model[0]), "gw_fifo shows its oldest entry one cycle after its push"
                assert int(dut.level_o.value) == len(model[0])
                assert int(dut.full_o.value) == (len(model[0]) == FIFO_DEPTH)
                assert int(dut.almost_full_o.value) == (len(model[0]) >= FIFO_DEPTH - 2)
            if random.random() < push_rate and len(model[i]) < depths[i]:
                push |= 1 << i
            if valid >> i & 1 and random.random() < pop_rate:
                pop |= 1 << i
        if phase == 2 and cycle % 150 > 20 and all(model):
            assert valid == 7, f"a bubble at full rate: {valid:03b}"
            streaming += 1
        dut.fifo_data_i.value, dut.push_i.value, dut.pop_i.value = value, push, pop
        await FallingEdge(dut.clk_i)
        for i in range(3):
            if pop >> i & 1:
                model[i].popleft()
            if push >> i & 1:
                model[i].append(value)
    assert streaming > 1000, "full rate was hardly tested"


@cocotb.test()
async def a_push_into_an_empty_deep_fifo_is_seen_at_once(dut):
    await start(dut)
    for _ in range(20):
        value = random.getrandbits(24)
        dut.fifo_data_i.value, dut.push_i.value = value, 7
        await FallingEdge(dut.clk_i)
        dut.push_i.value = 0
        assert int(dut.fifo_valid_o.value) == 7
        assert int(dut.fifo_data_1_o.value) == int(dut.fifo_data_2_o.value) == value
        dut.pop_i.value = 7
        await FallingEdge(dut.clk_i)
        dut.pop_i.value = 0
        assert int(dut.fifo_valid_o.value) == 0
        for _ in range(random.randrange(4)):
            await FallingEdge(dut.clk_i)


@cocotb.test()
async def delays_are_exact(dut):
    await start(dut)
    history = deque([None] * 20, maxlen=20)
    outputs = [dut.delay_data_0_o, dut.delay_data_1_o, dut.delay_data_2_o, dut.delay_data_3_o]
    last = [None] * 4
    for cycle in range(3000):
        value = random.getrandbits(24) if random.random() < (0.9 if cycle // 100 % 2 else 0.2) else None
        valid = int(dut.delay_valid_o.value)
        for i, cycles in enumerate((1, 2, 9, 19)):
            want = history[-cycles]
            assert bool(valid >> i & 1) == (want is not None), f"delay {cycles}, cycle {cycle}"
            last[i] = want if want is not None else last[i]
            if last[i] is not None:
                assert int(outputs[i].value) == last[i], "data stays until the next valid word"
        dut.delay_valid_i.value, dut.delay_data_i.value = value is not None, value or 0
        history.append(value)
        await FallingEdge(dut.clk_i)


@cocotb.test()
async def the_skid_buffer_loses_nothing(dut):
    await start(dut)
    sent, received, offered = deque(), 0, None
    for cycle in range(4000):
        busy = cycle // 200 % 3
        if offered is None and random.random() < (0.5, 1.0, 1.0)[busy]:
            offered = random.getrandbits(24)
        ready = random.random() < (0.5, 1.0, 0.3)[busy]
        dut.skid_valid_i.value, dut.skid_data_i.value, dut.skid_ready_i.value = offered is not None, offered or 0, ready
        taken = offered is not None and int(dut.skid_ready_o.value)
        if int(dut.skid_valid_o.value) and ready:
            assert int(dut.skid_data_o.value) == sent.popleft()
            received += 1
        if busy == 1 and cycle % 200 > 5:
            assert taken, "the skid buffer does not sustain one a cycle"
        await FallingEdge(dut.clk_i)
        if taken:
            sent.append(offered)
            offered = None
    assert received > 1000
