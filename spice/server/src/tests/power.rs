//! What pages command, and who may.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    web::{Answer, answer, page_alone, web_fixture},
    *,
};
use crate::{Power, PowerAction, Web};

/// Remembers what was commanded; nothing can be resumed.
#[derive(Default)]
struct Machine(Mutex<Vec<PowerAction>>);

impl Power for Machine {
    fn act(&self, action: PowerAction) -> Result<(), String> {
        if action == PowerAction::Resume {
            return Err("the machine is running".to_owned());
        }
        self.0.lock().unwrap().push(action);
        Ok(())
    }
}

fn fixture(ticket: Option<&str>) -> (Fixture, Arc<Machine>) {
    let machine = Arc::new(Machine::default());
    let web = Web {
        power: Some(Arc::clone(&machine) as Arc<dyn Power>),
        ..page_alone()
    };
    (web_fixture(ticket, Security::default(), web), machine)
}

fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /power HTTP/1.1\r\nHost: 127.0.0.1:5980\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

fn with(ticket: &str) -> String {
    format!("Authorization: Bearer {}\r\n", STANDARD.encode(ticket))
}

const RESET: &str = r#"{"action":"reset"}"#;

#[tokio::test(start_paused = true)]
async fn who_has_the_ticket_for_control_commands_and_nobody_else() {
    let (fixture, machine) = fixture(Some("secret \u{e9}"));
    for action in ["powerdown", "reset", "pause"] {
        let body = format!("{{\"action\": \"{action}\"}}");
        let answer = fixture.ask(&post(&with("secret \u{e9}"), &body)).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{action}");
    }
    use PowerAction::{Pause, Powerdown, Reset};
    assert_eq!(*machine.0.lock().unwrap(), [Powerdown, Reset, Pause]);
    let refused = fixture
        .ask(&post(&with("secret \u{e9}"), r#"{"action":"resume"}"#))
        .await;
    assert_eq!((refused.status, refused.text()), (409, "the machine is running\n"));
    assert_eq!(fixture.ask(&post(&with("look"), RESET)).await.status, 403);
    let plain = "Authorization: Bearer secret\r\n".to_owned();
    let basic = with("secret \u{e9}").replace("Bearer", "Basic");
    for headers in [
        String::new(),
        plain,
        basic,
        with(""),
        with("secret"),
        with("secret \u{e9}!"),
    ] {
        let answer = fixture.ask(&post(&headers, RESET)).await;
        assert_eq!(
            (answer.status, answer.header("WWW-Authenticate")),
            (401, Some("Bearer")),
            "{headers}"
        );
    }
    assert_eq!(machine.0.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_body_that_is_no_command_is_refused() {
    let (fixture, machine) = fixture(None);
    for body in [
        "",
        "{}",
        "reset",
        r#"{"action":"quit"}"#,
        r#"{"action":"Reset"}"#,
        r#"{"action":"reset","force":true}"#,
        "[",
    ] {
        assert_eq!(fixture.ask(&post("", body)).await.status, 400, "{body}");
    }
    assert_eq!(fixture.ask(&post("", RESET).replace("POST", "GET")).await.status, 413);
    let get = "GET /power HTTP/1.1\r\nHost: 127.0.0.1:5980\r\n\r\n";
    assert_eq!(fixture.ask(get).await.status, 405);
    assert!(machine.0.lock().unwrap().is_empty());
    // Without a ticket everybody has control.
    assert_eq!(fixture.ask(&post("", RESET)).await.status, 204);
}

#[tokio::test]
async fn pages_from_elsewhere_command_nothing_with_or_without_a_ticket() {
    let (fixture, machine) = fixture(None);
    for origin in ["https://evil.example", "null", "http://127.0.0.1:8000"] {
        let answer = fixture.ask(&post(&format!("Origin: {origin}\r\n"), RESET)).await;
        assert_eq!(answer.status, 403, "{origin}");
    }
    let rebound = post("Origin: http://evil.example:5980\r\n", RESET).replace("127.0.0.1", "evil.example");
    assert_eq!(fixture.ask(&rebound).await.status, 403);
    assert!(machine.0.lock().unwrap().is_empty());
    let own = post("Origin: http://127.0.0.1:5980\r\n", RESET);
    assert_eq!(fixture.ask(&own).await.status, 204);
}

async fn asked_from(fixture: &Fixture, client: &Peer, request: &str) -> Answer {
    let mut stream = fixture.browse_from(Peer::Unnamed, client.clone());
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(&mut stream).await
}

#[tokio::test]
async fn a_ticket_is_not_taken_where_it_could_be_read_on_the_way() {
    let facts = "GET /vm.json HTTP/1.1\r\nHost: 127.0.0.1:5980\r\n\r\n";
    let (near, far) = (
        Peer::Tcp(([127, 0, 0, 1], 4000).into()),
        Peer::Tcp(([192, 0, 2, 1], 4000).into()),
    );
    let (fixture, machine) = fixture(Some("secret"));
    for (client, status) in [(&far, 403), (&near, 204)] {
        let answer = asked_from(&fixture, client, &post(&with("secret"), RESET)).await;
        assert_eq!(answer.status, status);
        let facts = asked_from(&fixture, client, facts).await;
        let may = if status == 204 {
            "\"power\":true"
        } else {
            "\"power\":false"
        };
        assert!(facts.text().contains(may), "{facts:?}");
    }
    assert_eq!(machine.0.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn guessing_takes_long_here_and_at_links_after_it() {
    let (fixture, _) = fixture(Some("secret"));
    let client = Peer::Tcp(([127, 0, 0, 1], 4000).into());
    let from = tokio::time::Instant::now();
    for guess in ["a", "b", "c"] {
        assert_eq!(
            asked_from(&fixture, &client, &post(&with(guess), RESET)).await.status,
            401
        );
    }
    // Of the second and the third.
    assert!(from.elapsed() >= Duration::from_millis(750), "{:?}", from.elapsed());
    let from = tokio::time::Instant::now();
    assert_eq!(
        asked_from(&fixture, &client, &post(&with("secret"), RESET))
            .await
            .status,
        204
    );
    assert!(from.elapsed() >= Duration::from_millis(1000), "{:?}", from.elapsed());
    let from = tokio::time::Instant::now();
    assert_eq!(
        asked_from(&fixture, &client, &post(&with("secret"), RESET))
            .await
            .status,
        204
    );
    assert!(from.elapsed() < Duration::from_millis(250), "{:?}", from.elapsed());
}

#[tokio::test]
async fn without_the_configuration_s_word_there_is_no_power() {
    let fixture = web_fixture(None, Security::default(), page_alone());
    assert_eq!(fixture.ask(&post("", RESET)).await.status, 404);
}
