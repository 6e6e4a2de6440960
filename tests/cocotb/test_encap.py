"""`gw_encap` alone against headers that scapy builds: every encapsulation, family, key and way with VLAN tags, the card's own answers, a packet a cycle."""

import ipaddress
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from layout import L
from scapy.all import GRE, ICMP, IP, UDP, Dot1Q, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, Raw

TOP = "gw_encap_bench"
LATENCY = 8
PREFIX_V4, PREFIX_V6 = 0xAC10_BEEF, 0x0100_0000_0000_0007_0000_0000_DEAD_BEEF  # the low bits are not the prefix
SOURCE_V4, SOURCE_V6 = 0x0A00_0D25, 0xFC00_2307 << 96 | 0x1337
GUE_PORT = 9886
ETHER = {4: 0x0800, 6: 0x86DD}


def mac(value):
    return value.to_bytes(6, "big").hex(":")


def text(value, version):
    return str(ipaddress.IPv4Address(value & 0xFFFFFFFF) if version == 4 else ipaddress.IPv6Address(value))


def mixed(source, port):
    """IPIP's outer source: the client's bytes, the port's over two of them."""
    high, low = port >> 8, port & 255
    s = source[-4:]
    return lambda version: (
        text(int.from_bytes((PREFIX_V4 >> 16).to_bytes(2, "big") + bytes([s[2] ^ low, s[3] ^ high]), "big"), 4) if version == 4 else
        text(int.from_bytes((PREFIX_V6 >> 32).to_bytes(12, "big") + bytes([s[0] ^ high, s[1] ^ low, s[2], s[3]]), "big"), 6))


def gue_port(source, port, inner, outer):
    """GUE's source port, by CARD.md 5."""
    high, low = port >> 8, port & 255
    s = source[-4:]
    first, second = {(4, 4): (s[2] ^ low, s[3] ^ high), (6, 4): (s[2] ^ low, s[3] ^ high),
                     (4, 6): (s[2] ^ high, s[3] ^ low), (6, 6): (s[0] ^ high, s[1] ^ low)}[inner, outer]
    return first << 8 | second


class Packet:
    """A packet, its backend, and what must leave before it."""

    def __init__(self, hops):
        self.inner = random.choice((4, 6))
        outer = random.choice((4, 6))
        kind = random.choice((L.EncapIpip, L.EncapGre, L.EncapGre, L.EncapGue, L.EncapGue, L.EncapL2))
        key = random.getrandbits(32) if random.getrandbits(1) else None
        hop = random.randrange(len(hops))
        source = random.randbytes(4 if self.inner == 4 else 16)
        port, tos = random.getrandbits(16), random.choice((0, 0xFF, random.getrandbits(8)))
        received = random.getrandbits(48)
        payload = random.choice((0, 1, 20, random.randrange(9100)))
        self.length = payload + (20 if self.inner == 4 else 0)  # the inner header's own length field
        self.bytes = payload + (20 if self.inner == 4 else 40)
        no_source, no_port = random.random() < 0.2, random.random() < 0.2
        address = random.getrandbits(128)
        self.encapsulate = random.random() < 0.95

        destination, hop_source, vlan_mode, vlan = hops[hop]
        received_tags = random.randbytes(4 * random.choice((0, 0, 1, 2)))
        self.begins = 14 + len(received_tags)  # the inner packet in the received frame
        tags = {1: b"", 2: bytes(Ether() / Dot1Q(prio=vlan >> 13, id=vlan >> 12 & 1, vlan=vlan & 0xFFF))[12:16]}.get(vlan_mode, received_tags)
        ether = Ether(dst=mac(destination), src=mac(hop_source or received))
        fixed = {4: text(SOURCE_V4, 4), 6: text(SOURCE_V6, 6)}[outer]
        seen = bytes(len(source)) if no_source else source, 0 if no_port else port
        from_ = fixed if kind in (L.EncapGre, L.EncapGue) else mixed(*seen)(outer)
        protocol = {L.EncapGre: 47, L.EncapGue: 17}.get(kind, {4: 4, 6: 41}[self.inner])
        between = b""
        if kind == L.EncapGre:
            between = GRE(proto=ETHER[self.inner]) if key is None else GRE(proto=ETHER[self.inner], key_present=1, key=key)
        # scapy counts the lengths over a body as long as the inner packet
        body = Raw(bytes(between) + bytes(self.bytes))
        if kind == L.EncapGue:
            body = UDP(sport=gue_port(*seen, self.inner, outer), dport=GUE_PORT) / Raw(bytes(self.bytes))
        if kind == L.EncapL2:
            self.header = bytes(ether)[:12] + ETHER[self.inner].to_bytes(2, "big")
        elif outer == 4:
            self.header = bytes(ether / IP(src=from_, dst=text(address, 4), tos=tos, id=0, ttl=64, proto=protocol) / body)[: -self.bytes]
        else:
            self.header = bytes(ether / IPv6(src=from_, dst=text(address, 6), tc=tos, fl=0, hlim=64, nh=protocol) / body)[: -self.bytes]
        # Over an inner packet of zeros the checksum is that of what stands before it.
        self.checksum = None
        if kind == L.EncapGue:
            self.checksum = int.from_bytes(self.header[-2:], "big")
            self.header = self.header[:-2] + bytes(2)
        self.ports = {
            "encapsulate_i": int(self.encapsulate), "ipv6_i": int(self.inner == 6), "source_address_i": int.from_bytes(source, "big"),
            "source_port_i": port, "traffic_class_i": tos, "ip_length_i": self.length, "destination_mac_i": received,
            "tags_i": len(received_tags) // 4, "tag_i": int.from_bytes((received_tags + random.randbytes(8))[:8], "big"),
            "needed_i": self.begins + self.bytes, "outer_bytes_i": len(self.header) - 14, "source_zero_i": int(no_source), "port_zero_i": int(no_port),
            "echo_i": 0, "too_big_i": 0,
            "entry_i": L.pack("backend_entry", encap=kind, ipv6=int(outer == 6), next_hop=hop, address=address,
                              key_present=int(key is not None), key=key or 0),
        }
        self.header = self.header[:12] + tags + self.header[12:]


    def check(self, dut):
        assert int(dut.ip_bytes_o.value) == self.bytes
        assert not int(dut.icmp_checksum_o.value)
        size = int(dut.header_bytes_o.value)
        if not self.encapsulate:
            assert (size, int(dut.keep_from_o.value), int(dut.keep_to_o.value)) == (0, 0, 0x3FFF)
            return
        got = header(dut)
        assert got == self.header, f"{got.hex()} instead of {self.header.hex()}"
        assert (int(dut.keep_from_o.value), int(dut.keep_to_o.value)) == (self.begins, self.begins + self.bytes)
        assert int(dut.checksum_o.value) == int(self.checksum is not None)
        if self.checksum is not None:
            part = int(dut.checksum_part_o.value)
            assert (~part & 0xFFFF or 0xFFFF) == self.checksum, f"{part:#x} does not give {self.checksum:#x}"


