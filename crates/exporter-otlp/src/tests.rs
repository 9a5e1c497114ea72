//! The exporters against servers in the same process, over loopback: well-behaved ones and others.

mod balance;
mod config;
mod followed;
mod grpc;
mod http;
mod make;
mod proxy;
mod rude;
mod stack;
mod tls;
