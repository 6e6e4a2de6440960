"""What the card takes of an UltraScale+ FPGA: `python hdl-bindings/synth/synth.py [--build u55c] [--top gw_card]`.

Two runs of yosys: one keeps the stations apart, for what each takes; one is flat, for the totals. The table is printed and, with all
memories and what they became, written to target/bench/synth.json, after each of the two. A memory in registers that should be a RAM is an
error.
"""

import argparse
import json
import re
import time

from pathlib import Path

from tools import BENCH, ROOT, read, sources, yosys

# Alveo U55C (XCU55C): AMD DS978, table "Alveo U55C product details".
U55C = {"lut": 1_303_680, "ff": 2_607_360, "uram": 960, "bram36": 2_016, "dsp": 9_024}
# A memory of fewer words may become registers: pipelines are written as arrays too.
REGISTER_WORDS = 16
# Memories that are registers by design.
REGISTERS = {
    "flow_learn.recent.row_q": "all its rows are compared in one cycle",
    "flow_learn.recent.until_q": "two of its words are written in one cycle",
}
COLUMNS = ("lut", "ff", "carry8", "lutram", "bram36", "uram", "dsp")
# Modules that stay apart from the one around them: stations, and what is large in them.
KEPT = """gw_core gw_control gw_command gw_clear gw_intake gw_ingress gw_payload_ring gw_ip_sum gw_sum_ring gw_window_arbiter gw_decide
gw_parse gw_vip_lookup gw_vip_match_table gw_vip_prefix_table gw_flow_hash gw_flow_lookup gw_flow_table gw_flow_learn gw_flow_command
gw_flow_stamp gw_ring_lookup gw_ring_table gw_backend gw_verdict gw_meter gw_quic gw_encap gw_admit gw_egress gw_host_queue gw_counters
gw_trace gw_rx_ring gw_tx_ring gw_command_ring gw_record_ring gw_dma_read gw_dma_write gw_msix""".split()


def resources(cells: dict) -> dict:
    """Counts of primitives as the resources of the device. LUT includes those used as RAM or shift register."""
    total = dict.fromkeys(COLUMNS, 0)
    lutram = {"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
              "RAM32X16DR8": 8, "RAM64X8SW": 8, "RAM512X1S": 8, "RAM256X1S": 4, "RAM128X1S": 2, "RAM64X1S": 1, "RAM32X1S": 1,
              "SRL16E": 1, "SRLC32E": 1}
    for cell, count in cells.items():
        if re.fullmatch(r"LUT[1-6]|INV", cell):
            total["lut"] += count
        elif re.fullmatch(r"FD[RSCP]E(_1)?", cell):
            total["ff"] += count
        elif cell in lutram:
            total["lutram"] += count * lutram[cell]
            total["lut"] += count * lutram[cell]
        elif cell == "CARRY8":
            total["carry8"] += count
        elif cell == "CARRY4":
            total["carry8"] += count / 2
        elif cell == "RAMB36E2":
            total["bram36"] += count
        elif cell == "RAMB18E2":
            total["bram36"] += count / 2
        elif cell.startswith("URAM288"):
            total["uram"] += count
        elif cell == "DSP48E2":
            total["dsp"] += count
    return total


def memories(log: str, found: Path) -> list:
    """Each memory: its words, their bits, and what it became."""
    became = {match[2].replace("\\", ""): match[3] or "registers"
              for match in re.finditer(r"^(mapping|using FF mapping for) memory (\S+)(?: via (\S+))?", log, re.MULTILINE)}
    out = []
    for name, module in json.loads(found.read_text())["modules"].items():
        for cell in module["cells"].values():
            memory = cell["parameters"]["MEMID"].lstrip("\\")
            kind = became.get(f"{name}.{memory}", "unknown").strip("$_").lower()
            out.append({"memory": f"{station(name)}.{memory.replace('u_', '')}", "words": int(cell["parameters"]["SIZE"], 2),
                        "bits": int(cell["parameters"]["WIDTH"], 2), "as": kind.removeprefix("xilinx_")})
    return sorted(out, key=lambda memory: -memory["words"] * memory["bits"])


