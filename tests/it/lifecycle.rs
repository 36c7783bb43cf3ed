//! From start to end: what signals, changed files and mistakes do to the real program.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::dialogue;
use crate::http;
use crate::process::{Process, ask, free_port};

const WEB: &str = "web.shop.svc.cluster.local.";

const CLUSTER: &str = "\
kind: Namespace
metadata: {name: shop}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.80, ports: [{name: http, port: 80, protocol: TCP}]}
";

/// A folder with a Corefile and the manifests of its cluster.
struct Folder(tempfile::TempDir);

impl Folder {
    /// A server on loopback, with all admin pages on one address, and further lines.
    fn new(lines: &str) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        std::fs::write(folder.path("cluster.yaml"), CLUSTER).expect("manifests");
        folder.write(&folder.corefile(lines));
        folder
    }

    fn corefile(&self, lines: &str) -> String {
        let manifests = self.path("cluster.yaml");
        format!(
            "cluster.local {{\n  bind 127.0.0.1\n  kubernetes {{\n    manifests {}\n    ttl 30\n  }}\n  \
             ready 127.0.0.1:0\n  prometheus 127.0.0.1:0\n  {lines}\n}}\n",
            manifests.display()
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a Corefile in place as a mounted ConfigMap does: at once.
    fn write(&self, corefile: &str) {
        std::fs::write(self.path("next"), corefile).expect("a file");
        std::fs::rename(self.path("next"), self.path("Corefile")).expect("a file");
    }

    fn serve(&self) -> Process {
        Process::serve(&self.path("Corefile"))
    }
}

/// Asks without a pause until it is told to stop; says how many questions got no right answer, and how many were asked.
struct Stream {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, usize)>,
}

impl Stream {
    fn start(server: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let (mut lost, mut asked) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    asked += 1;
                    let is_right = ask(server, WEB, RecordType::A).is_some_and(|reply| reply.answers.len() == 1);
                    lost += usize::from(!is_right);
                }
                (lost, asked)
            }
        });
        Self { stop, asking }
    }

    fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().expect("a count")
    }
}

fn answers(server: SocketAddr) -> bool {
    ask(server, WEB, RecordType::A).is_some_and(|reply| reply.answers.len() == 1)
}

fn ttl(server: SocketAddr) -> u32 {
    ask(server, WEB, RecordType::A).expect("a reply").answers[0].ttl
}

fn failed_reloads(process: &Process) -> String {
    let (_, metrics) = process.page("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("coredns_reload_failed_total "));
    line.expect("the metric").to_owned()
}

/// Starts the program, which is to end by itself.
fn check_end(arguments: &[&str], code: i32, parts: &[&str]) {
    let (ended, errors) = Process::start(arguments).end();
    assert_eq!(ended, Some(code), "{arguments:?}: {errors}");
    for part in parts {
        assert!(errors.contains(part), "{arguments:?}: {part:?} is not in {errors}");
    }
}

#[test]
fn a_server_is_ready_when_it_answers() {
    let folder = Folder::new("health 127.0.0.1:0");
    let process = folder.serve();
    assert!(answers(process.dns_address("cluster.local.")));
    assert_eq!(process.page("/ready"), (200, "OK".to_owned()));
    assert_eq!(process.page("/health"), (200, "OK".to_owned()));
}

#[test]
fn sigterm_closes_ready_answers_for_lameduck_and_ends_with_zero() {
    let folder = Folder::new("health 127.0.0.1:0 {\n lameduck 2s\n }");
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    process.signal("TERM");
    let told = Instant::now();
    process.wait_for("[INFO] plugin/health: Going into lameduck mode for 2s");
    assert_eq!(process.page("/ready"), (503, "Shutting down".to_owned()));
    assert_eq!(process.page("/health"), (200, "OK".to_owned()));
    assert!(answers(server), "it answers while others hear that it goes");
    let (code, errors) = process.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(told.elapsed() >= Duration::from_secs(2), "lameduck was {:?}", told.elapsed());
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = Folder::new("health 127.0.0.1:0 {\n lameduck 1h\n }");
    let mut process = folder.serve();
    process.signal("INT");
    process.wait_for("lameduck");
    process.signal("INT");
    assert_eq!(process.end().0, Some(2));
}

#[test]
fn sighup_is_ignored_and_sigquit_ends_at_once() {
    let folder = Folder::new("health 127.0.0.1:0 {\n lameduck 1h\n }");
    let mut process = folder.serve();
    process.signal("HUP");
    assert!(answers(process.dns_address("cluster.local.")));
    process.signal("QUIT");
    assert_eq!(process.end().0, Some(0));
}

#[test]
fn sigusr1_reloads_without_losing_a_query() {
    let folder = Folder::new("");
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    let stream = Stream::start(server);
    for seconds in 31..41 {
        folder.write(&folder.corefile("").replace("ttl 30", &format!("ttl {seconds}")));
        process.signal("USR1");
        process.wait_for("[INFO] Reloading complete");
        assert_eq!(ttl(server), seconds, "the new configuration answers");
    }
    let (lost, asked) = stream.end();
    assert_eq!(lost, 0, "of {asked}");
    assert!(asked > 10, "only {asked} questions were asked");
    assert_eq!(process.page("/ready").0, 200);
    assert!(process.page("/metrics").1.contains("coredns_reload_version_info{hash=\"sha512\",value=\""));
}

/// Another server: NXDOMAIN to everything. Counts what it is asked.
fn other_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let asked = asked.clone();
        move || {
            let mut octets = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut octets) {
                asked.fetch_add(1, Ordering::Relaxed);
                let mut reply = Message::from_vec(&octets[..length]).expect("a question");
                reply.metadata.message_type = MessageType::Response;
                reply.answers.push(dialogue::record("web.example.org. 600 IN A 192.0.2.1"));
                let _ = socket.send_to(&reply.to_vec().expect("a reply"), client);
            }
        }
    });
    (address, asked)
}

