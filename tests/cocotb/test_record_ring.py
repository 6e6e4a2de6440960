"""`gw_record_ring` against CARD.md 9: what is written where, what is lost and counted, arming, errors, and the end of a ring.

The DMA is the bench's: it takes writes when it likes and answers them in order, now and then with an error.
"""

import random
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from layout import L

TOP = "gw_record_ring"
BASE = 0x12_3456_7000
WAITING = L.RecordsWaiting
UNDER_WAY = 16
TRACE, EVENT = range(2)


def fields(word, *widths):
    """Cuts a packed struct whose fields have these widths, first field on top."""
    cut = []
    for width in reversed(widths):
        cut.append(word & (1 << width) - 1)
        word >>= width
    return cut[::-1]


class Bench:
    def __init__(self, dut, ready=0.7, answer=0.3):
        self.dut, self.ready, self.answer = dut, ready, answer
        self.config = {"enable": 0, "size": 4, "consumer": 0, "arm": 0}
        self.error = False
        self.messages = 0
        self.fresh()

    def fresh(self):
        """What a ring that is enabled begins with."""
        self.made = [[], []]  # what was given, by kind, from the ring's beginning
        self.written = deque()  # taken by the DMA, not answered
        self.memory = {}
        self.taken = self.done = 0
        self.lost = [0, 0]

    def drive(self, consumer_written=0, arm_written=0):
        c = self.config
        word = c["enable"]
        for width, value in ((4, c["size"]), (4, 6), (64, BASE), (64, 0), (16, c["consumer"]), (1, consumer_written), (16, c["arm"]), (1, arm_written)):
            word = word << width | value
        self.dut.config_i.value = word

    async def start(self):
        dut = self.dut
        for name in ("rst_ni", "stop_i", "time_us_i", "trace_valid_i", "event_valid_i", "write_ready_i", "done_valid_i", "done_error_i"):
            getattr(dut, name).value = 0
        dut.bus_master_i.value = 1
        self.drive()
        Clock(dut.clk_i, 2, "ns").start()
        for _ in range(4):
            await FallingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        await self.step()

    async def enable(self, size=4):
        self.config |= {"enable": 1, "size": size, "consumer": 0}
        self.drive()
        self.fresh()
        for _ in range(3):
            await self.step()

    async def step(self, trace=None, event=None):
        """One cycle. `trace` and `event` are numbers that the records carry."""
        dut = self.dut
        dut.trace_valid_i.value, dut.event_valid_i.value = trace is not None, event is not None
        if trace is not None:
            dut.trace_i.value = L.pack("trace_record", kind=L.RecordKindTrace, source=trace)
            self.made[TRACE].append(trace)
        if event is not None:
            key = ((7 << 128 | event) << 16 | 4000) << 16 | 80
            dut.event_i.value = ((key << 16 | 0x1234) << 16 | 99) << 9 | 5 << 1 | 1
            self.made[EVENT].append(event)
        ready = random.random() < self.ready
        dut.write_ready_i.value = ready
        answer = bool(self.written) and random.random() < self.answer
        dut.done_valid_i.value, dut.done_error_i.value = answer, answer and self.error
        if answer:
            self.written.popleft()
            self.done += 1
        await FallingEdge(dut.clk_i)

    def take(self):
        """To be called between drive and edge: a write that is taken now."""
        dut = self.dut
        if not (int(dut.write_valid_o.value) and int(dut.write_ready_i.value)):
            return
        address, beats, last, strobe, data = fields(int(dut.write_o.value), 64, 3, 1, 64, 512)
        assert (beats, last, strobe) == (1, 1, (1 << 64) - 1)
        size = 1 << self.config["size"]
        assert address == BASE + 64 * (self.taken % size), f"record {self.taken} at {address:#x}"
        assert (self.taken - self.config["consumer"]) % 65536 < size, "the host's entry was overwritten"
        assert data & 1 == (self.taken // size + 1) % 2, "phase"
        self.memory[self.taken] = data
        self.taken += 1
        self.written.append(address)
        assert len(self.written) <= UNDER_WAY, "too many writes under way"

    async def run(self, cycles, trace=0.0, event=0.0, returning=True):
        for _ in range(cycles):
            number = random.getrandbits(100)
            await self.cycle(number if random.random() < trace else None, number ^ 1 if random.random() < event else None, returning)

    async def cycle(self, trace=None, event=None, returning=True):
        if returning and random.random() < 0.2 and self.config["enable"]:
            self.config["consumer"] = self.done % 65536
            self.drive(consumer_written=1)
        else:
            self.drive()
        dut = self.dut
        step = cocotb.start_soon(self.step(trace, event))
        await ReadOnly()
        self.take()
        self.messages += int(dut.interrupt_o.value)
        lost = int(dut.lost_o.value)
        self.lost[TRACE] += lost & 1
        self.lost[EVENT] += lost >> 1
        await step

    def check(self, waiting=(0, 0)):
        """Every record of a kind was written, in order, but for what was lost and what waits; numbers show the gaps."""
        for kind, struct in ((TRACE, "trace_record"), (EVENT, "flow_event_record")):
            records = [L.unpack(struct, data) for data in self.memory.values()]
            records = [r for r in records if r["kind"] == (L.RecordKindTrace, L.RecordKindFlowEvent)[kind]]
            numbers = [r["sequence_number"] for r in records]
            assert numbers == sorted(set(numbers)), "order"
            for record in records:
                assert record["source"] == self.made[kind][record["sequence_number"]], record
                if kind == EVENT:
                    assert (record["vip"], record["source_port"], record["destination_port"]) == (7, 4000, 80)
                    assert (record["index"], record["backend"], record["generation"], record["replaced"]) == (0x1234, 99, 5, 1)
                    assert record["flow_place"] == 1
            assert len(self.made[kind]) == len(records) + self.lost[kind] + waiting[kind], (kind, len(self.made[kind]), len(records), self.lost)
        made = int(self.dut.made_o.value)
        assert [made & 0xFFFFFFFF, made >> 32] == [len(m) for m in self.made]
        assert int(self.dut.state_o.value) >> 8 == self.done % 65536, "the producer"


async def bench(dut, **options):
    made = Bench(dut, **options)
    await made.start()
    return made


@cocotb.test()
async def all_is_written(dut):
    """Rings of every small size, several times round: order, places, phases, numbers; nothing is lost as long as there is room."""
    b = await bench(dut)
    for size in (1, 2, 5):
        await b.enable(size)
        await b.run(3000, trace=0.04, event=0.04)
        await b.run(2000)
        b.check()
        assert b.lost == [0, 0] and b.taken > 100
        b.config["enable"] = 0
        await b.run(60, returning=False)
        assert int(dut.made_o.value) == 0 and int(dut.busy_o.value) == 0


@cocotb.test()
async def a_flood_is_lost_and_counted(dut):
    """Both kinds in every cycle: what finds no room is lost, the rest is whole; one kind does not starve the other."""
    b = await bench(dut, ready=0.9, answer=0.8)
    await b.enable(8)
    await b.run(2000, trace=1, event=1)
    await b.run(1500)
    b.check()
    kinds = [sum(L.unpack("trace_record", d)["kind"] == k for d in b.memory.values()) for k in (L.RecordKindTrace, L.RecordKindFlowEvent)]
    assert min(b.lost) > 500 and abs(kinds[0] - kinds[1]) < WAITING, (b.lost, kinds)


@cocotb.test()
async def a_full_ring(dut):
    """Without a consumer exactly WAITING of each kind wait behind a full ring, and come when there is room again."""
    b = await bench(dut)
    await b.enable(3)
    await b.run(200, trace=1, returning=False)
    await b.run(1, returning=False)
    assert b.taken == 8 and b.lost == [200 - 8 - WAITING, 0], (b.taken, b.lost)
    await b.run(70, event=1, returning=False)
    await b.run(2, returning=False)
    assert b.taken == 8 and b.lost[EVENT] == 70 - WAITING and int(dut.busy_o.value) == 0
    b.check(waiting=(WAITING, WAITING))
    await b.run(3000)
    b.check()


@cocotb.test()
async def no_bus_mastering(dut):
    """Nothing is written without it; what waits comes afterwards."""
    b = await bench(dut)
    await b.enable(6)
    dut.bus_master_i.value = 0
    await b.run(100, trace=0.3)
    assert b.taken == 0 and int(dut.busy_o.value) == 0
    dut.bus_master_i.value = 1
    await b.run(500)
    assert b.taken == len(b.made[TRACE]) > 0
    b.check()


@cocotb.test()
async def armed(dut):
    """An armed ring interrupts once, when its producer has left the index."""
    b = await bench(dut)
    await b.enable(6)
    for _ in range(20):
        b.messages = 0
        b.config["arm"] = b.done % 65536
        b.drive(arm_written=1)
        await FallingEdge(dut.clk_i)
        await b.run(40)
        assert b.messages == 0
        await b.run(3, trace=1)
        await b.run(150)
        assert b.messages == 1


@cocotb.test()
async def an_error_stops_it(dut):
    """A failed write stops the ring by name; what waits is forgotten, and nothing more is made until it is enabled anew."""
    b = await bench(dut)
    await b.enable(4)
    await b.run(50, trace=0.2)
    b.error = True
    await b.run(300, trace=0.2)
    await b.run(2, returning=False)
    assert int(dut.state_o.value) & 0xFF == L.StatusDmaError and int(dut.busy_o.value) == 0
    written = b.taken
    b.error = False
    await b.run(100, trace=0.2, event=0.2)
    await b.run(2, returning=False)
    assert b.taken == written and int(dut.busy_o.value) == 0
    b.config["enable"] = 0
    await b.run(50, returning=False)
    await b.enable(4)
    await b.run(300, trace=0.1)
    await b.run(200)
    b.check()


@cocotb.test()
async def reset_and_restart(dut):
    """In the middle of everything: a reset, or the host ends the ring; the next one begins at index and number 0."""
    b = await bench(dut)
    for round in range(12):
        await b.enable(random.randint(1, 4))
        await b.run(random.randint(5, 200), trace=random.random(), event=random.random())
        if round % 2:
            # as gw_host_reset does: nothing begins, all comes home, then the reset
            dut.stop_i.value = 1
            await b.run(200, trace=0.5, returning=False)
            assert not b.written
            dut.rst_ni.value = 0
            b.config["enable"] = 0
            b.drive()
            for _ in range(4):
                await FallingEdge(dut.clk_i)
            dut.rst_ni.value, dut.stop_i.value = 1, 0
        else:
            b.config["enable"] = 0
            b.drive()
            await b.run(200, trace=0.5, returning=False)
            b.fresh()
        await b.run(5, returning=False)
        assert int(dut.made_o.value) == 0 and int(dut.busy_o.value) == 0
