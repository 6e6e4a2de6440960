//! `guideway table`: Maglev tables as files, to compare nodes.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::{ConfigFile, print};
use crate::maglev::{Ring, hex};

/// Build Maglev tables.
#[derive(Debug, Subcommand)]
pub enum Table {
    /// Write a pool's ring as little-endian u32 positions in the configuration's order (0xffffffff: nobody's slot).
    Build(Build),
}

/// Build a pool's ring.
#[derive(Debug, Args)]
pub struct Build {
    #[command(flatten)]
    config: ConfigFile,
    /// The pool.
    #[arg(long, value_name = "NAME")]
    pool: String,
    /// Where to write the ring.
    #[arg(long, value_name = "FILE", required_unless_present = "digest")]
    out: Option<PathBuf>,
    /// Print the SHA-256 over the slots' addresses (16 bytes each, IPv4 as ::ffff:a.b.c.d): equal on nodes that agree, whatever the
    /// order in their files.
    #[arg(long)]
    digest: bool,
}

impl Build {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let config = self.config.read()?;
        let Some(pool) = config.pool(&self.pool) else {
            let names: Vec<&str> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
            bail!(
                "{} has no pool {:?}; it has: {}",
                self.config.config.display(),
                self.pool,
                names.join(", ")
            );
        };
        let members = pool.members();
        let ring = Ring::build(pool.table, pool.table_size, &members);
        if let Some(out) = &self.out {
            let bytes: Vec<u8> = ring
                .slots()
                .iter()
                .flat_map(|slot| slot.to_le_bytes())
                .collect();
            std::fs::write(out, bytes)
                .with_context(|| format!("{}: writing the ring", out.display()))?;
        }
        if self.digest {
            print(&hex(&ring.digest(&members)))
        } else {
            Ok(())
        }
    }
}
