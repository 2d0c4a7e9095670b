//! Tickets at run time, and what happens to those who guess.

use super::*;
use crate::{Accepts, Connected, Role, TicketError};

fn peer(host: u8) -> Peer {
    Peer::Tcp(([192, 0, 2, host], 4000).into())
}

impl Fixture {
    async fn enters(&self, host: u8, password: &str) -> Result<Client, LinkCode> {
        let stream = self.connect_from(Peer::Unnamed, peer(host), Accepts::Plain);
        timeout(PATIENCE, link(stream, ChannelType::Main, 0, 0, password))
            .await
            .expect("the server answers")
    }
}

#[tokio::test]
async fn a_ticket_that_is_set_counts_from_then_on() {
    let fixture = fixture(None);
    let server = &fixture.server;
    assert!(!server.has_ticket());
    assert!(fixture.enters(1, "").await.is_ok());
    server.set_ticket(Role::Control, "one", Connected::Keep).unwrap();
    assert!(server.has_ticket());
    assert_eq!(fixture.enters(1, "").await.err(), Some(LinkCode::PermissionDenied));
    assert!(fixture.enters(1, "one").await.is_ok());
    server.set_ticket(Role::Control, "two", Connected::Keep).unwrap();
    assert_eq!(fixture.enters(1, "one").await.err(), Some(LinkCode::PermissionDenied));
    assert!(fixture.enters(1, "two").await.is_ok());
    // An empty one is for nobody.
    server.set_ticket(Role::Control, "", Connected::Keep).unwrap();
    assert_eq!(fixture.enters(1, "").await.err(), Some(LinkCode::PermissionDenied));
    assert!(!format!("{server:?}").contains("two"));
}

#[tokio::test]
async fn a_ticket_has_at_most_sixty_bytes_and_no_nul() {
    let fixture = fixture(Some("old"));
    let set = |ticket: &str| fixture.server.set_ticket(Role::Control, ticket, Connected::Keep);
    assert_eq!(set(&"x".repeat(61)), Err(TicketError::TooLong { bytes: 61 }));
    assert_eq!(set("a\0b"), Err(TicketError::Nul));
    // What was there stays.
    assert!(fixture.enters(1, "old").await.is_ok());
    let longest = "ä".repeat(30);
    set(&longest).unwrap();
    assert!(fixture.enters(1, &longest).await.is_ok());
}

#[tokio::test]
async fn an_expired_ticket_lets_nobody_in_until_it_counts_again_and_who_is_in_stays() {
    let fixture = fixture(Some("secret"));
    let server = &fixture.server;
    assert_eq!(
        self::fixture(None).server.expire_ticket(Role::Control, None),
        Err(TicketError::NoTicket)
    );
    server
        .expire_ticket(Role::Control, Some(Duration::from_secs(5)))
        .unwrap();
    let _inside = fixture.enters(1, "secret").await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(
        fixture.enters(2, "secret").await.err(),
        Some(LinkCode::PermissionDenied)
    );
    // A new one under the old time does not count either.
    server.set_ticket(Role::Control, "other", Connected::Keep).unwrap();
    assert_eq!(fixture.enters(2, "other").await.err(), Some(LinkCode::PermissionDenied));
    assert_eq!(server.clients(), 1);
    server.expire_ticket(Role::Control, None).unwrap();
    assert!(fixture.enters(2, "other").await.is_ok());
    server.expire_ticket(Role::Control, Some(Duration::ZERO)).unwrap();
    assert_eq!(fixture.enters(2, "other").await.err(), Some(LinkCode::PermissionDenied));
}

#[tokio::test]
async fn clients_stay_or_go_or_forbid_a_new_ticket_as_is_said() {
    let fixture = fixture(Some("secret"));
    let server = &fixture.server;
    server.set_ticket(Role::Control, "secret", Connected::Fail).unwrap();
    let mut main = fixture.enters(1, "secret").await.unwrap();
    assert_eq!(
        server.set_ticket(Role::Control, "new", Connected::Fail),
        Err(TicketError::ClientsConnected { clients: 1 })
    );
    assert!(fixture.enters(2, "secret").await.is_ok());
    server.set_ticket(Role::Control, "new", Connected::Disconnect).unwrap();
    main.closed().await;
    assert!(fixture.enters(1, "new").await.is_ok());
}

/// A server whose key has been made, for which a clock that stands still would not wait.
async fn paused_fixture() -> Fixture {
    let fixture = fixture(Some("secret"));
    assert!(fixture.enters(9, "secret").await.is_ok());
    tokio::time::pause();
    fixture
}

#[tokio::test]
async fn who_guesses_is_answered_later_and_later_and_keeps_nobody_else_waiting() {
    let fixture = paused_fixture().await;
    let timed = async |host, password| {
        let from = tokio::time::Instant::now();
        let entered = fixture.enters(host, password).await.is_ok();
        (entered, from.elapsed().as_millis())
    };
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(timed(1, "guess").await);
    }
    for ((entered, took), least) in answers.iter().zip([0, 250, 500, 1000, 2000, 4000, 4000, 4000]) {
        assert!(!entered && (least..least + 10).contains(took), "{answers:?}");
    }
    let (entered, took) = timed(2, "secret").await;
    assert!(entered && took < 10, "{took}");
    // Who knows it at last waits once more, and is forgiven.
    let (entered, took) = timed(1, "secret").await;
    assert!(entered && (4000..4010).contains(&took), "{took}");
    assert!(timed(1, "secret").await.1 < 10);
}

#[tokio::test]
async fn half_open_connections_of_one_address_leave_room_for_others() {
    let fixture = paused_fixture().await;
    let silent: Vec<_> = (0..40)
        .map(|_| fixture.connect_from(Peer::Unnamed, peer(1), Accepts::Both))
        .collect();
    // The last ones were too many, and are closed at once.
    let from = tokio::time::Instant::now();
    let mut silent = silent.into_iter();
    let waiting: Vec<_> = silent.by_ref().take(32).collect();
    for mut one in silent {
        assert_eq!(one.read(&mut [0]).await.unwrap(), 0);
    }
    assert!(from.elapsed() < Duration::from_secs(1));
    assert!(fixture.enters(2, "secret").await.is_ok());
    for mut one in waiting {
        assert_eq!(one.read(&mut [0]).await.unwrap(), 0);
    }
    assert!(from.elapsed() >= Duration::from_secs(10));
    assert!(fixture.enters(1, "secret").await.is_ok());
}
