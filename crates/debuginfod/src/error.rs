//! Errors of the crate.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use configtypes::ByteSize;
use symbolize::SymbolError;

/// The reason why no server can be asked at all. The text names the key and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Neither the configuration nor the environment names a server.
    #[error(
        "debuginfod::urls: is empty, and so is the variable DEBUGINFOD_URLS, expected servers such as \
         https://debuginfod.elfutils.org, or no section debuginfod"
    )]
    NoServer,
    /// The environment names a server that cannot be asked.
    #[error("DEBUGINFOD_URLS: {0}, or servers in debuginfod::urls")]
    Variable(String),
    /// The directory cannot be used.
    #[error("debuginfod::cache_directory: cannot use {}: name a directory of this agent's own", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's error, or the reason why the directory is not trusted.
        #[source]
        source: io::Error,
    },
    /// The system has no thread left.
    #[error("cannot start a thread to fetch debug files")]
    Thread(#[source] io::Error),
}

/// The reason why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no whole answer within {0:?}")]
    Late(Duration),
    /// The file has not come in time, from a server that has answered.
    #[error("the file takes longer than {0:?}")]
    Slow(Duration),
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    #[error("the server answered {0}")]
    Status(u16),
    #[error("the server redirects to another server, or to no address")]
    Redirection,
    #[error("the server redirects more than {0} times")]
    Redirections(usize),
    #[error("the file is larger than {0}")]
    TooLarge(ByteSize),
    #[error("the answer is no whole ELF file")]
    Invalid(#[source] SymbolError),
    #[error("the file has another build ID")]
    OtherBuildId,
    #[error("cannot write the file")]
    Disk(#[source] io::Error),
    #[error("the files that are in use leave no room")]
    NoRoom,
}

impl FetchError {
    /// The reason, as label of a metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "unreachable",
            Self::Late(_) | Self::Slow(_) => "timeout",
            Self::Broken(_) => "broken",
            Self::Status(_) => "refused",
            Self::Redirection | Self::Redirections(_) => "redirected",
            Self::TooLarge(_) => "too_large",
            Self::Invalid(_) => "invalid",
            Self::OtherBuildId => "other_build_id",
            Self::Disk(_) => "disk",
            Self::NoRoom => "no_room",
        }
    }

    /// True if the server would fail for other files as well, and is to be left alone for a while.
    pub(crate) fn is_of_server(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Late(_)
            | Self::Broken(_)
            | Self::Status(_)
            | Self::Redirection
            | Self::Redirections(_) => true,
            Self::Slow(_)
            | Self::TooLarge(_)
            | Self::Invalid(_)
            | Self::OtherBuildId
            | Self::Disk(_)
            | Self::NoRoom => false,
        }
    }

    /// True if the same file is of no use when it is asked for again soon.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Slow(_) | Self::TooLarge(_) | Self::Invalid(_) | Self::OtherBuildId)
    }
}
