//! Merging of configurations.

use serde_json::Value;

/// Merges `over` into `config`: maps are merged key by key, a `null` removes its key, other values replace.
pub fn merge(config: &mut Value, over: &Value) {
    match (config, over) {
        (Value::Object(config), Value::Object(over)) => {
            for (key, value) in over {
                match value {
                    Value::Null => {
                        config.remove(key);
                    }
                    value => merge(config.entry(key).or_insert(Value::Null), value),
                }
            }
        }
        (config, over) => *config = over.clone(),
    }
}
