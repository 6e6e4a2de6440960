"""`gw_parse` alone against the oracle written from CARD.md: every tag, option and chain that fits and those that do not, one window a cycle.

Frames are built by scapy, an independent implementation, then cut and bent: each length field lying both ways, each byte flipped, each cut.
"""

import random

import cocotb
import oracle
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from layout import L
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6, Raw
from scapy.all import IPOption_LSRR, IPOption_RR, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN

TOP = "gw_parse"
MAC = "02:00:00:00:00:01"
# gw_pkg's structs, the first field in the top bits
INJECT = [("op", 2), ("ends_punt", 1), ("vip", 12), ("backend", 16), ("generation", 8), ("spread", 8)]
WINDOW = [("source", 1), *INJECT, ("payload", 12), ("complete", 1), ("bytes", 8), ("data", 1024)]
PARSED = [("source", 1), *INJECT, ("payload", 12), ("decided", 1), ("disposition", 6), ("when_short", 6), ("needed", 14), ("control_port", 1), ("echo", 1), ("icmp_error", 1),
          ("ipv6", 1), ("protocol", 8), ("source_address", 128), ("destination_address", 128), ("source_port", 16), ("destination_port", 16),
          ("syn", 1), ("ack", 1), ("fin", 1), ("rst", 1), ("traffic_class", 8), ("ip_length", 16), ("second_word", 32), ("source_mac", 48), ("destination_mac", 48), ("tags", 2), ("tag", 64)]


def pack(fields, values):
    word = 0
    for name, bits in fields:
        value = values.get(name, 0)
        assert 0 <= value < 1 << bits, name
        word = word << bits | value
    return word


def unpack(fields, word):
    found = {}
    for name, bits in reversed(fields):
        found[name], word = word & (1 << bits) - 1, word >> bits
    assert word == 0
    return found


def widths(dut):
    """The structs here must be as long as the ports."""
    for fields, port in ((WINDOW, dut.window_i), (PARSED, dut.parsed_o)):
        assert sum(bits for _, bits in fields) == len(port), (sum(bits for _, bits in fields), len(port))


def check(model, frame, inject, got):
    """What `got` says of a frame, together with the frame's length as gw_admit knows it, is what the oracle says."""
    early, packet = model.read(frame, wire=inject is None)
    if inject and early:
        early = "DropInjectInvalid"
    short = len(frame) < got["needed"]
    if got["decided"] or short:
        name = L.sets["disposition"][got["when_short" if short else "disposition"]].removeprefix("Disposition")
        assert name == early, (name, early, frame.hex())
        return early
    assert early is None, (early, got, frame.hex())
    if inject and packet.source_port == packet.destination_port == 0:
        got["control_port"] = 0  # without meaning: an ASSIGN has its VIP
    tags = packet.tags
    wanted = {
        "needed": 14 + len(tags) + packet.length, "ipv6": int(packet.ipv6), "protocol": packet.protocol, "source_port": packet.source_port,
        "destination_port": packet.destination_port, "source_address": int.from_bytes(packet.source, "big"),
        "destination_address": int.from_bytes(packet.destination, "big"), "syn": packet.flags >> 1 & 1, "ack": packet.flags >> 4 & 1,
        "fin": packet.flags & 1, "rst": packet.flags >> 2 & 1, "traffic_class": packet.traffic_class,
        "ip_length": packet.length - (40 if packet.ipv6 else 0), "destination_mac": int.from_bytes(frame[:6], "big"), "tags": len(tags) // 4,
        "icmp_error": int(packet.error), "echo": int(packet.echo), "source_mac": int.from_bytes(frame[6:12], "big"),
        "second_word": int.from_bytes(packet.data[:4], "big") & 0xFFFFF if packet.ipv6 else int.from_bytes(packet.data[4:8], "big"),
        "control_port": int(packet.protocol == 6 and 179 in (packet.source_port, packet.destination_port)
                            or packet.protocol == 17 and packet.destination_port in (3784, 3785, 4784)) if not packet.error else 0,
    }
    if packet.echo:
        at = 42 if packet.ipv6 else 22
        wanted["source_port"] = int.from_bytes(packet.data[at : at + 2], "big")
    for name, value in wanted.items():
        assert got[name] == value, (name, got[name], value, frame.hex())
    assert (got["tag"].to_bytes(8, "big"))[: len(tags)] == tags, frame.hex()
    if packet.echo:
        return "echo"
    return "error" if packet.error and packet.protocol in (6, 17) else "packet"


