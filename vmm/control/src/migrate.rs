//! Migration: arguments and replies of `migrate` and of what belongs to it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{QmpError, wire};

const PAGE: u64 = 4096;

/// What a migration is doing; the words of QMP's `MigrationStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationStatus {
    /// Connecting and comparing.
    Setup,
    /// Memory is sent while the guest runs.
    Active,
    /// The machine is held still.
    Device,
    /// It is to stop.
    Cancelling,
    /// The machine has moved.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// It failed.
    Failed,
}

impl MigrationStatus {
    /// QMP's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Active => "active",
            Self::Device => "device",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// How a migration is doing (`query-migrate`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// In one word.
    pub status: MigrationStatus,
    /// From its begin to its end, or to now.
    pub total_time: Duration,
    /// How long connecting and comparing took.
    pub setup_time: Duration,
    /// How long the guest stood still or, by what is known now, will stand still.
    pub downtime: Option<Duration>,
    /// Bytes of all memories.
    pub total: u64,
    /// Bytes that were found changed and are not sent yet.
    pub remaining: u64,
    /// Bytes written to the connection.
    pub transferred: u64,
    /// Pages sent.
    pub normal: u64,
    /// Pages of zeros, which are not sent.
    pub zero: u64,
    /// Rounds begun.
    pub rounds: u64,
    /// Pages a second that the guest changed in the last round.
    pub dirty_rate: u64,
    /// Bytes a second of the last round.
    pub bandwidth: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// How migrations are done (`migrate-set-parameters`). What is not given stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MigrateParameters {
    /// Bytes a second while the guest runs; 0 is no limit.
    #[serde(default)]
    pub max_bandwidth: Option<u64>,
    /// Milliseconds for which the guest may stand still.
    #[serde(default)]
    pub downtime_limit: Option<u64>,
}

/// Where clients of the SPICE server are to go (`client_migrate_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDestination {
    /// Name or address.
    pub host: String,
    /// The port without TLS.
    pub port: Option<u16>,
    /// The port for TLS.
    pub tls_port: Option<u16>,
    /// Subject of the certificate, where the host's name is not what to check.
    pub subject: Option<String>,
}

/// Longest name of a host, and longest subject.
const MOST_NAME: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ClientMigrateInfo {
    protocol: String,
    hostname: String,
    #[serde(default)]
    port: Option<i64>,
    #[serde(default)]
    tls_port: Option<i64>,
    #[serde(default)]
    cert_subject: Option<String>,
}

