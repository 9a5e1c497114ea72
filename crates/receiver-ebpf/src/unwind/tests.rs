//! Tests of the tables, with a kernel whose maps are memory of this process, and rows of this very program.

mod files;
mod kernel;
mod program;
mod rules;
mod tables;
mod worker;
mod world;