async def run(dut, frames, idle=0.2, **configuration):
    """Sends the frames, some as an ASSIGN; every answer is checked. Returns how often each outcome came."""
    widths(dut)
    model = oracle.Card()
    for name, value in configuration.items():
        setattr(model, name, value)
    dut.mac_filter_i.value, dut.mac_i.value = int(model.mac_filter), model.mac
    dut.valid_i.value = dut.rst_ni.value = 0
    clock = cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    waiting, tally, latency = [], {}, set()
    frames, cycle = list(frames), 0
    frames.reverse()
    while frames or waiting:
        await FallingEdge(dut.clk_i)
        cycle += 1
        if int(dut.valid_o.value):
            frame, inject, since = waiting.pop(0)
            latency.add(cycle - since)
            outcome = check(model, frame, inject, unpack(PARSED, int(dut.parsed_o.value)))
            tally[outcome] = tally.get(outcome, 0) + 1
        assert not waiting or cycle - waiting[0][2] < 40, "an answer is missing"
        offered = bool(frames) and random.random() >= idle
        dut.valid_i.value = int(offered)
        if offered:
            frame = frames.pop()
            inject = {"op": L.TxOpAssign} if random.random() < 0.15 else None
            # what lies behind a frame's end in its last beat is not the frame's
            data = frame[:128] + random.randbytes(max(0, 128 - len(frame)))
            dut.window_i.value = pack(WINDOW, {"source": int(inject is not None), "op": inject["op"] if inject else 0, "bytes": min(len(frame), 128),
                                               "complete": int(len(frame) <= 128), "data": int.from_bytes(data, "little")})
            waiting.append((frame, inject, cycle))
    clock.cancel()
    assert len(latency) == 1, latency
    dut._log.info("latency %s, outcomes %s", latency, tally)
    return tally


def tag():
    kind = random.choice((Dot1Q, Dot1Q, Dot1AD))
    return kind(vlan=random.choice((0, 1, 5, 4095)), prio=random.randrange(8))


def tagged(ip, tags=None, mac=MAC):
    """The packet behind so many tags."""
    frame = Ether(src="06:00:00:00:00:02", dst=mac)
    for _ in range(random.choice((0, 0, 0, 1, 1, 2, 2, 3)) if tags is None else tags):
        frame /= tag()
    data = bytes(frame / ip)
    if data[12:14] in (b"\x81\x00", b"\x88\xa8") and random.random() < 0.1:
        data = data[:12] + b"\x91\x00" + data[14:]
    return data


def options():
    size = 4 * random.randrange(11)
    return random.choice((random.randbytes(size), b"\x01" * size, bytes(IPOption_LSRR(routers=["1.2.3.4"])) + b"\0", bytes(IPOption_RR()) + b"\0"))


def extension():
    return random.choice((
        lambda: IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(random.choice((4, 12, 20))))]),
        lambda: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(random.choice((4, 4, 12, 36))))]),
        lambda: IPv6ExtHdrRouting(type=random.choice((0, 2, 4)), addresses=["fc00::1"] * random.choice((0, 0, 1)), segleft=random.choice((0, 0, 0, 1))),
        lambda: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]),
        lambda: IPv6ExtHdrFragment(offset=random.choice((0, 5)), m=0),
    ))() if random.random() < 0.9 else IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(250))] * random.choice((1, 5)))


def transport(ipv6):
    ports = {"sport": random.choice((179, 7, 65535)), "dport": random.choice((179, 3784, 3785, 4784, 80, 443))}
    tcp = TCP(flags=random.choice(("S", "A", "SA", "FA", "R", "UEC")), **ports)
    control = random.choice((ICMPv6DestUnreach(), ICMPv6ND_NS(), ICMPv6EchoRequest(id=7))) if ipv6 else ICMP(type=random.choice((0, 3, 8, 11, 12)))
    return random.choice((tcp, tcp, tcp, UDP(**ports), UDP(**ports), control, Raw(random.randbytes(8)))) / Raw(random.randbytes(random.choice((0, 6, 30, 90))))


