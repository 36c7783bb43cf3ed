//! A client of the API server that reads its token again when nobody knows it any more.
//!
//! kube reads the file of a token once a minute. Where the old one expires before that, nothing could be watched meanwhile.

use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::{Client, Config, Error};
use tower::Service;

/// How a client is made of a configuration; it reads the token.
pub type MakeClient = fn(Config) -> Result<Client, Error>;

/// A client that goes on with the next token.
pub fn client(config: Config, make: MakeClient) -> Result<Client, Error> {
    let client = make(config.clone())?;
    if config.auth_info.token_file.is_none() {
        return Ok(client);
    }
    let namespace = config.default_namespace.clone();
    Ok(Client::new(Renewing { config, make, client: Arc::new(ArcSwap::from_pointee(client)) }, namespace))
}

/// The client with the newest token.
#[derive(Clone)]
struct Renewing {
    config: Config,
    make: MakeClient,
    client: Arc<ArcSwap<Client>>,
}

impl Renewing {
    async fn send(self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let client = self.client.load_full();
        let response = client.send(request).await?;
        // Of several requests that were refused, the first one is enough. A file that is of no use may be so for a moment.
        if response.status() == StatusCode::UNAUTHORIZED
            && Arc::ptr_eq(&client, &self.client.load())
            && let Ok(next) = (self.make)(self.config.clone())
        {
            self.client.store(Arc::new(next));
        }
        Ok(response)
    }
}

impl Service<Request<Body>> for Renewing {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
