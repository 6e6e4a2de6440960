"""Drives `gw_card` as a PCIe bridge, a wire and a driver would: host memory behind AXI4, registers, rings.

Owns the bridge's behaviour (delays, answers of different IDs out of order, errors for what is not mapped) and checks what any
bridge relies on: CARD.md 7 and AXI. What the rings must contain is the benches' business.
"""

import random
from collections import deque

from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from layout import L

# Registers (regs/guideway.rdl)
CONTROL, STATUS, HEARTBEAT, CARD_RESET, PUNTS_OUTSTANDING, SECRET, SCRATCH = 0x020, 0x024, 0x028, 0x02C, 0x078, 0x080, 0x100
CARD = 0x4000
RX, TX, COMMAND = CARD, CARD + 0x100, CARD + 0x140
BASE, SECOND, CONFIG, DOORBELL, INDEX, RING_STATUS, ARM = 0x00, 0x08, 0x10, 0x14, 0x18, 0x1C, 0x20
READ_ERRORS, WRITE_ERRORS = CARD + 0x180, CARD + 0x184
DEBUG, MSIX, PENDING = 0x10000, 0x20000, 0x20800
VECTORS, VECTOR_TX, VECTOR_COMMAND, VECTOR_EVENT = 8, 4, 5, 6
ENABLE = 1 << 31
READ_BYTES, WRITE_BYTES = 512, 256


class Memory:
    """Host memory: one mapped range, with holes that a test may punch."""

    def __init__(self, base=0x1_2340_0000, size=1 << 20):
        self.base, self.bytes, self.holes, self.next = base, bytearray(size), [], base
        self.messages = 0xFEE0_0000  # MSI-X messages arrive here

    def allocate(self, size, align=64):
        """Fresh, zeroed, and mapped."""
        self.next = (self.next + align - 1) // align * align
        at, self.next = self.next, self.next + size
        assert self.next <= self.base + len(self.bytes), "the bench's memory is used up"
        return at

    def mapped(self, address, size):
        inside = self.base <= address and address + size <= self.base + len(self.bytes)
        return inside and not any(address < end and start < address + size for start, end in self.holes)

    def get(self, address, size):
        return bytes(self.bytes[address - self.base : address - self.base + size])

    def put(self, address, data):
        self.bytes[address - self.base : address - self.base + len(data)] = data


