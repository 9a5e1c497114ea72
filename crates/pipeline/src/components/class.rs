//! The traits of the classes of components, which the graph is built from.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use componentstatus::Status;
use pdata::{Batch, Watermark};
use receiver_ebpf::Control;
use tower::util::BoxService;
use tower::{Service, ServiceExt as _};

use super::extension::{BoxFuture, Extension};
use super::factory::Configuration;
use super::host::Host;
use super::id::ComponentId;

/// An error of a component.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A stage: a processor with all stages behind it, or an exporter. The contract is in ARCHITECTURE.md.
pub type BoxedStage = BoxService<Batch, Watermark, BoxError>;

/// `service` as a [`BoxedStage`].
pub fn stage<S>(service: S) -> BoxedStage
where
    S: Service<Batch, Response = Watermark, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    BoxService::new(service.map_err(Into::into))
}

/// The parts that a receiver's constructor gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// The handle by which the receiver is changed while it runs.
    pub control: Control,
    /// The process that the receiver runs in.
    pub host: Arc<Host>,
}

/// Configuration of a receiver.
pub trait ReceiverConfig: Configuration {
    /// Checks for faults for which [`start`](Self::start) would fail, before anything else is started. Changes nothing.
    ///
    /// # Errors
    /// The obstacle that it found.
    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Starts receiving; events wait, within bounds, until the receiver is run. May block.
    ///
    /// # Errors
    /// The obstacle that keeps the receiver from starting; nothing of it is left then.
    fn start(&self, settings: &ReceiverSettings) -> Result<Box<dyn Receiver>, BoxError>;

    /// The handle by which a receiver of this configuration is changed while it runs. It is made before the receiver,
    /// so that stages behind the receiver can be made with it.
    fn control(&self) -> Control;

    /// True if a receiver that was started as `running` can be changed to this configuration by
    /// [`adjust`](Self::adjust).
    fn adjusts(&self, running: &dyn Configuration) -> bool;

    /// Changes a running receiver to this configuration.
    fn adjust(&self, control: &Control);
}

/// A receiver that has started.
pub trait Receiver: Debug + Send {
    /// Forwards received events to `next` until `stop`, then ends the stream. Returns when `next` has acked the end.
    ///
    /// Errors are fatal: nothing more can be received, or `next` has failed.
    fn run(self: Box<Self>, next: BoxedStage, stop: BoxFuture<()>) -> BoxFuture<Result<(), BoxError>>;
}

/// The parts that a processor's constructor gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ProcessorSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// The pipeline that the processor is part of. A processor that two pipelines list is started for each.
    pub pipeline: ComponentId,
    /// The status in which the processor shows its failures.
    pub status: Arc<Status>,
    /// The process that the processor runs in.
    pub host: Arc<Host>,
}

/// Configuration of a processor.
pub trait ProcessorConfig: Configuration {
    /// The position that the processor needs in its pipeline.
    fn position(&self) -> ProcessorPosition {
        ProcessorPosition::Any
    }

    /// Makes the processor, in front of `next`.
    ///
    /// # Errors
    /// The obstacle that keeps the processor from starting.
    fn start(&self, settings: &ProcessorSettings, next: BoxedStage) -> Result<BoxedStage, BoxError>;
}

/// The position that a processor needs in its pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessorPosition {
    /// The position of attribution, which finds the process of each sample: each pipeline has exactly one such
    /// processor.
    Attribution,
    /// A position before attribution: a sample that is dropped there has cost less.
    BeforeAttribution,
    /// Any position.
    Any,
}

/// The parts that an exporter's constructor gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ExporterSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// Name, status and storage of the exporter.
    pub exporter: exporterhelper::DeliverySettings,
    /// The process that the exporter runs in.
    pub host: Arc<Host>,
}

/// Configuration of an exporter.
pub trait ExporterConfig: Configuration {
    /// Starts the exporter. Called within a Tokio runtime, and again after a failure.
    ///
    /// # Errors
    /// The obstacle that keeps the exporter from starting; nothing of it is left then.
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError>;

    /// Checks for faults for which [`start`](Self::start) would fail, without touching resources that a running
    /// exporter [`holds`](Self::holds). Called instead of `start` if such an exporter has to finish first.
    ///
    /// # Errors
    /// The same as of `start`, as far as they can be found without starting.
    fn check(&self, _settings: &ExporterSettings) -> Result<(), BoxError> {
        Ok(())
    }

    /// Who else on this machine can decide what becomes of the exporter's files, as a sentence; `None` if nobody can.
    /// Looks at files, which may wait for them.
    fn exposed(&self) -> Option<String> {
        None
    }

    /// The resources that only one exporter at a time may have open, as names that are the same for the same thing:
    /// `file:/var/x`, `tcp:127.0.0.1:9464`, `directory:/var/q`.
    fn holds(&self) -> Vec<String> {
        Vec::new()
    }

    /// The servers that the exporter sends to, as endpoints: `host:port` or a URL.
    fn connects_to(&self) -> Vec<String> {
        Vec::new()
    }

    /// Settings that are sound but probably not meant, as `key: effect`.
    fn doubts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Longest time that the exporter may take to answer one batch by its own configuration, if that is more than
    /// usual.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Ids of the extensions that the exporter uses, each with the key that names it (`sending_queue::storage`).
    fn extensions(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The parts that an extension's constructor gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ExtensionSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// The process that the extension runs in. Its host has the extensions that started before this one.
    pub host: Arc<Host>,
}

/// Configuration of an extension.
pub trait ExtensionConfig: Configuration {
    /// Starts the extension, which then runs until it is stopped or dropped. Called within a Tokio runtime.
    ///
    /// # Errors
    /// The obstacle that keeps the extension from starting; nothing of it is left then.
    fn start(&self, settings: &ExtensionSettings) -> Result<Arc<dyn Extension>, BoxError>;

    /// Checks for faults for which [`start`](Self::start) would fail, without changing anything.
    ///
    /// # Errors
    /// The same as of `start`, as far as they can be found without starting.
    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// The resources that only one extension may have open, named as by [`ExporterConfig::holds`].
    fn holds(&self) -> Vec<String> {
        Vec::new()
    }
}
