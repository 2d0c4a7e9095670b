use std::{future::poll_fn, pin::pin, time::Duration};

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::timeout,
};

use super::{
    super::frames::tests::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, client_frame},
    *,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A client's end, and the server's; `room` bytes are on their way in each direction at most.
fn pair(room: usize) -> (DuplexStream, WebSocket<DuplexStream>) {
    let (client, server) = tokio::io::duplex(room);
    (client, WebSocket::new(server, BytesMut::new()))
}

async fn exactly(client: &mut DuplexStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    timeout(PATIENCE, client.read_exact(&mut got))
        .await
        .expect("it comes")
        .unwrap();
    assert_eq!(got, bytes);
}

/// What a future says when it is asked once.
async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test]
async fn data_comes_out_as_one_stream_and_what_came_behind_the_request_first() {
    let (mut client, server) = tokio::io::duplex(1 << 10);
    let early = client_frame(FIN | TEXT, b"early ");
    let mut socket = WebSocket::new(server, BytesMut::from(&early[..8]));
    client.write_all(&early[8..]).await.unwrap();
    client.write_all(&client_frame(FIN | BINARY, b"late")).await.unwrap();
    let mut got = [0; 10];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"early late");
}

#[tokio::test]
async fn what_is_written_comes_in_frames_of_at_most_a_tls_record() {
    let (mut client, mut socket) = pair(1 << 20);
    let payload: Vec<u8> = (0..40_000).map(|place| (place % 251) as u8).collect();
    let slices = [
        IoSlice::new(&payload[..10]),
        IoSlice::new(&[]),
        IoSlice::new(&payload[10..]),
    ];
    let written = socket.write_vectored(&slices).await.unwrap();
    assert_eq!(written, FRAME - MAX_HEADER);
    socket.write_all(&payload[written..]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    let mut rest = payload.as_slice();
    let mut expected = Vec::new();
    for length in [16380_u16, 16380, 7240] {
        expected.extend_from_slice(&[0x82, 126]);
        expected.extend_from_slice(&length.to_be_bytes());
        let (head, tail) = rest.split_at(length.into());
        expected.extend_from_slice(head);
        rest = tail;
    }
    expected.extend_from_slice(b"\x88\x02\x03\xe8");
    assert!(got == expected);
}

#[tokio::test]
async fn no_more_than_a_frame_waits_for_a_client_that_does_not_read() {
    let (_client, mut socket) = pair(64);
    let mut taken = 0;
    while let Poll::Ready(written) = poll_once(socket.write(&[7; 1000])).await {
        taken += written.unwrap();
    }
    // As much as is on its way, and one frame more, begun or not.
    assert!((1000..=2000).contains(&taken), "{taken}");
    assert!(socket.output.len() <= FRAME);
}

#[tokio::test]
async fn a_ping_is_answered_while_nobody_writes() {
    let (mut client, mut socket) = pair(1 << 10);
    let reading = tokio::spawn(async move {
        let mut got = [0; 2];
        socket.read_exact(&mut got).await.unwrap();
        (socket, got)
    });
    client.write_all(&client_frame(FIN | BINARY, b"a")).await.unwrap();
    client.write_all(&client_frame(FIN | PING, b"there?")).await.unwrap();
    exactly(&mut client, b"\x8a\x06there?").await;
    client.write_all(&client_frame(FIN | PONG, b"unasked")).await.unwrap();
    client.write_all(&client_frame(FIN | BINARY, b"b")).await.unwrap();
    assert_eq!(&reading.await.unwrap().1, b"ab");
}

#[tokio::test]
async fn a_ping_is_answered_when_the_frame_on_its_way_has_gone_and_the_newest_alone() {
    let (mut client, socket) = pair(64);
    let (mut read, mut write) = tokio::io::split(socket);
    // The client does not read yet: of this frame some is on its way.
    let writing = tokio::spawn(async move {
        write.write_all(&[7; 1000]).await.unwrap();
        write.flush().await.unwrap();
    });
    let reading = tokio::spawn(async move { read.read_u8().await.unwrap() });
    for number in 0..100_u8 {
        client.write_all(&client_frame(FIN | PING, &[number])).await.unwrap();
    }
    client.write_all(&client_frame(FIN | BINARY, b"x")).await.unwrap();
    // What is read is read whether or not anything is taken.
    assert_eq!(reading.await.unwrap(), b'x');
    exactly(
        &mut client,
        &[&[0x82, 126, 3, 0xe8][..], &[7; 1000], b"\x8a\x01\x63"].concat(),
    )
    .await;
    writing.await.unwrap();
}

/// Both halves wait for the same room, and each is woken.
#[tokio::test]
async fn a_pong_that_waits_does_not_keep_the_writer_from_being_woken() {
    for writes_first in [true, false] {
        let (mut client, socket) = pair(8);
        let (mut read, mut write) = tokio::io::split(socket);
        let write_all = async move {
            write.write_all(&[7; 100]).await.unwrap();
            write.flush().await.unwrap();
            write
        };
        let read_one = async move {
            read.read_u8().await.unwrap();
            read
        };
        let (writing, reading) = if writes_first {
            let writing = tokio::spawn(write_all);
            tokio::task::yield_now().await;
            (writing, tokio::spawn(read_one))
        } else {
            let reading = tokio::spawn(read_one);
            tokio::task::yield_now().await;
            (tokio::spawn(write_all), reading)
        };
        client
            .write_all(&client_frame(FIN | PING, b"0123456789"))
            .await
            .unwrap();
        client.write_all(&client_frame(FIN | BINARY, b"x")).await.unwrap();
        reading.await.unwrap();
        let mut got = vec![0; 102 + 12];
        timeout(PATIENCE, client.read_exact(&mut got))
            .await
            .expect("all comes")
            .unwrap();
        timeout(PATIENCE, writing).await.expect("the writer is woken").unwrap();
        assert_eq!(got.iter().filter(|byte| **byte == 7).count(), 100);
    }
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_ends_both_directions() {
    for payload in [&b""[..], b"\x03\xe9going away"] {
        let (mut client, mut socket) = pair(1 << 10);
        client.write_all(&client_frame(FIN | BINARY, b"last")).await.unwrap();
        client.write_all(&client_frame(FIN | CLOSE, payload)).await.unwrap();
        // Nobody looks at this any more.
        client.write_all(&[0xff; 20]).await.unwrap();
        let mut got = Vec::new();
        socket.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"last");
        assert!(socket.write(b"x").await.is_err());
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let code = &payload[..payload.len().min(2)];
        assert_eq!(answer, [&[0x88, code.len() as u8], code].concat());
    }
}

#[tokio::test]
async fn a_frame_that_is_wrong_is_answered_with_1002() {
    let (mut client, mut socket) = pair(1 << 10);
    client.write_all(&client_frame(FIN | BINARY, b"fine")).await.unwrap();
    client.write_all(b"\x82\x01x").await.unwrap();
    let mut got = Vec::new();
    let error = socket.read_to_end(&mut got).await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), &got[..]),
        ("a frame is not masked", &b"fine"[..])
    );
    exactly(&mut client, b"\x88\x02\x03\xea").await;
}

