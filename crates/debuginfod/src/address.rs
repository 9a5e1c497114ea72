//! Addresses of servers and of their files.

use http::Uri;

use crate::build_id::GnuBuildId;

/// An `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) is_tls: bool,
    /// The host's name or address, without the brackets of version 6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port, as the request's `Host` has them.
    pub(crate) authority: String,
    /// Path and query, as the request has them.
    pub(crate) path: String,
}

impl Url {
    /// Reads the URL of a server, to which the paths of files are added.
    ///
    /// # Errors
    /// The problem of the text and the form that is expected, without the key's name.
    pub(crate) fn of_server(text: &str) -> Result<Self, String> {
        let url = Self::parse(text)?;
        if url.path.contains('?') {
            // The query may be a secret, and is not shown.
            return Err("has a query, expected https://HOST or http://HOST:PORT".to_owned());
        }
        Ok(Self { path: url.path.trim_end_matches('/').to_owned(), ..url })
    }

    /// The URL of the debug file of a build ID, below that of a server.
    pub(crate) fn of_file(&self, id: &GnuBuildId) -> Self {
        Self { path: format!("{}/buildid/{id}/debuginfo", self.path), ..self.clone() }
    }

    /// The URL to which an answer's `Location` leads; `None` if it leads to another server, or from `https` to `http`.
    /// The same host may have the answer by `https` instead of `http`.
    pub(crate) fn redirected(&self, location: &str) -> Option<Self> {
        if location.starts_with('/') && !location.starts_with("//") {
            let path: http::uri::PathAndQuery = location.parse().ok()?;
            return Some(Self { path: path.as_str().to_owned(), ..self.clone() });
        }
        let next = Self::parse(location).ok()?;
        let is_upgrade = next.is_tls && !self.is_tls;
        let is_same = (next.is_tls, next.port) == (self.is_tls, self.port);
        (next.host.eq_ignore_ascii_case(&self.host) && (is_same || is_upgrade)).then_some(next)
    }

    /// True if both are answered over the same kind of connection to the same server.
    pub(crate) fn is_of_same_server(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let refuse = |fault: &str| {
            // The part before an @ may be a password.
            let shown = if text.contains('@') { "the URL".to_owned() } else { format!("{text:?}") };
            Err(format!("{shown} {fault}, expected https://HOST or http://HOST:PORT"))
        };
        let Ok(uri) = text.parse::<Uri>() else { return refuse("is no URL") };
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return refuse("has no scheme that is supported"),
        };
        let Some(authority) = uri.authority() else { return refuse("has no host") };
        if authority.as_str().contains('@') {
            return refuse("holds a user or password");
        }
        if authority.port_u16().is_none() && authority.as_str() != authority.host() {
            return refuse("has no valid port");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return refuse("has no host");
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { is_tls, host, port, authority: authority.as_str().to_owned(), path })
    }

    /// The URL without its path, for the log.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(server: &str) -> String {
        let url = Url::of_server(server).unwrap().of_file(&GnuBuildId::new(&[0xab; 8]).unwrap());
        format!("{}{}", url.origin(), url.path)
    }

    #[test]
    fn files_are_below_their_server() {
        for server in ["http://[::1]:8002", "http://[::1]:8002/"] {
            assert_eq!(file(server), "http://[::1]:8002/buildid/abababababababab/debuginfo");
        }
        assert_eq!(
            file("https://a.example/debug/"),
            "https://a.example/debug/buildid/abababababababab/debuginfo"
        );
        let url = Url::of_server("https://a.example").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.is_tls), ("a.example", 443, true));
    }

    #[test]
    fn what_is_no_server_is_refused_and_no_secret_is_repeated() {
        let faults =
            ["", "a:1", "ftp://a", "http://", "http://u:hunter2@a", "http://a:99999", "http://a?key=hunter2"];
        for text in faults {
            let error = Url::of_server(text).unwrap_err();
            assert!(error.contains("expected https://HOST") && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn redirections_stay_with_their_host() {
        let url = Url::of_server("http://a.example:8002").unwrap();
        let led =
            |location: &str| url.redirected(location).map(|url| format!("{}{}", url.origin(), url.path));
        assert_eq!(led("/other?x=1"), Some("http://a.example:8002/other?x=1".to_owned()));
        assert_eq!(led("http://A.EXAMPLE:8002/x"), Some("http://A.EXAMPLE:8002/x".to_owned()));
        assert_eq!(led("https://a.example/x"), Some("https://a.example/x".to_owned()));
        for elsewhere in ["", "x", "//b/x", "http://b.example:8002/x", "http://a.example:22/x", "file:///x"] {
            assert_eq!(led(elsewhere), None, "{elsewhere}");
        }
        let secure = Url::of_server("https://a.example").unwrap();
        assert_eq!(secure.redirected("http://a.example/x"), None);
    }

    proptest! {
        /// Any text is a URL or is refused; no redirection leads to another host.
        #[test]
        fn any_text_is_read_or_refused(text in "(https?://(a|b)?)?.{0,40}") {
            let _any = Url::of_server(&text);
            if let Some(next) = Url::of_server("http://a").unwrap().redirected(&text) {
                prop_assert!(next.host.eq_ignore_ascii_case("a"));
            }
        }
    }
}
