//! Pages that show the state of the agent, live: each stage with its rate, queue, lag and last error. Type `zpages`, at
//! the paths that the Collector has, `/debug/servicez`, `pipelinez`, `extensionz` and `featurez`, and at `stackz`: how
//! whole the stacks of each program are. Plain HTML, no scripts.

mod config;
mod html;
mod pages;
mod server;
mod stacks;

pub use config::Config;
pub use pages::About;
pub use server::{Source, ZPages};
