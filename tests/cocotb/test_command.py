"""gw_command with its parts: every opcode, every status, rates, aborts, and lookups beside them."""

import zlib

import cocotb
from cocotb.triggers import RisingEdge

from flow_bench import Bench, generator
from flow_model import DATA_BITS, ENTRIES, TABLES, Entry, Key, command, place_index, secded

TOP = "gw_flow_bench"
BEAT = 1 << 512
QUIET = 66  # DecisionLatency + 4


async def bench(dut):
    b = Bench(dut, generator())
    await b.start()
    return b


def entry(b, key=None, **fields):
    return Entry(key or b.key(), b.rng.randrange(1024), b.rng.getrandbits(8), **fields)


def crc(entries):
    return zlib.crc32(b"".join(word.to_bytes(64, "little") for word in entries))


# ---- checks ----


@cocotb.test()
async def a_bad_command_gets_its_status(dut):
    """Each row is wrong in one way, or in several: then the first check of op code, table, range, address counts."""
    b = await bench(dut)
    top = (1 << 64) - 64
    rows = [
        ("bad_opcode", dict(opcode=9)),
        ("bad_opcode", dict(opcode=255, table=255)),
        ("bad_opcode", dict(opcode=16, table="ring", count=1)),  # the low bits alone are NOP
        ("bad_table", dict(opcode="dump", table=14, count=1)),
        ("bad_table", dict(opcode="digest", table=255, count=1)),
        ("bad_table", dict(opcode="dump", table=16, count=1)),  # the low bits alone are vip_match
        ("bad_table", dict(opcode="write", table="flow", count=1)),
        ("bad_table", dict(opcode="write", table="counter", count=1)),
        ("bad_table", dict(opcode="write", table="vip_counter", count=0, address=1)),
        ("bad_table", dict(opcode="write", table="backend_counter", count=1)),
        ("bad_table", dict(opcode="copy", table="vip", count=1)),
        ("bad_table", dict(opcode="copy", table="flow", count=1, index=5)),
        ("out_of_range", dict(opcode="write", table="vip", count=0, address=3)),
        ("out_of_range", dict(opcode="digest", table="ring", count=0)),
        ("out_of_range", dict(opcode="copy", table="ring", count=0)),
        ("out_of_range", dict(opcode="copy", table="ring", index=0, source_index=32767, count=2)),
        ("out_of_range", dict(opcode="copy", table="ring", index=100, source_index=100, count=1)),
        ("out_of_range", dict(opcode="copy", table="ring", index=100, source_index=91, count=10)),
        ("out_of_range", dict(opcode="copy", table="ring", index=91, source_index=100, count=10)),
        ("out_of_range", dict(opcode="insert", key=Key(256, 1, 2, 3))),
        ("out_of_range", dict(opcode="insert", key=Key(4095, 1, 2, 3), expectation=3)),
        ("out_of_range", dict(opcode="insert", key=Key(0, 1, 2, 3), backend=1024)),
        ("unsupported", dict(opcode="insert", key=Key(0, 1, 2, 3), expectation=3)),
        ("bad_address", dict(opcode="write", table="vip", count=1, address=32)),
        ("bad_address", dict(opcode="dump", table="flow", count=1, address=1)),
        ("bad_address", dict(opcode="write", table="vip", count=2, address=top)),
        ("bad_address", dict(opcode="dump", table="ring", count=32768, address=(1 << 64) - 64 * 32767)),
    ]
    for name, entries in ENTRIES.items():
        writes = TABLES[name] <= TABLES["next_hop"]
        for opcode in ["dump", "digest", *(["write"] if writes else [])]:
            rows.append(("out_of_range", dict(opcode=opcode, table=name, index=entries, count=1, address=1)))
            rows.append(("out_of_range", dict(opcode=opcode, table=name, index=entries - 1, count=2)))
            rows.append(("out_of_range", dict(opcode=opcode, table=name, index=0, count=entries + 1)))
            rows.append(("out_of_range", dict(opcode=opcode, table=name, index=(1 << 32) - 1, count=(1 << 32) - 1)))
            rows.append(("out_of_range", dict(opcode=opcode, table=name, index=1, count=(1 << 32) - 1)))
            rows.append(("out_of_range", dict(opcode=opcode, table=name, index=1 << 31, count=1)))
    b.rng.shuffle(rows)
    for status, fields in rows:
        assert await b.run(command(**fields)) == (status, None), fields
    # Nothing of it happened, and the next command is served.
    assert await b.run(command("nop", table=99, reserved=0xFFFFFFFF)) == ("ok", 0)


