"""The framing stations against CARD.md 1, 2 (rows 1 to 3), 4 (admission), 6: random traffic, rates, latencies, resets."""

import random
from collections import Counter, deque

import cocotb
from frame_path import *  # noqa: F403

TOP = "gw_frame_path_bench"

WIRE_KINDS = [HIT] * 6 + [RING] * 3 + [PUNT, CONTROL, FRAGMENT, ICMP_ERROR, UNMATCHED, UNSUPPORTED, GROUP, NO_BACKEND]
INJECT_KINDS = [RAW, INJECT, INJECT, CONTROL, 33]


def check_order(received, sources, label):
    """Every received frame is the next of one of the sources; all are used up."""
    queues = [deque(s) for s in sources]
    for got in received:
        for queue in queues:
            if queue and queue[0].out == got.data:
                queue.popleft()
                break
        else:
            near = [len(q[0].out) for q in queues if q]
            raise AssertionError(f"{label}: a frame of {len(got.data)} bytes is not the next of any source (next: {near} bytes)")
    assert not any(queues), f"{label}: {[len(q) for q in queues]} frames are missing"


def check_records(received, time_us=0x1234_5678):
    """The record of a frame for the host says what came in."""
    for frame in received:
        field = lambda low, bits, record=frame.record: record >> low & ((1 << bits) - 1)  # noqa: E731
        assert field(0, 8) == 0 and field(16, 16) == 0, "phase and index belong to the ring"
        assert field(8, 6) == frame.data[0] and field(14, 2) == CLASS[frame.data[0]] == frame.klass
        assert field(32, 16) == len(frame.data) and field(48, 1) == 0
        assert field(64, 32) == time_us


def check_kept(received, sources, label):
    """Every received frame is one of a source's, unharmed, later ones behind earlier ones; some may be missing. Returns how many."""
    known = {want.out: (number, index) for number, source in enumerate(sources) for index, want in enumerate(source)}
    last = [-1] * len(sources)
    for got in received:
        assert got.data in known, f"{label}: a frame of {len(got.data)} bytes is none that was sent"
        number, index = known[got.data]
        assert index > last[number], f"{label}: frame {index} of source {number} comes behind {last[number]}"
        last[number] = index
    return len(received)


