//! Connections, and the way of a request through rights and faults to its answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{ACCEPT, AUTHORIZATION, HeaderName};
use axum::http::{Method, Request};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::form::{Form, Shape};
use super::list::{Parameters, Scope};
use super::resource::ObjectPath;
use super::silence::{Place, held};
use super::status::Status;
use super::{Asked, Shared, discovery, list, watch};

/// A port that stays ours while nothing listens, so that a refused client never meets somebody else.
pub struct Address {
    reserved: SocketAddr,
    tls: Option<TlsAcceptor>,
    _placeholder: TcpSocket,
}

/// A listener with its connections.
pub struct Running(JoinHandle<()>);

impl Address {
    /// Takes a free port of 127.0.0.1.
    pub fn reserve(runtime: &Runtime) -> (Self, SocketAddr) {
        let _inside = runtime.enter();
        let placeholder = shared_socket(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let reserved = placeholder.local_addr().unwrap();
        (Self { reserved, tls: None, _placeholder: placeholder }, reserved)
    }

    pub fn use_tls(&mut self, tls: TlsAcceptor) {
        self.tls = Some(tls);
    }

    pub fn socket_address(&self) -> SocketAddr {
        self.reserved
    }

    /// Begins to take connections.
    pub fn listen(&self, runtime: &Runtime, shared: &Arc<Shared>) -> Running {
        let _inside = runtime.enter();
        let listener = shared_socket(self.reserved).and_then(|socket| socket.listen(128)).unwrap();
        Running(runtime.spawn(accept(listener, self.tls.clone(), Arc::clone(shared))))
    }
}

fn shared_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Running {
    /// Closes the listener and cuts its connections.
    pub async fn stop(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Dropping the set ends the connections in the middle of whatever they do.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                connections.spawn(serve(stream, tls.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves a connection. That a client goes away is no failure of the server.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Clients of a watch wait for single lines.
    let _ = stream.set_nodelay(true);
    let has_certificate = tls.is_some();
    let connection = {
        let mut state = shared.lock();
        state.connections += 1;
        state.connections - 1
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            Place { connection, watched: None }.may_speak(&shared).await;
            let answer = answer(&shared, &request, has_certificate, connection).await;
            answer.ok_or_else(|| io::Error::other("no answer"))
        }
    });
    let http = http1::Builder::new();
    match tls {
        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(http.serve_connection(TokioIo::new(stream), service).await);
            }
        }
    }
}

/// None: the connection ends without an answer.
async fn answer(
    shared: &Arc<Shared>,
    request: &Request<Incoming>,
    has_certificate: bool,
    connection: usize,
) -> Option<Response> {
    let Ok(Query(parameters)) = Query::<Parameters>::try_from_uri(request.uri()) else {
        return Some(Status::bad_request("malformed query").into_response());
    };
    let Some(path) = ObjectPath::parse(request.uri().path()) else {
        return Some(without_objects(shared, request, has_certificate).unwrap_or_else(Status::into_response));
    };
    let verb = verb(request.method(), &path, &parameters);
    let fault = {
        let mut state = shared.lock();
        // A later page counts and fails apart from the first, and so does a look at one object.
        let kind = match verb {
            "list" if parameters.contains_key("continue") => "continue",
            "list" if parameters.get("limit").is_some_and(|limit| limit == "1") => "peek",
            verb => verb,
        };
        state.requests.push(Asked { verb: kind, plural: path.plural.clone(), parameters: parameters.clone() });
        state.faults.iter_mut().find_map(|injected| injected.hit(kind, &path.plural))
    };
    let answer = objects(shared, request, has_certificate, verb, &path, &parameters).await;
    let answer = answer.unwrap_or_else(Status::into_response);
    let answer = match fault {
        Some(fault) => fault.spoil(answer)?,
        None => answer,
    };
    let watched = (verb == "watch").then(|| path.plural.clone());
    Some(match watched {
        Some(_) => held(shared, Place { connection, watched }, answer),
        None => answer,
    })
}

fn header(request: &Request<Incoming>, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn verb(method: &Method, path: &ObjectPath, parameters: &Parameters) -> &'static str {
    let is_watch = parameters.get("watch").is_some_and(|value| value == "true" || value == "1");
    match *method {
        Method::GET if is_watch => "watch",
        Method::GET if path.name.is_some() => "get",
        Method::GET => "list",
        Method::DELETE => "delete",
        _ => "write",
    }
}

fn without_objects(shared: &Shared, request: &Request<Incoming>, has_certificate: bool) -> Result<Response, Status> {
    shared.lock().rights.user(header(request, AUTHORIZATION), has_certificate)?;
    Ok(discovery::answer(request.uri().path(), shared.lock().settings.has_service_imports))
}

async fn objects(
    shared: &Arc<Shared>,
    request: &Request<Incoming>,
    has_certificate: bool,
    verb: &str,
    path: &ObjectPath,
    parameters: &Parameters,
) -> Result<Response, Status> {
    {
        let rights = &shared.lock().rights;
        let user = rights.user(header(request, AUTHORIZATION), has_certificate)?;
        rights.check(user, verb, path)?;
    }
    let (with_custom, absent) = {
        let settings = &shared.lock().settings;
        (settings.has_service_imports, settings.absent_version)
    };
    let Some(resource) = path.resource(with_custom).filter(|_| absent != Some(&*path.version)) else {
        if discovery::has_group(&path.group, with_custom) {
            return Err(Status::unknown_resource());
        }
        return Ok(discovery::not_found());
    };
    let shape = if verb == "list" { Shape::List } else { Shape::Single };
    let form = Form::negotiate(header(request, ACCEPT), resource, shape)?;
    let scope = Scope::parse(resource, path, parameters)?;
    match (verb, &path.name) {
        ("watch", _) => watch::watch(shared, scope, form, parameters).await,
        ("get", Some(name)) => list::get(shared, &scope, form, name, parameters).await,
        ("list", _) => list::list(shared, &scope, form, parameters).await,
        // Only tests write, and they do not come over the network.
        _ => Ok(Response::builder().status(405).body(Body::empty()).unwrap()),
    }
}
