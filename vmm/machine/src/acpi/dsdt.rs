//! DSDT: the PCI root with its windows and interrupt routing, what is on the ISA side, processors, power-off.

use acpi_tables::{
    Aml, AmlSink,
    aml::{
        AddressSpace, AddressSpaceCacheable, Device, EISAName, IO, Interrupt, Memory32Fixed, Name, Package,
        PackageBuilder, ResourceTemplate, Scope,
    },
    sdt::Sdt,
};

use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID, Spec};

/// First GSI of PCI interrupts, after the sixteen of ISA.
const PCI_GSI_BASE: u32 = 16;

/// `CPU` and three hexadecimal digits would not be four characters: processors are `C000` to `CFFF`.
const MAX_NAMED_CPUS: u32 = 0x1000;

pub(super) fn dsdt(spec: &Spec) -> Vec<u8> {
    let mut dsdt = Sdt::new(*b"DSDT", 36, 2, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    let sleep: [&dyn Aml; 4] = [&spec.s5, &spec.s5, &0_u8, &0_u8];
    let power_off = Name::new("_S5_".into(), &Package::new(sleep.to_vec()));
    let parts = [
        to_bytes(&power_off),
        to_bytes(&Scope::new(
            "\\_SB_".into(),
            vec![
                &Part(pci_root(spec)),
                &Part(motherboard(spec)),
                &Part(isa_devices()),
                &Part(processors(spec)),
            ],
        )),
    ];
    for part in parts {
        dsdt.append_slice(&part);
    }
    dsdt.as_slice().to_vec()
}

/// AML that is made already.
struct Part(Vec<u8>);

impl Aml for Part {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

fn to_bytes(aml: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    aml.to_aml_bytes(&mut bytes);
    bytes
}

fn pci_root(spec: &Spec) -> Vec<u8> {
    let low = |address: u64| u32::try_from(address).unwrap_or(u32::MAX);
    let registers = |start, end| {
        AddressSpace::new_memory(
            AddressSpaceCacheable::NotCacheable,
            true,
            low(start),
            low(end - 1),
            None,
        )
    };
    // Cacheable rather than prefetchable: a prefetchable window would keep all other 64-bit BARs out.
    let window64 = AddressSpace::new_memory(
        AddressSpaceCacheable::Cacheable,
        true,
        spec.window64.start,
        spec.window64.end - 1,
        None,
    );
    let resources = Part(to_bytes(&ResourceTemplate::new(vec![
        &AddressSpace::new_bus_number(0_u16, u16::from(spec.last_bus)),
        // Config space access; consumed by the bridge itself.
        &IO::new(0xcf8, 0xcf8, 1, 8),
        // VGA lies where it always does.
        &AddressSpace::new_io(0x3b0_u16, 0x3df, None),
        &AddressSpace::new_io(*spec.pci_ports.start(), *spec.pci_ports.end(), None),
        &registers(0xa_0000, 0xc_0000),
        &registers(spec.window32.start, spec.window32.end),
        &window64,
    ])));
    to_bytes(&Device::new(
        "PCI0".into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0A08")),
            &Name::new("_CID".into(), &EISAName::new("PNP0A03")),
            &Name::new("_UID".into(), &0_u8),
            &Name::new("_SEG".into(), &0_u8),
            &Name::new("_BBN".into(), &0_u8),
            &Name::new("_CRS".into(), &resources),
            &Name::new("_PRT".into(), &interrupt_routing()),
        ],
    ))
}

/// Every device's four pins: GSI 16 + ((device + pin) mod 4), pins counted from 0.
fn interrupt_routing() -> PackageBuilder {
    let mut routes = PackageBuilder::new();
    for device in 0..32_u32 {
        for pin in 0..4_u8 {
            let address = (device << 16) | 0xffff;
            let gsi = PCI_GSI_BASE + ((device + u32::from(pin)) & 3);
            routes.add_element(&Package::new(vec![&address, &pin, &0_u8, &gsi]));
        }
    }
    routes
}

/// What belongs to no device: config space in memory, which guests believe only when it is reserved here, and power
/// management.
fn motherboard(spec: &Spec) -> Vec<u8> {
    let ecam = Memory32Fixed::new(
        true,
        u32::try_from(spec.ecam.start).unwrap_or(0),
        u32::try_from(spec.ecam.end - spec.ecam.start).unwrap_or(0),
    );
    let ports = |port, bytes| IO::new(port, port, 1, bytes);
    let blocks = [
        ports(spec.pm1_event_port, 4),
        ports(spec.pm1_control_port, 2),
        ports(spec.pm_timer_port, 4),
    ];
    let events = ports(spec.gpe0_port, spec.gpe0_bytes);
    let mut resources: Vec<&dyn Aml> = vec![&ecam];
    resources.extend(blocks.iter().map(|block| block as &dyn Aml));
    if spec.gpe0_bytes > 0 {
        resources.push(&events);
    }
    device("MBRD", "PNP0C02", 0, resources)
}

fn isa_devices() -> Vec<u8> {
    // ISA interrupts: edge-triggered, active high, not shared.
    let irq = |number| Interrupt::new(true, true, false, false, number);
    [
        device("RTC_", "PNP0B00", 0, vec![&IO::new(0x70, 0x70, 1, 2), &irq(8)]),
        device(
            "KBD_",
            "PNP0303",
            0,
            vec![&IO::new(0x60, 0x60, 1, 1), &IO::new(0x64, 0x64, 1, 1), &irq(1)],
        ),
        device("MOU_", "PNP0F13", 0, vec![&irq(12)]),
        device("COM1", "PNP0501", 1, vec![&IO::new(0x3f8, 0x3f8, 1, 8), &irq(4)]),
    ]
    .concat()
}

fn device(name: &str, id: &str, uid: u8, resources: Vec<&dyn Aml>) -> Vec<u8> {
    to_bytes(&Device::new(
        name.into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new(id)),
            &Name::new("_UID".into(), &uid),
            &Name::new("_CRS".into(), &ResourceTemplate::new(resources)),
        ],
    ))
}

fn processors(spec: &Spec) -> Vec<u8> {
    (0..spec.cpus.min(MAX_NAMED_CPUS))
        .flat_map(|id| {
            to_bytes(&Device::new(
                format!("C{id:03X}").as_str().into(),
                vec![&Name::new("_HID".into(), &"ACPI0007"), &Name::new("_UID".into(), &id)],
            ))
        })
        .collect()
}
