use std::{fs, path::Path, process::Command};

use vm_memory::{Bytes as _, GuestAddress};

use super::*;

fn spec() -> Spec {
    Spec {
        cpus: 2,
        local_apic: 0xfee0_0000,
        io_apic: 0xfec0_0000,
        ecam: 0xb000_0000..0xc000_0000,
        last_bus: 0,
        window32: 0xc000_0000..0xfec0_0000,
        window64: 0x8_0000_0000..0x10_0000_0000,
        pci_ports: 0xc000..=0xffff,
        pm1_event_port: 0x600,
        pm1_control_port: 0x604,
        pm_timer_port: 0x608,
        gpe0_port: 0x620,
        gpe0_bytes: 4,
        sci: 9,
        reset_port: 0xcf9,
        reset_value: 6,
        rtc_century: 0x32,
        s5: 5,
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Follows the pointers as a guest does.
fn find(ram: &GuestRam, rsdp: u64, signature: &[u8; 4]) -> Vec<u8> {
    let table = |address: u64| {
        let mut length = [0; 4];
        ram.read_slice(&mut length, GuestAddress(address + 4)).unwrap();
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    };
    let mut pointer = [0; 36];
    ram.read_slice(&mut pointer, GuestAddress(rsdp)).unwrap();
    assert_eq!(
        (&pointer[..8], sum(&pointer[..20]), sum(&pointer)),
        (&b"RSD PTR "[..], 0, 0)
    );
    let xsdt = table(quad(&pointer, 24));
    assert_eq!((&xsdt[..4], sum(&xsdt)), (&b"XSDT"[..], 0));
    let listed = xsdt[36..].chunks(8).map(|entry| table(quad(entry, 0)));
    let fadt = listed.clone().next().unwrap();
    let mut all: Vec<_> = listed.chain([table(quad(&fadt, 140))]).collect();
    for table in &all {
        assert_eq!(sum(table), 0, "checksum of {:?}", &table[..4]);
    }
    all.retain(|table| &table[..4] == signature);
    assert_eq!(all.len(), 1, "{signature:?}");
    all.remove(0)
}

#[test]
fn a_guest_finds_every_table_from_the_rsdp() {
    let ram = GuestRam::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap();
    let rsdp = write(&ram, &spec()).unwrap();
    assert!((0xf_0000..0x10_0000).contains(&rsdp) && rsdp.is_multiple_of(16));
    for signature in [b"FACP", b"APIC", b"MCFG", b"DSDT"] {
        find(&ram, rsdp, signature);
    }
    let fadt = find(&ram, rsdp, b"FACP");
    assert_eq!((fadt[8], fadt.len()), (6, 276));
    let facs = u64::from(u32::from_le_bytes(fadt[36..40].try_into().unwrap()));
    assert!(facs.is_multiple_of(64));
    let mut signature = [0; 4];
    ram.read_slice(&mut signature, GuestAddress(facs)).unwrap();
    assert_eq!(&signature, b"FACS");
    assert_eq!(
        u16::from_le_bytes(fadt[109..111].try_into().unwrap()),
        3,
        "8042 there, VGA not denied"
    );
}

#[test]
fn processors_past_the_old_apic_ids_are_listed_as_x2apic() {
    let spec = Spec { cpus: 300, ..spec() };
    let madt = fixed::madt(&spec);
    let (mut old, mut new, mut at) = (0, 0, 44);
    while at < madt.len() {
        match madt[at] {
            0 => old += 1,
            9 => new += 1,
            _ => {}
        }
        at += usize::from(madt[at + 1]);
    }
    assert_eq!((old, new, at), (255, 45, madt.len()));
    assert!(tables(&spec).is_ok());
}

type Change = fn(&mut Spec);

#[test]
fn what_the_tables_cannot_tell_is_refused_by_name() {
    let ram = GuestRam::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap();
    let cases: [(&str, Change); 7] = [
        ("cpus", |s| s.cpus = 0),
        ("ecam", |s| s.ecam = 0xb000_0000..0xb008_0000),
        ("last_bus", |s| (s.ecam.end, s.last_bus) = (0xb010_0000, 1)),
        ("window32", |s| s.window32 = 0xc000_0000..0x1_0000_1000),
        ("window64", |s| s.window64.end = s.window64.start),
        ("pci_ports", |s| s.pci_ports = RangeInclusive::new(9, 8)),
        ("gpe0_bytes", |s| s.gpe0_bytes = 3),
    ];
    for (name, change) in cases {
        let mut spec = spec();
        change(&mut spec);
        let error = write(&ram, &spec).unwrap_err();
        assert!(
            matches!(error, AcpiError::Spec { field, .. } if field == name),
            "{error}"
        );
    }
    let many = Spec { cpus: 4096, ..spec() };
    assert!(matches!(write(&ram, &many), Err(AcpiError::TooBig { .. })));
    let small = GuestRam::from_ranges(&[(GuestAddress(0), 1 << 19)]).unwrap();
    assert!(matches!(write(&small, &spec()), Err(AcpiError::GuestMemory { .. })));
}

/// Runs iasl (package acpica-tools) and returns what it printed.
fn iasl(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("iasl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("iasl is installed (package acpica-tools)");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "iasl {arguments:?}: {text}");
    text
}

/// The source without the comment at its start, which has the time and the version of iasl.
fn without_banner(source: &str) -> String {
    let after = source.split_once("*/").map_or(source, |(_, after)| after);
    after.trim().to_owned() + "\n"
}

/// The tables as iasl reads them are the ones in `golden/`. To take changes over: `CARAWAY_BLESS=1`, then look at the
/// difference.
#[test]
fn iasl_reads_the_tables_as_committed_and_compiles_the_dsdt_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/acpi/golden");
    // iasl reads every table but the RSDP, which the test above follows byte by byte.
    for table in tables(&spec()).unwrap().iter().filter(|table| table.address != RSDP) {
        let name = String::from_utf8_lossy(&table.bytes[..4]).trim().to_lowercase();
        let file = format!("{name}.aml");
        fs::write(directory.path().join(&file), &table.bytes).unwrap();
        let text = iasl(directory.path(), &["-d", &file]);
        for word in ["Error", "Warning", "nvalid", "Incorrect"] {
            assert!(!text.contains(word), "{name}: {text}");
        }
        let source = without_banner(&fs::read_to_string(directory.path().join(format!("{name}.dsl"))).unwrap());
        let expected = golden.join(format!("{name}.dsl"));
        if std::env::var_os("CARAWAY_BLESS").is_some() {
            fs::write(&expected, &source).unwrap();
        }
        assert_eq!(fs::read_to_string(&expected).unwrap(), source, "{name}");
    }
    let text = iasl(directory.path(), &["-p", "again", "dsdt.dsl"]);
    assert!(text.contains("0 Errors, 0 Warnings"), "{text}");
}