def sent_back(ipv6):
    """An ICMP error about a packet of the VIP: its message, with as much of that packet as routers send back."""
    ports = {"sport": random.randrange(65536), "dport": random.choice((179, 7, 65535))}
    layer4 = random.choice((TCP(flags="S", **ports), UDP(**ports), TCP(**ports), UDP(**ports), ICMP() if not ipv6 else ICMPv6ND_NS(), Raw(bytes(8))))
    rare = random.random() < 0.2
    if ipv6:
        about = bytes(IPv6(src="fc00:1::1" if not rare else "fc00:1::2", dst="2001:db8::7") / layer4 / Raw(bytes(60)))
        head = random.choice((ICMPv6DestUnreach(), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded(), ICMPv6ParamProblem()))
    else:
        about = bytes(IP(src="10.200.1.1" if not rare else "10.200.1.2", dst="192.0.2.7", flags=random.choice((0, 0, "MF", "DF")),
                         frag=random.choice((0, 0, 0, 0, 0, 0, 1, 185))) / layer4 / Raw(bytes(60)))
        extra = options() if random.random() < 0.5 else b""
        about = bytes([0x45 + len(extra) // 4]) + about[1:20] + extra + about[20:]
        head = ICMP(type=random.choice((3, 3, 11, 12)), code=random.choice((0, 1, 4)))
    most = len(about)
    return bytes(head)[:8] + about[: random.choice((0, 19, 27, 28, 40, 47, 48, 55, 59, 67, 68, 75, most, most, most))]


def packet():
    """A well-formed packet, perhaps with more headers than the card walks."""
    if random.random() < 0.25:
        ipv6 = random.random() < 0.5
        ip = IPv6(src="2001:db8::1", dst="fc00:1::1", nh=58, tc=random.randrange(256)) if ipv6 else IP(src="192.0.2.1", dst="10.200.1.1", proto=1, tos=random.randrange(256), flags=random.choice(("DF", 0, 0, "MF")) if random.random() < 0.2 else 0)
        return ip / Raw(sent_back(ipv6))
    if random.random() < 0.45:
        return IP(src="192.0.2.1", dst="10.200.1.1", tos=random.randrange(256), options=[], flags=random.choice(("DF", 0, 0, "MF")) if random.random() < 0.1 else 0) / transport(False)
    ip = IPv6(src="2001:db8::1", dst="fc00:1::1", tc=random.randrange(256), fl=random.randrange(1 << 20))
    for _ in range(random.choice((0, 0, 1, 1, 2, 2, 3, 3, 4, 5))):
        ip /= extension()
    ip /= transport(True)
    return ip


def with_options(data):
    """Puts options behind the IPv4 header of an untagged or tagged frame."""
    at = data.find(b"\x08\x00E") + 2
    if at < 2:
        return data
    extra = options()
    total = int.from_bytes(data[at + 2 : at + 4], "big") + len(extra)
    return data[:at] + bytes([0x45 + len(extra) // 4, data[at + 1]]) + total.to_bytes(2, "big") + data[at + 4 : at + 20] + extra + data[at + 20 :]


def frame():
    data = tagged(packet())
    return with_options(data) if random.random() < 0.6 else data


def bend(data):
    """Something about it is wrong, or it is padded."""
    data = bytearray(data)
    kind = random.randrange(5)
    if kind == 0:
        return bytes(data[: random.randrange(14, len(data) + 1)])
    if kind == 1:
        return bytes(data) + bytes(random.randrange(1, 40))
    for _ in range(1 if kind == 2 else 3):
        at = random.randrange(12, min(len(data), 128))
        data[at] = random.choice((random.randrange(256), data[at] ^ 1 << random.randrange(8), 0, 255, data[at] + 1 & 255, data[at] - 1 & 255))
    return bytes(data)


SEEDS = [
    tagged(IP(src="192.0.2.1", dst="10.200.1.1", tos=4) / TCP(sport=7, dport=80, flags="S"), tags=0),
    with_options(tagged(IP(src="192.0.2.1", dst="10.200.1.1") / UDP(sport=7, dport=80) / Raw(b"12345678"), tags=2)),
    tagged(IPv6(src="2001:db8::1", dst="fc00:1::1", tc=9) / UDP(sport=7, dport=443), tags=1),
    tagged(IPv6(src="2001:db8::1", dst="fc00:1::1") / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]) / IPv6ExtHdrRouting(segleft=0)
           / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))]) / TCP(sport=7, dport=80, flags="FA"), tags=2),
    tagged(IPv6(src="2001:db8::1", dst="fc00:1::1") / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / ICMPv6ND_NS(), tags=0),
    tagged(IP(src="192.0.2.1", dst="10.200.1.1") / ICMP(type=3, code=4) / bytes(IP(src="10.200.1.1", dst="192.0.2.7") / TCP(sport=80, dport=7))[:28], tags=0),
    tagged(IPv6(src="2001:db8::1", dst="fc00:1::1") / ICMPv6PacketTooBig() / bytes(IPv6(src="fc00:1::1", dst="2001:db8::7") / UDP(sport=443, dport=7)), tags=2),
]


