//! Attributes from the credentials: the owner of a process.

use std::sync::Arc;

use pdata::{Attribute, Uid};
use rustc_hash::FxHashMap;

use super::names;
use super::source::{Source, Subject};

/// The most users whose attributes are remembered; past it all are forgotten, and made again as they are met.
const MAX_REMEMBERED: usize = 4096;

/// Names of users, from the host's `/etc/passwd`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users(FxHashMap<Uid, Arc<str>>);

impl Users {
    /// Reads passwd(5); lines of another form are left out. Of two names for one number the first counts.
    pub(crate) fn parse(passwd: &[u8]) -> Self {
        let mut users = FxHashMap::default();
        for line in passwd.split(|&byte| byte == b'\n') {
            let mut fields = line.split(|&byte| byte == b':');
            let (name, number) = (fields.next(), fields.nth(1));
            let number = number.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
            let name = name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| !name.is_empty());
            if let (Some(name), Some(number)) = (name, number) {
                users.entry(Uid(number)).or_insert_with(|| name.into());
            }
        }
        Self(users)
    }

    fn name(&self, user: Uid) -> Option<&Arc<str>> {
        self.0.get(&user)
    }
}

/// The source of attributes of an image's effective user.
#[derive(Debug)]
pub(super) struct Owner {
    users: Users,
    remembered: FxHashMap<Uid, Arc<[Attribute]>>,
}

impl Owner {
    pub(super) fn new(users: Users) -> Self {
        Self { users, remembered: FxHashMap::default() }
    }
}

impl Source for Owner {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        let Some(user) = subject.image.context.as_ref().and_then(|context| context.user) else {
            return Arc::default();
        };
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.clear();
        }
        let users = &self.users;
        let attributes = self.remembered.entry(user).or_insert_with(|| {
            let named = users.name(user).map(|name| Attribute::text(names::OWNER, Arc::clone(name)));
            // The number adds nothing where there is a name, and takes room in each resource.
            [named.unwrap_or_else(|| Attribute::int(names::USER_ID, user.0.into()))].into()
        });
        Arc::clone(attributes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_by_number() {
        let users = Users::parse(
            b"root:x:0:0::/root:/bin/sh\nada:x:1000:1000\ntoor:x:0:0\n:x:7:7\nbad\n\xff:x:8:8\n",
        );
        let name = |number| users.name(Uid(number)).map(|name| &**name);
        assert_eq!((name(0), name(1000), name(7), name(8)), (Some("root"), Some("ada"), None, None));
    }

    proptest! {
        /// Any bytes are read: no panic.
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, text in "[a-z0-9:\n]{0,80}") {
            let _ = (Users::parse(&bytes), Users::parse(text.as_bytes()));
        }
    }
}