QUOTE = {4: 84, 6: 248}  # bytes that an error sends back, CARD.md 5


class Answer:
    """A packet that the card answers, as it came, and the whole frame that must leave."""

    def __init__(self):
        version = random.choice((4, 6))
        self.echo = bool(random.getrandbits(1))
        client, vip = (random.getrandbits(32 if version == 4 else 128) for _ in range(2))
        mac_client, mac_card = random.getrandbits(48), random.getrandbits(48)
        tags = random.randbytes(4 * random.choice((0, 0, 1, 2)))
        tos, ident, label = random.getrandbits(8), random.getrandbits(16), random.getrandbits(20)
        mtu, outer = random.choice((0, 1, 20, 1280, 1500, 16383, random.randrange(1 << 14))), random.choice((0, 20, 24, 28, 40, 44, 48))
        size = random.choice((0, 1, 7, 8, 9, random.randrange(60), random.randrange(QUOTE[version] - 30, QUOTE[version] + 30), random.randrange(1400)))
        body = random.choice((random.randbytes(size), bytes(size), b"\xff" * size))
        there, back = (text(client, version), text(vip, version)), (text(vip, version), text(client, version))

        def ip(ends, **fields):
            return IP(src=ends[0], dst=ends[1], **fields) if version == 4 else IPv6(src=ends[0], dst=ends[1], **fields)

        kept = {"tos": tos, "id": ident, "flags": 2} if version == 4 else {"tc": tos, "fl": label}
        hops, far = ("ttl", {"ttl": 64}) if version == 4 else ("hlim", {"hlim": 64})
        if self.echo:
            fields = {"id": random.choice((0, 0xFFFF, random.getrandbits(16))), "seq": random.choice((0, 0xFFFF, random.getrandbits(16)))}
            request, reply = (ICMP(type=8, **fields), ICMP(type=0, **fields)) if version == 4 else (ICMPv6EchoRequest(**fields), ICMPv6EchoReply(**fields))
            packet = bytes(ip(there, **kept, **{hops: random.randrange(1, 256)}) / request / Raw(body))
            answer = bytes(ip(back, **kept, **far) / reply / Raw(body))
        else:
            packet = bytes(ip(there, **kept, **{hops: random.randrange(1, 256)}) / UDP(sport=1, dport=2) / Raw(body))
            told = max(0, mtu - outer)
            error = ICMP(type=3, code=4, nexthopmtu=told) if version == 4 else ICMPv6PacketTooBig(mtu=told)
            answer = bytes(ip(back, id=0, proto=1, **far) / error / Raw(packet[: QUOTE[4]]) if version == 4 else
                           ip(back, nh=58, **far) / error / Raw(packet[: QUOTE[6]]))
        layer4 = 20 if version == 4 else 40
        ether = ETHER[version].to_bytes(2, "big")
        sent = mac_client.to_bytes(6, "big"), mac_card.to_bytes(6, "big")
        self.received = sent[1] + sent[0] + tags + ether + packet + random.randbytes(random.randrange(20))  # and padding
        self.frame = sent[0] + sent[1] + tags + ether + answer
        self.checksum_at = 14 + len(tags) + layer4 + 2
        self.bytes = len(packet)
        self.ports = {
            "encapsulate_i": 0, "echo_i": int(self.echo), "too_big_i": int(not self.echo), "ipv6_i": int(version == 6),
            "source_address_i": client, "destination_address_i": vip, "source_mac_i": mac_client, "destination_mac_i": mac_card,
            "source_port_i": int.from_bytes(packet[layer4 + 2:layer4 + 4], "big"),  # of an echo request its checksum stands there
            "traffic_class_i": tos, "second_word_i": ident << 16 | 0x4000 if version == 4 else label,
            "ip_length_i": len(packet) - (0 if version == 4 else 40), "tags_i": len(tags) // 4,
            "tag_i": int.from_bytes((tags + random.randbytes(8))[:8], "big"), "needed_i": 14 + len(tags) + len(packet), "outer_bytes_i": outer,
            "mtu_i": mtu, "source_zero_i": 0, "port_zero_i": 0, "entry_i": L.pack("backend_entry", encap=L.EncapIpip),
        }

    def check(self, dut):
        assert int(dut.ip_bytes_o.value) == self.bytes
        assert not int(dut.checksum_o.value) and int(dut.icmp_checksum_o.value) == int(not self.echo)
        kept = self.received[int(dut.keep_from_o.value):int(dut.keep_to_o.value)]
        got, want, at = header(dut) + kept, self.frame, self.checksum_at
        if not self.echo:
            # gw_egress joins the sum of what is kept, and puts the checksum where a 0 stands.
            total = int(dut.checksum_part_o.value) + sum(int.from_bytes(kept[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(kept), 2))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            got = got[:at] + (~total & 0xFFFF).to_bytes(2, "big") + got[at + 2:]
        # One's complement has two zeros: what was 0 or all ones may be either.
        either = {bytes(2), b"\xff\xff"}
        if got[at:at + 2] in either and want[at:at + 2] in either:
            want = want[:at] + got[at:at + 2] + want[at + 2:]
        assert got == want, f"{got.hex()} instead of {want.hex()}"


def header(dut):
    size = int(dut.header_bytes_o.value)
    return (int(dut.header_o.value) & (1 << 8 * size) - 1).to_bytes(size, "little")


async def start(dut):
    """Reset, registers, sixteen next hops."""
    for name in ("rst_ni", "write_i", "valid_i"):
        getattr(dut, name).value = 0
    dut.ipip_source_v4_i.value, dut.ipip_source_v6_i.value = PREFIX_V4, PREFIX_V6
    dut.source_v4_i.value, dut.source_v6_i.value = SOURCE_V4, SOURCE_V6
    dut.gue_port_i.value = GUE_PORT
    Clock(dut.clk_i, 2, "ns").start()
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    hops = [(random.getrandbits(48), random.choice((0, random.getrandbits(48))), index % 4, random.getrandbits(16)) for index in range(L.NextHops)]
    for index, (destination, source, vlan_mode, vlan) in enumerate(hops):
        dut.write_i.value, dut.index_i.value = 1, index
        dut.wdata_i.value = L.pack("next_hop_entry", destination=destination, source=source, vlan_mode=vlan_mode, vlan=vlan)
        await FallingEdge(dut.clk_i)
    dut.write_i.value = 0
    for _ in range(4):
        await FallingEdge(dut.clk_i)
    return hops


async def run(dut, count, idle):
    """Random packets with random gaps; each comes out after exactly LATENCY cycles."""
    hops = await start(dut)
    due = [None] * LATENCY  # [0] comes out next
    sent = checked = 0
    while checked < count:
        packet = None
        if sent < count and random.random() >= idle:
            packet = Answer() if random.random() < 0.3 else Packet(hops)
        dut.valid_i.value = int(packet is not None)
        if packet:
            sent += 1
            for name, value in packet.ports.items():
                getattr(dut, name).value = value
        await FallingEdge(dut.clk_i)
        due = [*due[1:], packet]
        want = due[0]
        assert int(dut.valid_o.value) == int(want is not None), "the latency is another"
        if want is None:
            continue
        checked += 1
        want.check(dut)


@cocotb.test()
async def headers_are_scapys(dut):
    """A packet every cycle."""
    await run(dut, 1500, idle=0)


@cocotb.test()
async def headers_with_gaps(dut):
    """What waits beside the header stays in step when packets come now and then."""
    await run(dut, 500, idle=0.6)
