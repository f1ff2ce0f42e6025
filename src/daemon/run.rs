//! Starting and stopping, in the process: what `serve`, `try` and the tests share.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::admin::Admin;
use crate::api::Api;
use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::base::ident::IdSource;
use crate::config::Config;
use crate::control;
use crate::control::socket::Access;
use crate::control::socket::Socket;
use crate::daemon::certificate;
use crate::daemon::convert;
use crate::daemon::error::Reason;
use crate::daemon::error::StartError;
use crate::daemon::observe::Observe;
use crate::daemon::operator::Operator;
use crate::directory::Directories;
use crate::http;
use crate::http::Drain;
use crate::http::Endpoint;
use crate::http::Limits;
use crate::http::PlainPeers;
use crate::http::Service;
use crate::http::Tls;
use crate::http::TlsSettings;
use crate::http::Transport;
use crate::store::Store;
use crate::telemetry::metrics::Listener;
use crate::telemetry::metrics::Metrics;

/// How long running requests may take when Rollcall stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How long they may take when the store has failed: writes among them may wait for a disk that never
/// answers, and the restart is what mends it.
const FAILED_DRAIN: Duration = Duration::from_secs(2);
/// How often last uses of tokens are written.
const LAST_USED_EVERY: Duration = Duration::from_secs(60);
/// How often what was deleted too long ago is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// Threads for work that blocks: writes waiting for the disk, checks of tokens, reads from disk.
const BLOCKING_THREADS_MAX: usize = 128;

/// Where time and chance come from.
#[derive(Clone, Debug)]
pub struct Seams {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub ids: Arc<dyn IdSource>,
}

/// The rooms, built bottom-up. Nothing of it runs on the runtime yet.
struct Rooms {
    /// Time and chance.
    seams: Seams,
    /// What is counted.
    metrics: Arc<Metrics>,
    /// Every bound of a request.
    limits: Arc<Limits>,
    /// The certificate; `None` with `tls.mode = "off"`.
    tls: Option<Tls>,
    /// The store.
    store: Store,
    /// Tokens.
    auth: Auth,
    /// Use cases of the operator.
    admin: Arc<Admin>,
    /// The SCIM endpoints.
    api: Arc<Api>,
}