@cocotb.test()
async def the_limits_are_allowed(dut):
    b = await bench(dut)
    beat = b.rng.getrandbits(512)
    assert await b.write(command("write", "vip", index=255, count=1, address=(1 << 64) - 64), [beat]) == ("ok", 1)
    assert await b.dump("vip", 255, 1) == ("ok", [beat], 0)
    assert await b.run(command("copy", "ring", index=100, source_index=90, count=10)) == ("ok", 10)
    assert await b.run(command("copy", "ring", index=90, source_index=100, count=10)) == ("ok", 10)
    assert (await b.run(command("digest", "ring", index=32767, count=1)))[0] == "ok"
    assert await b.run(command("insert", key=Key(255, 0, 0, 0), backend=1023)) == ("ok", 0)


# ---- ranges of entries ----


@cocotb.test()
async def write_dump_digest_copy(dut):
    b = await bench(dut)
    ring = {}
    for _ in range(12):
        count = b.rng.choice((1, 2, 3, 17, 64, 150))
        index = b.rng.randrange(4096 - count)
        beats = [b.rng.getrandbits(512) for _ in range(count)]
        assert await b.write(command("write", "ring", index=index, count=count), beats, idle=b.rng.choice((0, 0.5))) == ("ok", count)
        ring.update((index + i, beat) for i, beat in enumerate(beats))
        source, count = b.rng.randrange(4000), b.rng.choice((1, 2, 40, 77))
        into = 8000 + b.rng.randrange(20000)
        assert await b.run(command("copy", "ring", index=into, source_index=source, count=count)) == ("ok", count)
        ring.update((into + i, ring.get(source + i, 0)) for i in range(count))
        for start in (index, source, into, b.rng.randrange(32000)):
            count = b.rng.choice((1, 5, 33, 200))
            held = [ring.get(start + i, 0) for i in range(count)]
            status, entries, _ = await b.dump("ring", start, count, stall=b.rng.choice((0, 0.3, 0.9)))
            assert (status, entries) == ("ok", held)
            assert await b.run(command("digest", "ring", index=start, count=count)) == ("ok", crc(held))


@cocotb.test()
async def rates(dut):
    """WRITE, DUMP and DIGEST take a cycle an entry, COPY two."""
    b = await bench(dut)
    beats = [b.rng.getrandbits(512) for _ in range(600)]

    async def time(run):
        cycles = 0

        async def count():
            nonlocal cycles
            while True:
                await RisingEdge(dut.clk_i)
                cycles += 1

        counter = cocotb.start_soon(count())
        assert (await run)[0] == "ok"
        counter.cancel()
        return cycles

    assert await time(b.write(command("write", "ring", count=600), beats)) < 640
    status, entries, cycles = await b.dump("ring", 0, 600)
    assert entries == beats and cycles == 599
    assert await time(b.run(command("digest", "ring", count=600))) < 640
    assert await time(b.run(command("copy", "ring", index=1000, count=600))) < 1240


@cocotb.test()
async def a_beat_that_cannot_be_read_ends_a_write(dut):
    b = await bench(dut)
    old = [b.rng.getrandbits(512) for _ in range(10)]
    new = [b.rng.getrandbits(512) for _ in range(10)]
    for at in (0, 4, 9):
        await b.write(command("write", "ring", count=10), old)
        assert await b.write(command("write", "ring", count=10), new, error_at=at) == ("dma_error", at)
        assert (await b.dump("ring", 0, 10))[1] == new[:at] + old[at:]


