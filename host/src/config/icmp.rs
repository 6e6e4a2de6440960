//! What the card answers of itself: `icmp_limit` of the node, `echo` of VIPs.
//!
//! Owns their ranges and what they may not contradict.

use std::collections::HashSet;

use guideway_hdl::tables::{BANKS, VIP_MATCH_ROWS, VIP_PREFIXES};

use super::check::Checker;
use super::schema::{self, At};
use super::{Node, Vip};
use crate::card::{AnswerLimit, IcmpLimit, VipAddress};

/// How many exact keys a configuration may need: half of the places, so that each finds one. Where the card's secrets do not let it, the
/// change is refused as a whole.
const EXACT_KEYS: usize = BANKS * VIP_MATCH_ROWS / 2;

impl Checker {
    pub(super) fn icmp_limit(&mut self, limit: Option<&At<schema::IcmpLimit>>) -> IcmpLimit {
        let usual = IcmpLimit::USUAL;
        let Some(limit) = limit.map(At::get_ref) else {
            return usual;
        };
        let too_big = limit.too_big.as_ref();
        let echo = limit.echo.as_ref();
        IcmpLimit {
            too_big: self.answer_limit("node.icmp_limit.too_big", too_big, usual.too_big),
            echo: self.answer_limit("node.icmp_limit.echo", echo, usual.echo),
        }
    }

    fn answer_limit(
        &mut self,
        key: &str,
        limit: Option<&At<schema::Meter>>,
        usual: AnswerLimit,
    ) -> AnswerLimit {
        let Some(limit) = limit.map(At::get_ref) else {
            return usual;
        };
        let most = u16::MAX.into();
        let burst = self.number(&format!("{key}.burst"), Some(&limit.burst), 0, most, 1);
        let mut rate = self.number(&format!("{key}.rate"), Some(&limit.rate), 0, most, 1);
        if rate == 0 && burst > 0 {
            self.problem(
                &format!("{key}.rate"),
                limit.rate.span(),
                format!("at a rate of 0 the card would send {burst} answers and then no more"),
                "write the answers a millisecond, at least 1, or burst = 0 for no answer at all",
            );
        }
        if burst == 0 {
            // one form of no answer at all
            rate = 0;
        }
        AnswerLimit {
            rate: u16::try_from(rate).unwrap_or_default(),
            burst: u16::try_from(burst).unwrap_or_default(),
        }
    }

    /// VIPs that answer echo requests: the node lets them, and the card has a key for each of their addresses.
    pub(super) fn echo(&mut self, keys: &[At<schema::Vip>], vips: &[Vip], node: &Node) {
        if node.icmp_limit.echo.burst == 0 {
            let asked = keys.iter().filter_map(|key| key.get_ref().echo.as_ref());
            for echo in asked.filter(|echo| *echo.get_ref()) {
                self.problem(
                    "vip.echo",
                    echo.span(),
                    "the VIP is to answer echo requests, but node.icmp_limit allows no echo reply",
                    "remove it, or give echo of icmp_limit a rate and a burst",
                );
            }
        }
        let answering: HashSet<VipAddress> = vips
            .iter()
            .filter_map(|vip| vip.rules.echo.then_some(vip.address))
            .collect();
        for (prefixes, most) in [(false, EXACT_KEYS), (true, VIP_PREFIXES)] {
            let counts = |address: &VipAddress| address.one().is_none() == prefixes;
            let held = vips.iter().filter(|vip| counts(&vip.address)).count();
            let echoes = answering.iter().filter(|&address| counts(address)).count();
            // too many VIPs by themselves are told as that
            if echoes == 0 || held > most || held + echoes <= most {
                continue;
            }
            let what = if prefixes { "prefix" } else { "address" };
            let named = |key: &&At<schema::Vip>| {
                let echo = key.get_ref().echo.as_ref();
                let parsed = key.get_ref().address.get_ref().parse::<VipAddress>();
                echo.is_some_and(|echo| *echo.get_ref()) && parsed.is_ok_and(|it| counts(&it))
            };
            let last = keys.iter().rev().find(named);
            self.problem(
                "vip.echo",
                last.map_or(0..0, |key| key.span()),
                format!(
                    "{held} VIPs of {what} keys and {echoes} that answer echo requests need {} keys, but the card takes {most}",
                    held + echoes
                ),
                "let fewer of them answer",
            );
        }
    }
}
