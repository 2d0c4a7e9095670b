//! What a migration asks of a machine: which pages are written while it runs, and to be held still until somebody decides.

use std::os::unix::fs::FileExt as _;

use caraway_base::memory::{MemoryFile, PAGE_SIZE, SharedMemory};
use iced_x86::code_asm::{dx, eax, edi, ptr};
use vm_memory::{Bytes as _, GuestAddress};

use super::{LIMIT, PROBE_PORT, Probe, Running, builder, program::Program, spec};
use crate::{Command, Ending, MachineBuilder, Onward, RunState};

const WRITTEN: u32 = 0x30_0000;
const PAGES: u32 = 64;

/// Counts, writes the count to one page after the other, and says it.
fn writing() -> Program {
    let mut program = Program::new();
    program.asm.mov(eax, 0_u32).unwrap();
    let again = program.here();
    let asm = &mut program.asm;
    asm.inc(eax).unwrap();
    asm.mov(edi, eax).unwrap();
    asm.and(edi, PAGES - 1).unwrap();
    asm.shl(edi, 12_u32).unwrap();
    asm.add(edi, WRITTEN).unwrap();
    asm.mov(ptr(edi), eax).unwrap();
    asm.mov(dx, u32::from(PROBE_PORT)).unwrap();
    asm.out(dx, eax).unwrap();
    asm.jmp(again).unwrap();
    program
}

fn contents(file: &MemoryFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    file.file().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Copies the pages that are in the log; how many.
fn copy_logged(files: &[MemoryFile], copies: &mut [Vec<u8>], logs: &[Vec<u64>]) -> usize {
    const PAGE: usize = PAGE_SIZE as usize;
    let mut count = 0;
    for ((file, copy), log) in files.iter().zip(copies).zip(logs) {
        for (page, to) in copy.chunks_exact_mut(PAGE).enumerate() {
            if log[page / 64] >> (page % 64) & 1 != 0 {
                file.file().read_exact_at(to, (page * PAGE) as u64).unwrap();
                count += 1;
            }
        }
    }
    count
}

#[test]
fn the_log_has_every_page_that_the_guest_and_devices_write() {
    let (probe, heard) = Probe::listening();
    let mut builder = builder(spec(writing()), &probe);
    let memory = SharedMemory::allocate("device", 16 * PAGE_SIZE).unwrap();
    builder.add_memory("device", memory.clone());
    let ram = builder.guest_ram();
    let log = builder.memory_log();
    let running = Running::start(builder);
    for _ in 0..10 {
        heard.recv_timeout(LIMIT).unwrap();
    }
    log.start().unwrap();
    let files = log.files().unwrap();
    let mut copies: Vec<_> = files.iter().map(contents).collect();
    for round in 0..8_u32 {
        for _ in 0..=PAGES {
            heard.recv_timeout(LIMIT).unwrap();
        }
        memory.write(u64::from(round) * PAGE_SIZE, b"device").unwrap();
        ram.write_obj(round, GuestAddress(0x40_0000)).unwrap();
        let logs = log.take().unwrap();
        let count = copy_logged(&files, &mut copies, &logs);
        assert!(count > 0, "{round}");
        assert_eq!(logs.last().unwrap()[0] >> round & 1, 1);
    }
    let held = running.handle.hold().unwrap();
    copy_logged(&files, &mut copies, &log.take().unwrap());
    for (file, copy) in files.iter().zip(&copies) {
        let now = contents(file);
        let different = now.iter().zip(copy).position(|(now, copy)| now != copy);
        assert_eq!(different, None, "{}", file.name());
    }
    held.end(Onward::GoOn);
    // With nothing written, nothing is in the log.
    running.handle.call(Command::Pause).unwrap();
    log.take().unwrap();
    assert!(log.take().unwrap().iter().flatten().all(|word| *word == 0));
    log.stop().unwrap();
    running.quit();
}

#[test]
fn a_machine_that_is_held_goes_on_stays_or_ends_as_it_is_told() {
    let (probe, heard) = Probe::listening();
    let running = Running::start(builder(spec(writing()), &probe));
    heard.recv_timeout(LIMIT).unwrap();
    let held = running.handle.hold().unwrap();
    assert!(held.saved.was_running);
    let count = probe.values().len();
    assert_eq!(probe.values().len(), count);
    // Without a word it goes on.
    drop(held);
    while heard.try_recv().is_ok() {}
    heard.recv_timeout(LIMIT).unwrap();

    let mut held = running.handle.hold().unwrap();
    held.hand_over();
    drop(held);
    assert_eq!(running.handle.status().unwrap().state, RunState::PostMigrate);
    let count = probe.values().len();
    running.handle.call(Command::Pause).unwrap();
    assert_eq!(running.handle.status().unwrap().state, RunState::PostMigrate);
    assert_eq!(probe.values().len(), count);
    running.handle.call(Command::Resume).unwrap();
    while heard.try_recv().is_ok() {}
    heard.recv_timeout(LIMIT).unwrap();

    running.handle.call(Command::Pause).unwrap();
    let held = running.handle.hold().unwrap();
    assert!(!held.saved.was_running);
    held.end(Onward::GoOn);
    assert_eq!(running.handle.status().unwrap().state, RunState::Paused);

    running.handle.hold().unwrap().end(Onward::Gone);
    let ending = running.ending();
    assert_eq!(
        (&ending, ending.exit_code(), ending.message()),
        (&Ending::Moved, 5, None)
    );
    let values = probe.values();
    assert!(
        values.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "lost or done twice"
    );
}

#[test]
fn a_prepared_machine_compares_processors() {
    let mut prepared = MachineBuilder::prepare(spec(writing())).unwrap();
    let files = prepared.ram_files();
    assert_eq!(
        files.iter().map(MemoryFile::size).sum::<u64>(),
        (16 << 20) - (128 << 10)
    );
    let probe = std::sync::Arc::new(Probe::default());
    let running = Running::start(builder(spec(writing()), &probe));
    let cpu = running.handle.cpu().to_vec();
    running.quit();
    prepared.check_cpu(&cpu).unwrap();
    let mut more = cpu.clone();
    let leaf = more.iter_mut().find(|leaf| leaf[0] == 7 && leaf[1] == 0).unwrap();
    leaf[4] = u32::MAX;
    let missing = prepared.check_cpu(&more).unwrap_err();
    assert!(missing.starts_with("leaf 0x7.0 EBX bits 0x"), "{missing}");
    prepared.start_paused();
}
