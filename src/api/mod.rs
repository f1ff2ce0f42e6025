//! The SCIM endpoints: the one road that every SCIM request takes.
//!
//! received → caller known → allowed → body read → use case → answered. This room decides who may
//! do what and how outcomes look on the wire; what happens to resources is `directory`'s business,
//! what JSON means is `scim`'s.

mod error;
mod parts;
mod reply;
mod resources;
mod route;
mod scim;
mod write;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::api::error::ApiError;
use crate::api::error::Failure;
use crate::api::reply::Reply;
use crate::api::route::Method;
use crate::api::route::Place;
use crate::api::route::Target;
use crate::auth;
use crate::auth::Auth;
use crate::auth::Authentication;
use crate::auth::Caller;
use crate::auth::present;
use crate::base::clock::Clock;
use crate::base::ident::DirectoryName;
use crate::base::ident::RequestId;
use crate::directory::Directories;
use crate::http::Answer;
use crate::http::BadEscape;
use crate::http::Fault;
use crate::http::Head;
use crate::http::HeaderName;
use crate::http::HeaderValue;
use crate::http::Limits;
use crate::http::Received;
use crate::http::Service;
use crate::http::header;
use crate::scim::error::Condition;
use crate::scim::error::ScimError;
use crate::scim::json::shortened;
use crate::scim::schema::Profile;
use crate::store;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::Route;

/// How many queries may look at every resource at the same time: they are the only requests whose
/// cost grows with the directory, and must not take the machine from the others.
const SCANS_MAX: usize = 1;

/// How many writes may be under way at the same time; more wait for their turn. Half of what waits
/// for the commit thread at most, so that handing over never waits.
const WRITES_MAX: usize = store::JOBS_MAX / 2;
/// Large bodies at a time; whoever sends another waits until it is read.
const LARGE_BODIES_MAX: usize = 4;

/// The header by which Entra says what it is.
const ADSCIM_VERSION: HeaderName = HeaderName::from_static("adscimversion");

/// The SCIM endpoints of all directories.
#[derive(Debug)]
pub struct Api {
    /// Who calls.
    auth: Auth,
    /// Use cases on resources.
    directories: Directories,
    /// Asked for its health only.
    store: Store,
    /// When requests came, for the counters.
    clock: Arc<dyn Clock>,
    /// Every bound of a request.
    limits: Arc<Limits>,
    /// The URL clients reach us under, without a slash at its end.
    public_url: Arc<str>,
    /// What is counted.
    metrics: Arc<Metrics>,
    /// Permits for queries that look at every resource.
    scans: Arc<Semaphore>,
    /// Permits for writes.
    writes: Arc<Semaphore>,
    /// Permits for large bodies: one of 8 MiB takes ten times as much once it is read.
    large_bodies: Arc<Semaphore>,
}

/// What a request is answered, and what is counted and logged beside it.
struct Outcome {
    /// What was asked for.
    route: Route,
    /// The directory's name, once the caller is known to belong to it.
    directory: Option<DirectoryName>,
    /// The answer, or why there is none.
    result: Result<Reply, ApiError>,
}

impl Api {
    /// The endpoints over `auth` and `directories`. `public_url` has no slash at its end.
    pub fn new(
        auth: Auth,
        directories: Directories,
        store: Store,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
        public_url: Arc<str>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let scans = Arc::new(Semaphore::new(SCANS_MAX));
        Self {
            auth,
            directories,
            store,
            clock,
            limits,
            public_url,
            metrics,
            scans,
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
        }
    }

    /// Waits until the writes under way have ended, those of clients that went away included. No
    /// other begins after it.
    pub async fn finish_writes(&self) {
        let all = u32::try_from(WRITES_MAX).unwrap_or(u32::MAX);
        // Fails only when the semaphore is closed, which nobody else does.
        drop(self.writes.acquire_many(all).await);
    }

    /// Sends the request where its path says.
    async fn place(&self, received: Received) -> Outcome {
        let nowhere = |result| Outcome {
            route: Route::Other,
            directory: None,
            result,
        };
        let segments: Result<Vec<Cow<'_, str>>, _> = received.head().segments().collect();
        let segments = match segments {
            Ok(segments) => segments,
            Err(bad) => return nowhere(Err(malformed(&bad))),
        };
        match Place::of(&segments) {
            Place::Health => {
                let result = Ok(self.health(received.head()));
                Outcome {
                    route: Route::Health,
                    directory: None,
                    result,
                }
            }
            Place::Scim { directory, rest } => {
                // Decoded once. A query that cannot be decoded is told so once the caller is known.
                let parameters = received.head().parameters();
                let caller = match self.caller(received.head(), &parameters, directory).await {
                    Ok(caller) => caller,
                    Err(error) => return nowhere(Err(error)),
                };
                let row = Arc::clone(&caller.directory);
                self.metrics
                    .scim_request(row.name.as_str(), self.clock.now());
                let target = Target::of(rest, row.profile == Profile::Entra);
                let route = target.route();
                let result = match parameters {
                    Ok(parameters) => self.answer_scim(received, caller, target, parameters).await,
                    Err(bad) => Err(malformed(&bad)),
                };
                Outcome {
                    route,
                    directory: Some(row.name.clone()),
                    result,
                }
            }
            Place::Nowhere => nowhere(Err(ScimError::new(
                Condition::NotFound,
                "nothing is served here; a Tenant URL has the form https://host/scim/directory/v2",
            )
            .into())),
        }
    }

