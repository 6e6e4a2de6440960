"""A small world of VIPs, rings, backends and flows for the benches, and the packets that meet it: good, odd and broken ones.

Owns the choice of what is tried. Packets are built by scapy, an independent implementation; then some are bent.
"""

import ipaddress
import random

import oracle
from core import assign, raw
from frame_path import Frame
from layout import L
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6DestUnreach, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop

MAC = "02:00:00:00:00:01"
ROUTER = "06:00:00:00:00:02"


def packed(address):
    return ipaddress.ip_address(address).packed


def number(address):
    return int(ipaddress.ip_address(address))


def packet(source, destination, l4, tos=0, body=b"", mac=MAC):
    """A frame of the router's towards the card."""
    ip = IPv6(src=source, dst=destination, tc=tos) if ":" in destination else IP(src=source, dst=destination, tos=tos, flags=random.choice(("DF", 0)))
    return bytes(Ether(src=ROUTER, dst=mac) / ip / l4 / body)


def tcp(source, destination, source_port, destination_port, flags="A", **options):
    return packet(source, destination, TCP(sport=source_port, dport=destination_port, flags=flags), **options)


def udp(source, destination, source_port, destination_port, **options):
    return packet(source, destination, UDP(sport=source_port, dport=destination_port), **options)


CLIENTS_V4 = ["192.168.1.1", "172.16.0.1", "8.8.4.4", "255.255.255.254", "1.2.3.4"]
CLIENTS_V6 = ["fc00:2::1", "2001:db8::dead:beef", "ff0e::", "fe80::1:2:3:4", "2a00:1450:4001:82a::200e"]
PORTS = [31337, 1, 65535, 4660, 1024]


