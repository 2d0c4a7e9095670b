use caraway_canvas::Limits;
use caraway_display::Display;
use caraway_ports::port::port;
use caraway_qxl::QxlConfig;

use super::*;

/// What is asked of two sound devices, and what each answers.
fn ask(words: &[(&str, Option<&str>)]) -> Vec<Result<u64, String>> {
    let qxl = Qxl::without_thread(QxlConfig::default(), None, Display::new(Limits::default())).unwrap();
    let (_host, device) = port();
    let vdiport = VdiPort::new(device).unwrap();
    let asked = words.iter().map(|(device, fault)| Misbehaviour {
        device: (*device).to_owned(),
        fault: fault.map(str::to_owned),
        value: 7,
        count: None,
    });
    asked
        .map(|asked| misbehave(&qxl, &vdiport, &asked).map_err(|error| error.to_string()))
        .collect()
}

#[test]
fn each_device_has_faults_of_its_own_until_they_end() {
    let lies = |device| {
        [
            (device, Some("ram-magic")),
            (device, None),
            (device, Some("none")),
            (device, None),
        ]
    };
    assert_eq!(ask(&lies("qxl")), [Ok(1), Ok(1), Ok(1), Ok(1)]);
    assert_eq!(ask(&lies("vdiport")), [Ok(1), Ok(1), Ok(1), Ok(1)]);
    assert_eq!(ask(&[("qxl", Some("ram-magic")), ("vdiport", None)]), [Ok(1), Ok(0)]);
}

#[test]
fn what_is_not_there_is_refused_with_what_is() {
    let said = ask(&[
        ("disk", None),
        ("vdiport", Some("rom-magic")),
        ("qxl", Some("packet-size")),
    ]);
    let said: Vec<String> = said.into_iter().map(|answer| answer.unwrap_err()).collect();
    assert!(said[0].contains("\"disk\" is none of qxl, vdiport"), "{said:?}");
    assert!(
        said[1].contains("\"rom-magic\"") && said[1].contains("packet-size"),
        "{said:?}"
    );
    assert!(
        said[2].contains("\"packet-size\"") && said[2].contains("rom-magic"),
        "{said:?}"
    );
}
