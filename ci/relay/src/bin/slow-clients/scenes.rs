//! What is measured.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use caraway_ports::{display::DisplaySink as _, geometry::Rect};
use caraway_protocol::inputs::{ClientMessage, KeyCode};
use caraway_relay::Relay;
use caraway_server::RateLimits;
use tokio::net::TcpListener;

use crate::{
    client::{Client, Reads},
    server::{HEIGHT, Screen, WIDTH, copy, photo, text},
};

/// The type of display channels.
const DISPLAY: u8 = 2;

const SCREEN: Rect = Rect {
    left: 0,
    top: 0,
    right: WIDTH as i32,
    bottom: HEIGHT as i32,
};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::print_stdout, reason = "the report")]
pub(crate) fn say(line: fmt::Arguments<'_>) {
    println!("{line}");
}

/// Whether figures are judged that other programs on the machine spoil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Judged,
    Said,
}

/// A figure and what was promised; 1 when it is worse, and that counts.
fn judge(times: Times, what: &str, found: Duration, promised: Duration) -> usize {
    let worse = found > promised;
    let sign = if worse { "WORSE" } else { "ok" };
    say(format_args!("  {sign:5} {what}: {found:.2?}, promised {promised:.2?}"));
    usize::from(worse && times == Times::Judged)
}

/// In order; the value that so many thousandths are not above.
fn quantile(times: &mut [Duration], permille: usize) -> Duration {
    times.sort_unstable();
    let place = (times.len() * permille / 1000).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or_default()
}

