//! The reference model against its specification, Katran's values and itself.

mod scenarios;
