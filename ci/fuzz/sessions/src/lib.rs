//! What must hold whatever a client or the guest's agent says to the SPICE server.
//!
//! A target is given a program: bytes of a client, cut where the program says, and between them what else happens: the
//! server runs, time passes, the guest draws, the agent comes and talks, the client reads. It is the real server, with a
//! real display and no sockets, on one thread; its clock stands still while there is something to do, and goes on at once
//! when there is nothing. A program fails when
//!
//! - anything panics or overflows, or a task of the server dies;
//! - the server says something that cannot be decoded;
//! - a connection is served on after its client has gone;
//! - after the client is gone a key or a button of its is still down, or the server counts it still;
//! - a key of another client, which is there all the time, is not taken any more, or a guest's agent that begins anew
//!   hears nothing of it;
//! - anything of a client that may only look has reached the agent;
//! - a port is open while nobody has its channel, or who has it next gets something of the one before;
//! - more memory is taken than [`BUDGET`].
#![forbid(unsafe_code)]

mod agent;
mod channel;
mod client;
mod guest;
mod input;
mod link;
mod ports;
mod scram;
mod seeds;
mod web;
mod world;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most bytes that may be taken meanwhile, beyond what there was: streams of 64 KiB in each direction for at most ten
/// connections, what the server may buffer for each of them, and pictures of at most 128 x 128 pixels.
pub const BUDGET: usize = 48 << 20;

/// A program of a session, and what it is called in the corpus.
pub type Seed = (String, Vec<u8>);

/// Something that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in the corpora.
    pub name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Seed>,
}

impl Target {
    /// Carries out a program. Panics when something that must hold does not.
    pub fn run(&self, data: &[u8]) {
        // What is made once is not the program's.
        world::prepare();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        (self.run)(data);
        let taken = MEMORY.peak_usage().saturating_sub(before);
        assert!(
            taken <= BUDGET,
            "{}: {taken} bytes were taken, {BUDGET} are allowed",
            self.name
        );
    }

    /// What the target starts from.
    #[must_use]
    pub fn seeds(&self) -> Vec<Seed> {
        (self.seeds)()
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "link",
        run: link::run,
        seeds: seeds::link,
    },
    Target {
        name: "main",
        run: |data| channel::run(&channel::MAIN, data),
        seeds: seeds::main,
    },
    Target {
        name: "display",
        run: |data| channel::run(&channel::DISPLAY, data),
        seeds: seeds::display,
    },
    Target {
        name: "cursor",
        run: |data| channel::run(&channel::CURSOR, data),
        seeds: seeds::cursor,
    },
    Target {
        name: "inputs",
        run: |data| channel::run(&channel::INPUTS, data),
        seeds: seeds::inputs,
    },
    Target {
        name: "agent",
        run: agent::run,
        seeds: seeds::agent,
    },
    Target {
        name: "ports",
        run: ports::run,
        seeds: seeds::ports,
    },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}
