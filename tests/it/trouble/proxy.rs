//! A proxy between a campaign and an engine that spoils answers.

use std::convert::Infallible;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use http_body_util::{BodyExt, Full};
use milvus::proto::milvus::QueryResults;
use prost::Message;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tonic::codegen::{BoxFuture, Bytes, Service};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoiled {
    /// Nothing: it passes.
    Not,
    /// A message that is no protobuf.
    Noise,
    /// Bytes that are not even a message.
    Unframed,
    /// The first half of it, as if that were all.
    Halved,
    /// A message without any field.
    Empty,
    /// Its first column alone; of what has no columns, nothing is spoiled.
    Shapeless,
    /// A page of a web server that knows nothing of Milvus.
    Page,
    /// The stream breaks after the first half.
    Broken,
    /// None: the engine has done what it was asked, and is silent.
    Silent,
    /// That of an engine which has done it, while this one has not.
    Forgotten,
}

type Choice = Box<dyn FnMut(&str) -> Spoiled + Send>;

/// A running proxy. Dropping it stops it.
pub struct Proxy {
    address: SocketAddr,
    whole: Arc<AtomicU64>,
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Between campaigns and an engine; `choose` says what becomes of the answer to a call. Another
    /// engine is told the same, and is the one that knows of what is to be forgotten.
    pub fn start(
        engine: &str,
        other: &str,
        choose: impl FnMut(&str) -> Spoiled + Send + 'static,
    ) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a port");
        let (whole, end) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let (engine, other) = (engine.to_owned(), other.to_owned());
        let (counted, ended) = (whole.clone(), end.clone());
        let choose: Arc<Mutex<Choice>> = Arc::new(Mutex::new(Box::new(choose)));
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let channel =
                    |uri: String| Endpoint::from_shared(uri).expect("a URI").connect_lazy();
                let (engine, other) = (channel(engine), channel(other));
                let front = Front { engine, other, choose, whole: counted };
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                tokio::select! {
                    () = ended.notified() => {}
                    served = Server::builder().serve_with_incoming(front, incoming) => {
                        served.expect("it serves");
                    }
                }
            });
        };
        Proxy { address, whole, end, thread: Some(std::thread::spawn(serve)) }
    }

    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many answers to queries and searches were passed on as they were.
    pub fn whole(&self) -> u64 {
        self.whole.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end.notify_one();
        let ended = self.thread.take().expect("it runs").join();
        // Not twice, should the test have failed.
        assert!(ended.is_ok() || std::thread::panicking(), "the proxy panicked");
    }
}

#[derive(Clone)]
struct Front {
    engine: Channel,
    other: Channel,
    choose: Arc<Mutex<Choice>>,
    whole: Arc<AtomicU64>,
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
    }
}

/// An answer as it came.
struct Answer {
    headers: HeaderMap,
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl Front {
    async fn answer(mut self, request: Request<Body>) -> Response<Body> {
        let call = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let spoiled = self.choose.lock().expect("no panic")(&call);
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.expect("a request").to_bytes();
        let asked = || {
            let mut request = Request::new(Body::new(Full::new(bytes.clone())));
            *request.method_mut() = head.method.clone();
            *request.uri_mut() = head.uri.clone();
            *request.headers_mut() = head.headers.clone();
            request
        };
        // In turn, so that both know of the same.
        let there = forward(&mut self.other, asked()).await;
        let answer = match spoiled {
            Spoiled::Forgotten => there,
            _ => forward(&mut self.engine, asked()).await,
        };
        let bytes = answer.bytes.clone();
        let shapeless = shapeless(&call, &bytes).filter(|_| spoiled == Spoiled::Shapeless);
        let whole = match spoiled {
            Spoiled::Not | Spoiled::Forgotten => true,
            Spoiled::Shapeless => shapeless.is_none(),
            _ => false,
        };
        if whole && ["Query", "Search"].contains(&call.as_str()) {
            self.whole.fetch_add(1, Ordering::Relaxed);
        }
        let half = bytes.slice(..bytes.len() / 2);
        match spoiled {
            Spoiled::Not | Spoiled::Forgotten => answer.with(bytes),
            Spoiled::Noise => answer.with(framed(&[0xff; 40])),
            Spoiled::Unframed => answer.with(Bytes::from_static(&[0x7f; 40])),
            Spoiled::Halved => answer.with(half),
            Spoiled::Empty => answer.with(framed(&[])),
            Spoiled::Shapeless => answer.with(shapeless.unwrap_or(bytes)),
            Spoiled::Page => {
                let page = Full::new(Bytes::from_static(b"<html>It works!</html>"));
                let mut response = Response::new(Body::new(page));
                *response.status_mut() = StatusCode::NOT_FOUND;
                let html = HeaderValue::from_static("text/html");
                response.headers_mut().insert("content-type", html);
                response
            }
            Spoiled::Broken => {
                let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                let begin = Full::new(half).map_err(|never| match never {});
                let body = begin.with_trailers(async move { Some(Err(reset)) });
                answer.wrapped(Body::new(body))
            }
            Spoiled::Silent => pending().await,
        }
    }
}

impl Answer {
    fn with(self, bytes: Bytes) -> Response<Body> {
        let trailers = self.trailers.clone();
        let body = Full::new(bytes).with_trailers(async move { trailers.map(Ok) });
        self.wrapped(Body::new(body))
    }

    fn wrapped(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.headers_mut() = self.headers;
        response
    }
}

async fn forward(channel: &mut Channel, request: Request<Body>) -> Answer {
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.expect("the engine runs");
    let (head, body) = channel.call(request).await.expect("the engine answers").into_parts();
    let body = body.collect().await.expect("a whole answer");
    let trailers = body.trailers().cloned();
    Answer { headers: head.headers, bytes: body.to_bytes(), trailers }
}

/// A message as gRPC sends it: a flag, its length, itself.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

/// An answer to a query without its columns but the first.
fn shapeless(call: &str, bytes: &[u8]) -> Option<Bytes> {
    let message = bytes.get(5..).filter(|_| call == "Query")?;
    let mut results = QueryResults::decode(message).ok()?;
    if results.fields_data.len() < 2 {
        return None;
    }
    results.fields_data.truncate(1);
    Some(framed(&results.encode_to_vec()))
}
