//! Rounds that spice-gtk has drawn, drawn again by our canvas alone. `rounds.txt` has for each its seed and number, and what
//! the screen and the second surface were at its end (`ci/suites/differential --record`).

use caraway_differential::round::{COMMANDS, Round};

#[test]
fn rounds_end_as_the_reference_client_has_drawn_them() {
    let lines: Vec<&str> = include_str!("rounds.txt").lines().collect();
    assert!(lines.len() >= 24);
    for line in lines {
        let [seed, number, screen, twin] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let (mut round, _) = Round::new(seed.parse().unwrap(), number.parse().unwrap());
        let commands = std::iter::from_fn(|| round.draw_next()).count();
        assert_eq!(commands as u64, COMMANDS, "{line}");
        let shown = |round: &Round| format!("{:016x}", round.fingerprint().unwrap());
        assert_eq!(shown(&round), screen, "screen of {line}");
        round.show_twin();
        assert_eq!(shown(&round), twin, "second surface of {line}");
    }
}
