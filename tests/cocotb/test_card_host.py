"""The host side of `gw_card`, with the whole path behind it: registers, rings, DMA, interrupts, both resets (CARD.md 7 and 8)."""

import random
import struct

import cocotb
import oracle
from card import (ARM, CARD, CARD_RESET, COMMAND, CONFIG, CONTROL, DEBUG, ENABLE, HEARTBEAT, INDEX, MSIX, PENDING, PUNTS_OUTSTANDING, READ_ERRORS,
                  RING_STATUS, RX, SCRATCH, SECRET, STATUS, TX, VECTOR_COMMAND, VECTOR_EVENT, VECTOR_TX, VECTORS, WRITE_ERRORS, Card,
                  DescriptorRing, RxQueue)
from layout import L

TOP = "gw_card"
CONTROL_CLASS, OTHER, MISS, FRAGMENT = range(4)


async def start(dut, **bridge):
    card = Card(dut, **bridge)
    await card.start()
    await card.write(CONTROL, 1)
    return card


async def execute(ring, **fields):
    """One command; returns (status, result)."""
    tag = random.getrandbits(32)
    ring.post(L.pack("command", tag=tag, **fields))
    await ring.ring()
    completion = await ring.wait()
    assert completion["tag"] == tag
    return completion["status"], completion["result"]


async def write_table(card, ring, table, index, entries):
    at = card.memory.next
    buffer = card.memory.allocate(64 * len(entries))
    for i, entry in enumerate(entries):
        card.memory.put(buffer + 64 * i, entry.to_bytes(64, "little"))
    result = await execute(ring, opcode=L.OpcodeWrite, table_id=table, index=index, count=len(entries), address=buffer)
    card.memory.next = at
    assert result == (L.StatusOk, len(entries)), result


async def dump(card, ring, table, index, count):
    at = card.memory.next
    buffer = card.memory.allocate(64 * count)
    card.memory.put(buffer, random.randbytes(64 * count))
    result = await execute(ring, opcode=L.OpcodeDump, table_id=table, index=index, count=count, address=buffer)
    card.memory.next = at
    assert result == (L.StatusOk, count), result
    data = card.memory.get(buffer, 64 * count)
    return [int.from_bytes(data[64 * i : 64 * i + 64], "little") for i in range(count)]


async def counters(card, ring):
    return [word & (1 << 64) - 1 for word in await dump(card, ring, L.TableCounter, 0, 64)]


async def conserved(card, ring):
    """Nothing is in flight: every frame that came in is accounted for (CARD.md 6). Returns the counters."""
    await card.idle()
    c = await counters(card, ring)
    drops = sum(c[code] for code, name in L.sets["disposition"].items() if name.startswith("DispositionDrop"))
    came, went = c[L.PortCounterWireIn] + c[L.PortCounterInjected], c[L.PortCounterWireOut] + c[L.PortCounterHostOut]
    assert came == went + c[L.PortCounterHostGone] + drops, {n: c[v] for v, n in (L.sets["port_counter"] | L.sets["disposition"]).items() if c[v]}
    return c


def arp(size=60):
    return b"\xff" * 6 + random.randbytes(6) + b"\x08\x06" + random.randbytes(size - 14)


def of_class(klass, size):
    """A frame that waits for the host in this class's queue (MISS: in a world of `punting`)."""
    if klass == CONTROL_CLASS:
        return arp(max(size, 60))
    # The card checks no checksums (CARD.md 2).
    body = random.randbytes(max(size - 54, 0))
    fragment = 0x2000 if klass == FRAGMENT else 0
    destination, port = (0x0A090909, 8080) if klass == OTHER else (0x0A010101, 80)
    ethernet = bytes.fromhex("02000000aa0102000000bb020800")
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(body), 0, fragment, 64, 6, 0, 0xC0000201, destination)
    return ethernet + ip + struct.pack(">HHIIBBHHH", random.randrange(1024, 65536), port, 0, 0, 0x50, 2, 0, 0, 0) + body


