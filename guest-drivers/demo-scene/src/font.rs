//! The typeface: strokes on a grid, drawn in two ways. Text is an 8x16 bitmap made of one-pixel lines and thickened to
//! the right; large letters are the same strokes, rounded and drawn with a broad pen.

/// First character of the table.
const FIRST: u8 = b' ';
/// Rows of a glyph cell; the baseline is row 11, capitals begin at row 2, small letters at row 5.
pub(crate) const CELL_HEIGHT: i32 = 16;
/// Columns of a glyph cell.
pub(crate) const CELL_WIDTH: i32 = 8;

/// Strokes of the characters from space to `~`. A stroke is a line through points; a point is a column digit (0 to 5,
/// or 6) and a row digit (0 to e); blanks separate strokes. A leading `-` means that the bitmap is not thickened.
const STROKES: [&str; 95] = [
    "",                                    // space
    "2228 2a2b",                           // !
    "1214 4244",                           // "
    "-131b 535b 0565 0969",                // #
    "5443130405164657594a1a09 212c",       // $
    "-620b 0222240402 49696b4b49",         // %
    "5b151322324344080a1b3b58",            // &
    "2225",                                // '
    "423324293a4b",                        // (
    "122334392a1b",                        // )
    "2329 0458 0854",                      // *
    "242a 0757",                           // +
    "2a2b1d",                              // ,
    "0757",                                // -
    "2a2b",                                // .
    "520b",                                // /
    "12030a1b4b5a534212 1943",             // 0
    "04222b 0b5b",                         // 1
    "03124253550b5b",                      // 2
    "03124253554626 46575a4b1b0a",         // 3
    "4b420858",                            // 4
    "52020646575a4b1b0a",                  // 5
    "4222040a1b4b5a574606",                // 6
    "025253282b",                          // 7
    "120305164655534212 16070a1b4b5a5746", // 8
    "57170603124253593b1b",                // 9
    "2526 2a2b",                           // :
    "2526 2a2b1d",                         // ;
    "43074b",                              // <
    "0555 0959",                           // =
    "03470b",                              // >
    "0403124253552728 2a2b",               // ?
    "-5b1b0a03125263683827263565",         // @
    "0b052232555b 0858",                   // A
    "020b4b5a574606 4655534202",           // B
    "53422204092b4b5a",                    // C
    "020b3b59543202",                      // D
    "52020b5b 0646",                       // E
    "52020b 0646",                         // F
    "53422204092b5b5737",                  // G
    "020b 525b 0656",                      // H
    "1242 222b 1b4b",                      // I
    "2252 42493b1b0a",                     // J
    "020b 52165b 0616",                    // K
    "020b5b",                              // L
    "0b022535525b",                        // M
    "0b025b52",                            // N
    "2204092b3b59543222",                  // O
    "0b024253564707",                      // P
    "2204092b3b59543222 395c",             // Q
    "0b024253564707 375b",                 // R
    "53421203051646575a4b1b0a",            // S
    "0252 222b",                           // T
    "020a1b4b5a52",                        // U
    "02062b3b5652",                        // V
    "-02091b2b3936 394b5b6962",            // W
    "025b 520b",                           // X
    "02263652 262b",                       // Y
    "02520b5b",                            // Z
    "42222b4b",                            // [
    "025b",                                // \
    "12323b1b",                            // ]
    "05223255",                            // ^
    "0d5d",                                // _
    "1234",                                // `
    "1545565b 5818090a1b3b5a",             // a
    "020b4b5a564505",                      // b
    "564515060a1b4b5a",                    // c
    "525b1b0a061555",                      // d
    "0858564515060a1b4b5a",                // e
    "534232232b 0545",                     // f
    "5b1b0a0615555d4e1e0d",                // g
    "020b 061545565b",                     // h
    "2223 15252b 1b4b",                    // i
    "4243 35454d3e1e0d",                   // j
    "020b 55185b 0818",                    // k
    "12222b 1b4b",                         // l
    "-0b05 061525363b 364555666b",         // m
    "0b05 061545565b",                     // n
    "15060a1b4b5a564515",                  // o
    "0e0545565a4b0b",                      // p
    "5e5515060a1b5b",                      // q
    "0b05 07254556",                       // r
    "56451506071848595a4b1b0a",            // s
    "222a3b4b5a 0545",                     // t
    "050a1b3b5a 555b",                     // u
    "05082b3b5855",                        // v
    "-050a1b2b3a37 3a4b5b6a65",            // w
    "055b 550b",                           // x
    "050a1b5b 555d4e1e0d",                 // y
    "05550b5b",                            // z
    "4232232516272a3b4b",                  // {
    "222c",                                // |
    "1222333546373a2b1b",                  // }
    "071626374756",                        // ~
];

