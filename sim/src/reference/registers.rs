//! The packet path's registers: what the host wrote, and the configuration that it means.

use guideway_hdl::layout::{get, put};
use guideway_hdl::tables::{BANKS, GUE_PORT, SECRET_WORDS};

use super::reply::Reply;
use super::token_bucket::Limit;
use crate::registers::core as at;

/// What registers and rings give the path when it decides a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The node's MAC address.
    pub mac: [u8; 6],
    /// Drop unicast frames for other addresses.
    pub mac_filter: bool,
    /// Drop frames for no VIP.
    pub unmatched_drop: bool,
    /// Misses go by the ring whatever the VIP's policy.
    pub compute_only: bool,
    /// The heartbeat runs and the miss queue is enabled.
    pub host_alive: bool,
    /// Prefix of IPIP's outer IPv4 source.
    pub ipip_source_v4: u32,
    /// Prefix of IPIP's outer IPv6 source.
    pub ipip_source_v6: u128,
    /// Outer IPv4 source of GRE and GUE.
    pub source_v4: u32,
    /// Outer IPv6 source of GRE and GUE.
    pub source_v6: u128,
    /// Outer destination port of GUE.
    pub gue_port: u16,
    /// Bytes of a QUIC-LB server id, four bits a rotation.
    pub quic_lb: u32,
    /// Clients are told that a packet is too big.
    pub tells_too_big: bool,
    /// VIPs answer echo requests.
    pub answers_echo: bool,
    /// The banks' secrets.
    pub secrets: [[u32; SECRET_WORDS]; BANKS],
}

const WORDS: usize = 0x1f0 / 4;

/// The registers that keep what the host writes.
#[derive(Clone)]
pub struct Registers {
    words: [u32; WORDS],
}

impl Default for Registers {
    fn default() -> Self {
        let mut words = [0; WORDS];
        let first = at::EGRESS_THRESHOLD as usize / 4;
        words[first..first + 4].fill(0x1000);
        words[at::GUE_PORT as usize / 4] = GUE_PORT.into();
        Self { words }
    }
}

impl Registers {
    /// What a kept register reads.
    #[must_use]
    pub fn read(&self, offset: u32) -> u32 {
        self.words.get(offset as usize / 4).copied().unwrap_or(0)
    }

    /// Keeps what the host writes, as far as the register has bits.
    pub fn write(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.words.get_mut(offset as usize / 4) {
            let mask = writable(offset);
            *word = *word & !mask | value & mask;
        }
    }

    /// The port takes frames.
    #[must_use]
    pub fn port_enable(&self) -> bool {
        self.read(at::CONTROL) & 1 == 1
    }

    /// Counters are to be held.
    #[must_use]
    pub fn holds_counters(&self) -> bool {
        self.read(at::CONTROL) & at::COUNTERS_HOLD != 0
    }

    /// They are no longer.
    pub fn release_counters(&mut self) {
        self.words[at::CONTROL as usize / 4] &= !at::COUNTERS_HOLD;
    }

    /// Thresholds of the egress classes, in beats.
    #[must_use]
    pub fn egress_thresholds(&self) -> [u16; 4] {
        let first = at::EGRESS_THRESHOLD as usize / 4;
        std::array::from_fn(|class| (self.words[first + class] & 0xffff) as u16)
    }

    /// How many answers of a kind the card may give: a millisecond, and at once.
    #[must_use]
    pub fn limit(&self, reply: Reply) -> Limit {
        let word = self.read(at::ICMP_LIMIT + 4 * reply as u32);
        Limit {
            rate: word & 0xffff,
            burst: word >> 16,
        }
    }

    /// A value of four registers, the first of which is the most significant.
    #[must_use]
    pub fn wide(&self, first: u32) -> u128 {
        (0..4).fold(0, |wide, i| {
            wide << 32 | u128::from(self.read(first + 4 * i))
        })
    }

