"""What becomes of a frame, written from CARD.md alone: the oracle of the benches.

Owns the decision up to admission, and the bytes that leave. It holds the tables as plain dictionaries of fields. Admission (full
queues) is the benches' business: they drive the card so that nothing is refused, or count what was.
"""

import dataclasses

from layout import L

MASK = 0xFFFFFFFF
WINDOW = 128


def rotate(x, n):
    return (x << n | x >> (32 - n)) & MASK


def jhash_final(a, b, c):
    for n in (("c", "b", 14), ("a", "c", 11), ("b", "a", 25), ("c", "b", 16), ("a", "c", 4), ("b", "a", 14), ("c", "b", 24)):
        v = {"a": a, "b": b, "c": c}
        x, y, bits = n
        v[x] = ((v[x] ^ v[y]) - rotate(v[y], bits)) & MASK
        a, b, c = v["a"], v["b"], v["c"]
    return c


def jhash_2words(a, b, seed):
    start = (seed + 0xDEADBEEF + 8) & MASK
    return jhash_final((a + start) & MASK, (b + start) & MASK, start)


def jhash_16(data, seed):
    w = [int.from_bytes(data[i : i + 4], "little") for i in (0, 4, 8, 12)]
    start = (0xDEADBEEF + 16 + seed) & MASK
    a, b, c = (start + w[0]) & MASK, (start + w[1]) & MASK, (start + w[2]) & MASK
    for n1, n2, n3 in ((4, 6, 8), (16, 19, 4)):
        a = ((a - c) ^ rotate(c, n1)) & MASK
        c = (c + b) & MASK
        b = ((b - a) ^ rotate(a, n2)) & MASK
        a = (a + c) & MASK
        c = ((c - b) ^ rotate(b, n3)) & MASK
        b = (b + a) & MASK
    return jhash_final((a + w[3]) & MASK, b, c)


def flow_hash(source, source_port, destination_port):
    """Katran's: `source` is 4 or 16 bytes."""
    first = int.from_bytes(source, "little") if len(source) == 4 else jhash_16(source, L.HashSeedV6)
    ports = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    return jhash_2words(first, int.from_bytes(ports, "little"), L.HashSeed)


def bank_row(key, key_bits, secret, rows):
    """row[j] = parity of key AND (secret >> j)."""
    key &= (1 << key_bits) - 1
    return sum(((key & secret >> j).bit_count() & 1) << j for j in range(rows.bit_length() - 1))


def internet_checksum(data):
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclasses.dataclass
class Decision:
    disposition: str  # as in gw_layout_pkg: ForwardHit, HostPunt, ...
    out: bytes = b""  # what leaves on the wire
    record: dict = dataclasses.field(default_factory=dict)  # of a punt
    vip: int | None = None  # counted
    backend: int | None = None  # counted when it is forwarded
    ip_bytes: int = 0
    fallback: bool = False
    hit: int | None = None  # place of the flow entry


@dataclasses.dataclass
class Packet:
    """What parsing found of a packet for section 3."""

    ipv6: bool
    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    flags: int
    traffic_class: int
    length: int  # of the IP packet
    data: bytes
    tags: bytes = b""
    echo: bool = False  # an echo request
    error: bool = False  # an ICMP error: the flow is its inner packet's, reversed