#[tokio::test]
async fn shutdown_says_good_bye_behind_what_was_written() {
    let (mut client, mut socket) = pair(1 << 10);
    socket.write_all(b"bye").await.unwrap();
    socket.shutdown().await.unwrap();
    socket.shutdown().await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"\x82\x03bye\x88\x02\x03\xe8");
}

/// Gives the same frame for ever, and counts how often it was asked.
struct Endless(Vec<u8>, usize);

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.1 += 1;
        while buffer.remaining() >= self.0.len() {
            buffer.put_slice(&self.0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn frames_without_data_in_endless_number_leave_others_their_turn() {
    let first = client_frame(BINARY, b"");
    for frame in [
        client_frame(CONTINUATION, b""),
        client_frame(FIN | PING, b""),
        client_frame(FIN | PONG, b"x"),
    ] {
        let mut socket = WebSocket::new(Endless(frame, 0), BytesMut::from(&first[..]));
        for turn in 1..=3 {
            let mut byte = [0];
            assert!(poll_once(socket.read(&mut byte)).await.is_pending());
            assert_eq!(socket.stream.1, turn * READS_AT_ONCE);
        }
        assert!(socket.input.capacity() <= 4 * READ_CHUNK && socket.output.capacity() <= FRAME);
    }
}

#[tokio::test]
async fn the_end_in_the_middle_of_a_frame_is_an_end() {
    let frame = client_frame(FIN | BINARY, b"abc");
    for cut in 0..frame.len() {
        let (mut client, mut socket) = pair(1 << 10);
        client.write_all(&frame[..cut]).await.unwrap();
        drop(client);
        let mut got = Vec::new();
        socket.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, &b"abc"[..cut.saturating_sub(6)]);
    }
}

/// Frames that hold a stream of bytes cut anywhere, with whatever control frames between them.
fn fragments() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let part = (proptest::collection::vec(any::<u8>(), 0..300), any::<bool>(), 0..4_u8);
    proptest::collection::vec(part, 0..20).prop_map(|parts| {
        let (mut data, mut wire, mut inside) = (Vec::new(), Vec::new(), false);
        for (bytes, is_final, control) in parts {
            let opcode = if inside { CONTINUATION } else { 1 + control % 2 };
            wire.extend(client_frame(opcode | if is_final { FIN } else { 0 }, &bytes));
            inside = !is_final;
            data.extend(bytes);
            match control {
                0 => wire.extend(client_frame(FIN | PING, b"ping")),
                1 => wire.extend(client_frame(FIN | PONG, b"pong")),
                _ => {}
            }
        }
        (data, wire)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_fragmentation_of_a_stream_arrives_whole((data, wire) in fragments(), room in 1..600_usize, piece in 1..300_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(async {
            let (client, mut socket) = pair(room);
            let (mut answers, mut to_server) = tokio::io::split(client);
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
            let sending = tokio::spawn(async move {
                to_server.write_all(&wire).await.unwrap();
                to_server.shutdown().await.unwrap();
            });
            let (mut got, mut bytes) = (Vec::new(), vec![0; piece]);
            while let count @ 1.. = socket.read(&mut bytes).await.unwrap() {
                got.extend_from_slice(&bytes[..count]);
            }
            sending.await.unwrap();
            got
        });
        prop_assert_eq!(got, data);
    }
}