    /// What the path decides by.
    #[must_use]
    pub fn config(&self, host_alive: bool) -> Config {
        let control = self.read(at::CONTROL);
        let high = self.read(at::MAC_HIGH).to_be_bytes();
        let low = self.read(at::MAC_LOW).to_be_bytes();
        let secret = at::SECRET as usize / 4;
        Config {
            mac: [high[2], high[3], low[0], low[1], low[2], low[3]],
            mac_filter: self.read(at::MAC_HIGH) >> 16 & 1 == 1,
            unmatched_drop: control >> 1 & 1 == 1,
            compute_only: control >> 2 & 1 == 1,
            host_alive,
            ipip_source_v4: self.read(at::IPIP_SOURCE_V4),
            ipip_source_v6: self.wide(at::IPIP_SOURCE_V6),
            source_v4: self.read(at::SOURCE_V4),
            source_v6: self.wide(at::SOURCE_V6),
            gue_port: (self.read(at::GUE_PORT) & 0xffff) as u16,
            quic_lb: self.read(at::QUIC_LB),
            tells_too_big: self.limit(Reply::TooBig).burst != 0,
            answers_echo: self.limit(Reply::Echo).burst != 0,
            secrets: std::array::from_fn(|bank| {
                std::array::from_fn(|word| self.words[secret + bank * SECRET_WORDS + word])
            }),
        }
    }
}

/// The bits of a register that keep what is written.
fn writable(offset: u32) -> u32 {
    match offset & !3 {
        at::CONTROL => 15,
        at::MAC_HIGH => 0x1_ffff,
        at::MAC_LOW | at::IPIP_SOURCE_V4 | at::SOURCE_V4 | at::CARD_RESET => u32::MAX,
        at::IPIP_SOURCE_V6..at::EGRESS_THRESHOLD => u32::MAX,
        at::EGRESS_THRESHOLD..at::TIME_US_LOW | at::GUE_PORT => 0xffff,
        at::QUIC_LB => 0x0fff_ffff,
        at::SECRET..=0x17c | at::ICMP_LIMIT..=0x188 => u32::MAX,
        at::TRACE_FILTER => 0x0fff_0f0f,
        at::TRACE_SOURCE..=at::TRACE_PORTS_MASK => u32::MAX,
        at::TRACE_PROTOCOL => 0xffff,
        _ => 0,
    }
}

/// Sets one half of a 64-bit register pair.
pub(super) fn set_half(pair: &mut u64, high: bool, value: u32) {
    let mut words = [*pair as u32, (*pair >> 32) as u32];
    put(&mut words, if high { 32 } else { 0 }, 32, u128::from(value));
    *pair = get(&words, 0, 64) as u64;
}

/// One half of a 64-bit value.
pub(super) const fn half(pair: u64, high: bool) -> u32 {
    (if high { pair >> 32 } else { pair & 0xffff_ffff }) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_most_significant_byte_first() {
        let mut registers = Registers::default();
        registers.write(at::MAC_HIGH, 0x1_0200);
        registers.write(at::MAC_LOW, 1);
        for (i, word) in [0x0100_0000, 0, 0, 7].into_iter().enumerate() {
            registers.write(at::IPIP_SOURCE_V6 + 4 * i as u32, word);
            registers.write(at::SOURCE_V6 + 4 * i as u32, word + 1);
        }
        registers.write(at::SOURCE_V4, 0x0a00_0d25);
        let config = registers.config(false);
        assert_eq!(config.mac, [2, 0, 0, 0, 0, 1]);
        assert!(config.mac_filter);
        assert_eq!(config.ipip_source_v6, 1 << 120 | 7);
        assert_eq!(config.source_v6, 0x0100_0001 << 96 | 1 << 64 | 1 << 32 | 8);
        assert_eq!(config.source_v4, 0x0a00_0d25);
    }

    #[test]
    fn only_writable_bits_are_kept() {
        let mut registers = Registers::default();
        for offset in (0..0x200).step_by(4) {
            registers.write(offset, u32::MAX);
        }
        assert_eq!(registers.read(at::CONTROL), 15);
        assert_eq!(registers.read(at::MAGIC), 0);
        assert_eq!(registers.egress_thresholds(), [0xffff; 4]);
        assert_eq!(registers.read(at::SCRATCH + 31 * 4), u32::MAX);
        assert_eq!(registers.read(at::GUE_PORT), 0xffff);
        assert_eq!(registers.read(at::ICMP_LIMIT + 4), u32::MAX);
        assert_eq!(registers.read(at::ICMP_LIMIT + 8), 0);
        assert_eq!(registers.read(at::QUIC_LB), 0x0fff_ffff);
    }

    #[test]
    fn halves_make_a_pair() {
        let mut pair = 0;
        set_half(&mut pair, true, 0xdead_beef);
        set_half(&mut pair, false, 0x0123_4567);
        assert_eq!(pair, 0xdead_beef_0123_4567);
        assert_eq!(
            (half(pair, true), half(pair, false)),
            (0xdead_beef, 0x0123_4567)
        );
    }
}
