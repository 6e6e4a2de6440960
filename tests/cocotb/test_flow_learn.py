"""gw_flow_learn with table, lookup and commands: what is learned and where, at the wire's rate, beside commands, within quotas."""

import cocotb

from flow_bench import Bench, generator
from flow_model import BANKS, ROWS, WAYS, Entry, Key, command, place_index

TOP = "gw_flow_bench"
SETTLE = 200  # cycles after which everything asked is done and forgotten


async def bench(dut):
    b = Bench(dut, generator())
    await b.start()
    return b


def asks(b, keys):
    """A backend for each key, the same for each of its packets."""
    return [(hash(key) % 1024, hash(key) >> 12 & 0xFF) for key in keys]


async def ask(b, keys, **options):
    results = await b.lookups(keys, asks=asks(b, keys), **options)
    await b.cycles(SETTLE)
    return results


def choose(flows, key):
    """The place of a new flow: CARD.md 4, without quota."""
    rows = [[place_index(bank, way, key.row(flows.secrets[bank])) for way in range(WAYS)] for bank in range(BANKS)]
    free = [[place for place in ways if place not in flows.places] for ways in rows]
    best = max(range(BANKS), key=lambda bank: (len(free[bank]), -bank))
    if free[best]:
        return free[best][0], False
    for place in (place for ways in rows for place in ways):
        if not (flows.places[place].confirmed or flows.places[place].pinned):
            return place, True
    return None, False


def learn(b, key):
    place, displaced = choose(b.flows, key)
    if place is not None:
        backend, generation = asks(b, [key])[0]
        b.flows.places[place] = Entry(key, backend, generation, last_seen=b.time)
    return place, displaced


FEW = 64
PORT = 7


def few_rows(b):
    """Secrets by which only the low six bits of the source port count, with PORT as destination: rows below 64."""
    b.secrets[:] = [b.rng.randrange(1, 64) << 16 for _ in range(BANKS)]
    b.dut.secret_i.value = sum(secret << 192 * i for i, secret in enumerate(b.secrets))


async def dump_all(b, rows=FEW):
    """The valid records of the places in these rows: {place: record}."""
    found = {}
    for first in range(0, BANKS * WAYS * ROWS, ROWS):
        status, entries, _ = await b.dump("flow", first, rows)
        assert status == "ok"
        found |= {first + row: entry for row, entry in enumerate(entries) if entry >> 196 & 1}
    return found


def key_of(record):
    return record & (1 << 172) - 1


def check_unique(found):
    keys = [key_of(record) for record in found.values()]
    assert len(keys) == len(set(keys)), f"{len(keys) - len(set(keys))} keys are there twice"


@cocotb.test()
async def places_are_the_specified_ones(dut):
    """Flows of few rows, one after another: each lies where the model says, until none gives way."""
    b = await bench(dut)
    few_rows(b)
    learned = displaced = refused = 0
    for i in range(110):
        key = Key(7, 0x0A000000 + i, b.rng.randrange(4), PORT)
        await ask(b, [key])
        place, other = learn(b, key)
        learned += place is not None
        displaced += other
        refused += place is None
        assert (b.learned, b.displaced, b.refused) == (learned, displaced, refused), i
        if place is not None and b.rng.random() < 0.7:
            await ask(b, [key])  # confirm it
            b.flows.places[place].confirmed = 1
        if place is not None:
            await b.check_place(place)
    assert displaced and refused, "choose fewer rows"
    assert len(await dump_all(b)) == learned - displaced
    assert len(b.events) == learned


@cocotb.test()
async def a_confirmation_brings_its_closing_bits(dut):
    b = await bench(dut)
    key = b.key()
    await ask(b, [key])
    place, _ = learn(b, key)
    b.set_time(b.time + 77)
    await ask(b, [key], flags=[(1, 0)])
    entry = b.flows.places[place]
    entry.confirmed, entry.fin, entry.last_seen = 1, 1, b.time
    await b.check_place(place)
    # the host's own entry, pinned: it stays so
    held = Entry(b.key(), 9, 3, pinned=1)
    await b.insert(held, 2, 2)
    await ask(b, [held.key])
    held.confirmed = 1
    await b.check_place(b.flows.find(held.key)[0])
    assert (b.learned, b.refused) == (1, 0)


