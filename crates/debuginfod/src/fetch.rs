//! One file from one server.

use std::time::Duration;

use bytesource::ByteSource as _;
use configtypes::ByteSize;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::address::Url;
use crate::build_id::GnuBuildId;
use crate::cache::Cache;
use crate::connect::{Connection, Tls};
use crate::error::FetchError;
use crate::metrics;
use crate::part::Part;

/// The most redirections of one request.
const MOST_REDIRECTIONS: usize = 4;
/// The most bytes of an answer of no use that are read, so that its connection can be used again.
const MOST_REST: usize = 16 << 10;

/// Fetches files, one at a time, over a connection that stays open between two files of the same server.
#[derive(Debug)]
pub(crate) struct Fetcher {
    pub(crate) tls: Tls,
    pub(crate) timeout: Duration,
    pub(crate) max_file_size: ByteSize,
    /// The connection of the last answer that was read to its end.
    pub(crate) kept: Option<Connection>,
    /// True once the server has begun to send the file that is asked for.
    pub(crate) has_answered: bool,
}

impl Fetcher {
    /// Fetches the debug file of a build ID into the cache; false if the server does not have it.
    ///
    /// # Errors
    /// The reason why the file was not fetched. Nothing of it is left then.
    pub(crate) async fn fetch(
        &mut self,
        server: &Url,
        id: GnuBuildId,
        cache: &Cache,
    ) -> Result<bool, FetchError> {
        let within = self.timeout;
        self.has_answered = false;
        let fetched = timeout(within, self.follow(server.of_file(&id), id, cache)).await;
        // Whoever makes up build IDs may ask for the largest files: that a file is slow says nothing of the server.
        let late = if self.has_answered { FetchError::Slow } else { FetchError::Late };
        fetched.unwrap_or_else(|_elapsed| Err(late(within)))
    }

    /// Follows redirections to the answer, which is the file or says that there is none.
    async fn follow(&mut self, url: Url, id: GnuBuildId, cache: &Cache) -> Result<bool, FetchError> {
        let mut url = url;
        for _request in 0..=MOST_REDIRECTIONS {
            let (connection, answer) = self.ask(&url).await?;
            let (head, mut body) = answer.into_parts();
            match head.status {
                StatusCode::OK => {
                    self.has_answered = true;
                    self.take(&head.headers, &mut body, id, cache).await?;
                    self.kept = Some(connection);
                    return Ok(true);
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => {
                    self.finish(connection, body).await;
                    return Ok(false);
                }
                status if status.is_redirection() => {
                    let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok());
                    let next = location.and_then(|location| url.redirected(location));
                    self.finish(connection, body).await;
                    url = next.ok_or(FetchError::Redirection)?;
                }
                status => return Err(FetchError::Status(status.as_u16())),
            }
        }
        Err(FetchError::Redirections(MOST_REDIRECTIONS))
    }

    /// Sends a request, over the connection that is open if there is one. The server may have closed it meanwhile.
    async fn ask(&mut self, url: &Url) -> Result<(Connection, Response<Incoming>), FetchError> {
        if let Some(mut connection) = self.kept.take().filter(|kept| kept.url.is_of_same_server(url))
            && connection.is_ready().await
            && let Ok(answer) = connection.get(url).await
        {
            return Ok((connection, answer));
        }
        let mut connection = Connection::open(url, &self.tls).await?;
        let answer = connection.get(url).await?;
        Ok((connection, answer))
    }

    /// Writes the body of an answer into the cache, if it is the file that was asked for.
    async fn take(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
        id: GnuBuildId,
        cache: &Cache,
    ) -> Result<(), FetchError> {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let most = self.max_file_size;
        if length.is_some_and(|length: u64| length > most.bytes()) {
            return Err(FetchError::TooLarge(most));
        }
        let mut part = Part::create(cache, id, length)?;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(FetchError::Broken)?.into_data() else { continue };
            metrics::bytes(data.len());
            if part.written() + data.len() as u64 > most.bytes() {
                return Err(FetchError::TooLarge(most));
            }
            part.write(&data)?;
        }
        let source = part.source().map_err(FetchError::Disk)?;
        debug_assert_eq!(source.size(), part.written());
        match symbolize::build_id_of_whole(&source).map_err(FetchError::Invalid)? {
            Some(found) if *found == *id.as_bytes() => part.keep(),
            _ => Err(FetchError::OtherBuildId),
        }
    }

    /// Reads the rest of an answer that is of no use, if it is short, and keeps the connection.
    async fn finish(&mut self, connection: Connection, rest: Incoming) {
        if Limited::new(rest, MOST_REST).collect().await.is_ok() {
            self.kept = Some(connection);
        }
    }
}
