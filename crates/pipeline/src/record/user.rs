//! The user that a command runs as.

use std::ffi::OsString;
use std::fs;

use rustix::process::geteuid;
use thiserror::Error;

use crate::config::Environment;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user who a command is to run as, or who a file is to belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// All groups, as initgroups(3) finds them in /etc/group.
    pub(super) groups: Vec<u32>,
    /// Variables that the user's programs expect in their environment.
    pub(super) environment: Vec<(&'static str, OsString)>,
}

/// An error for which the user of a command cannot be determined.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub(super) enum UserError {
    #[error("there is no user {0} in /etc/passwd")]
    Unknown(String),
    #[error("only root can run a command as another user: run this with sudo")]
    NotRoot,
}

impl User {
    /// The user that is `wanted`, or else the one who called sudo; `None` if it is the user that this process runs as.
    pub(super) fn find(
        wanted: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<Option<Self>, UserError> {
        let is_root = geteuid().is_root();
        let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
        let group = fs::read_to_string(GROUP).unwrap_or_default();
        match wanted {
            Some(_) if !is_root => Err(UserError::NotRoot),
            Some(name) => {
                let entry = entry(&passwd, name).ok_or_else(|| UserError::Unknown(name.to_owned()))?;
                Ok(Some(Self::of(&entry, &group)).filter(|user| user.uid != 0))
            }
            None if !is_root => Ok(None),
            None => {
                let number = |name| environment(name)?.parse().ok();
                let (Some(uid), Some(gid)) = (number("SUDO_UID"), number("SUDO_GID")) else {
                    return Ok(None);
                };
                // A user that only a directory service knows is not in the file.
                let unknown = Self { uid, gid, groups: vec![gid], environment: Vec::new() };
                let user = entry(&passwd, &uid.to_string()).map_or(unknown, |entry| Self::of(&entry, &group));
                Ok(Some(user).filter(|user| user.uid != 0))
            }
        }
    }

    fn of(entry: &Entry<'_>, group: &str) -> Self {
        let Entry { name, uid, gid, home, shell } = *entry;
        let mut groups = vec![gid];
        groups.extend(groups_of(group, name).filter(|other| *other != gid));
        let environment = [("USER", name), ("LOGNAME", name), ("HOME", home), ("SHELL", shell)];
        let environment = environment.into_iter().filter(|(_, value)| !value.is_empty());
        Self { uid, gid, groups, environment: environment.map(|(key, value)| (key, value.into())).collect() }
    }
}

/// A line of passwd(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

/// The line of a user, found by name or by number.
fn entry<'a>(passwd: &'a str, wanted: &str) -> Option<Entry<'a>> {
    let entries = || passwd.lines().filter_map(parse);
    let by_name = entries().find(|entry| entry.name == wanted);
    by_name.or_else(|| {
        let uid: u32 = wanted.parse().ok()?;
        entries().find(|entry| entry.uid == uid)
    })
}

fn parse(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let (_comment, home, shell) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
    Some(Entry { name, uid, gid, home, shell }).filter(|entry| !entry.name.is_empty())
}

/// The groups in whose lines of group(5) a user is listed.
fn groups_of<'a>(group: &'a str, user: &'a str) -> impl Iterator<Item = u32> + 'a {
    group.lines().filter_map(move |line| {
        let mut fields = line.split(':');
        let (_name, _password, gid, members) =
            (fields.next()?, fields.next()?, fields.next()?.parse().ok()?, fields.next()?);
        members.split(',').any(|member| member.trim() == user).then_some(gid)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n# a comment\nbad:x:nine:9:::\n\
        ann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh\n1000:x:1001:1001::/home/n:\n";
    const GROUPS: &str =
        "root:x:0:\nadm:x:4:syslog,ann\nann:x:1000:\nbroken\ndocker:x:998: ann \nanna:x:5:anna\n";

    #[test]
    fn a_user_is_found_by_name_before_number_with_all_groups() {
        assert_eq!(entry(USERS, "root").unwrap().uid, 0);
        assert_eq!(entry(USERS, "1000").unwrap().uid, 1001, "as sudo and chown read it");
        assert_eq!(entry(USERS, "1001").unwrap().name, "1000");
        assert_eq!(entry(USERS, "bad"), None);
        let ann = User::of(&entry(USERS, "ann").unwrap(), GROUPS);
        assert_eq!((ann.uid, ann.gid, ann.groups), (1000, 1000, vec![1000, 4, 998]));
        assert_eq!(
            ann.environment.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
            ["USER", "LOGNAME", "HOME", "SHELL"]
        );
    }

    proptest! {
        /// Any text is read or skipped.
        #[test]
        fn any_text_is_read_or_skipped(text in "([a-z0-9]{0,3}:?){0,20}\n{0,2}.{0,40}", name in "[a-z0-9]{0,3}") {
            let _ = (entry(&text, &name), groups_of(&text, &name).count());
        }
    }
}