@cocotb.test()
async def a_flood_at_the_wires_rate_is_learned(dut):
    """New flows, one each two cycles: nearly all are learned, each once, and known from then on."""
    b = await bench(dut)
    keys = list({b.key() for _ in range(2500)})
    await ask(b, keys, pace=2)
    assert b.learned + b.refused == len(keys)
    dut._log.info("%d of %d flows learned", b.learned, len(keys))
    assert b.learned >= 0.98 * len(keys), b.learned
    found = await dump_all(b, ROWS)
    assert len(found) == b.learned
    check_unique(found)
    by_word = {key.word(): ask for key, ask in zip(keys, asks(b, keys), strict=True)}
    for record in found.values():
        assert (record >> 172 & 0xFFFF, record >> 188 & 0xFF) == by_word[key_of(record)]
        assert record >> 197 & 3 == 0, "confirmed or pinned"
    known = {key_of(record): (record, place) for place, record in found.items()}
    results = await b.lookups(keys)
    for key, result in zip(keys, results, strict=True):
        assert (result is not None) == (key.word() in known)
        assert result is None or result[2] == known[key.word()][1]


@cocotb.test()
async def few_flows_at_one_a_cycle_are_learned_once(dut):
    b = await bench(dut)
    few_rows(b)
    flows = [Key(7, b.rng.getrandbits(128), port, PORT) for port in range(24)]
    keys = [b.rng.choice(flows) for _ in range(3000)]
    await ask(b, keys)
    found = await dump_all(b)
    check_unique(found)
    assert {key_of(record) for record in found.values()} == {key.word() for key in flows}
    assert all(record >> 198 & 1 for record in found.values()), "each was hit again, and so confirmed"
    assert b.learned == len(flows) and b.displaced == 0


@cocotb.test()
async def a_dump_and_learning_share_the_table(dut):
    b = await bench(dut)
    keys = list({b.key() for _ in range(2500)})
    asked = cocotb.start_soon(b.lookups(keys, asks=asks(b, keys), pace=2))
    await b.cycles(60)
    status, entries, cycles = await b.dump("flow", 0, 2000)
    assert status == "ok" and cycles <= 2.2 * len(entries), cycles
    await asked
    await b.cycles(SETTLE)
    assert b.learned + b.refused == len(keys)
    assert b.learned >= 0.97 * len(keys), b.learned
    _, _, cycles = await b.dump("flow", 0, 500)
    assert cycles == 499, "nobody learns: an entry each cycle"


@cocotb.test()
async def a_quota_holds_at_the_wires_rate(dut):
    """No cycle's rate makes a VIP hold more than its quota; what it displaces is its own."""
    b = await bench(dut)
    few_rows(b)
    foreign = list({Key(4, b.rng.getrandbits(128), b.rng.getrandbits(16), PORT) for _ in range(300)})
    await ask(b, foreign, pace=2)
    kept = b.learned
    keys = list({Key(3, b.rng.getrandbits(32), b.rng.getrandbits(16), PORT) for _ in range(1000)})
    for pace in (1, 2):
        await ask(b, keys, pace=pace, quota=20)
        found = await dump_all(b)
        mine = [record for record in found.values() if key_of(record) >> 160 == 3]
        assert len(mine) == 20, len(mine)
        assert kept <= len(found) + 20 <= kept + 40
        check_unique(found)
    assert b.learned + b.refused <= len(foreign) + 2 * len(keys)
    # one place is given back: one flow more
    record = mine[0]
    word = key_of(record)
    key = Key(word >> 160, word >> 32 & (1 << 128) - 1, word >> 16 & 0xFFFF, word & 0xFFFF)
    place = next(place for place, other in found.items() if other == record)
    before = b.learned - b.displaced
    assert await b.run(command("delete", key=key, bank=place >> 14, way=place >> 12 & 3)) == ("ok", 0)
    others = list({Key(3, b.rng.getrandbits(128), b.rng.getrandbits(16), PORT) for _ in range(50)})
    await ask(b, others, pace=2, quota=20)
    assert b.learned - b.displaced == before + 1