class Bridge:
    """The AXI4 slave. `delay` bounds the cycles to an answer, `stall` is the share of cycles in which a channel is not ready.

    With `clumps` writes are answered in one row of cycles out of every 128, as behind a switch that held them back.
    """

    def __init__(self, card, delay=(5, 60), stall=0.2):
        self.card, self.dut, self.memory, self.delay, self.stall = card, card.dut, card.memory, delay, stall
        self.clumps = False
        self.reads, self.writes, self.answers = [], [], []  # reads, write answers: [id, due, ...]
        self.open = deque()  # bursts whose W is to come
        self.reading = None
        self.messages = []  # MSI-X data words, in order
        self.accesses = 0

    def idle(self):
        return not (self.reads or self.writes or self.answers or self.open or self.reading)

    def ready(self):
        return random.random() >= self.stall

    def due(self):
        return self.card.cycle + random.randint(*self.delay)

    def choose(self, waiting):
        """Any ID's oldest that is due."""
        oldest = {}
        for entry in waiting:
            oldest.setdefault(entry[0], entry)
        ripe = [entry for entry in oldest.values() if entry[1] <= self.card.cycle]
        if not ripe:
            return None
        chosen = random.choice(ripe)
        waiting.remove(chosen)
        return chosen

    def check(self, kind, address, beats, limit):
        assert self.card.bus_master, f"a {kind} while bus mastering is off"
        assert address % 64 == 0 and beats * 64 <= limit, (kind, hex(address), beats)
        assert address // limit == (address + beats * 64 - 1) // limit, f"a {kind} at {address:#x} of {beats} beats leaves its {limit} bytes"
        self.accesses += 1

    def step(self):
        dut = self.dut
        # AR, R
        take = self.ready()
        dut.m_axi_dma_arready.value = int(take)
        if take and int(dut.m_axi_dma_arvalid.value):
            address, beats = int(dut.m_axi_dma_araddr.value), int(dut.m_axi_dma_arlen.value) + 1
            self.check("read", address, beats, READ_BYTES)
            self.reads.append([int(dut.m_axi_dma_arid.value), self.due(), address, beats])
        if self.reading is None and (chosen := self.choose(self.reads)):
            identity, _, address, beats = chosen
            good = self.memory.mapped(address, 64 * beats)
            data = self.memory.get(address, 64 * beats) if good else random.randbytes(64 * beats)
            self.reading = (identity, deque(data[i : i + 64] for i in range(0, len(data), 64)), 0 if good else 2)
        show = self.reading is not None and self.ready()
        dut.m_axi_dma_rvalid.value = int(show)
        if show:
            identity, beats, code = self.reading
            dut.m_axi_dma_rid.value, dut.m_axi_dma_rresp.value = identity, code
            dut.m_axi_dma_rdata.value = int.from_bytes(beats.popleft(), "little")
            dut.m_axi_dma_rlast.value = int(not beats)
            assert int(dut.m_axi_dma_rready.value)
            if not beats:
                self.reading = None
        # AW, W, B
        if int(dut.m_axi_dma_wvalid.value):
            take = self.ready() and bool(self.open)
            dut.m_axi_dma_wready.value = int(take)
            if take:
                burst = self.open[0]
                burst[4].append((int(dut.m_axi_dma_wdata.value), int(dut.m_axi_dma_wstrb.value)))
                last = len(burst[4]) == burst[3]
                assert int(dut.m_axi_dma_wlast.value) == last, "wlast does not fit its burst"
                if last:
                    self.writes.append(self.open.popleft())
        else:
            dut.m_axi_dma_wready.value = 0
        take = self.ready()
        dut.m_axi_dma_awready.value = int(take)
        if take and int(dut.m_axi_dma_awvalid.value):
            address, beats = int(dut.m_axi_dma_awaddr.value), int(dut.m_axi_dma_awlen.value) + 1
            self.check("write", address, beats, WRITE_BYTES)
            self.open.append([int(dut.m_axi_dma_awid.value), self.due(), address, beats, []])
        if chosen := self.choose(self.writes):
            self.answers.append([chosen[0], self.due() if random.random() < 0.5 else 0, self.perform(chosen[2], chosen[4])])
        answer = self.card.cycle % 128 >= 96 if self.clumps else self.ready()
        chosen = self.choose(self.answers) if answer else None
        dut.m_axi_dma_bvalid.value = int(chosen is not None)
        if chosen:
            dut.m_axi_dma_bid.value, dut.m_axi_dma_bresp.value = chosen[0], chosen[2]
            assert int(dut.m_axi_dma_bready.value)

    def perform(self, address, beats):
        code = 0
        for data, strobe in beats:
            data = data.to_bytes(64, "little")
            first, run = (strobe & -strobe).bit_length() - 1, strobe.bit_count()
            assert strobe == ((1 << run) - 1) << first, f"strobes with a gap: {strobe:#x}"
            at = address + first
            if at & ~0xFFF == self.memory.messages:
                assert run == 4
                self.messages.append(int.from_bytes(data[first : first + 4], "little"))
            elif self.memory.mapped(at, run):
                self.memory.put(at, data[first : first + run])
            else:
                code = 2
            address += 64
        return code


class DescriptorRing:
    """The host's end of TX or command ring."""

    def __init__(self, card, registers, size_log2):
        self.card, self.registers, self.size_log2, self.size = card, registers, size_log2, 1 << size_log2
        self.base, self.completion = card.memory.allocate(64 * self.size), card.memory.allocate(64 * self.size)
        self.producer = self.consumer = 0
        self.completed = []

    async def start(self):
        card = self.card
        card.memory.put(self.base, bytes(64 * self.size))
        card.memory.put(self.completion, bytes(64 * self.size))
        self.producer = self.consumer = 0
        for offset, value in ((BASE, self.base), (SECOND, self.completion)):
            await card.write(self.registers + offset, value & 0xFFFFFFFF)
            await card.write(self.registers + offset + 4, value >> 32)
        await card.write(self.registers + CONFIG, ENABLE | self.size_log2)

    async def stop(self):
        await self.card.write(self.registers + CONFIG, self.size_log2)
        await self.card.step(200)

    def phase(self, index):
        return 1 - (index >> self.size_log2 & 1)

    def room(self):
        return self.size - (self.producer - self.consumer)

    def post(self, word):
        """Places a descriptor (without phase); the doorbell is `ring`'s."""
        assert self.room() > 0
        word |= self.phase(self.producer)
        self.card.memory.put(self.base + self.producer % self.size * 64, word.to_bytes(64, "little"))
        self.producer += 1

    async def ring(self, value=None):
        await self.card.write(self.registers + DOORBELL, (self.producer if value is None else value) & 0xFFFF)

    def poll(self):
        """Takes the next completion that memory shows, or None."""
        word = int.from_bytes(self.card.memory.get(self.completion + self.consumer % self.size * 64, 64), "little")
        if self.consumer == self.producer or word & 1 != self.phase(self.consumer):
            return None
        completion = L.unpack("completion", word)
        assert completion["index"] == self.consumer & 0xFFFF and completion["reserved_top"] == 0, completion
        self.consumer += 1
        return completion

    async def wait(self, cycles=60_000):
        for _ in range(cycles):
            if completion := self.poll():
                return completion
            await self.card.step()
        raise AssertionError("no completion comes")

    async def status(self):
        return await self.card.read(self.registers + RING_STATUS)


