//! The caraway program.

fn main() {}
