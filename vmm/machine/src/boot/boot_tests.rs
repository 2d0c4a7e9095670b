use std::{
    io::{Seek as _, Write as _},
    path::PathBuf,
};

use linux_loader::{
    bootparam::boot_params,
    loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info},
};
use proptest::prelude::*;
use vm_memory::{Bytes as _, GuestAddress};

use super::*;

const LOW_RAM_END: u64 = 32 << 20;
const MAP: [MemoryRange; 3] = [
    MemoryRange {
        start: 0,
        end: 0x9_fc00,
        kind: MemoryKind::Ram,
    },
    MemoryRange {
        start: 0xe_0000,
        end: 0x10_0000,
        kind: MemoryKind::Acpi,
    },
    MemoryRange {
        start: 0x10_0000,
        end: LOW_RAM_END,
        kind: MemoryKind::Ram,
    },
];

fn ram() -> GuestRam {
    GuestRam::from_ranges(&[(GuestAddress(0), LOW_RAM_END as usize)]).unwrap()
}

fn request<'a>(kernel: &'a [u8], cmdline: &'a str) -> Request<'a> {
    Request {
        kernel: Source::Bytes(kernel),
        initramfs: None,
        cmdline,
        memory_map: &MAP,
        low_ram_end: LOW_RAM_END,
        rsdp: 0xf_0000,
        video: None,
    }
}

fn read(ram: &GuestRam, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
    bytes
}

/// An ELF file with one segment of 0x300 bytes at 1 MiB (0x1000 in memory) and its PVH note.
fn elf_kernel() -> Vec<u8> {
    let mut file = vec![0; 0x1300];
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &2_u16.to_le_bytes());
    put(&mut file, 18, &62_u16.to_le_bytes());
    put(&mut file, 24, &0x10_0000_u64.to_le_bytes());
    put(&mut file, 32, &64_u64.to_le_bytes());
    put(&mut file, 52, &64_u16.to_le_bytes());
    put(&mut file, 54, &56_u16.to_le_bytes());
    put(&mut file, 56, &2_u16.to_le_bytes());
    let header = |kind: u32, offset: u64, address: u64, size: u64, memory: u64| {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(5_u32.to_le_bytes());
        for value in [offset, address, address, size, memory, 4] {
            bytes.extend(value.to_le_bytes());
        }
        bytes
    };
    put(&mut file, 64, &header(1, 0x1000, 0x10_0000, 0x300, 0x1000));
    put(&mut file, 120, &header(4, 0x200, 0x10_0000, 44, 44));
    // A note of another owner first: names and bodies are padded to four bytes.
    put(&mut file, 0x200, &[4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0]);
    put(&mut file, 0x20c, b"GNU\0abcde");
    put(&mut file, 0x218, &[4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0]);
    put(&mut file, 0x224, b"Xen\0");
    put(&mut file, 0x228, &0x10_0020_u32.to_le_bytes());
    file[0x1000..].fill(0xa5);
    file
}

/// A relocatable bzImage that wants to be at 16 MiB with 1 MiB to work in.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 2 * 512 + 0x800];
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    file[0x1f1] = 1;
    put(&mut file, 0x1f4, &0x80_u32.to_le_bytes());
    put(&mut file, 0x1fe, &0xaa55_u16.to_le_bytes());
    put(&mut file, 0x200, &[0xeb, 0x6a]);
    put(&mut file, 0x202, b"HdrS");
    put(&mut file, 0x206, &0x020f_u16.to_le_bytes());
    file[0x211] = 1;
    put(&mut file, 0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(&mut file, 0x230, &0x20_0000_u32.to_le_bytes());
    file[0x234] = 1;
    put(&mut file, 0x236, &1_u16.to_le_bytes());
    put(&mut file, 0x238, &2047_u32.to_le_bytes());
    put(&mut file, 0x250, &0xdead_0000_u64.to_le_bytes());
    put(&mut file, 0x258, &0x100_0000_u64.to_le_bytes());
    put(&mut file, 0x260, &0x10_0000_u32.to_le_bytes());
    file[2 * 512..].fill(0xc3);
    file
}

fn temporary(bytes: &[u8]) -> (tempfile::TempDir, File, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("the-file");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    (dir, file, path)
}

/// What `load` and `check` say about it, which is the same.
fn message(kernel: &[u8]) -> String {
    let message = load(&ram(), &request(kernel, "")).unwrap_err().to_string();
    assert_eq!(check(&request(kernel, "")).unwrap_err().to_string(), message);
    message
}

#[test]
fn a_check_passes_what_can_be_loaded_and_needs_no_memory() {
    for kernel in [elf_kernel(), bzimage()] {
        check(&request(&kernel, "quiet")).unwrap();
        let mut request = request(&kernel, "quiet");
        request.low_ram_end = 1 << 20;
        assert!(matches!(check(&request), Err(BootError::KernelTooBig { .. })));
    }
}

