"""`gw_token_bucket` against exact arithmetic: thousandths of an event as integers, taken by random bursts while time passes and the limit changes."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

TOP = "gw_token_bucket"
SETTLED = 4  # cycles until ticks and writes show


class Bucket:
    """The limit as CARD.md 4 has it."""

    def __init__(self):
        self.rate = self.burst = self.level = 0

    def write(self, rate, burst):
        self.rate, self.burst, self.level = rate, burst, 1000 * burst

    def tick(self, micros):
        self.level = min(self.level + micros * self.rate, 1000 * self.burst)


async def start(dut):
    for port in (dut.tick_i, dut.rate_i, dut.burst_i, dut.fill_i, dut.take_i, dut.rst_ni):
        port.value = 0
    clock = cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    await FallingEdge(dut.clk_i)
    return clock


async def write(dut, bucket, rate, burst):
    bucket.write(rate, burst)
    dut.rate_i.value, dut.burst_i.value, dut.fill_i.value = rate, burst, 1
    await FallingEdge(dut.clk_i)
    dut.fill_i.value = 0


async def settle(dut):
    for _ in range(SETTLED):
        await FallingEdge(dut.clk_i)


async def drain(dut, bucket, most):
    """Takes an event a cycle while there is one, and the model as many."""
    for _ in range(most):
        ready = bool(int(dut.ready_o.value))
        assert ready == (bucket.level >= 1000), (ready, bucket.level)
        if not ready:
            return
        bucket.level -= 1000
        dut.take_i.value = 1
        await FallingEdge(dut.clk_i)
        dut.take_i.value = 0


@cocotb.test()
async def nothing_is_there_before_a_write(dut):
    clock = await start(dut)
    dut.tick_i.value = 65535
    await settle(dut)
    assert not int(dut.ready_o.value)
    clock.cancel()


@cocotb.test()
async def exact_when_time_stands_still(dut):
    clock = await start(dut)
    bucket = Bucket()
    for _ in range(3000):
        kind = random.randrange(20)
        if kind == 0:
            await write(dut, bucket, random.choice((0, 1, 2, 999, 1000, 1001, 65535, random.randrange(65536))), random.choice((0, 1, 2, 100, 65535)))
        elif kind < 12:
            for _ in range(random.choice((1, 1, 3))):
                micros = random.choice((1, 1, 2, 499, 500, 501, 999, random.randrange(65536)))
                bucket.tick(micros)
                dut.tick_i.value = micros
                await FallingEdge(dut.clk_i)
            dut.tick_i.value = 0
        await settle(dut)
        await drain(dut, bucket, random.choice((0, 1, 5, 200)))
    clock.cancel()


@cocotb.test()
async def exact_over_time(dut):
    """With ticks and events in the same cycles no event is lost or won: over time there are exactly rate x time of them."""
    clock = await start(dut)
    bucket = Bucket()
    for rate, burst, share in ((1, 3, 1.0), (7, 2, 1.0), (333, 5, 0.8), (999, 40, 1.0), (500, 1000, 0.5)):
        await write(dut, bucket, rate, burst)
        await settle(dut)
        taken = ticks = 0
        for _ in range(30000):
            ready = bool(int(dut.ready_o.value))
            take = ready and (taken < burst or random.random() < share)  # never so seldom that the bucket runs over
            dut.take_i.value = int(take)
            taken += take
            tick = random.random() < 0.4
            dut.tick_i.value = int(tick)
            ticks += tick
            await FallingEdge(dut.clk_i)
        dut.take_i.value = dut.tick_i.value = 0
        await settle(dut)
        while int(dut.ready_o.value):
            dut.take_i.value = 1
            taken += 1
            await FallingEdge(dut.clk_i)
            dut.take_i.value = 0
        assert taken == (1000 * burst + rate * ticks) // 1000, (rate, burst, taken, ticks)
    clock.cancel()


@cocotb.test()
async def exact_when_it_runs_over(dut):
    """Each cycle, for buckets so small that ticks fill them again and again while events are taken: a tick counts before an event of its cycle."""
    clock = await start(dut)
    for rate, burst, most in ((1000, 0, 3), (999, 1, 3), (1000, 1, 2), (1001, 1, 3), (300, 2, 9), (65535, 3, 2), (2500, 3, 3), (1, 1, 2000)):
        await write(dut, Bucket(), rate, burst)
        await settle(dut)
        level, coming = 1000 * burst, [0, 0]  # microseconds that the level does not show yet
        for cycle in range(4000):
            assert bool(int(dut.ready_o.value)) == (level >= 1000), (rate, burst, cycle, level)
            take = level >= 1000 and random.random() < 0.6
            tick = random.choice((0, 0, random.randrange(most)))
            dut.take_i.value, dut.tick_i.value = int(take), tick
            coming.append(tick)
            level = min(level + coming.pop(0) * rate, 1000 * burst) - 1000 * take
            await FallingEdge(dut.clk_i)
        dut.take_i.value = dut.tick_i.value = 0
        await settle(dut)
    clock.cancel()
