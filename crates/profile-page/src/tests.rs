//! Tests of requests to the page, and of the page as one file.

mod answers;
mod clients;
mod files;
mod scene;
