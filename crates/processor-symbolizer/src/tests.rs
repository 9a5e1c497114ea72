//! The stage over files that are there, with a stage after it that keeps what it gets.

mod files;
mod jit;
mod layer;
mod lines;
mod make;
mod names;
