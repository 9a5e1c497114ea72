//! The component type `receivers::ebpf`.

use std::sync::Arc;

use receiver_ebpf::{Config, Control};

use super::factory::{default, schema};
use super::{
    BoxError, BoxFuture, BoxedStage, Configuration, Factory, Receiver, ReceiverConfig, ReceiverSettings,
    Stability,
};

pub(super) const FACTORY: Factory<dyn ReceiverConfig> = Factory {
    names: &["ebpf"],
    module: "receiver-ebpf",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ReceiverConfig for Config {
    fn check(&self) -> Result<(), BoxError> {
        Ok(receiver_ebpf::preflight::check()?)
    }

    fn start(&self, settings: &ReceiverSettings) -> Result<Box<dyn Receiver>, BoxError> {
        Ok(Box::new(receiver_ebpf::Receiver::start(self, settings.control.clone())?))
    }

    fn control(&self) -> Control {
        Control::new(self)
    }

    fn adjusts(&self, running: &dyn Configuration) -> bool {
        let running = running.as_any().downcast_ref::<Self>();
        running.is_some_and(|running| {
            Self { samples_per_second: self.samples_per_second, ..running.clone() } == *self
        })
    }

    fn adjust(&self, control: &Control) {
        control.set_samples_per_second(self.samples_per_second);
    }
}

impl Receiver for receiver_ebpf::Receiver {
    fn run(self: Box<Self>, next: BoxedStage, stop: BoxFuture<()>) -> BoxFuture<Result<(), BoxError>> {
        Box::pin(async { Ok((*self).run(next, stop).await?) })
    }
}
