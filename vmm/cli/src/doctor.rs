//! `caraway doctor`: what this host can run, measured.

mod host;

use caraway_machine::{
    KvmError,
    doctor::{NATIVE_RING0, Ring0, Speed, measure},
};
use serde::Serialize;

use crate::{
    args::DoctorArgs,
    output::{self, chain, one_line},
};

/// How a thing looked at is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// Something will not work, but VMs run.
    Limited,
    /// No VM runs.
    Bad,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            verdict,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

/// Iterations of a two-instruction loop a second.
#[derive(Debug, Serialize)]
struct Speeds {
    ring0: f64,
    ring0_native: bool,
    ring3: f64,
    /// What ring 0 needs for Linux to boot in bearable time.
    linux_needs: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Whether the demo VM can run.
    demo: bool,
    /// Whether Linux guests can boot.
    linux: bool,
    /// The same, in words.
    summary: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loops_per_second: Option<Speeds>,
    findings: Vec<Finding>,
}

/// Looks, and says what can run. The exit code is that of the demo VM's chances.
pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let report = examine();
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(text(&report))?;
    }
    Ok(u8::from(!report.demo))
}

fn examine() -> Report {
    let measured = measure();
    let mut findings = vec![kvm(measured.as_ref())];
    if let Ok(speed) = &measured {
        findings.extend([ring0(speed.ring0), ring3(speed.ring3)]);
    }
    findings.extend([
        host::memory(),
        host::ports(),
        host::run_directory(),
        host::descriptors(),
        host::tun(),
    ]);
    let demo = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    let native = measured
        .as_ref()
        .is_ok_and(|speed| matches!(speed.ring0, Ring0::Native { .. }));
    Report {
        demo,
        linux: demo && native,
        summary: summary(demo, measured.as_ref().ok().map(|speed| speed.ring0)),
        loops_per_second: measured.ok().map(|speed| Speeds {
            ring0: per_second(speed.ring0),
            ring0_native: native,
            ring3: speed.ring3,
            linux_needs: NATIVE_RING0,
        }),
        findings,
    }
}

fn summary(demo: bool, ring0: Option<Ring0>) -> Vec<String> {
    match (demo, ring0) {
        (true, Some(Ring0::Native { .. })) => vec![
            "The demo VM can run here: caraway run".to_owned(),
            "Linux guests can boot here.".to_owned(),
        ],
        (true, Some(Ring0::Emulated { per_second })) => vec![
            "The demo VM can run here: caraway run".to_owned(),
            format!(
                "Linux guests cannot boot here: this host interprets guest kernel code ({} of the {} needed). Use a host \
                 with VT-x or AMD-V; on a virtual machine, have nested virtualisation enabled for it.",
                loops(per_second),
                loops(NATIVE_RING0)
            ),
        ],
        _ => vec![
            "The demo VM cannot run here, and no other: see what is marked \"bad\" above.".to_owned(),
            "Linux guests cannot boot here.".to_owned(),
        ],
    }
}

fn kvm(measured: Result<&Speed, &KvmError>) -> Finding {
    match measured {
        Ok(_) => Finding::ok("kvm", "/dev/kvm opens and has all that is needed"),
        Err(error) => {
            let advice = match error {
                // These messages say it themselves.
                KvmError::Missing { .. } | KvmError::NoRight { .. } => None,
                KvmError::Capability { .. } | KvmError::Version { .. } => Some("use a host with a newer Linux kernel"),
                _ => Some("look for messages of kvm in the kernel log (dmesg)"),
            };
            Finding {
                name: "kvm",
                verdict: Verdict::Bad,
                found: chain(error),
                advice: advice.map(str::to_owned),
            }
        }
    }
}

fn ring0(ring0: Ring0) -> Finding {
    let speed = loops(per_second(ring0));
    match ring0 {
        Ring0::Native { .. } => Finding::ok("ring 0", format!("guest kernel code runs on the processor: {speed}")),
        Ring0::Emulated { .. } => Finding {
            name: "ring 0",
            verdict: Verdict::Limited,
            found: format!("guest kernel code is interpreted: {speed}"),
            advice: None,
        },
    }
}

fn ring3(per_second: f64) -> Finding {
    Finding::ok("ring 3", format!("guest user code: {}", loops(per_second)))
}

fn per_second(ring0: Ring0) -> f64 {
    let (Ring0::Native { per_second } | Ring0::Emulated { per_second }) = ring0;
    per_second
}

fn loops(per_second: f64) -> String {
    format!("{:.1} million loops/s", per_second / 1e6)
}

fn text(report: &Report) -> String {
    let mut rows = Vec::new();
    for finding in &report.findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Limited => "limited",
            Verdict::Bad => "bad",
        };
        rows.push([mark.to_owned(), finding.name.to_owned(), one_line(&finding.found)]);
        if let Some(advice) = &finding.advice {
            rows.push([String::new(), String::new(), format!("-> {}", one_line(advice))]);
        }
    }
    format!("{}\n{}\n", output::columns(&rows), report.summary.join("\n"))
}
