#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

/// The longest that any template may take.
const LONGEST: Duration = Duration::from_secs(20);

fn of(templates: &[(&str, &str)]) -> ChatTemplates {
    let templates = templates.iter().map(|(name, text)| {
        let (file, text) = (format!("{name}.jinja"), (*text).to_owned());
        ((*name).to_owned(), TemplateFile { file, text })
    });
    let tokens = vec![
        ("bos_token".to_owned(), json!("<s>")),
        ("image_token".to_owned(), json!("<img>")),
    ];
    ChatTemplates::new(&templates.collect(), tokens).unwrap()
}

fn conversation() -> Vec<Json> {
    vec![
        json!({ "role": "user", "content": "Größe < \"x\"?", "name": null }),
        json!({ "role": "assistant", "content": "ok", "reasoning": "hm" }),
    ]
}

fn render(template: &str) -> Result<String> {
    of(&[("default", template)]).render(&conversation(), None, false)
}

#[track_caller]
fn gives(template: &str, expected: &str) {
    assert_eq!(render(template).unwrap(), expected, "{template}");
}

#[track_caller]
fn refuses(template: &str) -> String {
    let started = Instant::now();
    let rendered = render(template).map(|text| text.len());
    let error = rendered.expect_err(&template[..template.len().min(200)]);
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
    let message = error.to_string();
    assert!(error.is_refusal() && message.len() < 1000, "{message}");
    message
}

#[test]
fn tojson_is_pythons_and_escapes_no_html() {
    gives("{{ \"<'&>\"|tojson }}", "\"<'&>\"");
    gives(
        "{{ {'b': [1, 2.0, none, true], 'a': 'ü\\n'}|tojson }}",
        r#"{"b": [1, 2.0, null, true], "a": "ü\n"}"#,
    );
    gives(
        "{{ 'ü🎉'|tojson(ensure_ascii=True) }}",
        r#""\u00fc\ud83c\udf89""#,
    );
    gives(
        "{{ {'b': 1, 'a': [1, 2], 'c': {}}|tojson(indent=2, sort_keys=true) }}",
        "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": 1,\n  \"c\": {}\n}",
    );
    gives(
        "{{ {'a': [1, 2]}|tojson(separators=(',', ':')) }}",
        r#"{"a":[1,2]}"#,
    );
    gives(
        "{{ [1e16, 0.00001, 0.1, 100.0]|tojson }}",
        "[1e+16, 1e-05, 0.1, 100.0]",
    );
    gives(
        "{{ messages[1:]|tojson }}",
        r#"[{"thinking": "hm", "role": "assistant", "content": "ok", "reasoning": "hm", "reasoning_content": "hm"}]"#,
    );
    refuses("{{ nothing|tojson }}");
}

#[test]
fn the_variables_are_those_of_transformers() {
    gives(
        "{{ bos_token }}{{ image_token }}{{ eos_token is defined }}{{ tools is none }}{{ documents is none }}{{ debug is defined }}",
        "<s><img>FalseTrueTrueFalse",
    );
    gives("{{ 'name' in messages[0] }}", "False");
    assert_eq!(
        refuses("{{ raise_exception('No system role, please.') }}"),
        "messages: the chat template refuses them: invalid operation: No system role, please. (in default.jinja:1)"
    );
}

#[test]
fn strftime_now_is_the_local_time() {
    let expected = || jiff::Zoned::now().strftime("%d %b %Y").to_string();
    let before = expected();
    let given = render("{{ strftime_now('%d %b %Y%z') }}").unwrap();
    assert!([before, expected()].contains(&given), "{given}");
}

#[test]
fn methods_and_tests_of_python_are_there() {
    gives(
        "{{ 'a-b-c'.rsplit('-', 1) }}{{ 'abc'.removeprefix('a') }}{{ 'a=b'.partition('=')|list }}",
        "['a-b', 'c']bc['a', '=', 'b']",
    );
    gives(
        "{{ 'a\\rb\\n'.splitlines() }}{{ '7'.zfill(3) }}{{ '%s'|format('x') }}{{ '{}!'.format('x') }}",
        "['a', 'b']007xx!",
    );
    gives(
        "{{ 'x' is sequence }}{{ {} is sequence }}{{ 1 is sequence }}{{ 'x' is iterable }}{{ none is iterable }}",
        "TrueTrueFalseTrueFalse",
    );
    gives(
        "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.get('role') }}{% break %}{% endfor %}",
        "assistant",
    );
}

#[test]
fn a_namespace_of_the_template_can_be_set_within_a_block_or_a_macro() {
    gives(
        "{% set ns = namespace(a=1) %}{% generation %}{% set ns.a = 2, 3 %}{% endgeneration %}{{ ns.a }}\
         {% macro f() %}{% set ns.a = 4 %}{% endmacro %}{{ f() }}{{ ns.a }}",
        "(2, 3)4",
    );
}

#[test]
fn a_generation_block_sees_every_variable_around_it() {
    gives(
        "{% set a = 1 %}{% for m in messages %}{% generation %}{% for n in messages[loop.index0:] %}n{% endfor %}\
         {% set a = a + 1 %}{{ a }}{% endgeneration %}{{ a }}{% endfor %}",
        "nn21n21",
    );
}

#[test]
fn every_end_of_a_line_is_a_newline() {
    gives("a\r\nb\rc{{ 'd\r\ne' }}", "a\nb\ncd\ne");
}

