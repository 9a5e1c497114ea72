//! Tests across files. They share [`make`], which builds input, and [`read`], which reads output.

mod dictionary;
mod frames;
mod json;
mod make;
mod merge;
mod model;
mod read;
mod resource;
mod rollup;
mod split;
mod windows;
mod wire_form;
