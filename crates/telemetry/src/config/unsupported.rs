//! Keys that are known in order to be refused.

/// A key that the Collector has and the agent has no use for: any value, so that the fault can give the reason.
pub(super) type Unsupported = Option<serde_json::Value>;
