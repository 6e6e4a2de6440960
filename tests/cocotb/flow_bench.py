"""Drives gw_flow_bench: lookups as packets give them, commands as the command ring gives them."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from flow_model import STATUS, Flows, Key, command


def generator():
    """Randomness of a test; cocotb seeds `random` for each, from the seed that it prints."""
    return random.Random(random.getrandbits(64))


class Bench:
    """One gw_flow_bench, its clock, and the model beside it."""

    def __init__(self, dut, rng):
        self.dut, self.rng = dut, rng
        self.secrets = [rng.getrandbits(192) for _ in range(4)]
        self.flows = Flows(self.secrets)
        self.time = 1000
        self.corrected = self.uncorrectable = 0
        self.learned = self.displaced = self.refused = 0
        self.answered = 0
        self.events = []

    async def start(self):
        dut = self.dut
        for name in (
            "lookup_valid_i lookup_key_i lookup_fin_i lookup_rst_i lookup_ask_i lookup_backend_i lookup_generation_i lookup_quota_i extra_hit_i extra_hit_place_i window_i decision_i command_valid_i"
            " command_i command_wdata_valid_i command_wdata_i command_wdata_error_i command_rdata_ready_i command_abort_i"
        ).split():
            getattr(dut, name).value = 0
        dut.secret_i.value = sum(secret << 192 * i for i, secret in enumerate(self.secrets))
        dut.time_i.value = self.time
        dut.rst_ni.value = 0
        cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
        for _ in range(4):
            await RisingEdge(dut.clk_i)
        dut.rst_ni.value = 1
        while not dut.ready_o.value:
            await RisingEdge(dut.clk_i)
        cocotb.start_soon(self._count_events())

    async def _count_events(self):
        while True:
            await RisingEdge(self.dut.clk_i)
            self.corrected += int(self.dut.ecc_corrected_o.value)
            self.uncorrectable += int(self.dut.ecc_uncorrectable_o.value)
            self.answered += int(self.dut.lookup_valid_o.value)
            self.learned += int(self.dut.learned_o.value)
            self.displaced += int(self.dut.displaced_o.value)
            self.refused += int(self.dut.refused_o.value)
            if self.dut.event_valid_o.value:
                self.events.append(int(self.dut.event_o.value))

    async def cycles(self, count):
        for _ in range(count):
            await RisingEdge(self.dut.clk_i)

    def set_time(self, time):
        self.time = time
        self.dut.time_i.value = time

    def key(self, bits=None):
        rng = self.rng
        return Key(rng.randrange(256), rng.getrandbits(bits or rng.choice((32, 128))), rng.getrandbits(16), rng.getrandbits(16))

    def sibling(self, key, bank):
        """Another key of the same row in this bank: the hash is linear, so a sum of source bits that hashes to 0 is added."""
        sums = {}  # highest set bit -> (row, source bits)
        for bit in self.rng.sample(range(128), 40):
            row, bits = Key(0, 1 << bit, 0, 0).row(self.secrets[bank]), 1 << bit
            while row and row.bit_length() in sums:
                other, other_bits = sums[row.bit_length()]
                row, bits = row ^ other, bits ^ other_bits
            if not row:
                return Key(key.vip, key.source ^ bits, key.source_port, key.destination_port)
            sums[row.bit_length()] = (row, bits)
        raise AssertionError("40 rows of 12 bits are independent")

    # ---- lookups ----

    async def lookups(self, keys, flags=None, gap=0.0, asks=None, quota=0, pace=1):
        """Looks the keys up, each `pace` cycles but for `gap` (the share of idle cycles); (backend, generation, place) each, or None.

        `asks`: the backend (and generation) that each is learned with; known flows are then confirmed."""
        dut, results = self.dut, []

        async def collect():
            while len(results) < len(keys):
                await RisingEdge(dut.clk_i)
                if dut.lookup_valid_o.value:
                    found = int(dut.lookup_found_o.value)
                    results.append(
                        (int(dut.lookup_backend_o.value), int(dut.lookup_generation_o.value), int(dut.lookup_place_o.value))
                        if found
                        else None
                    )

        collector = cocotb.start_soon(collect())
        for i, key in enumerate(keys):
            while self.rng.random() < gap:
                dut.lookup_valid_i.value = 0
                await RisingEdge(dut.clk_i)
            dut.lookup_valid_i.value = 1
            dut.lookup_key_i.value = key.word()
            fin, rst = flags[i] if flags else (0, 0)
            dut.lookup_fin_i.value, dut.lookup_rst_i.value = fin, rst
            dut.lookup_ask_i.value = int(asks is not None)
            if asks is not None:
                dut.lookup_backend_i.value, dut.lookup_generation_i.value = asks[i]
                dut.lookup_quota_i.value = quota
            await RisingEdge(dut.clk_i)
            for _ in range(pace - 1):
                dut.lookup_valid_i.value = 0
                await RisingEdge(dut.clk_i)
        dut.lookup_valid_i.value = 0
        await collector
        return results

    def expected(self, key):
        found = self.flows.find(key)
        return (found[1].backend, found[1].generation, found[0]) if found else None

    # ---- commands ----

    async def send(self, word):
        """Hands a command over and waits for its check; the status."""
        dut = self.dut
        dut.command_i.value = word
        dut.command_valid_i.value = 1
        while True:
            await RisingEdge(dut.clk_i)
            if dut.command_ready_o.value:
                break
        dut.command_valid_i.value = 0
        dut.command_i.value = self.rng.getrandbits(512)  # a command is taken at its handshake
        for _ in range(20):
            await RisingEdge(dut.clk_i)
            if dut.command_checked_valid_o.value:
                return STATUS[int(dut.command_checked_status_o.value)]
        raise AssertionError("no check of the command")

    async def done(self, limit=2000):
        """Waits for the command's end; (status, result)."""
        for _ in range(limit):
            await RisingEdge(self.dut.clk_i)
            if self.dut.command_done_valid_o.value:
                return STATUS[int(self.dut.command_done_status_o.value)], int(self.dut.command_done_result_o.value)
        raise AssertionError("the command does not end")

    async def run(self, word, limit=2000):
        """A command without data; (status, result), the check's status with result None when it fails there."""
        status = await self.send(word)
        if status != "ok":
            return status, None
        return await self.done(limit)

    async def write(self, word, beats, idle=0.0, error_at=None):
        """WRITE with its beats; (status, result)."""
        dut = self.dut
        status = await self.send(word)
        if status != "ok":
            return status, None
        ended = cocotb.start_soon(self.done(50 * len(beats) + 100))
        for i, beat in enumerate(beats):
            while self.rng.random() < idle:
                dut.command_wdata_valid_i.value = 0
                await RisingEdge(dut.clk_i)
            dut.command_wdata_valid_i.value = 1
            dut.command_wdata_i.value = beat
            dut.command_wdata_error_i.value = int(i == error_at)
            while True:
                await RisingEdge(dut.clk_i)
                if dut.command_wdata_ready_o.value:
                    break
            if i == error_at:
                break
        dut.command_wdata_valid_i.value = 0
        dut.command_wdata_error_i.value = 0
        return await ended

    async def dump(self, table, index, count, stall=0.0):
        """DUMP; (status, entries, cycles from first to last entry)."""
        dut = self.dut
        status = await self.send(command("dump", table, index=index, count=count))
        if status != "ok":
            return status, None, None
        entries, cycle, first = [], 0, None
        ready = self.rng.random() >= stall
        dut.command_rdata_ready_i.value = int(ready)
        while True:
            await RisingEdge(dut.clk_i)
            cycle += 1
            assert cycle < 200 + 60 * count, "the dump does not end"
            if ready and dut.command_rdata_valid_o.value:
                first = cycle if first is None else first
                entries.append(int(dut.command_rdata_o.value))
                last = int(dut.command_rdata_last_o.value)
                assert last == (len(entries) == count), f"last at entry {len(entries)} of {count}"
                if last:
                    break
            ready = self.rng.random() >= stall
            dut.command_rdata_ready_i.value = int(ready)
        dut.command_rdata_ready_i.value = 0
        status, result = await self.done()
        assert result == count
        return status, entries, cycle - first

    async def insert(self, entry, bank, way, expectation="free"):
        """INSERT on card and model; the status, on which both agree."""
        status, result = await self.run(
            command("insert", key=entry.key, bank=bank, way=way, expectation=expectation, pinned=entry.pinned,
                    confirmed=entry.confirmed, backend=entry.backend, generation=entry.generation)
        )  # fmt: skip
        entry.last_seen, entry.fin, entry.rst = self.time, 0, 0
        expected = self.flows.insert(entry, bank, way, expectation)
        assert (status, result) == (expected, 0), (status, result, expected)
        return status

    async def move(self, key, bank, way, to_bank, to_way):
        status, result = await self.run(command("move", key=key, bank=bank, way=way, to_bank=to_bank, to_way=to_way))
        expected = self.flows.move(key, bank, way, to_bank, to_way)
        assert (status, result) == (expected, 0), (status, result, expected)
        return status

    async def delete(self, key, bank, way):
        status, result = await self.run(command("delete", key=key, bank=bank, way=way))
        expected = self.flows.delete(key, bank, way)
        assert (status, result) == (expected, 0), (status, result, expected)
        return status

    async def check_place(self, place):
        """Compares one place with the model, by DUMP."""
        status, entries, _ = await self.dump("flow", place, 1)
        assert status == "ok"
        assert entries[0] == self.flows.record(place), f"place {place:#x}: {entries[0]:#x}, expected {self.flows.record(place):#x}"

    # ---- the stored words, for faults ----

    def word(self, place):
        bank_way, row = divmod(place, 4096)
        return self.dut.u_table.gen_place[bank_way].gen_way.u_way.memory[row]

    async def store(self, place, value):
        """Puts a stored word in place (bits 0 to 198 data, 199 to 207 SECDED)."""
        self.word(place).value = value
        await RisingEdge(self.dut.clk_i)
        await RisingEdge(self.dut.clk_i)
        assert int(self.word(place).value) == value

    async def flip(self, place, bits):
        await self.store(place, int(self.word(place).value) ^ bits)