async def punting(card, ring):
    """One VIP, 10.1.1.1:80/tcp, whose misses go to the host."""
    secret = random.getrandbits(L.SecretBits)
    for word in range(6):
        await card.write(SECRET + 4 * word, secret >> 32 * word & 0xFFFFFFFF)
    match = L.pack("vip_match", vip=3, valid=1, address=0x0A010101, protocol=6, port=80)
    await write_table(card, ring, L.TableVipMatch, oracle.bank_row(match, L.VipKeyBits, secret, L.VipMatchRows), [match])
    await write_table(card, ring, L.TableVip, 3, [L.pack("vip_entry", pool=0, miss_policy=L.MissPolicyPunt, mtu=1500)])
    await card.write(HEARTBEAT, 1_000_000)


def raw(address, length, **fields):
    return L.pack("tx_descriptor", op=L.TxOpRaw, address=address, length=length, tag=random.getrandbits(32), **fields)


@cocotb.test()
async def registers(dut):
    """Every block answers at its place; what is not there reads as 0; MSI-X entries read as written, masked after a reset."""
    card = await start(dut)
    assert await card.read(0) == L.Magic and await card.read(4) == L.LayoutHash
    for i in range(32):
        await card.write(SCRATCH + 4 * i, 0x01010101 * i)
    assert [await card.read(SCRATCH + 4 * i) for i in range(32)] == [0x01010101 * i for i in range(32)]
    await card.write(RX + 0x40, 0x1234_5678)
    await card.write(RX + 0x40, 0xFFFF_FFFF, strobe=0b0100)
    assert await card.read(RX + 0x40) == 0x12FF_5678 and await card.read(RX) == 0
    for address in (0x200, 0x3FFC, CARD + 0x200, 0x8000, 0xFFFC, DEBUG, DEBUG + 0xFFFC, MSIX + 0x80, MSIX + 0x804, 0x30000, 0x3FFFC):
        await card.write(address, 0xFFFFFFFF)
        assert await card.read(address) == 0, hex(address)
    for vector in range(VECTORS):
        assert await card.read(MSIX + 16 * vector + 12) == 1
        for word in range(3):
            await card.write(MSIX + 16 * vector + 4 * word, 0x100 * vector + 0x10 * word)
    assert [await card.read(MSIX + 16 * v + 4 * w) for v in range(VECTORS) for w in range(3)] == [
        0x100 * v + 0x10 * w for v in range(VECTORS) for w in range(3)]
    assert await card.read(PENDING) == 0


@cocotb.test()
async def commands_wrap(dut):
    """The command ring wraps many times, with data in both directions, over a bridge that delays and reorders."""
    card = await start(dut)
    ring = DescriptorRing(card, COMMAND, 2)
    await ring.start()
    model = {}
    for _ in range(12):
        count, index = random.choice((1, 2, 3, 5, 9, 40)), random.randrange(0, 200)
        entries = [random.getrandbits(297) for _ in range(count)]
        bits = sum(size for _, _, size in L.structs["backend_entry"][0])
        entries = [e & (1 << bits) - 1 for e in entries]
        await write_table(card, ring, L.TableBackend, index, entries)
        model.update(dict(enumerate(entries, index)))
        start_at = random.randrange(0, 200)
        read = await dump(card, ring, L.TableBackend, start_at, count)
        reserved = next((offset for name, offset, _ in L.structs["backend_entry"][0] if name == "reserved_top"), bits)
        mask = (1 << reserved) - 1
        assert [e & mask for e in read] == [model.get(start_at + i, 0) & mask for i in range(count)]
    # several at once, each answered in its place; what is wrong is answered too
    for expected, fields in ((L.StatusOk, {"opcode": L.OpcodeNop}), (L.StatusBadOpcode, {"opcode": 77}),
                             (L.StatusBadTable, {"opcode": L.OpcodeWrite, "table_id": 99, "count": 1}),
                             (L.StatusOk, {"opcode": L.OpcodeFence}), (L.StatusOutOfRange, {"opcode": L.OpcodeDump, "count": 0}),
                             (L.StatusBadAddress, {"opcode": L.OpcodeDump, "table_id": 1, "count": 1, "address": 8})):
        ring.post(L.pack("command", **fields))
        await ring.ring()
        assert (await ring.wait())["status"] == expected, fields
    for i in range(4):
        ring.post(L.pack("command", opcode=L.OpcodeNop, tag=i))
    await ring.ring()
    assert [(await ring.wait())["tag"] for _ in range(4)] == [0, 1, 2, 3]
    await card.idle()
    assert await card.read(COMMAND + INDEX) == ring.producer & 0xFFFF


