//! Why the program ends, or a request does not count.

use std::fmt;

/// Why the program ends, or a request does not count.
pub struct Failed(String);

impl Failed {
    /// A failure told by `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failed {
    /// What `main` prints when it returns the failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every kind of failure is told by its text.
macro_rules! failures {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Failed {
            fn from(error: $kind) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}
failures!(
    std::io::Error,
    hyper::Error,
    hyper::http::Error,
    serde_json::Error,
    rcgen::Error,
    rustls::Error,
    rustls::pki_types::pem::Error,
    rustls::pki_types::InvalidDnsNameError,
    tokio::task::JoinError,
    tokio::time::error::Elapsed,
    rollcall::measure::MeasureError
);
