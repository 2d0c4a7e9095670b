//! Clients of a machine that has moved.

use super::*;
use crate::Destination;

async fn told_where(client: &mut Client) -> main::DstInfo {
    let wanted = |message: main::ServerMessage| match message {
        main::ServerMessage::MigrateSwitchHost(info) => Some(info),
        _ => None,
    };
    timeout(PATIENCE, client.until(wanted))
        .await
        .expect("the client is told")
}

#[tokio::test]
async fn clients_are_told_where_the_machine_is_and_waited_for() {
    let fixture = fixture(None);
    let (mut first, _) = fixture.session().await;
    let (mut second, _) = fixture.session().await;
    let destination = Destination {
        host: "host-b.example.org".to_owned(),
        port: Some(5901),
        tls_port: None,
        subject: Some("O=Example,CN=host-b".to_owned()),
    };
    let server = Arc::clone(&fixture.server);
    let told = destination.clone();
    let switching = tokio::spawn(async move { server.switch_host(told, PATIENCE).await });
    for client in [&mut first, &mut second] {
        let info = told_where(client).await;
        assert_eq!((info.port, info.tls_port), (5901, 0));
        assert_eq!(info.host, destination.host);
        assert_eq!(info.cert_subject, destination.subject);
    }
    assert!(!switching.is_finished());
    drop((first, second));
    assert_eq!(switching.await.unwrap(), 0);
    // Who was late is told as well, and not waited for without end.
    let (mut late, _) = fixture.session().await;
    told_where(&mut late).await;
    assert_eq!(
        fixture.server.switch_host(destination, Duration::from_millis(50)).await,
        1
    );
}