@cocotb.test()
async def an_abort_ends_a_command_without_an_answer(dut):
    """At any moment of any command; the next one works, and finds no leftovers."""
    b = await bench(dut)
    beats = [b.rng.getrandbits(512) for _ in range(100)]
    await b.write(command("write", "ring", count=100), beats)
    key = b.key()
    words = [
        command("dump", "ring", count=100),
        command("digest", "ring", count=100),
        command("copy", "ring", index=5000, count=100),
        command("write", "vip", count=100),
        command("fence"),
        command("nop"),
        command("insert", key=key, bank=1),
        command("move", key=key, bank=1, to_bank=2),
    ]
    dut.command_rdata_ready_i.value = 1
    dut.window_i.value = 1  # a frame that is never decided on: the fence waits
    await RisingEdge(dut.clk_i)
    dut.window_i.value = 0
    for i in range(64):
        word = words[i % len(words)]
        dut.command_i.value = word
        dut.command_valid_i.value = 1
        while True:
            await RisingEdge(dut.clk_i)
            if dut.command_ready_o.value:
                break
        dut.command_valid_i.value = 0
        dut.command_wdata_valid_i.value = 1
        answered = False
        for _ in range(b.rng.randrange(40)):
            await RisingEdge(dut.clk_i)
            answered |= bool(dut.command_done_valid_o.value)
        dut.command_abort_i.value = 1
        dut.command_wdata_valid_i.value = 0
        for _ in range(b.rng.choice((1, 1, 5))):
            await RisingEdge(dut.clk_i)
            answered |= bool(dut.command_done_valid_o.value)
        dut.command_abort_i.value = 0
        cycles = 0
        while True:
            await RisingEdge(dut.clk_i)
            cycles += 1
            assert cycles < 500, "an aborted command goes on"
            assert not dut.command_done_valid_o.value and not dut.command_checked_valid_o.value and not dut.command_rdata_valid_o.value
            if dut.command_ready_o.value:
                break
        if i % 4 == 3:
            dut.command_rdata_ready_i.value = 0
            assert (await b.dump("ring", 0, 100, stall=0.2))[1] == beats
            assert await b.run(command("digest", "ring", count=100)) == ("ok", crc(beats))
            dut.command_rdata_ready_i.value = 1
    dut.command_rdata_ready_i.value = 0
    # A flow command that was aborted is whole: the flow is in one place or none.
    results = await b.lookups([key])
    assert results[0] is None or results[0][2] in (b.flows.place(key, 1, 0), b.flows.place(key, 2, 0))


@cocotb.test()
async def a_fence_waits_for_the_frames_before_it(dut):
    b = await bench(dut)
    assert await b.run(command("fence")) == ("ok", 0)
    on_their_way, later, ended = 0, 0, None
    for round_ in range(20):
        for _ in range(b.rng.randrange(30)):
            dut.window_i.value = 1
            await RisingEdge(dut.clk_i)
            on_their_way += 1
        dut.window_i.value = 0
        fence = cocotb.start_soon(b.run(command("fence"), limit=20000))
        await b.cycles(40)  # the fence has begun
        for _ in range(10):  # later frames do not hold it
            dut.window_i.value = 1
            await RisingEdge(dut.clk_i)
        dut.window_i.value = 0
        await b.cycles(b.rng.randrange(5))
        for left in range(on_their_way, 0, -1):
            assert not fence.done(), f"{left} frames are undecided"
            dut.decision_i.value = 1
            await RisingEdge(dut.clk_i)
            dut.decision_i.value = 0
            await b.cycles(b.rng.randrange(8))
        await b.cycles(8)
        assert fence.done() and fence.result() == ("ok", 0)
        on_their_way = 10


# ---- flows ----