@cocotb.test()
async def commands_fail(dut):
    """Memory that is not there ends a command with dma_error, and the next one works."""
    card = await start(dut)
    ring = DescriptorRing(card, COMMAND, 4)
    await ring.start()
    good = card.memory.allocate(64 * 64, 4096)
    end = card.memory.base + len(card.memory.bytes)
    for address, opcode in ((0x40, L.OpcodeWrite), (end - 64 * 20, L.OpcodeWrite), (0x40, L.OpcodeDump), (end - 64 * 20, L.OpcodeDump)):
        status, _ = await execute(ring, opcode=opcode, table_id=L.TableBackend, index=0, count=60, address=address)
        assert status == L.StatusDmaError, (hex(address), opcode, status)
        assert await execute(ring, opcode=L.OpcodeDump, table_id=L.TableBackend, index=0, count=60, address=good) == (L.StatusOk, 60)
    assert await card.read(READ_ERRORS) > 0 and await card.read(WRITE_ERRORS) > 0
    assert await ring.status() == 0
    await card.idle()


@cocotb.test()
async def transmissions(dut):
    """Frames of every length and alignment leave as they lie in memory, in order; the ring wraps many times."""
    card = await start(dut)
    command, ring = DescriptorRing(card, COMMAND, 4), DescriptorRing(card, TX, 3)
    await command.start()
    await ring.start()
    area = card.memory.allocate(16 * 9408, 4096)
    sent, answers = [], []
    lengths = [14, 63, 64, 65, 128, 9216, 60, 1500] + [random.choice((random.randint(14, 300), random.randint(14, 9216))) for _ in range(60)]
    posted = 0
    while len(answers) < len(lengths):
        rang = False
        while posted < len(lengths) and ring.room() and random.random() < 0.8:
            address, length = area + posted % 16 * 9408 + random.randrange(0, 128), lengths[posted]
            data = random.randbytes(length)
            card.memory.put(address, data)
            sent.append(data)
            ring.post(raw(address, length))
            posted, rang = posted + 1, True
        if rang:
            await ring.ring()
        while completion := ring.poll():
            answers.append(completion["status"])
        await card.step(random.randrange(1, 40))
    assert set(answers) == {L.StatusOk}
    await card.idle()
    assert card.wire_out == sent
    counts = await conserved(card, command)
    assert counts[L.DispositionForwardRaw] == len(sent)


@cocotb.test()
async def bad_transmissions(dut):
    """Each wrong descriptor is answered by its status, nothing of it leaves, and those around it are sent."""
    card = await start(dut)
    command, ring = DescriptorRing(card, COMMAND, 4), DescriptorRing(card, TX, 5)
    await command.start()
    await ring.start()
    end = card.memory.base + len(card.memory.bytes)
    area = card.memory.allocate(4096)
    frame = random.randbytes(100)
    card.memory.put(area + 5, frame)
    hole = card.memory.allocate(4096, 4096)
    card.memory.holes.append((hole, hole + 4096))
    cases = [(L.StatusOk, raw(area + 5, 100)),
             (L.StatusBadLength, raw(area, 0)), (L.StatusBadLength, raw(area, 9217)), (L.StatusBadLength, raw(area, 65535)),
             (L.StatusBadOpcode, L.pack("tx_descriptor", op=3, address=area, length=60)),
             (L.StatusBadOpcode, L.pack("tx_descriptor", op=255, address=area, length=60)),
             (L.StatusDmaError, raw(0, 60)), (L.StatusDmaError, raw(end - 40, 100)), (L.StatusDmaError, raw((1 << 64) - 32, 100)),
             (L.StatusDmaError, raw(hole - 1000, 9000)), (L.StatusOk, L.pack("tx_descriptor", op=L.TxOpRelease)),
             (L.StatusOk, raw(area + 5, 100))]
    sent = 0
    for _ in range(40):
        batch = random.sample(cases, random.randrange(1, len(cases)))
        for status, word in batch:
            ring.post(word)
            sent += status == L.StatusOk and word != cases[10][1]
        await ring.ring()
        for status, word in batch:
            assert (await ring.wait())["status"] == status, (status, L.unpack("tx_descriptor", word))
    await card.idle()
    assert card.wire_out == [frame] * sent
    assert await ring.status() == 0
    await conserved(card, command)


