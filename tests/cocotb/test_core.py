"""`gw_core` against the oracle written from CARD.md: known packets, random packets of every kind, Katran's own fixtures."""

import ipaddress
import json
import os
import random
from collections import Counter, deque
from pathlib import Path

import cocotb
import traffic
from core import Core, assign, raw
from frame_path import Frame
from layout import L

TOP = "gw_core"
CLASS = {"HostControl": 0, "HostUnmatched": 1, "HostUnsupported": 1, "HostGroup": 1, "HostPunt": 2, "HostFragment": 3, "HostIcmpError": 3,
         "HostTooBig": 3}
FIXTURES = os.environ.get("GUIDEWAY_KATRAN_FIXTURES")


def secrets():
    return [random.getrandbits(L.SecretBits) for _ in range(L.Banks)]


def check(core, sent):
    """Everything that came out is what the oracle says of `sent`, in the order of each source; nothing else did."""
    wanted = []
    for frames in sent:
        wanted.append([(frame, core.model.decide(frame.data, frame.error, getattr(frame, "order", None))) for frame in frames])

    def take(received, queues, data_of, what):
        queues = [deque(q) for q in queues]
        for got in received:
            for queue in queues:
                if queue and data_of(queue[0]) == got.data:
                    yield got, queue.popleft()[1]
                    break
            else:
                near = "\n".join(f"  {d.disposition} of {f.data[:80].hex()}\n   {data_of((f, d))[:100].hex()}" for q in queues for f, d in list(q)[:1])
                raise AssertionError(f"{what}: {got.data[:100].hex()} is not the next of any source:\n{near}")
        missing = [d.disposition for q in queues for _, d in q]
        assert not missing, f"{what}: {len(missing)} frames are missing, first {missing[0]}"

    forwards = [[(f, d) for f, d in q if d.disposition.startswith("Forward")] for q in wanted]
    for _ in take(core.tx.frames, forwards, lambda item: item[1].out, "wire out"):
        pass
    for klass in range(4):
        queues = [[(f, d) for f, d in q if CLASS.get(d.disposition) == klass] for q in wanted]
        received = [f for f in core.host.frames if f.klass == klass]
        for got, decision in take(received, queues, lambda item: item[0].data, f"host class {klass}"):
            record = L.unpack("rx_completion", got.record)
            assert L.sets["disposition"][record["disposition"]] == f"Disposition{decision.disposition}", (record, decision)
            assert record["host_class"] == klass and record["length"] == len(got.data) and record["error"] == 0
            for name in ("vip_valid", "any_port", "flow_found", "flow_stale", "syn", "fin", "rst", "ipv6", "vip", "pool", "protocol", "flow_hash",
                         "ring_index", "ring_backend", "flow_backend", "source", "source_port", "destination_port", "generation"):
                assert record[name] == decision.record.get(name, 0), (name, record, decision)
    return [d for q in wanted for _, d in q]


async def check_counters(core, decisions):
    """Counters of dispositions, VIPs and backends; CARD.md 6."""
    counts = await core.counters(L.TableCounter, 64)
    tally = Counter(d.disposition for d in decisions)
    for code, name in L.sets["disposition"].items():
        assert counts[code][0] == tally[name.removeprefix("Disposition")], (name, counts[code][0], tally)
    assert counts[L.PortCounterHeartbeatFallback][0] == sum(d.fallback for d in decisions)
    vips, backends = await core.counters(L.TableVipCounter, L.Vips), await core.counters(L.TableBackendCounter, 64)
    for index in range(L.Vips):
        mine = [d.ip_bytes for d in decisions if d.vip == index]
        assert vips[index] == (len(mine), sum(mine)), (index, vips[index], len(mine), sum(mine))
    for index in range(64):
        mine = [d.ip_bytes for d in decisions if d.backend == index and d.disposition.startswith("Forward")]
        assert backends[index] == (len(mine), sum(mine)), (index, backends[index], len(mine), sum(mine))
    return tally


@cocotb.test()
async def one_packet(dut):
    """A TCP packet to a VIP leaves encapsulated; no VIP, no backend; the latency is the specification's."""
    core = Core(dut, secrets())
    await core.start()
    await core.configure(compute_only=True)
    await core.set_next_hop(0, destination=0x0000DEADBEAF)
    await core.set_backend(5, state=L.BackendStateUp, encap=L.EncapIpip, generation=1, address=0x0A000003)
    await core.set_ring(64, [5] * 97)
    await core.set_pool(3, 64, 97)
    await core.set_vip(7, pool=3, mtu=1500)
    await core.set_match(bytes([10, 200, 1, 1]), 80, 6, 7, bank=2)
    sent = [Frame(traffic.tcp("192.168.1.1", "10.200.1.1", 31337, 80)), Frame(traffic.tcp("192.168.1.1", "10.200.1.9", 31337, 80))]
    for frame in sent:
        core.rx.push(frame)
    await core.drain()
    decisions = check(core, [sent])
    assert [d.disposition for d in decisions] == ["ForwardRing", "HostUnmatched"]
    await check_counters(core, decisions)
    latency = core.tx.frames[0].first_cycle - core.rx.window_cycles[0]
    dut._log.info("a lone frame leaves %d cycles after its window", latency)
    assert latency <= 96


