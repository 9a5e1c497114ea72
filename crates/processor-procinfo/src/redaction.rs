//! Command lines without their secrets. `docs/metadata.md` lists the rules for users.
//!
//! No rule finds every secret: users who put one on a command line show it to every user of the machine. So command
//! lines leave only if somebody has asked for them.

use std::borrow::Cow;
use std::sync::Arc;

/// Text in the place of a secret.
const REDACTED: &str = "[redacted]";
/// The most arguments that are kept.
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

/// Redacts an argument, which stands after the argument `before`.
fn redact<'a>(before: &str, word: &'a str) -> Cow<'a, str> {
    if is_value_of(before, word) || has_web_token(word) {
        return REDACTED.into();
    }
    if USERS.contains(&before)
        && let Some((user, _)) = word.split_once(':')
    {
        return format!("{user}:{REDACTED}").into();
    }
    // First, since a password may look like anything.
    let word = without_users_of_urls(word);
    // An argument may be a command of its own, or hold many names: whatever comes behind a secret one is left out.
    let value = [secret_value(&word), password_of_user(&word)].into_iter().flatten().min();
    match value.and_then(|value| word.get(..value)) {
        Some(shown) => format!("{shown}{REDACTED}").into(),
        None => word,
    }
}

/// True if the argument is the value that the one before it names: `--password X`, `Authorization: X`.
fn is_value_of(before: &str, word: &str) -> bool {
    let is_option = before.starts_with('-') && !before.contains('=') && !word.starts_with('-');
    let is_header = before.ends_with(':');
    let name = before.to_ascii_lowercase();
    (is_option || is_header) && SECRET.iter().any(|part| name.contains(part))
}

/// Index of the first value that has a secret name: `--name=VALUE`, `NAME=VALUE`, `Name: VALUE`, `--name VALUE`.
fn secret_value(word: &str) -> Option<usize> {
    let lower = word.to_ascii_lowercase();
    let value = |(at, part): (usize, &str)| value_behind(word, at, at + part.len());
    SECRET.iter().flat_map(|part| lower.match_indices(part)).filter_map(value).min()
}

/// Index of the value of a name that has `start..end` as a part; `None` if the part is in no name.
fn value_behind(word: &str, start: usize, end: usize) -> Option<usize> {
    let (before, after) = (word.get(..start)?, word.get(end..)?);
    let begins = |c: char| c.is_whitespace() || "&;,?|'\"`({[".contains(c);
    let begin = before.rsplit(begins).next().unwrap_or(before);
    let stop = |c: char| c.is_whitespace() || "&;,?=:".contains(c);
    let (at, separator) = after.char_indices().find(|(_, c)| stop(*c))?;
    let is_name = match separator {
        '=' => true,
        '&' | ';' | ',' | '?' => false,
        // `/srv/auth:/data` and `cd /srv/auth && ...`; `A=authors B=2`.
        ':' => !begin.contains('/'),
        _ => !begin.contains(['/', '=']),
    };
    let value = behind_blanks(word, end + at + separator.len_utf8());
    (is_name && value < word.len()).then_some(value)
}

/// Index of the first password behind a user, in a command within an argument and in an option with its value: `-u
/// USER:`, `--user=USER:`.
fn password_of_user(word: &str) -> Option<usize> {
    let password = |(at, option): (usize, &str)| {
        let before = word.get(..at)?.chars().next_back();
        let after = word.get(at + option.len()..)?;
        let is_whole =
            !option.starts_with("--") || after.starts_with(|c: char| c.is_whitespace() || c == '=');
        if !is_whole || before.is_some_and(|c| !c.is_whitespace() && c != '\'' && c != '"') {
            return None;
        }
        let user = behind_blanks(word, at + option.len());
        let (length, _) = word.get(user..)?.char_indices().find(|(_, c)| *c == ':' || c.is_whitespace())?;
        word.get(user + length..)?.starts_with(':').then_some(user + length + 1)
    };
    USERS.iter().flat_map(|option| word.match_indices(option)).filter_map(password).min()
}

/// Index of the first character from `at` on that is no blank.
fn behind_blanks(word: &str, at: usize) -> usize {
    let rest = word.get(at..).unwrap_or_default();
    at + rest.len() - rest.trim_start().len()
}

/// True if a JSON web token is in the text: three parts or more, the first of which begins like an object in base64.
fn has_web_token(word: &str) -> bool {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    word.split(|c| !is_of_token(c)).any(|part| {
        part.find("eyJ").and_then(|at| part.get(at..)).is_some_and(|token| token.matches('.').count() >= 2)
    })
}

/// The text with each `scheme://user:password@host` stripped of its user.
fn without_users_of_urls(word: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let user = user_of_url(after);
        if user > 0 {
            shown.push_str(REDACTED);
        }
        rest = after.get(user..).unwrap_or_default();
    }
    if rest.len() == word.len() {
        return word.into();
    }
    shown.push_str(rest);
    shown.into()
}

