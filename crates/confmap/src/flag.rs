//! Flags of the command line that texts for the user name.

/// The flag that sets one key.
pub const SETTING_FLAG: &str = "--set";
