//! Errors of the crate.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A reason why nobody can be asked about pods.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing says which node the agent runs on.
    #[error(
        "k8s::node: is empty, and so is the variable K8S_NODE_NAME, expected the name of this node \
         (set the variable to spec.nodeName in the pod's manifest)"
    )]
    NoNode,
    /// Nothing says where the API server is.
    #[error(
        "k8s::endpoint: is empty, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name no API server, \
         expected https://HOST:PORT of one, or to run in a pod"
    )]
    NoEndpoint,
    /// The system has no thread to give.
    #[error("cannot start a thread to ask for pods")]
    Thread(#[source] io::Error),
}

/// A reason why a request to the API server came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("cannot read {file}", file = .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("{} {reason}", .file.display())]
    BadFile { file: PathBuf, reason: &'static str },
    #[error("TLS cannot be spoken")]
    Tls(#[source] rustls::Error),
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    #[error("the server answered {code}: {message}")]
    Status { code: u16, message: String, retry_after: Option<Duration> },
    /// The version that was asked for is older than what the server remembers, or newer than what it has.
    #[error("the server does not remember version {0:?}")]
    Expired(String),
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    #[error("a list of more than {0} pages")]
    TooManyPages(usize),
    #[error("an answer that is no such thing")]
    Invalid(#[source] serde_json::Error),
    #[error("a watch that ended within an event")]
    Cut,
    /// Without one no watch can begin; some other program has answered.
    #[error("a list of no version")]
    NoVersion,
}

impl ApiError {
    /// The metric label `outcome`.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::File(..) | Self::BadFile { .. } => "unreadable_file",
            Self::Tls(_) | Self::Connect(_) => "unreachable",
            Self::Late(_) => "timeout",
            Self::Broken(_) => "broken",
            Self::Status { code: 401, .. } => "unauthorized",
            Self::Status { code: 403, .. } => "forbidden",
            Self::Status { .. } => "refused",
            Self::Expired(_) => "expired",
            Self::TooLarge(_) => "too_large",
            Self::TooManyPages(_) => "too_many_pages",
            Self::Invalid(_) | Self::Cut | Self::NoVersion => "invalid",
        }
    }

    /// The time for which the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
