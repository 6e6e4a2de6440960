//! SystemRDL component definitions
#![allow(non_camel_case_types)] // needed for type normalization suffixes

use super::_root; // alias to root module of generated code

pub mod guideway;
pub mod gw_core_regs;
pub mod gw_ro32;
pub mod gw_rw32;
pub mod gw_card_regs;