/// Waits until a client shows exactly what the screen does.
async fn settle(screen: &Screen, client: &Client) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while client.screen() != screen.display.read(0, SCREEN) {
        let figures = screen.server.figures();
        anyhow::ensure!(Instant::now() < until, "the picture does not become exact: {figures:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until a client has read all there is for it.
async fn quiet(screen: &Screen, client: &Client) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let figures = screen.server.figures();
        let channels = figures
            .iter()
            .filter(|figures| figures.connection_id == client.session)
            .flat_map(|figures| &figures.channels);
        let has_all = channels.filter(|channel| channel.kind == DISPLAY).all(|channel| {
            let waiting = ["waiting-items", "waiting-pixels"].map(|name| channel.details.get(name).copied());
            waiting.into_iter().flatten().sum::<u64>() == 0 && channel.bytes_sent == client.received()
        });
        if has_all {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < until, "something waits all the time: {figures:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// 64x64 pixels, one client, while another reads 1 kB/s and is sent a full-screen image.
pub(crate) async fn small_updates(updates: usize, judged: Times) -> anyhow::Result<usize> {
    say(format_args!(
        "64x64 updates while another client reads 1 kB/s and a full-screen image is on its way to it"
    ));
    let screen = Screen::new(RateLimits::default()).await?;
    let mut client = Client::new(screen.address, Reads::Always).await?;
    settle(&screen, &client).await?;
    let slow = Client::new(screen.address, Reads::Slowly).await?;
    copy(&screen.display, SCREEN, photo(WIDTH, HEIGHT, 1));
    settle(&screen, &client).await?;
    // Until it is on its way to the slow one as well.
    while slow.received() < 1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut times = Vec::with_capacity(updates);
    for update in 0..updates as u32 {
        let area = Rect::at((update * 64 % 960) as i32, (update / 15 * 64 % 704) as i32, 64, 64);
        let pixels = text(64, 64, update);
        let began = Instant::now();
        let display = Arc::clone(&screen.display);
        // As a device does it, on a thread of its own.
        let submitted = tokio::task::spawn_blocking(move || copy(&display, area, pixels));
        let drawn = tokio::time::timeout(PATIENCE, client.draws(area)).await??;
        submitted.await?;
        times.push(drawn.saturating_duration_since(began));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let slow_has = slow.received();
    let failures = judge(judged, "median", quantile(&mut times, 500), Duration::from_millis(1))
        + judge(judged, "99 of 100", quantile(&mut times, 990), Duration::from_millis(5));
    say(format_args!("  the slow client has read {slow_has} bytes"));
    Ok(failures)
}

/// Letters typed while a photograph loads, on a link of 1 Mbit/s and 200 ms.
pub(crate) async fn typing(letters: usize, judged: Times) -> anyhow::Result<usize> {
    say(format_args!(
        "letters typed while a photograph loads: 1 Mbit/s, round trip 200 ms"
    ));
    let screen = Screen::new(RateLimits::default()).await?;
    let relay = Relay {
        delay: Duration::from_millis(100),
        bytes_per_second: Some(125_000),
        queue: 64 << 10,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(relay.serve(listener, screen.address));
    let mut client = Client::new(address, Reads::Always).await?;
    let keys = client.inputs().await?;
    // The screen is there, and so is what the link delivers.
    settle(&screen, &client).await?;
    // The ping that says what the link delivers takes it for two seconds.
    while screen.server.figures().iter().any(|client| client.delivery.is_none()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let typed = Arc::<AtomicU32>::default();
    let place = |number: u32| Rect::at((number * 8 % 960) as i32, 700, 8, 16);
    let counter = Arc::clone(&typed);
    screen.on_key(Box::new(move |display| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        copy(display, place(number), text(8, 16, number));
    }));
    let mut times = Vec::with_capacity(letters);
    let display = Arc::clone(&screen.display);
    let top = Rect::at(0, 0, WIDTH, 640);
    let mut loading = 0;
    for number in 0..letters as u32 {
        if number % 20 == 0 {
            let display = Arc::clone(&display);
            tokio::task::spawn_blocking(move || copy(&display, top, photo(WIDTH, 640, number))).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let before = client.received();
        let began = Instant::now();
        keys.send(ClientMessage::KeyDown(KeyCode(0x1e)))
            .context("the inputs channel ended")?;
        let drawn = tokio::time::timeout(PATIENCE, client.draws(place(number))).await??;
        keys.send(ClientMessage::KeyUp(KeyCode(0x9e)))
            .context("the inputs channel ended")?;
        times.push(drawn.saturating_duration_since(began));
        tokio::time::sleep(Duration::from_millis(37)).await;
        loading += usize::from(client.received() - before > 10_000);
    }
    say(format_args!("  {times:.0?}"));
    let figures = screen.server.figures();
    let delivery = figures.first().and_then(|client| {
        client
            .channels
            .iter()
            .find_map(|channel| channel.details.get("delivery"))
    });
    say(format_args!(
        "  median {:.2?}; the link is measured to deliver {delivery:?} bit/s",
        quantile(&mut times, 500)
    ));
    let busy = usize::from(loading * 10 < letters * 9);
    if busy > 0 {
        say(format_args!(
            "  WORSE the photograph was loading for {loading} of {letters} letters only"
        ));
    }
    let longest = quantile(&mut times, 1000);
    let worse = judge(judged, "the longest", longest, Duration::from_millis(300));
    Ok(if judged == Times::Judged { busy + worse } else { 0 })
}

/// Caps of one client and of all.
pub(crate) async fn caps(seconds: u64, judged: Times) -> anyhow::Result<usize> {
    const CLIENT: u64 = 4_000_000;
    const TOTAL: u64 = 6_000_000;
    say(format_args!(
        "caps: 4 Mbit/s a client, 6 Mbit/s for two, photographs all the time"
    ));
    let screen = Screen::new(RateLimits {
        client: Some(CLIENT),
        total: Some(TOTAL),
    })
    .await?;
    let mut failures = 0;
    let first = Client::new(screen.address, Reads::Always).await?;
    let draw = |number: u32| {
        let display = Arc::clone(&screen.display);
        tokio::task::spawn_blocking(move || copy(&display, SCREEN, photo(WIDTH, HEIGHT, number)))
    };
    let mut number = 0;
    let mut clients = vec![first];
    for promised in [CLIENT, TOTAL] {
        if promised == TOTAL {
            clients.push(Client::new(screen.address, Reads::Always).await?);
        }
        let mut before = Vec::new();
        let mut began = Instant::now();
        for step in 0..(seconds + 2) * 2 {
            number += 1;
            draw(number).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            if step == 3 {
                before = clients.iter().map(Client::received).collect();
                began = Instant::now();
            }
        }
        let took = began.elapsed().as_secs_f64();
        let rates: Vec<f64> = clients
            .iter()
            .zip(&before)
            .map(|(client, before)| (client.received() - before) as f64 * 8.0 / took)
            .collect();
        let sum: f64 = rates.iter().sum();
        let off = (sum / promised as f64 - 1.0).abs();
        let worse = off > 0.1 || rates.iter().any(|rate| *rate < sum / rates.len() as f64 * 0.8);
        let sign = if worse { "WORSE" } else { "ok" };
        say(format_args!(
            "  {sign:5} {:.3} of {} Mbit/s: {rates:.0?}",
            sum / 1e6,
            promised / 1_000_000
        ));
        failures += usize::from(worse && judged == Times::Judged);
    }
    // It rests: then the picture is exact, and nothing more is sent.
    for client in &clients {
        settle(&screen, client).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before: Vec<u64> = clients.iter().map(Client::received).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let still = clients.iter().map(Client::received).eq(before);
    say(format_args!(
        "  {} nothing is sent while nothing changes",
        if still { "ok   " } else { "WORSE" }
    ));
    Ok(failures + usize::from(!still))
}

/// Pictures that are drawn again and again.
const KNOWN: u32 = 24;

/// Draws one of them, in one of many places.
fn icon(screen: &Screen, number: u32, place: u32) -> Rect {
    let place = (number + place) % KNOWN;
    let area = Rect::at((place % 6 * 160) as i32, (place / 6 * 140) as i32, 128, 128);
    copy(&screen.display, area, photo(128, 128, 100 + number));
    area
}

/// The cable is pulled, and a while later the client comes back: 20 Mbit/s and 50 ms.
pub(crate) async fn cut(seconds: u64, judged: Times) -> anyhow::Result<usize> {
    say(format_args!(
        "the cable is pulled for {seconds} s: 20 Mbit/s, round trip 50 ms"
    ));
    let screen = Screen::new(RateLimits::default()).await?;
    let relay = Relay {
        delay: Duration::from_millis(25),
        bytes_per_second: Some(2_500_000),
        queue: 128 << 10,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(relay.serve(listener, screen.address));
    let began = Instant::now();
    let mut client = Client::keeping(address).await?;
    copy(&screen.display, SCREEN, photo(WIDTH, HEIGHT, 3));
    settle(&screen, &client).await?;
    client.forget_drawn();
    for number in 0..KNOWN {
        let area = icon(&screen, number, 0);
        tokio::time::timeout(PATIENCE, client.draws(area)).await??;
    }
    settle(&screen, &client).await?;
    let (first, first_bytes) = (began.elapsed(), client.received());
    // What is on its way when it happens is lost.
    (0..KNOWN / 2).for_each(|number| {
        icon(&screen, number, 1);
    });
    client.cut().await?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    // The machine has gone on: some pictures are in other places, and there is a line of text.
    (0..KNOWN / 4).for_each(|number| {
        icon(&screen, number, 2);
    });
    copy(&screen.display, Rect::at(40, 700, 600, 16), text(600, 16, 5));
    let began = Instant::now();
    let mut back = client.again(address).await?;
    settle(&screen, &back).await?;
    let took = began.elapsed();
    let failures = judge(judged, "the picture is back after", took, Duration::from_secs(1));
    quiet(&screen, &back).await?;
    let (bytes, images) = (back.received(), back.images());
    let (moved, known) = (KNOWN as usize / 4, images.get("cache").copied().unwrap_or(0));
    let resent = known < moved;
    say(format_args!(
        "  {} {known} pictures come from the cache, {moved} were drawn in other places meanwhile",
        if resent { "WORSE" } else { "ok   " }
    ));
    // Each of the known pictures once more where they are now.
    back.forget_drawn();
    for number in 0..KNOWN {
        let area = icon(&screen, number, 3);
        tokio::time::timeout(PATIENCE, back.draws(area)).await??;
    }
    settle(&screen, &back).await?;
    let whole = |images: &BTreeMap<&str, usize>| images.values().sum::<usize>() - images.get("cache").unwrap_or(&0);
    let sent = whole(&back.images()) - whole(&images);
    let worse = sent > 0;
    say(format_args!(
        "  {} {sent} of {KNOWN} known pictures are sent again afterwards",
        if worse { "WORSE" } else { "ok   " }
    ));
    say(format_args!(
        "  {bytes} bytes and {images:?}; at first it was {first_bytes} bytes and {first:.2?}"
    ));
    drop(client);
    Ok(failures + usize::from(resent) + usize::from(worse))
}

/// Memory with a client that reads nothing.
pub(crate) async fn stopped(commands: u32) -> anyhow::Result<usize> {
    say(format_args!("{commands} commands, and a client that reads nothing"));
    let screen = Screen::new(RateLimits::default()).await?;
    let client = Client::new(screen.address, Reads::Never).await?;
    while screen.server.figures().iter().all(|client| client.channels.len() < 2) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = resident()?;
    let display = Arc::clone(&screen.display);
    let most = tokio::task::spawn_blocking(move || {
        let images: Vec<_> = (0..8).map(|seed| photo(256, 128, seed)).collect();
        let mut most = 0;
        for (number, image) in (0..commands).zip(images.iter().cycle()) {
            let (x, y) = ((number % 977 * 37 % 700) as i32, (number % 983 * 53 % 600) as i32);
            // Memory of its own, as commands of a guest have.
            if number % 16 == 0 {
                copy(&display, Rect::at(x, y, 256, 128), image.to_vec().into());
            } else {
                copy(&display, Rect::at(x, y, 16, 16), text(16, 16, number));
            }
            if number % 1000 == 0 {
                most = most.max(resident().unwrap_or(u64::MAX));
            }
        }
        most
    })
    .await?;
    let surfaces = screen.display.canvas_bytes();
    let grown = most.saturating_sub(before);
    let figures = screen.server.figures();
    say(format_args!(
        "  surfaces {surfaces} bytes, grown by {grown}; {figures:?}"
    ));
    drop(client);
    let worse = grown > 3 * surfaces;
    say(format_args!(
        "  {} at most 3 times the surfaces",
        if worse { "WORSE" } else { "ok   " }
    ));
    Ok(usize::from(worse))
}

/// Bytes of memory this process has.
fn resident() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).context("no resident pages")?.parse()?;
    Ok(pages * 4096)
}
