//! Reads objects: one, a page, or all; and decides what the absence of one proves.

mod collection;
mod list;
mod one;

pub use collection::{believe_none, probe};
pub use list::{Shown, all, is_safe, list, page, some, those};
pub use one::{absent, get, present, row, unlisted_row};
