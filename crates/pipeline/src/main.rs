//! The `pipeline` binary: not assembled yet, since its exporters are being written.
fn main() {}
