//! Verilates `gw_card` and compiles it with its shim into a static library, which is kept under the hash of everything that
//! goes into it: RTL, flags, tools, shim. The same sources never compile twice, whatever profile or target folder asks.

use sha2::{Digest, Sha256};
use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const TOP: &str = "gw_card";
const FLAGS: &[&str] = &[
    "--cc",
    "-O3",
    "--assert",
    "--trace-fst",
    "--output-split",
    "12000",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "-Wno-fatal",
    "--prefix",
    "Vgw_card",
];
const LIBRARY: &str = "guideway_rtl";
/// For what runs every cycle: a quarter faster than gcc's code, as it is smaller and a cycle runs through most of it.
const COMPILER: &str = "clang++";

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = manifest.join("../..").canonicalize()?;
    let rtl = workspace.join("hdl-bindings/rtl");
    println!("cargo:rerun-if-changed={}", rtl.display());
    println!("cargo:rerun-if-changed=src/shim.cpp");
    println!("cargo:rerun-if-env-changed=VERILATOR_ROOT");
    println!("cargo:rerun-if-env-changed=CXX");

    let verilator = verilator_root(&workspace)?;
    let sources = sources(&rtl)?;
    let shim = manifest.join("src/shim.cpp");
    let (program, version) = compiler_program()?;
    let hash = hash(&sources, &shim, &verilator, &version)?;
    let cache = workspace.join("target/rtl-model").join(&hash[..16]);
    let library = cache.join(format!("lib{LIBRARY}.a"));
    if !library.exists() {
        build(&cache, &verilator, &program, &rtl, &sources, &shim)?;
    }
    println!("cargo:rustc-link-search=native={}", cache.display());
    println!("cargo:rustc-link-lib=static={LIBRARY}");
    for library in ["stdc++", "z", "lz4"] {
        println!("cargo:rustc-link-lib={library}");
    }
    println!("cargo:rustc-env=GUIDEWAY_RTL_HASH={hash}");
    Ok(())
}

/// `VERILATOR_ROOT`, or the one that `make deps` installed.
fn verilator_root(workspace: &Path) -> Result<PathBuf, Box<dyn Error>> {
    if let Some(root) = env::var_os("VERILATOR_ROOT") {
        return Ok(root.into());
    }
    let lib = workspace.join(".deps/venv/lib");
    let found = fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("site-packages/verilator"))
        .find(|root| root.join("bin/verilator_bin").exists());
    found.ok_or_else(|| "Verilator is missing: run `make deps`, or set VERILATOR_ROOT".into())
}

/// The model's C++ compiler, `CXX` or the one that `make deps` installed, and what it says of its version.
fn compiler_program() -> Result<(PathBuf, Vec<u8>), Box<dyn Error>> {
    let program = PathBuf::from(env::var_os("CXX").unwrap_or_else(|| COMPILER.into()));
    let version = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|e| format!("{}: {e}: run `make deps`, or set CXX", program.display()))?;
    Ok((program, version.stdout))
}

/// Every RTL file, packages first, then by path.
fn sources(rtl: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    let mut folders = vec![rtl.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "sv" || e == "vlt") {
                files.push(path);
            }
        }
    }
    let rank = |path: &Path| {
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let rank = match name.as_str() {
            n if n.ends_with(".vlt") => 0,
            "gw_layout_pkg.sv" => 1,
            "gw_pkg.sv" => 2,
            n if n.ends_with("_pkg.sv") => 3,
            _ => 4,
        };
        (rank, name)
    };
    files.sort_by_key(|path| rank(path));
    Ok(files)
}

