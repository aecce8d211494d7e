//! What becomes of a description on clouds of every manner.
