//! gRPC messages for requests that are bytes already.

use bytes::{BufMut as _, Bytes};
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceResponse;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A server's response to an export.
pub(super) type ExportResponse = ExportProfilesServiceResponse;

/// The largest answer that is read: the size that OTLP recommends.
pub(super) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Encodes a request by sending its bytes as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportResponse;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<ExportResponse>, Status> {
        // As in gRPC's other libraries, a request that has been taken is not sent again because the answer is garbage.
        let garbage = |error| Status::internal(format!("cannot read the server's answer: {error}"));
        ExportResponse::decode(bytes).map(Some).map_err(garbage)
    }
}