/// Bytes of the user and password that a URL's part behind `://` begins with; 0 if it has no password.
fn user_of_url(after: &str) -> usize {
    let url = after.split(|c: char| c.is_whitespace() || "'\"`".contains(c)).next().unwrap_or(after);
    let authority = url.split(['/', '?', '#']).next().unwrap_or(url);
    if let Some((user, _)) = authority.rsplit_once('@') {
        return if user.contains(':') { user.len() } else { 0 };
    }
    // A number follows a host's colon: else the text is a password with a slash in it.
    match (authority.split_once(':'), url.rsplit_once('@')) {
        (Some((host, port)), Some((user, _)))
            if !host.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            user.len()
        }
        _ => 0,
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
            (
                &["curl", "-H", "Authorization:", "Bearer abc"],
                &["curl", "-H", "Authorization:", "[redacted]"],
            ),
            (&["curl", "--user=me:pw"], &["curl", "--user=me:[redacted]"]),
            (&["curl", "-ume:pw"], &["curl", "-ume:[redacted]"]),
        ] {
            assert_eq!(shown(words), expected);
        }
    }

    /// Several names, URLs or a command in one argument.
    #[test]
    fn a_secret_behind_something_else_does_not_leave() {
        for (word, expected) in [
            ("https://me:hunter2@host/?token=abc", "https://[redacted]@host/?token=[redacted]"),
            ("postgres://u:p@h/db?password=x", "postgres://[redacted]@h/db?password=[redacted]"),
            ("host=db password=hunter2", "host=db password=[redacted]"),
            ("username=u,password=p", "username=u,password=[redacted]"),
            ("jdbc:x://h;user=sa;password=x", "jdbc:x://h;user=sa;password=[redacted]"),
            ("https://h/?user=root&password=x", "https://h/?user=root&password=[redacted]"),
            ("A=1 PASSWORD=x cmd", "A=1 PASSWORD=[redacted]"),
            ("/usr/bin/curl -H 'Authorization: Bearer abc'", "/usr/bin/curl -H 'Authorization: [redacted]"),
            ("curl https://h -H 'Authorization: Bearer abc'", "curl https://h -H 'Authorization: [redacted]"),
            ("db --password hunter2 --x", "db --password [redacted]"),
            ("redis-cli AUTH hunter2", "redis-cli AUTH [redacted]"),
            (r#"{"user":"me","password" : "x"}"#, r#"{"user":"me","password" [redacted]"#),
            (
                "curl https://a/ && psql postgres://me:pw@db/x",
                "curl https://a/ && psql postgres://[redacted]@db/x",
            ),
            ("psql postgres://me:p/w@db/x", "psql postgres://[redacted]@db/x"),
            ("curl -u me:pw https://a/", "curl -u me:[redacted]"),
            ("curl --proxy-user 'me:pw' https://a/", "curl --proxy-user 'me:[redacted]"),
            ("curl -H 'X: eyJhbGci.eyJzdWIi.c2ln'", "[redacted]"),
        ] {
            assert_eq!(shown(&["sh", "-c", word]), ["sh", "-c", expected]);
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for word in [
            "cd /srv/auth && exec ./server --port 80",
            "/srv/private:/data:ro",
            "A=authors.txt B=2",
            "https://auth.example.com/x?a=b&c=d",
            "http://[::1]:80/a@b",
            "http://host:8080/a@b https://me@host/a",
            "tar -C / -u file a:b",
        ] {
            assert_eq!(shown(&[word]), [word]);
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
            value in "x[0-9]{6,12}",
            around in "([a-z]{0,3}[-a-z=:&;,?/@'\" ]{0,3}){0,4}",
            kind in "[a-z]{1,8}",
            other: Vec<u8>,
        ) {
            redacted(&other);
            for words in [
                vec!["x".to_owned(), format!("--{name}"), value.clone()],
                vec!["x".to_owned(), format!("--{name}={value}")],
                vec!["x".to_owned(), format!("{name}={value}")],
                vec!["x".to_owned(), format!("{name}: {value}")],
                vec!["x".to_owned(), format!("https://{name}:{value}@host/")],
                vec!["sh".to_owned(), "-c".to_owned(), format!("{around}{name}={value}")],
                vec!["sh".to_owned(), "-c".to_owned(), format!("{around} --{name} {value}{around}")],
                vec!["sh".to_owned(), "-c".to_owned(), format!("{around} \"{name}: {value}\" {around}")],
                vec!["sh".to_owned(), "-c".to_owned(), format!("{around} {kind}://{kind}:{value}@host/{around}")],
                vec!["sh".to_owned(), "-c".to_owned(), format!("{around} -u {kind}:{value} {around}")],
            ] {
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                prop_assert!(shown(&words).iter().all(|word| !word.contains(&value)), "{:?}", words);
            }
        }
    }
}
