//! pprof: `perftools.profiles.Profile`, one profile of all processes, distinguished by labels.
//!
//! | model | pprof |
//! | --- | --- |
//! | location, function, mapping of a file | the same, numbered from 1 in the order in which samples use them; the mapping of the executable that ran most comes first |
//! | memory that only has a name | a function of that name |
//! | stack, leaf first | location IDs, leaf first |
//! | samples counted, of a known period | two values: their number, and `cpu`/`nanoseconds`, the number times the period |
//! | values of another kind | a value of that kind; 0 in the samples of other kinds |
//! | facts of process, thread and sample | labels, text or numbers |
//! | losses | comments, such as `profile.window.samples.lost.sample_ring_full=3` |

pub(crate) mod proto;
mod strings;
mod symbols;
#[cfg(test)]
mod tests;
mod write;

pub use write::{encode, write};
