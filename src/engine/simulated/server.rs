//! The network side: a listener on the loopback interface and the dispatch of calls.

use std::convert::Infallible;
use std::future::{self, Future};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use prost::Message;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::codec::ProstCodec;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::metadata::BinaryMetadataValue;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::disturbance::{Disturbance, Disturbances};
use super::fault::Fault;
use super::node::Node;
use super::reply::{Failure, Refusable, Reply};

/// What the server says its version is.
pub const VERSION: &str = "v2.6.0-simulated";

const SERVICE: &str = "/milvus.proto.milvus.MilvusService/";

/// Between the halves of a call that has two.
const HALFTIME: Duration = Duration::from_millis(20);

/// The default of tonic, 4 MiB, is less than what Milvus takes.
const MAX_MESSAGE: usize = 64 << 20;

/// How a [`SimulatedMilvus`] behaves.
#[derive(Debug, Clone, Default)]
pub struct SimulatedOptions {
    /// What it does wrong; nothing by default.
    pub faults: Vec<Fault>,
    /// What clients must present: a token, or `user:password`. By default, nothing.
    pub token: Option<String>,
    /// Whether the last write to a collection is not visible yet to queries that need not see it.
    /// That is no fault.
    pub lags: bool,
    /// Counts the calls that come in, of every server with these options.
    pub calls: Arc<AtomicU64>,
}

/// How fresh a query asked its answer to be, as it came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freshness {
    /// The number of the consistency level: 0 strong, 1 session, 2 bounded, 3 eventually.
    pub consistency_level: i32,
    /// What the server's clock must have passed.
    pub guarantee_timestamp: u64,
}

/// A running server. Dropping it stops it.
///
/// It lives on a thread and a runtime of its own, so that its end is like that of a process: all
/// connections break at once, whatever they were doing.
#[derive(Debug)]
pub struct SimulatedMilvus {
    address: SocketAddr,
    end: Arc<Notify>,
    node: Arc<Mutex<Node>>,
    disturbances: Disturbances,
    thread: Option<JoinHandle<()>>,
}

impl SimulatedMilvus {
    /// Starts a server without data on a free port. It accepts connections when this returns.
    pub fn start(options: SimulatedOptions) -> std::io::Result<SimulatedMilvus> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };

        let end = Arc::new(Notify::new());
        let disturbances = Disturbances::default();
        let node = Arc::new(Mutex::new(Node::new(options.faults, options.lags)));
        let service = Front {
            node: node.clone(),
            authorization: options.token.map(|token| encoded(&token)),
            end: end.clone(),
            disturbances: disturbances.clone(),
            calls: options.calls,
        };
        let ended = end.clone();
        let serve = move || {
            runtime.block_on(async {
                // Without it every answer waits 40 ms for a delayed acknowledgement.
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                tokio::select! {
                    () = ended.notified() => {}
                    result = Server::builder().serve_with_incoming(service, incoming) => {
                        if let Err(error) = result {
                            tracing::error!(%error, "the simulated Milvus stopped serving");
                        }
                    }
                }
            });
        };
        let thread = std::thread::Builder::new().name("simulated-milvus".into()).spawn(serve)?;
        Ok(SimulatedMilvus { address, end, node, disturbances, thread: Some(thread) })
    }

    /// Where to connect, as `http://127.0.0.1:port`.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it still runs; false after a fault brought it down.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Lets something happen to the next call of a name, as `Insert`, once. Several for one name
    /// happen one after the other.
    pub fn disturb(&self, call: &str, disturbance: Disturbance) {
        self.disturbances.add(call, disturbance);
    }

    /// How many disturbances have not happened yet.
    pub fn disturbances_left(&self) -> usize {
        self.disturbances.left()
    }

    /// How fresh the last query asked its answer to be.
    pub fn last_query(&self) -> Option<Freshness> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).last_query
    }

    /// Ends the time in which a [`Disturbance`] has it down. It has lost nothing.
    pub fn revive(&self) {
        self.disturbances.revive();
    }

    /// Goes down and comes back at once, at the same address, with what it has stored. Collections
    /// have to be loaded again.
    pub fn restart(&self) {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).restart();
    }

    /// Stops it. All connections are closed and the port is free when this returns.
    pub fn stop(self) {}
}