#[test]
fn an_elf_kernel_is_entered_by_its_pvh_note_with_a_complete_start_info() {
    let ram = ram();
    let kernel = elf_kernel();
    let entry = load(&ram, &request(&kernel, "console=ttyS0")).unwrap();
    let Entry::Pvh32 { rip, start_info } = entry else {
        panic!("{entry:?}");
    };
    assert_eq!(rip, 0x10_0020);
    assert_eq!(read(&ram, 0x10_0000, 0x300), [0xa5; 0x300]);
    let info: hvm_start_info = ram.read_obj(GuestAddress(start_info)).unwrap();
    assert_eq!((info.magic, info.version, info.nr_modules), (0x336e_c578, 1, 0));
    assert_eq!((info.rsdp_paddr, info.memmap_entries), (0xf_0000, 3));
    assert_eq!(read(&ram, info.cmdline_paddr, 14), b"console=ttyS0\0");
    let second: hvm_memmap_table_entry = ram.read_obj(GuestAddress(info.memmap_paddr + 24)).unwrap();
    assert_eq!((second.addr, second.size, second.type_), (0xe_0000, 0x2_0000, 3));
}

#[test]
fn the_initramfs_lies_page_aligned_at_the_top_of_low_ram_and_is_told_in_both_protocols() {
    let content: Vec<u8> = (0..10_000_u32).map(|i| i as u8).collect();
    let (_dir, file, path) = temporary(&content);
    for kernel in [elf_kernel(), bzimage()] {
        let ram = ram();
        let mut request = request(&kernel, "");
        request.initramfs = Some((&file, &path));
        let (address, size) = match load(&ram, &request).unwrap() {
            Entry::Pvh32 { start_info, .. } => {
                let info: hvm_start_info = ram.read_obj(GuestAddress(start_info)).unwrap();
                assert_eq!(info.nr_modules, 1);
                let module: hvm_modlist_entry = ram.read_obj(GuestAddress(info.modlist_paddr)).unwrap();
                (module.paddr, module.size)
            }
            Entry::Long64 { zero_page, .. } => {
                let page: boot_params = ram.read_obj(GuestAddress(zero_page)).unwrap();
                (page.hdr.ramdisk_image.into(), page.hdr.ramdisk_size.into())
            }
        };
        assert_eq!(address, LOW_RAM_END - 0x3000);
        assert_eq!(read(&ram, address, size as usize), content);
    }
}

