"""Drives `gw_core` as a shell would: registers, commands, the wire, injects, the host's queues; sets tables on card and oracle alike.

Frames go through `frame_path`'s senders and receivers. What must come out is `oracle`'s business.
"""

from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace

import oracle
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from frame_path import Frame, Receiver, Sender
from layout import L

# Registers of the packet path (regs/guideway.rdl).
CONTROL, STATUS, HEARTBEAT, CARD_RESET, MAC_LOW, MAC_HIGH = 0x020, 0x024, 0x028, 0x02C, 0x030, 0x034
IPIP_SOURCE_V4, IPIP_SOURCE_V6, PUNTS_OUTSTANDING, SECRET = 0x038, 0x040, 0x078, 0x080
SOURCE_V4, SOURCE_V6 = 0x03C, 0x050
BEAT_MASK = (1 << 512) - 1


@dataclass
class Injected(Frame):
    """A frame of the host, and what the host says of it."""

    user: int = 0
    order: dict | None = None


class InjectSender(Sender):
    """A sender whose side-band follows the frame."""

    def __init__(self, dut, prefix):
        super().__init__(dut, prefix)
        self.user = dut.inject_user_i

    def step(self, cycle):
        waiting = len(self.queue)
        first = self.queue[0][0] if waiting else None
        super().step(cycle)
        if len(self.queue) < waiting:
            self.user.value = first.user


def assign(vip, backend, generation, data, spread=0):
    """An ASSIGN frame."""
    user = ((L.TxOpAssign << 1 | 1) << 12 | vip) << 32 | backend << 16 | generation << 8 | spread
    return Injected(data, user=user, order={"op": L.TxOpAssign, "vip": vip, "backend": backend, "generation": generation, "spread": spread})


def raw(data):
    """A RAW frame."""
    return Injected(data, user=L.TxOpRaw << 45, order={"op": L.TxOpRaw})