impl Drop for SimulatedMilvus {
    fn drop(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the simulated Milvus panicked");
        }
    }
}

/// A token as clients send it in `authorization`: base64, here without its padding.
fn encoded(token: &str) -> String {
    let value = BinaryMetadataValue::from_bytes(token.as_bytes());
    String::from_utf8_lossy(value.as_encoded_bytes()).trim_end_matches('=').to_owned()
}

/// Dispatches calls by their path. The generated trait has some 170 methods, and its server
/// compiles every one; this names the few that are served.
#[derive(Clone)]
struct Front {
    node: Arc<Mutex<Node>>,
    authorization: Option<String>,
    end: Arc<Notify>,
    disturbances: Disturbances,
    calls: Arc<AtomicU64>,
}

impl Service<http::Request<Body>> for Front {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let front = self.clone();
        Box::pin(async move { Ok(front.dispatch(request).await) })
    }
}

impl Front {
    async fn dispatch(&self, request: http::Request<Body>) -> http::Response<Body> {
        if !self.admits(&request) {
            return Status::unauthenticated("auth check failure, please check the token")
                .into_http();
        }
        let path = request.uri().path().to_owned();
        let call = path.strip_prefix(SERVICE).unwrap_or_default();
        if self.disturbances.is_down() {
            return lost();
        }
        match self.disturbances.take(call) {
            None => self.answer(call, request).await,
            Some(disturbance) => self.disturbed(disturbance, call, request).await,
        }
    }

