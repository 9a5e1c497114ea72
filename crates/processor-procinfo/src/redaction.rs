//! Command lines without what looks like a secret. `docs/metadata.md` lists the rules for users.
//!
//! No rule finds every secret: who puts one on a command line shows it to every user of the machine. So command lines
//! leave only if somebody has asked for them.

use std::borrow::Cow;
use std::sync::Arc;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Arguments that are kept at most.
const MOST_ARGUMENTS: usize = 64;
/// Parts of names whose values are secret.
const SECRET: [&str; 14] = [
    "passw",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "private",
    "auth",
    "access-key",
    "access_key",
    "cookie",
];
/// Options whose values are `USER:PASSWORD`.
const USERS: [&str; 3] = ["-u", "--user", "--proxy-user"];

/// The arguments, each ended by NUL, as they may leave the machine; an argument that is cut short is left out.
pub(crate) fn redacted(arguments: &[u8]) -> Arc<[Arc<str>]> {
    let whole = arguments.iter().rposition(|&byte| byte == 0).and_then(|end| arguments.get(..end));
    let Some(whole) = whole else { return Arc::default() };
    let words = whole.split(|&byte| byte == 0).take(MOST_ARGUMENTS).map(String::from_utf8_lossy);
    let mut before = String::new();
    let words = words.map(|word| {
        let shown: Arc<str> = redact(&before, &word).into();
        before = word.into_owned();
        shown
    });
    words.collect()
}

/// One argument, after another.
fn redact<'a>(before: &str, word: &'a str) -> Cow<'a, str> {
    let value_of_before = before.starts_with('-') && !before.contains('=') && !word.starts_with('-');
    if value_of_before && is_secret(before) {
        return REDACTED.into();
    }
    if USERS.contains(&before)
        && let Some((user, _)) = word.split_once(':')
    {
        return format!("{user}:{REDACTED}").into();
    }
    // A header: `Authorization: Bearer ...`.
    if let Some((name, _)) = word.split_once(':')
        && !name.contains('/')
        && is_secret(name)
    {
        return format!("{name}: {REDACTED}").into();
    }
    // `--name=value`, `-Dname=value`, `NAME=value`; of several in one argument, all after the first.
    if let Some((name, _)) = word.split_once('=')
        && is_secret(name)
    {
        return format!("{name}={REDACTED}").into();
    }
    if is_web_token(word) {
        return REDACTED.into();
    }
    without_user_of_url(word)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// True of a JSON web token: three parts, of which the first begins as an object does in base64.
fn is_web_token(word: &str) -> bool {
    word.split(['=', ' ', ':']).any(|part| part.starts_with("eyJ") && part.matches('.').count() == 2)
}

/// `scheme://user:password@host` without the user.
fn without_user_of_url(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else { return word.into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            let after = rest.get(user.len()..).unwrap_or_default();
            // What follows may hold another URL.
            format!("{scheme}://{REDACTED}{}", without_user_of_url(after)).into()
        }
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(words: &[&str]) -> Vec<String> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        redacted(&bytes).iter().map(|word| word.to_string()).collect()
    }

    #[test]
    fn what_looks_like_a_secret_does_not_leave() {
        for (words, expected) in [
            (
                &["db", "--password", "hunter2", "--verbose"][..],
                &["db", "--password", "[redacted]", "--verbose"][..],
            ),
            (&["db", "--password=hunter2"], &["db", "--password=[redacted]"]),
            (&["java", "-Ddb.passwd=x", "-jar"], &["java", "-Ddb.passwd=[redacted]", "-jar"]),
            (&["env", "API_KEY=a=b", "cmd"], &["env", "API_KEY=[redacted]", "cmd"]),
            (&["curl", "-u", "me:pw", "x"], &["curl", "-u", "me:[redacted]", "x"]),
            (
                &["curl", "-H", "Authorization: Bearer abc", "https://a/b"],
                &["curl", "-H", "Authorization: [redacted]", "https://a/b"],
            ),
            (&["psql", "postgres://me:pw@db/x"], &["psql", "postgres://[redacted]@db/x"]),
            (&["x", "eyJhbGci.eyJzdWIi.c2ln"], &["x", "[redacted]"]),
            (&["git", "clone", "https://me@host/a"], &["git", "clone", "https://me@host/a"]),
            (&["ls", "-l", "a:b", "--color=auto"], &["ls", "-l", "a:b", "--color=auto"]),
            (&["x", "--token", "--next"], &["x", "--token", "--next"]),
        ] {
            assert_eq!(shown(words), expected);
        }
    }

    #[test]
    fn what_is_cut_short_and_what_is_too_much_is_left_out() {
        assert_eq!(&*redacted(b"a\0--pass"), &["a".into()]);
        assert!(redacted(b"abc").is_empty() && redacted(b"").is_empty());
        assert_eq!(shown(&["x"; 100]).len(), MOST_ARGUMENTS);
    }

    proptest! {
        /// A value under a secret name does not leave, however it is written; any bytes are read.
        #[test]
        fn a_secret_value_never_leaves(
            name in "[a-z]{0,4}(password|token|secret)[a-z]{0,4}",
            value in "[0-9]{6,12}",
            other: Vec<u8>,
        ) {
            redacted(&other);
            for words in [
                vec!["x".to_owned(), format!("--{name}"), value.clone()],
                vec!["x".to_owned(), format!("--{name}={value}")],
                vec!["x".to_owned(), format!("{name}={value}")],
                vec!["x".to_owned(), format!("{name}: {value}")],
                vec!["x".to_owned(), format!("https://{name}:{value}@host/")],
            ] {
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                prop_assert!(shown(&words).iter().all(|word| !word.contains(&value)), "{:?}", words);
            }
        }
    }
}
