use clap::Parser as _;
use serde_json::json;

use super::{
    args::{Button, Keys, MouseAction},
    input::{mouse, parse_keys, unescape},
    request,
    screen::parse_hash,
    *,
};
use crate::args::{Arguments, Command};

fn parse(line: &[&str]) -> Result<CtlCommand, clap::Error> {
    let line = ["caraway", "ctl", "demo"].iter().chain(line);
    match Arguments::try_parse_from(line)?.command {
        Command::Ctl(args) => Ok(args.command),
        other => panic!("{other:?}"),
    }
}

fn asked(command: &str, arguments: Option<&str>) -> Result<(String, Value), String> {
    request(&QmpArgs {
        command: command.to_owned(),
        arguments: arguments.map(str::to_owned),
        timeout: 1,
    })
    .map_err(|error| error.to_string())
}

#[test]
fn keys_are_joined_by_hyphens_and_have_other_names() {
    assert_eq!(parse_keys("ctrl-alt-f2"), Ok(Keys(vec!["ctrl", "alt", "f2"])));
    assert_eq!(parse_keys("Control-Enter"), Ok(Keys(vec!["ctrl", "ret"])));
    assert_eq!(parse_keys("ctrl-minus"), Ok(Keys(vec!["ctrl", "minus"])));
}

#[test]
fn an_unknown_key_is_named_with_the_nearest() {
    assert_eq!(
        parse_keys("crtl-a"),
        Err("\"crtl\" is not a key: did you mean `ctrl`?".to_owned())
    );
    assert!(parse_keys("hyperspace").is_err_and(|message| message.contains("--help")));
    assert!(parse_keys("ctrl--").is_err_and(|message| message.contains("minus")));
    assert!(parse_keys(&["a"; 17].join("-")).is_err_and(|message| message.contains("at most 16")));
}

#[test]
fn escapes_stand_for_keys_and_unknown_ones_are_refused() {
    assert_eq!(unescape(r"ls -l\n"), Ok("ls -l\n".to_owned()));
    assert_eq!(unescape(r"\\n\t\e\b"), Ok("\\n\t\u{1b}\u{8}".to_owned()));
    assert!(unescape(r"C:\windows").is_err_and(|message| message.contains("--raw")));
    assert!(unescape("end\\").is_err_and(|message| message.contains("middle")));
}

#[test]
fn mouse_actions_are_relative_motions_and_pairs_of_presses() {
    assert_eq!(
        mouse(&MouseAction::Move { dx: -3, dy: 4 }),
        [json!([
            {"type": "rel", "data": {"axis": "x", "value": -3}},
            {"type": "rel", "data": {"axis": "y", "value": 4}},
        ])]
    );
    let press = |name, down| json!({"type": "btn", "data": {"button": name, "down": down}});
    let click = json!([press("right", true), press("right", false)]);
    let button = Button::Right;
    assert_eq!(mouse(&MouseAction::Click { button, count: 2 }), [click.clone(), click]);
    assert_eq!(mouse(&MouseAction::Up { button }), [json!([press("right", false)])]);
    let up = json!([press("wheel-up", true), press("wheel-up", false)]);
    assert_eq!(mouse(&MouseAction::Wheel { steps: -3 }), [up.clone(), up.clone(), up]);
    assert!(mouse(&MouseAction::Wheel { steps: 0 }).is_empty());
}

#[test]
fn negative_numbers_are_numbers_and_not_options() {
    assert!(matches!(
        parse(&["mouse", "move", "-5", "-7"]).unwrap(),
        CtlCommand::Mouse {
            action: MouseAction::Move { dx: -5, dy: -7 }
        }
    ));
    assert!(matches!(
        parse(&["mouse", "wheel", "-1"]).unwrap(),
        CtlCommand::Mouse {
            action: MouseAction::Wheel { steps: -1 }
        }
    ));
    assert!(parse(&["mouse", "wheel", "101"]).is_err());
    let CtlCommand::Type(args) = parse(&["type", "-x"]).unwrap() else {
        panic!()
    };
    assert_eq!(args.text, "-x");
}

#[test]
fn waiting_needs_exactly_one_goal() {
    assert!(parse(&["wait-screen"]).is_err());
    assert!(parse(&["wait-screen", "--still", "100", "--hash", "0123456789abcdef"]).is_err());
    assert!(parse(&["wait-screen", "--still", "100", "--timeout", "5"]).is_ok());
    assert_eq!(parse_hash("0123456789abcdef"), Ok(0x0123_4567_89ab_cdef));
    assert!(parse_hash("0x0123456789ABCDEF").is_ok());
    assert!(parse_hash("+123456789abcdef").is_err());
    assert!(parse_hash("123").is_err());
}

#[test]
fn a_qmp_command_is_a_name_with_arguments_or_a_whole_request() {
    assert_eq!(asked("stop", None), Ok(("stop".to_owned(), json!({}))));
    assert_eq!(
        asked("screendump", Some(r#"{"filename":"a"}"#)),
        Ok(("screendump".to_owned(), json!({"filename": "a"})))
    );
    assert_eq!(
        asked(r#"{"execute":"stop","arguments":{"a":1},"id":7}"#, None),
        Ok(("stop".to_owned(), json!({"a": 1})))
    );
    assert!(asked("stop", Some("[1]")).is_err_and(|message| message.contains("no JSON object")));
    assert!(asked("stop", Some("{")).is_err_and(|message| message.contains("no JSON:")));
    assert!(asked("{\"execute\":1}", None).is_err_and(|message| message.contains("execute")));
    assert!(asked(r#"{"execute":"stop"}"#, Some("{}")).is_err_and(|message| message.contains("inside")));
    assert!(asked(r#"{"execute":"stop","exec":1}"#, None).is_err_and(|message| message.contains("\"exec\"")));
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Arguments::command().debug_assert();
}
