//! The outcome of a request by its gRPC status.

use std::error::Error as _;
use std::time::Duration;

use exporterhelper::SendError;
use textline::{causes, joined};
use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt as _;

use crate::reason::one_line;

/// First words of tonic's error for an answer that is too large.
const ANSWER_TOO_LARGE: &str = "Error, decoded message length too large";

/// The error of a status, by the table of the OTLP specification, "OTLP/gRPC Response": every code that is not in it is
/// permanent.
pub(super) fn judge(status: &Status) -> SendError {
    let reason = describe(status);
    let after = retry_info(status);
    let is_retryable = match status.code() {
        // The server has taken the request, and its answer is too long.
        Code::OutOfRange if status.message().starts_with(ANSWER_TOO_LARGE) => false,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => after.is_some(),
        // No server has sent this status: the connection has broken.
        Code::Unknown | Code::Internal => status.source().is_some(),
        _ => false,
    };
    if is_retryable { SendError::Retryable { reason, after } } else { SendError::Permanent { reason } }
}

/// True if the server takes no profiles: it has no such service. The same code stands for a compression that the server
/// lacks, in the words of grpc-go `Decompressor is not installed`, of others `Content is compressed`.
pub(super) fn takes_no_profiles(status: &Status) -> bool {
    status.code() == Code::Unimplemented && !status.message().to_ascii_lowercase().contains("compress")
}

/// True if there was no connection to send the request by.
pub(super) fn is_unconnected(status: &Status) -> bool {
    causes(status).any(|error| error.is::<ConnectError>())
}

/// Least time to wait that the server asks for.
fn retry_info(status: &Status) -> Option<Duration> {
    // A `RetryInfo` without a delay still means that another attempt makes sense.
    status.get_details_retry_info().map(|info| info.retry_delay.unwrap_or_default())
}

/// A status in one line, with its causes.
fn describe(status: &Status) -> String {
    joined(format_args!("{:?}: {}", status.code(), one_line(status.message())), causes(status))
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    /// Every code, and whether OTLP lets a request be sent again after it.
    const CODES: [(Code, bool); 16] = [
        (Code::Cancelled, true),
        (Code::Unknown, false),
        (Code::InvalidArgument, false),
        (Code::DeadlineExceeded, true),
        (Code::NotFound, false),
        (Code::AlreadyExists, false),
        (Code::PermissionDenied, false),
        (Code::Unauthenticated, false),
        (Code::ResourceExhausted, false),
        (Code::FailedPrecondition, false),
        (Code::Aborted, true),
        (Code::OutOfRange, true),
        (Code::Unimplemented, false),
        (Code::Internal, false),
        (Code::Unavailable, true),
        (Code::DataLoss, true),
    ];

    #[test]
    fn codes_are_retryable_as_otlp_says() {
        for (code, is_retryable) in CODES {
            let error = judge(&Status::new(code, "why"));
            assert_eq!(error.is_retryable(), is_retryable, "{code:?}");
            assert_eq!(error.to_string(), format!("{code:?}: why"));
        }
    }

    #[test]
    fn a_server_that_says_when_to_come_back_is_taken_at_its_word_if_coming_back_makes_sense() {
        for (code, is_retryable) in CODES {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(7)));
            let error = judge(&Status::with_error_details(code, "why", details));
            match error {
                SendError::Retryable { after, .. } => {
                    assert_eq!(after, Some(Duration::from_secs(7)), "{code:?}")
                }
                SendError::Permanent { .. } => {
                    assert!(!is_retryable && code != Code::ResourceExhausted, "{code:?}");
                }
            }
        }
        let garbage = Status::with_details(Code::ResourceExhausted, "why", b"\xff\xff".as_slice().into());
        assert!(!judge(&garbage).is_retryable());
    }

    #[test]
    fn a_compression_that_is_not_there_is_not_taken_for_a_service_that_is_not() {
        for (code, message, expected) in [
            (Code::Unimplemented, "unknown service opentelemetry.proto.collector.profiles", true),
            (Code::Unimplemented, "grpc: Decompressor is not installed for grpc-encoding \"zstd\"", false),
            (Code::Unimplemented, "Content is compressed with `gzip` which isn't supported", false),
            (Code::Unavailable, "unknown service", false),
        ] {
            assert_eq!(takes_no_profiles(&Status::new(code, message)), expected, "{message}");
        }
    }

    #[test]
    fn a_server_cannot_write_lines_of_its_own_into_the_log() {
        let error = judge(&Status::internal("bad\nINFO all is well\u{1b}[2J"));
        assert_eq!(error.to_string(), "Internal: bad INFO all is well [2J");
    }

    #[test]
    fn an_answer_that_is_too_large_is_no_reason_to_send_again() {
        assert!(!judge(&Status::out_of_range(format!("{ANSWER_TOO_LARGE}: found 9 bytes"))).is_retryable());
    }
}
