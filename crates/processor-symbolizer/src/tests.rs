//! Tests of the stage with files that are there, and a stage after it that keeps its batches.

mod debug_files;
mod debug_parts;
mod fetched;
mod files;
mod jit;
mod jit_dump;
mod layer;
mod lines;
mod make;
mod many_files;
mod names;