@cocotb.test()
async def receptions(dut):
    """Frames of four classes arrive whole, in order, with their index and phase; queues wrap many times and fill up."""
    card = await start(dut)
    command = DescriptorRing(card, COMMAND, 4)
    await command.start()
    await punting(card, command)
    queues = [RxQueue(card, c, random.randrange(1, 5), 11) for c in range(4)]
    for queue in queues:
        await queue.start()
    sent, got = [[] for _ in range(4)], [[] for _ in range(4)]
    for _ in range(160):
        klass = random.randrange(4)
        frame = of_class(klass, random.choice((60, 64, 65, 200, 1500)))
        sent[klass].append(frame)
        card.wire_in.append(frame)
    quiet = 0
    while quiet < 400:
        quiet = 0 if card.wire_in else quiet + 1
        for queue in queues:
            took = False
            while frame := queue.poll():
                record, data = frame
                assert record["length"] == len(data)
                got[queue.klass].append(data)
                took, quiet = True, 0
            if took and random.random() < 0.7:
                await queue.give_back()
        if quiet % 50 == 49:
            for queue in queues:
                await queue.give_back()
        await card.step(random.randrange(1, 6))
    counts = await conserved(card, command)
    for klass in range(4):
        assert all(any(a == b for b in sent[klass]) for a in got[klass]), klass
        order = [sent[klass].index(data) for data in got[klass]]
        assert order == sorted(order) and order, klass
    refused = counts[L.DispositionDropPuntFull] + counts[L.DispositionDropHostFull]
    assert sum(map(len, got)) + refused == sum(map(len, sent))
    assert await card.read(PUNTS_OUTSTANDING) == len(got[MISS]) == counts[L.DispositionHostPunt]
    assert counts[L.PortCounterHostOut] == sum(map(len, got))
    # a queue that the host does not empty fills, then what waits behind it; other classes go on
    more = [of_class(OTHER, 1500) for _ in range(60)]
    card.wire_in.extend(more)
    while card.wire_in:
        await card.step(10)
    await card.step(3000)
    seen = 0
    while queues[OTHER].poll():
        seen += 1
    assert seen == queues[OTHER].size
    card.wire_in.append(of_class(CONTROL_CLASS, 60))
    for _ in range(3000):
        if queues[CONTROL_CLASS].poll():
            break
        await card.step()
    else:
        raise AssertionError("control waits behind another class")
    while True:  # the host comes back
        await queues[OTHER].give_back()
        await card.step(500)
        took = 0
        while queues[OTHER].poll():
            took += 1
        seen += took
        if not took:
            break
    counts = await conserved(card, command)
    assert 512 // 24 + queues[OTHER].size <= seen + 1 and seen + counts[L.DispositionDropHostFull] + counts[L.DispositionDropPuntFull] - refused == 60