@cocotb.test()
async def seeds_are_what_they_are(dut):
    """The plain seeds are packets, the last two errors about packets, and the one before neighbour discovery behind an extension header."""
    tally = await run(dut, SEEDS * 5, idle=0)
    assert tally["packet"] == 20 and tally["error"] == 10 and tally["HostControl"] + tally.get("DropInjectInvalid", 0) == 5, tally


@cocotb.test()
async def random_frames(dut):
    """One window a cycle, and with gaps."""
    for idle in (0, 0.5):
        tally = await run(dut, [frame() if random.random() < 0.6 else bend(frame()) for _ in range(2500)], idle=idle)
        for outcome in ("packet", "error", "echo", "HostFragment", "HostUnsupported", "HostIcmpError", "HostControl", "DropIpv6Malformed", "DropInjectInvalid"):
            assert tally.get(outcome, 0) > 5, (outcome, tally)


@cocotb.test()
async def cut_at_each_byte(dut):
    await run(dut, [data[:length] for data in SEEDS for length in range(14, len(data) + 1)])


@cocotb.test()
async def each_byte_flipped(dut):
    flips = [data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :] for data in SEEDS for at in range(12, len(data)) for mask in (1, 8, 128, 255)]
    await run(dut, flips)


@cocotb.test()
async def each_length_lies(dut):
    """The IP length, IHL and every extension header's length, one up, one down, and far off."""
    frames = []
    for data in SEEDS:
        for at in range(14, len(data) - 1):
            for value in (0, 1, 2, 3, 7, 20, 21, 127, 255):
                frames.append(data[:at] + bytes([value]) + data[at + 1 :])
        ip = 14 + 4 * sum(data[k : k + 2] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00") for k in (12, 16))
        at = ip + (4 if data[ip] >> 4 == 6 else 2)
        length = int.from_bytes(data[at : at + 2], "big")
        for step in (-40, -20, -9, -8, -1, 1, 2, 8, 9000, 60000):
            frames.append(data[:at] + (length + step & 0xFFFF).to_bytes(2, "big") + data[at + 2 :])
    await run(dut, frames)


@cocotb.test()
async def groups_and_other_stations(dut):
    """Control frames to groups behind tags, and the MAC filter."""
    frames = []
    for tags in range(4):
        for mac in ("ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01", MAC, "02:00:00:00:00:09"):
            frames += [tagged(body, tags, mac) for body in (ARP(), IPv6(dst="ff02::1") / ICMPv6ND_NS(), IP(dst="10.200.1.1") / TCP(), IPv6(dst="ff02::1") / UDP())]
            frames += [tagged(IPv6(dst="ff02::1") / ICMPv6ND_NS(), tags, mac)[: 61 + 4 * tags + extra] for extra in (0, 1)]
    tally = await run(dut, frames * 3, mac=0x020000000001, mac_filter=True)
    assert tally["HostControl"] > 20 and tally["DropMacMismatch"] > 20 and tally["HostGroup"] > 20, tally
