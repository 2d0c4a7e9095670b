//! Pause and resume.

use std::sync::{Arc, Mutex};

use caraway_base::lifecycle::Lifecycle;
use iced_x86::code_asm::{dx, eax};

use super::{LIMIT, PROBE_PORT, Probe, Running, builder, program::Program, spec};
use crate::{Command, Ending, Event, MachineSpec, RunState};

fn counting() -> Program {
    let mut program = Program::new();
    program.asm.mov(dx, u32::from(PROBE_PORT)).unwrap();
    let again = program.here();
    program.asm.inc(eax).unwrap();
    program.asm.out(dx, eax).unwrap();
    program.asm.jmp(again).unwrap();
    program
}

#[test]
fn a_paused_guest_does_nothing_and_a_resumed_one_goes_on_where_it_was() {
    let (probe, heard) = Probe::listening();
    let running = Running::start(builder(spec(counting()), &probe));
    for _ in 0..50 {
        heard.recv_timeout(LIMIT).unwrap();
        running.handle.call(Command::Pause).unwrap();
        assert_eq!(running.handle.status().unwrap().state, RunState::Paused);
        let count = probe.values().len();
        // A round trip to the driver: whatever was under way would be here now.
        running.handle.status().unwrap();
        assert_eq!(probe.values().len(), count);
        while heard.try_recv().is_ok() {}
        running.handle.call(Command::Resume).unwrap();
        heard.recv_timeout(LIMIT).unwrap();
    }
    running.handle.call(Command::Quit { flush: true }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
    let values = probe.values();
    assert!(
        values.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "no access was lost or done twice"
    );
}

/// Notes when it is called.
struct Noted(&'static str, Arc<Mutex<Vec<String>>>);

impl Noted {
    fn note(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{what} {}", self.0));
    }
}

impl Lifecycle for Noted {
    fn pause(&self) {
        self.note("pause");
    }
    fn resume(&self) {
        self.note("resume");
    }
    fn reset(&self) {
        self.note("reset");
    }
}

#[test]
fn devices_are_paused_in_order_and_resumed_in_reverse() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let probe = Arc::new(Probe::default());
    let mut builder = builder(spec(counting()), &probe);
    builder.add_lifecycle(Arc::new(Noted("disk", notes.clone())));
    builder.add_lifecycle(Arc::new(Noted("display", notes.clone())));
    let (sender, events) = std::sync::mpsc::channel();
    builder.handle().subscribe(move |event| sender.send(event).is_ok());
    let running = Running::start(builder);
    running.handle.call(Command::Pause).unwrap();
    running.handle.call(Command::Pause).unwrap();
    running.handle.call(Command::Reset).unwrap();
    assert_eq!(running.handle.status().unwrap().state, RunState::Paused);
    running.handle.call(Command::Resume).unwrap();
    running.handle.call(Command::Resume).unwrap();
    assert_eq!(
        *notes.lock().unwrap(),
        [
            "pause disk",
            "pause display",
            "reset disk",
            "reset display",
            "resume display",
            "resume disk",
        ]
    );
    running.handle.call(Command::Quit { flush: false }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
    let expected = [
        Event::Resumed,
        Event::Stopped,
        Event::Reset { guest: false },
        Event::Resumed,
        Event::Shutdown {
            guest: false,
            reason: "host-qmp-quit",
        },
    ];
    assert_eq!(events.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_machine_started_paused_runs_nothing_before_it_is_resumed() {
    let (probe, heard) = Probe::listening();
    let running = Running::start(builder(
        MachineSpec {
            start_paused: true,
            ..spec(counting())
        },
        &probe,
    ));
    assert_eq!(running.handle.status().unwrap().state, RunState::Prelaunch);
    assert!(probe.values().is_empty());
    assert_eq!(running.handle.first_entry(), None);
    running.handle.call(Command::Resume).unwrap();
    heard.recv_timeout(LIMIT).unwrap();
    assert!(running.handle.first_entry().is_some());
    running.handle.call(Command::Quit { flush: false }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
}

#[test]
fn pauses_resets_and_resumes_in_any_order_leave_a_running_guest() {
    let (probe, heard) = Probe::listening();
    let running = Running::start(builder(
        MachineSpec {
            cpus: 2,
            ..spec(counting())
        },
        &probe,
    ));
    for round in 0..60_u32 {
        // A fixed scramble that meets every pair of commands.
        let command = match round.wrapping_mul(2_654_435_761) >> 30 {
            0 => Command::Pause,
            1 => Command::Reset,
            _ => Command::Resume,
        };
        running.handle.call(command).unwrap();
    }
    running.handle.call(Command::Resume).unwrap();
    while heard.try_recv().is_ok() {}
    heard.recv_timeout(LIMIT).unwrap();
    running.handle.call(Command::Quit { flush: false }).unwrap();
    assert_eq!(running.ending(), Ending::Quit);
}