@cocotb.test()
async def every_expectation_and_outcome(dut):
    """INSERT, MOVE and DELETE at places that are free, hold the key, or another's entry of every kind."""
    b = await bench(dut)
    kinds = [(0, 0), (1, 0), (0, 1), (1, 1)]  # pinned, confirmed
    outcomes = set()
    for expectation in ("free", "same", "unconfirmed"):
        for occupant in ("none", "same", "other"):
            for pinned, confirmed in kinds:
                b.set_time(b.time + 7)
                flow = entry(b, pinned=b.rng.randrange(2), confirmed=b.rng.randrange(2))
                bank, way = b.rng.randrange(4), b.rng.randrange(4)
                place = b.flows.place(flow.key, bank, way)
                if occupant != "none":
                    key = flow.key if occupant == "same" else b.sibling(flow.key, bank)
                    await b.insert(entry(b, key, pinned=pinned, confirmed=confirmed), bank, way, "free")
                    await b.lookups([key], [(1, 1)])  # closing bits that a new entry must not inherit
                    await b.cycles(80)
                    b.flows.places[place].fin = b.flows.places[place].rst = 1
                status = await b.insert(flow, bank, way, expectation)
                outcomes.add((expectation, occupant, status))
                await b.check_place(place)
                other_key = b.sibling(b.flows.places[place].key if place in b.flows.places else flow.key, bank)
                assert await b.delete(other_key, bank, way) == "not_found"
                assert await b.move(other_key, bank, way, bank, (way + 1) % 4) == "not_found"
                if b.flows.places.get(place) and b.flows.places[place].key == flow.key:
                    assert await b.move(flow.key, bank, way, bank, way) == "occupied"
                    assert await b.delete(flow.key, bank, way) == "ok"
                elif place in b.flows.places:
                    assert await b.delete(b.flows.places[place].key, bank, way) == "ok"
                assert await b.delete(flow.key, bank, way) == "not_found"
                await b.check_place(place)
    assert {("free", "other", "occupied"), ("unconfirmed", "other", "ok"), ("unconfirmed", "other", "occupied"),
            ("same", "none", "not_found"), ("same", "same", "ok"), ("same", "other", "not_found")} <= outcomes  # fmt: skip


@cocotb.test()
async def a_move_takes_stamp_and_closing_bits_along(dut):
    b = await bench(dut)
    for _ in range(20):
        flow = entry(b, pinned=b.rng.randrange(2), confirmed=1)
        places = b.rng.sample([(bank, way) for bank in range(4) for way in range(4)], 2)
        await b.insert(flow, *places[0])
        b.set_time(b.time + 1000)
        flow.fin, flow.rst, flow.last_seen = b.rng.randrange(2), b.rng.randrange(2), b.time
        await b.lookups([flow.key], [(flow.fin, flow.rst)])
        await b.cycles(80)
        b.set_time(b.time + 50)  # a move is no hit
        old = b.flows.place(flow.key, *places[0])
        assert await b.move(flow.key, *places[0], *places[1]) == "ok"
        await b.check_place(old)
        await b.check_place(b.flows.place(flow.key, *places[1]))
        assert await b.lookups([flow.key]) == [b.expected(flow.key)]
        blocker = entry(b, flow.key)
        await b.insert(blocker, *places[0])
        assert await b.move(flow.key, *places[1], *places[0]) == "occupied"
        b.flows.places.clear()  # leave them: other keys, other rows


@cocotb.test()
async def a_flow_is_found_throughout_its_moves(dut):
    """Lookups of one flow in every cycle, while it moves; each finds it, and every hit's time and FIN arrive."""
    b = await bench(dut)
    flow = entry(b)
    await b.insert(flow, 0, 0)
    missed = looked = 0
    moving = True

    async def look():
        dut.lookup_key_i.value = flow.key.word()
        dut.lookup_valid_i.value = 1
        while moving:
            await RisingEdge(dut.clk_i)
        dut.lookup_valid_i.value = 0

    async def watch():
        nonlocal missed, looked
        while True:
            await RisingEdge(dut.clk_i)
            if dut.lookup_valid_o.value:
                looked += 1
                backend, generation = int(dut.lookup_backend_o.value), int(dut.lookup_generation_o.value)
                missed += not dut.lookup_found_o.value or (backend, generation) != (flow.backend, flow.generation)

    watcher = cocotb.start_soon(watch())
    looker = cocotb.start_soon(look())
    at = (0, 0)
    for _ in range(60):
        to = at
        while to == at:
            to = (b.rng.randrange(4), b.rng.randrange(4))
        assert await b.move(flow.key, *at, *to) == "ok"
        at = to
        await b.cycles(b.rng.randrange(5))
    moving = False
    await looker
    await b.cycles(100)
    watcher.cancel()
    assert looked > 60 * QUIET and missed == 0
    flow.last_seen = b.time
    await b.check_place(b.flows.place(flow.key, *at))


