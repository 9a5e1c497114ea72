//! The page that shows profiles: flame graphs, a time line, tables. Its server, and the page as one file.
//!
//! ```text
//! Store --> question.rs: the request, parsed --> answer.rs: JSON, compressed --> cache.rs --> router.rs --> browser
//!       \-> export.rs: Profile --> downloads
//! Profile --> import.rs --> Store --> Model --> file.rs: one file that can be mailed
//! ```
//!
//! The page itself is in `page/`: a script for each noun, put together by `assets.rs`. Start reading at [`Page`].

mod answer;
mod assets;
mod cache;
mod download;
mod export;
mod file;
mod import;
mod page;
mod params;
mod question;
mod router;
mod rules;
mod security;

#[cfg(test)]
mod tests;

pub use file::{html, html_of_difference};
pub use import::store;
pub use page::{AgentView, Page};
pub use router::router;
pub use security::Token;
