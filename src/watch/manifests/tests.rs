//! Manifests from texts and files.

use super::*;

fn parse(text: &str) -> (Vec<Change>, Vec<String>) {
    let manifests = Manifests::parse("a.yaml", text, None);
    let is_object = |change: &Change| !matches!(change, Change::ListStarted(_) | Change::ListEnded(_));
    (manifests.changes.into_iter().filter(is_object).collect(), manifests.warnings)
}

fn check(text: &str, objects: usize, warnings: &[&str]) {
    let (changes, warned) = parse(text);
    assert_eq!(changes.len(), objects, "{changes:?}");
    assert_eq!(warned.len(), warnings.len(), "{warned:?}");
    for (warned, part) in warned.iter().zip(warnings) {
        assert!(warned.contains(part), "{warned:?} {part:?}");
    }
}

#[test]
fn a_stream_has_many_documents_and_other_kinds_are_ignored() {
    check(
        "# a comment\n---\nkind: Namespace\nmetadata: {name: shop}\n---\n---\nkind: ConfigMap\nmetadata: {name: x}\n--- # two\n\
         kind: Service\napiVersion: v1\nmetadata: {name: web, namespace: shop}\nspec: {clusterIP: 10.0.0.1}\n",
        2,
        &[],
    );
    check("kind: Service\napiVersion: serving.knative.dev/v1\nmetadata: {name: web}\n", 0, &[]);
    check("", 0, &[]);
}

#[test]
fn a_bad_document_costs_only_itself() {
    check(
        "kind: Namespace\nmetadata: {name: a}\n---\nkind: [\n---\nkind: Namespace\nmetadata: {name: b}\n---\n7\n---\nx: 1\n",
        2,
        &["a.yaml: document 2: ", "a.yaml: document 4: is not an object", "a.yaml: document 5: has no kind"],
    );
    check("kind: Endpoints\nmetadata: {name: a}\n", 0, &["document 1: Endpoints are not served"]);
    check("kind: Service\n", 0, &["has no metadata"]);
    check("kind: Service\nmetadata: {labels: {}}\n", 0, &["no name"]);
    check("kind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.0.0.300}\n", 1, &["services default/a: 1 values"]);
}

/// Aliases of aliases: nine times as many values with each line, half a million in the end.
#[test]
fn aliases_that_multiply_cost_only_their_document() {
    let lines =
        ('b'..='f').zip('a'..).map(|(name, of)| format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 9].join(",")));
    let bomb: String = lines.collect();
    check(
        &format!(
            "a: &a [{}]\n{bomb}kind: Namespace\n---\nkind: Namespace\nmetadata: {{name: a}}\n",
            ["x"; 9].join(",")
        ),
        1,
        &["a.yaml: document 1: budget breached"],
    );
    check("kind: Service\nmetadata: {name: &name a, namespace: *name}\n", 1, &[]);
}

#[test]
fn lists_and_json_are_read_too() {
    check(
        r#"{"kind": "List", "items": [{"kind": "Namespace", "metadata": {"name": "a"}}, {"kind": "Pod"}]}"#,
        1,
        &["metadata"],
    );
    check("kind: ServiceList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n", 2, &[]);
}

#[test]
fn words_that_yaml_once_took_for_booleans_are_names() {
    let (changes, _) = parse("kind: Namespace\nmetadata: {name: on}\n");
    assert!(matches!(&changes[..], [Change::Namespace(namespace)] if &*namespace.name == "on"));
}

#[test]
fn a_later_document_completes_an_object() {
    let (changes, _) = parse(
        "kind: Pod\nmetadata: {name: p, namespace: n, labels: {a: b}}\n---\n\
         kind: Pod\nmetadata: {name: p, namespace: n}\nstatus: {phase: Running, podIPs: [{ip: 10.0.0.1}]}\n",
    );
    let [Change::Pod(pod)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(pod.labels.as_ref().and_then(|labels| labels.get("a")).map(String::as_str), Some("b"));
    assert_eq!(pod.addresses.len(), 1);
}

#[test]
fn a_selector_holds_for_all_but_namespaces_and_imports() {
    let text = "kind: Namespace\nmetadata: {name: n}\n---\nkind: Service\nmetadata: {name: a, labels: {x: y}}\n---\n\
                kind: Service\nmetadata: {name: b}\n---\nkind: ServiceImport\nmetadata: {name: c}\n";
    let selector = Selector::parse("x=y").expect("a selector");
    assert_eq!(Manifests::parse("a", text, Some(&selector)).changes.len(), 3 + 2 * Resource::ALL.len());
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names_and_again_when_it_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    write("b.yml", "kind: Service\nmetadata: {name: a}\nspec: {clusterIP: None}\n");
    write("a.yaml", "kind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.0.0.1}\n");
    write(".hidden.yaml", "kind: [\n");
    write("notes.txt", "kind: [\n");
    let before = stamps(folder.path()).expect("files");
    let manifests = Manifests::read(folder.path(), None).expect("manifests");
    assert!(manifests.warnings.is_empty(), "{:?}", manifests.warnings);
    assert!(manifests.changes.iter().any(
        |change| matches!(change, Change::Service(service) if service.kind == crate::cluster::ServiceKind::Headless)
    ));
    write("c.json", "{");
    assert_ne!(stamps(folder.path()).expect("files"), before);
    let warnings = Manifests::read(folder.path(), None).expect("manifests").warnings;
    assert!(warnings[0].contains("c.json: document 1"), "{warnings:?}");
    assert!(Manifests::read(&folder.path().join("absent"), None).is_err());
}

#[test]
fn the_golden_cluster_is_read_without_a_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cluster");
    let manifests = Manifests::read(&folder, None).expect("manifests");
    assert_eq!(manifests.warnings, Vec::<String>::new());
    let mut snapshot = Snapshot::default();
    manifests.apply(&mut snapshot, 1);
    for resource in Resource::ALL {
        assert!(snapshot.is_synced(resource) && snapshot.count(resource) > 5, "{resource:?}");
    }
}
