"""What `make synth` and `make fmax` share: the sources of a build, and how yosys is run on them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RTL = ROOT / "hdl-bindings" / "rtl"
BENCH = ROOT / "target" / "bench"
# In a process of its own: yosys ends the process at an error.
NATIVE_YOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass(f'script {sys.argv[1]}', libyosys.Design())"


def program(name: str) -> Path:
    """A program of the Python tools' environment."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise SystemExit(f"{name} is not installed beside {sys.executable}: `make synth` and `make fmax` install what they need")
    return path


def run(command: list, log: Path, what: str) -> str:
    """Runs a tool with its output in `log`; returns that output."""
    print(f"{what} (log: {log.relative_to(ROOT)})", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        status = subprocess.run([str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT).returncode
    text = log.read_text(errors="replace")
    if status != 0:
        why = [line for line in text.splitlines() if "ERROR" in line or "error:" in line] or text.splitlines()[-3:]
        raise SystemExit("\n".join([f"{what}: {Path(command[0]).name} ended with status {status}:", *why[:10], f"the whole log is {log}"]))
    return text


def sources(build: str, work: Path) -> list:
    """The card's sources, packages first, with the layout package of `build` (a name in hdl-bindings/src/sizes.rs)."""
    layout = work / "gw_layout_pkg.sv"
    layout.parent.mkdir(parents=True, exist_ok=True)
    text = subprocess.run(["cargo", "run", "-q", "--release", "--locked", "-p", "guideway-hdl", "--example", "layout_package", build],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if text.returncode != 0:
        raise SystemExit(f"no layout package for the build `{build}`: what cargo says is above")
    layout.write_text(text.stdout)
    packages = [RTL / "gw_pkg.sv", RTL / "gen" / "gw_core_regs_pkg.sv", RTL / "gen" / "gw_card_regs_pkg.sv"]
    modules = sorted(path for path in RTL.rglob("*.sv") if not path.name.endswith("_pkg.sv"))
    return [layout, *packages, *modules]


def yosys(script: list, work: Path, name: str, what: str) -> str:
    """Runs a yosys script, natively: the card whole is long work for yosys as WebAssembly. Paths in it are relative to the repository."""
    if importlib.util.find_spec("pyosys") is None:
        raise SystemExit(f"pyosys is not installed beside {sys.executable}: `make synth` and `make fmax` install it")
    path = work / f"{name}.ys"
    path.write_text("\n".join(script) + "\n")
    return run([sys.executable, "-c", NATIVE_YOSYS, path.relative_to(ROOT)], work / f"{name}.log", what)


def read(top: str, files: list, defines: tuple = ()) -> str:
    """The line that reads a design. Each instance becomes a module of its own, `gw_x$path.of.instance`."""
    flags = " ".join(f"-D {define}" for define in defines)
    return f"read_slang --threads 1 --keep-hierarchy {flags} --top {top} " + " ".join(str(path.relative_to(ROOT)) for path in files)
