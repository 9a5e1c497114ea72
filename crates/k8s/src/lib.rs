//! The pods of a node, as the API server of its cluster has them.
//!
//! [`watch`] starts a thread that lists the node's pods and follows what becomes of them. It sends each [`PodChange`]
//! to whoever keeps [`Pods`], the bounded table from which a process's pod and container are named. Start reading at
//! `pods.rs`, then `reflector.rs`.

mod answers;
mod api;
mod authorities;
mod backoff;
mod config;
mod connect;
mod error;
mod extract;
mod image_reference;
mod lines;
mod metrics;
mod mounted_file;
mod object;
mod owner;
mod pod;
mod pods;
mod reflector;
mod service;
mod watch;

pub use answers::{changes_of_list, changes_of_watch};
pub use config::{Config, PodMetadata, ServiceSource};
pub use error::StartError;
pub use extract::PodExtract;
pub use pod::{Pod, PodFacts};
pub use pods::{PodSight, Pods};
pub use reflector::PodChange;
pub use watch::{PodChanges, check, watch};
