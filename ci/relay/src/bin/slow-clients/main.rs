//! `slow-clients`: measures the SPICE server with slow, far and stopped clients, and fails where it is worse than promised.
#![forbid(unsafe_code)]

mod client;
mod connection;
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "it is a test's, and a picture that cannot be decoded ends this too"
)]
#[path = "../../../../differential/tests/codecs/client.rs"]
mod picture;
mod scenes;
mod server;

use clap::Parser;

use self::scenes::Times;

/// Measures the SPICE server with slow, far and stopped clients
#[derive(Debug, Parser)]
struct Args {
    /// Small updates in the first scene
    #[arg(long, default_value_t = 500)]
    updates: usize,
    /// Letters typed over the slow link
    #[arg(long, default_value_t = 30)]
    letters: usize,
    /// Seconds a rate is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds for which a cable is pulled
    #[arg(long, default_value_t = 30)]
    cut: u64,
    /// Commands for a client that has stopped
    #[arg(long, default_value_t = 1_000_000)]
    commands: u32,
    /// Say times and rates without failing for them: the machine has other things to do
    #[arg(long)]
    busy: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let judged = if args.busy { Times::Said } else { Times::Judged };
    let mut failures = 0;
    failures += scenes::small_updates(args.updates, judged).await?;
    failures += scenes::typing(args.letters, judged).await?;
    failures += scenes::caps(args.seconds, judged).await?;
    failures += scenes::cut(args.cut, judged).await?;
    failures += scenes::stopped(args.commands).await?;
    anyhow::ensure!(failures == 0, "{failures} figures are worse than promised");
    Ok(())
}
