//! Export requests that are ready to be sent.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use prost::{DecodeError, Message as _};

/// A request in wire form, and the number of its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilesRequest {
    /// An `ExportProfilesServiceRequest` as protobuf.
    pub bytes: Bytes,
    /// Samples in it as the kernel took them: timestamps, not OTLP's `Sample` records, which merge equal
    /// ones.
    pub samples: u64,
}

impl ProfilesRequest {
    /// The request as a message, for exporters that do not send protobuf.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no request, which can happen if a file held them.
    pub fn message(&self) -> Result<ExportProfilesServiceRequest, DecodeError> {
        ExportProfilesServiceRequest::decode(self.bytes.clone())
    }
}
