//! Tests across files. What they share: [`make`] builds input, [`read`] reads output.

mod dictionary;
mod frames;
mod json;
mod make;
mod read;
mod resource;
mod split;
mod windows;
