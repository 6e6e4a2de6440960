"""`gw_ip_sum` against sums over frames that scapy builds: the IP packet whatever follows it, and what an ICMP error sends back of it."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from scapy.all import IP, Dot1Q, Ether, IPv6, Raw

TOP = "gw_ip_sum"
LATENCY = 7
BEAT = 64
SUM_BITS = 22
QUOTE = {4: 84, 6: 248}  # bytes that an error sends back, CARD.md 5


def ones_sum(data):
    """The sum of the 16-bit words, as one's complement sees it: 0 and 0xffff are one."""
    return sum(int.from_bytes(data[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2)) % 0xFFFF


def frame():
    """A frame, and both sums."""
    version, tags = random.choice((4, 6)), random.choice((0, 0, 1, 2))
    size = random.choice((0, 1, 2, 3, random.randrange(60), random.randrange(300), random.randrange(60, 90), random.randrange(1500)))
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for _ in range(tags):
        ether = ether / Dot1Q(vlan=random.randrange(4096))
    ip = IP(src="192.0.2.1", dst="10.0.0.1", proto=17) if version == 4 else IPv6(src="2001:db8::1", dst="2001:db8::2", nh=17)
    data = bytes(ether / ip / Raw(random.choice((random.randbytes(size), b"\xff" * size))))
    begins = 14 + 4 * tags
    data += random.randbytes(random.choice((0, 0, max(0, 60 - len(data)), random.randrange(200))))  # padding means nothing
    end = begins + (20 if version == 4 else 40) + size
    return data, (ones_sum(data[begins:end]), ones_sum(data[begins:min(end, begins + QUOTE[version])]))


async def run(dut, frames, gap):
    """Frames one after the other, some cycles of which bring nothing; a sum LATENCY cycles after each end, announced a cycle before."""
    clock = cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    for port in (dut.rst_ni, dut.came_i, dut.valid_i, dut.first_i, dut.ended_i, dut.index_i, dut.payload_i, dut.data_i):
        port.value = 0
    for _ in range(LATENCY):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    due = [None] * LATENCY  # [0] is known in the next cycle
    beats, sent, checked = [], 0, 0
    while checked < frames:
        if not beats and sent < frames:
            data, sums = frame()
            place = random.randrange(1 << 12)
            sent += 1
            count = -(-len(data) // BEAT)
            beats = [(i, i == count - 1, data[BEAT * i:BEAT * (i + 1)].ljust(BEAT, b"\xa5"), place, sums) for i in range(count)]
        now = None
        if beats and random.random() >= gap:
            index, last, data, place, sums = beats.pop(0)
            dut.first_i.value, dut.ended_i.value, dut.index_i.value = int(index == 0), int(last), index
            dut.payload_i.value, dut.data_i.value = place, int.from_bytes(data, "little")
            dut.came_i.value = dut.valid_i.value = 1
            now = (place, sums) if last else None
        else:
            dut.came_i.value = dut.valid_i.value = dut.first_i.value = dut.ended_i.value = 0
        await FallingEdge(dut.clk_i)
        due = [*due[1:], now]
        soon, want = due[1], due[0]
        assert int(dut.soon_o.value) == int(soon is not None)
        if soon:
            assert int(dut.soon_payload_o.value) == soon[0]
        assert int(dut.valid_o.value) == int(want is not None)
        if want:
            checked += 1
            got = int(dut.sum_o.value)
            packet, quote = got & (1 << SUM_BITS) - 1, got >> SUM_BITS & (1 << SUM_BITS) - 1
            assert (got >> 2 * SUM_BITS, (packet % 0xFFFF, quote % 0xFFFF)) == want
    clock.cancel()


@cocotb.test()
async def frames_back_to_back(dut):
    await run(dut, 1500, gap=0)


@cocotb.test()
async def frames_with_gaps(dut):
    await run(dut, 700, gap=0.5)