    /// `/healthz`: whether requests can be served, without a word about anything else.
    fn health(&self, head: &Head) -> Reply {
        if !Method::parse(head.method().as_str()).is_read() {
            let mut reply = Reply::empty(405);
            reply.allow = Some("GET, HEAD, OPTIONS");
            return reply;
        }
        Reply::empty(if self.store.health().writable.is_ok() {
            204
        } else {
            503
        })
    }

    /// Who calls: decided before anything else is looked at, so that nobody without a token learns
    /// which endpoints, resources or directories there are.
    async fn caller(
        &self,
        head: &Head,
        parameters: &Result<Vec<(String, String)>, BadEscape>,
        directory: &str,
    ) -> Result<Caller, ApiError> {
        let in_query = parameters
            .iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let in_query = auth::in_query(in_query);
        let headers = head.headers().get_all(header::AUTHORIZATION);
        let presented = present(headers.iter().map(HeaderValue::as_bytes), in_query);
        let outcome = match self.auth.authenticate(presented, directory, head.client()) {
            Authentication::Known(caller) => {
                self.metrics.auth_cache.add_one("remembered");
                Ok(caller)
            }
            Authentication::Refused(refusal) => Err(refusal),
            Authentication::Check(check) => {
                self.metrics.auth_cache.add_one("checked");
                scim::blocking(move || check.run()).await?
            }
        };
        outcome.map_err(|refusal| {
            self.metrics.auth_failures.add_one(refusal.reason());
            ApiError::Refused(refusal)
        })
    }

    /// Counts and logs a failure, and words its answer.
    fn failed(&self, error: ApiError, outcome: &Told<'_>) -> Reply {
        let Failure {
            reply,
            reason,
            cause,
        } = error.into_failure(outcome.request);
        let directory = outcome.directory.map_or("-", DirectoryName::as_str);
        if let Some(directory) = outcome.directory {
            self.metrics.scim_error(directory.as_str(), reason);
        }
        let (request, status, client) = (outcome.request, reply.status, outcome.client);
        let (method, path, entra) = (outcome.method, outcome.path, outcome.entra);
        // 501 is an answer, not a failure of ours.
        if status >= 500 && status != 501 {
            tracing::error!(request_id = %request, %directory, %reason, status, %client, %entra, "{method} {path} failed: {cause}");
        } else {
            tracing::warn!(request_id = %request, %directory, %reason, status, %client, %entra, "{method} {path} refused: {cause}");
        }
        reply
    }
}

/// What the log says of a failed request beside its reason.
struct Told<'a> {
    /// The request's name.
    request: RequestId,
    /// The directory, where the caller belongs to it.
    directory: Option<&'a DirectoryName>,
    /// Who asked.
    client: IpAddr,
    /// The method.
    method: &'a str,
    /// The path, without the query: filters hold personal data.
    path: &'a str,
    /// What Entra says of itself.
    entra: &'a str,
}

impl Service for Api {
    async fn call(&self, request: Received) -> Answer {
        let head = request.head();
        let (id, client) = (head.request_id(), head.client());
        let (method, path) = (head.method().clone(), head.path().to_owned());
        // By this header Entra is told from others in the log; nothing depends on it.
        let entra = head.headers().get(ADSCIM_VERSION).cloned();
        let Outcome {
            route,
            directory,
            result,
        } = self.place(request).await;
        let entra = entra.as_ref().and_then(|version| version.to_str().ok());
        let entra = shortened(entra.unwrap_or("-"));
        let told = Told {
            request: id,
            directory: directory.as_ref(),
            client,
            method: method.as_str(),
            path: &path,
            entra,
        };
        let reply = match result {
            Ok(reply) => {
                tracing::debug!(request_id = %id, status = reply.status, %entra, "{method} {path} answered");
                reply
            }
            Err(error) => self.failed(error, &told),
        };
        reply.into_answer().with_route(route)
    }

    fn fault(&self, fault: Fault, request_id: RequestId) -> Answer {
        let failure = error::of_fault(fault, request_id);
        tracing::warn!(%request_id, reason = failure.reason, status = failure.reply.status, "refused: {}", failure.cause);
        failure.reply.into_answer()
    }
}

/// The refusal of a URL that cannot be decoded.
fn malformed(bad: &impl std::fmt::Display) -> ApiError {
    ScimError::new(Condition::BadRequest, bad.to_string()).into()
}
