//! The page on 127.0.0.1:5980, with nothing behind it: `cargo run -p caraway-web --example serve [ADDRESS:PORT]`.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use caraway_web::{Request, SCREEN, page};

/// Bytes of a request that are read.
const MAX_REQUEST: u64 = 4096;

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5980".to_owned());
    let listener = TcpListener::bind(address)?;
    writeln!(io::stdout(), "http://{}/", listener.local_addr()?)?;
    for stream in listener.incoming() {
        if let Err(error) = serve(&stream?) {
            writeln!(io::stderr(), "{error}")?;
        }
    }
    Ok(())
}

/// One request, one answer.
fn serve(mut stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.take(MAX_REQUEST)).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    for line in lines {
        match line?.split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let request = Request {
        method,
        path,
        host: header("host").unwrap_or_default(),
        if_none_match: header("if-none-match"),
        accept_encoding: header("accept-encoding"),
    };
    let response = page(&request, SCREEN);
    stream.write_all(response.head(false).as_bytes())?;
    stream.write_all(response.body())
}
