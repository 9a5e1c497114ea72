//! Names of the labels that the exporter itself gives to series.

/// The executable's path.
pub(crate) const PATH: &str = "process_executable_path";
/// The executable's name.
pub(crate) const NAME: &str = "process_executable_name";
/// The reason why records were lost.
pub(crate) const REASON: &str = "reason";
/// All of them: no constant label may have one of these names.
pub(crate) const OWN_LABELS: [&str; 3] = [PATH, NAME, REASON];
