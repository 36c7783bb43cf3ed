//! Kubernetes objects to [`crate::cluster::Change`]s: from an API server, or from manifests.
//!
//! `reflector` lists and watches one resource, `object` holds the slim types that JSON and YAML are read into,
//! `convert` makes changes of them, `owner` is the task that applies changes and publishes snapshots, `manifests`
//! reads files.