fn hash(
    sources: &[PathBuf],
    shim: &Path,
    verilator: &Path,
    compiler: &[u8],
) -> Result<String, Box<dyn Error>> {
    let mut hash = Sha256::new();
    for flag in FLAGS {
        hash.update(flag.as_bytes());
    }
    hash.update(fs::read(verilator.join("bin/verilator_bin"))?);
    hash.update(compiler);
    hash.update(fs::read(shim)?);
    hash.update(fs::read("build.rs")?);
    for source in sources {
        hash.update(
            source
                .file_name()
                .map(|n| n.as_encoded_bytes().to_vec())
                .unwrap_or_default(),
        );
        hash.update(fs::read(source)?);
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn build(
    cache: &Path,
    verilator: &Path,
    program: &Path,
    rtl: &Path,
    sources: &[PathBuf],
    shim: &Path,
) -> Result<(), Box<dyn Error>> {
    // built in OUT_DIR and moved whole, so that two builds at once, or a broken one, leave no half library behind
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let generated = out.join("verilated");
    let _ = fs::remove_dir_all(&generated);
    let status = Command::new(verilator.join("bin/verilator_bin"))
        .env("VERILATOR_ROOT", verilator)
        .args(FLAGS)
        .arg(format!("-I{}", rtl.display()))
        .args(["--top-module", TOP, "--Mdir"])
        .arg(&generated)
        .args(sources)
        .status()
        .map_err(|e| format!("{}: {e}", verilator.display()))?;
    if !status.success() {
        return Err(format!("Verilator refused the RTL ({status})").into());
    }
    compile(program, &generated, &verilator.join("include"), shim)?;
    fs::create_dir_all(cache)?;
    let library = format!("lib{LIBRARY}.a");
    let partial = cache.join(format!("{library}.{}", std::process::id()));
    fs::copy(out.join(&library), &partial)?;
    fs::rename(&partial, cache.join(&library))?;
    Ok(())
}

/// What runs every cycle is optimised; constructors, initialisation and waveform declarations, which run once and are as
/// long again, are not.
fn compile(
    program: &Path,
    generated: &Path,
    include: &Path,
    shim: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut once = compiler(generated, include, 0);
    let mut every_cycle = compiler(generated, include, 2);
    every_cycle.compiler(program).file(shim);
    every_cycle.flag_if_supported("-fbracket-depth=4096"); // the model's expressions are deep
    // Verilator's own library; clang's would need libatomic.
    let mut library = compiler(generated, include, 2);
    let mut once_sources = Vec::new();
    let mut every_cycle_sources = Vec::new();
    for entry in fs::read_dir(generated)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !name.ends_with(".cpp") || name.contains("_vm_classes_") {
            continue; // `vm_classes` only include the others
        }
        if name.contains("__Slow") || name.contains("__Trace") {
            once_sources.push(path);
        } else {
            every_cycle_sources.push(path);
        }
    }
    once.files(join(generated, "once", once_sources, 3)?);
    every_cycle.files(join(generated, "every_cycle", every_cycle_sources, 4)?);
    for file in [
        "verilated.cpp",
        "verilated_threads.cpp",
        "verilated_fst_c.cpp",
    ] {
        library.file(include.join(file));
    }
    let fst = include.join("fstcpp");
    if fst.exists() {
        library.include(&fst);
        for file in ["fstcpp_writer.cpp", "fstcpp_variable_info.cpp"] {
            library.file(fst.join(file));
        }
    }
    library.objects(every_cycle.try_compile_intermediates()?);
    library.objects(once.try_compile_intermediates()?);
    library.try_compile(LIBRARY)?;
    Ok(())
}

/// Gathers sources in `units` files of about the same length: the model's headers take the compiler longer than most sources.
fn join(
    generated: &Path,
    name: &str,
    sources: Vec<PathBuf>,
    units: usize,
) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut sized = sources
        .into_iter()
        .map(|path| Ok((fs::metadata(&path)?.len(), path)))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    sized.sort_by(|a, b| b.cmp(a));
    let mut joined = vec![(0, String::new()); units];
    for (length, path) in sized {
        let Some(shortest) = joined.iter_mut().min_by_key(|(length, _)| *length) else {
            return Err("no unit to gather sources in".into());
        };
        shortest.0 += length;
        shortest.1 += &format!("#include \"{}\"\n", path.display());
    }
    joined
        .into_iter()
        .enumerate()
        .map(|(number, (_, text))| {
            let path = generated.join(format!("{name}_{number}.cc"));
            fs::write(&path, text)?;
            Ok(path)
        })
        .collect()
}

fn compiler(generated: &Path, include: &Path, level: u32) -> cc::Build {
    let mut compiler = cc::Build::new();
    compiler
        .cpp(true)
        .std("c++17")
        .opt_level(level)
        .debug(false)
        .warnings(false)
        .cargo_metadata(false)
        .flag_if_supported("-fno-strict-aliasing")
        .include(generated)
        .include(include)
        .include(include.join("vltstd"))
        .include(include.join("gtkwave"))
        .define("VM_TRACE", "1")
        .define("VM_TRACE_FST", "1")
        .define("VM_COVERAGE", "0")
        .define("VM_SC", "0")
        .define("VL_TIME_CONTEXT", None)
        .define("VL_USER_FATAL", None);
    compiler
}