@cocotb.test()
async def doorbells(dut):
    """Doorbells that lie and phases that are not due stop the ring, after all earlier descriptors; it starts again from 0."""
    card = await start(dut)
    tx, command = DescriptorRing(card, TX, 2), DescriptorRing(card, COMMAND, 2)
    for vector in range(VECTORS):
        for word, value in enumerate((card.memory.messages, 0, 0xE0 + vector, 0)):
            await card.write(MSIX + 16 * vector + 4 * word, value)
    for ring in (tx, command):
        descriptor = L.pack("tx_descriptor", op=L.TxOpRelease) if ring is tx else L.pack("command", opcode=L.OpcodeNop)
        for wrong in (5, -1, 1000, 0x8000, "phase", "fetch", "completion"):
            holes = list(card.memory.holes)
            await ring.start()
            for _ in range(random.randrange(0, 6)):  # the ring is somewhere in its life
                ring.post(descriptor)
                await ring.ring()
                assert (await ring.wait())["status"] == L.StatusOk
            earlier = random.randrange(1, 4)
            for _ in range(earlier):
                ring.post(descriptor)
            status = L.StatusBadDoorbell
            if wrong == "phase":
                status = L.StatusBadPhase
                await ring.ring(ring.producer + 1)  # a descriptor that nobody wrote
            elif wrong == "fetch":
                status, earlier = L.StatusDmaError, 0
                card.memory.holes.append((ring.base, ring.base + 64 * ring.size))
                await ring.ring()
            elif wrong == "completion":
                status, earlier = L.StatusDmaError, 0
                card.memory.holes.append((ring.completion, ring.completion + 64 * ring.size))
                await ring.ring()
            else:
                await ring.ring()
                await ring.ring(ring.consumer + wrong)
            for _ in range(earlier):
                assert (await ring.wait())["status"] == L.StatusOk
            for _ in range(4000):
                if stopped := await ring.status():
                    break
            assert stopped == status, (wrong, stopped)
            assert ring.poll() is None or wrong in ("fetch", "completion")
            await card.idle()
            assert card.bridge.messages.pop() == 0xE0 + VECTOR_EVENT and not card.bridge.messages
            before = card.bridge.accesses
            await ring.ring(ring.producer)
            await card.step(300)
            assert card.bridge.accesses == before, "a stopped ring works"
            card.memory.holes = holes
            await ring.stop()
            assert await ring.status() == status  # it stays readable until the ring starts again
    # a configuration that cannot be stops the ring at once
    for registers, config, base, status in ((TX, ENABLE, 0, L.StatusOutOfRange), (COMMAND, ENABLE | 13, 0, L.StatusOutOfRange),
                                            (RX, ENABLE | 5 << 8 | 4, 0, L.StatusOutOfRange), (RX, ENABLE | 15 << 8 | 4, 0, L.StatusOutOfRange),
                                            (RX + 0x40, ENABLE | 11 << 8 | 4, 32, L.StatusBadAddress), (TX, ENABLE | 4, 8, L.StatusBadAddress)):
        await card.write(registers, base)
        await card.write(registers + CONFIG, config)
        await card.step(5)
        assert await card.read(registers + RING_STATUS) == status, hex(registers)
        await card.write(registers + CONFIG, 0)
        await card.step(5)
    await card.idle()


@cocotb.test()
async def reception_errors(dut):
    """Memory that vanishes under an RX queue stops that queue alone; the frame counts as gone, later ones as host_full."""
    card = await start(dut)
    command = DescriptorRing(card, COMMAND, 4)
    await command.start()
    queues = [RxQueue(card, c, 4, 11) for c in (CONTROL_CLASS, OTHER)]
    gone = 0  # frames of the broken queue that never arrived
    for round_ in range(12):
        for queue in queues:
            await queue.start()
        broken, other = queues if round_ % 2 else queues[::-1]
        card.bridge.clumps = round_ >= 4  # answers meet frames that were skipped
        at, size = (broken.base, 64) if round_ % 4 < 2 else (broken.buffer, 1 << 11)
        card.memory.holes = [(at + 3 * size, at + 4 * size)]
        got = {CONTROL_CLASS: 0, OTHER: 0}
        for _ in range(8):
            card.wire_in.extend([of_class(broken.klass, 700), of_class(other.klass, 60)])
        for _ in range(1000):
            await card.step()
            for queue in queues:
                while queue.poll():
                    got[queue.klass] += 1
        assert got[other.klass] == 8 and got[broken.klass] == 3, got
        assert await broken.status() == L.StatusDmaError and await other.status() == 0
        # What waited behind the failed frame is still there for the queue's next start; what was on its way is gone.
        card.memory.holes = []
        await broken.stop()
        await broken.start()
        counts = await conserved(card, command)
        while broken.poll():
            got[broken.klass] += 1
        gone += 8 - got[broken.klass]
        assert gone > round_
        assert counts[L.PortCounterHostGone] + counts[L.DispositionDropHostFull] == gone and counts[L.PortCounterHostGone] > round_
        for queue in queues:
            await queue.stop()
    assert await card.read(WRITE_ERRORS) >= 4


@cocotb.test()
async def bus_master_off(dut):
    """Without bus mastering nothing is read or written; everything goes on when it comes back."""
    card = await start(dut)
    tx, command, queue = DescriptorRing(card, TX, 4), DescriptorRing(card, COMMAND, 4), RxQueue(card, CONTROL_CLASS, 6, 11)
    for ring in (tx, command, queue):
        await ring.start()
    area = card.memory.allocate(9216)
    frame = random.randbytes(3000)
    card.memory.put(area, frame)
    sent = 0
    for _ in range(6):
        for _ in range(3):
            tx.post(raw(area, 3000))
            sent += 1
        await tx.ring()
        command.post(L.pack("command", opcode=L.OpcodeDump, table_id=L.TableBackend, count=30, address=card.memory.allocate(2048)))
        await command.ring()
        card.wire_in.extend(arp() for _ in range(4))
        await card.step(random.randrange(0, 120))
        await card.set_bus_master(False)
        await card.step(300)  # the bridge checks that nothing begins
        await card.set_bus_master(True)
        for _ in range(3):
            assert (await tx.wait())["status"] == L.StatusOk
        assert (await command.wait())["status"] == L.StatusOk
        await card.idle()
        seen = 0
        while queue.poll():
            seen += 1
        assert seen == 4
        await queue.give_back()
    assert card.wire_out == [frame] * sent


