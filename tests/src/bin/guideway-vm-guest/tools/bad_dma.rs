//! A card whose commands name memory that is not mapped: each fails with `dma_error`, and the next good one works.

use std::sync::Arc;

use anyhow::{Result, ensure};
use guideway::card::{Card, CardOptions};
use guideway::device::{DmaRegion, PciAddress};
use guideway_hdl::descriptors::{Command, Opcode, Status};
use guideway_hdl::tables::Table;
use serde_json::json;

/// Within what every IOMMU can translate, and far above what a host of this size maps.
const NEVER_MAPPED: u64 = 0x60_0000_0000;
/// Where messages are interrupts (Intel VT-d 3.14): no memory, whatever the tables say.
const INTERRUPTS: u64 = 0xfee0_0000;
/// A table that a test may overwrite on a card without a configuration, and its entries.
const SCRATCH_TABLE: (Table, u32) = (Table::NextHop, 4);

pub fn reach(address: PciAddress) -> Result<()> {
    let device = super::open(address)?;
    let card = Card::open(Arc::clone(&device), CardOptions::default())?;
    let mut failed = 0;
    let mut refuse = |what: &str, opcode: Opcode, address: u64| -> Result<()> {
        let status = run(&card, opcode, address)?;
        ensure!(
            status == Status::DmaError,
            "{what} at {address:#x} ended with {status:?}"
        );
        failed += 1;
        // nothing else is hurt: the next command, with memory that is there
        card.fence()?;
        card.read_next_hops()?;
        Ok(())
    };
    refuse("a read", Opcode::Write, NEVER_MAPPED)?;
    refuse("a write", Opcode::Dump, NEVER_MAPPED)?;
    refuse(
        "a write into the interrupts' window",
        Opcode::Dump,
        INTERRUPTS,
    )?;
    let region = DmaRegion::new(&device, "soon gone", 4096)?;
    let once = region.iova();
    ensure!(
        run(&card, Opcode::Dump, once)? == Status::Ok,
        "{once:#x} is mapped, and yet cannot be written"
    );
    drop(region);
    refuse("a write into memory that was mapped", Opcode::Dump, once)?;
    refuse("a read of memory that was mapped", Opcode::Write, once)?;
    println!("{}", json!({"failed": failed}));
    Ok(())
}

fn run(card: &Card, opcode: Opcode, address: u64) -> Result<Status> {
    let (table, count) = SCRATCH_TABLE;
    let command = Command {
        opcode: opcode.raw(),
        table_id: table.raw(),
        count,
        address,
        ..Command::default()
    };
    Ok(card.run(&[command])?[0].status)
}