#[test]
fn what_is_remembered_survives_a_reload_that_does_not_concern_it() {
    let (other, asked) = other_server();
    let block = format!("example.org {{\nbind 127.0.0.1\nforward . {other}\ncache 300\n}}\n");
    let folder = Folder::new("");
    let corefile = folder.corefile("");
    folder.write(&(corefile.clone() + &block));
    let mut process = folder.serve();
    let server = process.dns_address("example.org.");
    let mut times_asked = |corefile: String| {
        folder.write(&corefile);
        process.signal("USR1");
        process.wait_for("[INFO] Reloading complete");
        assert!(ask(server, "web.example.org.", RecordType::A).is_some_and(|reply| reply.answers.len() == 1));
        asked.load(Ordering::Relaxed)
    };
    assert_eq!(times_asked(corefile.clone() + "# the same\n" + &block), 1);
    assert_eq!(times_asked(corefile.replace("ttl 30", "ttl 31") + &block), 1, "another block changed");
    assert_eq!(times_asked(corefile.clone() + &block.replace("cache", "errors\nlog\ncache")), 1, "the log changed");
    assert_eq!(times_asked(corefile.clone() + &block.replace("300", "200")), 2, "the cache changed");
    let with_hosts =
        block.replace("cache 300", "cache 200\nhosts /dev/null {\n192.0.2.2 a.example.org\nfallthrough\n}");
    assert_eq!(times_asked(corefile + &with_hosts), 2, "what the server knows itself comes before it");
}

#[test]
fn a_changed_file_is_found_by_looking() {
    let folder = Folder::new("reload 2s 0s");
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    folder.write(&folder.corefile("reload 2s 0s").replace("ttl 30", "ttl 60"));
    process.wait_for("[INFO] Reloading complete");
    assert_eq!(ttl(server), 60);
}

#[test]
fn a_broken_file_keeps_the_old_one_is_counted_and_told_once() {
    let folder = Folder::new("reload 2s 0s");
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    assert_eq!(failed_reloads(&process), "0");
    folder.write(&folder.corefile("reload 2s 0s\n  nonsense"));
    let line = process.wait_for("[ERROR] plugin/reload: ");
    assert!(line.contains("Corefile:10: ") && line.contains("nonsense"), "{line}");
    assert!(answers(server));
    assert_eq!(process.page("/ready").0, 200);
    assert_eq!(failed_reloads(&process), "1");
    // Another mistake shows that looking went on, and that the first one was not told again.
    folder.write(&folder.corefile("reload 2s 0s\n  rubbish"));
    process.wait_for("rubbish");
    assert_eq!(failed_reloads(&process), "2");
    let told = process.seen.iter().filter(|line| line.contains("nonsense")).count();
    assert_eq!(told, 1, "{:#?}", process.seen);
    folder.write(&folder.corefile("reload 2s 0s").replace("ttl 30", "ttl 60"));
    process.wait_for("[INFO] Reloading complete");
    assert_eq!(ttl(server), 60);
}

