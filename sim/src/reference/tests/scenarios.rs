//! Whole scenarios through the reference card: they must be lively, conserve frames, and repeat exactly.

use guideway_hdl::verdict::Disposition;

use crate::harness::outcome::play;
use crate::harness::scenario::Scenario;
use crate::reference::ReferenceCard;

#[test]
fn a_scenario_repeats_exactly_and_reaches_every_disposition() {
    let mut seen = [0u64; 48];
    for seed in 0..60 {
        let scenario = Scenario::random(seed, 400);
        let outcome = play(&mut ReferenceCard::new(), &scenario);
        let outcome = outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if seed % 20 == 0 {
            let again = play(&mut ReferenceCard::new(), &scenario).expect("it worked before");
            assert_eq!(outcome.difference(&again), None, "seed {seed}");
        }
        for disposition in Disposition::ALL {
            seen[usize::from(disposition.raw())] += outcome.count(*disposition);
        }
    }
    // what depends on queues being full is not what scenarios are for
    let timely = [
        Disposition::DropPortDisabled,
        Disposition::DropIngressFull,
        Disposition::DropPuntFull,
        Disposition::DropHostFull,
    ];
    for disposition in Disposition::ALL {
        let count = seen[usize::from(disposition.raw())];
        if timely.contains(disposition) {
            assert_eq!(count, 0, "{}", disposition.name());
        } else {
            assert!(count >= 5, "{} came {count} times", disposition.name());
        }
    }
}
