// SPDX-License-Identifier: Apache-2.0 OR MIT
//! auth.conf: groups of keys, as libvirt writes them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use virtus_api::{Error, ErrorCode, ErrorDomain, Result};
use virtus_core::Credentials;

pub(super) struct File {
    path: PathBuf,
    groups: HashMap<String, HashMap<String, String>>,
}

/// Reads the file. Blocks.
pub(super) fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::system(format!("cannot read credentials '{}'", path.display()), &cause)
            .in_domain(ErrorDomain::Auth)
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<File> {
    let mut groups: HashMap<String, HashMap<String, String>> = HashMap::new();
    let mut group = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            group = Some(groups.entry(name.to_owned()).or_default());
            continue;
        }
        let (Some(group), Some((key, value))) = (&mut group, line.split_once('=')) else {
            let why =
                format!("{}:{}: expected '[group]' or 'key=value'", path.display(), index + 1);
            return Err(wrong(why));
        };
        group.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(File { path: path.to_owned(), groups })
}

impl File {
    /// Those for a service on the host, or else on every host.
    pub(super) fn credentials(&self, service: &str, host: &str) -> Result<Option<Credentials>> {
        let group = [host, "default"]
            .iter()
            .find_map(|host| self.groups.get(&format!("auth-{service}-{host}")));
        let Some(group) = group else { return Ok(None) };
        let lacks = |what: &str| wrong(format!("{}: {what}", self.path.display()));
        let name = group
            .get("credentials")
            .ok_or_else(|| lacks(&format!("the group of host '{host}' has no 'credentials'")))?;
        let known = self
            .groups
            .get(&format!("credentials-{name}"))
            .ok_or_else(|| lacks(&format!("there is no group 'credentials-{name}'")))?;
        let user = known.get("authname").or_else(|| known.get("username"));
        let both = user.cloned().zip(known.get("password").cloned());
        let lacking = || lacks(&format!("'credentials-{name}' needs 'authname' and 'password'"));
        let (user, password) = both.ok_or_else(lacking)?;
        Ok(Some(Credentials { user, password }))
    }
}

fn wrong(why: String) -> Error {
    Error::new(ErrorCode::ConfSyntax, why).in_domain(ErrorDomain::Auth)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# who\n[credentials-lab]\nauthname = fred\npassword=a=b\n\n\
        [auth-libvirt-host1]\ncredentials=lab\n[auth-libvirt-default]\ncredentials=nobody\n";

    #[test]
    fn a_host_has_its_own_credentials_or_those_of_all() {
        let file = parse(Path::new("auth.conf"), TEXT).unwrap();
        let lab = file.credentials("libvirt", "host1").unwrap().unwrap();
        assert_eq!((lab.user.as_str(), lab.password.as_str()), ("fred", "a=b"));
        let error = file.credentials("libvirt", "host2").unwrap_err();
        assert!(error.text().contains("'credentials-nobody'"), "{error}");
        let empty = parse(Path::new("auth.conf"), "").unwrap();
        assert_eq!(empty.credentials("libvirt", "host1").unwrap(), None);
        assert_eq!(file.credentials("test", "host1").unwrap(), None);
    }

    #[test]
    fn what_is_no_group_and_no_key_is_named() {
        for (text, line) in [("x", 1), ("[a]\n\ny", 3), ("k=v", 1)] {
            let error = parse(Path::new("auth.conf"), text).err().unwrap();
            assert!(error.text().contains(&format!("auth.conf:{line}:")), "{error}");
        }
    }
}