    async fn disturbed(
        &self,
        disturbance: Disturbance,
        call: &str,
        request: http::Request<Body>,
    ) -> http::Response<Body> {
        match disturbance {
            Disturbance::Nothing => self.answer(call, request).await,
            Disturbance::Refused => Status::failed_precondition("refused on purpose").into_http(),
            Disturbance::LostBefore | Disturbance::DownBefore => lost(),
            Disturbance::LostAfter | Disturbance::DownAfter => {
                self.answer(call, request).await;
                lost()
            }
            Disturbance::LostHalfway | Disturbance::DownHalfway => {
                self.answer_halfway(call, request).await;
                lost()
            }
            Disturbance::SilentBefore => future::pending().await,
            Disturbance::SilentAfter => {
                self.answer(call, request).await;
                future::pending().await
            }
            Disturbance::Late(by) => {
                let (front, call) = (self.clone(), call.to_owned());
                // It goes on when the caller has given up.
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    front.answer(&call, request).await;
                });
                future::pending().await
            }
        }
    }

    async fn answer_halfway(&self, call: &str, request: http::Request<Body>) {
        let before = self.node().rows();
        self.answer(call, request).await;
        self.node().undo_every_second_row(before);
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, call: &str, request: http::Request<Body>) -> http::Response<Body> {
        if self.node().dies_in(call) {
            return self.die().await;
        }
        match call {
            "AddCollectionField" => self.serve(request, Node::add_collection_field).await,
            "AlterAlias" => self.serve(request, Node::alter_alias).await,
            "AllocTimestamp" => self.serve(request, Node::alloc_timestamp).await,
            "CheckHealth" => self.serve(request, Node::check_health).await,
            "Connect" => self.serve(request, Node::connect).await,
            "CreateAlias" => self.serve(request, Node::create_alias).await,
            "CreateCollection" => self.serve(request, Node::create_collection).await,
            "CreatePartition" => self.serve(request, Node::create_partition).await,
            "CreateIndex" => self.serve(request, Node::create_index).await,
            "Delete" => self.serve(request, Node::delete).await,
            "DescribeCollection" => self.serve(request, Node::describe_collection).await,
            "DescribeIndex" => self.serve(request, Node::describe_index).await,
            "DropIndex" => self.serve(request, Node::drop_index).await,
            "DropCollection" => self.serve(request, Node::drop_collection).await,
            "DropAlias" => self.serve(request, Node::drop_alias).await,
            "DropPartition" => self.serve(request, Node::drop_partition).await,
            "Flush" => self.serve(request, Node::flush).await,
            "GetCompactionState" => self.serve(request, Node::get_compaction_state).await,
            "GetPersistentSegmentInfo" => {
                self.serve(request, Node::get_persistent_segment_info).await
            }
            "GetLoadState" => self.serve(request, Node::get_load_state).await,
            "GetLoadingProgress" => self.serve(request, Node::get_loading_progress).await,
            "GetReplicas" => self.serve(request, Node::get_replicas).await,
            "GetVersion" => self.serve(request, Node::get_version).await,
            "HasCollection" => self.serve(request, Node::has_collection).await,
            "Insert" => self.serve(request, Node::insert).await,
            "ManualCompaction" => self.serve(request, Node::manual_compaction).await,
            "Search" => self.serve(request, Node::search).await,
            "LoadCollection" => self.serve(request, Node::load_collection).await,
            "Query" => self.serve(request, Node::query).await,
            "ReleasePartitions" => self.serve(request, Node::release_partitions).await,
            "ReleaseCollection" => self.serve(request, Node::release_collection).await,
            "ShowCollections" => self.serve(request, Node::show_collections).await,
            "Upsert" => self.serve_in_two(request, Node::begin_upsert, Node::upsert).await,
            _ => {
                let path = request.uri().path();
                Status::unimplemented(format!("{path} is not simulated")).into_http()
            }
        }
    }

    fn admits(&self, request: &http::Request<Body>) -> bool {
        let Some(wanted) = &self.authorization else { return true };
        let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        given.is_some_and(|given| given.trim_end_matches('=') == wanted)
    }

    async fn serve<Q, R>(
        &self,
        request: http::Request<Body>,
        handle: fn(&mut Node, Q) -> Reply<R>,
    ) -> http::Response<Body>
    where
        Q: Message + Default + 'static,
        R: Message + Refusable + 'static,
    {
        self.serve_in_two(request, |_, _| false, handle).await
    }

    /// A call that has a first half: if that does something, a caller who gives up soon misses the
    /// second.
    async fn serve_in_two<Q, R>(
        &self,
        request: http::Request<Body>,
        begin: fn(&mut Node, &Q) -> bool,
        handle: fn(&mut Node, Q) -> Reply<R>,
    ) -> http::Response<Body>
    where
        Q: Message + Default + 'static,
        R: Message + Refusable + 'static,
    {
        let front = self.clone();
        let unary = Unary(move |message: Q| {
            let front = front.clone();
            async move {
                let begun = begin(&mut front.node(), &message);
                if begun {
                    tokio::time::sleep(HALFTIME).await;
                }
                let reply = handle(&mut front.node(), message);
                match reply {
                    Ok(reply) => reply,
                    Err(Failure::Refused(status)) => R::refused(status),
                    Err(Failure::Hang) => future::pending().await,
                    Err(Failure::Crash) => front.die().await,
                }
            }
        });
        let mut grpc = Grpc::new(ProstCodec::<R, Q>::default())
            .apply_max_message_size_config(Some(MAX_MESSAGE), None);
        grpc.unary(unary, request).await
    }

    /// Ends the server; the runtime is dropped while this waits.
    async fn die<T>(&self) -> T {
        self.end.notify_one();
        future::pending().await
    }
}

/// What a caller sees of a connection that breaks.
fn lost() -> http::Response<Body> {
    Status::unavailable("transport error").into_http()
}

/// A function from message to message, as tonic wants it.
struct Unary<F>(F);

impl<F, A, Q, R> UnaryService<Q> for Unary<F>
where
    F: FnMut(Q) -> A,
    A: Future<Output = R> + Send + 'static,
    R: 'static,
{
    type Response = R;
    type Future = BoxFuture<Response<R>, Status>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = (self.0)(request.into_inner());
        Box::pin(async move { Ok(Response::new(answer.await)) })
    }
}