async def random_run(dut, frames, idle, tx_stall, host_stall, inject_idle):
    path = FramePath(dut)
    await path.start()
    dut.time_us_i.value = 0x1234_5678
    path.rx.idle, path.inject.idle, path.tx.stall, path.host.stall = idle, inject_idle, tx_stall, host_stall
    wire = [random_frame(WIRE_KINDS) for _ in range(frames)]
    injects = [random_frame(INJECT_KINDS, wire=False) for _ in range(frames // 4)]
    for frame in wire:
        path.rx.push(frame)
    accepted = []
    for frame in injects:
        cancel = random.random() < 0.1
        path.inject.push(frame, cancel)
        if not cancel:
            accepted.append(frame)
    await path.drain(2_000_000)
    counters = await path.counters()
    path.conserved(counters)
    assert counters[INGRESS_FULL] == 0 and counters[EGRESS_OVERLOAD] == 0, counters
    assert counters[PUNT_FULL] == 0 and counters[HOST_FULL] == 0, "choose a gentler load"

    want_wire, want_inject = [expect(f) for f in wire], [expect(f) for f in accepted]
    want = want_wire + want_inject
    tally = Counter(w.disposition for w in want)
    for disposition in range(48):
        assert counters[disposition] == tally[disposition], (disposition, counters[disposition], tally[disposition])
    assert counters[WIRE_IN] == len(wire) and counters[WIRE_IN_BYTES] == sum(len(f.data) for f in wire)
    assert counters[INJECTED] == len(accepted)
    assert counters[WIRE_OUT_BYTES] == sum(len(f.data) for f in path.tx.frames)
    assert counters[HEARTBEAT_FALLBACK] == sum(w.fallback for w in want)
    check_order(path.tx.frames, [[w for w in s if w.disposition < 8] for s in (want_wire, want_inject)], "wire out")
    for klass in range(4):
        check_order([f for f in path.host.frames if f.klass == klass],
                    [[w for w in s if CLASS.get(w.disposition) == klass] for s in (want_wire, want_inject)], f"host class {klass}")
    check_records(path.host.frames)
    for index in range(8):
        vip = [w for w in want if w.vip == index]
        assert await path.read(VIP_COUNTER, index) == (len(vip), sum(w.ip_bytes for w in vip))
        backend = [w for w in want if w.backend == index and w.disposition < 8]
        assert await path.read(BACKEND_COUNTER, index) == (len(backend), sum(w.ip_bytes for w in backend))
    assert int(dut.punts_outstanding_o.value) == tally[PUNT]
    if tx_stall == 0:
        assert path.tx.starved == 0, "a frame starved on its way out"
    return path


@cocotb.test()
async def random_frames_back_to_back(dut):
    await random_run(dut, 500, 0.0, 0.0, 0.0, 0.5)


@cocotb.test()
async def random_frames_with_gaps_and_backpressure(dut):
    await random_run(dut, 500, 0.5, 0.25, 0.3, 0.7)


@cocotb.test()
async def small_frames_with_all_shifts(dut):
    """Every header length against many keep lengths, also where more is cut off than put before: the shifter and `keep` are exact."""
    path = FramePath(dut)
    await path.start()
    wants = []
    for header in range(0, 71):
        for _ in range(8):
            size = random.randint(20, 300)
            keep_from = random.choice((min(header, 14), random.randint(0, min(header, 20)), random.randint(0, min(header + 63, 127, size - 2))))
            keep_to = random.randint(keep_from + 1, size)
            frame = Frame(control(HIT, header, keep_from, keep_to, seed=random.randrange(256)) + random.randbytes(size - 14))
            wants.append(expect(frame))
            path.rx.push(frame)
    await path.drain()
    check_order(path.tx.frames, [wants], "wire out")


def known_flow(size=60, header=54):
    return Frame(control(HIT, header, 14, size, size, flags=3, vip=1, backend=2) + bytes(size - 14))


@cocotb.test()
async def known_flows_at_one_each_two_cycles(dut):
    """Sustained: a 60-byte frame each two cycles leaves as two beats, and nothing is ever refused."""
    path = FramePath(dut)
    await path.start()
    frames = 3000
    original = path.rx.step

    def paced(cycle):
        if cycle % 2 == 0 and path.sent < frames:
            path.rx.push(known_flow())
            path.sent += 1
        original(cycle)

    path.sent = 0
    path.rx.step = paced
    while path.sent < frames:
        await path.step()
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[HIT] == frames and counters[WIRE_OUT] == frames
    gaps = {b.last_cycle - a.last_cycle for a, b in zip(path.tx.frames, path.tx.frames[1:])}
    assert gaps == {2}, gaps
    assert await path.read(VIP_COUNTER, 1) == (frames, frames * 60)
    assert await path.read(BACKEND_COUNTER, 2) == (frames, frames * 60)


@cocotb.test()
async def one_frame_each_max_of_beats_in_and_out(dut):
    """Back to back frames of one size leave at the pace of the side that needs more beats."""
    path = FramePath(dut)
    await path.start()
    for size, header in ((14, 14), (60, 34), (65, 54), (74, 54), (88, 54), (89, 54), (128, 54), (150, 54), (152, 54), (153, 54), (1500, 54)):
        del path.tx.frames[:]
        for _ in range(40):
            path.rx.push(Frame(control(HIT, header, 14) + bytes(size - 14)))
        await path.drain()
        pace = max(-(-size // 64), -(-(size - 14 + header) // 64))
        gaps = {b.last_cycle - a.last_cycle for a, b in zip(path.tx.frames, path.tx.frames[1:])}
        assert gaps == {pace}, (size, header, gaps, pace)


@cocotb.test()
async def burst_of_4096_at_one_a_cycle(dut):
    path = FramePath(dut)
    await path.start()
    for _ in range(4096):
        path.rx.push(known_flow())
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[HIT] == 4096 and counters[INGRESS_FULL] == 0 and counters[WIRE_OUT] == 4096
    assert path.rx.last_cycles[-1] - path.rx.last_cycles[0] == 4095, "the burst was not back to back"
    assert await path.read(VIP_COUNTER, 1) == (4096, 4096 * 60)


@cocotb.test()
async def longer_burst_drops_exactly_the_excess(dut):
    """Beyond the ring's room the wire out stays full and only what does not fit is refused."""
    path = FramePath(dut)
    await path.start()
    frames = 12000
    for _ in range(frames):
        path.rx.push(known_flow())
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[WIRE_IN] == frames
    first, last = path.tx.frames[0], path.tx.frames[-1]
    sent = len(path.tx.frames)
    assert counters[INGRESS_FULL] == frames - sent > 0
    assert last.last_cycle - first.first_cycle + 1 == 2 * sent, "the wire out was not full throughout"
    # The ring takes 4096 - 144 one-beat frames before it refuses, plus what leaves meanwhile.
    room = 4096 - 144
    assert sent >= room + (frames - 100) // 2 - 2, sent


@cocotb.test()
async def latency_of_a_lone_frame(dut):
    """First beat out at max(window complete + P, last beat in + E): E and P the same for every size."""
    path = FramePath(dut)
    await path.start()
    rows = []
    for size in (60, 64, 65, 128, 129, 1000, 4000, 4700, 5000, 6000, 7000, 9000, 9216):
        for idle in (0.0, 0.6):
            path.rx.idle = idle
            path.rx.push(Frame(control(HIT, 54, 14, size, size) + random.randbytes(size - 14)))
            await path.drain()
            rows.append((size, path.tx.frames[-1].first_cycle, path.rx.window_cycles[-1], path.rx.last_cycles[-1]))
    after_end = [first - last for _, first, window, last in rows]
    after_window = [first - window for _, first, window, last in rows]
    E, P = min(after_end), min(after_window)
    dut._log.info(f"E = {E}, P = {P} with a lookup of {dut.LookupLatency.value} cycles")
    assert E <= 12 and P <= 96 - (65 - int(dut.LookupLatency.value)), (E, P)
    for size, first, window, last in rows:
        assert first == max(window + P, last + E), (size, first - window, first - last, P, E)


@cocotb.test()
async def refused_at_the_first_beat(dut):
    """Port off: whole frames are swallowed, one event each; a frame that had begun goes on; what begins later is refused."""
    path = FramePath(dut)
    await path.start()
    dut.port_enable_i.value = 0
    for size in (1, 60, 65, 300, 9300):
        path.rx.push(Frame(control(HIT, 54, 14, 60, 60)[:size] + bytes(max(0, size - 14))))
    await path.drain()
    dut.port_enable_i.value = 1
    path.rx.push(known_flow(1000))
    await path.step(6)
    dut.port_enable_i.value = 0
    await path.step(40)
    path.rx.push(known_flow(100))
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[PORT_DISABLED] == 6 and counters[HIT] == 1 and len(path.tx.frames) == 1
    assert counters[WIRE_IN_BYTES] == 1 + 60 + 65 + 300 + 9300 + 1000 + 100


@cocotb.test()
async def blocked_wire_out(dut):
    """With the wire out blocked, frames are refused for room; afterwards all that were accepted leave unharmed."""
    path = FramePath(dut)
    await path.start()
    path.tx.blocked = True
    frames = [Frame(control(HIT, 54, 14, n, n, seed=i & 255) + random.randbytes(n - 14))
              for i, n in enumerate(random.choice((60, 700, 1500, 9000)) for _ in range(400))]
    for frame in frames:
        path.rx.push(frame)
    while path.rx.busy():
        await path.step()
    path.tx.blocked = False
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[INGRESS_FULL] > 100
    wants, at = [expect(f).out for f in frames], 0
    for got in path.tx.frames:
        at = wants.index(got.data, at) + 1
    assert len(path.tx.frames) == counters[HIT]


@cocotb.test()
async def egress_thresholds(dut):
    """Each class is admitted while the queue's frames hold fewer beats of payload than its threshold."""
    path = FramePath(dut)
    await path.start()
    beats = 24  # of each of these frames: a class is refused at its threshold, and admitted at one beat less
    dut.egress_threshold_i.value = 5 * beats | (19 * beats + 1) << 16 | 10 * beats << 32 | 0 << 48
    path.tx.blocked = True
    # The reader takes what fits into its output buffer (16 beats); these frames are longer.
    for klass, disposition, count in ((2, RING, 30), (1, HIT, 30), (2, RING, 5), (0, RAW, 5), (3, RING, 1)):
        for _ in range(count):
            path.rx.push(Frame(control(disposition, 0, 0, klass=klass) + random.randbytes(1500)))
    while path.rx.busy():
        await path.step()
    await path.step(200)
    path.tx.blocked = False
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert (counters[RING], counters[HIT], counters[RAW]) == (10, 10, 0), counters[:4]
    assert counters[EGRESS_OVERLOAD] == 20 + 20 + 5 + 5 + 1


@cocotb.test()
async def host_classes_by_priority(dut):
    """The lowest class goes first; a class whose queue is not ready holds up nobody; disabled and full classes drop."""
    path = FramePath(dut)
    await path.start()
    dut.host_class_ready_i.value = 0
    for disposition in (FRAGMENT, PUNT, UNMATCHED, CONTROL) * 3:
        path.rx.push(Frame(control(disposition) + random.randbytes(100)))
    await path.step(300)
    assert not path.host.frames
    dut.host_class_ready_i.value = 0b1101
    await path.step(500)
    assert [f.klass for f in path.host.frames] == [0] * 3 + [2] * 3 + [3] * 3
    dut.host_class_ready_i.value = 0b1111
    await path.drain()
    assert [f.klass for f in path.host.frames[9:]] == [1] * 3
    assert int(dut.punts_outstanding_o.value) == 3

    dut.host_class_ready_i.value = 0
    dut.host_class_enable_i.value = 0b0111
    for disposition, count in ((PUNT, 8), (CONTROL, 5), (FRAGMENT, 2)):
        for _ in range(count):
            path.rx.push(Frame(control(disposition) + random.randbytes(9216 - 14)))
    while path.rx.busy():
        await path.step()
    await path.step(500)
    dut.host_class_ready_i.value = 0b1111
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    # 144 beats each: 1024 hold 7, 512 hold 3.
    assert counters[PUNT_FULL] == 1 and counters[HOST_FULL] == 2 + 2, counters


@cocotb.test()
async def payload_stays_until_its_reader_has_read_it(dut):
    """Both payload rings full for several rounds, with both readers behind: nothing is overwritten before it was read, nothing leaks.

    Wire and injects together bring the host's reader two beats a cycle, of which it copies one: what it owes grows beyond the
    injects' ring, while a slow wire out holds the wire's ring full."""
    path = FramePath(dut)
    await path.start()
    path.tx.stall = 0.85
    wire, injects = [], []
    beats = 0
    while beats < 8 * 4096:
        # first for the host alone, as much as its buffers take, then for the wire out
        for kinds, share in (((PUNT, GROUP, FRAGMENT), 1800), ((HIT, HIT, HIT, PUNT), 1800)):
            end = beats + share
            while beats < end:
                size = random.choice((60, 400, 1500))
                wire.append(Frame(control(random.choice(kinds), keep_to=size) + random.randbytes(size - 14)))
                beats += -(-size // 64)
    while sum(-(-len(f.data) // 64) for f in injects) < 12 * 512:
        size = random.choice((200, 1000, 3000))
        kind = random.choice((CONTROL, CONTROL, CONTROL, RAW))
        injects.append(Frame(control(kind, keep_to=size, klass=0) + random.randbytes(size - 14)))
    for sender, frames in ((path.rx, wire), (path.inject, injects)):
        for frame in frames:
            sender.push(frame)
    while path.rx.busy():
        await path.step()
    path.tx.stall = 0
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    want = [[expect(f) for f in frames] for frames in (wire, injects)]
    sent = check_kept(path.tx.frames, [[w for w in source if w.disposition < 8] for source in want], "wire out")
    assert sent == counters[HIT] + counters[RAW] and counters[HIT] > 300 and counters[RAW] > 30
    assert counters[INGRESS_FULL] > 100, "the wire's ring was not full"
    for klass in range(4):
        frames = [f for f in path.host.frames if f.klass == klass]
        sources = [[w for w in source if CLASS.get(w.disposition) == klass] for source in want]
        assert check_kept(frames, sources, f"host class {klass}") > 50
    check_records(path.host.frames, time_us=0)
    # All room is back: what comes now fits as at the start.
    before = counters[INGRESS_FULL]
    for _ in range(4096):
        path.rx.push(known_flow())
    await path.drain()
    assert (await path.counters())[INGRESS_FULL] == before


@cocotb.test()
async def frames_longer_than_the_stride(dut):
    """A frame that its class's buffers do not take is `drop_host_full`, a punt too; one of exactly that length is delivered."""
    path = FramePath(dut)
    await path.start()
    strides = {0: 64, 1: 256, 2: 2048, 3: 16384}
    dut.host_class_bytes_i.value = sum(stride << 15 * klass for klass, stride in strides.items())
    wants, dropped = [], 0
    for kind, klass in ((CONTROL, 0), (UNMATCHED, 1), (PUNT, 2), (FRAGMENT, 3)):
        for size in (14, strides[klass] - 1, strides[klass], strides[klass] + 1, 2 * strides[klass], 9216):
            if size <= FRAME_MAX:
                frame = Frame(control(kind) + random.randbytes(size - 14))
                path.rx.push(frame)
                wants += [expect(frame)] if size <= strides[klass] else []
                dropped += size > strides[klass]
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert (counters[HOST_FULL], counters[PUNT_FULL], counters[PUNT]) == (dropped, 0, 3) and dropped == 9
    assert sorted(f.data for f in path.host.frames) == sorted(w.out for w in wants)
    assert int(dut.punts_outstanding_o.value) == 3
    # Nothing of a refused frame stays reserved: a class whose buffer is filled to the last beat still takes all of it.
    del path.host.frames[:]
    dut.host_class_ready_i.value = 0
    for _ in range(8):
        path.rx.push(Frame(control(CONTROL) + random.randbytes(64)))  # longer than its stride
        path.rx.push(Frame(control(UNMATCHED) + random.randbytes(256 - 14)))
    for _ in range(600):
        path.rx.push(Frame(control(CONTROL) + random.randbytes(50)))
    while path.rx.busy():
        await path.step()
    await path.step(300)
    dut.host_class_ready_i.value = 15
    await path.drain()
    assert Counter(f.klass for f in path.host.frames) == {0: 512, 1: 8}
    after = await path.counters()
    path.conserved(after)
    assert after[HOST_FULL] - counters[HOST_FULL] == 8 + 600 - 512


@cocotb.test()
async def host_reset_flushes(dut):
    """A host reset ends every frame for the host once, the one on its way out included; forwarding does not notice."""
    path = FramePath(dut)
    await path.start()
    for run in range(6):
        dut.host_class_ready_i.value = 0b1111 if run % 2 else 0b0001
        path.host.stall = 0.5
        for _ in range(60):
            disposition = random.choice((CONTROL, PUNT, PUNT, FRAGMENT, GROUP, HIT))
            path.rx.push(Frame(control(disposition, 54 if disposition == HIT else 0) + random.randbytes(random.randint(0, 700))))
        await path.step(random.randint(20, 500))
        if run == 3:
            path.host.blocked = True
            await path.step(60)
        dut.host_class_enable_i.value = 0
        dut.host_class_ready_i.value = 0
        dut.host_reset_i.value = 1
        await path.step()
        path.host.blocked = False
        await path.step(0 if run in (0, 2) else 1500 if run == 3 else random.choice((5, 20, 300)))
        dut.host_reset_i.value = 0
        assert int(dut.punts_outstanding_o.value) == 0
        await path.drain()
        assert int(dut.punts_outstanding_o.value) == 0
        counters = await path.counters()
        path.conserved(counters)
        dut.host_class_enable_i.value = 15
    assert counters[HOST_GONE] > 20
    # Afterwards the buffers have all their room and order.
    dut.host_class_ready_i.value = 0
    del path.host.frames[:]
    frames = [Frame(control(PUNT) + random.randbytes(9216 - 14)) for _ in range(7)]
    for frame in frames:
        path.rx.push(frame)
    while path.rx.busy():
        await path.step()
    dut.host_class_ready_i.value = 0b1111
    await path.drain()
    assert [f.data for f in path.host.frames] == [f.data for f in frames]
    ended = await path.counters()
    assert ended[PUNT_FULL] == counters[PUNT_FULL]


@cocotb.test()
async def punts_outstanding(dut):
    """Punts count up when handed over and down when ended; a host reset makes the rest `punt_unanswered`."""
    path = FramePath(dut)
    await path.start()
    for _ in range(10):
        path.rx.push(Frame(control(PUNT) + bytes(50)))
    await path.drain()
    assert int(dut.punts_outstanding_o.value) == 10
    dut.punt_ended_i.value = 1
    await path.step(4)
    dut.punt_ended_i.value = 0
    await path.step(2)
    assert int(dut.punts_outstanding_o.value) == 6
    dut.host_reset_i.value = 1
    await path.step(3)
    dut.host_reset_i.value = 0
    await path.step(2)
    counters = await path.counters()
    assert counters[PUNT_UNANSWERED] == 6 and int(dut.punts_outstanding_o.value) == 0
    # Ends without a punt do not count below 0; a frame that was lost after it left moves from out to gone.
    dut.punt_ended_i.value = dut.host_lost_i.value = 1
    await path.step()
    dut.punt_ended_i.value = dut.host_lost_i.value = 0
    await path.step(2)
    assert int(dut.punts_outstanding_o.value) == 0
    counters = await path.counters()
    assert (counters[HOST_OUT], counters[HOST_GONE]) == (9, 1)
    path.conserved(counters)


@cocotb.test()
async def injects_beside_a_full_wire(dut):
    """Wire first, injects at least one window slot in 16; both arrive whole and in order."""
    path = FramePath(dut)
    await path.start()
    for _ in range(1600):
        path.rx.push(Frame(control(HIT, 0, 0) + bytes(46)))
    injects = [Frame(control(RAW, klass=0, seed=i) + random.randbytes(46 + i % 5)) for i in range(60)]
    for frame in injects:
        path.inject.push(frame)
    while path.rx.busy():
        await path.step()
    during = len(path.tx.frames)
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[RAW] == 60 and counters[INJECTED] == 60
    out = [f.data for f in path.tx.frames if f.data[0] == RAW]
    assert out == [f.data for f in injects]
    kinds = [f.data[0] for f in path.tx.frames[:during]]
    assert kinds.count(RAW) >= 55, "injects waited for the wire"
    gaps = [b - a for a, b in zip(*(lambda at: (at, at[1:]))([i for i, k in enumerate(kinds) if k == RAW]))]
    assert min(gaps[:20]) >= 16 - 1, f"injects took more than their slot from the wire: {gaps}"


@cocotb.test()
async def long_run_of_small_frames(dut):
    """Thousands of small frames in every class at one a cycle: pointers wrap, drops are counted, nothing leaks."""
    path = FramePath(dut)
    await path.start()
    path.host.stall = 0.2
    kinds = [HIT] * 12 + [PUNT, CONTROL, GROUP, NO_BACKEND]
    for _ in range(7000):
        kind = random.choice(kinds)
        path.rx.push(Frame(control(kind, 34 if kind == HIT else 0, 14 if kind == HIT else 0, flags=3, vip=kind, backend=kind)
                           + bytes(random.randint(1, 60))))
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[WIRE_IN] == 7000
    assert await path.read(BACKEND_COUNTER, HIT) == (counters[HIT], 0)
    vips = sum([(await path.read(VIP_COUNTER, k))[0] for k in set(kinds)])
    assert vips == 7000 - counters[INGRESS_FULL]


@cocotb.test()
async def lengths_at_the_edges(dut):
    """Runts, a beat without bytes, the longest frame and far longer ones, from both sides: named, counted, nothing leaks."""
    path = FramePath(dut)
    await path.start()
    sizes = [0, 1, 13, 14, 63, 64, 65, 127, 128, 129, 9152, 9153, 9215, 9216, 9217, 9280, 9281, 40_000]
    frames = [Frame((control(HIT, 14, 14) + random.randbytes(max(0, n - 14)))[:n]) for n in sizes]
    for frame in frames:
        path.rx.push(frame)
    # On the wire a last beat without bytes ends the frame where it is.
    exact = Frame(control(HIT, 14, 14) + random.randbytes(114))
    path.rx.push(exact, cancel=True)
    longest = Frame(control(HIT, 14, 14) + random.randbytes(9202))
    path.rx.push(longest, cancel=True)
    await path.drain()
    wants = [expect(f) for f in [*frames, exact, longest]]
    counters = await path.counters()
    path.conserved(counters)
    tally = Counter(w.disposition for w in wants)
    assert (counters[RUNT], counters[OVERSIZE], counters[HIT]) == (tally[RUNT], tally[OVERSIZE], tally[HIT]) == (3, 4, 13)
    check_order(path.tx.frames, [[w for w in wants if w.disposition == HIT]], "wire out")

    del path.tx.frames[:]
    injects = [Frame(control(RAW, klass=0) + random.randbytes(n - 14)) for n in (14, 64, 9216, 9217, 9300, 40_000, 60) * 3]
    for frame in injects:
        path.inject.push(frame)
        path.inject.push(frame, cancel=True)
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[INJECTED] == len(injects) and counters[OVERSIZE] == 4 + 9 and counters[RAW] == 12
    check_order(path.tx.frames, [[w for w in map(expect, injects) if w.disposition == RAW]], "wire out")


@cocotb.test()
async def card_reset_in_full_traffic(dut):
    """A reset at any moment leaves nothing behind: what comes later is as after power on."""
    path = FramePath(dut)
    await path.start()
    for run in range(4):
        path.tx.blocked = run % 2 == 1
        for _ in range(300):
            path.rx.push(random_frame(WIRE_KINDS, sizes=(60, 200, 1500)))
            path.inject.push(random_frame(INJECT_KINDS, sizes=(60, 200, 1500), wire=False))
        await path.step(random.randint(100, 1500))
        path.restart()
        await path.start()
        frames = [random_frame(WIRE_KINDS, sizes=(60, 200, 1500)) for _ in range(60)]
        for frame in frames:
            path.rx.push(frame)
        await path.drain()
        counters = await path.counters()
        path.conserved(counters)
        assert counters[WIRE_IN] == 60
        check_order(path.tx.frames, [[w for w in map(expect, frames) if w.disposition < 8]], "wire out")
        del path.tx.frames[:], path.host.frames[:]


@cocotb.test()
async def frames_beyond_the_stride_are_dropped(dut):
    """A frame longer than its class's buffers is `drop_host_full`; the other classes do not notice."""
    path = FramePath(dut)
    await path.start()
    dut.host_class_bytes_i.value = sum(n << (15 * c) for c, n in enumerate((64, 16384, 1024, 16384)))
    for disposition, size in ((CONTROL, 64), (CONTROL, 65), (PUNT, 1024), (PUNT, 1025), (GROUP, 1025), (FRAGMENT, 9216)):
        path.rx.push(Frame(control(disposition) + random.randbytes(size - 14)))
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[HOST_FULL] == 2 and counters[PUNT_FULL] == 0 and counters[HOST_OUT] == 4


@cocotb.test()
async def cancelled_injects_give_their_room_back(dut):
    """Cancelled frames leave no hole in a ring that is full: what waits there is not overwritten."""
    path = FramePath(dut)
    await path.start()
    path.tx.blocked = True
    frames = [Frame(control(RAW, klass=0) + random.randbytes(random.choice((46, 986, 4986)))) for _ in range(40)]
    for frame in frames:
        path.inject.push(Frame(control(RAW, klass=0) + random.randbytes(2000)), cancel=True)
        path.inject.push(frame)
    await path.step(2500)
    assert path.inject.busy(), "the inject ring did not fill"
    path.tx.blocked = False
    await path.drain()
    counters = await path.counters()
    path.conserved(counters)
    assert counters[INJECTED] == counters[RAW] == 40
    check_order(path.tx.frames, [[expect(f) for f in frames]], "wire out")
