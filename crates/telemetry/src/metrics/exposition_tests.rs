use proptest::prelude::*;

use super::*;

fn family(name: &str, kind: Kind, series: Vec<Series>) -> Family {
    Family { name: name.to_owned(), help: "A \"thing\" in C:\\.".to_owned(), kind, series }
}

fn series(labels: &[(&str, &str)], value: Value) -> Series {
    let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Series { labels, value }
}

fn one_of_each() -> Vec<Family> {
    let distribution = Distribution { buckets: vec![(0.5, 1), (1.0, 3)], count: 4, sum: 7.5 };
    vec![
        family(
            "runs",
            Kind::Counter,
            vec![series(&[], Value::Integer(3)), series(&[("program", "a")], Value::Float(0.5))],
        ),
        family("queue", Kind::Gauge, vec![series(&[], Value::Float(-1.0))]),
        family("plain", Kind::Unknown, vec![series(&[], Value::Float(f64::INFINITY))]),
        family("work_seconds", Kind::Histogram, vec![series(&[("p", "x")], Value::Histogram(distribution))]),
        family("target", Kind::Info, vec![series(&[("a", "b")], Value::Integer(1))]),
    ]
}

#[test]
fn the_text_format_names_what_its_lines_begin_with() {
    let expected = r#"# HELP runs_total A "thing" in C:\\.
# TYPE runs_total counter
runs_total 3
runs_total{program="a"} 0.5
# HELP queue A "thing" in C:\\.
# TYPE queue gauge
queue -1
# HELP plain A "thing" in C:\\.
# TYPE plain untyped
plain +Inf
# HELP work_seconds A "thing" in C:\\.
# TYPE work_seconds histogram
work_seconds_bucket{p="x",le="0.5"} 1
work_seconds_bucket{p="x",le="1"} 3
work_seconds_bucket{p="x",le="+Inf"} 4
work_seconds_sum{p="x"} 7.5
work_seconds_count{p="x"} 4
# HELP target_info A "thing" in C:\\.
# TYPE target_info gauge
target_info{a="b"} 1
"#;
    assert_eq!(render(&one_of_each(), Format::Text), expected);
}

#[test]
fn openmetrics_names_families_units_and_the_end() {
    let expected = r#"# HELP runs A \"thing\" in C:\\.
# TYPE runs counter
runs_total 3
runs_total{program="a"} 0.5
# HELP queue A \"thing\" in C:\\.
# TYPE queue gauge
queue -1
# HELP plain A \"thing\" in C:\\.
# TYPE plain unknown
plain +Inf
# HELP work_seconds A \"thing\" in C:\\.
# TYPE work_seconds histogram
# UNIT work_seconds seconds
work_seconds_bucket{p="x",le="0.5"} 1
work_seconds_bucket{p="x",le="1.0"} 3
work_seconds_bucket{p="x",le="+Inf"} 4
work_seconds_sum{p="x"} 7.5
work_seconds_count{p="x"} 4
# HELP target A \"thing\" in C:\\.
# TYPE target info
target_info{a="b"} 1
# EOF
"#;
    assert_eq!(render(&one_of_each(), Format::OpenMetrics), expected);
    assert_eq!(render(&[], Format::OpenMetrics), "# EOF\n");
}

/// The value that a reader makes of `key="..."`: by the definition of the format, not by our own
/// code.
fn unescape(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        value.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                '"' => '"',
                'n' => '\n',
                _ => return None,
            },
            '"' | '\n' => return None,
            c => c,
        });
    }
    Some(value)
}

proptest! {
    /// A reader finds exactly the value that a label had, whatever it holds.
    #[test]
    fn any_label_value_survives(value in "(.|[\\\\\"\n])*", hard in "[\\\\n\"\n,}= ]*", number: u64) {
        for (value, format) in [(&value, Format::Text), (&hard, Format::Text), (&hard, Format::OpenMetrics)] {
            let families =
                [family("a", Kind::Gauge, vec![series(&[("k", value.as_str())], Value::Integer(number))])];
            let text = render(&families, format);
            let text = text.trim_end_matches("# EOF\n");
            let (_, line) = text.trim_end_matches('\n').rsplit_once('\n').unwrap();
            let line = line.strip_prefix("a{k=\"").unwrap();
            let inner = line.strip_suffix(&format!("\"}} {number}")).unwrap();
            let read = unescape(inner);
            prop_assert_eq!(read.as_ref(), Some(value));
        }
    }

    /// A help text stays on its line, whatever it holds.
    #[test]
    fn a_help_text_is_one_line(help in "(.|\n)*") {
        let family = Family { name: "a".to_owned(), help, kind: Kind::Gauge, series: Vec::new() };
        for format in [Format::Text, Format::OpenMetrics] {
            let text = render(std::slice::from_ref(&family), format);
            prop_assert!(text.split('\n').filter(|line| !line.is_empty()).all(|line| line.starts_with('#')));
        }
    }

    /// Any text becomes a name, and a name stays as it is.
    #[test]
    fn any_text_becomes_a_name(text in ".*") {
        let made = name(&text);
        prop_assert!(made.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
        prop_assert!(made.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        prop_assert_eq!(name(&made), made);
    }

    /// A number is read back as it was.
    #[test]
    fn any_number_survives(value: f64) {
        prop_assume!(value.is_finite());
        prop_assert_eq!(Number(value).to_string().parse::<f64>().unwrap().to_bits(), value.to_bits());
    }
}
