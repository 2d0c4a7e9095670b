//! What a person needs to know when KVM cannot go on: where, which instruction, which registers, what it means here.

use std::fmt::Write as _;

use caraway_base::memory::GuestRam;
use iced_x86::{Decoder, DecoderOptions, Formatter as _, IntelFormatter};
use kvm_bindings::{kvm_regs, kvm_sregs};
use vm_memory::{Bytes as _, GuestAddress};

use super::run::Failure;
use crate::{
    doctor::{self, Ring0},
    kvm::vcpu::Vcpu,
};

/// No x86 instruction is longer.
const LONGEST_INSTRUCTION: u64 = 15;

/// The report on a vCPU that stopped, several lines.
pub(super) fn explain(vcpu: &Vcpu, ram: &GuestRam, failure: &Failure) -> String {
    let mut text = format!("vCPU {} cannot go on: {}", vcpu.id(), headline(failure));
    let (regs, sregs) = match vcpu.registers() {
        Ok(both) => both,
        Err(error) => {
            append(&mut text, format_args!("\n  its registers cannot be read: {error}"));
            return text;
        }
    };
    let (bits, mode) = mode(&sregs);
    let ring = sregs.ss.dpl;
    let code = match failure {
        Failure::Internal(error) if !error.instruction.is_empty() => error.instruction.clone(),
        _ => read_code(vcpu, ram, sregs.cs.base.wrapping_add(regs.rip)),
    };
    append(&mut text, format_args!("\n  rip {:#x}, ring {ring}, {mode}", regs.rip));
    append(
        &mut text,
        format_args!("\n  instruction: {}", disassemble(&code, bits, regs.rip)),
    );
    registers(&mut text, &regs, &sregs);
    if let Some(meaning) = meaning(failure, ring) {
        append(&mut text, format_args!("\n  {meaning}"));
    }
    text
}

/// Writing to a string cannot fail.
fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).ok();
}

fn headline(failure: &Failure) -> String {
    match failure {
        Failure::Internal(error) if error.is_emulation() => {
            "KVM internal error 1, it could not emulate an instruction".to_owned()
        }
        Failure::Internal(error) => {
            let what = match error.suberror {
                2 => "an exit while another one was pending",
                3 => "an event could not be delivered",
                4 => "an exit it does not know",
                _ => "unknown",
            };
            let words: Vec<_> = error.data.iter().map(|word| format!("{word:#x}")).collect();
            format!(
                "KVM internal error {} ({what}), data [{}]",
                error.suberror,
                words.join(", ")
            )
        }
        Failure::Entry { reason } => format!("the processor refused to enter the guest, reason {reason:#x}"),
        Failure::Unexpected { reason } => format!("KVM exit {reason}, which this machine never asked for"),
    }
}

fn mode(sregs: &kvm_sregs) -> (u32, &'static str) {
    if sregs.cr0 & 1 == 0 {
        (16, "real mode")
    } else if sregs.cs.l != 0 {
        (64, "64-bit")
    } else if sregs.cs.db != 0 {
        (32, "32-bit")
    } else {
        (16, "16-bit protected mode")
    }
}

/// The bytes at a linear address, through the guest's own page tables; fewer when they end.
fn read_code(vcpu: &Vcpu, ram: &GuestRam, linear: u64) -> Vec<u8> {
    (0..LONGEST_INSTRUCTION)
        .map_while(|index| {
            let physical = vcpu.translate(linear.wrapping_add(index))?;
            ram.read_obj::<u8>(GuestAddress(physical)).ok()
        })
        .collect()
}

fn disassemble(code: &[u8], bits: u32, rip: u64) -> String {
    if code.is_empty() {
        return "not in memory".to_owned();
    }
    let mut decoder = Decoder::with_ip(bits, code, rip, DecoderOptions::NONE);
    let instruction = decoder.decode();
    let shown = if instruction.is_invalid() {
        code
    } else {
        code.get(..instruction.len()).unwrap_or(code)
    };
    let bytes: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = String::new();
    if instruction.is_invalid() {
        text.push_str("none that is valid");
    } else {
        IntelFormatter::new().format(&instruction, &mut text);
    }
    format!("{text}  ({})", bytes.join(" "))
}

fn registers(text: &mut String, regs: &kvm_regs, sregs: &kvm_sregs) {
    let rows = [
        [
            ("rax", regs.rax),
            ("rbx", regs.rbx),
            ("rcx", regs.rcx),
            ("rdx", regs.rdx),
        ],
        [
            ("rsi", regs.rsi),
            ("rdi", regs.rdi),
            ("rbp", regs.rbp),
            ("rsp", regs.rsp),
        ],
        [("r8 ", regs.r8), ("r9 ", regs.r9), ("r10", regs.r10), ("r11", regs.r11)],
        [
            ("r12", regs.r12),
            ("r13", regs.r13),
            ("r14", regs.r14),
            ("r15", regs.r15),
        ],
        [
            ("cr0", sregs.cr0),
            ("cr2", sregs.cr2),
            ("cr3", sregs.cr3),
            ("cr4", sregs.cr4),
        ],
    ];
    for row in rows {
        append(text, format_args!("\n "));
        for (name, value) in row {
            append(text, format_args!(" {name} {value:016x}"));
        }
    }
    append(
        text,
        format_args!(
            "\n  rflags {:x}  efer {:x}  cs {:x}  ss {:x}  gdt {:x}+{:x}  idt {:x}+{:x}",
            regs.rflags,
            sregs.efer,
            sregs.cs.selector,
            sregs.ss.selector,
            sregs.gdt.base,
            sregs.gdt.limit,
            sregs.idt.base,
            sregs.idt.limit
        ),
    );
}

/// What the failure means on this host. Measured now, because it only matters now.
fn meaning(failure: &Failure, ring: u8) -> Option<String> {
    match failure {
        Failure::Internal(error) if error.is_emulation() => {}
        Failure::Internal(_) | Failure::Entry { .. } | Failure::Unexpected { .. } => return None,
    }
    let figures = doctor::measure_ring0().ok()?;
    Some(match figures {
        Ring0::Emulated { per_second } if ring == 0 => format!(
            "This host's KVM interprets guest kernel mode ({:.1} M instructions/s) and does not know this instruction \
             there. Guests made for that, such as the built-in demo, run; Linux does not boot here. See `caraway doctor`.",
            per_second * 2.0 / 1e6
        ),
        Ring0::Emulated { .. } => "This host's KVM interprets part of what guests run and does not know this \
                                   instruction. See `caraway doctor`."
            .to_owned(),
        Ring0::Native { .. } => {
            "Guest code runs natively on this host, so KVM had to emulate this instruction because \
                                 of what it touched: usually device memory, or an address with nothing behind it."
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_decoded_in_the_mode_they_ran_in() {
        assert_eq!(
            disassemble(&[0x66, 0x0f, 0x6e, 0xc0, 0x90], 64, 0),
            "movd xmm0,eax  (66 0f 6e c0)"
        );
        assert!(disassemble(&[0x48, 0x90], 32, 0).starts_with("dec eax"));
        assert!(disassemble(&[0x06], 64, 0).starts_with("none that is valid"));
        assert_eq!(disassemble(&[], 64, 0), "not in memory");
    }
}