class Core:
    """The bench: clock, reset, registers, commands, streams; and the oracle with the same tables."""

    def __init__(self, dut, secrets):
        self.dut, self.cycle = dut, 0
        self.model = oracle.Card()
        self.secrets = secrets
        names = {}
        for ours, theirs in (("rx", "s_axis_rx"), ("inject", "s_axis_inject")):
            for end in ("valid_i", "ready_o", "data_i", "keep_i", "last_i"):
                names[f"{ours}_{end}"] = getattr(dut, f"{theirs}_t{end[:-2]}")
        for ours, theirs in (("tx", "m_axis_tx"), ("host", "m_axis_host")):
            for end in ("valid_o", "ready_i", "data_o", "keep_o", "last_o"):
                names[f"{ours}_{end}"] = getattr(dut, f"{theirs}_t{end[:-2]}")
        names |= {"rx_error_i": dut.s_axis_rx_tuser, "inject_user_i": dut.s_axis_inject_tuser,
                  "host_class_o": dut.m_axis_host_tdest, "host_record_o": dut.m_axis_host_tuser}
        ports = SimpleNamespace(**names)
        self.rx, self.inject = Sender(ports, "rx"), InjectSender(ports, "inject")
        self.tx, self.host = Receiver(ports, "tx"), Receiver(ports, "host", sideband=True)
        self.parts = [self.rx, self.inject, self.tx, self.host]

    async def step(self, cycles=1):
        for _ in range(cycles):
            await FallingEdge(self.dut.clk_i)
            self.cycle += 1
            for part in self.parts:
                part.step(self.cycle)

    async def start(self):
        """Reset, tables cleared, secrets written, the port enabled, all queues of the host open."""
        dut = self.dut
        for name in ("rst_ni", "tick_i", "s_axis_rx_tuser", "s_axis_rx_tlast", "s_axis_inject_tlast", "s_axis_inject_tuser", "punt_ended_i", "punt_lost_i",
                     "host_lost_i", "host_reset_i", "command_valid_i", "command_wdata_valid_i", "command_wdata_error_i",
                     "command_rdata_ready_i", "command_abort_i", "s_axil_awvalid", "s_axil_wvalid", "s_axil_arvalid"):
            getattr(dut, name).value = 0
        dut.s_axil_bready.value = dut.s_axil_rready.value = 1
        dut.s_axil_wstrb.value = 15
        dut.host_class_enable_i.value = dut.host_class_ready_i.value = 15
        dut.host_class_bytes_i.value = sum(L.FrameMax << 15 * c for c in range(4))
        Clock(dut.clk_i, 2, "ns").start()
        await self.step(8)
        dut.rst_ni.value = 1
        await self.step(2)
        for _ in range(100_000):
            await FallingEdge(dut.clk_i)
            if int(dut.ready_o.value):
                break
        for bank, secret in enumerate(self.secrets):
            for word in range(6):
                await self.write_register(SECRET + 4 * (6 * bank + word), secret >> 32 * word & 0xFFFFFFFF)
        await self.configure()

    # ---- registers ----
    async def write_register(self, address, value):
        dut = self.dut
        dut.s_axil_awaddr.value, dut.s_axil_wdata.value = address, value
        dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 1
        address_taken = data_taken = False
        while not (address_taken and data_taken):
            take_address, take_data = int(dut.s_axil_awready.value), int(dut.s_axil_wready.value)
            await self.step()
            if take_address and not address_taken:
                address_taken, dut.s_axil_awvalid.value = True, 0
            if take_data and not data_taken:
                data_taken, dut.s_axil_wvalid.value = True, 0
        while not int(dut.s_axil_bvalid.value):
            await self.step()
        assert int(dut.s_axil_bresp.value) == 0
        await self.step(2)

    async def configure(self, mac=0, mac_filter=False, unmatched_drop=False, compute_only=False, heartbeat=0, prefix_v4=0xAC10_0000,
                        prefix_v6=0x0100 << 112, source_v4=0x0A000D25, source_v6=0xFC002307 << 96 | 0x1337):
        """Writes the registers and tells the oracle. `heartbeat` runs for ever, because the bench gives no tick."""
        m = self.model
        m.mac, m.mac_filter, m.unmatched_drop, m.compute_only = mac, mac_filter, unmatched_drop, compute_only
        m.host_alive, m.prefix_v4, m.prefix_v6 = heartbeat > 0, prefix_v4, prefix_v6
        m.source_v4, m.source_v6 = source_v4, source_v6
        await self.write_register(MAC_LOW, mac & 0xFFFFFFFF)
        await self.write_register(MAC_HIGH, mac >> 32 | mac_filter << 16)
        await self.write_register(IPIP_SOURCE_V4, prefix_v4)
        await self.write_register(SOURCE_V4, source_v4)
        for word in range(4):
            await self.write_register(IPIP_SOURCE_V6 + 4 * word, prefix_v6 >> 32 * (3 - word) & 0xFFFFFFFF)
            await self.write_register(SOURCE_V6 + 4 * word, source_v6 >> 32 * (3 - word) & 0xFFFFFFFF)
        await self.write_register(HEARTBEAT, heartbeat)
        await self.write_register(CONTROL, 1 | unmatched_drop << 1 | compute_only << 2)
        await self.step(4)

    # ---- commands ----
    async def command(self, wdata=(), reads=0, **fields):
        """Executes one command; returns its status, result and the beats read."""
        dut = self.dut
        dut.command_i.value = L.pack("command", **fields)
        dut.command_valid_i.value = 1
        dut.command_rdata_ready_i.value = 1
        beats, read, status = deque(wdata), [], None
        taken = False
        for _ in range(20_000 + 8 * (len(beats) + reads)):
            accept = int(dut.command_ready_o.value) and not taken
            beat_taken = bool(beats) and status == 0 and int(dut.command_wdata_ready_o.value)
            await self.step()
            if accept:
                taken, dut.command_valid_i.value = True, 0
            if beat_taken and int(dut.command_wdata_valid_i.value):
                beats.popleft()
            if int(dut.command_checked_valid_o.value):
                status = int(dut.command_checked_status_o.value)
                if status:
                    return status, 0, read
            dut.command_wdata_valid_i.value = int(status == 0 and bool(beats))
            if beats:
                dut.command_wdata_i.value = beats[0]
            if int(dut.command_rdata_valid_o.value):
                read.append(int(dut.command_rdata_o.value))
            if int(dut.command_done_valid_o.value):
                done = int(dut.command_done_o.value)
                dut.command_wdata_valid_i.value = 0
                return done >> 32, done & 0xFFFFFFFF, read
        raise AssertionError(f"the command {fields} does not end")

    async def write(self, table, index, entries):
        status, result, _ = await self.command(entries, opcode=L.OpcodeWrite, table_id=table, index=index, count=len(entries))
        assert status == 0 and result == len(entries), (L.sets["status"][status], result)

    async def dump(self, table, index, count):
        status, result, beats = await self.command(reads=count, opcode=L.OpcodeDump, table_id=table, index=index, count=count)
        assert status == 0 and result == count and len(beats) == count, (L.sets["status"][status], result, len(beats))
        return beats

    # ---- tables, on card and oracle ----
    def match_row(self, key, bank):
        return oracle.bank_row(key, L.VipKeyBits, self.secrets[bank], L.VipMatchRows)

    async def set_match(self, address, port, protocol, vip, bank, valid=1, shadowed=False):
        """A VIP's key, in the given bank; `shadowed`: another entry of this key wins."""
        ipv6 = len(address) == 16
        word = L.pack("vip_match", vip=vip, valid=valid, address=int.from_bytes(address, "big"), ipv6=ipv6, protocol=protocol, port=port)
        await self.write(L.TableVipMatch, bank * L.VipMatchRows + self.match_row(word, bank), [word])
        if valid and not shadowed and vip < L.Vips:
            self.model.match[(int.from_bytes(address, "big"), port, protocol, ipv6)] = vip

    async def set_entry(self, table, struct, index, model, **fields):
        word = L.pack(struct, **fields)
        await self.write(table, index, [word])
        model[index] = L.unpack(struct, word)

    async def set_vip(self, index, **fields):
        await self.set_entry(L.TableVip, "vip_entry", index, self.model.vips, **fields)

    async def set_pool(self, index, base, size):
        barrett = (1 << 32) // size if size else 0
        await self.set_entry(L.TablePool, "pool_entry", index, self.model.pools, ring_base=base, ring_size=size, barrett=barrett)

    async def set_ring(self, base, slots):
        assert base % 32 == 0
        beats = [sum(s << 16 * i for i, s in enumerate(slots[at : at + 32])) for at in range(0, len(slots), 32)]
        await self.write(L.TableRing, base // 32, beats)
        self.model.ring.update({base + i: s for i, s in enumerate(slots)})

    async def set_backend(self, index, **fields):
        await self.set_entry(L.TableBackend, "backend_entry", index, self.model.backends, **fields)

    async def set_next_hop(self, index, **fields):
        await self.set_entry(L.TableNextHop, "next_hop_entry", index, self.model.next_hops, **fields)

    async def insert_flow(self, vip, source, source_port, destination_port, backend, generation, bank, way):
        key = L.pack("flow_key", vip=vip, source=int.from_bytes(source, "big"), source_port=source_port, destination_port=destination_port)
        status, _, _ = await self.command(
            opcode=L.OpcodeInsert, vip=vip, source=int.from_bytes(source, "big"), source_port=source_port,
            destination_port=destination_port, backend=backend, generation=generation, bank=bank, way=way, expectation=L.ExpectFree)
        assert status == 0, L.sets["status"][status]
        rows = L.Flows // L.Banks // L.FlowWays
        place = (bank * L.FlowWays + way) * rows + oracle.bank_row(key, L.FlowKeyBits, self.secrets[bank], rows)
        flow = {"backend": backend, "generation": generation, "place": place}
        self.model.flows[(vip, int.from_bytes(source, "big"), source_port, destination_port)] = flow
        return place

    # ---- frames ----
    async def drain(self, limit=200_000):
        """Runs until everything has left."""
        end = self.cycle + limit
        while self.rx.busy() or self.inject.busy():
            await self.step()
            assert self.cycle < end, "the streams in do not end"
        await self.step(150)
        while not int(self.dut.idle_o.value):
            await self.step(10)
            assert self.cycle < end, "something stays in flight"
        await self.step(10)
        assert int(self.dut.in_flight_o.value) == 0

    async def counters(self, table, count):
        """[(packets, bytes)] of a table of counters."""
        beats = await self.dump(table, 0, count)
        return [(c["packets"], c["bytes"]) for c in (L.unpack("counter_entry", beat & BEAT_MASK) for beat in beats)]
