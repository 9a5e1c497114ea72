//! Expansion of single values. The names in the tables are those of the Collector's own tests (confmap
//! `expand_test.go`, `TestResolverExpandStringValues`), whose `test:` scheme is `yaml:` here.

use proptest::prelude::*;

use super::*;

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "HOST" => "localhost",
        "PORT" => "3044",
        "OS" => "ubuntu",
        "PR" => "amd",
        "INT" => "1",
        "FLOAT64" => "6.4",
        "BOOL" => "true",
        "TIMESTAMP" => "2023-03-20T03:17:55.432328Z",
        "EMPTY" => "",
        "NAME" => "HOST",
        "NESTED" => "${env:HOST}:1",
        "LOOP" => "x${env:LOOP}",
        "TURN" => "${env:TURN}",
        "MONEY" => "a$$b",
        "SECRET" => "a$$b${c}d",
        "HOSTILE" => "${env:hunter-2}",
        "DOUBLE" => "${env:DOUBLE}${env:DOUBLE}x",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The expanded text, or the text that the reference stands for, with dollar signs unescaped.
fn expand(text: &str) -> Result<String, String> {
    let mut expander = Expander::new(&environment);
    expander.next_value(text);
    match expander.expand(text) {
        Ok(Expanded::Text(text) | Expanded::Reference(text)) => Ok(expander.finish(&text)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn references_expand_as_in_the_collectors_own_tests() {
    for (name, text, expected) in [
        ("NoMatchOldStyleDefaultProvider", "${HOST}:${PORT}", "localhost:3044"),
        ("NoMatchOldStyleNoBracketsDefaultProvider", "${HOST}:$PORT", "localhost:$PORT"),
        ("Embedded", "${env:HOST}:3043", "localhost:3043"),
        ("EmbeddedMulti", "${env:HOST}:${env:PORT}", "localhost:3044"),
        ("EmbeddedConcat", "https://${env:HOST}:3045", "https://localhost:3045"),
        ("EmbeddedNewAndOldStyleDefaultProvider", "${env:HOST}:${PORT}", "localhost:3044"),
        ("Int", "test_${env:INT}", "test_1"),
        ("Float64", "test_${env:FLOAT64}", "test_6.4"),
        ("Bool", "test_${env:BOOL}", "test_true"),
        ("Timestamp", "test_${env:TIMESTAMP}", "test_2023-03-20T03:17:55.432328Z"),
        ("MultipleSameMatches", "test_${env:BOOL}_test_${env:BOOL}", "test_true_test_true"),
        ("Nested", "${yaml:localhost:${env:PORT}}", "localhost:3044"),
        ("EmbeddedInNested", "${yaml:${env:HOST}:${env:PORT}}", "localhost:3044"),
        ("EmbeddedAndNested", "${yaml:localhost:${env:PORT}}?os=${env:OS}", "localhost:3044?os=ubuntu"),
        ("NestedMultiple", "${yaml:1${yaml:2${yaml:3${yaml:4${yaml:5${yaml:6}}}}}}", "123456"),
        ("NoMatchMissingOpeningBracket", "env:HOST}", "env:HOST}"),
        ("NoMatchMissingClosingBracket", "${HOST", "${HOST"),
        ("NoMatchBracketsWithout$", "HO{ST}", "HO{ST}"),
        (
            "NoMatchOnlyMissingClosingBracket",
            "${env:HOST${env:PORT?os=${env:OS",
            "${env:HOST${env:PORT?os=${env:OS",
        ),
        (
            "NoMatchOnlyMissingOpeningBracket",
            "env:HOST}env:PORT}?os=env:OS}",
            "env:HOST}env:PORT}?os=env:OS}",
        ),
        ("NoMatchCloseBeforeOpen", "env:HOST}${env:PORT", "env:HOST}${env:PORT"),
        ("PartialMatchMissingOpeningBracketFirst", "env:HOST}${env:PORT}", "env:HOST}3044"),
        ("PartialMatchMissingOpeningBracketLast", "${env:HOST}env:PORT}", "localhostenv:PORT}"),
        ("PartialMatchMissingClosingBracketFirst", "${env:HOST${env:PORT}", "${env:HOST3044"),
        ("PartialMatchMissingClosingBracketLast", "${env:HOST}${env:PORT", "localhost${env:PORT"),
        (
            "PartialMatchMultipleMissingOpen",
            "env:HOST}env:PORT}?os=${env:OS}",
            "env:HOST}env:PORT}?os=ubuntu",
        ),
        (
            "PartialMatchMultipleMissingClosing",
            "${env:HOST${env:PORT?os=${env:OS}",
            "${env:HOST${env:PORT?os=ubuntu",
        ),
        (
            "PartialMatchMoreClosingBrackets",
            "${env:HOST}}}}}}${env:PORT?os=${env:OS}",
            "localhost}}}}}${env:PORT?os=ubuntu",
        ),
        (
            "PartialMatchMoreOpeningBrackets",
            "${env:HOST}${${${${${env:PORT}?os=${env:OS}",
            "localhost${${${${3044?os=ubuntu",
        ),
        (
            "PartialMatchAlternatingMissingOpening",
            "env:HOST}${env:PORT}?os=env:OS}&pr=${env:PR}",
            "env:HOST}3044?os=env:OS}&pr=amd",
        ),
        (
            "PartialMatchAlternatingMissingClosing",
            "${env:HOST${env:PORT}?os=${env:OS&pr=${env:PR}",
            "${env:HOST3044?os=${env:OS&pr=amd",
        ),
        ("SchemeAfterNoSchemeIsExpandedDefaultProvider", "${HOST}${env:PORT}", "localhost3044"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{name}: {text}");
    }
}

#[test]
fn defaults_and_dollar_signs_are_as_documented() {
    for (text, expected) in [
        ("plain", "plain"),
        // A default stands in for a variable that is not set, not for an empty one.
        ("a${env:EMPTY:-x}b", "ab"),
        ("a${env:UNSET:-x}b", "axb"),
        ("a${env:UNSET:-}b", "ab"),
        ("a${env:UNSET:-x:-y}b", "ax:-yb"),
        ("a${env:UNSET:-${env:HOST}}b", "alocalhostb"),
        ("a${UNSET:-x}b", "axb"),
        ("a${env:UNSET}b", "ab"),
        ("a${env:${env:NAME}}", "alocalhost"),
        ("a${env:NESTED}", "alocalhost:1"),
        ("a${env:MONEY}", "aa$b"),
        ("$HOST $", "$HOST $"),
        ("$$", "$"),
        ("$$$", "$$"),
        ("$$$$", "$$"),
        ("$${env:HOST}", "${env:HOST}"),
        ("$$${env:HOST}", "$localhost"),
        ("$$$${env:HOST}", "$${env:HOST}"),
        ("$$$$${env:HOST}", "$$localhost"),
        ("$$HOST ${env:HOST}", "$HOST localhost"),
        // An escaped reference ends the expansion of its value.
        ("$${env:HOST} ${env:PORT}", "${env:HOST} ${env:PORT}"),
        ("${env:PORT} $${env:HOST}", "3044 ${env:HOST}"),
        ("${env:$${HOST}}", "${env:${HOST}}"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_value_that_is_one_reference_keeps_what_it_refers_to_whole() {
    let expand = |text| Expander::new(&environment).expand(text).unwrap();
    assert_eq!(expand("${env:PORT}"), Expanded::Reference("3044".to_owned()));
    assert_eq!(expand("${env:UNSET:-[a, b]}"), Expanded::Reference("[a, b]".to_owned()));
    assert_eq!(expand("${env:UNSET}"), Expanded::Reference(String::new()));
    assert_eq!(expand("${env:PORT} "), Expanded::Text("3044 ".to_owned()));
}

#[test]
fn an_unset_variable_without_default_is_noted() {
    let mut expander = Expander::new(&environment);
    let text = "${UNSET} ${HOST} ${UNSET:-x} ${EMPTY} ${OTHER}";
    expander.next_value(text);
    expander.expand(text).unwrap();
    assert_eq!(expander.unset, ["UNSET", "OTHER"]);
}

#[test]
fn what_cannot_be_expanded_is_refused_in_the_collectors_words() {
    for (text, message) in [
        (
            "${env:a-b}",
            "environment variable \"a-b\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$",
        ),
        ("${}", "environment variable \"\" has invalid name"),
        ("${env: HOST}", "environment variable \" HOST\" has invalid name"),
        ("${http://x}", "scheme \"http\" is not supported for uri \"http://x\""),
        ("${a:b}", "invalid uri: \"a:b\""),
        ("${1a:b}", "invalid uri: \"1a:b\""),
        ("${env:$HOST}", "the uri \"env:$HOST\" contains unsupported characters ('$')"),
        ("${file:/does/not/exist}", "unable to read the file \"/does/not/exist\""),
        ("a${env:LOOP}", "too many recursive expansions"),
        ("a${env:DOUBLE}", "references expand to more than 67108864 bytes"),
    ] {
        let error = expand(text).unwrap_err();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

/// A secret's value byte for byte, wherever in a value it stands, and the text after it is expanded all the same.
#[test]
fn a_raw_value_is_taken_as_it_is() {
    for (text, expected) in [
        ("${raw:env:SECRET}", "a$$b${c}d"),
        ("Bearer ${raw:env:SECRET}-${env:HOST}-$$", "Bearer a$$b${c}d-localhost-$"),
        ("${env:UNSET:-${raw:env:SECRET}}", "a$$b${c}d"),
        ("${raw:env:HOST}", "localhost"),
        ("${raw:env:UNSET}", ""),
        ("$${raw:env:HOST}", "${raw:env:HOST}"),
        ("x${env:SECRET}", "xa$bd"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
    for (text, message) in [
        ("${raw:SECRET}", "invalid uri: \"raw:SECRET\": expected raw:env:NAME or raw:file:PATH"),
        ("${raw:yaml:1}", "invalid uri: \"raw:yaml:1\""),
        ("${raw:env:a-b}", "environment variable \"a-b\" has invalid name"),
        ("${raw:file:/does/not/exist}", "unable to read the file \"/does/not/exist\""),
    ] {
        let error = expand(text).unwrap_err();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn a_raw_file_is_taken_with_its_dollar_signs_and_its_last_newline() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "pa$$${x}\n").unwrap();
    let text = format!("<${{raw:file:{}}}>", file.path().display());
    assert_eq!(expand(&text).as_deref(), Ok("<pa$$${x}\n>"));
    std::fs::write(file.path(), "pa\0").unwrap();
    assert!(expand(&text).unwrap_err().contains("holds a NUL byte"));
}

/// An error names the variable and shows no piece of its value; nor does a note of a variable that is not set.
#[test]
fn a_value_that_expansion_changes_is_noted_and_never_shown() {
    let mut expander = Expander::new(&environment);
    for text in ["x${env:SECRET}", "${env:HOST} ${env:MONEY}", "${raw:env:SECRET}", "${env:UNSET:-x}"] {
        expander.next_value(text);
        expander.expand(text).unwrap();
    }
    assert_eq!(expander.changed, ["SECRET", "MONEY"]);
    assert_eq!(expander.unset, Vec::<String>::new(), "c is part of a secret");
    for text in ["${env:HOSTILE}x", "x${env:HOSTILE}"] {
        let error = expand(text).unwrap_err();
        assert!(!error.contains("hunter"), "{error}");
    }
}

/// References inside references.
fn nested(depth: usize) -> String {
    "${yaml:a".repeat(depth) + &"}".repeat(depth)
}

#[test]
fn a_value_takes_as_many_references_as_in_the_collector_and_no_more() {
    assert!(Expander::new(&environment).expand(&nested(MAX_EXPANSIONS)).is_ok());
    let refused = Expander::new(&environment).expand(&nested(MAX_EXPANSIONS + 1));
    assert!(matches!(refused, Err(ExpandError::TooMany)));
}

#[test]
fn every_value_has_the_whole_number_of_references_and_all_share_the_bytes() {
    let mut expander = Expander::new(&environment);
    let full = "${env:INT}x".repeat(3);
    for _ in 0..MAX_EXPANSIONS {
        expander.next_value(&full);
        expander.expand(&full).unwrap();
    }
    let bounded = (0..).take_while(|_| expander.charge(1 << 20).is_ok()).count();
    assert!(bounded < 64, "{bounded}");
    assert!(matches!(expander.charge(0), Err(ExpandError::TooLarge)), "what is overdrawn stays so");
}

proptest! {
    /// Any text expands or is refused; text without a reference stays as it is.
    #[test]
    fn any_text_expands_or_is_refused(text in "[a${}:_\\-]{0,40}|.{0,40}") {
        let expanded = Expander::new(&|_| Some("${x}$".to_owned())).expand(&text);
        if !text.contains("${") {
            prop_assert_eq!(expanded.unwrap(), Expanded::Text(text));
        }
    }

    /// A text whose dollar signs are doubled means itself.
    #[test]
    fn doubled_dollar_signs_come_back_single(text in "[a$:_\\-]{0,40}|[a${}]{0,20}") {
        let escaped = text.replace('$', "$$");
        let Expanded::Text(expanded) = Expander::new(&environment).expand(&escaped).unwrap() else {
            panic!("{escaped} is a reference")
        };
        prop_assert_eq!(unescape(&expanded), text);
    }

    /// Any text that a variable can hold comes out of a raw reference as it is.
    #[test]
    fn raw_is_byte_for_byte(text in "[a${}:\\-]{0,20}|[^\\x00]{0,40}", around: bool) {
        let environment = |_: &str| Some(text.clone());
        let mut expander = Expander::new(&environment);
        let (before, after) = if around { ("<", ">") } else { ("", "") };
        let written = format!("{before}${{raw:env:X}}{after}");
        expander.next_value(&written);
        let Expanded::Text(expanded) = expander.expand(&written).unwrap() else { panic!("not text") };
        prop_assert_eq!(expander.finish(&expanded), format!("{before}{text}{after}"));
    }

    /// However deep references nest, the innermost is expanded first and nothing is left of them.
    #[test]
    fn references_nest(depth in 1_usize..40) {
        let expanded = Expander::new(&environment).expand(&nested(depth)).unwrap();
        prop_assert_eq!(expanded, Expanded::Reference("a".repeat(depth)));
    }

    /// A reference stands for its default exactly if the variable is not set.
    #[test]
    fn a_default_is_for_what_is_not_set(
        default in "[a-z0-9 :.,\\[\\]\"'\\-]{0,20}",
        value in prop::option::of("[a-z0-9 ]{0,10}"),
        bare: bool,
    ) {
        let environment = |_: &str| value.clone();
        let mut expander = Expander::new(&environment);
        let scheme = if bare { "" } else { "env:" };
        let expanded = expander.expand(&format!("<${{{scheme}X:-{default}}}>")).unwrap();
        let expected = value.clone().unwrap_or(default);
        prop_assert_eq!(expanded, Expanded::Text(format!("<{expected}>")));
        prop_assert!(expander.unset.is_empty());
    }
}