class RxQueue:
    """The host's end of one class's RX queue."""

    def __init__(self, card, klass, size_log2, stride_log2):
        self.card, self.klass, self.registers = card, klass, RX + 0x40 * klass
        self.size_log2, self.stride_log2, self.size = size_log2, stride_log2, 1 << size_log2
        self.base, self.buffer = card.memory.allocate(64 * self.size), card.memory.allocate(self.size << stride_log2)
        self.consumer = 0

    async def start(self):
        card = self.card
        card.memory.put(self.base, bytes(64 * self.size))
        self.consumer = 0
        for offset, value in ((BASE, self.base), (SECOND, self.buffer)):
            await card.write(self.registers + offset, value & 0xFFFFFFFF)
            await card.write(self.registers + offset + 4, value >> 32)
        await card.write(self.registers + CONFIG, ENABLE | self.stride_log2 << 8 | self.size_log2)

    async def stop(self):
        await self.card.write(self.registers + CONFIG, 0)
        await self.card.step(200)

    def poll(self):
        """Takes the next frame that memory shows: (completion, bytes), or None."""
        slot = self.consumer % self.size
        word = int.from_bytes(self.card.memory.get(self.base + 64 * slot, 64), "little")
        if word & 1 != 1 - (self.consumer >> self.size_log2 & 1):
            return None
        record = L.unpack("rx_completion", word)
        assert record["index"] == self.consumer & 0xFFFF and record["host_class"] == self.klass, record
        data = self.card.memory.get(self.buffer + (slot << self.stride_log2), record["length"])
        self.consumer += 1
        return record, data

    async def give_back(self):
        await self.card.write(self.registers + DOORBELL, self.consumer & 0xFFFF)

    async def status(self):
        return await self.card.read(self.registers + RING_STATUS)


