//! OTLP profiles read back from files of JSON lines, without any code of the agent's encoder.

mod file;
mod number;
mod resolved;
mod summary;
pub mod value;
pub mod wire;

pub use file::{OtlpFile, ReadError};
pub use resolved::{BadIndex, Frame, Mapping, Profile, Resource, Sample, resolve};
pub use summary::Summary;
pub use value::{Attributes, Value};
