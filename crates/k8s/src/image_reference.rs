//! The version that a container's image is called by.
//!
//! Source: the grammar of `distribution/reference`: `[domain/]path[:tag][@digest]`.

/// The version that OpenTelemetry's conventions make of an image's reference: `tag@digest`, the digest alone, or the
/// tag alone; `None` if there is neither.
pub(crate) fn version(reference: &str) -> Option<&str> {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    // A colon before the last slash belongs to the domain's port.
    let colon = name.get(last..)?.find(':').map(|colon| last + colon);
    let version = match (colon, reference.len() > name.len()) {
        (Some(colon), _) => reference.get(colon + 1..)?,
        (None, true) => reference.get(name.len() + 1..)?,
        (None, false) => return None,
    };
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::version;

    #[test]
    fn tags_and_digests_are_versions_and_ports_are_not() {
        for (reference, expected) in [
            ("nginx", None),
            ("nginx:1.27", Some("1.27")),
            ("registry:5000/shop/cart", None),
            ("registry:5000/shop/cart:v1.2", Some("v1.2")),
            ("cart@sha256:0af7", Some("sha256:0af7")),
            ("registry:5000/cart:v1@sha256:0af7", Some("v1@sha256:0af7")),
            ("", None),
            ("cart:", None),
        ] {
            assert_eq!(version(reference), expected, "{reference}");
        }
    }

    proptest! {
        /// Any text is read: no panic, and a version is its end.
        #[test]
        fn any_text_is_read(text in "[a-z:/@é.]{0,20}") {
            if let Some(version) = version(&text) {
                prop_assert!(text.ends_with(version));
            }
        }
    }
}
