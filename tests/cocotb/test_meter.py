"""Meters against CARD.md 8: tokens in whole numbers, exact while time stands still, within the bounds while it passes."""

import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from layout import L

TOP = "gw_meter_bench"
SETTLE = 600  # cycles after which microseconds and entries show


class Model:
    """The text, in Python: thousandths of tokens by VIP."""

    def __init__(self):
        self.entry = {}
        self.level = {}

    def holds(self, vip):
        rate, burst = self.entry[vip]
        return max(1000 * burst, 1000 + rate)

    def write(self, vip, rate, burst):
        old = self.level.get(vip) if self.entry.get(vip, (0, 0))[0] else None
        self.entry[vip] = rate, burst
        if rate:
            self.level[vip] = self.holds(vip) if old is None else min(old, self.holds(vip))

    def tick(self, micros):
        for vip, (rate, _) in self.entry.items():
            if rate:
                self.level[vip] = min(self.level[vip] + rate * micros, self.holds(vip))

    def over(self, vip):
        if self.level[vip] < 1000:
            return True
        self.level[vip] -= 1000
        return False


class Bench:
    def __init__(self, dut):
        self.dut = dut
        self.expected = deque()
        self.answers = 0
        self.overs = 0

    async def cycle(self, packet=None, tick=0):
        """One cycle with (vip, want, expectation or None); checks the answer that is due."""
        dut = self.dut
        dut.probe_i.value, dut.tick_i.value = packet is not None, tick
        if packet:
            dut.vip_i.value, dut.want_i.value = packet[:2]
            self.expected.append(packet)
        await FallingEdge(dut.clk_i)
        over = int(dut.over_o.value)
        if not int(dut.probed_o.value):
            assert not over, "an answer without a packet"
            return None
        vip, want, expected = self.expected.popleft()
        assert int(dut.wanted_o.value) == want
        if not want:
            assert not over, "who wants no token is never over"
            return None
        self.answers += 1
        self.overs += over
        if expected is not None:
            assert over == expected, f"answer {self.answers}, VIP {vip}: {'over' if over else 'a token'}"
        return not over

    async def rest(self, cycles=SETTLE):
        for _ in range(cycles):
            await self.cycle()

    async def tick(self, micros):
        """A few come one a cycle, so that none is lost wherever in a round it comes."""
        most = 1 if micros < 1000 else 65535
        while micros:
            now = min(micros, most)
            await self.cycle(tick=now)
            micros -= now
        await self.rest()

    async def write(self, vip, rate, burst, table=None):
        dut = self.dut
        dut.entry_i.value = L.pack("vip_entry", meter_rate=rate, meter_burst=burst, mtu=1500, quota=7)
        dut.table_i.value, dut.index_i.value, dut.write_i.value = L.TableVip if table is None else table, vip, 1
        await self.cycle()
        dut.write_i.value = 0


async def start(dut):
    for name in ("tick_i", "write_i", "clear_i", "table_i", "index_i", "entry_i", "probe_i", "vip_i", "want_i"):
        getattr(dut, name).value = 0
    dut.rst_ni.value = 0
    Clock(dut.clk_i, 2, "ns").start()
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    bench = Bench(dut)
    dut.clear_i.value = 1
    for index in range(L.Vips + 16):
        dut.index_i.value = index
        await bench.cycle()
    dut.clear_i.value = 0
    await bench.rest()
    return bench


@cocotb.test()
async def tokens_are_exact_while_time_stands_still(dut):
    bench, model = await start(dut), Model()
    vips = [0, 1, 2, 17, L.Vips - 1]
    for _ in range(25):
        for vip in random.sample(vips, random.randint(1, 5)):
            rate = random.choice([1, 3, 999, 1000, 1001, 2500, 70_000, (1 << 24) - 1])
            burst = random.choice([0, 1, 2, 5, 40, 300, 65535])
            await bench.write(vip, rate, burst)
            model.write(vip, rate, burst)
        await bench.write(random.choice(vips), 1, 1, table=L.TablePool)  # another table's
        await bench.rest()
        for _ in range(3):
            known = list(model.level)
            hot = random.sample(known, min(len(known), random.choice([1, 1, 2, 5])))
            density = random.choice([1.0, 1.0, 0.5, 0.1])
            for _ in range(random.choice([7, 60, 400])):
                if random.random() < density:
                    vip, want = random.choice(hot), random.random() < 0.95
                    await bench.cycle((vip, want, model.over(vip) if want else None))
                else:
                    await bench.cycle()
            await bench.rest(20)
            micros = random.choice([1, 2, 7, 100, 300, 600, 4096, 70_000, 1 << 26])
            await bench.tick(micros)
            model.tick(micros)
    assert not bench.expected
    assert bench.overs > 300 and bench.answers - bench.overs > 300, (bench.answers, bench.overs)


@cocotb.test()
async def while_time_passes_the_bounds_hold(dut):
    bench = await start(dut)
    for rate, burst in ((2000, 3), (1500, 0), (300, 1)):
        await bench.write(5, rate, burst)
        await bench.rest()
        admitted, at = [], []  # tokens given up to each microsecond
        given = 0
        for micros in range(60):
            for cycle in range(322):
                got = await bench.cycle((5, 1, None), tick=int(cycle == 0))
                given += bool(got)
            admitted.append(given)
            at.append(micros)
        slack = 3 * rate / 1000 + 1
        for first in range(0, 59, 3):
            for last in range(first + 1, 60, 2):
                seen, time = admitted[last] - admitted[first], last - first
                assert seen <= burst + rate * time / 1000 + 8, (rate, burst, first, last, seen)
                assert seen >= rate * time / 1000 - slack, (rate, burst, first, last, seen)
        await bench.write(5, 0, 0)
        await bench.rest()


@cocotb.test()
async def a_meter_begins_full_and_is_cut_by_its_entry(dut):
    bench, model = await start(dut), Model()

    async def write(rate, burst):
        await bench.write(9, rate, burst)
        model.write(9, rate, burst)
        await bench.rest()

    async def takes(tokens):
        for i in range(tokens + 3):
            expected = model.over(9)
            assert expected == (i >= tokens), "the model itself"
            await bench.cycle((9, 1, expected))
        await bench.rest(20)

    await write(1000, 600)
    await takes(600)
    await bench.tick(512)  # one a cycle: each counts, wherever in a round it comes
    model.tick(512)
    await takes(512)
    await write(1, 20)
    await bench.tick(100_000)
    model.tick(100_000)
    await takes(20)
    await bench.tick(5000)  # five tokens
    model.tick(5000)
    await write(1, 200)  # more room brings no tokens
    await takes(5)
    await bench.tick(100_000)
    model.tick(100_000)
    await write(1, 7)  # less takes some away
    await takes(7)
    await write(0, 7)  # no meter: full again
    await write(1, 30)
    await takes(30)