@cocotb.test()
async def commands_and_learning_never_overwrite_each_other(dut):
    """Commands on the host's own flows while packets of the same rows are learned, one each two cycles."""
    b = await bench(dut)
    few_rows(b)
    stop = False

    async def flood():
        """New flows in half of the rows that the host uses."""
        i = 0
        while not stop:
            keys = [Key(5, b.rng.getrandbits(32), b.rng.randrange(32), PORT) for _ in range(40)]
            await b.lookups(keys, asks=asks(b, keys), pace=b.rng.choice((1, 2, 3)))
            i += 1
        return i

    flooding = cocotb.start_soon(flood())
    held, done = {}, {"insert": 0, "move": 0, "delete": 0}
    for i in range(700):
        what = b.rng.choice(("insert", "insert", "insert", "move", "move", "delete"))
        if what == "insert" and len(held) < 40:
            key = Key(6, 1000 + i, b.rng.randrange(64), PORT)
            bank, way = b.rng.randrange(4), b.rng.randrange(4)
            expectation = b.rng.choice(("free", "unconfirmed"))
            status, _ = await b.run(command("insert", key=key, bank=bank, way=way, expectation=expectation, pinned=1, backend=i, generation=i & 255))
            assert status in ("ok", "occupied"), status
            if status == "ok":
                held[key] = (bank, way, i)
                done["insert"] += 1
        elif held:
            key = b.rng.choice(list(held))
            bank, way, number = held[key]
            if what == "delete":
                assert (await b.run(command("delete", key=key, bank=bank, way=way)))[0] == "ok", "the host's flow is gone"
                del held[key]
                done["delete"] += 1
            else:
                to_bank, to_way = b.rng.randrange(4), b.rng.randrange(4)
                status, _ = await b.run(command("move", key=key, bank=bank, way=way, to_bank=to_bank, to_way=to_way))
                assert status in ("ok", "occupied"), status
                if status == "ok":
                    held[key] = (to_bank, to_way, number)
                    done["move"] += 1
    stop = True
    await flooding
    await b.cycles(SETTLE)
    dut._log.info("%s; learned %d, displaced %d, refused %d", done, b.learned, b.displaced, b.refused)
    assert min(done.values()) >= 10 and b.displaced > 5
    found = await dump_all(b)
    check_unique(found)
    for key, (bank, way, number) in held.items():
        record = found[b.flows.place(key, bank, way)]
        assert key_of(record) == key.word() and record >> 172 & 0xFFFF == number and record >> 197 & 1
    assert sum(key_of(record) >> 160 == 6 for record in found.values()) == len(held)


@cocotb.test()
async def a_fence_waits_for_what_was_asked(dut):
    """FENCE ends when the requests of packets before it are written, also in the middle of a flood."""
    b = await bench(dut)
    keys = list({b.key() for _ in range(1200)})
    asked = cocotb.start_soon(b.lookups(keys, asks=asks(b, keys), pace=2))
    for _ in range(10):
        await b.cycles(b.rng.randrange(20, 60))
        status = await b.send(command("fence"))
        assert status == "ok"
        assert (await b.done(400))[0] == "ok"
    await asked
    await b.cycles(SETTLE)
    assert b.learned + b.refused == len(keys)


@cocotb.test()
async def behind_a_fence_nothing_is_learned_that_was_asked_before(dut):
    """Bursts of requests, twice as fast as they can be written: when FENCE ends, those that came before it are written or refused."""
    b = await bench(dut)
    waited = 0
    for _ in range(12):
        keys = list({b.key() for _ in range(b.rng.randrange(100, 130))})
        await b.lookups(keys, asks=asks(b, keys))
        assert await b.send(command("fence")) == "ok"
        asked, begun = b.answered, b.learned + b.refused
        assert (await b.done(600))[0] == "ok"
        assert b.learned + b.refused >= asked, "the fence has ended before what was asked earlier is written"
        waited += asked - begun
    assert waited > 12 * 20, "requests do not wait: nothing was shown"


@cocotb.test()
async def a_lookup_sees_no_half_written_entry(dut):
    """While places change hands at the highest rate, a flow is found with its own backend or not at all."""
    b = await bench(dut)
    few_rows(b)
    keys = [Key(5, b.rng.randrange(60), b.rng.randrange(8), PORT) for _ in range(4000)]
    results = await b.lookups(keys, asks=[(hash(key) % 1024, hash(key) >> 12 & 0xFF) for key in keys], pace=1)
    for (backend, generation), result in zip(asks(b, keys), results, strict=True):
        assert result is None or result[:2] == (backend, generation)
    await b.cycles(SETTLE)
    assert b.displaced > 20
    check_unique(await dump_all(b))
