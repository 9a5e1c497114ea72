//! A running agent, attached by the socket of its exporter `top`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exporter_top::{Config, is_trusted};
use profile_seconds::{Hello, Message, MessageReader};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::account::Account;
use super::error::Cause;
use super::missed::Missed;
use super::update::Update;

/// Longest time that an agent may take to answer.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Pause before another attempt to attach to an agent that has ended.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// An agent that this program is attached to.
#[derive(Debug)]
pub(super) struct Attached {
    path: PathBuf,
    /// The connection; `None` while the agent is gone.
    connection: Option<Connection>,
    /// What the agent has reported so far.
    account: Account,
    /// Seconds that were not sent since the last report, and the records lost in them.
    missed: Missed,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    reader: MessageReader,
    hello: Hello,
}

/// Attaches to the agent of this socket, or else to the one at the default socket; `None` if none runs there.
///
/// # Errors
/// [`Cause::Attach`] if an agent is there and refuses, or if none listens on the socket that was named.
pub(super) async fn find(wanted: Option<&Path>) -> Result<Option<Attached>, Cause> {
    let path = wanted.unwrap_or(Path::new(Config::ENDPOINT));
    match Connection::open(path).await {
        Ok(connection) => Ok(Some(Attached {
            path: path.to_owned(),
            account: Account::of(&connection.hello),
            missed: Missed::default(),
            connection: Some(connection),
        })),
        Err(Failure::Nobody(_)) if wanted.is_none() => Ok(None),
        Err(failure) => Err(failure.cause(path)),
    }
}

impl Attached {
    pub(super) async fn next(&mut self) -> Result<Update, Cause> {
        let Some(connection) = &mut self.connection else {
            sleep(AGAIN).await;
            match Connection::open(&self.path).await {
                Ok(connection) => {
                    self.missed.add(0, &self.account.resume(&connection.hello));
                    self.connection = Some(connection);
                }
                Err(Failure::Nobody(_)) => {}
                Err(failure) => return Err(failure.cause(&self.path)),
            }
            return Ok(Update::Gone);
        };
        loop {
            return match connection.next().await {
                Ok(Some(Message::Report(mut report))) => {
                    self.missed.add(self.account.report(&report.second), &[]);
                    self.missed.put_into(&mut report);
                    Ok(Update::Report(report))
                }
                Ok(Some(Message::Skipped { seconds, lost })) => {
                    self.account.skipped(&lost);
                    self.missed.add(seconds, &lost);
                    continue;
                }
                // This version of the agent sends no other message after the greeting.
                Ok(Some(Message::Hello(_) | Message::Refused { .. })) => Ok(Update::Gone),
                Ok(None) | Err(ReadError::System(_)) => {
                    self.connection = None;
                    Ok(Update::Gone)
                }
                Err(ReadError::Message(error)) => Err(error.into()),
            };
        }
    }

    pub(super) fn name(&self) -> String {
        match &self.connection {
            Some(connection) => format!("agent {}, {}", connection.hello.pid, self.path.display()),
            None => format!("the agent has ended; waiting at {}", self.path.display()),
        }
    }
}

/// An error for which a connection cannot be opened.
enum Failure {
    /// No agent listens on the socket.
    Nobody(io::Error),
    /// An agent refuses, or there is another fault.
    Other(String),
}

impl Failure {
    fn cause(self, path: &Path) -> Cause {
        let reason = match self {
            Self::Nobody(error) => format!("no agent listens there ({error}); does its exporter `top` run?"),
            Self::Other(reason) => reason,
        };
        Cause::Attach { path: path.to_owned(), reason }
    }
}

enum ReadError {
    System(io::Error),
    Message(profile_seconds::MessageError),
}

impl Connection {
    async fn open(path: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(path).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Failure::Nobody(error),
            io::ErrorKind::PermissionDenied => Failure::Other(
                "an agent may run there, but you may not attach to it: use sudo, or have its \
                 `exporters::top::group` name a group of yours"
                    .to_owned(),
            ),
            _ => Failure::Other(error.to_string()),
        })?;
        if !is_trusted(&stream, path) {
            return Err(Failure::Other(
                "neither root nor you run it, nor a user whose directory root has made for it, so it is no agent to \
                 believe"
                    .to_owned(),
            ));
        }
        let mut connection = Self { stream, reader: MessageReader::default(), hello: Hello::default() };
        let first = timeout(HELLO_WITHIN, connection.next()).await;
        match first {
            Ok(Ok(Some(Message::Hello(hello)))) => Ok(Self { hello, ..connection }),
            Ok(Ok(Some(Message::Refused { reason }))) => {
                Err(Failure::Other(textline::printable(&reason).into_owned()))
            }
            Ok(Ok(Some(Message::Report(_) | Message::Skipped { .. }))) => {
                Err(Failure::Other("it does not say who it is".to_owned()))
            }
            Ok(Ok(None)) => Err(Failure::Nobody(io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(ReadError::System(error))) => Err(Failure::Nobody(error)),
            Ok(Err(ReadError::Message(error))) => Err(Failure::Other(error.to_string())),
            Err(_elapsed) => Err(Failure::Other(format!("it does not answer within {HELLO_WITHIN:?}"))),
        }
    }

    /// The next message; `None` at the end of the stream. May be cancelled and called again.
    async fn next(&mut self) -> Result<Option<Message>, ReadError> {
        let mut piece = vec![0; PIECE];
        loop {
            if let Some(message) = self.reader.take().map_err(ReadError::Message)? {
                return Ok(Some(message));
            }
            let length = self.stream.read(&mut piece).await.map_err(ReadError::System)?;
            if length == 0 {
                return Ok(None);
            }
            self.reader.push(piece.get(..length).unwrap_or_default());
        }
    }
}
