//! The group whose members may attach.

use std::fs;

use crate::error::StartError;

const GROUP: &str = "/etc/group";

/// The number of a group, whose name may be the number itself.
///
/// # Errors
/// [`StartError::Group`] if no group has the name.
pub(crate) fn find(name: &str) -> Result<u32, StartError> {
    let file = fs::read_to_string(GROUP).unwrap_or_default();
    number(&file, name).ok_or_else(|| StartError::Group(name.to_owned()))
}

/// The number of a group, found in text in the format of group(5).
fn number(file: &str, name: &str) -> Option<u32> {
    let mut numbers = file.lines().filter_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        fields.nth(1)?.parse().ok()
    });
    numbers.next().or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_is_found_by_name_before_number() {
        let file = "root:x:0:\nadm:x:4:syslog,ann\nbroken\n7:x:1007:\nbad:x:nine:\n";
        let numbers = ["root", "adm", "7", "8", "bad", "none"].map(|name| number(file, name));
        assert_eq!(numbers, [Some(0), Some(4), Some(1007), Some(8), None, None]);
    }

    proptest! {
        /// Any text is read or skipped.
        #[test]
        fn any_text_is_read_or_skipped(file in "([a-z0-9]{0,3}:?){0,20}\n{0,2}.{0,40}", name in "[a-z0-9]{0,3}") {
            let _ = number(&file, &name);
        }
    }
}