class World:
    """What was programmed, and packets for it."""

    def __init__(self):
        self.targets = []  # (address, port, protocol), port None: any
        self.backends = []  # (index, generation)

    def client(self, ipv6):
        return random.choice(CLIENTS_V6 if ipv6 else CLIENTS_V4), random.choice(PORTS)

    def known(self, size=None):
        """A packet for a VIP."""
        address, port, protocol = random.choice(self.targets)
        source, source_port = self.client(":" in address)
        port = random.choice((80, 443, 0, 65535, random.randrange(65536))) if port is None else port
        tos = random.choice((0, 0, 0x10, random.randrange(256)))
        size = random.choice((0, 6, random.randrange(200), random.randrange(1450))) if size is None else size
        options = {"tos": tos, "body": random.randbytes(size)}
        if protocol == 6:
            flags = random.choice(("A", "A", "S", "SA", "FA", "R", "PA", "SF", "UEC"))
            data = tcp(source, address, source_port, port, flags, **options)
        else:
            data = udp(source, address, source_port, port, **options)
        if random.random() < 0.3:
            tags = random.choice((b"\x81\x00\x00\x05", b"\x88\xa8\x20\x00\x81\x00\xef\xff", b"\x91\x00\x00\x01"))
            data = data[:12] + tags + data[12:]
        return data.ljust(60, b"\x5a") if random.random() < 0.7 else data

    def bent(self):
        """A packet for a VIP with something wrong or odd about it."""
        data = bytearray(self.known(random.choice((0, 20, 100))))
        kind = random.randrange(8)
        ip = 14
        while data[ip - 2 : ip] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
            ip += 4
        ipv6 = data[ip - 2 : ip] == b"\x86\xdd"
        if kind == 0:
            data = data[: random.randrange(1, len(data))]
        elif kind == 1:
            data[ip] = random.randrange(256)
        elif kind == 2:
            at = ip + (4 if ipv6 else 2)
            data[at : at + 2] = random.choice((0, 19, 20, 27, 28, 39, 40, 41, len(data), len(data) + 1, 65535, random.randrange(200))).to_bytes(2, "big")
        elif kind == 3:
            data[ip + (6 if ipv6 else 9)] = random.choice((0, 1, 4, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 139, 140, 6, 17))
        elif kind == 4:
            data[ip + 6] = random.choice((0x20, 0x40, 0x80, 0x1F, 0x00))
        elif kind == 5:
            data[ip + 7] = random.randrange(256)
        elif kind == 6:
            for _ in range(random.randrange(1, 4)):
                data[random.randrange(min(len(data), 70))] = random.randrange(256)
        else:
            data[random.randrange(min(len(data), 70))] ^= 1 << random.randrange(8)
        return bytes(data)

    def odd(self):
        """Anything else that a link carries."""
        source4, source6 = random.choice(CLIENTS_V4), random.choice(CLIENTS_V6)
        group = random.choice(("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "01:80:c2:00:00:02"))
        mac = random.choice((MAC, MAC, group, "02:00:00:00:00:09"))
        ether = Ether(src=ROUTER, dst=mac)
        inner = IP(src="10.0.0.1", dst=source4) / TCP(sport=80, dport=1) / b"abcdefgh"
        choices = [
            ether / ARP(),
            ether / Dot1Q(vlan=5) / IP(src=source4, dst="10.200.1.1") / TCP(dport=80),
            ether / IP(src=source4, dst="10.200.1.1") / ICMP(type=random.choice((0, 3, 8, 11, 12, 13))) / bytes(inner),
            ether / IPv6(src=source6, dst="fc00:1::1") / ICMPv6DestUnreach() / random.randbytes(30),
            ether / IPv6(src=source6, dst="ff02::1") / ICMPv6ND_NS(tgt="fc00::1"),
            Ether(src=ROUTER, dst=group) / IPv6(src=source6, dst="ff02::1") / ICMPv6ND_NS(tgt="fc00::1"),
            ether / IPv6(src=source6, dst="fc00:1::1") / IPv6ExtHdrHopByHop() / TCP(),
            ether / IPv6(src=source6, dst="fc00:1::1") / IPv6ExtHdrFragment(offset=3) / TCP(),
            ether / IP(src=source4, dst="10.200.1.1", options=b"\x07\x04\x00\x00") / TCP(dport=80),
            ether / IP(src=source4, dst="10.9.9.9") / TCP(sport=random.choice((179, 7)), dport=random.choice((179, 7))),
            ether / IP(src=source4, dst="10.9.9.9") / UDP(sport=random.choice((3784, 7)), dport=random.choice((3784, 3785, 4784, 7))),
            ether / IPv6(src=source6, dst="fc00:9::9") / TCP(sport=4, dport=random.choice((179, 5))),
            ether / IPv6(src=source6, dst="fc00:9::9", nh=59),
        ]
        data = bytes(random.choice(choices))
        kind = random.random()
        if kind < 0.1:
            data = data[:12] + random.choice((b"\x88\x09", b"\x88\xcc", b"\x08\x06", b"\x12\x34")) + data[14:]
        elif kind < 0.15:
            data = random.randbytes(random.randrange(1, 150))
        elif kind < 0.2:
            data = data[: random.randrange(1, len(data))]
        return data

    def wire(self):
        kind = random.random()
        if kind < 0.003:
            return Frame(random.randbytes(12) + b"\x08\x00E" + random.randbytes(random.randrange(9200, 9300)))
        if kind < 0.01:
            return Frame(self.known(random.randrange(1400, 8900)))
        data = self.known() if kind < 0.65 else self.bent() if kind < 0.85 else self.odd()
        return Frame(data, error=random.random() < 0.02)

    def inject(self):
        if random.random() < 0.3:
            return raw(random.randbytes(random.choice((13, 14, 60, 64, 65, 129, 300))))
        data = random.choice((self.known, self.known, self.known, self.bent, self.odd))()
        backend, generation = random.choice(self.backends)
        if random.random() < 0.2:
            backend, generation = random.choice(((backend, generation ^ 1), (backend ^ 64, generation), (backend | 1024, generation)))
        return assign(random.choice((random.randrange(16), random.randrange(16), 300)), backend, generation, data,
                      random.randrange(256))


async def build(core, policies):
    """Programs a random world into card and oracle. No miss may be learned, which the oracle does not know: choose `policies` for it."""
    world = World()
    await core.set_next_hop(0, destination=0x0000DEADBEAF)
    await core.set_next_hop(1, destination=0x020304050607, source=0x0A0B0C0D0E0F, vlan_mode=1)
    await core.set_next_hop(15, destination=0xFFFFFFFFFFFF, source=1, vlan=7, vlan_mode=2)

    states = [L.BackendStateUp] * 6 + [L.BackendStateDraining] * 2 + [L.BackendStateDown]
    encaps = [L.EncapIpip] * 6 + [L.EncapGre] * 5 + [L.EncapGue] * 5 + [L.EncapL2] * 3 + [L.EncapNone, 7]
    for index in [*range(24), 63, 1023]:
        ipv6 = random.random() < 0.5
        generation = random.randrange(256)
        await core.set_backend(
            index, state=random.choice(states), encap=random.choice(encaps), ipv6=int(ipv6), generation=generation, key_present=random.getrandbits(1),
            next_hop=random.choice((0, 0, 1, 15, 16, 200)), more_next_hops=random.choice((0, 0, 1, 2, 15)),
            address=random.getrandbits(128 if ipv6 else 32), key=random.getrandbits(32))
        world.backends.append((index, generation))
    indices = [index for index, _ in world.backends]

    bases = {}
    base = 32 * random.randrange(100)
    for pool, size in enumerate((0, 2, 3, 97, 1021, 4099, 97)):
        if pool == 6:
            base = L.RingSlots - 64  # the ring's end lies beyond the table
        slots = [random.choice(indices) for _ in range(size)]
        for _ in range(size // 20):
            slots[random.randrange(size)] = random.choice((L.SlotEmpty, 1024, 40000, 100))
        if size:
            await core.set_ring(base, slots[:64] if pool == 6 else slots)
        if pool == 6:
            core.model.ring.update({L.RingSlots + i: L.SlotEmpty for i in range(64)})
        await core.set_pool(pool, base, size)
        bases[pool] = base
        base += (size + 31) // 32 * 32

    addresses = ["10.200.1.1", "10.200.1.2", "255.0.0.1", "fc00:1::1", "fc00:1::2", "::1"]
    keys = [(address, port, protocol) for address in addresses for port in (80, 443, None) for protocol in (6, 17)]
    random.shuffle(keys)
    keys = keys[:15]
    used = set()
    for vip, (address, port, protocol) in enumerate(keys):
        flag = lambda chance: int(random.random() < chance)  # noqa: E731
        await core.set_vip(
            vip, pool=random.choice((1, 2, 3, 4, 4, 5, 5, 5, 6, 0, 64, 77)), miss_policy=random.choice(policies), hash_no_source_port=flag(0.15),
            hash_destination_port_only=flag(0.15), hash_keep_destination_port=flag(0.3), mtu=random.choice((1500, 9000, 200, 200)),
            fragment_too_big=flag(0.7))
        banks = random.sample(range(L.Banks), 3)
        value = {"address": int.from_bytes(packed(address), "big"), "ipv6": ":" in address, "protocol": protocol, "port": port or 0}
        places = [(bank, core.match_row(L.pack("vip_match", **value), bank)) for bank in banks]
        places = sorted(place for place in places if place not in used)
        for first, (bank, row) in enumerate(places[: random.choice((1, 1, 2))]):
            used.add((bank, row))
            # a second entry of the key lies in a higher bank and names another VIP
            await core.set_match(packed(address), port or 0, protocol, vip if first == 0 else vip ^ 1, bank, shadowed=first > 0)
        world.targets.append((address, port, protocol))
    # entries that must not match: not valid, or of a VIP that the table does not have
    for vip, valid in ((3, 0), (300, 1)):
        address, port, protocol = f"10.77.0.{valid}", 80, 6
        value = {"address": number(address), "ipv6": 0, "protocol": protocol, "port": port}
        free = [b for b in range(L.Banks) if (b, core.match_row(L.pack("vip_match", **value), b)) not in used]
        if free:
            await core.set_match(packed(address), port, protocol, vip, free[0], valid=valid)
            world.targets.append((address, port, protocol))

    taken = set()
    for _ in range(150):
        vip = random.randrange(len(keys))
        address, port, _ = keys[vip]
        source, source_port = world.client(":" in address)
        port = random.choice((80, 443, 0)) if port is None else port
        key = (vip, number(source), source_port, port)
        if key in core.model.flows:
            continue
        backend, generation = random.choice(world.backends)
        if random.random() < 0.15:
            generation ^= 0x80
        bank, way = random.randrange(L.Banks - 1), random.randrange(L.FlowWays)
        word = L.pack("flow_key", vip=vip, source=number(source), source_port=source_port, destination_port=port)
        place = (bank, way, oracle.bank_row(word, L.FlowKeyBits, core.secrets[bank], 4096))
        if place in taken:
            continue
        taken.add(place)
        await core.insert_flow(vip, packed(source), source_port, port, backend, generation, bank, way)
        if random.random() < 0.2:
            # another entry of the key in the last bank, which loses
            known = core.model.flows[key]
            place = (L.Banks - 1, way, oracle.bank_row(word, L.FlowKeyBits, core.secrets[L.Banks - 1], 4096))
            if place not in taken:
                taken.add(place)
                await core.insert_flow(vip, packed(source), source_port, port, 0, 0, L.Banks - 1, way)
                core.model.flows[key] = known
    return world


IN_SCOPE = {*range(1, 8), 18, 19, 20}  # TCP and UDP to plain VIPs; no ICMP, QUIC, migration
FLAGS = {"DPORT_HASH": "hash_destination_port_only", "NO_SPORT": "hash_no_source_port"}


async def katran(core, base, scenario, log):
    """Katran's IPIP fixtures. The ring's only slot is the one that the frame's hash must find."""
    state = scenario["state_when_set_runs"]["testFixtures"]
    await core.start()
    await core.configure(compute_only=True)
    await core.set_next_hop(0, destination=0x0000DEADBEAF)
    reals = {}
    for index, vip in enumerate(state["vips"]):
        for real in vip["reals"]:
            address = packed(real["address"])
            reals[address] = real["real_num"]
            await core.set_backend(real["real_num"], state=L.BackendStateUp, encap=L.EncapIpip, ipv6=int(len(address) == 16),
                                   address=int.from_bytes(address, "big"))
        options = {FLAGS[flag]: 1 for flag in vip["flag_names"] if flag in FLAGS}
        await core.set_pool(index, 65568 * index, 65537)
        await core.set_vip(index, pool=index, miss_policy=L.MissPolicyStateless, mtu=9000, **options)
        await core.set_match(packed(vip["address"]), vip["port"], vip["proto"], index, bank=index % L.Banks)
    cases = [case for case in base["cases"] if case["n"] in IN_SCOPE]
    for case in cases:
        data, wanted = bytes.fromhex(case["input_hex"]), bytes.fromhex(case["expected_output_hex"])
        _, found = core.model.read(data, wire=True)
        vip, any_port = core.model.find(found)
        index = oracle.flow_hash(*core.model.hash_fields(found, core.model.vips[vip], any_port)) % 65537
        backend = reals[wanted[30:34] if wanted[12:14] == b"\x08\x00" else wanted[38:54]]
        slots = [backend if slot == index % 32 else L.SlotEmpty for slot in range(32)]
        await core.set_ring(65568 * vip + index // 32 * 32, slots)
        before = len(core.tx.frames)
        core.rx.push(Frame(data))
        await core.drain()
        assert len(core.tx.frames) == before + 1, f"case {case['n']}: {case['description']}: nothing left"
        got = core.tx.frames[-1].data
        assert got == wanted, f"case {case['n']}: {case['description']}: {got.hex()} instead of {wanted.hex()}"
    log.info("%d of Katran's fixtures are equal byte for byte", len(cases))
