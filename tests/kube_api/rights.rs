//! Who asks, and what they may.

use std::collections::BTreeSet;

use serde_json::json;

use super::resource::ObjectPath;
use super::status::Status;

/// The tokens that the server knows, and whose they are.
pub const TOKENS: [(&str, &str); 4] =
    [("admin-token", "admin"), ("dns-token", "dns"), ("renewed-dns-token", "dns"), ("narrow-token", "narrow")];

/// The user of the kubeconfigs: a DNS server with the rights that every distribution gives to CoreDNS.
pub const DNS: &str = "dns";

/// Who may what. The user `admin` may everything.
#[derive(Debug)]
pub struct Rights {
    /// User, qualified resource, verb.
    rules: BTreeSet<(String, String, String)>,
    expired_tokens: BTreeSet<&'static str>,
}

impl Default for Rights {
    fn default() -> Self {
        let mut rights = Self { rules: BTreeSet::new(), expired_tokens: BTreeSet::new() };
        for resource in ["endpoints", "services", "pods", "namespaces", "endpointslices.discovery.k8s.io"] {
            rights.grant(DNS, resource);
        }
        rights
    }
}

impl Rights {
    /// Lets a user list and watch a resource.
    pub fn grant(&mut self, user: &str, resource: &str) {
        for verb in ["list", "watch"] {
            self.rules.insert((user.to_owned(), resource.to_owned(), verb.to_owned()));
        }
    }

    /// Takes that away. Watches that run go on.
    pub fn revoke(&mut self, user: &str, resource: &str) {
        self.rules.retain(|(of, what, _)| of != user || what != resource);
    }

    /// Says whether this may be done, in the words of the real server.
    pub fn check(&self, user: &str, verb: &str, path: &ObjectPath) -> Result<(), Status> {
        let rule = (user.to_owned(), path.qualified(), verb.to_owned());
        if user == "admin" || self.rules.contains(&rule) {
            return Ok(());
        }
        let what = path.name.as_ref().map_or_else(|| path.qualified(), |name| format!("{} {name:?}", path.qualified()));
        let scope = path.namespace.as_ref().map_or_else(
            || String::from("at the cluster scope"),
            |namespace| format!("in the namespace {namespace:?}"),
        );
        let mut details = json!({"kind": path.plural});
        if let Some(name) = &path.name {
            details["name"] = json!(name);
        }
        if !path.group.is_empty() {
            details["group"] = json!(path.group);
        }
        let message = format!(
            "{what} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {:?} {scope}",
            path.plural, path.group
        );
        Err(Status::forbidden(message, details))
    }

    /// Nobody's token any more.
    pub fn expire(&mut self, token: &'static str) {
        self.expired_tokens.insert(token);
    }

    /// Whose request this is: by token, by client certificate, or nobody's.
    pub fn user(&self, authorization: Option<&str>, has_certificate: bool) -> Result<&'static str, Status> {
        match authorization {
            Some(header) => {
                let token = header.trim_start_matches("Bearer ");
                let known = TOKENS.iter().find(|(known, _)| *known == token && !self.expired_tokens.contains(known));
                known.map(|(_, user)| *user).ok_or_else(Status::unauthorized)
            }
            None if has_certificate => Ok(DNS),
            None => Ok("system:anonymous"),
        }
    }
}
