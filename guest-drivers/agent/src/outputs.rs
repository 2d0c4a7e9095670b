//! Which output is meant by a display of the server's: by its device and the number there.

use std::fs;
use std::path::{Path, PathBuf};

use caraway_protocol::agent::GraphicsDevice;

/// What an output of a PCI device is called: the name that the kernel has for it.
pub(crate) fn output_name(sys: &Path, device: &GraphicsDevice) -> Option<String> {
    let folder = pci_folder(sys, &device.address)?.join("drm");
    let is_card = |name: &str| {
        name.strip_prefix("card")
            .is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    let card = entries(&folder).into_iter().find(|name| is_card(name))?;
    let prefix = format!("{card}-");
    let mut outputs: Vec<(u32, String)> = entries(&folder.join(&card))
        .into_iter()
        .filter_map(|name| {
            let output = name.strip_prefix(&prefix)?;
            let number = output.rsplit('-').next()?.parse().ok()?;
            Some((number, output.to_owned()))
        })
        .collect();
    outputs.sort();
    let (_, name) = outputs.into_iter().nth(usize::try_from(device.output).ok()?)?;
    Some(name)
}

/// Where the kernel has the device of an address `pci/DDDD/SS.F/...`.
fn pci_folder(sys: &Path, address: &str) -> Option<PathBuf> {
    let mut parts = address.strip_prefix("pci/")?.split('/');
    let is_hex = |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let domain = parts.next().filter(|part| is_hex(part))?;
    let mut folder = sys.join(format!("devices/pci{domain}:00"));
    for part in parts {
        let (slot, function) = part.split_once('.')?;
        if !is_hex(slot) || !is_hex(function) {
            return None;
        }
        // Which bus is behind a bridge is the firmware's choice.
        let ending = format!(":{part}");
        let is_it = |name: &String| name.starts_with(domain) && name.ends_with(&ending);
        folder = folder.join(entries(&folder).into_iter().find(is_it)?);
    }
    Some(folder)
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(address: &str, output: u32) -> GraphicsDevice {
        GraphicsDevice {
            channel: 0,
            monitor: output,
            output,
            address: address.to_owned(),
        }
    }

    #[test]
    fn an_output_is_found_by_its_device() {
        let sys = tempfile::tempdir().unwrap();
        let card = sys.path().join("devices/pci0000:00/0000:00:01.0/drm/card0");
        for name in ["card0-Virtual-1", "card0-Virtual-2", "card0-Virtual-10", "power"] {
            fs::create_dir_all(card.join(name)).unwrap();
        }
        fs::create_dir_all(
            sys.path()
                .join("devices/pci0000:00/0000:00:02.0/0000:05:00.0/drm/card1/card1-VGA-1"),
        )
        .unwrap();
        let name = |address, output| output_name(sys.path(), &device(address, output));
        assert_eq!(name("pci/0000/01.0", 1).as_deref(), Some("Virtual-2"));
        assert_eq!(name("pci/0000/01.0", 2).as_deref(), Some("Virtual-10"));
        assert_eq!(name("pci/0000/01.0", 3), None);
        assert_eq!(name("pci/0000/02.0/00.0", 0).as_deref(), Some("VGA-1"));
        for wrong in [
            "",
            "pci",
            "pci/../01.0",
            "pci/0000/../..",
            "pci/0000/01",
            "usb/0000/01.0",
            "pci/0000/03.0",
        ] {
            assert_eq!(name(wrong, 0), None, "{wrong}");
        }
    }
}