#[test]
fn what_cannot_be_served_keeps_the_old_one_too() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let taken = holder.local_addr().expect("an address");
    let folder = Folder::new("");
    let mut process = folder.serve();
    for lines in [format!("health {taken}"), "bind no-such-if0".to_owned()] {
        folder.write(&folder.corefile(&lines));
        process.signal("USR1");
        process.wait_for("[ERROR] plugin/reload: ");
        assert!(answers(process.dns_address("cluster.local.")));
        assert_eq!(process.page("/ready").0, 200);
    }
    assert_eq!(failed_reloads(&process), "2");
}

#[test]
fn zones_come_and_go_with_a_reload() {
    let folder = Folder::new("");
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    let status = || ask(server, "www.example.org.", RecordType::A).expect("a reply").metadata.response_code;
    assert_eq!(status(), ResponseCode::Refused);
    let more = "example.org {\n bind 127.0.0.1\n hosts /dev/null {\n 192.0.2.1 www.example.org\n }\n}\n";
    folder.write(&(folder.corefile("") + more));
    process.signal("USR1");
    process.wait_for("[INFO] Reloading complete");
    assert_eq!(status(), ResponseCode::NoError);
    folder.write(&folder.corefile(""));
    process.signal("USR1");
    process.wait_for("[INFO] Reloading complete");
    assert_eq!(status(), ResponseCode::Refused);
}

#[test]
fn addresses_change_with_a_reload_and_queries_go_on() {
    let (dns, page) = (free_port(), free_port());
    let folder = Folder::new("");
    let corefile = |bind: &str, host: &str| {
        folder
            .corefile(&format!("health {host}:{page}"))
            .replace("cluster.local {", &format!("cluster.local:{dns} {{"))
            .replace("  bind 127.0.0.1\n", bind)
    };
    folder.write(&corefile("  bind 127.0.0.1\n", ""));
    let mut process = folder.serve();
    let (server, page) = (SocketAddr::from(([127, 0, 0, 1], dns)), SocketAddr::from(([127, 0, 0, 1], page)));
    let stream = Stream::start(server);
    for (bind, host) in [("", "127.0.0.1"), ("  bind 127.0.0.1\n", "localhost"), ("  bind 0.0.0.0 ::\n", "")] {
        folder.write(&corefile(bind, host));
        process.signal("USR1");
        process.wait_for("[INFO] Reloading complete");
        assert!(answers(server), "{bind:?}");
        assert_eq!(http::get(page, "/health").expect("a response").status, 200, "{host:?}");
    }
    let (lost, asked) = stream.end();
    assert_eq!(lost, 0, "of {asked}");
}

#[test]
fn an_address_that_went_may_come_back_at_once() {
    let port = free_port();
    let folder = Folder::new("");
    let mut process = folder.serve();
    let more = format!("example:{port} {{\n bind 127.0.0.1\n whoami\n}}\n");
    for round in 0..10 {
        let is_there = round % 2 == 0;
        folder.write(&(folder.corefile("") + if is_there { &more } else { "" }));
        process.signal("USR1");
        let line = process.wait_for("plugin/reload");
        assert!(line.starts_with("[INFO]"), "{line}");
        process.wait_for("[INFO] Reloading complete");
    }
}

#[test]
fn all_addresses_and_one_may_be_served_differently_on_one_port() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("Corefile");
    let text = "ONE {\n bind 127.0.0.1\n hosts /dev/null {\n 192.0.2.1 a.example\n }\n}\nALL {\n whoami\n}\n";
    let text = text.replace("ONE", &format!("example:{port}")).replace("ALL", &format!("test:{port}"));
    std::fs::write(&file, text).expect("a file");
    let process = Process::serve(&file);
    for (host, zone, other) in [("127.0.0.1", "a.example.", "a.test."), ("127.0.0.2", "a.test.", "a.example.")] {
        let server = SocketAddr::new(host.parse().expect("an address"), port);
        let code = |name| ask(server, name, RecordType::A).expect("a reply").metadata.response_code;
        assert_eq!((code(zone), code(other)), (ResponseCode::NoError, ResponseCode::Refused), "{host}");
    }
    drop(process);
}

