//! The resources that are served, and the paths that name them.

use serde_json::{Value, json};

/// A resource. All objects of one are stored once and served by each version.
#[derive(Debug)]
pub struct Resource {
    pub group: &'static str,
    /// The preferred one first.
    pub versions: &'static [&'static str],
    pub plural: &'static str,
    pub kind: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub is_namespaced: bool,
    /// From a CRD: there only if the test installed it; its objects always carry kind and apiVersion.
    pub is_custom: bool,
    /// What an object of this kind has beside its metadata when it has nothing, as JSON.
    empty: &'static str,
}

const BUILT_IN: Resource = Resource {
    group: "",
    versions: &["v1"],
    plural: "",
    kind: "",
    short_names: &[],
    categories: &[],
    is_namespaced: true,
    is_custom: false,
    empty: "{}",
};

static RESOURCES: [Resource; 6] = [
    Resource { plural: "endpoints", kind: "Endpoints", short_names: &["ep"], ..BUILT_IN },
    Resource {
        plural: "namespaces",
        kind: "Namespace",
        short_names: &["ns"],
        is_namespaced: false,
        empty: r#"{"spec":{},"status":{}}"#,
        ..BUILT_IN
    },
    Resource {
        plural: "pods",
        kind: "Pod",
        short_names: &["po"],
        categories: &["all"],
        empty: r#"{"spec":{"containers":null},"status":{}}"#,
        ..BUILT_IN
    },
    Resource {
        plural: "services",
        kind: "Service",
        short_names: &["svc"],
        categories: &["all"],
        empty: r#"{"spec":{},"status":{"loadBalancer":{}}}"#,
        ..BUILT_IN
    },
    Resource {
        group: "discovery.k8s.io",
        plural: "endpointslices",
        kind: "EndpointSlice",
        empty: r#"{"addressType":"","endpoints":null,"ports":null}"#,
        ..BUILT_IN
    },
    Resource {
        group: "multicluster.x-k8s.io",
        versions: &["v1beta1", "v1alpha1"],
        plural: "serviceimports",
        kind: "ServiceImport",
        short_names: &["svcim"],
        is_custom: true,
        ..BUILT_IN
    },
];

impl Resource {
    /// Those of a server, with or without CRDs.
    pub fn all(with_custom: bool) -> impl Iterator<Item = &'static Resource> {
        RESOURCES.iter().filter(move |resource| with_custom || !resource.is_custom)
    }

    pub fn of_kind(kind: &str) -> Option<&'static Resource> {
        RESOURCES.iter().find(|resource| resource.kind == kind)
    }

    /// The resource of a plural that the test wrote.
    pub fn of_plural(plural: &str) -> &'static Resource {
        RESOURCES.iter().find(|resource| resource.plural == plural).unwrap_or_else(|| panic!("no resource {plural:?}"))
    }

    pub fn group_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// `services`, `endpointslices.discovery.k8s.io`.
    pub fn qualified(&self) -> String {
        qualified(self.group, self.plural)
    }

    /// An object with its kind and version, as everything but the items of a list of built-in kinds has them.
    pub fn with_type(&self, version: &str, object: &Value) -> Value {
        let mut typed = object.clone();
        typed["kind"] = json!(self.kind);
        typed["apiVersion"] = json!(self.group_version(version));
        typed
    }

    /// An object with nothing in it, for bookmarks.
    pub fn empty(&self, version: &str) -> Value {
        self.with_type(version, &serde_json::from_str(self.empty).unwrap())
    }
}

fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// What a path asks for, whether that exists or not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ObjectPath {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
}

impl ObjectPath {
    /// Reads `/api/v1/...` or `/apis/GROUP/VERSION/...`; None if no resource is named.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural, name @ ..] => (Some(*namespace), *plural, name.first()),
            [plural, name @ ..] => (None, *plural, name.first()),
            [] => return None,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.map(|name| (*name).to_owned()),
        })
    }

    /// The resource, if the server has it.
    pub fn resource(&self, with_custom: bool) -> Option<&'static Resource> {
        Resource::all(with_custom).find(|resource| {
            resource.group == self.group
                && resource.plural == self.plural
                && resource.versions.contains(&self.version.as_str())
        })
    }

    /// `services`, `endpointslices.discovery.k8s.io`.
    pub fn qualified(&self) -> String {
        qualified(&self.group, &self.plural)
    }
}
