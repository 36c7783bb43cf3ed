//! `kubernetes` and the directives that stand on it.

use super::*;
use crate::config::directive::{ApiPace, Kubernetes, Search};

fn kubernetes(lines: &str) -> String {
    block(&format!("kubernetes cluster.local clusterset.local 10.0.0.0/8 {{\n{lines}\n}}"))
}

fn read_kubernetes(lines: &str) -> Kubernetes {
    let server = accepted(&kubernetes(lines)).remove(0);
    server.kubernetes.expect(lines)
}

#[test]
fn a_cluster_set_is_one_of_the_zones() {
    let zones = read_kubernetes("multicluster clusterset.local").multicluster;
    assert_eq!(zones.iter().map(|zone| zone.to_ascii()).collect::<Vec<_>>(), ["clusterset.local."]);
    refused(
        &kubernetes("multicluster other.local"),
        "multicluster other.local.: this directive does not serve that zone",
    );
    refused(&kubernetes("multiclusters clusterset.local"), "did you mean \"multicluster\"?");
    warned(&kubernetes("multicluster"), "multicluster names no zone");
    written(&kubernetes("multicluster clusterset.local cluster.local"));
}

#[test]
fn zones_of_endpoints_need_endpoints() {
    assert!(read_kubernetes("zonal").zonal);
    refused(&kubernetes("zonal a"), "zonal takes no argument");
    refused(&kubernetes("noendpoints\nzonal"), "zonal needs endpoints");
    written(&kubernetes("zonal"));
}

#[test]
fn the_api_server_may_be_asked_so_often() {
    let pace = read_kubernetes("apiserver_qps 2.5\napiserver_burst 20\napiserver_max_inflight 3").apiserver;
    assert_eq!(pace, ApiPace { qps: 2.5.into(), burst: 20, max_in_flight: 3 });
    assert_eq!(read_kubernetes("apiserver_qps 0").apiserver, ApiPace::default());
    for option in ["apiserver_qps", "apiserver_burst", "apiserver_max_inflight"] {
        refused(&kubernetes(option), &format!("{option} takes a number"));
        refused(&kubernetes(&format!("{option} 1 2")), &format!("{option} takes a number"));
        refused(&kubernetes(&format!("{option} -1")), &format!("{option} is a number from 0"));
        refused(&kubernetes(&format!("{option} x")), &format!("{option} is a number from 0"));
    }
    refused(&kubernetes("apiserver_burst 1.5"), "apiserver_burst is a number");
    refused(&kubernetes("apiserver_qps nan"), "apiserver_qps is a number");
    written(&kubernetes("apiserver_qps 0.001\napiserver_max_inflight 1"));
}

#[test]
fn what_is_known_is_compared_so_often() {
    let compare = |lines: &str| read_kubernetes(lines).compare.as_secs();
    assert_eq!([compare(""), compare("compare 1h"), compare("compare 0s")], [1800, 3600, 0]);
    refused(&kubernetes("compare"), "compare takes a duration");
    refused(&kubernetes("compare 59s"), "compare takes a duration of at least 1m, or 0 for never");
    refused(&kubernetes("compare often"), "compare");
    written(&kubernetes("compare 0s"));
    written(&kubernetes("compare 15m"));
}

#[test]
fn what_coredns_passes_over_is_warned_of() {
    warned(&kubernetes("ignore"), "ignore says nothing to ignore");
    warned(&kubernetes("ignore empty_service more"), "has no meaning here");
    refused(&kubernetes("ignore all"), "ignore takes empty_service");
    refused(&kubernetes("tls cert key"), "tls takes a certificate, a key and an authority");
    refused(&block("kubernetes in-addr.arpa"), "a zone that is not a reverse zone must be named");
}

#[test]
fn k8s_external_needs_kubernetes() {
    refused(
        &block("k8s_external example.org"),
        "Corefile:2: k8s_external: needs `kubernetes` in the same server block",
    );
    let external = |lines: &str| block(&format!("kubernetes cluster.local\nk8s_external example.org {{\n{lines}\n}}"));
    let server = accepted(&external("apex ns\nttl 30\nheadless\nfallthrough a.example.org")).remove(0);
    let read = server.k8s_external.expect("zones");
    assert_eq!((read.apex.as_str(), read.ttl, read.headless), ("ns", 30, true));
    refused(&external("ttl 3601"), "ttl is a number from 0 to 3600");
    refused(&external("apex"), "apex takes a label");
    refused(&external("apex a..b"), "apex takes a label such as dns");
    refused(&external("appex ns"), "did you mean \"apex\"?");
    refused(&external("headless yes"), "unknown property \"yes\"");
    written(&external("apex ns\nfallthrough"));
}

#[test]
fn autopath_has_a_search_list() {
    let read = |line: &str| accepted(&block(line)).remove(0).autopath.expect(line);
    let file = read("autopath example.org empty.conf");
    assert_eq!(file.domains.iter().map(|domain| domain.to_ascii()).collect::<Vec<_>>(), ["example.org."]);
    let pods = read("autopath @kubernetes\nkubernetes cluster.local {\npods verified\n}");
    assert_eq!((pods.search, pods.zones.len()), (Search::Kubernetes, 1));
    refused(&block("autopath"), "autopath: takes a file such as /etc/resolv.conf, or @kubernetes");
    refused(&block("autopath absent.conf"), "autopath: cannot read \"absent.conf\"");
    warned(&block("autopath resolv.conf"), "has no effect: resolv.conf has no `search` line");
    let off = warned(&block("autopath @erratic"), "@erratic has no effect");
    assert_eq!(off[0].autopath, None);
    written(&block("autopath a.org b.org empty.conf"));
}

#[test]
fn autopath_needs_to_know_pods() {
    let part = "Corefile:2: autopath: has no effect: @kubernetes needs `kubernetes` with `pods verified`";
    warned(&block("autopath @kubernetes"), part);
    warned(&block("autopath @kubernetes\nkubernetes cluster.local {\npods insecure\n}"), part);
}

#[test]
fn pprof_has_an_address() {
    let read = |line: &str| accepted(&block(line)).remove(0).pprof.expect(line).address;
    assert_eq!(read("pprof"), "localhost:6053");
    assert_eq!(read("pprof :9999"), ":9999");
    refused(&block("pprof localhost"), "an address is HOST:PORT");
    refused(&block("pprof :1 :2"), "takes one address");
    refused(&block("pprof\npprof"), "once");
    refused(&block("pprof {\nblock x\n}"), "block is a number");
    refused(&block("pprof {\nblock 1 2\n}"), "block takes a rate");
    refused(&block("pprof {\nmutex\n}"), "unknown property \"mutex\"");
    warned(&block("pprof {\nblock 20\n}"), "block has no effect");
}

#[test]
fn a_warm_start_stays_where_it_is_in_both_forms() {
    let text = "root /etc/dns\nkubernetes a {\nwarm_start snapshot.json 2h\n}";
    written(&block(text));
    let [server] = <[_; 1]>::try_from(loaded(&block(text)).config.servers).unwrap();
    let warm_start = server.kubernetes.as_ref().and_then(|kubernetes| kubernetes.warm_start.as_ref()).unwrap();
    assert_eq!(warm_start.file, Path::new("snapshot.json"));
    refused(&block("kubernetes a {\nwarm_start\n}"), "warm_start takes a file");
}