#[test]
fn a_bzimage_is_entered_in_long_mode_with_a_zero_page_page_tables_and_a_gdt() {
    let ram = ram();
    let kernel = bzimage();
    let entry = load(&ram, &request(&kernel, "quiet")).unwrap();
    let Entry::Long64 {
        rip,
        zero_page,
        page_table,
        gdt,
        gdt_limit,
    } = entry
    else {
        panic!("{entry:?}");
    };
    assert_eq!(rip, 0x100_0200);
    assert_eq!(read(&ram, 0x100_0000, 0x800), [0xc3; 0x800]);
    let page: boot_params = ram.read_obj(GuestAddress(zero_page)).unwrap();
    assert_eq!({ page.acpi_rsdp_addr }, 0xf_0000);
    assert_eq!((page.e820_entries, page.hdr.type_of_loader), (3, 0xff));
    assert_eq!(
        { page.hdr.setup_data },
        0,
        "a file cannot point the kernel at setup data"
    );
    let ram_range = page.e820_table[2];
    assert_eq!(
        ({ ram_range.addr }, { ram_range.size }, { ram_range.r#type }),
        (0x10_0000, LOW_RAM_END - 0x10_0000, 1)
    );
    assert_eq!(read(&ram, page.hdr.cmd_line_ptr.into(), 6), b"quiet\0");
    let entry_at = |table: u64, index: u64| ram.read_obj::<u64>(GuestAddress(table + index * 8)).unwrap();
    for address in [0_u64, 0x100_0000, 0xfee0_0000] {
        let directory_pointers = entry_at(page_table, 0) & !0xfff;
        let directory = entry_at(directory_pointers, address >> 30) & !0xfff;
        let leaf = entry_at(directory, (address >> 21) & 511);
        assert_eq!((leaf & !0x1f_ffff, leaf & 0x83), (address & !0x1f_ffff, 0x83));
    }
    assert_eq!(gdt_limit, 31);
    assert_eq!(entry_at(gdt, 2), 0x00af_9b00_0000_ffff);
    assert_eq!(entry_at(gdt, 3), 0x00cf_9300_0000_ffff);
}

/// A display that can.
#[derive(Debug)]
struct Screen;

impl BootVideo for Screen {
    fn linear_screen(&self) -> Option<LinearScreen> {
        Some(LinearScreen {
            width: 1024,
            height: 768,
            stride: 4096,
            address: 0xc000_0000,
            size: 16 << 20,
        })
    }
}

#[test]
fn a_bzimage_is_told_of_the_screen_it_starts_with() {
    let ram = ram();
    let kernel = bzimage();
    let told_with = |cmdline, video| {
        let request = Request {
            video,
            ..request(&kernel, cmdline)
        };
        let Entry::Long64 { zero_page, .. } = load(&ram, &request).unwrap() else {
            panic!("a bzImage");
        };
        ram.read_obj::<boot_params>(GuestAddress(zero_page))
            .unwrap()
            .screen_info
    };
    let told = |video| told_with("quiet vga=normal vga=791", video);
    assert_eq!(told(None).orig_video_isVGA, 0);
    assert_eq!(told_with("vga=791 vga=normal quiet", Some(&Screen)).orig_video_isVGA, 0);
    let screen = told(Some(&Screen));
    assert_eq!(screen.orig_video_isVGA, 0x23);
    assert_eq!(
        ({ screen.lfb_width }, { screen.lfb_height }, { screen.lfb_depth }),
        (1024, 768, 32)
    );
    assert_eq!(
        ({ screen.lfb_base }, { screen.lfb_size }, { screen.lfb_linelength }),
        (0xc000_0000, 256, 4096)
    );
}

#[test]
fn loading_again_clears_the_bss_and_restores_the_text() {
    let ram = ram();
    let kernel = elf_kernel();
    let first = load(&ram, &request(&kernel, "")).unwrap();
    ram.write_slice(&[0xff; 0x1000], GuestAddress(0x10_0000)).unwrap();
    assert_eq!(load(&ram, &request(&kernel, "")).unwrap(), first);
    assert_eq!(read(&ram, 0x10_0000, 0x300), [0xa5; 0x300]);
    assert_eq!(read(&ram, 0x10_0300, 0xd00), [0; 0xd00]);
}

#[test]
fn files_load_like_bytes_and_messages_name_them() {
    let (_dir, file, path) = temporary(&elf_kernel());
    let ram = ram();
    let mut from_file = request(&[], "");
    from_file.kernel = Source::File(&file, &path);
    assert!(matches!(
        load(&ram, &from_file).unwrap(),
        Entry::Pvh32 { rip: 0x10_0020, .. }
    ));
    assert_eq!(read(&ram, 0x10_0000, 0x300), [0xa5; 0x300]);

    let (_dir, file, path) = temporary(b"#!/bin/sh\necho hello\n");
    from_file.kernel = Source::File(&file, &path);
    let text = load(&ram, &from_file).unwrap_err().to_string();
    assert!(text.contains("the-file is not a kernel: it is a text file"), "{text}");

    let (_dir, file, path) = temporary(b"");
    from_file.kernel = Source::File(&file, &path);
    assert!(matches!(load(&ram, &from_file), Err(BootError::Empty { .. })));

    let directory = tempfile::tempdir().unwrap();
    let file = File::open(directory.path()).unwrap();
    from_file.kernel = Source::File(&file, directory.path());
    assert!(matches!(load(&ram, &from_file), Err(BootError::NotAFile { .. })));
}

#[test]
fn files_of_other_kinds_are_named_for_what_they_are() {
    assert!(message(b"\x1f\x8b\x08\0\0\0").contains("gzip"));
    assert!(message(b"070701000000").contains("cpio"));
    assert!(message(b"\0\x01\x02\x03").contains("00 01 02 03"));
    let mut small = elf_kernel();
    small[4] = 1;
    assert!(message(&small).contains("32-bit ELF"));
    let mut arm = elf_kernel();
    arm[18] = 183;
    assert!(message(&arm).contains("machine type 183"));
    let mut noteless = elf_kernel();
    noteless[0x220] = 17;
    assert!(message(&noteless).contains("without a PVH note"));
}

#[test]
fn a_cut_kernel_is_called_truncated_with_both_sizes() {
    for (kernel, keep) in [(elf_kernel(), 0x1200), (elf_kernel(), 0x70), (bzimage(), 0x500)] {
        let size = kernel.len();
        let error = load(&ram(), &request(&kernel[..keep], "")).unwrap_err();
        let BootError::Truncated { needed, size: has, .. } = error else {
            panic!("{error}");
        };
        assert!(needed > keep as u64 && needed <= size as u64 && has == keep as u64);
    }
}

#[test]
fn what_does_not_fit_into_memory_is_refused_with_the_limit() {
    let mut large = elf_kernel();
    large[64 + 40..64 + 48].copy_from_slice(&(LOW_RAM_END).to_le_bytes());
    assert!(message(&large).contains("0x100000 to 0x2100000, the guest's ends at 0x2000000"));
    let mut wrapping = elf_kernel();
    wrapping[64 + 40..64 + 48].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(message(&wrapping).contains("give it more memory"));
    let mut hungry = bzimage();
    hungry[0x260..0x264].copy_from_slice(&(LOW_RAM_END as u32).to_le_bytes());
    assert!(matches!(
        load(&ram(), &request(&hungry, "")),
        Err(BootError::KernelTooBig { end: 0x300_0000, .. })
    ));

    let (_dir, file, path) = temporary(b"x");
    file.set_len(40 << 20).unwrap();
    let kernel = bzimage();
    let mut request = request(&kernel, "");
    request.initramfs = Some((&file, &path));
    let error = load(&ram(), &request).unwrap_err();
    assert!(
        matches!(
            error,
            BootError::InitramfsTooBig {
                available: 0xf0_0000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_initramfs_stays_below_what_the_kernel_can_address() {
    let (_dir, file, path) = temporary(&[1; 4096]);
    let mut kernel = bzimage();
    kernel[0x22c..0x230].copy_from_slice(&0x17f_ffff_u32.to_le_bytes());
    let ram = ram();
    let mut request = request(&kernel, "");
    request.initramfs = Some((&file, &path));
    let Entry::Long64 { zero_page, .. } = load(&ram, &request).unwrap() else {
        panic!("a bzImage");
    };
    let page: boot_params = ram.read_obj(GuestAddress(zero_page)).unwrap();
    assert_eq!({ page.hdr.ramdisk_image }, 0x17f_f000);
}

#[test]
fn a_command_line_is_taken_up_to_the_kernels_limit_and_not_beyond() {
    let longest = "x".repeat(2047);
    for kernel in [elf_kernel(), bzimage()] {
        load(&ram(), &request(&kernel, &longest)).unwrap();
        let error = load(&ram(), &request(&kernel, &format!("{longest}x"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the command line has 2048 bytes, this kernel takes at most 2047"
        );
        assert!(matches!(
            load(&ram(), &request(&kernel, "a\0b")),
            Err(BootError::CommandLineNul { position: 1 })
        ));
    }
}

#[test]
fn kernels_too_old_or_of_32_bit_are_refused() {
    let mut old = bzimage();
    old[0x206] = 0x0b;
    assert!(message(&old).contains("boot protocol 2.11"));
    let mut short = bzimage();
    short[0x236] = 0;
    assert!(message(&short).contains("32-bit kernel"));
}

#[test]
fn segments_that_overlap_or_lie_in_low_memory_are_refused() {
    let mut overlapping = elf_kernel();
    let first = overlapping[64..120].to_vec();
    overlapping[56] = 3;
    overlapping[176..232].copy_from_slice(&first);
    assert!(message(&overlapping).contains("overlap"));
    let mut low = elf_kernel();
    low[64 + 24..64 + 32].copy_from_slice(&0x7000_u64.to_le_bytes());
    assert!(message(&low).contains("below 0x100000"));
    let mut outside = elf_kernel();
    outside[0x228..0x22c].copy_from_slice(&0x20_0000_u32.to_le_bytes());
    assert!(message(&outside).contains("PVH entry 0x200000 is in no segment"));
}

proptest! {
    // Hostile files: any outcome but a panic, and what is loaded stays inside the memory that is there.
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn mutated_kernels_load_or_are_refused(
        linux in any::<bool>(),
        keep in 0_usize..0x1400,
        changes in prop::collection::vec((0_usize..0x300, prop_oneof![Just(0_u8), Just(0xff), any::<u8>()]), 0..12),
    ) {
        let mut kernel = if linux { bzimage() } else { elf_kernel() };
        for (at, value) in changes {
            kernel[at] = value;
        }
        kernel.truncate(keep.max(1));
        let ram = ram();
        if let Ok(Entry::Pvh32 { rip, .. } | Entry::Long64 { rip, .. }) = load(&ram, &request(&kernel, "x")) {
            prop_assert!((LOAD_START..LOW_RAM_END).contains(&rip));
        }
    }

    #[test]
    fn headers_with_wild_fields_load_or_are_refused(
        linux in any::<bool>(),
        fields in prop::collection::vec((0_usize..0x60, any::<u64>()), 1..4),
    ) {
        let mut kernel = if linux { bzimage() } else { elf_kernel() };
        let base = if linux { 0x1f0 } else { 16 };
        for (index, value) in fields {
            let at = base + index * 4;
            if at + 8 <= kernel.len() {
                kernel[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        let _ = load(&ram(), &request(&kernel, ""));
    }
}
