//! The one program of the VM test's guest besides `guideway`: its first process, and its tools.
//!
//! As the first process it mounts what a Linux system has mounted, loads the VFIO modules, and then does what the host asks on
//! the second serial port (`guideway_tests::vm::protocol`). Run by name it is one of the tools that a test needs in there and that
//! no shell is there for.

#![allow(clippy::print_stdout)] // the tools answer there

mod agent;
mod system;
mod tools;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let result = if std::process::id() == 1 {
        system::start().and_then(|()| agent::serve())
    } else {
        tools::Tool::parse().run()
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guideway-vm-guest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
