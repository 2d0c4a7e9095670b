//! Where one request ends and the next begins. As in QEMU, that is where its JSON value ends, with or without a newline:
//! clients need not send one, and may send one inside.

/// Nesting of a request that may be one; QEMU's limit.
const MAX_DEPTH: u32 = 1024;

/// Finds the ends of requests in a stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    state: State,
    depth: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between requests.
    #[default]
    Between,
    /// In an object or an array.
    Value,
    /// In a string of one.
    Text,
    /// Behind a backslash in a string.
    Escape,
    /// In something that is none of these: a mistake that ends with its line.
    Line,
}

/// What to do with the first bytes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// So many are between requests.
    pub(crate) skip: usize,
    /// So many more belong to the request.
    pub(crate) take: usize,
    /// The request ends with them.
    pub(crate) complete: bool,
}

impl Framing {
    /// Looks at the next piece of the stream up to the end of a request.
    pub(crate) fn scan(&mut self, piece: &[u8]) -> Found {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let skip = match self.state {
            State::Between => piece.iter().take_while(|byte| blank(byte)).count(),
            _ => 0,
        };
        let rest = piece.iter().skip(skip);
        for (index, byte) in rest.enumerate() {
            if self.ends(*byte) {
                *self = Self::default();
                return Found {
                    skip,
                    take: index + 1,
                    complete: true,
                };
            }
        }
        Found {
            skip,
            take: piece.len() - skip,
            complete: false,
        }
    }

    /// Whether a request ends with this byte.
    fn ends(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            (State::Line, _) => return byte == b'\n',
            // Bytes that are in no JSON text: what they are in is broken, and what follows is something new.
            (State::Value | State::Text | State::Escape, 0xff) => return true,
            (State::Text | State::Escape, b'\n') => return true,
            (State::Between | State::Value, b'{' | b'[') => {
                self.depth += 1;
                self.state = if self.depth > MAX_DEPTH {
                    State::Line
                } else {
                    State::Value
                };
            }
            (State::Between, _) => {
                self.state = State::Line;
                return byte == b'\n';
            }
            (State::Value, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            (State::Value, b'"') => self.state = State::Text,
            (State::Text, b'"') => self.state = State::Value,
            (State::Text, b'\\') => self.state = State::Escape,
            (State::Escape, _) => self.state = State::Text,
            (State::Value | State::Text, _) => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The requests in a stream that arrives in pieces of `size` bytes, and what is left of an unfinished one.
    fn split(stream: &[u8], size: usize) -> (Vec<String>, String) {
        let mut framing = Framing::default();
        let (mut found, mut request) = (Vec::new(), Vec::new());
        for mut piece in stream.chunks(size) {
            while !piece.is_empty() {
                let Found { skip, take, complete } = framing.scan(piece);
                request.extend_from_slice(&piece[skip..skip + take]);
                piece = &piece[skip + take..];
                if complete {
                    found.push(String::from_utf8_lossy(&std::mem::take(&mut request)).into_owned());
                }
            }
        }
        (found, String::from_utf8_lossy(&request).into_owned())
    }

    #[test]
    fn a_request_ends_where_its_value_does() {
        let stream = b"{\"a\": [1, {}]}{\"b\":\n 2}\r\n\r\n [3] {\"c\": \"}\\\"\\\\\"}{";
        let wanted = ["{\"a\": [1, {}]}", "{\"b\":\n 2}", "[3]", "{\"c\": \"}\\\"\\\\\"}"];
        for size in [1, 2, 7, 1000] {
            assert_eq!(
                split(stream, size),
                (wanted.map(str::to_owned).to_vec(), "{".to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_request_ends_with_its_line_or_where_it_breaks() {
        let (found, rest) = split(b"nonsense {}\n5\n{\"a\xff{\"b\": 1}{\"c\n{]", 3);
        assert_eq!(
            found,
            ["nonsense {}\n", "5\n", "{\"a\u{fffd}", "{\"b\": 1}", "{\"c\n", "{]"]
        );
        assert_eq!(rest, "");
        let deep = [&[b'['; 5000][..], b"\n{}"].concat();
        assert_eq!(split(&deep, 100).0.len(), 2);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(stream in proptest::collection::vec(
            prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b'"'), Just(b'\\'), Just(b'\n'), Just(0xff), any::<u8>()],
            0..100,
        ), size in 1usize..10) {
            prop_assert_eq!(split(&stream, size), split(&stream, 1000));
        }
    }
}
