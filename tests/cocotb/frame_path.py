"""Drives the framing stations (`gw_frame_path_bench`) cycle by cycle, and says what must come out.

Everything is sampled and driven at the falling edge: outputs have settled, inputs are stable at the rising edge. What a frame
becomes stands in its first bytes (see the bench's header); `expect` reads them by CARD.md, not by the RTL.
"""

import random
from collections import deque
from dataclasses import dataclass, field

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

HIT, RING, INJECT, RAW = 0, 1, 2, 3
PUNT, CONTROL, FRAGMENT, ICMP_ERROR, UNMATCHED, UNSUPPORTED, GROUP = range(8, 15)
PORT_DISABLED, INGRESS_FULL, RX_ERROR, RUNT, OVERSIZE = 16, 17, 18, 19, 20
IPV4_MALFORMED, NO_BACKEND, EGRESS_OVERLOAD, PUNT_FULL, HOST_FULL = 22, 26, 30, 31, 32
CLASS = {CONTROL: 0, UNMATCHED: 1, UNSUPPORTED: 1, GROUP: 1, PUNT: 2, FRAGMENT: 3, ICMP_ERROR: 3}
WIRE_IN, WIRE_IN_BYTES, INJECTED, WIRE_OUT, WIRE_OUT_BYTES, HOST_OUT, HOST_GONE, PUNT_UNANSWERED = range(48, 56)
HEARTBEAT_FALLBACK, CYCLES = 58, 59
COUNTER, VIP_COUNTER, BACKEND_COUNTER = 7, 8, 9
FRAME_MAX = 9216
TABLE_LATENCY = 16


def control(disposition, header=0, keep_from=0, keep_to=0xFFFF, needed=0, when_short=IPV4_MALFORMED, klass=1, flags=0, vip=0,
            backend=0, seed=0):
    """The first 14 bytes of a frame: what the stub decides for it."""
    return bytes([disposition, header, keep_from]) + keep_to.to_bytes(2, "little") + needed.to_bytes(2, "little") + bytes(
        [when_short, klass, flags, vip]) + backend.to_bytes(2, "little") + bytes([seed])


@dataclass
class Frame:
    """A frame that goes in: its bytes and the MAC's error flag."""

    data: bytes
    error: bool = False


@dataclass
class Expected:
    """What a frame becomes when admission has room."""

    disposition: int
    out: bytes = b""
    klass: int = 1
    vip: int | None = None
    backend: int | None = None
    ip_bytes: int = 0
    fallback: bool = False


def expect(frame: Frame) -> Expected:
    """CARD.md 2 rows 1 to 3 and `needed`, then what the frame's first bytes ask for."""
    data = frame.data
    if frame.error:
        return Expected(RX_ERROR)
    if len(data) > FRAME_MAX:
        return Expected(OVERSIZE)
    if len(data) < 14:
        return Expected(RUNT)
    needed = int.from_bytes(data[5:7], "little") & 0x3FFF
    if len(data) < needed:
        return Expected(data[7])
    flags = data[9]
    want = Expected(data[0], klass=data[8] & 3, vip=data[10] if flags & 1 else None,
                    backend=int.from_bytes(data[11:13], "little") if flags & 2 else None, ip_bytes=needed, fallback=bool(flags & 4))
    if want.disposition < 8:
        keep_to = min(int.from_bytes(data[3:5], "little") & 0x3FFF, len(data))
        want.out = bytes((data[13] + i) & 0xFF for i in range(data[1])) + data[data[2]:keep_to]
    elif want.disposition < 16:
        want.out = data
    return want


