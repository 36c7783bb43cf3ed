//! A reflector against an API server that is a script without sockets: whatever happens on the way, what is known in the end is what
//! a fresh list would give.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use kube::Client;
use kube::client::Body;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Context, Reflector};
use crate::cluster::{Change, Namespace, Resource, Snapshot, Store};
use crate::config::directive::ApiPace;
use crate::metrics::Metrics;
use crate::watch::owner::{Owner, QUEUE_LENGTH, Update};
use crate::watch::pace::Pace;
use crate::watch::source::ApiServer;
use crate::watch::{Times, Troubles, convert};

/// How often what is known is compared.
const COMPARE: Duration = Duration::from_secs(300);
/// Objects of a page.
const PAGE: usize = 2;
/// A Service that nothing happens to.
const STEADY: &str = "lighthouse";

/// What happens to the cluster, or on the way from it.
#[derive(Clone, Debug)]
enum Happening {
    Write(u8, u8),
    Delete(u8),
    /// The same, but no watch tells of it.
    LoseWrite(u8, u8),
    LoseDeletion(u8),
    /// A Service has a `spec` that is none.
    Spoil(u8),
    Compact,
    /// All connections break.
    Cut,
    /// All connections are silent from now on.
    Silence,
    BackUp,
    /// The store is what it was at the last backup, with connections or without.
    Restore(bool),
    Fail(Fault, u8),
    Wait(u8),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Status(u16),
    /// 200 and the end.
    End,
    /// 200 and silence.
    Silence,
    /// No answer.
    Hang,
    /// Lines that are no events, then what was asked for.
    Garbage,
    /// Half an event, then the end.
    Half,
    /// A bookmark, then the end.
    BookmarkAndEnd,
}

#[derive(Clone, Debug, Default)]
struct Cluster {
    revision: u64,
    compacted: u64,
    objects: BTreeMap<String, Value>,
    /// Revision, event, and whether it is told.
    log: Vec<(u64, Value, bool)>,
}

#[derive(Default)]
struct State {
    cluster: Cluster,
    backup: Option<Cluster>,
    faults: VecDeque<Fault>,
    /// Connections before these numbers are cut, or silent.
    connections: u64,
    cut: u64,
    silent: u64,
    /// Pages of lists never come.
    pages_hang: bool,
}

struct Script {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Cluster {
    fn write(&mut self, name: &str, spec: Value, is_told: bool) {
        self.revision += 1;
        let event = if self.objects.contains_key(name) { "MODIFIED" } else { "ADDED" };
        let metadata = json!({"name": name, "namespace": "pier", "resourceVersion": self.revision.to_string()});
        let object = json!({"metadata": metadata, "spec": spec});
        self.objects.insert(name.to_owned(), object.clone());
        self.log.push((self.revision, json!({"type": event, "object": object}), is_told));
    }

    fn delete(&mut self, name: &str, is_told: bool) {
        let Some(mut object) = self.objects.remove(name) else { return };
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.log.push((self.revision, json!({"type": "DELETED", "object": object}), is_told));
    }

