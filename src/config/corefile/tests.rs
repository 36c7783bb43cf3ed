//! What is refused, what is warned of, and in which words.

mod encrypted;
mod kubernetes;
mod rewrite;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Loaded, Surroundings, read, text};
use crate::config::ServerBlock;
use crate::config::directive::{DohMethod, ServeStale};

/// Some files and variables.
struct Desk;

impl Surroundings for Desk {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(match path.to_str() {
            Some("itself") => "errors\nimport itself\n",
            Some("one") => "import two\n",
            Some("two") => "import one\n",
            Some("three") => "log\n",
            Some("web.yml") => "tls_server_config: {cert_file: a, key_file: b}\n",
            Some("users.yml") => "basic_auth_users: {a: b}\n",
            Some("weights") => "www.example.org\n192.0.2.1 3\n",
            Some("wrong weights") => "www.example.org\n192.0.2.1\n",
            Some("empty.conf") => "search example.org\n",
            Some("resolv.conf") => "nameserver 192.0.2.1\nnameserver 192.0.2.1\nnameserver fe80::1%7\n",
            _ => return Err(io::ErrorKind::NotFound.into()),
        }
        .to_owned())
    }

    fn matching(&self, _pattern: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "ADDRESS" => "192.0.2.7",
            "NESTED" => "{$ADDRESS}",
            "ITSELF" => "{$ITSELF}",
            "BLANKS" => "a b",
            _ => return None,
        };
        Some(value.to_owned())
    }
}

/// What is wrong with a Corefile, one line each.
fn errors(text: &str) -> Vec<String> {
    let errors = read(text, "Corefile", &Desk).expect_err(text);
    errors.iter().map(ToString::to_string).collect()
}

