//! What a component of each class can do: the traits that the graph is built from.

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

/// An error of any component.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Any stage: a processor with all that follows it, or an exporter. The contract is in ARCHITECTURE.md.
pub type BoxedStage = BoxService<Batch, Watermark, BoxError>;

/// `service` as a [`BoxedStage`].
pub fn stage<S>(service: S) -> BoxedStage
where
    S: Service<Batch, Response = Watermark, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    BoxService::new(service.map_err(Into::into))
}

/// The parts that a receiver gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ReceiverSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// By which it is changed while it runs.
    pub control: Control,
    /// The process that it runs in.
    pub host: Arc<Host>,
}

/// Configuration of a receiver.
pub trait ReceiverConfig: Configuration {
    /// Looks for what would keep [`start`](Self::start) from working, before anything else is started. Touches nothing.
    ///
    /// # Errors
    /// The obstacle that it found.
    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Starts receiving; what is received waits, within bounds, until the receiver is run. May block.
    ///
    /// # Errors
    /// The obstacle that keeps it from starting; nothing of it is left then.
    fn start(&self, settings: &ReceiverSettings) -> Result<Box<dyn Receiver>, BoxError>;

    /// By what a receiver of this configuration is changed while it runs. Made before the receiver, so that stages
    /// behind it can be given it.
    fn control(&self) -> Control;

    /// True if a receiver that was started as `running` can be made to do as this says, by [`adjust`](Self::adjust).
    fn adjusts(&self, running: &dyn Configuration) -> bool;

    /// Makes a running receiver do as this says.
    fn adjust(&self, control: &Control);
}

/// A receiver that has started.
pub trait Receiver: Debug + Send {
    /// Passes on what is received to `next` until `stop`, then ends the stream. Returns when `next` has
    /// answered that.
    ///
    /// Errors are fatal: nothing more can be received, or `next` has failed.
    fn run(self: Box<Self>, next: BoxedStage, stop: BoxFuture<()>) -> BoxFuture<Result<(), BoxError>>;
}

/// The parts that a processor gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ProcessorSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// The pipeline it is part of. One that is listed in two pipelines is started for each.
    pub pipeline: ComponentId,
    /// Where it shows what goes wrong.
    pub status: Arc<Status>,
    /// The process that it runs in.
    pub host: Arc<Host>,
}

/// Configuration of a processor.
pub trait ProcessorConfig: Configuration {
    /// Where it has to stand.
    fn position(&self) -> ProcessorPosition {
        ProcessorPosition::Any
    }

    /// The processor, in front of `next`.
    ///
    /// # Errors
    /// The obstacle that keeps it from starting.
    fn start(&self, settings: &ProcessorSettings, next: BoxedStage) -> Result<BoxedStage, BoxError>;
}

/// Where in its pipeline a processor has to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessorPosition {
    /// Attributes each sample to a process: each pipeline has exactly one such processor.
    Attribution,
    /// Before attribution: a sample dropped there has cost less.
    BeforeAttribution,
    /// At any place.
    Any,
}

/// The parts that an exporter gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ExporterSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// Its name and status, for its constructor.
    pub exporter: exporterhelper::DeliverySettings,
    /// The process that it runs in.
    pub host: Arc<Host>,
}

/// Configuration of an exporter.
pub trait ExporterConfig: Configuration {
    /// Starts the exporter. Called within a Tokio runtime, and again after a failure.
    ///
    /// # Errors
    /// The obstacle that keeps it from starting; nothing of it is left then.
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError>;

    /// Looks for what would keep [`start`](Self::start) from working, without touching what a running exporter
    /// [`holds`](Self::holds). Called instead of it where such an exporter has to finish first.
    ///
    /// # Errors
    /// As `start`, as far as looking can find out.
    fn check(&self, _settings: &ExporterSettings) -> Result<(), BoxError> {
        Ok(())
    }

    /// The resources that only one exporter at a time may have open, as names that are the same for the same thing:
    /// `file:/var/x`, `tcp:127.0.0.1:9464`, `directory:/var/q`.
    fn holds(&self) -> Vec<String> {
        Vec::new()
    }

    /// Servers it sends to, as endpoints: `host:port` or a URL.
    fn connects_to(&self) -> Vec<String> {
        Vec::new()
    }

    /// What of it is sound but probably not meant, as `key: what it does`.
    fn doubts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Longest that it may take to answer one batch by its own configuration, if that is more than usual.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Ids of the extensions that it uses, each with the key that names it (`sending_queue::storage`).
    fn extensions(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The parts that an extension gets beside its configuration.
#[derive(Clone, Debug)]
pub struct ExtensionSettings {
    /// Id of the component, as configured.
    pub id: ComponentId,
    /// The process that it runs in. Of the extensions, the host holds those that started before.
    pub host: Arc<Host>,
}

/// Configuration of an extension.
pub trait ExtensionConfig: Configuration {
    /// Starts the extension, which then runs until it is stopped or dropped. Called within a Tokio runtime.
    ///
    /// # Errors
    /// The obstacle that keeps it from starting; nothing of it is left then.
    fn start(&self, settings: &ExtensionSettings) -> Result<Arc<dyn Extension>, BoxError>;

    /// Looks for what would keep [`start`](Self::start) from working, without changing anything.
    ///
    /// # Errors
    /// As `start`, as far as looking can find out.
    fn check(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// The resources that only one may have open, named as by [`ExporterConfig::holds`].
    fn holds(&self) -> Vec<String> {
        Vec::new()
    }
}
