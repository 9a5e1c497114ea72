//! The stage over a fake service, and over gRPC to a server in the same process.

mod config;
mod exporter;
mod grpc;
mod make;
