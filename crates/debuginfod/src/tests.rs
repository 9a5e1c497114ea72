//! A client, real servers that are honest or not, and a directory.

mod answers;
mod cache;
mod clients;
mod scene;
mod whole;
