//! Whole entries between host and card: WRITE, DUMP, DIGEST, through the command ring's staging memory.

use std::sync::PoisonError;

use guideway_hdl::descriptors::{Command, Opcode, RING_ENTRY_BYTES};
use guideway_hdl::tables::{BANKS, QUIC_ID_ROWS, Table, VIP_MATCH_ROWS, VIP_PREFIXES};

use super::{Card, CardError};

impl Card {
    /// Entries of a table on this card (of [`Table::Ring`]: beats of 32 slots).
    #[must_use]
    pub fn entries(&self, table: Table) -> u32 {
        let sizes = self.sizes();
        match table {
            Table::VipMatch => (BANKS * VIP_MATCH_ROWS) as u32,
            Table::VipPrefix => VIP_PREFIXES as u32,
            Table::QuicId => (BANKS * QUIC_ID_ROWS) as u32,
            Table::Vip | Table::VipCounter | Table::VipOverMeter => sizes.vips,
            Table::Pool => sizes.pools,
            Table::Ring => sizes.ring_slots / guideway_hdl::tables::RING_SLOTS_PER_BEAT as u32,
            Table::Backend | Table::BackendCounter => sizes.backends,
            Table::NextHop => sizes.next_hops,
            Table::Flow => sizes.flows,
            Table::Counter => Table::Counter.entries() as u32,
        }
    }

    fn check_range(&self, table: Table, index: u32, count: usize) -> Result<(), CardError> {
        let (end, size) = (
            u64::from(index) + count as u64,
            u64::from(self.entries(table)),
        );
        if end <= size {
            return Ok(());
        }
        Err(CardError::OutOfRange {
            what: table.name(),
            index: end - 1,
            size,
        })
    }

    /// Writes one entry from its layout's words.
    ///
    /// # Errors
    /// When the index is beyond the table, or the card cannot be reached.
    pub fn write_entry(&self, table: Table, index: u32, words: &[u32]) -> Result<(), CardError> {
        let mut beat = [0; 16];
        beat[..words.len()].copy_from_slice(words);
        self.write(table, index, &[beat])
    }

