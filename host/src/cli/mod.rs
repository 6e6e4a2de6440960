//! The command line.
//!
//! Owns the commands' names and arguments; what each does stands in its own file. Tables have `--json` beside them, errors say
//! what to do next.

mod check;
mod decap;
mod device;
mod replay;
mod run;
mod table;
mod trace;
mod trace_filter;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Layer-4 load balancer whose data path is a SmartNIC.
#[derive(Debug, Parser)]
#[command(name = "guideway", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate a configuration and print what it would program into the card.
    Check(check::Check),
    /// Build Maglev tables.
    #[command(subcommand)]
    Table(table::Table),
    /// Take the card over or program it, and serve it.
    Run(run::Run),
    /// Play a capture through a card of one's own.
    Replay(replay::ReplayCommand),
    /// Print what a running daemon does.
    Status(run::Status),
    /// Watch packets on their way through a running daemon's card.
    Trace(trace::Trace),
    /// Find cards, look at them, give them to guideway and back.
    #[command(subcommand)]
    Device(device::Device),
    /// The backend's end of the tunnel, where the kernel has none.
    Decap(decap::Decap),
}

/// The configuration file.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl ConfigFile {
    fn read(&self) -> anyhow::Result<crate::config::Config> {
        Ok(crate::config::Config::read(&self.config)?)
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("GUIDEWAY_LOG")
        .unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let result = match cli.command {
        Command::Check(command) => command.run(),
        Command::Table(table::Table::Build(command)) => command.run(),
        Command::Run(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Trace(command) => command.run(),
        Command::Device(command) => command.run(),
        Command::Decap(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guideway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output; a closed pipe is no error (`guideway check | head`).
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// A table in the house style: no frame, columns by two spaces, numbers to the right.
fn house_table(header: &[&str], numbers: &[usize]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(header.to_vec());
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&i) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    table
}