async def random_run(dut, frames, injects, idle, inject_idle, policies, **configuration):
    core = Core(dut, secrets())
    await core.start()
    await core.configure(**configuration)
    world = await traffic.build(core, policies)
    core.rx.idle, core.inject.idle = idle, inject_idle
    wire = [world.wire() for _ in range(frames)]
    hosts = [world.inject() for _ in range(injects)]
    for frame in wire:
        core.rx.push(frame)
    for frame in hosts:
        core.inject.push(frame)
    await core.drain()
    decisions = check(core, [wire, hosts])
    tally = await check_counters(core, decisions)
    dut._log.info("dispositions: %s", dict(sorted(tally.items())))
    hits = {d.hit for d in decisions if d.hit is not None}
    assert hits, "no flow was hit: choose other traffic"
    if core.model.host_alive:
        assert tally["HostTooBig"] and tally["DropTooBig"], "nothing was too big: choose other traffic"


@cocotb.test()
async def random_packets_with_a_host(dut):
    await random_run(dut, 1500, 200, idle=0.6, inject_idle=0.5, policies=(0, 0, 2), heartbeat=1000, mac=0x020000000001, mac_filter=True)


@cocotb.test()
async def random_packets_without_a_host(dut):
    await random_run(dut, 1500, 200, idle=0.5, inject_idle=0.5, policies=(2,), unmatched_drop=True, prefix_v4=0x0A630000, prefix_v6=0xFD00_1234 << 96)


@cocotb.test()
async def random_packets_compute_only(dut):
    await random_run(dut, 800, 50, idle=0.3, inject_idle=0.5, policies=(0, 0, 2, 1), heartbeat=1000, compute_only=True)


async def two_rings(dut):
    """A card with one VIP, and two rings that agree in no slot: backends 1 to 8, and 9 to 16."""
    core = Core(dut, secrets())
    await core.start()
    await core.configure(compute_only=True)
    await core.set_next_hop(0, destination=0x0000DEADBEAF)
    for index in range(1, 17):
        await core.set_backend(index, state=L.BackendStateUp, encap=L.EncapIpip, address=0x0A000000 + index)
    await core.set_ring(0, [1 + slot % 8 for slot in range(997)])
    await core.set_ring(1024, [9 + slot % 8 for slot in range(991)])
    await core.set_pool(0, 0, 997)
    await core.set_vip(0, pool=0, mtu=1500)
    await core.set_match(bytes([10, 200, 1, 1]), 80, 6, 0, bank=3)
    return core


@cocotb.test()
async def ring_swap_under_load(dut):
    """One write of the pool's entry changes the ring between two packets; FENCE ends when the last packet of the old one is decided."""
    core = await two_rings(dut)
    old = dict(core.model.pools)
    frames = [Frame(traffic.tcp("192.168.1.1", "10.200.1.1", 1024 + i, 80).ljust(60, b"\0")) for i in range(600)]
    want_old = [core.model.decide(frame.data).out for frame in frames]
    core.rx.idle = 0.3
    for frame in frames:
        core.rx.push(frame)
    await core.step(random.randrange(50, 150))
    await core.set_pool(0, 1024, 991)
    status, _, _ = await core.command(opcode=L.OpcodeFence)
    assert status == 0
    fenced = len(core.tx.frames)
    assert core.rx.busy(), "the load ended before the swap"
    await core.drain()
    assert old != core.model.pools
    want_new = [core.model.decide(frame.data).out for frame in frames]
    received = [frame.data for frame in core.tx.frames]
    assert len(received) == len(frames)
    swapped = next(i for i, data in enumerate(received) if data != want_old[i])
    assert 0 < swapped < len(frames), "no packet before or after the swap"
    assert received[:swapped] == want_old[:swapped] and received[swapped:] == want_new[swapped:]
    # What left before the fence ended had been decided before it, and the egress holds a few frames more.
    assert swapped <= fenced + 16, (swapped, fenced)


@cocotb.test()
async def the_shortest_frames_at_line_rate(dut):
    """One frame of 64 bytes on the wire each two cycles, then a burst of one each cycle: nothing is dropped."""
    core = await two_rings(dut)
    frames = [Frame(traffic.tcp("192.168.1.1", "10.200.1.1", 1024 + i, 80).ljust(60, b"\0")) for i in range(1200)]
    for frame in frames[:400]:  # two cycles each: frames of two beats
        core.rx.push(Frame(frame.data.ljust(65, b"\0")))
    for frame in frames[400:]:
        core.rx.push(frame)
    await core.drain()
    decisions = check(core, [frames])
    assert {d.disposition for d in decisions} == {"ForwardRing"}
    await check_counters(core, decisions)
    # Each leaves as two beats: one frame each two cycles.
    first, last = core.tx.frames[0], core.tx.frames[-1]
    assert last.last_cycle - first.first_cycle + 1 == 2 * len(frames), "the egress paused"
    assert core.tx.starved == 0


@cocotb.test(skip=FIXTURES is None)
async def katran_fixtures(dut):
    """Katran's own cases within first light's scope, byte for byte, with Katran's rings."""
    base = json.loads((Path(FIXTURES) / "ipip_base.json").read_text())
    scenario = json.loads((Path(FIXTURES) / "config.json").read_text())["scenarios"]["ipip_base"]
    await traffic.katran(Core(dut, secrets()), base, scenario, dut._log)


if FIXTURES is None:
    print("katran_fixtures is skipped: GUIDEWAY_KATRAN_FIXTURES is not set")
