//! The measured side of a bench: one picture, one stream and named operations on them, driven by lines on stdin.
//!
//! | command | what | answer |
//! |---|---|---|
//! | `picture TYPE WIDTH HEIGHT PATH` | loads rows without padding, the top row first | `ok` |
//! | `stream BYTES PATH` | loads what `run ... decode` decodes | `ok` |
//! | `run CODEC encode\|decode COUNT [THREADS]` | so often, on each of so many threads | `ok NANOSECONDS BYTES` |
//! | `save encode\|decode PATH` | writes the last result | `ok` |
//!
//! The time is processor time of the thread, that of the first one where there are several. The program for the
//! reference's code, in `ci/bench/reference`, takes the same commands.
#![forbid(unsafe_code)]

mod codecs;
mod pipe;
mod processor;

use std::{fs, thread};

use anyhow::{Context as _, Result, bail};

use self::{
    codecs::{Codec, Kind, Picture},
    pipe::serve,
    processor::thread_time,
};

fn main() -> Result<()> {
    let mut bench = Bench::default();
    serve(|line| bench.command(line))
}

/// One side of a codec.
#[derive(Clone, Copy)]
enum Operation {
    Encode,
    Decode,
}

impl Operation {
    fn named(name: &str) -> Result<Self> {
        match name {
            "encode" => Ok(Self::Encode),
            "decode" => Ok(Self::Decode),
            _ => bail!("no operation {name:?}"),
        }
    }
}

#[derive(Default)]
struct Bench {
    picture: Option<Picture>,
    stream: Vec<u8>,
    encoded: Vec<u8>,
    decoded: Vec<u8>,
}

impl Bench {
    fn command(&mut self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["picture", kind, width, height, path] => {
                self.picture = Some(Picture {
                    kind: Kind::named(kind)?,
                    width: width.parse()?,
                    height: height.parse()?,
                    rows: fs::read(path)?.into(),
                });
                Ok("ok".into())
            }
            ["stream", size, path] => {
                self.stream = fs::read(path)?;
                if self.stream.len() != size.parse::<usize>()? {
                    bail!("{path} has {} bytes", self.stream.len());
                }
                Ok("ok".into())
            }
            ["run", codec, operation, count] => self.run(codec, Operation::named(operation)?, count.parse()?, 1),
            ["run", codec, operation, count, threads] => {
                self.run(codec, Operation::named(operation)?, count.parse()?, threads.parse()?)
            }
            ["save", operation, path] => {
                match Operation::named(operation)? {
                    Operation::Encode => fs::write(path, &self.encoded)?,
                    Operation::Decode => fs::write(path, &self.decoded)?,
                }
                Ok("ok".into())
            }
            _ => bail!("no such command"),
        }
    }

    /// Runs an operation `count` times on each of `threads` threads.
    fn run(&mut self, codec: &str, operation: Operation, count: u32, threads: usize) -> Result<String> {
        let picture = self.picture.as_ref().context("no picture")?;
        let stream = &self.stream;
        let out = match operation {
            Operation::Encode => &mut self.encoded,
            Operation::Decode => &mut self.decoded,
        };
        // Memory that was used before is used again, as in a server.
        let mut others = vec![Vec::new(); threads.saturating_sub(1)];
        let spent = thread::scope(|scope| {
            let running: Vec<_> = others
                .iter_mut()
                .map(|out| scope.spawn(|| repeat(codec, operation, count, picture, stream, out)))
                .collect();
            let spent = repeat(codec, operation, count, picture, stream, out);
            for thread in running {
                thread.join().ok().context("a thread panicked")??;
            }
            spent
        })?;
        Ok(format!("ok {spent} {}", out.len()))
    }
}

/// Processor time of `count` runs in nanoseconds.
fn repeat(
    codec: &str,
    operation: Operation,
    count: u32,
    picture: &Picture,
    stream: &[u8],
    out: &mut Vec<u8>,
) -> Result<u128> {
    let mut codec = Codec::named(codec)?;
    let began = thread_time();
    for _ in 0..count {
        match operation {
            Operation::Encode => codec.encode(picture, out)?,
            Operation::Decode => codec.decode(picture, stream, out)?,
        }
    }
    let spent = thread_time() - began;
    if matches!(operation, Operation::Decode) {
        codec.collect(out);
    }
    Ok(spent)
}
