//! The caraway program.
#![forbid(unsafe_code)]

mod args;
mod run;
mod rundir;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let code = match Arguments::parse().command {
        Command::Run(args) => run::run(&args),
    };
    ExitCode::from(code)
}
