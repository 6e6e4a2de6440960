//! The checks that every model must pass.

use crate::harness::conformance::checks;
use crate::reference::ReferenceCard;

#[test]
fn every_check_holds() {
    for check in checks() {
        if let Err(error) = check.run(&mut ReferenceCard::new()) {
            panic!("{}: {error}", check.name);
        }
    }
}