@cocotb.test()
async def a_hit_during_a_move_is_not_lost(dut):
    """A FIN at each cycle around a move's writes ends at the flow's new place, with its time."""
    b = await bench(dut)
    for delay in range(0, 130):
        flow = entry(b)
        at, to = (0, 1), (2, 0)
        if delay % 2:
            at, to = to, at
        if await b.insert(flow, *at) != "ok":
            continue
        b.set_time(b.time + 3)
        moving = cocotb.start_soon(b.move(flow.key, *at, *to))
        await b.cycles(delay)
        await b.lookups([flow.key], [(1, 0)])
        if await moving == "ok":
            flow.fin, flow.last_seen = 1, b.time
            await b.cycles(80)
            await b.check_place(b.flows.place(flow.key, *to))
            assert await b.delete(flow.key, *to) == "ok"


@cocotb.test()
async def a_late_hit_never_marks_the_next_flow(dut):
    """The last packet of a flow, at each cycle before its place is given to another."""
    b = await bench(dut)
    for delay in range(0, 30):
        for opcode in ("delete", "unconfirmed", "move"):
            flow = entry(b)
            place = b.flows.place(flow.key, 1, 1)
            key = b.sibling(flow.key, 1)
            assert b.flows.place(key, 1, 1) == place
            assert await b.insert(flow, 1, 1) == "ok"
            looking = cocotb.start_soon(b.lookups([flow.key], [(1, 1)]))
            await b.cycles(delay)
            if opcode == "delete":
                await b.delete(flow.key, 1, 1)
            elif opcode == "move":
                assert await b.move(flow.key, 1, 1, 3, 3) == "ok"
            b.set_time(b.time + 1)
            assert await b.insert(entry(b, key), 1, 1, "unconfirmed") == "ok"
            await looking
            await b.cycles(100)
            await b.check_place(place)
            assert await b.delete(key, 1, 1) == "ok"
            if opcode == "move":
                assert await b.delete(flow.key, 3, 3) == "ok"


@cocotb.test()
async def commands_go_on_under_hits_in_every_cycle(dut):
    b = await bench(dut)
    dut.extra_hit_i.value = 1
    for _ in range(5):
        flow = entry(b)
        assert await b.insert(flow, 2, 2) == "ok"
        await b.check_place(b.flows.place(flow.key, 2, 2))
        assert await b.move(flow.key, 2, 2, 0, 0) == "ok"
        await b.check_place(b.flows.place(flow.key, 0, 0))
        assert await b.delete(flow.key, 0, 0) == "ok"


@cocotb.test()
async def wrong_bits_under_commands(dut):
    """One wrong bit is corrected before the comparison, two make the place free; both are counted."""
    b = await bench(dut)
    for _ in range(30):
        flow = entry(b, confirmed=1)
        assert await b.insert(flow, 1, 0) == "ok"
        place = b.flows.place(flow.key, 1, 0)
        await b.flip(place, 1 << b.rng.randrange(DATA_BITS + 9))
        before = b.corrected
        assert await b.insert(entry(b, flow.key), 1, 0, "free") == "occupied"
        assert b.corrected == before + 1
        assert await b.move(flow.key, 1, 0, 3, 1) == "ok"  # the copy is whole again
        assert b.corrected == before + 2
        await b.check_place(b.flows.place(flow.key, 3, 1))
        assert await b.delete(flow.key, 3, 1) == "ok"

        assert await b.insert(flow, 1, 0) == "ok"
        first, second = b.rng.sample(range(DATA_BITS + 9), 2)
        await b.flip(place, 1 << first | 1 << second)
        before = b.uncorrectable
        del b.flows.places[place]
        assert await b.delete(flow.key, 1, 0) == "not_found"
        assert await b.move(flow.key, 1, 0, 2, 2) == "not_found"
        assert b.uncorrectable == before + 2
        mover = entry(b, flow.key)
        assert await b.insert(mover, 0, 3) == "ok"
        if b.rng.random() < 0.5:
            assert await b.move(flow.key, 0, 3, 1, 0) == "ok"  # onto the broken word
        else:
            assert await b.delete(flow.key, 0, 3) == "ok"
            assert await b.insert(entry(b, flow.key), 1, 0, "free") == "ok"
        assert b.uncorrectable == before + 3
        await b.check_place(place)
        assert await b.delete(flow.key, 1, 0) == "ok"


