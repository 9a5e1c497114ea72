//! Pages and downloads as files.

use profile_formats::{Format, Profile, Quantity};
use serde_json::Value;

use super::scene::{HOSTILE, ask, profile, samples, tables};
use crate::download::{Fault, make};
use crate::question::{Question, Topic};
use crate::{Page, html, html_of_difference, router, store};

/// All samples are in the file, and no name is in it in a form that a browser could take for markup or code.
#[test]
fn the_page_as_a_file_has_every_sample_and_no_raw_name() {
    let profile = profile(&HOSTILE);
    let page = html(&profile, profile.main_quantity()).unwrap();
    let tables = tables(&page);
    assert_eq!(samples(&tables), profile.samples.captured());
    let text = String::from_utf8(page).unwrap();
    for name in HOSTILE {
        assert!(!text.contains(name), "{name}");
        assert!(tables["texts"].as_array().unwrap().iter().any(|known| known == name), "{name}");
    }
    assert_eq!(text.matches("<script").count(), 2, "the tables and the page's own");
    assert!(text.contains("default-src 'none'") && !text.contains("unsafe"));
}

#[test]
fn two_profiles_are_in_one_file_each_with_its_name_and_its_time() {
    let (before, after) = (profile(&["a", "b"]), profile(&["b", "c", "d"]));
    let of = |profile: &Profile| profile.main_quantity();
    let page =
        html_of_difference((&before, of(&before), "</script>"), (&after, of(&after), "after")).unwrap();
    let tables = tables(&page);
    assert_eq!(samples(&tables), before.samples.captured() + after.samples.captured());
    let parts = tables["parts"].as_array().unwrap();
    assert_eq!((&parts[0]["name"], &parts[1]["name"]), (&Value::from("</script>"), &Value::from("after")));
    assert_eq!(parts[0]["until"], parts[1]["from"]);
    assert_eq!(String::from_utf8(page).unwrap().matches("</script>").count(), 2);
}

/// A file that would take more memory than it may is refused in any format.
#[test]
fn a_file_that_takes_too_much_memory_is_refused() {
    let profile = profile(&HOSTILE);
    let store = store(&profile, profile.main_quantity());
    for format in ["pprof", "folded", "svg", "firefox", "html"] {
        let question = Question::parse("download", &format!("format={format}")).unwrap().unwrap();
        let Topic::Download(format) = question.topic else { panic!("{question:?}") };
        assert!(matches!(make(&store, &question, format, 100), Err(Fault::TooLarge)), "{format:?}");
        assert!(!make(&store, &question, format, 1 << 20).unwrap().body.is_empty(), "{format:?}");
    }
}

/// A store has the samples of the file that it was read from, in every format that can be read again.
#[test]
fn a_store_has_what_a_file_has() {
    let profile = profile(&HOSTILE);
    for format in [Format::Pprof, Format::Folded, Format::Otlp] {
        let mut bytes = Vec::new();
        format.write(&profile, Quantity::Captures, &mut bytes).unwrap();
        let read = profile_formats::read(&bytes).unwrap();
        let store = store(&read, read.main_quantity());
        assert_eq!(store.taken(), profile.samples.captured(), "{format}");
    }
}

/// A pprof profile with these columns, and one sample of a function with a value for each.
fn pprof(columns: &[(&str, &str, u8)]) -> Profile {
    let field =
        |number: u8, part: &[u8]| [&[number << 3 | 2, u8::try_from(part.len()).unwrap()], part].concat();
    let (mut bytes, mut strings, mut values) = (Vec::new(), field(6, b""), Vec::new());
    for (at, (name, unit, value)) in (0..).zip(columns) {
        bytes.extend(field(1, &[8, 2 * at + 1, 16, 2 * at + 2]));
        strings.extend([field(6, name.as_bytes()), field(6, unit.as_bytes())].concat());
        values.push(*value);
    }
    let name = u8::try_from(2 * columns.len() + 1).unwrap();
    strings.extend(field(6, b"main"));
    let location = field(4, &[&[8, 1][..], &field(4, &[8, 1])].concat());
    let sample = field(2, &[field(1, &[1]), field(2, &values)].concat());
    let parts = [bytes, sample, location, field(5, &[8, 1, 16, name]), strings];
    profile_formats::read(&parts.concat()).unwrap()
}

/// Every column of a file is shown, not only the first that counts; and time off the CPU beside time on it.
#[tokio::test]
async fn every_column_of_a_file_is_shown() {
    let total = async |profile: &Profile, quantity: Quantity, query: &str| {
        let router = router(Page::of(store(profile, quantity)));
        let (_, status) = ask(&router, "GET", &format!("/api/status?{query}")).await;
        let status: Value = serde_json::from_slice(&status).unwrap();
        let total = &status["answer"]["total"];
        (total["samples"].as_u64().unwrap(), total["value"].as_u64().unwrap())
    };
    let heap = pprof(&[
        ("alloc_objects", "count", 9),
        ("alloc_space", "bytes", 90),
        ("inuse_objects", "count", 3),
        ("inuse_space", "bytes", 30),
    ]);
    for (column, expected) in [
        ("alloc_objects", (9, 0)),
        ("alloc_space", (0, 90)),
        ("inuse_objects", (3, 0)),
        ("inuse_space", (0, 30)),
    ] {
        let quantity = heap.quantity(column).unwrap();
        assert_eq!(total(&heap, quantity, "").await, expected, "{column}");
        let page = html(&heap, quantity).unwrap();
        assert_eq!(tables(&page)["sample_weights"].as_array().unwrap().len(), 1, "{column}");
    }
    let waits = pprof(&[("samples", "count", 0), ("off_cpu", "nanoseconds", 70)]);
    assert_eq!(total(&waits, waits.main_quantity(), "kind=off").await.1, 70);
}
