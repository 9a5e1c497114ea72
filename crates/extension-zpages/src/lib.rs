//! Pages that show the state of the agent, live: each stage with its rate, queue, lag and last error. Type `zpages`, at
//! the Collector's paths: `/debug/servicez`, `pipelinez`, `extensionz` and `featurez`. Plain HTML, no scripts.

mod config;
mod html;
mod pages;
mod server;

pub use config::Config;
pub use pages::About;
pub use server::{Source, ZPages};