@cocotb.test()
async def a_flow_is_found_while_it_moves_onto_a_broken_word(dut):
    """The place with two wrong bits is cleared before it is written, and the old place not before that."""
    b = await bench(dut)
    old = entry(b)
    assert await b.insert(old, 1, 0) == "ok"
    place = b.flows.place(old.key, 1, 0)
    await b.flip(place, 3)
    del b.flows.places[place]
    flow = entry(b, old.key)
    assert await b.insert(flow, 0, 3) == "ok"
    moving = cocotb.start_soon(b.move(flow.key, 0, 3, 1, 0))
    found = await b.lookups([flow.key] * 300)
    assert await moving == "ok"
    assert None not in found, found.index(None)


@cocotb.test()
async def the_flow_table_dumps_and_digests_as_stored(dut):
    b = await bench(dut)
    for _ in range(80):
        await b.insert(entry(b, pinned=b.rng.randrange(2), confirmed=b.rng.randrange(2)), b.rng.randrange(4), b.rng.randrange(4))
    rows = sorted(place & 0xFFF for place in b.flows.places)
    for bank_way in (0, 5, 15):
        start = place_index(bank_way // 4, bank_way % 4, rows[3])
        held = [b.flows.record(start + i) for i in range(700)]
        status, entries, _ = await b.dump("flow", start, 700, stall=0.1)
        assert (status, entries) == ("ok", held)
        assert await b.run(command("digest", "flow", index=start, count=700)) == ("ok", crc(held))
    # A wrong bit shows, and the digest tells.
    place = next(iter(b.flows.places))
    await b.flip(place, 1 << 5)
    record = b.flows.record(place) ^ 1 << 5
    assert (await b.dump("flow", place, 1))[1] == [record]
    assert await b.run(command("digest", "flow", index=place, count=1)) == ("ok", crc([record]))
    assert secded(record & (1 << DATA_BITS) - 1) != record >> DATA_BITS & 0x1FF


@cocotb.test()
async def random_commands_against_the_model(dut):
    """A few keys, few rows, everything mixed, lookups in between."""
    b = await bench(dut)
    keys = [b.key() for _ in range(12)]
    statuses = set()
    for _ in range(400):
        b.set_time(b.time + b.rng.randrange(3))
        key = b.rng.choice(keys)
        bank, way = b.rng.randrange(2), b.rng.randrange(2)
        choice = b.rng.random()
        if choice < 0.45:
            flow = entry(b, key, pinned=b.rng.randrange(2), confirmed=b.rng.randrange(2))
            statuses.add(await b.insert(flow, bank, way, b.rng.choice(("free", "same", "unconfirmed"))))
        elif choice < 0.75:
            statuses.add(await b.move(key, bank, way, b.rng.randrange(2), b.rng.randrange(2)))
        elif choice < 0.9:
            statuses.add(await b.delete(key, bank, way))
        else:
            looked = b.rng.choices(keys, k=10)
            assert await b.lookups(looked) == [b.expected(key) for key in looked]
            for key in looked:
                if b.flows.find(key):
                    b.flows.find(key)[1].last_seen = b.time
            await b.cycles(80)
    for place in list(b.flows.places):
        await b.check_place(place)
    assert statuses == {"ok", "occupied", "not_found"}
