#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::unnecessary_wraps,
    reason = "a test fails by panicking, its numbers are exact, its helpers are short"
)]

use proptest::prelude::*;

use super::*;

fn data(text: &str) -> Meaning {
    read(&Frame {
        event: "message".into(),
        data: text.into(),
        has_data: true,
        id: None,
    })
}

fn log(text: &str) -> Log {
    match data(text) {
        Meaning::Data(Event::Log(log)) => log,
        other => panic!("{text}: {other:?}"),
    }
}

fn detail(text: &str) -> serde_json::Value {
    let detail = match data(text) {
        Meaning::Data(
            Event::Started(detail)
            | Event::Checkpoint { detail, .. }
            | Event::Completed(detail)
            | Event::Failed(detail),
        ) => detail,
        other => panic!("{text}: {other:?}"),
    };
    serde_json::from_str(&detail).unwrap()
}

#[test]
fn t9_a_metric_that_is_absent_null_or_no_number_is_null() {
    let found = log(
        r#"{"type":"training.log","step":7,"loss":1.25,"evalLoss":null,"learningRate":"x","epoch":{"a":[1]}}"#,
    );
    assert_eq!(
        found,
        Log {
            step: 7.0,
            metrics: [Some(1.25), None, None, None, None]
        }
    );
    for text in [
        r#"{"type":"training.log"}"#,
        r#"{"type":"training.log","step":"7"}"#,
    ] {
        assert!(log(text).step.is_nan(), "{text}");
    }
}

#[test]
fn t9_bare_nan_and_infinity_arrive_as_those_numbers() {
    let found = log(
        r#"{"type":"training.log","step":1,"loss":NaN,"evalLoss":Infinity,"learningRate":-Infinity,"x":[NaN,"NaN"],"epoch":2}"#,
    );
    assert!(found.metrics[0].is_some_and(f64::is_nan));
    assert_eq!(
        found.metrics[1..],
        [
            Some(f64::INFINITY),
            Some(f64::NEG_INFINITY),
            Some(2.0),
            None
        ]
    );
    let text = r#"{"type":"checkpoint.saved","artifacts":[{"loss":NaN,"why":"a \"NaN\" \\"}]}"#;
    let artifacts = detail(text)["artifacts"].clone();
    assert_eq!(
        artifacts,
        serde_json::json!([{ "loss": json::nan_marker(), "why": "a \"NaN\" \\" }])
    );
}

