//! `receivers.ebpf`.

use std::sync::Arc;

use receiver_ebpf::Config;

use super::factory::{default, schema};
use super::{BoxError, BoxFuture, Factory, Receiver, ReceiverConfig, ReceiverSettings, Stability, Stage};

pub(super) const FACTORY: Factory<dyn ReceiverConfig> = Factory {
    names: &["ebpf"],
    module: "receiver-ebpf",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ReceiverConfig for Config {
    fn start(&self, _settings: &ReceiverSettings) -> Result<Box<dyn Receiver>, BoxError> {
        Ok(Box::new(receiver_ebpf::Receiver::start(self, receiver_ebpf::Control::new(self))?))
    }
}

impl Receiver for receiver_ebpf::Receiver {
    fn run(self: Box<Self>, next: Stage, stop: BoxFuture<()>) -> BoxFuture<Result<(), BoxError>> {
        Box::pin(async { Ok((*self).run(next, stop).await?) })
    }
}
