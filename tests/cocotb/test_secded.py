"""gw_secded against the code as CARD.md 7 defines it: generation, every single wrong bit, every pair."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from flow_model import DATA_BITS, ECC_BITS, POSITIONS, secded

TOP = "gw_secded"
WORD_BITS = DATA_BITS + ECC_BITS


async def stream(dut, words):
    """One word a cycle through the check; (data, corrected, uncorrectable, flipped, flip) each."""
    cocotb.start_soon(Clock(dut.clk_i, 2, "ns").start())
    results, codes = [], []
    for i in range(len(words) + 3):
        word = words[i] if i < len(words) else 0
        dut.valid_i.value = int(i < len(words))
        dut.data_i.value = word & (1 << DATA_BITS) - 1
        dut.ecc_i.value = word >> DATA_BITS
        await RisingEdge(dut.clk_i)
        # At this edge the word is taken; what is visible belongs to the words before it.
        if 1 <= i <= len(words):
            codes.append(int(dut.ecc_o.value))
        if 2 <= i <= len(words) + 1:
            flags = [int(signal.value) for signal in (dut.corrected_o, dut.uncorrectable_o, dut.flipped_o, dut.position_o)]
            results.append((int(dut.data_o.value), *flags))
    return codes, results


def random_words(count):
    words = [0, (1 << DATA_BITS) - 1, *(1 << i for i in range(DATA_BITS))]
    return words + [random.getrandbits(DATA_BITS) for _ in range(count)]


@cocotb.test()
async def generates_the_specified_code(dut):
    words = random_words(1000)
    codes, _ = await stream(dut, words)
    assert codes == [secded(word) for word in words]


@cocotb.test()
async def a_whole_word_passes(dut):
    words = random_words(1000)
    codes, results = await stream(dut, [word | secded(word) << DATA_BITS for word in words])
    assert set(codes) == {0}
    assert [result[:3] for result in results] == [(word, 0, 0) for word in words]


@cocotb.test()
async def every_wrong_bit_is_corrected(dut):
    cases = [(data, bit) for data in (0, random.getrandbits(DATA_BITS), random.getrandbits(DATA_BITS)) for bit in range(WORD_BITS)]
    _, results = await stream(dut, [(data | secded(data) << DATA_BITS) ^ 1 << bit for data, bit in cases])
    for (data, bit), (shown, corrected, uncorrectable, flipped, position) in zip(cases, results, strict=True):
        assert (shown, corrected, uncorrectable, flipped) == (data, 1, 0, int(bit < DATA_BITS)), bit
        assert bit >= DATA_BITS or position == POSITIONS[bit]


@cocotb.test()
async def every_pair_of_wrong_bits_is_detected(dut):
    data = random.getrandbits(DATA_BITS)
    word = data | secded(data) << DATA_BITS
    _, results = await stream(dut, [word ^ 1 << i ^ 1 << j for i in range(WORD_BITS) for j in range(i)])
    assert len(results) == WORD_BITS * (WORD_BITS - 1) // 2
    assert {result[1:3] for result in results} == {(0, 1)}
