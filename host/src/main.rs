//! The `guideway` binary: see `guideway --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    guideway::cli::main()
}