/// Where clients are to go.
pub(crate) fn clients(arguments: Value) -> Result<ClientDestination, QmpError> {
    let info: ClientMigrateInfo = wire::arguments(arguments)?;
    let invalid = |name: &str, text: String| QmpError::generic(format!("Invalid parameter '{name}': {text}"));
    if info.protocol != "spice" {
        return Err(invalid("protocol", format!("{:?} is not \"spice\"", info.protocol)));
    }
    let fits = |text: &str| (1..=MOST_NAME).contains(&text.len()) && !text.contains('\0');
    if !fits(&info.hostname) {
        return Err(invalid("hostname", format!("{:?} is no name of a host", info.hostname)));
    }
    if let Some(subject) = info.cert_subject.as_ref().filter(|subject| !fits(subject)) {
        return Err(invalid("cert-subject", format!("{subject:?} is no subject")));
    }
    let port = |name: &str, number: Option<i64>| {
        let port = number.map(|number| u16::try_from(number).ok().filter(|port| *port != 0).ok_or(number));
        port.transpose()
            .map_err(|number| invalid(name, format!("{number} is no port")))
    };
    let (port, tls_port) = (port("port", info.port)?, port("tls-port", info.tls_port)?);
    if port.is_none() && tls_port.is_none() {
        return Err(QmpError::generic("give 'port', 'tls-port' or both"));
    }
    Ok(ClientDestination {
        host: info.hostname,
        port,
        tls_port,
        subject: info.cert_subject,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Migrate {
    uri: String,
    #[serde(default, rename = "detach")]
    #[expect(dead_code, reason = "it always returns at once")]
    detached: Option<bool>,
}

/// Where `migrate` is to go.
pub(crate) fn uri(arguments: Value) -> Result<String, QmpError> {
    let Migrate { uri, .. } = wire::arguments(arguments)?;
    Ok(uri)
}

/// The reply to `query-migrate`; nothing when there was no migration.
pub(crate) fn reply(migration: Option<&Migration>) -> Value {
    let Some(migration) = migration else {
        return json!({});
    };
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let seconds = migration.total_time.as_secs_f64();
    let mut reply = json!({
        "status": migration.status.word(),
        "total-time": ms(migration.total_time),
        "setup-time": ms(migration.setup_time),
        "ram": {
            "transferred": migration.transferred,
            "remaining": migration.remaining,
            "total": migration.total,
            "duplicate": migration.zero,
            "skipped": 0,
            "normal": migration.normal,
            "normal-bytes": migration.normal.saturating_mul(PAGE),
            "dirty-pages-rate": migration.dirty_rate,
            "mbps": migration.bandwidth as f64 * 8.0 / 1e6,
            "dirty-sync-count": migration.rounds,
            "page-size": PAGE,
            "pages-per-second": if seconds > 0.0 { (migration.normal as f64 / seconds) as u64 } else { 0 },
            "multifd-bytes": 0,
            "postcopy-requests": 0,
            "precopy-bytes": migration.transferred,
            "downtime-bytes": 0,
            "postcopy-bytes": 0,
        },
    });
    if let Some(object) = reply.as_object_mut() {
        let ended = migration.status == MigrationStatus::Completed;
        if let Some(downtime) = migration.downtime {
            let name = if ended { "downtime" } else { "expected-downtime" };
            object.insert(name.to_owned(), json!(ms(downtime)));
        }
        if let Some(error) = &migration.error {
            object.insert("error-desc".to_owned(), json!(error));
        }
    }
    reply
}

/// The reply to `query-migrate-parameters`.
pub(crate) fn parameters(parameters: MigrateParameters) -> Value {
    json!({
        "max-bandwidth": parameters.max_bandwidth,
        "downtime-limit": parameters.downtime_limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_has_qemus_names() {
        assert_eq!(reply(None), json!({}));
        let mut migration = Migration {
            status: MigrationStatus::Active,
            total_time: Duration::from_millis(1500),
            setup_time: Duration::from_millis(3),
            downtime: Some(Duration::from_millis(40)),
            total: 1 << 20,
            remaining: 4096,
            transferred: 100,
            normal: 3,
            zero: 5,
            rounds: 2,
            dirty_rate: 7,
            bandwidth: 1_000_000,
            error: None,
        };
        let text = reply(Some(&migration));
        assert_eq!(text["status"], "active");
        assert_eq!(
            (text["total-time"].as_u64(), text["expected-downtime"].as_u64()),
            (Some(1500), Some(40))
        );
        assert_eq!(text["ram"]["normal-bytes"], 3 * 4096);
        assert_eq!(text["ram"]["mbps"], 8.0);
        assert!(text.get("downtime").is_none() && text.get("error-desc").is_none());
        migration.status = MigrationStatus::Failed;
        migration.error = Some("no".to_owned());
        assert_eq!(reply(Some(&migration))["error-desc"], "no");
    }

    #[test]
    fn where_clients_go_has_a_host_and_a_port() {
        let given = |more: Value| {
            let mut arguments = json!({"protocol": "spice", "hostname": "host-b.example.org"});
            let (Some(object), Some(more)) = (arguments.as_object_mut(), more.as_object()) else {
                panic!("objects");
            };
            object.extend(more.clone());
            clients(arguments)
        };
        let whole = given(json!({"port": 5901, "tls-port": 5902, "cert-subject": "CN=b"})).unwrap();
        assert_eq!((whole.port, whole.tls_port), (Some(5901), Some(5902)));
        assert_eq!(whole.subject.as_deref(), Some("CN=b"));
        for (more, words) in [
            (json!({}), "give 'port', 'tls-port' or both"),
            (json!({"port": 0}), "'port': 0 is no port"),
            (json!({"tls-port": 65536}), "'tls-port': 65536 is no port"),
            (json!({"port": -1}), "'port': -1 is no port"),
            (json!({"protocol": "vnc", "port": 1}), "'protocol': \"vnc\""),
            (json!({"hostname": "", "port": 1}), "'hostname'"),
            (json!({"hostname": "a\u{0}b", "port": 1}), "'hostname'"),
            (json!({"cert-subject": "", "port": 1}), "'cert-subject'"),
        ] {
            let error = given(more).unwrap_err();
            assert!(error.desc.contains(words), "{words}: {}", error.desc);
        }
    }

    #[test]
    fn arguments_that_are_not_ours_are_named() {
        assert_eq!(uri(json!({"uri": "tcp:a:1", "detach": true})).unwrap(), "tcp:a:1");
        let error = uri(json!({"uri": "tcp:a:1", "blk": true})).unwrap_err();
        assert_eq!(error.desc, "Parameter 'blk' is unexpected");
        assert_eq!(uri(json!({})).unwrap_err().desc, "Parameter 'uri' is missing");
    }
}