/// Bitmaps: one byte a row, the leftmost pixel in the highest bit.
static BITMAPS: [[u8; CELL_HEIGHT as usize]; STROKES.len()] = bitmaps();

const fn bitmaps() -> [[u8; CELL_HEIGHT as usize]; STROKES.len()] {
    let mut all = [[0; CELL_HEIGHT as usize]; STROKES.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = bitmap(STROKES[index].as_bytes());
        index += 1;
    }
    all
}

const fn digit(byte: u8) -> i32 {
    match byte {
        b'0'..=b'9' => (byte - b'0') as i32,
        _ => (byte - b'a' + 10) as i32,
    }
}

const fn bitmap(strokes: &[u8]) -> [u8; CELL_HEIGHT as usize] {
    let mut rows = [0; CELL_HEIGHT as usize];
    let thin = !strokes.is_empty() && strokes[0] == b'-';
    let mut at = thin as usize;
    while at < strokes.len() {
        if strokes[at] == b' ' {
            at += 1;
            continue;
        }
        let (x, y) = (digit(strokes[at]), digit(strokes[at + 1]));
        let last = at + 2 >= strokes.len() || strokes[at + 2] == b' ';
        let (to_x, to_y) = if last {
            (x, y)
        } else {
            (digit(strokes[at + 2]), digit(strokes[at + 3]))
        };
        line(&mut rows, x, y, to_x, to_y);
        at += 2;
    }
    let mut row = 0;
    while row < rows.len() {
        if !thin {
            rows[row] |= rows[row] >> 1;
        }
        row += 1;
    }
    rows
}

/// Bresenham's line.
const fn line(rows: &mut [u8; CELL_HEIGHT as usize], mut x: i32, mut y: i32, to_x: i32, to_y: i32) {
    let (across, down) = ((to_x - x).abs(), -(to_y - y).abs());
    let (step_x, step_y) = ((to_x - x).signum(), (to_y - y).signum());
    let mut error = across + down;
    loop {
        rows[y as usize] |= 0x80 >> x;
        if x == to_x && y == to_y {
            return;
        }
        let doubled = 2 * error;
        if doubled >= down {
            error += down;
            x += step_x;
        }
        if doubled <= across {
            error += across;
            y += step_y;
        }
    }
}

fn index(character: u8) -> usize {
    let index = usize::from(character.wrapping_sub(FIRST));
    if index < STROKES.len() {
        index
    } else {
        usize::from(b'?' - FIRST)
    }
}

/// One row of a character's bitmap, the leftmost pixel in the highest bit. Unknown characters are question marks.
pub(crate) fn bitmap_row(character: u8, row: i32) -> u8 {
    let rows = BITMAPS.get(index(character));
    rows.zip(usize::try_from(row).ok())
        .and_then(|(rows, row)| rows.get(row))
        .copied()
        .unwrap_or(0)
}

/// The strokes of a character as lists of grid points.
pub(crate) fn strokes(character: u8) -> impl Iterator<Item = impl Iterator<Item = (i32, i32)> + Clone> {
    let text = STROKES.get(index(character)).copied().unwrap_or("");
    text.trim_start_matches('-')
        .split(' ')
        .filter(|stroke| !stroke.is_empty())
        .map(|stroke| {
            let (points, _) = stroke.as_bytes().as_chunks::<2>();
            points.iter().map(|[x, y]| (digit(*x), digit(*y)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_printable_character_has_its_own_bitmap_inside_the_cell() {
        let mut seen = BTreeSet::new();
        for character in b' '..=b'~' {
            let rows: std::vec::Vec<u8> = (0..CELL_HEIGHT).map(|row| bitmap_row(character, row)).collect();
            assert!(
                rows.iter().all(|row| row & 1 == 0),
                "{} touches its right neighbour",
                char::from(character)
            );
            assert_eq!(rows.iter().all(|row| *row == 0), character == b' ');
            assert!(
                seen.insert(rows),
                "{} looks like another character",
                char::from(character)
            );
        }
    }

    #[test]
    fn unknown_characters_are_question_marks() {
        assert_eq!(bitmap_row(0x07, 3), bitmap_row(b'?', 3));
        assert_eq!(bitmap_row(0xff, 9), bitmap_row(b'?', 9));
    }
}