def station(name: str) -> str:
    """`gw_x$gw_card.u_core.u_x` as `core.x`."""
    path = name.lstrip("\\").partition("$")[2]
    return ".".join(part.removeprefix("u_") for part in path.split(".")[1:]) or name.lstrip("\\")


def synthesize(top: str, files: list, work, flat: bool, build: str) -> tuple[dict, str]:
    """Runs yosys; returns the cells of each module, and its log."""
    name = "flat" if flat else "stations"
    keep = [] if flat else ["setattr -mod -set keep_hierarchy 1 " + " ".join(f"{module}$*" for module in KEPT)]
    stat = work / f"{name}.json"
    flow = f"synth_xilinx -family xcup -uram -flatten -abc9 -top {top} -run"
    log = yosys([read(top, files), *keep, f"{flow} begin:map_memory", "select t:$mem_v2", f"write_json -selected {(work / 'memories.json').relative_to(ROOT)}",
                 "select -clear", f"{flow} map_memory:", f"tee -q -o {stat.relative_to(ROOT)} stat -json"], work, name,
                f"synth: {top} of build {build}, {'flat, for the totals' if flat else 'station by station'}")
    return {module: {cell: count for cell, count in stats["num_cells_by_type"].items()}
            for module, stats in json.loads(stat.read_text())["modules"].items()}, log


def table(rows: list, totals: dict) -> None:
    """Prints a line a module, and the totals against the device."""
    def line(name, values):
        print(f"{name:<44}" + "".join(f"{values[column]:>10,.{int(values[column] % 1 != 0)}f}" for column in COLUMNS))

    print(f"{'module (without the modules below it)':<44}" + "".join(f"{column.upper():>10}" for column in COLUMNS))
    for row in rows:
        line(row["module"], row)
    for name, values in totals.items():
        line(f"total, {name}", values)
        print(f"{'of a U55C':<44}" + "".join(f"{100 * values[column] / U55C[column]:>9.1f}%" if column in U55C else " " * 10 for column in COLUMNS))
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="u55c", help="sizes: a name in hdl-bindings/src/sizes.rs")
    parser.add_argument("--top", default="gw_card")
    options = parser.parse_args()
    work, start = ROOT / "target" / "synth" / options.build, time.monotonic()
    files = sources(options.build, work)
    BENCH.mkdir(parents=True, exist_ok=True)
    out = BENCH / "synth.json"

    modules, log = synthesize(options.top, files, work, False, options.build)
    rows = []
    for module, cells in sorted(modules.items(), key=lambda item: station(item[0])):
        values = resources(cells)
        if any(values.values()):
            rows.append({"module": station(module), **values})
    mapped = memories(log, work / "memories.json")
    # Also of the first run alone there is a result: the second is the longer one.
    totals = {"stations": {column: sum(row[column] for row in rows) for column in COLUMNS}}
    for last in (False, True):
        if last:
            flat, _ = synthesize(options.top, files, work, True, options.build)
            totals["flat"] = resources(flat[f"\\{options.top}" if f"\\{options.top}" in flat else options.top])
        table(rows if not last else [], totals)
        out.write_text(json.dumps({"build": options.build, "top": options.top, "device": "xcu55c", "device_resources": U55C, "totals": totals,
                                   "modules": rows, "memories": mapped}, indent=1) + "\n")
    print(f"synth: {time.monotonic() - start:.0f} s, {out.relative_to(ROOT)}")
    lost = [memory for memory in mapped
            if memory["as"] == "registers" and memory["words"] >= REGISTER_WORDS and not memory["memory"].endswith(tuple(REGISTERS))]
    if lost:
        raise SystemExit("\n".join(["synth: memories in registers; write their read and write ports so that a RAM has them:",
                                    *(f"  {memory['memory']}: {memory['words']} x {memory['bits']}" for memory in lost)]))


if __name__ == "__main__":
    main()
