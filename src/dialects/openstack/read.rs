//! Reads one object, a page or a whole collection, and decides whether an object missing from an answer is proven gone.

mod collection;
mod list;
mod one;

pub use collection::{believe_none, probe};
pub use list::{Shown, all, is_safe, list, page, some, those};
pub use one::{absent, get, present, row, unlisted_row};