#[test]
fn tool_use_is_chosen_when_there_are_tools_and_a_missing_default_is_named() {
    let templates = of(&[("default", "plain"), ("tool_use", "with tools")]);
    let tools = json!([]);
    assert_eq!(
        templates.render(&[], Some(&tools), false).unwrap(),
        "with tools"
    );
    assert_eq!(templates.render(&[], None, false).unwrap(), "plain");
    let templates = of(&[("rag", "a"), ("tool_use", "with tools")]);
    assert!(templates.render(&[], Some(&tools), false).is_ok());
    let error = templates.render(&[], None, false).unwrap_err().to_string();
    assert!(error.contains("rag, tool_use"), "{error}");
}

#[test]
fn generation_blocks_are_rendered_as_they_are_and_told_by_their_bytes() {
    let template = "{%- for m in messages %}\n<{{ m.role }}>\n{%- if m.role == 'assistant' %}\n  \
                    {%- generation %}\n{{ m.content }}{{ '!' if loop.last }}{% set inner = 1 %}\n    {%- endgeneration %}\n\
                    {%- endif %}\n{%- endfor %}{{ inner is defined }}";
    let templates = of(&[("default", template)]);
    let rendered = templates
        .render_with_generated(&conversation(), None, false)
        .unwrap();
    assert_eq!(rendered.text, "<user><assistant>ok!False");
    assert_eq!(rendered.generated, Some(vec![(17, 20)]));
    let plain = of(&[("default", "x")]).render_with_generated(&conversation(), None, false);
    assert_eq!(plain.unwrap().generated, None);
    // A text with the block markers in it is never taken for a block.
    let forged = [json!({ "role": "assistant", "content": "\u{fdd0}x\u{fdd1}" })];
    assert!(
        templates
            .render_with_generated(&forged, None, false)
            .is_err()
    );
}

#[test]
fn a_template_that_can_not_be_compiled_is_named_by_its_file_and_only_when_it_is_used() {
    assert_eq!(
        refuses("{% if %}"),
        "messages: the chat template in default.jinja can't be used: syntax error: unexpected end of block (in default.jinja:1)"
    );
    let templates = of(&[("default", "fine"), ("tool_use", "{% broken")]);
    assert!(templates.render(&[], None, false).is_ok());
    let error = templates.render(&[], Some(&json!([])), false).unwrap_err();
    assert!(error.to_string().contains("tool_use.jinja"), "{error}");
}

#[test]
fn a_template_of_very_many_terms_is_refused_before_it_overflows_the_parsers_stack() {
    let many = |before: &str, term: &str, count: usize, after: &str| {
        format!("{before}{}{after}", term.repeat(count))
    };
    for template in [
        many("{{ 1", " + 1", 200_000, " }}"),
        many("{{ 1", "+1", 100_000, " }}"),
        many("{{ ", "not ", 50_000, "1 }}"),
        many("{{ ", "- ", 50_000, "1 }}"),
        many("{{ ", "(", 50_000, "1 }}"),
        many("{{ x", "|e", 50_000, " }}"),
        many("{% for x in messages %}", "{% if x %}", 20_000, ""),
    ] {
        refuses(&template);
    }
    // Deeply nested, but within the limits, so that it's rendered in bounded time.
    let started = Instant::now();
    let template = many(
        "{% if 0 %}",
        "{% elif 0 %}",
        20_000,
        "{% else %}end{% endif %}",
    );
    gives(&template, "end");
    gives(&many("{{ 1", "+1", 8_000, " }}"), "8001");
    assert!(started.elapsed() < LONGEST, "{:?}", started.elapsed());
}

#[test]
fn a_template_that_never_ends_or_asks_for_all_memory_is_stopped() {
    let nested = "{% set ns = namespace(x=[]) %}{% for a in range(300) %}{% for b in range(1000) %}\
                  {% set ns.x = [[[[[[[[[[[[[[[[[[[[ns.x]]]]]]]]]]]]]]]]]]]] %}{% endfor %}{% endfor %}";
    for template in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = (ns.x + ns.x)|list %}{% endfor %}",
        "{{ 'a\nb'|indent(100000000000) }}",
        "{{ 'a' * 1000000000000 }}",
        "{{ [1]|tojson(indent=100000000000) }}",
        "{{ '{:>1000000000000}'.format(1) }}",
        "{{ '%1000000000000d'|format(1) }}",
        "{{ 'x'.ljust(1000000000000) }}",
        "{{ 'x'|center(1000000000000) }}",
        "{{ ('a' * 1000000).join([''] * 1000000) }}",
        "{{ ','.join(['a' * 1000000] * 1000000) }}",
        "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
        "{{ ('{0}' * 100000).format('a' * 1000000) }}",
        "{{ [1]|batch(1000000000000, 0)|list }}",
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        nested,
    ] {
        refuses(template);
    }
}

#[test]
fn values_nested_as_deeply_as_the_fuel_allows_do_not_overflow_the_stack() {
    let nest = "{% set ns = namespace(x=[]) %}{% for a in range(ROUNDS) %}\
                {% set ns.x = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ns.x]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]] %}{% endfor %}";
    let deepest = (1..20)
        .map(|step| step * 1500)
        .take_while(|rounds| render(&nest.replace("ROUNDS", &rounds.to_string())).is_ok())
        .last()
        .unwrap();
    for (rounds, rest) in [
        (deepest, ""),
        (deepest, "{{ ns.x }}"),
        (deepest / 2, "{{ 'a' ~ ns.x }}"),
        (deepest / 2, "{{ ns.x|string|length }}"),
        (deepest / 2, "{{ ns.x|pprint|length }}"),
        (deepest / 2, "{{ ns.x|tojson|length }}"),
        (deepest / 2, "{{ ns.x == [ns.x][0] }}"),
        (deepest / 2, "{{ [ns.x, ns.x]|sort|length }}"),
    ] {
        // It may be refused. What matters is that the process survives.
        let _ = render(&format!(
            "{}{rest}",
            nest.replace("ROUNDS", &rounds.to_string())
        ));
    }
}