fn loaded(text: &str) -> Loaded {
    read(text, "Corefile", &Desk).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

/// A Corefile with one error, which says this.
fn refused(text: &str, part: &str) {
    let errors = errors(text);
    assert!(matches!(errors.as_slice(), [error] if error.contains(part)), "{text}\n{errors:?}\n{part}");
    assert!(errors.iter().all(|error| error.lines().count() == 1), "{errors:?}");
}

/// A Corefile with warnings, one of which says this.
fn warned(text: &str, part: &str) -> Vec<ServerBlock> {
    let loaded = loaded(text);
    assert!(
        loaded.warnings.iter().any(|warning| warning.to_string().contains(part)),
        "{text}\n{:?}\n{part}",
        loaded.warnings
    );
    loaded.config.servers
}

/// The same configuration comes from the Corefile that is written of it.
fn written(text: &str) {
    let config = loaded(text).config;
    let again = config.to_corefile().expect(text).text;
    assert_eq!(loaded(&again).config, config, "{again}");
}

/// A Corefile without a warning.
fn accepted(text: &str) -> Vec<ServerBlock> {
    let loaded = loaded(text);
    assert_eq!(loaded.warnings, Vec::new(), "{text}");
    loaded.config.servers
}

/// A block of the root zone with this in it.
fn block(lines: &str) -> String {
    format!(".:53 {{\n{lines}\n}}\n")
}

/// The only block of a Corefile.
fn only(servers: Vec<ServerBlock>) -> ServerBlock {
    <[ServerBlock; 1]>::try_from(servers).map(|[server]| server).expect("one block")
}

#[test]
fn a_port_is_a_number_that_a_port_can_have() {
    refused("a.org:99999 {\nlog\n}\n", "Corefile:1: \"a.org:99999\": a port is a number from 0 to 65535, not 99999");
    refused("a.org:-1 {\nlog\n}\n", "a port is a number from 0 to 65535, not -1");
    refused("a.org: {\nlog\n}\n", "a port is expected after the last colon");
    refused(":53 {\nlog\n}\n", "name one before the port; the root zone is a dot, e.g. `.:53`");
    accepted("a.org:0 dns://.:53 a.org:+5300 {\nlog\n}\n");
}

#[test]
fn a_zone_is_served_once_on_a_port() {
    let advice = "is already defined in line 1; merge the blocks";
    refused("a.org a.org. {\nlog\n}\n", advice);
    refused(
        "a.org {\nlog\n}\na.org {\nlog\n}\n",
        "Corefile:4: cannot serve a.org. on port 53: it is already defined in line 1",
    );
    refused("a.org {\nlog\n}\na.org {\nbind 127.0.0.1\n}\n", advice);
    accepted("a.org {\nbind ::1\n}\na.org {\nbind 127.0.0.1\n}\na.org:5300 {\nlog\n}\n");
}

#[test]
fn a_zone_in_two_letter_cases_is_that_in_lower_case() {
    let servers = warned("A.org b.org {\nlog\n}\na.org. {\nerrors\n}\n", "Corefile:1: zone A.org. is left out: line 4");
    assert_eq!(servers.iter().map(|server| server.keys.len()).collect::<Vec<_>>(), [1, 1]);
    let server = only(warned("a.org {\nlog\n}\nA.org {\nerrors\n}\n", "Corefile:4: zone A.org. is left out: line 1"));
    assert_eq!(server.directives(), ["log"]);
}

#[test]
fn a_zone_that_nobody_can_ask_for_is_told() {
    warned("a.org:53{\nlog\n}\n", "put a blank before '{'");
    refused(".:53{\nlog\n}\n", "put a blank before '{', e.g. `.:53 {`");
    warned(".:53 {\nlog\n}\n}\n", "there is one '}' too many above it");
    warned("127.0.0.1:53 {\nlog\n}\n", "it is an address; name a zone, and use `bind`");
    warned("bücher.example {\nlog\n}\n", "write that");
    warned("10.0.0.0/33 {\nlog\n}\n", "it is no prefix");
    accepted("2001:db8::/64 10.0.0.0/8:53 {\nlog\n}\n");
    warned("a.org:dns {\nlog\n}\n", "no port number");
}

#[test]
fn a_block_whose_zone_is_an_unset_variable_is_left_out_and_told() {
    let server =
        only(warned("{$UNSET} {\nlog\n}\n. {\nerrors\n}\n", "Corefile:3: the block that ends here has no zone"));
    assert_eq!(server.directives(), ["errors"]);
}

#[test]
fn a_block_in_a_block_is_explained() {
    refused(&block("a.org {\nlog\n}"), "Corefile:2: a.org: unknown directive \"a.org\"; if it is a zone");
    refused(&block("Log"), "did you mean \"log\"?");
}

#[test]
fn a_file_that_imports_itself_is_told_at_once() {
    refused(&block("import itself"), "itself:2: import: itself imports itself, directly or through another file");
    refused(&block("import one"), "two:1: import: one imports itself");
    refused("(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nimport a\n}\n", "seems to import itself");
    accepted(&block("import three\nimport three"));
    refused(&block("import none"), "Corefile:2: import: file none is not there");
}

#[test]
fn a_variable_may_name_another_one() {
    let address =
        |text: &str| only(accepted(&block(&format!("prometheus {text}:9153")))).prometheus.map(|it| it.address);
    assert_eq!(address("{$NESTED}").as_deref(), Some("192.0.2.7:9153"));
    assert_eq!(address("{%ADDRESS%}").as_deref(), Some("192.0.2.7:9153"));
    assert_eq!(address("{$UNSET}").as_deref(), Some(":9153"));
    refused(&block("health {$ITSELF}"), "not \"{$ITSELF}\"");
    accepted(&block("bind \"{$ADDRESS}\""));
    refused(&block("bind {$BLANKS}"), "not a valid IP address or interface name: \"a b\"");
}

#[test]
fn a_file_that_is_no_text_is_told_with_its_line() {
    let error = text(b"# a\n# caf\xe9\n".to_vec()).expect_err("Latin-1");
    let error = super::unreadable("Corefile", &error).to_string();
    assert_eq!(error, "Corefile:2: the Corefile cannot be read: line 2 is not UTF-8 text; save the file as UTF-8");
    assert_eq!(errors(&block("er\0rors\u{1b}[0m")).concat().matches(char::is_control).count(), 0);
}

#[test]
fn of_some_directives_the_first_line_counts() {
    let told = "only the first of these lines counts";
    assert_eq!(only(warned(&block("reload 10s\nreload 20s"), told)).reload.map(|it| it.interval.as_secs()), Some(10));
    assert_eq!(only(warned(&block("bufsize 512\nbufsize 1024"), told)).bufsize, Some(512));
    assert_eq!(only(warned(&block("chaos a\nchaos b"), told)).chaos.map(|it| it.version).as_deref(), Some("a"));
    warned(&block("whoami\nwhoami"), told);
    warned(&block("reload {\nx\n}"), "\"{\" has no meaning here");
    refused(&block("loop\nloop"), "loop: can be used once per server block only");
    refused(&block("cache\ncache"), "cache: can be used once per server block only");
    refused(&block("chaos {\nx\n}"), "unknown property \"x\"; it takes no block");
    refused(&block("whoami {\nx\n}"), "takes nothing; remove \"{\"");
    refused(&block("loop {\nx\n}"), "takes nothing; remove \"{\"");
}

#[test]
fn options_of_one_line_are_read_where_coredns_reads_them() {
    assert_eq!(only(accepted(&block("hosts three { ttl 60 }"))).hosts.map(|it| it.ttl), Some(60));
    accepted(&block("kubernetes cluster.local { ttl 30 }"));
    accepted(&block("dns64 { prefix 64:ff9b::/96 }"));
    accepted(&block("cache { success 9984 30 5 }"));
    refused(&block("cache { denial 9984 30 }"), "put '}' on a line of its own");
    refused(&block("cache { servfail 5s }"), "put '}' on a line of its own");
    refused(
        &block("health { lameduck 5s }"),
        "lameduck takes a duration, and nothing else; put '}' on a line of its own",
    );
    refused(&block("errors { consolidate 5m .* }"), "put '}' on a line of its own");
    refused(&block("forward . 192.0.2.1 { force_tcp }"), "put '}' on a line of its own");
    warned(&block("hosts { fallthrough }"), "'}' on the line of an option is read as a zone");
}

#[test]
fn cache_takes_what_coredns_takes() {
    let cache = |lines: &str| only(accepted(&block(lines))).cache.expect("a cache");
    assert_eq!(cache("cache 5000000000").success.ttl_max.as_secs(), 2_147_483_647);
    assert_eq!(cache("cache {\nsuccess -1 30 0\n}").success.capacity, 1024);
    assert!(cache("cache {\nserve_stale 1h Verify\n}").serve_stale.is_some_and(|stale| stale.verify));
    assert_eq!(cache("cache {\ndisable success\n}").disable_success.len(), 1);
    warned(&block("cache {\nsuccess 1 2 3 4\n}"), "[\"4\"] has no meaning here");
    refused(&block("cache 0"), "a TTL is a number of seconds above zero, not 0");
    refused(&block("cache -5"), "not -5");
    refused(&block("cache {\nsuccess 1 2 -3\n}"), "is not negative");
    refused(&block("cache {\nsuccess x\n}"), "success takes numbers: a capacity, a TTL, a smallest TTL, not \"x\"");
    refused(&block("cache {\nserve_stale 1h perhaps\n}"), "is immediate or verify, not \"perhaps\"");
    refused(&block("cache {\nserve_stale 1h verify 1s 30s 6m\n}"), "at most 5m");
    refused(&block("cache {\nserve_stale 1h immediate 30s 1m 1m\n}"), "no further value");
    refused(&block("cache {\nserve_stale_policy fresh\n}"), "prefer_positive, not \"fresh\"");
    let stale = |words: &str| cache(&format!("cache {{\nserve_stale {words}\n}}")).serve_stale.unwrap();
    // RFC 8767 section 5: the client response timer, and the TTL of stale data.
    let advised = ServeStale { verify: true, timeout: Duration::from_millis(1800), ..ServeStale::default() };
    assert_eq!((advised.ttl.as_secs(), advised.duration.as_secs()), (30, 3600));
    assert_eq!([stale(""), stale("1h"), stale("1h verify")], [advised; 3]);
    assert_eq!(stale("1h immediate"), ServeStale { verify: false, ..advised });
    assert_eq!(stale("1h immediate 0s"), ServeStale { verify: false, ttl: Duration::ZERO, ..advised });
    for times in [
        "verify",
        "immediate",
        "verify 0s",
        "verify 100ms",
        "verify 100ms 30s",
        "verify 100ms 30s 1m",
        "verify 0s 30s",
        "immediate 30s",
        "immediate 30s 1m",
    ] {
        let read = cache(&format!("cache {{\nserve_stale 1h {times}\n}}"));
        let again = cache(&format!("cache {{\nserve_stale {}\n}}", read.serve_stale.unwrap().words()[1..].join(" ")));
        assert_eq!(again, read, "{times}");
    }
    refused(&block("cache {\nprefetch 10 1m 5%\n}"), "from 10 to 90");
    refused(&block("cache {\nserve_stale_policy prefer_positive\n}"), "serve_stale_policy needs serve_stale");
    refused(&block("cache {\nserve_stale 1h immediate 1500ms\n}"), "a whole number of seconds, not 1500ms");
    refused(&block("cache {\nservfail 6m\n}"), "at most 5m");
    refused(&block("cache {\nprefetch 20;\n}"), "options stand on lines of their own, without ';'");
}

#[test]
fn kubernetes_takes_what_coredns_takes() {
    let kubernetes = |lines: &str| only(accepted(&block(lines))).kubernetes.expect("kubernetes");
    assert_eq!(kubernetes("kubernetes home.arpa in-addr.arpa").zones.len(), 2);
    assert_eq!(kubernetes("kubernetes a {\nnamespaces x\nnamespaces y\n}").namespaces, ["x", "y"]);
    refused(&block("kubernetes in-addr.arpa IP6.arpa"), "a zone that is not a reverse zone must be named");
    refused(&block("kubernetes a {\nlabels \"a in (b\"\n}"), "labels: \"a in (b\" is not a label selector");
    refused(&block("kubernetes a {\nnamespace_labels a like b\n}"), "namespace_labels: \"a like b\" is not a label");
    refused(&block("kubernetes a {\nttl 3601\n}"), "ttl is a number from 0 to 3600");
    warned(&block("kubernetes a {\nendpoint http://a http://b\n}"), "[\"http://b\"] has no meaning here");
    warned(&block("kubernetes a {\ntls a b c\n}"), "tls belongs to `endpoint`");
}

#[test]
fn forward_takes_what_coredns_takes() {
    let forward = |lines: &str| only(accepted(&block(lines))).forward.remove(0);
    assert_eq!(forward("forward . resolv.conf 192.0.2.1").to.len(), 2);
    refused(&block("forward . empty.conf"), "no valid upstream addresses found: empty.conf has no `nameserver` line");
    refused(
        &block("forward . dns.google"),
        "the name of a server is dns://dns.google, or has a `resolver` that knows it",
    );
    let named = forward(
        "forward . dns.google tls://9.9.9.9%dns.quad9.net {\nresolver 192.0.2.53 [2001:db8::1]:5300\ndoh_method GET\nsource_address 192.0.2.9\n}",
    );
    assert_eq!((named.resolver.len(), named.doh_method), (2, DohMethod::Get));
    assert_eq!(forward("forward . dns://dns.google https://dns.google/q tls://dns.google:8853").to.len(), 3);
    for scheme in ["grpc", "https3", "unix", "udp"] {
        let text = format!("forward . {scheme}://192.0.2.1");
        refused(&block(&text), &format!("\"{scheme}\" is not supported as a destination protocol in forward"));
    }
    refused(&block("forward . 192.0.2.256"), "not an IP address or file: \"192.0.2.256\"");
    refused(&block("forward . dns://192.0.2.256"), "not an IP address or file: \"dns://192.0.2.256\"");
    refused(&block("forward . 192.0.2.1 {\nresolver dns.google\n}"), "resolver takes an address such as 192.0.2.1");
    refused(&block("forward . 192.0.2.1 {\ndoh_method post\n}"), "doh_method is GET or POST, not \"post\"");
    refused(&block("forward . 192.0.2.1 {\nsource_address eth0\n}"), "source_address is an IP address, not \"eth0\"");
    refused(&block("forward . 192.0.2.1 {\nread_timeout 0s\n}"), "read_timeout must be more than 0s");
    refused(&block("forward . 192.0.2.1 {\nmax_age 5s\n}"), "max_age (5s) must not be less than expire (10s)");
    refused(&block("forward . tls://192.0.2.1 {\ntls_servername a/b\n}"), "tls_servername is the name of a server");
    let many = format!("forward . {}", (1..=16).map(|last| format!("192.0.2.{last} ")).collect::<String>());
    refused(&block(&many), "takes at most 15 servers, not 16");
    warned(&block("forward . 192.0.2.1 {\nsource_address ::1\n}"), "192.0.2.1 cannot be reached from source_address");
    warned(&block("forward . https://192.0.2.1"), "must have their address in their certificate");
    accepted(&block("forward . tls://dns.google"));
    refused(&block("forward . [2001:db8::1]"), "IPv6 is 2001:db8::1, or [2001:db8::1]:53 with a port");
    refused(&block("forward . /none"), "not an IP address or file: \"/none\" (entity not found)");
    refused(&block("forward . tls://192.0.2.1%a {\ntls_servername b\n}"), "cannot both be set");
    refused(&block("forward 192.0.2.1"), "there is no server");
    warned(&block("forward 10.0.0.0/9 192.0.2.1"), "stands for 128 zones");
}

#[test]
fn small_things_are_told() {
    refused(&block("bind 127.0.0.1 {\nexcept\n}"), "except takes at least one address or interface");
    refused(&block("health fd00::1:8080"), "IPv6 is [2001:db8::1]:8080");
    refused(&block("health :99999"), "an address is HOST:PORT or :PORT");
    refused(&block("health {\nlameduck 5\n}"), "lameduck is a duration such as 5s");
    refused(&block("reload 30s 500ms"), "the jitter is 0 or at least 1s");
    refused(&block("prometheus {\nruntime_metrics x\n}"), "takes no argument");
    refused(&block("hosts {\nttl 65536\n}"), "ttl is a number from 1 to 65535");
    refused(&block("hosts {\nfallthrough_unsupported\n}"), "takes effect with fallthrough only");
    refused(&block("hosts {\nfallthrough\nfallthrough_unsupported x\n}"), "takes no argument");
    refused(&block("nsid a\nnsid b"), "once per server block");
    refused(&block(&format!("nsid {}", "x".repeat(129))), "there is room for 128");
    refused(&block("local x"), "takes no argument");
    refused(&block("local {\nlocalhost_prefix maybe\n}"), "localhost_prefix takes on or off");
    refused(&block("local {\nlocalhost\n}"), "unknown property \"localhost\"; it takes localhost_prefix");
    accepted(&block("local\nlocal {\nlocalhost_prefix off\n}\nnsid"));
    refused(&block("dns64 10.0.0.0/8"), "it is to be an IPv6 prefix");
    accepted(&block("prometheus {\ntls web.yml\n}"));
    refused(&block("prometheus {\ntls\n}"), "tls takes a web configuration file of Prometheus");
    refused(&block("prometheus {\ntls web.yml\ntls web.yml\n}"), "tls is there already");
    refused(&block("prometheus {\ntls none.yml\n}"), "tls: cannot read none.yml: ");
    refused(&block("prometheus {\ntls users.yml\n}"), "basic_auth_users");
    accepted(&block("loadbalance weighted weights {\nreload 10s\nprefer 10.0.0.0/8\n}"));
    refused(&block("loadbalance weighted"), "weighted takes the file of the weights");
    refused(&block("loadbalance weighted a b"), "weighted takes the file of the weights");
    refused(&block("loadbalance weighted \"wrong weights\""), "loadbalance: wrong weights:2: 192.0.2.1 has no weight");
    refused(&block("loadbalance {\nreload 10s\n}"), "reload belongs to `weighted FILE`");
    refused(
        &block("loadbalance weigthed weights"),
        "unknown policy \"weigthed\"; there are round_robin and weighted FILE",
    );
    warned(&block("loadbalance weighted none"), "the weight file does not exist: none");
    refused(&block("log {\nclass some\n}"), "there are all, success, denial and error");
    accepted(&block("reload 30s 0s"));
    warned(&block("log \"{remote}\""), "a format stands behind one, e.g. `log . FORMAT`");
    warned(&block("hosts none"), "File does not exist: none");
    warned(&block("cache 3600s"), "3600s is read as a zone");
    warned(
        &block("kubernetes a ip6.arpa {\nfallthrough ip6.arpa ip6.arapa\n}"),
        "Corefile:3: kubernetes: fallthrough ip6.arapa. has no effect",
    );
    accepted(&block("template IN A a.org {\nfallthrough b.a.org org\n}"));
    warned(&block("dns64 2001:db8::/96 {\nprefix 64:ff9b::/96\n}"), "only one prefix counts, the last: 64:ff9b::/96");
    let dns64 = only(warned(&block("dns64 64:ff9b::1/96"), "it is read as 64:ff9b::/96")).dns64;
    assert_eq!(dns64.map(|it| it.prefix.to_string()).as_deref(), Some("64:ff9b::/96"));
}

#[test]
fn templates_are_for_types_and_patterns_as_coredns_writes_them() {
    for record_type in ["A", "SPF", "LOC", "URI", "IXFR", "HTTPS", "ANY"] {
        accepted(&block(&format!("template IN {record_type}")));
    }
    refused(&block("template IN aaaa"), "types are upper case");
    refused(&block("template IN *"), "types are upper case");
    refused(&block("template in A"), "classes are upper case");
    refused(&block("template IN A {\nrcode nxdomain\n}"), "codes are upper case");
    refused(&block("template IN A {\nrcode\n}"), "rcode takes a response code");
    refused(&block("template IN A {\nmatch (?P<x\n}"), "could not parse regex \"(?P<x\": unclosed capture group name");
    refused(&block("errors {\nconsolidate 5m (\n}"), "could not parse regex");
    let refused_option = |option: &str, part: &str| refused(&block(&format!("template IN A {{\n{option}\n}}")), part);
    refused_option("answer", "answer takes templates");
    refused_option("answer \"{{\"", "answer \"{{\": '{{' is not closed (at character 1)");
    refused_option("additional \"{{ notAFunction }}\"", "there is no function \"notAFunction\"");
    refused_option(
        "authority \"{{ index .Match \"1\" }}\"",
        r#"'{{' is not closed (at character 1); a quote within quotes is \""#,
    );
    refused_option("ederror", "ederror takes a number and a reason in quotes");
    refused_option("ederror x", "ederror is a number from 0 to 65535, not \"x\"");
    refused_option("ederror too many arguments", "ederror takes a number and a reason in quotes");
    refused_option("var x", "var takes a name and an expression");
    refused_option("var len 1", "\"len\" is no name for a variable");
    refused_option("var x 1\nvar x 2", "\"x\" is no name for a variable");
    refused_option("var x y + 1", "var x \"y + 1\": unknown name \"y\"");
    refused_option("var x [1]", "var x is a list");
    refused_option("expr group(1) == 1", "cannot take a text and a number");
    refused_option("anser x", "did you mean \"answer\"?");
    warned(&block("template IN A {\nexpr group(1)\n}"), "neither true nor false, so that no name matches");
    accepted(&block(
        "template ANY ANY {\nanswer \"{{ .Grup.d }}\" \"{{ parseInt }}\"\nexpr \"any(['a'], # == group(1))\"\n}",
    ));
    warned(&block("template IN A {\nupstream x\n}"), "upstream has no effect");
    let text = "var x group(1)\nexpr x != 'a  b'\nexpr \"none(['#'], x == #)\"\nanswer \"{{ .Var.x }} \\\"a\\\"\"\nederror 1\nederror 2 \"a b\"";
    let config = loaded(&block(&format!("template IN A {{\n{text}\n}}"))).config;
    let written = config.to_corefile().expect(text).text;
    assert_eq!(loaded(&written).config, config, "{written}");
    accepted(&block("template IN A {\nmatch ^\\Qa.b\\E{2}[[]$\n}"));
}

#[test]
fn every_mistake_of_a_file_is_told() {
    let found = errors("a.org:99999 {\nhealth x\ncache 0\nfoo\n}\nb.org b.org {\nproxy . 192.0.2.1\n}\n");
    let lines: Vec<_> = found.iter().filter_map(|error| error.split(": ").next()).collect();
    assert_eq!(lines, ["Corefile:1", "Corefile:2", "Corefile:3", "Corefile:4", "Corefile:6", "Corefile:7"]);
    let text = "kubernetes a {\nupstream\nttl x\npods maybe\nresyncperiod 5m\n}\nforward . x\nforward .\nforward . 192.0.2.1 {\npolicy y\n}\nproxy . a\nproxy . b";
    let found = errors(&block(text));
    let lines: Vec<_> = found.iter().filter_map(|error| error.split(": ").next()?.split(':').nth(1)).collect();
    assert_eq!(lines, ["3", "4", "5", "6", "8", "9", "11", "13", "14"], "{found:#?}");
    refused(&block("kubernetes a {\nnamespaces x\nnamespace_labels y\n}"), "cannot both be set");
    refused(&block("forward . 192.0.2.1\n{\npolicy random\n}"), "Corefile:3: forward: '{' on a line of its own");
    warned(&block("log\n{\nclass error\n}"), "Corefile:3: log: '{' on a line of its own");
    refused(
        ". {\nlog\nchaos \"x\n}\n",
        "the block that begins in line 1 is not closed: '}' is missing; or is a quote open?",
    );
}

#[test]
fn blocks_are_written_as_they_were_read() {
    written("a.org\n");
    written("a.org {\n}\nb.org {\n}\n");
    // Zones that no client asks for.
    written("dns://cs://a.org a/b {\nfile db\nhosts /etc/hosts a/b c {\nfallthrough a/b\n}\n}\n");
}

#[test]
fn the_example_of_every_directive_is_written_as_it_was_read() {
    for known in crate::config::REFERENCES {
        let read = loaded(&format!("example.org {{\n{}\n}}\n", known.example)).config;
        assert!(read.servers[0].directives().contains(&known.name), "{}", known.name);
        let written = read.to_corefile().expect(known.name).text;
        assert_eq!(loaded(&written).config, read, "{written}");
    }
}

#[test]
fn the_table_of_directives_is_in_the_order_of_the_alphabet() {
    let names: Vec<&str> = crate::config::REFERENCES.iter().map(|known| known.name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn what_coredns_cannot_listen_for_is_refused() {
    refused("::/0 {\nwhoami\n}\n", "invalid CIDR ::/0");
    refused("::ffff:10.0.0.0/104 {\nwhoami\n}\n", "invalid CIDR");
    accepted("64:ff9b::/96 {\nwhoami\n}\n");
    refused("unix:///run/x {\nwhoami\n}\n", "name a zone, and a port if need be");
    refused(&block("bind 127.0.0.1 ::1 127.0.0.1\nwhoami"), "127.0.0.1 is named twice");
    warned(&block("health {\nlameduck -5s\n}"), "read as 0s");
}

#[test]
fn a_few_octets_cannot_cost_much() {
    let consolidate = |pattern: &str| format!("consolidate 1s {pattern}\n");
    refused(&block(&format!("errors {{\n{}}}", consolidate("a{1001}"))), "more than 1000 times");
    refused(&block(&format!("errors {{\n{}}}", consolidate("(a{100}){11}"))), "more than 1000 times");
    refused(&block(&format!("errors {{\n{}}}", consolidate(r"\pL{1,200}"))), "too large");
    accepted(&block(&format!(
        "errors {{\n{}}}",
        consolidate(r"^(?:[^.]+\.){4,}internal\.cloudapp\.net\.$").repeat(500)
    )));
    let prefixes: String = (0..200).map(|n| format!("10.{n}.0.0/17 ")).collect();
    refused(&format!("{prefixes} {{\nwhoami\n}}\n"), "more than 20000 zones");
    refused(&block(&format!("kubernetes a {prefixes}")), "more than 20000 zones");
    let told = errors(&block(&(0..9000).map(|n| format!("x{n}\n")).collect::<String>()));
    assert_eq!((told.len(), told.last().map(|last| last.ends_with("8900 more are not shown"))), (101, Some(true)));
}

#[test]
fn acl_takes_actions_types_and_prefixes() {
    let server = only(accepted(&block(
        "acl a.org {\nALLOW TYPE A AAAA NET 10.9.9.9/8 fd00::1 ::ffff:192.0.2.0/120\nblock net * 10.0.0.0/8\nfilter type A *\ndrop\n}",
    )));
    let [acl] = server.acl.as_slice() else { panic!("{:?}", server.acl) };
    let rules: Vec<String> = acl.rules.iter().map(|rule| format!("{:?} {:?}", rule.types, rule.prefixes)).collect();
    assert_eq!(rules, ["[A, AAAA] [10.0.0.0/8, fd00::1/128, 192.0.2.0/24]", "[] []", "[] []", "[] []"]);
    let refused_rule = |rule: &str, part: &str| refused(&block(&format!("acl {{\n{rule}\n}}")), part);
    refused_rule("deny", "unknown property \"deny\"; it takes allow, block, filter, drop");
    refused_rule("blok", "did you mean \"block\"?");
    refused_rule("block foo", "`type` or `net` is expected, not \"foo\"");
    refused_rule("block type aaaa", "type takes a record type such as AAAA, not \"aaaa\"");
    refused_rule("block type net 10.0.0.0/8", "type takes a record type");
    refused_rule("block net", "net takes a prefix such as 10.0.0.0/8, or an address, or *");
    refused_rule("block net 10.0.0.0/33", "not \"10.0.0.0/33\"");
    refused_rule("block net 10.0.0.0/8, 10.1.0.0/16", "not \"10.0.0.0/8,\"");
    refused(&block("acl { block }"), "put '}' on a line of its own");
    warned(&block("acl"), "there are no rules");
    let servers =
        warned(&block("acl a..b {\ndrop\n}\nmetadata a..b\nlog a..b {x}"), "\"a..b\" is no zone and is left out");
    assert_eq!(only(servers).directives(), Vec::<&str>::new(), "for no name is not for every name");
    let lines = "cache 30 a..b\ntemplate IN A a..b\nhosts /dev/null a..b\ntransfer a..b {\nto *\n}\nauto a..b\nfile /dev/null a..b";
    assert_eq!(only(warned(&block(lines), "is left out")).directives(), Vec::<&str>::new());
    let config = loaded(&block("hosts /dev/null {\nfallthrough a..b\n}")).config;
    assert_eq!(loaded(&config.to_corefile().expect("a Corefile").text).config, config, "no name falls through");
}

#[test]
fn a_view_is_checked_when_it_is_read() {
    accepted(&block("view v"));
    accepted(&block("view v {\nexpr type()  ==   'A' && \"name() == 'a b'\"\nexpr true\n}"));
    refused(&block("view"), "takes one name, not []");
    refused(&block("view v w"), "takes one name");
    refused(&block("view v {\nexp true\n}"), "did you mean \"expr\"?");
    refused(&block("view v {\nexpr\n}"), "expr \"\": a value is expected, not the end");
    refused(&block("view v {\nexpr nmae() == 'a'\n}"), "expr \"nmae() == 'a'\": unknown name \"nmae\"");
    refused(&block("view v { expr true }"), "put '}' on a line of its own");
    refused(&block("view v\nview w"), "once per server block");
    warned(&block("view v {\nexpr size()\n}"), "expr \"size()\" is neither true nor false");
}

#[test]
fn blocks_with_views_share_a_zone_with_one_without() {
    let with = |bind: &str, view: &str| block(&format!("{bind}\nwhoami\n{view}"));
    let (a, b, plain) = (with("", "view a"), with("", "view b"), with("", ""));
    accepted(&format!("{a}{b}{plain}"));
    accepted(&format!("{a}{a}"));
    refused(&format!("{a}{plain}{plain}"), "already defined");
    warned(&format!("{plain}{a}"), "this block is never asked for .: the one of line 1 has no view");
    let (bound, bound_plain) = (with("bind 127.0.0.1", "view a"), with("bind 127.0.0.1", ""));
    accepted(&format!("{bound}{bound_plain}"));
    accepted(&format!("{bound}{plain}"));
    refused(&format!("{plain}{bound}"), "it overlaps with line 1; give both the same `bind`");
    refused(&format!("{bound_plain}{a}"), "it overlaps with line 1");
}

#[test]
fn small_directives_take_what_coredns_takes() {
    for lines in ["cancel", "cancel 1s", "cancel 1s\ncancel", "debug", "metadata", "metadata a b.org", "metadata {\n}"]
    {
        accepted(&block(lines));
    }
    refused(&block("cancel 5"), "is a duration such as 5s");
    refused(&block("cancel 0s"), "longer than 0");
    refused(&block("cancel -1s"), "is a duration such as 5s");
    refused(&block("cancel 1s 2s"), "takes one duration");
    refused(&block("debug x"), "takes nothing; remove \"x\"");
    refused(&block("metadata\nmetadata"), "once per server block");
    refused(&block("metadata {\nx\n}"), "it takes no block");
    assert!(only(accepted(&block("errors {\nstacktrace\n}"))).errors.is_some_and(|errors| errors.stacktrace));
    refused(&block("errors {\nstacktrace x\n}"), "stacktrace takes no argument");
}

#[test]
fn header_sets_and_clears_flags() {
    let header = |rule: &str, part: &str| refused(&block(&format!("header {{\n{rule}\n}}")), part);
    refused(&block("header"), "takes rules in a block");
    header("answer set ra", "unknown property \"answer\"");
    header("response put ra", "set or clear");
    header("response set", "at least one flag");
    header("response set tc", "unknown flag \"tc\"");
    warned(&block("header {\nquery set aa\n}"), "no effect");
    refused(&block("minimal x"), "takes nothing");
}
