//! The caraway program.
#![forbid(unsafe_code)]

mod args;
mod check;
mod ctl;
mod doctor;
mod logging;
mod media;
mod output;
mod ps;
mod replay;
mod run;
mod rundir;
mod tls;
mod user;
mod web;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let result = logging::start().and_then(|()| match command {
        // It says by itself what goes wrong: not every ending is an error.
        Command::Run(args) => Ok(run::run(&args)),
        Command::Ctl(args) => ctl::ctl(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Ps(args) => ps::ps(&args),
        Command::Web(args) => web::web(&args),
        Command::Check(args) => check::check(&args),
        Command::User(args) => user::user(&args),
        Command::Schema => check::schema(),
        Command::Doctor(args) => doctor::doctor(&args),
    });
    ExitCode::from(result.unwrap_or_else(|error| output::report(&error)))
}
