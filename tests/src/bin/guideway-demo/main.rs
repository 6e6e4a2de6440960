//! `make demo`: a load balancer with real clients, real backends and the real card's RTL on one machine, without root.
//!
//! Owns the roles that the demo's processes play. The network is in `network`, the story in `story`, its end in `report`.
#![allow(clippy::print_stdout)] // a program for a terminal

mod network;
mod process;
mod report;
mod story;

use anyhow::Result;
use clap::{Parser, Subcommand};
use guideway_tests::{datagrams, net, traffic};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Shows Guideway at work: clients, a router, the card (its RTL in a simulator) and four backends, in namespaces of their own.
#[derive(Parser)]
struct Arguments {
    /// Where logs and summary.json go.
    #[arg(long, default_value = "target/demo")]
    out: PathBuf,
    /// Where the binaries are.
    #[arg(long, default_value = "target/release")]
    bin: PathBuf,
    /// Which model of the card.
    #[arg(long, default_value = "rtl")]
    model: String,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// (used by the demo itself) Serve HTTP, and answer datagrams.
    #[command(hide = true)]
    Backend {
        #[arg(long)]
        name: String,
        #[arg(long)]
        pace_ms: u64,
        #[arg(long, required = true)]
        listen: Vec<SocketAddr>,
        #[arg(long)]
        answer: Vec<SocketAddr>,
    },
    /// (used by the demo itself) Send datagrams, and print who has answered as JSON.
    #[command(hide = true)]
    Talk {
        #[arg(long)]
        count: u64,
        #[arg(long)]
        bytes: usize,
        addresses: Vec<SocketAddr>,
    },
    /// (used by the demo itself) Make requests, and print what came of them as JSON.
    #[command(hide = true)]
    Requests {
        #[arg(long)]
        count: u64,
        #[arg(long)]
        parallel: usize,
        urls: Vec<String>,
    },
    /// (used by the demo itself) Download, and print events as JSON lines.
    #[command(hide = true)]
    Downloads {
        #[arg(long)]
        count: u64,
        #[arg(long)]
        first_seed: u64,
        #[arg(long)]
        bytes: u64,
        urls: Vec<String>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments.role {
        None => {
            net::enter_sandbox()?;
            story::tell(&arguments.out, &arguments.bin, &arguments.model)
        }
        Some(Role::Backend {
            name,
            pace_ms,
            listen,
            answer,
        }) => {
            datagrams::serve(&name, &answer)?;
            let pace = Duration::from_millis(pace_ms);
            runtime.block_on(traffic::serve(&name, &listen, pace))
        }
        Some(Role::Talk {
            count,
            bytes,
            addresses,
        }) => {
            let answered = datagrams::talk(&addresses, count, bytes)?;
            println!("{}", serde_json::to_string(&answered)?);
            Ok(())
        }
        Some(Role::Requests {
            count,
            parallel,
            urls,
        }) => {
            let requests = runtime.block_on(traffic::request(&urls, count, parallel))?;
            println!("{}", serde_json::to_string(&requests)?);
            Ok(())
        }
        Some(Role::Downloads {
            count,
            first_seed,
            bytes,
            urls,
        }) => {
            let jobs = urls
                .iter()
                .cycle()
                .cloned()
                .zip(first_seed..first_seed + count)
                .collect();
            let report = |event: traffic::Download| {
                if let Ok(line) = serde_json::to_string(&event) {
                    println!("{line}");
                }
            };
            runtime.block_on(traffic::download_all(jobs, bytes, report))
        }
    }
}