@cocotb.test()
async def interrupts(dut):
    """Armed rings fire once; masked vectors stay pending; nothing is sent while the function forbids it."""
    card = await start(dut)
    tx, command, queue = DescriptorRing(card, TX, 4), DescriptorRing(card, COMMAND, 4), RxQueue(card, CONTROL_CLASS, 4, 11)
    for ring in (tx, command, queue):
        await ring.start()
    for vector in range(VECTORS):
        for word, value in enumerate((card.memory.messages + 4 * vector, 0, 0xE0 + vector)):
            await card.write(MSIX + 16 * vector + 4 * word, value)
    messages = card.bridge.messages

    async def provoke(ring):
        """One completion of each kind of ring; returns when it is visible."""
        if ring is queue:
            card.wire_in.append(arp())
            while not queue.poll():
                await card.step()
        else:
            ring.post(L.pack("tx_descriptor", op=L.TxOpRelease) if ring is tx else L.pack("command", opcode=L.OpcodeNop))
            await ring.ring()
            await ring.wait()

    for ring, registers, vector in ((queue, RX, 0), (tx, TX, VECTOR_TX), (command, COMMAND, VECTOR_COMMAND)):
        await provoke(ring)
        await card.idle()
        assert not messages, "a ring that is not armed fires"
        assert await card.read(PENDING) == 0
        # masked: pending; unmasked: sent, once
        await card.write(registers + ARM, 0)
        await card.step(30)
        assert not messages and await card.read(PENDING) == 1 << vector
        dut.msix_mask_i.value = 1
        await card.write(MSIX + 16 * vector + 12, 0)
        await card.step(30)
        assert not messages and await card.read(PENDING) == 1 << vector
        dut.msix_mask_i.value = 0
        dut.msix_enable_i.value = 0
        await card.step(30)
        assert not messages
        dut.msix_enable_i.value = 1
        await card.idle()
        assert messages == [0xE0 + vector] and await card.read(PENDING) == 0
        messages.clear()
        # disarmed by firing; arming with the present index waits for the next completion
        await provoke(ring)
        await card.idle()
        assert not messages
        for _ in range(5):
            await card.write(registers + ARM, await card.read(registers + (INDEX if ring is not queue else 0x18)))
            await card.idle()
            assert not messages
            await provoke(ring)
            await provoke(ring)
            await card.idle()
            assert messages == [0xE0 + vector]
            messages.clear()
            if ring is queue:
                await queue.give_back()
        # a host that arms with what it has seen, before the card saw its own write answered, is not woken for nothing
        for _ in range(6):
            await provoke(ring)
            await card.write(registers + ARM, ring.consumer & 0xFFFF)
            await card.idle()
            assert not messages
            await provoke(ring)
            await card.idle()
            assert messages == [0xE0 + vector]
            messages.clear()
            if ring is queue:
                await queue.give_back()