class Card:
    """Tables and configuration; `decide` is the path."""

    def __init__(self):
        self.match, self.vips, self.pools, self.ring, self.backends, self.next_hops, self.flows = {}, {}, {}, {}, {}, {}, {}
        self.mac, self.mac_filter, self.unmatched_drop, self.compute_only = 0, False, False, False
        self.host_alive = False
        self.prefix_v4, self.prefix_v6 = 0xAC100000, 0x0100 << 112
        self.source_v4, self.source_v6 = 0x0A000D25, 0xFC002307 << 96 | 0x1337
        self.gue_port = 6080

    def entry(self, struct, table, index):
        return table.get(index) or L.unpack(struct, 0)

    # ---- section 2 ----
    def decide(self, frame, error=False, inject=None):
        """`inject`: None for the wire, or {"op", "vip", "backend", "generation"}."""
        if error:
            return Decision("DropRxError")
        if len(frame) > L.FrameMax:
            return Decision("DropOversize")
        if len(frame) < 14:
            return Decision("DropRunt")
        if inject and inject["op"] == L.TxOpRaw:
            return Decision("ForwardRaw", out=frame)
        early, packet = self.read(frame, wire=inject is None)
        if inject:
            return Decision("DropInjectInvalid") if early else self.assign(packet, frame, inject)
        if early:
            return Decision(early)
        return self.choose(packet, frame)

    def read(self, frame, wire):
        """Rows 5 to 15: a disposition, or a packet."""
        group = frame[0] & 1
        tags = self.tags(frame)
        ether = int.from_bytes(frame[12 + len(tags) : 14 + len(tags)], "big")
        ip = frame[14 + len(tags) :]
        control = ether in (0x0806, 0x8809, 0x88CC)
        if wire and not group and self.mac_filter and int.from_bytes(frame[:6], "big") != self.mac:
            return "DropMacMismatch", None
        if wire and group:
            discovery = ether == 0x86DD and len(ip) >= 48 and ip[6] == 58 and 133 <= ip[40] <= 137
            return ("HostControl" if control or discovery else "HostGroup"), None
        if control:
            return "HostControl", None
        if ether == 0x0800:
            early, packet = self.read_ipv4(ip, WINDOW - 14 - len(tags), wire)
        elif ether == 0x86DD:
            early, packet = self.read_ipv6(ip, WINDOW - 14 - len(tags), wire)
        else:
            early, packet = "HostUnsupported", None
        if packet:
            packet.tags = tags
        return early, packet

    @staticmethod
    def tags(frame):
        """The tags that count."""
        found = b""
        while len(found) < 8 and len(frame) >= 18 + len(found):
            here = frame[12 + len(found) : 16 + len(found)]
            if here[:2] not in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
                break
            found += here
        return found

    def read_ipv4(self, ip, window, wire):
        """`window`: bytes of the IP packet that may be looked at."""
        if len(ip) < 20 or ip[0] >> 4 != 4:
            return "DropIpv4Malformed", None
        header, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
        if header < 20 or total < header or total > len(ip):
            return "DropIpv4Malformed", None
        bare = self.portless(False, ip[12:16], ip[16:20], ip[9], ip[1], ip[:total])
        if int.from_bytes(ip[6:8], "big") & 0x3FFF:
            return ("HostFragment", None) if wire else (None, bare)
        payload = ip[header:total]
        if ip[9] == 1 and len(payload) >= 8 and payload[0] in (3, 11, 12):
            return self.icmp_error(bare, ip[header + 8 : min(total, window)], wire)
        if wire and header == 20 and ip[9] == 1 and len(payload) >= 8 and payload[:2] == b"\x08\x00":
            return None, dataclasses.replace(bare, echo=True)
        return self.read_l4(False, ip[12:16], ip[16:20], ip[9], ip[1], payload, ip[:total])

    def read_ipv6(self, ip, window, wire):
        if len(ip) < 40 or ip[0] >> 4 != 6:
            return "DropIpv6Malformed", None
        end = 40 + int.from_bytes(ip[4:6], "big")
        if end > len(ip):
            return "DropIpv6Malformed", None
        x, n = 40, ip[6]
        for _ in range(3):
            if n not in (0, 43, 60):
                break
            if x + 8 > window:
                return "HostUnsupported", None
            length = 8 * (ip[x + 1] + 1) if x + 1 < len(ip) else 8
            if x + length > end:
                return "DropIpv6Malformed", None
            if n == 43 and ip[x + 3]:
                return "HostUnsupported", None
            n, x = ip[x], x + length
        traffic_class = int.from_bytes(ip[:2], "big") >> 4 & 0xFF
        bare = self.portless(True, ip[8:24], ip[24:40], n, traffic_class, ip[:end])
        if n == 44:
            return ("HostFragment", None) if wire else (None, bare)
        if x + {6: 20, 17: 8, 58: 8}.get(n, 0) > window:
            return "HostUnsupported", None
        payload = ip[x:end]
        if n == 58 and len(payload) >= 8 and 1 <= payload[0] <= 4:
            return self.icmp_error(bare, ip[x + 8 : min(end, window)], wire)
        if n == 58 and len(payload) >= 8 and 133 <= payload[0] <= 137:
            return "HostControl", None
        if wire and x == 40 and n == 58 and len(payload) >= 8 and payload[:2] == b"\x80\x00":
            return None, dataclasses.replace(bare, echo=True)
        return self.read_l4(True, ip[8:24], ip[24:40], n, traffic_class, payload, ip[:end])

    @staticmethod
    def portless(ipv6, source, destination, protocol, traffic_class, data):
        return Packet(ipv6, source, destination, protocol, 0, 0, 0, traffic_class, len(data), data)

    @staticmethod
    def icmp_error(packet, inner, wire):
        """`packet` is the error without its flow, `inner` what may be looked at of the inner packet."""
        packet.error = True
        nothing = ("HostIcmpError", None) if wire else (None, packet)
        if not inner or inner[0] >> 4 != (6 if packet.ipv6 else 4):
            return nothing
        header = 40 if packet.ipv6 else (inner[0] & 15) * 4
        if header < 20 or len(inner) < header + 8:
            return nothing
        if not packet.ipv6 and int.from_bytes(inner[6:8], "big") & 0x1FFF:
            return nothing
        source, destination = (inner[8:24], inner[24:40]) if packet.ipv6 else (inner[12:16], inner[16:20])
        protocol = inner[6 if packet.ipv6 else 9]
        if protocol not in (6, 17) or source != packet.destination:
            return nothing
        source_port, destination_port = inner[header : header + 2], inner[header + 2 : header + 4]
        return None, dataclasses.replace(
            packet, source=destination, destination=source, protocol=protocol, source_port=int.from_bytes(destination_port, "big"),
            destination_port=int.from_bytes(source_port, "big"))

    def read_l4(self, ipv6, source, destination, protocol, traffic_class, payload, data):
        if protocol not in (6, 17):
            return "HostUnsupported", None
        if len(payload) < (20 if protocol == 6 else 8):
            return "DropL4Malformed", None
        return None, Packet(
            ipv6=ipv6,
            source=source,
            destination=destination,
            protocol=protocol,
            source_port=int.from_bytes(payload[:2], "big"),
            destination_port=int.from_bytes(payload[2:4], "big"),
            flags=payload[13] if protocol == 6 else 0,
            traffic_class=traffic_class,
            length=len(data),
            data=data,
        )

    # ---- section 3 ----
    def find(self, packet):
        """(VIP, any_port) or None."""
        for port in (packet.destination_port, 0):
            key = (int.from_bytes(packet.destination, "big"), port, packet.protocol, packet.ipv6)
            if key in self.match:
                return self.match[key], port == 0 and packet.destination_port != 0
        return None

    def hash_fields(self, packet, vip, any_port):
        source, first, second = packet.source, packet.source_port, packet.destination_port
        if any_port and not vip["hash_keep_destination_port"] and not vip["hash_destination_port_only"]:
            second = 0
        if vip["hash_no_source_port"]:
            first = 0
        if vip["hash_destination_port_only"]:
            first, source = second, bytes(len(source))
        return source, first, second

    # ---- section 4 ----
    def usable(self, index):
        entry = self.entry("backend_entry", self.backends, index)
        return index < L.Backends and entry["state"] in (L.BackendStateUp, L.BackendStateDraining)

    def assign(self, packet, frame, inject):
        backend = self.entry("backend_entry", self.backends, inject["backend"])
        if inject["vip"] >= L.Vips or not self.usable(inject["backend"]) or backend["generation"] != inject["generation"]:
            return Decision("DropInjectInvalid")
        return self.forward("ForwardInject", packet, frame, inject["vip"], inject["backend"], inject["spread"] << 24)

    def choose(self, packet, frame):
        found = self.find(packet)
        if packet.echo:  # as at power on: nobody answers
            return Decision("HostUnsupported")
        if found is None and packet.error:
            return Decision("HostIcmpError")
        if found is None:
            ports = (packet.source_port, packet.destination_port)
            if packet.protocol == 6 and 179 in ports or packet.protocol == 17 and ports[1] in (3784, 3785, 4784):
                return Decision("HostControl")
            return Decision("DropUnmatched" if self.unmatched_drop else "HostUnmatched")

        index, any_port = found
        vip = self.entry("vip_entry", self.vips, index)
        pool = self.entry("pool_entry", self.pools, vip["pool"])
        digest = flow_hash(*self.hash_fields(packet, vip, any_port))
        ring_index, slot = 0, L.SlotEmpty
        if pool["ring_size"]:
            ring_index = digest % pool["ring_size"]
            slot = self.ring.get(pool["ring_base"] + ring_index, 0)

        key = (index, int.from_bytes(packet.source, "big"), packet.source_port, packet.destination_port)
        flow = self.flows.get(key)
        live = False
        if flow:
            backend = self.entry("backend_entry", self.backends, flow["backend"])
            live = self.usable(flow["backend"]) and backend["generation"] == flow["generation"]
        afresh = live and backend["state"] == L.BackendStateDraining and packet.flags & 0x12 == 0x02

        counted = {"vip": index, "ip_bytes": packet.length}
        if live and not afresh:
            decision = self.forward("ForwardHit", packet, frame, index, flow["backend"], digest)
            decision.hit = flow["place"] if decision.disposition in ("ForwardHit", "HostTooBig") and not packet.error else None
            return dataclasses.replace(decision, **counted)
        punts = vip["miss_policy"] == L.MissPolicyPunt and not self.compute_only
        if punts and self.host_alive:
            record = {
                "vip_valid": 1, "any_port": int(any_port), "flow_found": int(flow is not None),
                "flow_stale": int(flow is not None and not live),
                "syn": packet.flags >> 1 & 1, "fin": packet.flags & 1, "rst": packet.flags >> 2 & 1, "ipv6": int(packet.ipv6),
                "vip": index, "pool": vip["pool"], "protocol": packet.protocol, "flow_hash": digest, "ring_index": ring_index,
                "ring_backend": slot, "flow_backend": flow["backend"] if flow else 0xFFFF,
                "source": int.from_bytes(packet.source, "big"),
                "source_port": packet.source_port, "destination_port": packet.destination_port,
            }
            return Decision("HostIcmpError" if packet.error else "HostPunt", record=record, **counted)
        if slot >= L.Backends:
            return Decision("DropNoBackend", **counted)
        if not self.usable(slot):
            return Decision("DropBackendDown", **counted)
        return dataclasses.replace(self.forward("ForwardRing", packet, frame, index, slot, digest), fallback=punts, **counted)

    # ---- section 5 ----
    def forward(self, disposition, packet, frame, number, index, digest):
        vip, backend = self.entry("vip_entry", self.vips, number), self.entry("backend_entry", self.backends, index)
        if backend["encap"] not in (L.EncapIpip, L.EncapGre, L.EncapGue, L.EncapL2):
            return Decision("DropEncapUnsupported")
        outer = b"" if backend["encap"] == L.EncapL2 else self.outer(packet, vip, backend)
        if len(outer) + packet.length > vip["mtu"]:
            if vip["fragment_too_big"] and self.host_alive and not packet.ipv6 and not packet.data[6] & 0x40:
                record = {"vip_valid": 1, "vip": number, "ring_backend": index, "generation": backend["generation"], "flow_hash": digest >> 24 << 24}
                return Decision("HostTooBig", record=record)
            return Decision("DropTooBig")
        hop = self.entry("next_hop_entry", self.next_hops, backend["next_hop"] + ((digest >> 24) * (backend["more_next_hops"] + 1) >> 8))
        source = hop["source"].to_bytes(6, "big") if hop["source"] else frame[:6]
        ipv6 = packet.ipv6 if backend["encap"] == L.EncapL2 else backend["ipv6"]
        ether = b"\x86\xdd" if ipv6 else b"\x08\x00"
        tags = {1: b"", 2: b"\x81\x00" + hop["vlan"].to_bytes(2, "big")}.get(hop["vlan_mode"], packet.tags)
        out = hop["destination"].to_bytes(6, "big") + source + tags + ether + outer + packet.data
        return Decision(disposition, out=out, backend=index, ip_bytes=packet.length)

    def gre(self, packet, backend):
        kind = b"\x86\xdd" if packet.ipv6 else b"\x08\x00"
        return b"\x20\x00" + kind + backend["key"].to_bytes(4, "big") if backend["key_present"] else b"\x00\x00" + kind

    def outer(self, packet, vip, backend):
        s = bytes(len(packet.source)) if vip["hash_destination_port_only"] else packet.source
        s = s[-4:]
        high, low = divmod(0 if vip["hash_no_source_port"] else packet.source_port, 256)
        behind, protocol = b"", 41 if packet.ipv6 else 4
        if backend["encap"] == L.EncapGre:
            behind, protocol = self.gre(packet, backend), 47
        if backend["encap"] == L.EncapGue:
            behind, protocol = self.gue(packet, backend, s, high, low), 17
        length = len(behind) + packet.length
        if not backend["ipv6"]:
            source = (self.prefix_v4 >> 16).to_bytes(2, "big") + bytes([s[2] ^ low, s[3] ^ high])
            if behind:
                source = self.source_v4.to_bytes(4, "big")
            # beyond the field's end the frame is dropped all the same: the MTU has 14 bits
            header = bytes([0x45, packet.traffic_class]) + (length + 20 & 0xFFFF).to_bytes(2, "big") + bytes(4) + bytes([64, protocol])
            addresses = source + (backend["address"] & MASK).to_bytes(4, "big")
            checksum = internet_checksum(header + bytes(2) + addresses)
            return header + checksum.to_bytes(2, "big") + addresses + self.with_checksum(protocol, addresses, behind, packet)
        source = (self.prefix_v6 >> 32).to_bytes(12, "big") + bytes([s[0] ^ high, s[1] ^ low, s[2], s[3]])
        if behind:
            source = self.source_v6.to_bytes(16, "big")
        first = 6 << 28 | packet.traffic_class << 20
        header = first.to_bytes(4, "big") + (length & 0xFFFF).to_bytes(2, "big") + bytes([protocol, 64])
        addresses = source + backend["address"].to_bytes(16, "big")
        return header + addresses + self.with_checksum(protocol, addresses, behind, packet)

    def gue(self, packet, backend, s, high, low):
        ports = bytes([s[2] ^ low, s[3] ^ high])
        if backend["ipv6"]:
            ports = bytes([s[0] ^ high, s[1] ^ low]) if packet.ipv6 else bytes([s[2] ^ high, s[3] ^ low])
        return ports + self.gue_port.to_bytes(2, "big") + (packet.length + 8 & 0xFFFF).to_bytes(2, "big") + bytes(2)

    @staticmethod
    def with_checksum(protocol, addresses, behind, packet):
        if protocol != 17:
            return behind
        checksum = internet_checksum(addresses + bytes([0, 17]) + behind[4:6] + behind + packet.data)
        return behind[:6] + (checksum or 0xFFFF).to_bytes(2, "big")