class Card:
    """The bench: clock, reset, registers, bridge, wire."""

    def __init__(self, dut, **bridge):
        self.dut, self.cycle, self.bus_master = dut, 0, True
        self.memory = Memory()
        self.bridge = Bridge(self, **bridge)
        self.wire_in, self.beat, self.rx_idle = deque(), 0, 0.3
        self.wire_out, self.sending, self.tx_stall = [], b"", 0.2

    async def start(self):
        dut = self.dut
        for name in ("rst_ni", "tick_i", "s_axis_rx_tvalid", "s_axis_rx_tuser", "s_axil_awvalid", "s_axil_wvalid", "s_axil_arvalid",
                     "m_axi_dma_rvalid", "m_axi_dma_bvalid", "m_axi_dma_arready", "m_axi_dma_awready", "m_axi_dma_wready",
                     "host_reset_i", "msix_mask_i"):
            getattr(dut, name).value = 0
        dut.s_axil_wstrb.value, dut.m_axis_tx_tready.value = 15, 1
        dut.s_axil_bready.value = dut.s_axil_rready.value = 0
        dut.bus_master_i.value = dut.msix_enable_i.value = 1
        Clock(dut.clk_i, 2, "ns").start()
        for _ in range(5):
            await FallingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        await self.until_ready()

    async def until_ready(self):
        if not int(self.dut.ready_o.value):
            await RisingEdge(self.dut.ready_o)
        await self.step(2)

    async def step(self, cycles=1):
        for _ in range(cycles):
            await FallingEdge(self.dut.clk_i)
            self.cycle += 1
            self.bridge.step()
            self.step_wire()

    def step_wire(self):
        dut = self.dut
        assert int(dut.s_axis_rx_tready.value)
        show = bool(self.wire_in) and (self.beat > 0 or random.random() >= self.rx_idle)
        dut.s_axis_rx_tvalid.value = int(show)
        if show:
            frame = self.wire_in[0]
            chunk = frame[64 * self.beat : 64 * self.beat + 64]
            self.beat += 1
            last = 64 * self.beat >= len(frame)
            dut.s_axis_rx_tdata.value = int.from_bytes(chunk, "little")
            dut.s_axis_rx_tkeep.value = (1 << len(chunk)) - 1
            dut.s_axis_rx_tlast.value = int(last)
            if last:
                self.wire_in.popleft()
                self.beat = 0
        take = random.random() >= self.tx_stall
        dut.m_axis_tx_tready.value = int(take)
        if take and int(dut.m_axis_tx_tvalid.value):
            count = int(dut.m_axis_tx_tkeep.value).bit_count()
            self.sending += int(dut.m_axis_tx_tdata.value).to_bytes(64, "little")[:count]
            if int(dut.m_axis_tx_tlast.value):
                self.wire_out.append(self.sending)
                self.sending = b""

    # ---- registers ----
    async def handshake(self, channels):
        """Offers the channels' valid, each after its own delay, until each was taken."""
        dut = self.dut
        waits = {channel: random.choice((0, 0, 3)) for channel in channels}
        for _ in range(20_000):
            for channel in waits:
                waits[channel] -= 1
                if waits[channel] < 0:
                    getattr(dut, f"s_axil_{channel}valid").value = 1
            await ReadOnly()
            taken = [c for c in waits if waits[c] < 0 and int(getattr(dut, f"s_axil_{c}ready").value)]
            await self.step()
            for channel in taken:
                getattr(dut, f"s_axil_{channel}valid").value = 0
                del waits[channel]
            if not waits:
                return
        raise AssertionError("a register access is not taken")

    async def answer(self, channel):
        dut = self.dut
        for _ in range(20_000):
            if int(getattr(dut, f"s_axil_{channel}valid").value):
                break
            await self.step()
        else:
            raise AssertionError("a register access is not answered")
        assert int(getattr(dut, f"s_axil_{channel}resp").value) == 0
        value = int(dut.s_axil_rdata.value)
        await self.step(random.choice((0, 0, 2)))
        getattr(dut, f"s_axil_{channel}ready").value = 1
        await self.step()
        getattr(dut, f"s_axil_{channel}ready").value = 0
        return value

    async def write(self, address, value, strobe=15):
        self.dut.s_axil_awaddr.value, self.dut.s_axil_wdata.value, self.dut.s_axil_wstrb.value = address, value, strobe
        await self.handshake(["aw", "w"])
        await self.answer("b")

    async def read(self, address):
        self.dut.s_axil_araddr.value = address
        await self.handshake(["ar"])
        return await self.answer("r")

    async def idle(self, cycles=60_000):
        """Runs until the card says that nothing is left to do, and goes on saying it for what the last inputs still cause."""
        calm = 0
        for _ in range(cycles):
            await self.step()
            quiet = not self.wire_in and not int(self.dut.s_axis_rx_tvalid.value) and int(self.dut.idle_o.value) and self.bridge.idle()
            calm = calm + 1 if quiet else 0
            if calm == 6:
                return
        raise AssertionError("the card does not become idle")

    async def set_bus_master(self, on):
        """Bus mastering changes between two handshakes of the bridge, as it does in one clock domain."""
        stall, self.bridge.stall = self.bridge.stall, 1
        await self.step()
        self.dut.bus_master_i.value = int(on)
        await self.step()
        self.bus_master, self.bridge.stall = on, stall

    async def host_reset(self, cycles=20_000):
        self.dut.host_reset_i.value = 1
        for _ in range(cycles):
            await self.step()
            if int(self.dut.host_reset_done_o.value):
                break
        else:
            raise AssertionError("the host reset does not end")
        assert self.bridge.idle(), "the host reset left accesses on the bus"
        self.dut.host_reset_i.value = 0
        await self.step(3)