impl Rooms {
    /// Builds the rooms that `config` describes.
    fn build(
        config: &Config,
        seams: Seams,
        tls: Option<Tls>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, Reason> {
        let Seams { clock, ids } = &seams;
        let metrics = Arc::new(Metrics::default());
        if let Some(tls) = &tls {
            certificate::tell(&tls.summary(), config.server.public_url.host(), &metrics);
        }
        let store = Store::open(&convert::store(config), Arc::clone(clock), &**ids, progress)?;
        let settings = convert::auth();
        let auth = Auth::new(store.clone(), Arc::clone(clock), Arc::clone(ids), settings)?;
        let directories = Directories::new(store.clone(), Arc::clone(clock), Arc::clone(ids));
        let public_url: Arc<str> = config.server.public_url.to_string().into();
        let admin = Arc::new(Admin::new(
            store.clone(),
            auth.clone(),
            directories.clone(),
            Arc::clone(clock),
            &public_url,
        ));
        let limits = Arc::new(convert::limits(config));
        let api = Arc::new(Api::new(
            auth.clone(),
            directories,
            store.clone(),
            Arc::clone(clock),
            Arc::clone(&limits),
            public_url,
            Arc::clone(&metrics),
        ));
        Ok(Self {
            seams,
            metrics,
            limits,
            tls,
            store,
            auth,
            admin,
            api,
        })
    }

    /// Serves requests that arrive at `socket` by `service`.
    fn listen<S: Service>(
        &self,
        config: &Config,
        socket: TcpListener,
        service: &Arc<S>,
        (name, transport): (Listener, Transport),
        drain: &Drain,
    ) -> Result<http::Running, Reason> {
        let endpoint = Endpoint {
            socket,
            transport,
            service: Arc::clone(service),
            limits: Arc::clone(&self.limits),
            trusted_proxies: convert::trusted_proxies(config),
            ids: Arc::clone(&self.seams.ids),
            metrics: Arc::clone(&self.metrics),
            name,
        };
        http::serve(endpoint, drain).map_err(|source| Reason::System {
            doing: "serve a listener",
            source,
        })
    }

    /// Opens the two local sockets and serves them.
    fn listen_locally(&self, config: &Config) -> Result<control::server::Running, Reason> {
        let operator = Operator::new(Arc::clone(&self.admin), Arc::clone(&self.metrics));
        let handler = Arc::new(move |request, actor| operator.carry_out(&request, &actor));
        let sockets = vec![
            Socket::open(&config.server.admin_socket, Access::Admin)?,
            Socket::open(&config.server.read_socket(), Access::Read)?,
        ];
        let settings = control::server::Settings::default();
        control::server::start(sockets, handler, Arc::clone(&self.seams.ids), settings).map_err(
            |source| Reason::System {
                doing: "serve the local sockets",
                source,
            },
        )
    }
}

/// A running appliance.
pub struct Running {
    /// The runtime all tasks run on.
    runtime: Runtime,
    /// Where SCIM is served.
    addresses: Vec<SocketAddr>,
    /// The listeners.
    listeners: Vec<http::Running>,
    /// Ends them.
    drain: Drain,
    /// The local sockets.
    sockets: control::server::Running,
    /// Tasks that go on until the end.
    chores: Vec<JoinHandle<()>>,
    /// The rooms.
    rooms: Rooms,
}

/// Builds and starts everything that `config` asks for.
///
/// # Errors
///
/// [`StartError`] says what to do.
pub fn start(config: &Config, seams: Seams) -> Result<Running, StartError> {
    Ok(start_with(config, seams, &|_step| {})?)
}

/// As [`start`], telling `progress` what is being done: a start may take a while.
pub(in crate::daemon) fn start_with(
    config: &Config,
    seams: Seams,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Running, Reason> {
    let tls = Tls::load(&convert::tls(config), Arc::clone(&seams.clock))?;
    // Ports are taken before the store is opened: a wrong port is told at once, and clients that
    // come during a long start wait instead of being refused.
    let scim = config
        .scim
        .listen
        .iter()
        .map(|&address| http::bind(address));
    let scim = scim.collect::<Result<Vec<_>, _>>()?;
    let watchers = config.metrics_listen.map(http::bind).transpose()?;
    let clock = Arc::clone(&seams.clock);
    let rooms = Rooms::build(config, seams, tls, progress)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("rollcall")
        .build()
        .map_err(|source| Reason::System {
            doing: "start the threads that serve requests",
            source,
        })?;
    let entered = runtime.enter();
    let drain = Drain::new();
    let mut listeners = Vec::new();
    for socket in scim {
        let way = (Listener::Scim, convert::transport(rooms.tls.as_ref()));
        listeners.push(rooms.listen(config, socket, &rooms.api, way, &drain)?);
    }
    let addresses = listeners.iter().map(|listener| listener.address).collect();
    if let Some(socket) = watchers {
        let observe = Arc::new(Observe::new(
            Arc::clone(&rooms.metrics),
            rooms.store.clone(),
        ));
        let way = (Listener::Metrics, Transport::Plain(PlainPeers::Anyone));
        listeners.push(rooms.listen(config, socket, &observe, way, &drain)?);
    }
    let sockets = rooms.listen_locally(config)?;
    let mut chores = vec![
        tokio::spawn(write_last_used(rooms.auth.clone())),
        tokio::spawn(forget_deleted(
            rooms.store.clone(),
            clock,
            config.retention.deleted,
        )),
    ];
    if let Some(tls) = rooms.tls.clone() {
        let host = config.server.public_url.host().to_owned();
        chores.push(tokio::spawn(certificate::look_after(
            tls,
            host,
            Arc::clone(&rooms.metrics),
        )));
    }
    drop(entered);
    Ok(Running {
        runtime,
        addresses,
        listeners,
        drain,
        sockets,
        chores,
        rooms,
    })
}

impl Running {
    /// Where SCIM is served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The use cases of the operator.
    pub(in crate::daemon) const fn admin(&self) -> &Arc<Admin> {
        &self.rooms.admin
    }

    /// The store.
    pub(in crate::daemon) const fn store(&self) -> &Store {
        &self.rooms.store
    }

    /// The runtime, to wait for signals on.
    pub(in crate::daemon) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The time.
    pub(in crate::daemon) fn clock(&self) -> &dyn Clock {
        &*self.rooms.seams.clock
    }

    /// Reads certificate and key again, from where `config` says, keeping the old ones if the new
    /// ones cannot be used. The log says what came of it.
    pub fn reload(&self, config: &Config) {
        let settings = convert::tls(config);
        let (host, metrics) = (config.server.public_url.host(), &self.rooms.metrics);
        match &self.rooms.tls {
            Some(tls) => certificate::tell_reload(tls.reload_from(&settings), host, metrics),
            None if settings == TlsSettings::Off => {}
            None => tracing::warn!("tls.mode needs a restart: Rollcall was started without TLS"),
        }
    }

    /// Stops: no new connections, running requests finish, everything durable is written.
    pub fn stop(self) {
        for chore in &self.chores {
            chore.abort();
        }
        // An operator may be waiting for something that takes an hour.
        self.rooms.store.hurry();
        let failed = self.rooms.store.health().failed_since.is_some();
        let drain = if failed { FAILED_DRAIN } else { DRAIN };
        if !self
            .runtime
            .block_on(self.drain.finish(self.listeners, drain))
        {
            tracing::warn!(
                "some requests did not finish within {} s and were cut off",
                drain.as_secs()
            );
        }
        self.runtime.block_on(self.sockets.stop(drain));
        // Writes whose clients went away finish before the store closes, as do blocking threads. One
        // that takes longer is in the commit thread's hands.
        let writes = self.rooms.api.finish_writes();
        let writes = async { tokio::time::timeout(drain, writes).await };
        drop(self.runtime.block_on(writes));
        self.runtime.shutdown_timeout(drain);
        write_last_used_now(&self.rooms.auth);
        self.rooms.store.shutdown();
    }
}

/// Forgets now and then what was deleted too long ago to be restored.
async fn forget_deleted(store: Store, clock: Arc<dyn Clock>, kept: Duration) {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    let mut every = tokio::time::interval(FORGET_EVERY);
    loop {
        every.tick().await;
        let (store, before) = (
            store.clone(),
            clock.now().plus_millis(kept.saturating_neg()),
        );
        let forgotten = tokio::task::spawn_blocking(move || store.forget_deleted(before)).await;
        match forgotten {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(count)) => tracing::info!(
                "{count} deleted users and groups are forgotten: they can be restored no more"
            ),
            Ok(Err(error)) => tracing::warn!(
                %error, "what was deleted long ago could not be forgotten; it will be with the next try"
            ),
        }
    }
}

/// Writes last uses of tokens now and then.
async fn write_last_used(auth: Auth) {
    let mut every = tokio::time::interval(LAST_USED_EVERY);
    // The first tick is at once: nothing is there to write yet.
    every.tick().await;
    loop {
        every.tick().await;
        let auth = auth.clone();
        // The task only fails if writing panics, and the next round tries again.
        drop(tokio::task::spawn_blocking(move || write_last_used_now(&auth)).await);
    }
}

/// Writes last uses of tokens now.
fn write_last_used_now(auth: &Auth) {
    if let Err(error) = auth.flush_last_used() {
        tracing::warn!(%error, "last uses of tokens could not be written; they will be with the next try");
    }
}