class Sender:
    """Feeds frames into one stream, with random gaps between beats when `idle` is above 0."""

    def __init__(self, dut, prefix, idle=0.0):
        self.valid = getattr(dut, f"{prefix}_valid_i")
        self.ready = getattr(dut, f"{prefix}_ready_o")
        self.data = getattr(dut, f"{prefix}_data_i")
        self.keep = getattr(dut, f"{prefix}_keep_i")
        self.last = getattr(dut, f"{prefix}_last_i")
        self.error = getattr(dut, f"{prefix}_error_i", None)
        self.valid.value = 0
        self.always_ready = prefix == "rx"
        self.idle, self.queue, self.beats, self.offered = idle, deque(), deque(), False
        self.shown_last = None
        self.last_cycles = []  # cycle in which each frame's last beat was taken
        self.window_cycles = []  # cycle in which each frame's window was complete

    def push(self, frame: Frame, cancel=False):
        """Queues a frame; `cancel` ends it (inject) with a beat without bytes."""
        self.queue.append((frame, cancel))

    def busy(self):
        return bool(self.queue or self.beats or self.offered)

    def step(self, cycle):
        """One falling edge: was the offered beat taken at the rising edge before; what is offered next."""
        if self.offered and self.taken_next:
            self.offered = False
            if self.now[4] or (self.now[2] and not self.now[5]):
                self.window_cycles.append(self.taken_cycle)
            if self.now[2]:
                self.last_cycles.append(self.taken_cycle)
        if not self.offered:
            if not self.beats and self.queue:
                frame, cancel = self.queue.popleft()
                data = frame.data
                count = max(1, -(-len(data) // 64))
                for i in range(count):
                    part = data[64 * i:64 * i + 64]
                    final = i == count - 1 and not cancel
                    self.beats.append((int.from_bytes(part, "little"), (1 << len(part)) - 1, final, frame.error and final, i == 1, i > 1))
                if cancel:
                    self.beats.append((0, 0, True, False, False, True))
            if self.beats and (self.idle == 0 or random.random() >= self.idle):
                self.now = self.beats.popleft()
                self.offered = True
                self.data.value, self.keep.value, last, error = self.now[0], self.now[1], self.now[2], self.now[3]
                if last != self.shown_last:
                    self.last.value = self.shown_last = last
                    if self.error is not None:
                        self.error.value = error
                elif self.error is not None and last:
                    self.error.value = error
                self.valid.value = 1
            else:
                self.valid.value = 0
        if self.offered:
            # Ready does not depend on valid, so what is seen now holds at the rising edge.
            self.taken_next = self.always_ready or bool(int(self.ready.value))
            self.taken_cycle = cycle


@dataclass
class Received:
    """A frame that came out."""

    data: bytes
    first_cycle: int
    last_cycle: int
    klass: int = 0
    record: int = 0


class Receiver:
    """Takes frames from one stream, with random backpressure when `stall` is above 0; checks `keep` and `last`."""

    def __init__(self, dut, prefix, stall=0.0, sideband=False):
        self.valid = getattr(dut, f"{prefix}_valid_o")
        self.ready = getattr(dut, f"{prefix}_ready_i")
        self.data = getattr(dut, f"{prefix}_data_o")
        self.keep = getattr(dut, f"{prefix}_keep_o")
        self.last = getattr(dut, f"{prefix}_last_o")
        self.klass = getattr(dut, f"{prefix}_class_o") if sideband else None
        self.record = getattr(dut, f"{prefix}_record_o") if sideband else None
        self.stall, self.blocked, self.frames, self.parts, self.first_seen = stall, False, [], [], None
        self.ready.value = self.shown = 1
        self.held = None
        self.starved = 0  # cycles without a beat inside a frame

    def step(self, cycle):
        ready = not self.blocked and (self.stall == 0 or random.random() >= self.stall)
        if ready != self.shown:
            self.ready.value = self.shown = ready
        if not int(self.valid.value):
            assert self.held is None, "valid fell while stalled"
            if self.parts:
                self.starved += 1
            return
        if not ready and self.held is not None and random.random() < 0.9:
            return
        beat = (int(self.data.value), int(self.keep.value), int(self.last.value))
        if self.held is not None:
            assert beat == self.held, "a stalled beat changed"
        self.held = None if ready else beat
        if not self.parts:
            if self.first_seen is None:
                self.first_seen = cycle
        if not ready:
            return
        data, keep, last = beat
        count = keep.bit_count()
        assert keep == (1 << count) - 1 and count > 0, f"keep {keep:#x} does not run from byte 0"
        assert last or count == 64, "a beat before the last is not full"
        if not self.parts:
            self.side = (int(self.klass.value), int(self.record.value)) if self.klass is not None else (0, 0)
        elif self.klass is not None:
            assert self.side == (int(self.klass.value), int(self.record.value)), "the record changed inside a frame"
        self.parts.append((data & ((1 << (8 * count)) - 1)).to_bytes(count, "little"))
        if last:
            self.frames.append(Received(b"".join(self.parts), self.first_seen, cycle, *self.side))
            self.parts, self.first_seen = [], None


class FramePath:
    """The bench: clock, reset, streams, counters."""

    def __init__(self, dut):
        self.dut, self.cycle, self.running = dut, 0, False
        self.rx = Sender(dut, "rx")
        self.inject = Sender(dut, "inject")
        self.tx = Receiver(dut, "tx")
        self.host = Receiver(dut, "host", sideband=True)
        self.parts = [self.rx, self.inject, self.tx, self.host]
        self.each_cycle = []  # called with the cycle at every falling edge

    async def start(self):
        """Reset, tables cleared, port enabled, all queues of the host open."""
        dut = self.dut
        dut.rst_ni.value = 0
        for name in ("ready_i", "port_enable_i", "rx_error_i", "rx_last_i", "inject_last_i", "punt_ended_i", "punt_lost_i", "host_reset_i", "host_lost_i",
                     "table_read_i", "table_clear_i", "table_id_i", "table_index_i", "time_us_i"):
            getattr(dut, name).value = 0
        dut.egress_threshold_i.value = 0x1000_1000_1000_1000
        dut.host_class_enable_i.value = 15
        dut.host_class_ready_i.value = 15
        dut.host_class_bytes_i.value = sum(1 << 14 << (15 * i) for i in range(4))
        dut.rx_valid_i.value = dut.inject_valid_i.value = 0
        if not self.running:
            Clock(dut.clk_i, 2, "ns").start()
            self.running = True
        for _ in range(8):
            await FallingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        dut.table_clear_i.value = 1
        for index in range(1024):
            dut.table_index_i.value = index
            await FallingEdge(dut.clk_i)
        dut.table_clear_i.value = 0
        dut.ready_i.value = 1
        dut.port_enable_i.value = 1
        await FallingEdge(dut.clk_i)

    def restart(self):
        """Forgets what the streams had under way, for a reset."""
        for sender in (self.rx, self.inject):
            sender.queue.clear()
            sender.beats.clear()
            sender.offered, sender.shown_last = False, None
        for receiver in (self.tx, self.host):
            receiver.parts, receiver.held, receiver.first_seen, receiver.blocked = [], None, None, False
            receiver.frames.clear()

    async def step(self, cycles=1):
        for _ in range(cycles):
            await FallingEdge(self.dut.clk_i)
            self.cycle += 1
            for part in self.parts:
                part.step(self.cycle)
            for call in self.each_cycle:
                call(self.cycle)

    async def drain(self, limit=200_000):
        """Runs until everything has left, and asserts that nothing is kept: no frame, no payload, no reservation."""
        end = self.cycle + limit
        while self.rx.busy() or self.inject.busy():
            await self.step()
            assert self.cycle < end, "the streams in do not end"
        await self.step(150)
        while not int(self.dut.empty_o.value):
            await self.step(10)
            assert self.cycle < end, "something stays in flight"
        await self.step(10)
        assert int(self.dut.in_flight_o.value) == 0

    async def read(self, table, index):
        """One counter: (packets, bytes)."""
        dut = self.dut
        dut.table_read_i.value, dut.table_id_i.value, dut.table_index_i.value = 1, table, index
        await self.step()
        dut.table_read_i.value = 0
        await self.step(TABLE_LATENCY - 1)
        assert int(dut.table_rvalid_o.value) == 1, "no answer after the tables' latency"
        value = int(dut.table_rdata_o.value)
        await self.step()
        assert int(dut.table_rvalid_o.value) == 0 and int(dut.table_rdata_o.value) == 0
        return value & (2**64 - 1), value >> 64 & (2**64 - 1)

    async def counters(self):
        """All 64 counters."""
        return [(await self.read(COUNTER, i))[0] for i in range(64)]

    @staticmethod
    def conserved(c):
        """CARD.md 6."""
        drops = sum(c[16:48])
        assert c[WIRE_IN] + c[INJECTED] == c[WIRE_OUT] + c[HOST_OUT] + c[HOST_GONE] + drops, c
        assert sum(c[:4]) == c[WIRE_OUT] and sum(c[8:16]) == c[HOST_OUT] + c[HOST_GONE], c


def random_frame(kinds, sizes=None, wire=True):
    """A frame of random size and verdict, whose decision is consistent."""
    size = random.choice(sizes or (random.randint(1, 80), random.randint(14, 200), random.randint(60, 1600), random.randint(1, 9300)))
    kind = random.choice(kinds)
    body = random.randbytes(max(0, size - 14))
    flags = random.randrange(8) if wire else random.choice((0, 2))
    common = dict(flags=flags, vip=random.randrange(8), backend=random.randrange(8), seed=random.randrange(256))
    if kind == RAW:
        head = control(RAW, klass=0, **common)
    elif kind < 8:
        header = random.choice((34, 54, 54, 58, 66, 65, 64, 14, random.randint(14, 66)))
        needed = random.randint(15, max(15, size)) if random.random() < 0.9 else size + random.randint(1, 20)
        keep_from = min(needed, random.choice((14, 14, 18, 22)))
        head = control(kind, header, keep_from, needed, needed, random.choice((IPV4_MALFORMED, 23)), klass=random.choice((1, 2)), **common)
    else:
        head = control(kind, needed=random.choice((0, 14, random.randint(0, size))), **common)
    error = wire and random.random() < 0.02
    return Frame((head + body)[:size], error)
