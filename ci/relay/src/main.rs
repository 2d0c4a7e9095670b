//! `caraway-relay LISTEN TARGET --delay MS --rate KBIT`: a slow and far link for any TCP clients.
#![forbid(unsafe_code)]

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use caraway_relay::Relay;
use clap::Parser;
use tokio::net::TcpListener;

/// A slow and far link between TCP clients and a server
#[derive(Debug, Parser)]
struct Args {
    /// Where clients come, for example 127.0.0.1:5999; port 0 is any
    listen: SocketAddr,
    /// Where they are connected to
    target: SocketAddr,
    /// Milliseconds from one end to the other
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay: u64,
    /// 1000 bits a second in each direction; without it as many as come
    #[arg(long, value_name = "KBIT")]
    rate: Option<u64>,
    /// Bytes that wait in front of the line
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10)]
    queue: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let relay = Relay {
        delay: Duration::from_millis(args.delay),
        bytes_per_second: args.rate.map(|kbit| kbit.saturating_mul(125)),
        queue: args.queue,
    };
    #[expect(clippy::print_stdout, reason = "who starts it has to know the port")]
    {
        println!("{}", listener.local_addr()?);
    }
    relay.serve(listener, args.target).await?;
    Ok(())
}