#[test]
fn t9_what_only_looks_like_nan_or_infinity_is_no_json() {
    for value in [
        "5Infinity",
        "Infinity5",
        "1.Infinity",
        "--Infinity",
        "-NaN",
        "NaNa",
        "+Infinity",
        "NaN NaN",
        "[NaN}",
    ] {
        let text = format!(r#"{{"type":"training.log","loss":{value}}}"#);
        assert_eq!(data(&text), Meaning::Nothing, "{text}");
    }
    for text in [
        r#"{"type":"training.log",NaN:1}"#,
        r#"{NaN:1,"type":"training.log"}"#,
        r#"{"type":NaN}"#,
        "{\"type\":\"training.log\",\"a\tb\":1}",
    ] {
        assert_eq!(data(text), Meaning::Nothing, "{text}");
    }
    // Strings before it are skipped as a whole.
    for before in [
        r#""s":"x\\""#,
        r#""s":"\"NaN:\"","t":"\\\"""#,
        r#""NaN":"""#,
    ] {
        let text = format!(r#"{{"type":"training.log",{before},"loss":NaN}}"#);
        assert!(log(&text).metrics[0].is_some_and(f64::is_nan), "{text}");
    }
    // Where a value may stand, with and without spaces.
    let found = log(r#"{"type":"training.log","loss" : -Infinity , "x":[ NaN , Infinity ]}"#);
    assert_eq!(found.metrics[0], Some(f64::NEG_INFINITY));
}

#[test]
fn t9_the_words_of_a_failure_stay_as_they_are() {
    let of = |error: &str| {
        let text = format!(r#"{{"type":"training.failed","error":{error}}}"#);
        detail(&text)["job"]["error"].clone()
    };
    assert_eq!(of(r#"{"code":"x1e999y"}"#), r#"{"code":"x1e999y"}"#);
    assert_eq!(of(r#"[NaN,-Infinity,"NaN"]"#), r#"[NaN,-Infinity,"NaN"]"#);
}

#[test]
fn t9_numbers_are_read_as_json_parse_reads_them() {
    let cases = [
        ("12345678901234567890", 12_345_678_901_234_567_000.0),
        ("1e400", f64::INFINITY),
        ("-1e400", f64::NEG_INFINITY),
        ("5e-324", 5e-324),
        ("0.1", 0.1),
        ("-0", -0.0),
        ("9007199254740993", 9_007_199_254_740_992.0),
    ];
    for (text, expected) in cases {
        let found = log(&format!(r#"{{"type":"training.log","loss":{text}}}"#));
        assert_eq!(
            found.metrics[0].map(f64::to_bits),
            Some(f64::to_bits(expected)),
            "{text}"
        );
    }
}

#[test]
fn t9_a_lone_surrogate_an_escaped_key_and_a_repeated_one_are_never_fatal() {
    log(r#"{"type":"training.log","\ud800":"\udfff","note":"\ud800x"}"#);
    assert_eq!(log(r#"{"\u0074ype":"training.log","step":3}"#).step, 3.0);
    assert_eq!(
        log(r#"{"type":"x","step":1,"type":"training.log","step":2}"#).step,
        2.0
    );
    match data(r#"{"type":"training.failed","error":"bad \ud800"}"#) {
        Meaning::Data(Event::Failed(text)) => assert!(text.contains(r"bad \ud800")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn t9_deep_nesting_is_never_fatal() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    log(&format!(r#"{{"type":"training.log","x":{deep}}}"#));
}

#[test]
fn t12_only_an_object_with_a_type_is_a_data_event() {
    for text in [
        "",
        "x",
        "[]",
        "null",
        "1",
        "\"s\"",
        "{}",
        r#"{"type":1}"#,
        r#"{"type":"a"} x"#,
    ] {
        assert_eq!(data(text), Meaning::Nothing, "{text}");
    }
    assert_eq!(
        data(r#" {"type":"training.news"} "#),
        Meaning::Data(Event::Unknown(None))
    );
    assert_eq!(
        data(r#"{"type":"\ud800"}"#),
        Meaning::Data(Event::Unknown(None))
    );
}

#[test]
fn t12_end_and_ping_are_told_by_the_event_line_whatever_the_data() {
    let frame = |event: &str, data: &str| {
        read(&Frame {
            event: event.into(),
            data: data.into(),
            has_data: true,
            id: None,
        })
    };
    let log = r#"{"type":"training.log"}"#;
    assert_eq!(frame("end", ""), Meaning::End);
    assert_eq!(frame("end", log), Meaning::End);
    assert_eq!(frame("ping", log), Meaning::Nothing);
    assert!(matches!(
        frame("anything", log),
        Meaning::Data(Event::Log(_))
    ));
}

#[test]
fn a_status_change_carries_the_events_timestamp() {
    let cases = [
        (
            "training.started",
            r#"{"status":"running","startedAt":"t"}"#,
        ),
        (
            "training.completed",
            r#"{"status":"completed","completedAt":"t"}"#,
        ),
        (
            "training.failed",
            r#"{"status":"failed","error":"The backend gave no reason","completedAt":"t"}"#,
        ),
    ];
    for (kind, expected) in cases {
        let job = detail(&format!(r#"{{"type":"{kind}","timestamp":"t"}}"#))["job"].clone();
        assert_eq!(job.to_string(), expected);
    }
    let job = detail(r#"{"type":"training.started","timestamp":5}"#)["job"].clone();
    assert_eq!(job.to_string(), r#"{"status":"running"}"#);
    let job = detail(r#"{"type":"training.failed","error":{"code":7}}"#)["job"].clone();
    assert_eq!(job["error"], r#"{"code":7}"#);
    let job = detail(r#"{"type":"training.failed","error":NaN}"#)["job"].clone();
    assert_eq!(job["error"], "NaN");
}

#[test]
fn what_goes_along_with_a_status_change_goes_on_as_it_came() {
    let started = detail(r#"{"type":"training.started","metadata":{"gpu":"x"}}"#);
    assert_eq!(started["metadata"].to_string(), r#"{"gpu":"x"}"#);
    let completed = detail(r#"{"type":"training.completed","artifacts":[{"b":1,"a":2}]}"#);
    assert_eq!(completed["artifacts"].to_string(), r#"[{"b":1,"a":2}]"#);
}

/// JSON texts, and texts that are almost JSON.
fn near_json() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        "[-+0-9.eE]{0,6}",
        "\"[ -~é]{0,8}\"",
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("nul".to_owned()),
        Just("\"a\u{1}\"".to_owned()),
        Just("[1, {\"a\": 2}]".to_owned()),
    ];
    let key = prop_oneof![
        Just("type".to_owned()),
        Just("loss".to_owned()),
        Just("step".to_owned()),
        "[a-z\"\\\\é]{0,4}",
    ];
    let space = prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\t\r\n"), 1 => Just("\u{b}")];
    let field = (key, space.clone(), value, space).prop_map(|(key, before, value, after)| {
        format!("{before}\"{key}\"{after}:{before}{value}{after}")
    });
    let fields = prop::collection::vec(field, 0..5);
    (
        fields,
        prop_oneof![4 => Just(""), 1 => Just(","), 1 => Just("}"), 1 => Just(" ")],
    )
        .prop_map(|(fields, end)| format!("{{{}}}{end}", fields.join(",")))
}

proptest! {
    /// Whatever the quick reader accepts, `serde_json` reads the same way.
    #[test]
    fn what_is_read_as_a_flat_object_is_what_serde_json_reads(text in near_json()) {
        let mut quick = Vec::new();
        let flat = flat::each_field(&text, |key, value| quick.push((key, value)));
        let mut slow = Vec::new();
        let general = json::each_field(&text, |key, value| {
            slow.push((String::from_utf8(key.into_owned()).unwrap(), value.get()));
        });
        if flat.is_some() {
            prop_assert!(general.is_ok());
            let slow: Vec<_> = slow.iter().map(|(key, value)| (key.as_str(), *value)).collect();
            prop_assert_eq!(quick, slow);
        }
    }
}

#[test]
fn a_log_as_backends_write_it_is_read_as_a_flat_object() {
    let text = r#"{"type":"training.log","step":7,"loss":1.5e-3,"evalLoss":null,"done":false}"#;
    let mut fields = Vec::new();
    assert!(flat::each_field(text, |key, value| fields.push((key, value))).is_some());
    assert_eq!(
        fields,
        [
            ("type", r#""training.log""#),
            ("step", "7"),
            ("loss", "1.5e-3"),
            ("evalLoss", "null"),
            ("done", "false")
        ]
    );
}

#[test]
fn t12_the_quick_reader_takes_plain_json_and_nothing_else() {
    let last = |text: &str| {
        let mut value = None;
        flat::each_field(text, |_, json| value = Some(json.to_owned()))?;
        value
    };
    for value in [
        "0", "-0", "10", "-12", "0.5", "1e5", "1E+5", "2.25e-05", "null", "true", "false",
        r#""x y""#,
    ] {
        let text = format!(" {{ \"a\" : 1 ,\"b\":{value} }}\n");
        assert_eq!(last(&text).as_deref(), Some(value), "{text}");
    }
    for text in [
        "",
        "{",
        "{}",
        r#"{"a":1."#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e+}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":1,}"#,
        r#"{"a":1}x"#,
        r#"{"a" 1}"#,
        r"{a:1}",
        r#"{"a":nul}"#,
        r#"{"a":tru}"#,
        r#"{"a":"x"#,
        "{\"a\":\"\u{1f}\"}",
        r#"{"a":"\n"}"#,
        r#"{"a":[1]}"#,
    ] {
        assert_eq!(last(text), None, "{text}");
    }
}