@cocotb.test()
async def host_reset(dut):
    """A host that vanishes in the middle of everything: DMA drains, tables and forwarding stay, the next host begins anew."""
    card = await start(dut)
    command = DescriptorRing(card, COMMAND, 4)
    await command.start()
    await punting(card, command)
    probe = [random.getrandbits(64) for _ in range(4)]
    await write_table(card, command, L.TableNextHop, 0, probe)
    await card.write(SCRATCH, 0xC0FFEE)
    counts, unanswered = await counters(card, command), 0
    area = card.memory.allocate(9216)
    card.memory.put(area, random.randbytes(9216))
    mark = card.memory.next
    for round_ in range(12):
        card.memory.next = mark
        tx, queues = DescriptorRing(card, TX, 4), [RxQueue(card, c, 5, 11) for c in range(4)]
        for ring in [tx, *queues]:
            await ring.start()
        await card.write(HEARTBEAT, 1_000_000)
        await card.write(MSIX + 12, 0)
        for _ in range(60):
            card.wire_in.append(of_class(random.randrange(4), random.choice((60, 300, 1500))))
        for _ in range(12):
            tx.post(raw(area + random.randrange(64), random.choice((60, 700, 9000))))
        await tx.ring()
        for _ in range(6):
            command.post(L.pack("command", opcode=random.choice((L.OpcodeDump, L.OpcodeWrite, L.OpcodeFence)), table_id=L.TableBackend, index=0, count=50,
                                address=area // 64 * 64 + 64))
        await command.ring()
        await card.step(random.randrange(0, 900))
        if round_ % 3 == 0:  # bus mastering goes with the function, as at an FLR
            await card.set_bus_master(False)
        await card.host_reset()
        await card.set_bus_master(True)
        for registers in (TX, COMMAND, RX, RX + 0x40, RX + 0x80, RX + 0xC0):
            assert await card.read(registers + CONFIG) == 0 and await card.read(registers + INDEX) == 0
        assert await card.read(MSIX + 12) == 1 and await card.read(HEARTBEAT) == 0 and await card.read(PUNTS_OUTSTANDING) == 0
        assert await card.read(SCRATCH) == 0xC0FFEE and await card.read(STATUS) & 3 == 1
        before = card.bridge.accesses
        await card.idle()
        assert card.bridge.accesses == before, "DMA without a host"
        command = DescriptorRing(card, COMMAND, 4)
        await command.start()
        after = await conserved(card, command)
        assert all(a >= b for a, b in zip(after[:48], counts[:48], strict=True))
        counts, unanswered = after, after[L.PortCounterPuntUnanswered]
        assert [e & (1 << 64) - 1 for e in await dump(card, command, L.TableNextHop, 0, 4)] == probe
    assert unanswered > 0 and counts[L.PortCounterHostGone] > 0
    for frame in card.wire_out:  # nothing but whole frames left
        assert len(frame) in (60, 700, 9000)


@cocotb.test()
async def host_reset_behind_a_dead_link(dut):
    """A bridge that answers only when PCIe's completion timeout ends each access, with an error: the host reset waits for all
    that is outstanding and then completes, and no frame of the wire waits for it."""
    timeout = 16_114  # cycles in 50 us, the shortest that a PCIe function may have
    card = await start(dut)
    command = DescriptorRing(card, COMMAND, 4)
    await command.start()
    await punting(card, command)
    await write_table(card, command, L.TableRing, 0, [sum(5 << 16 * slot for slot in range(7))])
    await write_table(card, command, L.TablePool, 0, [L.pack("pool_entry", ring_base=0, ring_size=7, barrett=(1 << 32) // 7)])
    await write_table(card, command, L.TableBackend, 5, [L.pack("backend_entry", state=L.BackendStateUp, encap=L.EncapIpip, address=0x0A000005)])
    tx, queues = DescriptorRing(card, TX, 4), [RxQueue(card, c, 5, 11) for c in range(4)]
    for ring in [tx, *queues]:
        await ring.start()
    before = await counters(card, command)
    errors = [await card.read(register) for register in (READ_ERRORS, WRITE_ERRORS)]

    card.bridge.delay = (timeout, timeout)
    card.memory.holes = [(card.memory.base, card.memory.base + len(card.memory.bytes))]
    for _ in range(8):
        tx.post(raw(card.memory.base, 1500))
        command.post(L.pack("command", opcode=L.OpcodeFence))
        card.wire_in.extend(of_class(klass, 300) for klass in range(4))
    await tx.ring()
    await command.ring()
    while card.wire_in:
        await card.step()
    await card.step(500)
    assert card.bridge.reads and card.bridge.writes, "nothing is outstanding"
    assert {identity for identity, *_ in card.bridge.reads} == {0, 2}, "descriptors of both rings are outstanding"
    for access in card.bridge.reads:  # those of the TX ring end last, behind all writes: the reset waits for them too
        access[1] += timeout * 3 // 4 * access[0]

    began, sent = card.cycle, 0
    dut.host_reset_i.value = 1
    while not int(dut.host_reset_done_o.value):
        if (card.cycle - began) % 64 == 8:
            card.wire_in.append(of_class(MISS, 100))
            sent += 1
        await card.step()
        assert len(card.wire_out) >= sent - 6, "frames wait for the reset"
        assert card.cycle - began < 3 * timeout, "the host reset does not end"
    assert card.bridge.idle(), "the host reset left accesses on the bus"
    assert card.cycle - began > timeout - 2000 and sent > 200
    dut.host_reset_i.value = 0
    card.bridge.delay, card.memory.holes = (5, 60), []
    await card.step(3)
    for register, count in zip((READ_ERRORS, WRITE_ERRORS), errors, strict=True):
        assert await card.read(register) > count
    # the next host finds a card that works, and every frame accounted for
    command = DescriptorRing(card, COMMAND, 4)
    await command.start()
    after = await conserved(card, command)
    # without a host the card learns flows: their next packets hit
    forwarded = after[L.DispositionForwardRing] + after[L.DispositionForwardHit]
    assert forwarded == sent == len(card.wire_out) and all(len(frame) == 120 for frame in card.wire_out)
    assert after[L.PortCounterHostGone] + after[L.DispositionDropHostFull] + after[L.DispositionDropPuntFull] == 32
    assert all(a >= b for a, b in zip(after[:48], before[:48], strict=True))


@cocotb.test()
async def punts_end(dut):
    """A punt is outstanding until a release or an inject that says so was read; one that failed ends none."""
    card = await start(dut)
    command, tx, queue = DescriptorRing(card, COMMAND, 4), DescriptorRing(card, TX, 4), RxQueue(card, MISS, 5, 11)
    for ring in (command, tx, queue):
        await ring.start()
    await punting(card, command)
    card.wire_in.extend(of_class(MISS, 200) for _ in range(6))
    await card.idle()
    assert await card.read(PUNTS_OUTSTANDING) == 6
    area = card.memory.allocate(4096)
    left = 6
    for word, ends in ((L.pack("tx_descriptor", op=L.TxOpRelease), 1), (raw(area, 60, ends_punt=1), 1), (raw(area, 60), 0),
                       (raw(0, 60, ends_punt=1), 0), (raw(area, 0, ends_punt=1), 0), (L.pack("tx_descriptor", op=L.TxOpRelease, ends_punt=1), 1),
                       (L.pack("tx_descriptor", op=L.TxOpAssign, address=area, length=60, ends_punt=1), 1)):
        tx.post(word)
        await tx.ring()
        await tx.wait()
        left -= ends
        await card.idle()
        assert await card.read(PUNTS_OUTSTANDING) == left, L.unpack("tx_descriptor", word)
    await conserved(card, command)


@cocotb.test()
async def card_reset(dut):
    """The card's reset clears everything, after DMA has drained; the card is then as new."""
    card = await start(dut)
    for round_ in range(2):
        card.memory.next = card.memory.base
        command, tx, queue = DescriptorRing(card, COMMAND, 4), DescriptorRing(card, TX, 4), RxQueue(card, CONTROL_CLASS, 5, 11)
        for ring in (command, tx, queue):
            await ring.start()
        await write_table(card, command, L.TableNextHop, 0, [random.getrandbits(64)])
        await card.write(SCRATCH, 1)
        area = card.memory.allocate(9216)
        card.wire_in.extend(arp() for _ in range(20))
        for _ in range(10):
            tx.post(raw(area, 9000))
        await tx.ring()
        await card.step(random.randrange(0, 400))
        card.wire_in.clear()
        card.beat = 0
        dut.s_axis_rx_tvalid.value = 0
        await card.write(CARD_RESET, L.CardResetKey if round_ else 0x12345)
        await card.step(5)
        if not round_:  # another key does nothing
            await card.idle()
            assert await card.read(SCRATCH) == 1
            for ring in (command, tx, queue):
                await ring.stop()
            continue
        assert await card.read(SCRATCH) == 0, "the access waits for the reset"
        assert await card.read(STATUS) & 1 == 0 and card.bridge.idle()
        await card.until_ready()
        assert await card.read(TX + CONFIG) == 0 and not card.sending
        await command.start()
        counts = await counters(card, command)
        assert sum(counts[:48]) == 0 and counts[L.PortCounterWireIn] == 0
        assert (await dump(card, command, L.TableNextHop, 0, 1)) == [0]
        await card.write(CONTROL, 1)
        await queue.start()
        card.wire_in.append(arp())
        await card.idle()
        assert queue.poll()