    /// Writes entries from `index` on, one 64-byte beat each. Every entry changes in a single cycle of the card; all of them do not.
    ///
    /// # Errors
    /// When they exceed the table, or the card cannot be reached.
    pub fn write(&self, table: Table, index: u32, beats: &[[u32; 16]]) -> Result<(), CardError> {
        self.check_range(table, index, beats.len())?;
        let mut ring = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut index, room) = (index, ring.staging_entries());
        for part in beats.chunks(room) {
            for (i, beat) in part.iter().enumerate() {
                ring.staging().write_entry(i * RING_ENTRY_BYTES, beat);
            }
            let command = transfer(Opcode::Write, table, index, part.len(), ring.staging_iova());
            ring.run(&[command])?
                .first()
                .map_or(Ok(0), |outcome| outcome.ok(&command))?;
            index += command.count;
        }
        Ok(())
    }

    /// Writes entries and compares the card's digest of them with the host's.
    ///
    /// # Errors
    /// As [`Card::write`]; [`CardError::Digest`] when the card holds something else.
    pub fn write_verified(
        &self,
        table: Table,
        index: u32,
        beats: &[[u32; 16]],
    ) -> Result<(), CardError> {
        self.write(table, index, beats)?;
        let count = u32::try_from(beats.len()).unwrap_or(u32::MAX);
        let (card, host) = (self.digest(table, index, count)?, digest_of(beats));
        if card == host {
            Ok(())
        } else {
            Err(CardError::Digest {
                table,
                index,
                card,
                host,
            })
        }
    }

    /// Reads `count` entries from `index` on, one 64-byte beat each.
    ///
    /// # Errors
    /// When they exceed the table, or the card cannot be reached.
    pub fn dump(&self, table: Table, index: u32, count: u32) -> Result<Vec<[u32; 16]>, CardError> {
        self.check_range(table, index, count as usize)?;
        let mut ring = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let mut beats = Vec::with_capacity(count as usize);
        while beats.len() < count as usize {
            let part = ring.staging_entries().min(count as usize - beats.len());
            // Both are below the table's size.
            let first = index + beats.len() as u32;
            let command = transfer(Opcode::Dump, table, first, part, ring.staging_iova());
            ring.run(&[command])?
                .first()
                .map_or(Ok(0), |outcome| outcome.ok(&command))?;
            beats.extend((0..part).map(|i| ring.staging().read_words::<16>(i * RING_ENTRY_BYTES)));
        }
        Ok(beats)
    }

    /// Reads the entries at `indices`, wherever they are: at most what the staging memory holds, 8,192.
    ///
    /// # Errors
    /// When one exceeds the table, or the card cannot be reached.
    pub fn dump_each(&self, table: Table, indices: &[u32]) -> Result<Vec<[u32; 16]>, CardError> {
        for &index in indices {
            self.check_range(table, index, 1)?;
        }
        let mut ring = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let indices = &indices[..indices.len().min(ring.staging_entries())];
        let addresses = (ring.staging_iova()..).step_by(RING_ENTRY_BYTES);
        let commands: Vec<Command> = (indices.iter().zip(addresses))
            .map(|(&index, address)| transfer(Opcode::Dump, table, index, 1, address))
            .collect();
        for (command, outcome) in commands.iter().zip(ring.run(&commands)?) {
            outcome.ok(command)?;
        }
        Ok((0..indices.len())
            .map(|i| ring.staging().read_words::<16>(i * RING_ENTRY_BYTES))
            .collect())
    }

    /// Reads a whole table as its layout.
    pub(super) fn dump_entries<E, const N: usize>(
        &self,
        table: Table,
        read: impl Fn(&[u32; N]) -> E,
    ) -> Result<Vec<E>, CardError> {
        let beats = self.dump(table, 0, self.entries(table))?;
        Ok(beats
            .iter()
            .map(|beat| read(&std::array::from_fn(|i| beat[i])))
            .collect())
    }

    /// Whether the tables that decide about packets are as after a card reset.
    ///
    /// # Errors
    /// When the card cannot be reached.
    pub fn is_blank(&self) -> Result<bool, CardError> {
        for table in [
            Table::VipMatch,
            Table::VipPrefix,
            Table::Vip,
            Table::Pool,
            Table::Backend,
        ] {
            let beats = self.dump(table, 0, self.entries(table))?;
            if beats.iter().any(|beat| *beat != [0; 16]) {
                return Ok(false);
            }
        }
        self.has_no_quic_ids()
    }

    /// The card's CRC-32 over `count` entries as [`Card::dump`] would read them.
    ///
    /// # Errors
    /// When they exceed the table, or the card cannot be reached.
    pub fn digest(&self, table: Table, index: u32, count: u32) -> Result<u32, CardError> {
        self.check_range(table, index, count as usize)?;
        self.run_one(&Command {
            opcode: Opcode::Digest.raw(),
            table_id: table.raw(),
            index,
            count,
            ..Command::default()
        })
    }
}

fn transfer(opcode: Opcode, table: Table, index: u32, count: usize, address: u64) -> Command {
    Command {
        opcode: opcode.raw(),
        table_id: table.raw(),
        index,
        // At most the staging memory's entries.
        count: u32::try_from(count).unwrap_or(u32::MAX),
        address,
        ..Command::default()
    }
}

/// The CRC-32 that the card computes over these beats.
#[must_use]
pub fn digest_of(beats: &[[u32; 16]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for beat in beats {
        for word in beat {
            hasher.update(&word.to_le_bytes());
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_zlib_s_over_little_endian_words() {
        // zlib.crc32(bytes(range(64)) + bytes(64))
        let first =
            std::array::from_fn(|i| u32::from_le_bytes([0, 1, 2, 3].map(|b| (i * 4 + b) as u8)));
        assert_eq!(digest_of(&[first, [0; 16]]), 0x0b67_a87e);
        assert_eq!(digest_of(&[]), 0);
    }
}