    fn bookmark(&self, ends_list: bool) -> Value {
        let annotations = if ends_list { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
        let metadata = json!({"resourceVersion": self.revision.to_string(), "annotations": annotations});
        json!({"type": "BOOKMARK", "object": {"metadata": metadata}})
    }
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    fn play(&self, happening: &Happening) {
        let name = |number: &u8| format!("svc-{}", number % 6);
        let spec = |address: &u8| json!({"clusterIP": format!("10.96.0.{address}")});
        let state = &mut *self.lock();
        let cluster = &mut state.cluster;
        match happening {
            Happening::Write(number, address) => cluster.write(&name(number), spec(address), true),
            Happening::LoseWrite(number, address) => cluster.write(&name(number), spec(address), false),
            Happening::Delete(number) => cluster.delete(&name(number), true),
            Happening::LoseDeletion(number) => cluster.delete(&name(number), false),
            Happening::Spoil(number) => cluster.write(&name(number), json!("none"), true),
            Happening::Compact => {
                cluster.compacted = cluster.revision;
                cluster.log.clear();
            }
            Happening::Cut => state.cut = state.connections,
            Happening::Silence => state.silent = state.connections,
            Happening::BackUp => state.backup = Some(cluster.clone()),
            Happening::Restore(cuts) => {
                if let Some(backup) = state.backup.clone() {
                    state.cluster = backup;
                    state.cut = if *cuts { state.connections } else { state.cut };
                }
            }
            Happening::Fail(fault, times) => state.faults.extend(vec![*fault; usize::from(times % 3) + 1]),
            Happening::Wait(_) => {}
        }
        self.changed.send_replace(());
    }

    /// Everything works from now on, and what was spoilt is written anew.
    fn heal(&self) {
        let state = &mut *self.lock();
        state.faults.clear();
        let spoilt: Vec<String> = state
            .cluster
            .objects
            .iter()
            .filter(|(_, object)| object["spec"].is_string())
            .map(|(name, _)| name.clone())
            .collect();
        for name in spoilt {
            state.cluster.write(&name, json!({"clusterIP": "10.96.1.1"}), true);
        }
        self.changed.send_replace(());
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<StreamOf> {
        let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        if path == "/version" {
            return whole(200, &json!({"major": "1", "minor": "36"}));
        }
        let is_watch = parameter("watch").is_some_and(|value| value != "false");
        let fault = self.lock().faults.pop_front();
        match fault {
            Some(Fault::Status(code)) => return whole(code, &json!({"code": code, "message": "scripted"})),
            Some(Fault::Hang) => std::future::pending().await,
            Some(_) | None => {}
        }
        let is_hanging = self.lock().pages_hang && parameter("limit").is_some_and(|limit| limit != "1");
        if !is_watch && is_hanging {
            return std::future::pending().await;
        }
        if !is_watch {
            let offset = parameter("continue").unwrap_or_default();
            let limit = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(PAGE);
            return match fault {
                Some(Fault::End | Fault::BookmarkAndEnd) => stream(vec![], None),
                Some(Fault::Half | Fault::Garbage) => stream(vec![b"{\"items\":[{".to_vec()], None),
                Some(Fault::Silence) => stream(vec![], Some(silence())),
                Some(Fault::Status(_) | Fault::Hang) | None => self.page(offset, limit),
            };
        }
        let from = parameter("resourceVersion").and_then(|from| from.parse().ok());
        let seconds = parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
        self.watch(from.filter(|from| *from > 0), Duration::from_secs(seconds), fault)
    }

    /// A list is that of the revision of its first page: a token that is older than the last change has expired.
    fn page(&self, token: &str, limit: usize) -> Response<StreamOf> {
        let cluster = &self.lock().cluster;
        let (revision, offset) = token.split_once('.').unwrap_or_default();
        let offset: usize = offset.parse().unwrap_or(0);
        if !token.is_empty() && revision != cluster.revision.to_string() {
            return whole(410, &json!({"code": 410, "reason": "Expired"}));
        }
        let items: Vec<&Value> = cluster.objects.values().skip(offset).take(limit).collect();
        let end = offset + items.len();
        let next = if end < cluster.objects.len() { format!("{}.{end}", cluster.revision) } else { String::new() };
        whole(
            200,
            &json!({"metadata": {"resourceVersion": cluster.revision.to_string(), "continue": next}, "items": items}),
        )
    }

    fn watch(self: Arc<Self>, from: Option<u64>, lasts: Duration, fault: Option<Fault>) -> Response<StreamOf> {
        let (connection, mut first, known) = {
            let state = &mut *self.lock();
            state.connections += 1;
            let cluster = &state.cluster;
            let first: Vec<Value> = match from {
                Some(from) if from < cluster.compacted => {
                    return stream(vec![line(&json!({"type": "ERROR", "object": {"code": 410}}))], None);
                }
                Some(_) => Vec::new(),
                None => {
                    let objects = cluster.objects.values().map(|object| json!({"type": "ADDED", "object": object}));
                    objects.chain([cluster.bookmark(true)]).collect()
                }
            };
            (state.connections, first, from.unwrap_or(cluster.revision))
        };
        match fault {
            Some(Fault::End) => return stream(vec![], None),
            Some(Fault::Silence) => return stream(vec![], Some(silence())),
            Some(Fault::Half) => return stream(vec![b"{\"type\":\"ADDED\",\"obj".to_vec()], None),
            Some(Fault::BookmarkAndEnd) if from.is_some() => {
                let bookmark =
                    json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": known.to_string()}}});
                return stream(vec![line(&bookmark)], None);
            }
            Some(Fault::Garbage) => first.insert(0, json!(["nonsense"])),
            Some(Fault::BookmarkAndEnd | Fault::Status(_) | Fault::Hang) | None => {}
        }
        let (lines, received) = mpsc::channel(1000);
        tokio::spawn(async move { self.tell(connection, known, lasts, lines).await });
        stream(first.iter().map(line).collect(), Some(received))
    }

    async fn tell(&self, connection: u64, mut known: u64, lasts: Duration, lines: mpsc::Sender<io::Result<Vec<u8>>>) {
        let (end, mut changed) = (Instant::now() + lasts, self.changed.subscribe());
        let mut bookmark_at = Instant::now() + Duration::from_secs(60);
        loop {
            let (is_cut, is_silent, events, revision) = {
                let state = self.lock();
                let after = state.cluster.log.iter().filter(|(revision, _, _)| *revision > known);
                let events: Vec<Value> =
                    after.filter(|(_, _, is_told)| *is_told).map(|(_, event, _)| event.clone()).collect();
                (connection <= state.cut, connection <= state.silent, events, state.cluster.revision)
            };
            if is_cut {
                let _ = lines.send(Err(io::Error::other("cut"))).await;
                return;
            }
            if is_silent {
                return lines.closed().await;
            }
            for event in &events {
                if lines.send(Ok(line(event))).await.is_err() {
                    return;
                }
            }
            known = known.max(revision);
            tokio::select! {
                _ = changed.changed() => continue,
                () = lines.closed() => return,
                () = sleep_until(end) => return,
                () = sleep_until(bookmark_at) => bookmark_at += Duration::from_secs(60),
            }
            let bookmark = self.lock().cluster.bookmark(false);
            // The server says nothing of a revision that it has not reached again.
            if revision >= known && lines.send(Ok(line(&bookmark))).await.is_err() {
                return;
            }
        }
    }
}

type Frames = futures_util::stream::BoxStream<'static, io::Result<Frame<Bytes>>>;
type StreamOf = StreamBody<Frames>;

fn line(event: &Value) -> Vec<u8> {
    format!("{event}\n").into_bytes()
}

/// A channel that says nothing and does not end.
fn silence() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (lines, received) = mpsc::channel(1);
    tokio::spawn(async move { lines.closed().await });
    received
}

fn stream(first: Vec<Vec<u8>>, rest: Option<mpsc::Receiver<io::Result<Vec<u8>>>>) -> Response<StreamOf> {
    use futures_util::StreamExt;
    let first = futures_util::stream::iter(first.into_iter().map(Ok));
    let rest = futures_util::stream::unfold(rest, async |rest| {
        let mut rest = rest?;
        Some((rest.recv().await?, Some(rest)))
    });
    let frames = first.chain(rest).map(|line| line.map(|line| Frame::data(Bytes::from(line))));
    Response::new(StreamBody::new(frames.boxed()))
}

fn whole(code: u16, body: &Value) -> Response<StreamOf> {
    let mut response = stream(vec![body.to_string().into_bytes()], None);
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a status");
    response
}

/// The names of a cluster and what they lead to.
fn names(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let services = snapshot.namespace("pier").into_iter().flat_map(|namespace| namespace.services());
    services.map(|service| (service.name.to_string(), format!("{:?}", service.kind))).collect()
}

/// What a fresh list of the cluster would give.
fn listed(cluster: &Cluster) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.apply(Change::Namespace(Namespace { name: "pier".into(), labels: Default::default() }), 1);
    for object in cluster.objects.values() {
        let reading = convert::read(Resource::Services, object.clone()).expect("an object");
        snapshot.apply(reading.into_change(Resource::Services), 1);
    }
    snapshot
}

/// A watch of the script, with the store that it fills and what it counts.
async fn start(script: &Arc<Script>, compare: Option<Duration>) -> (Arc<Store>, Arc<Metrics>, CancellationToken) {
    let client = Client::new(
        tower::service_fn({
            let script = script.clone();
            move |request| {
                let script = script.clone();
                async move { Ok::<_, io::Error>(script.answer(request).await) }
            }
        }),
        "default",
    );
    // Everything must go on if one request is allowed at a time.
    let pace = ApiPace { max_in_flight: 1, ..ApiPace::default() };
    let server =
        ApiServer { client, host: "script".to_owned(), pace: Arc::new(Pace::new(&pace)), authorities: Vec::new() };
    let (store, metrics) = (Arc::new(Store::new(vec![Resource::Services])), Arc::new(Metrics::new()));
    let (updates, received) = mpsc::channel(QUEUE_LENGTH);
    let (stop, times) = (CancellationToken::new(), Times::default());
    let pier = Change::Namespace(Namespace { name: "pier".into(), labels: Default::default() });
    updates.send(Update { change: pier, caused_at: None }).await.expect("an owner");
    let owner = Owner::new(store.clone(), metrics.clone(), BTreeMap::new(), received);
    tokio::spawn(owner.run(stop.clone()));
    let (watched, troubles) = (metrics.watch("services"), Troubles::default());
    let context =
        Context { server, labels: None, compare, times, updates, metrics: metrics.clone(), watched, troubles };
    tokio::spawn(Reflector::new(Resource::Services, context).run(stop.clone()));
    store.synced().wait_for(|synced| *synced).await.expect("a store");
    (store, metrics, stop)
}

fn script() -> Arc<Script> {
    let mut state = State::default();
    state.cluster.write(STEADY, json!({"clusterIP": "10.96.9.9"}), true);
    Arc::new(Script { state: Mutex::new(state), changed: watch::Sender::new(()) })
}

/// How often lists were begun for a reason.
fn lists(metrics: &Metrics, reason: &str) -> u64 {
    metrics.landfall_watch_lists.with_label_values(&["services", reason]).get()
}

/// How long it takes until what is known is what is there.
async fn heals_within(store: &Store, script: &Script, patience: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let (known, there) = (names(&store.load()), names(&listed(&script.lock().cluster)));
        if known == there {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < patience, "{known:?} instead of {there:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn play(happenings: Vec<Happening>) {
    let script = script();
    let (store, _metrics, stop) = start(&script, Some(COMPARE)).await;
    for happening in &happenings {
        script.play(happening);
        let wait = match happening {
            Happening::Wait(seconds) => Duration::from_secs(u64::from(*seconds)),
            // A store that goes on from a backup reaches the old revisions again, with other objects; until then it is noticed.
            Happening::Restore(_) => Duration::from_secs(180),
            _ => Duration::from_millis(20),
        };
        if matches!(happening, Happening::Restore(_)) {
            script.lock().faults.clear();
        }
        sleep(wait).await;
        assert!(names(&store.load()).contains_key(STEADY), "{happening:?} hides what is there");
    }
    script.heal();
    heals_within(&store, &script, COMPARE * 4).await;
    stop.cancel();
}

fn happening() -> impl Strategy<Value = Happening> {
    let fault = prop_oneof![
        prop_oneof![Just(400), Just(401), Just(403), Just(404), Just(410), Just(429), Just(500), Just(503)]
            .prop_map(Fault::Status),
        Just(Fault::End),
        Just(Fault::Silence),
        Just(Fault::Hang),
        Just(Fault::Garbage),
        Just(Fault::Half),
        Just(Fault::BookmarkAndEnd),
    ];
    prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(number, address)| Happening::Write(number, address)),
        3 => any::<u8>().prop_map(Happening::Delete),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(number, address)| Happening::LoseWrite(number, address)),
        1 => any::<u8>().prop_map(Happening::LoseDeletion),
        2 => any::<u8>().prop_map(Happening::Spoil),
        2 => Just(Happening::Compact),
        2 => Just(Happening::Cut),
        1 => Just(Happening::Silence),
        1 => Just(Happening::BackUp),
        1 => any::<bool>().prop_map(Happening::Restore),
        4 => (fault, any::<u8>()).prop_map(|(fault, times)| Happening::Fail(fault, times)),
        3 => any::<u8>().prop_map(Happening::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_ends_in_what_a_fresh_list_gives(happenings in proptest::collection::vec(happening(), 0..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(happenings));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_falls_silent_is_noticed_within_a_minute() {
    let script = script();
    let (store, metrics, _stop) = start(&script, None).await;
    sleep(Duration::from_secs(3)).await;
    for number in 0..20 {
        script.play(&Happening::Silence);
        script.play(&Happening::Write(1, number));
        let took = heals_within(&store, &script, Duration::from_secs(60)).await;
        assert!(took > Duration::from_millis(100), "{took:?}");
        sleep(Duration::from_secs(7 * u64::from(number))).await;
    }
    assert_eq!(
        (lists(&metrics, "start"), metrics.landfall_watch_lists.with_label_values(&["services", "gone"]).get()),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_any_more_is_noticed_within_a_minute() {
    let script = script();
    let (store, metrics, _stop) = start(&script, None).await;
    script.play(&Happening::Silence);
    script.play(&Happening::Fail(Fault::Hang, 0));
    script.play(&Happening::Write(1, 1));
    heals_within(&store, &script, Duration::from_secs(60)).await;
    assert_eq!(metrics.landfall_watch_failures.with_label_values(&["services", "stalled"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_is_left_alone() {
    let script = script();
    let (_store, metrics, _stop) = start(&script, Some(COMPARE)).await;
    sleep(Duration::from_secs(3600)).await;
    let watches = metrics.landfall_watch_watches.with_label_values(&["services"]).get();
    assert!((12..=20).contains(&watches), "{watches} watches in an hour");
    assert_eq!(lists(&metrics, "mismatch") + lists(&metrics, "rollback") + lists(&metrics, "gone"), 0);
    assert_eq!(metrics.landfall_watch_failures.with_label_values(&["services", "stalled"]).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_back_under_a_living_connection_is_listed_again() {
    let script = script();
    let (store, metrics, _stop) = start(&script, None).await;
    script.play(&Happening::BackUp);
    script.play(&Happening::Write(1, 1));
    sleep(Duration::from_secs(1)).await;
    script.play(&Happening::Restore(false));
    heals_within(&store, &script, Duration::from_secs(60)).await;
    assert_eq!(lists(&metrics, "rollback"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_the_way_is_found_by_comparing() {
    let script = script();
    let (store, metrics, _stop) = start(&script, Some(COMPARE)).await;
    script.play(&Happening::Write(2, 2));
    sleep(Duration::from_secs(1)).await;
    for lost in [Happening::LoseWrite(1, 1), Happening::LoseWrite(1, 7), Happening::LoseDeletion(2)] {
        script.play(&lost);
        heals_within(&store, &script, COMPARE * 2).await;
    }
    assert_eq!(lists(&metrics, "mismatch"), 3);
    assert_eq!(metrics.landfall_watch_mismatches.with_label_values(&["services"]).get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_comparison_that_hangs_holds_up_no_watch() {
    let script = script();
    let (store, _metrics, _stop) = start(&script, Some(COMPARE)).await;
    for number in 0..10 {
        script.lock().pages_hang = true;
        sleep(COMPARE * 5 / 4 + Duration::from_secs(number)).await;
        script.play(&Happening::Cut);
        script.play(&Happening::Write(1, number as u8));
        heals_within(&store, &script, Duration::from_secs(60)).await;
        script.lock().pages_hang = false;
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_it_is_compared_is_no_difference() {
    let script = script();
    let (store, metrics, _stop) = start(&script, Some(COMPARE)).await;
    for second in 0..3600_u32 {
        let number = second.to_le_bytes()[0];
        script.play(&if second % 3 == 0 { Happening::Delete(number) } else { Happening::Write(number, number) });
        sleep(Duration::from_secs(1)).await;
    }
    heals_within(&store, &script, Duration::from_secs(1)).await;
    assert_eq!(lists(&metrics, "mismatch"), 0);
}

#[tokio::test(start_paused = true)]
async fn watches_that_bring_a_bookmark_and_end_make_no_storm() {
    let script = script();
    let (_store, metrics, _stop) = start(&script, None).await;
    let watches = || metrics.landfall_watch_watches.with_label_values(&["services"]).get();
    script.lock().faults.extend([Fault::BookmarkAndEnd; 10_000]);
    script.play(&Happening::Cut);
    sleep(Duration::from_secs(60)).await;
    let begun = watches();
    sleep(Duration::from_secs(60)).await;
    assert!((10..=120).contains(&(watches() - begun)), "{} watches in a minute", watches() - begun);
}