#[test]
fn mistakes_in_arguments_and_files_have_their_own_codes() {
    check_end(&["-no-such-flag"], 2, &["no-such-flag"]);
    check_end(&["-dns.port", "x"], 2, &["dns.port"]);
    check_end(&["-conf", "/no/such/file"], 1, &["/no/such/file:1: "]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("Corefile");
    std::fs::write(&file, ".:0 {\n  errors\n  nonsense\n}\n").expect("a file");
    let name = file.to_str().expect("a path");
    check_end(&["-conf", name], 1, &[&format!("{name}:3: "), "nonsense"]);
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("Corefile");
    std::fs::write(&file, ". {\n  bind 127.0.0.1\n  whoami\n}\n").expect("a file");
    let arguments = ["-conf", file.to_str().expect("a path"), "-dns.port", &port];
    check_end(&arguments, 1, &[&format!("cannot listen on 127.0.0.1:{port}"), "another server has this port"]);
}

#[test]
fn the_pidfile_holds_the_process_and_quiet_says_nothing_at_start() {
    let folder = Folder::new("");
    let (file, pidfile) = (folder.path("Corefile"), folder.path("pid"));
    let arguments = ["-conf", file.to_str().expect("a path"), "-dns.port", "0", "-quiet", "-pidfile"];
    let mut process = Process::start(&[&arguments[..], &[pidfile.to_str().expect("a path")]].concat());
    let deadline = Instant::now() + Duration::from_secs(30);
    let written = loop {
        match std::fs::read_to_string(&pidfile) {
            Ok(text) if text.ends_with('\n') => break text,
            _ => assert!(Instant::now() < deadline, "no pidfile"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    process.signal("TERM");
    assert_eq!(process.end().0, Some(0));
    assert!(written.trim().parse::<u32>().is_ok(), "{written:?}");
    assert!(!pidfile.exists(), "it is there while the process is");
    assert!(process.seen.iter().all(|line| line.starts_with('[')), "{:#?}", process.seen);
}

#[test]
fn as_many_files_may_be_open_as_the_system_allows() {
    let folder = Folder::new("");
    let mut process = Process::serve_limited(&folder.path("Corefile"), "-S -n 256");
    assert_eq!(process.count("more files may be open from=256"), 1, "{:#?}", process.seen);
    let page = process.page("/metrics").1;
    let limit = page.lines().find_map(|line| line.strip_prefix("process_max_fds ")).expect("the limit");
    assert!(limit.parse::<f64>().expect("a number") > 256.0, "{limit}");
}

#[test]
fn a_pidfile_that_cannot_be_written_is_told_and_no_reason_to_end() {
    let folder = Folder::new("");
    let file = folder.path("Corefile");
    let arguments = ["-conf", file.to_str().expect("a path"), "-dns.port", "0", "-pidfile", "/no/such/folder/pid"];
    let mut process = Process::start(&arguments);
    process.wait_for("[ERROR] cannot write the pidfile");
    assert!(answers(process.dns_address("cluster.local.")));
}

#[test]
fn the_metrics_page_has_coredns_names() {
    let folder = Folder::new("cache\n  errors\n  loadbalance\n  health 127.0.0.1:0");
    let process = folder.serve();
    let server = process.dns_address("cluster.local.");
    assert!(answers(server));
    ask(server, "example.org.", RecordType::A).expect("a reply");
    let (status, text) = process.page("/metrics");
    assert_eq!(status, 200);
    for part in [
        "coredns_build_info{goversion=\"\",revision=\"\",version=\"",
        "coredns_panics_total 0",
        "coredns_plugin_enabled{name=\"kubernetes\",server=\"dns://127.0.0.1:0\",view=\"\",zone=\"cluster.local.\"} 1",
        "coredns_dns_requests_total{family=\"1\",proto=\"udp\",server=\"dns://127.0.0.1:0\",type=\"A\",view=\"\",zone=\"cluster.local.\"} 1",
        "zone=\"dropped\"} 1",
        "coredns_dns_request_duration_seconds_bucket{",
        "coredns_dns_request_size_bytes_bucket{",
        "coredns_dns_response_size_bytes_bucket{",
        "coredns_dns_responses_total{plugin=\"kubernetes\",rcode=\"NOERROR\",",
        "coredns_forward_healthcheck_broken_total 0",
        "coredns_forward_max_concurrent_rejects_total 0",
        "coredns_health_request_duration_seconds_bucket{",
        "coredns_health_request_failures_total 0",
        "coredns_reload_failed_total 0",
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn debug_lines_come_while_a_block_has_debug() {
    let errors = "errors {\n consolidate 1h \".*\" debug show_first\n }\n template IN A fails.cluster.local {\n rcode SERVFAIL\n }";
    let folder = Folder::new(errors);
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    let fail = || ask(server, "fails.cluster.local.", RecordType::A).expect("a reply").metadata.response_code;
    for (lines, is_debug) in [("debug", true), ("", false)] {
        folder.write(&folder.corefile(&format!("{errors}\n {lines}")));
        process.signal("USR1");
        process.wait_for("Reloading complete");
        let before = process.count("[DEBUG]");
        assert_eq!(fail(), ResponseCode::ServFail);
        match is_debug {
            true => drop(process.wait_for("[DEBUG] plugin/errors: 2 fails.cluster.local. A: ")),
            false => assert_eq!(process.count("[DEBUG]"), before),
        }
    }
}

#[test]
fn the_query_log_has_the_labels_of_the_block_that_answered() {
    let folder = Folder::new("");
    let view = |name: &str, record_type: &str| {
        format!(
            "metadata\n view {name} {{\n expr type() == '{record_type}'\n }}\n log . \"{name} {{/view/name}} {{/kubernetes/service}} {{/log/type}} {{/x}}\""
        )
    };
    folder.write(&[view("addresses", "A"), view("others", "AAAA")].map(|lines| folder.corefile(&lines)).concat());
    let mut process = folder.serve();
    let server = process.dns_address("cluster.local.");
    assert_eq!(process.count("cluster.local.:"), 1, "a zone is served once, however many blocks it has");
    assert!(answers(server));
    process.wait_for("[INFO] addresses addresses web NOERROR -");
    ask(server, WEB, RecordType::AAAA).expect("a reply");
    process.wait_for("[INFO] others others web NODATA -");
}

#[test]
fn multisocket_says_how_many_threads_answer() {
    let process = Folder::new("multisocket 3").serve();
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.id())).expect("the threads");
    let names = threads.map(|thread| std::fs::read_to_string(thread.expect("a thread").path().join("comm")));
    assert_eq!(names.filter(|name| name.as_deref().is_ok_and(|name| name.trim() == "udp")).count(), 3);
    assert!(answers(process.dns_address("cluster.local.")));
}

#[test]
fn pprof_shows_the_process_beside_the_other_pages() {
    let process = Folder::new("pprof 127.0.0.1:0").serve();
    let (status, arguments) = process.page("/debug/pprof/cmdline");
    assert!(status == 200 && arguments.contains("-conf"), "{arguments}");
    assert_eq!(process.page("/ready").0, 200);
}

#[test]
fn the_corefile_of_kubernetes_own_test_is_served_as_it_is() {
    // E7, with the port of the arguments; `hosts` reads /etc/hosts, too.
    let folder = tempfile::tempdir().expect("a folder");
    let corefile = folder.path().join("Corefile");
    let text = ". {\n  hosts {\n    1.1.1.1 notexistname.resolv.conf.local\n  }\n  log\n}\n";
    std::fs::write(&corefile, text).expect("a Corefile");
    let process = Process::serve(&corefile);
    let server = process.dns_address_for("127.0.0.1".parse().expect("an address"));
    for (name, expected) in [("notexistname.resolv.conf.local.", vec!["1.1.1.1"]), ("notexistname.", Vec::new())] {
        let reply = ask(server, name, RecordType::A).expect("a reply");
        let found: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(found, expected, "{name}");
    }
}
