//! The labels of the HTTP families: closed sets, so that a counter is a place in a table.

/// Makes an enum whose values are the values of a label.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value as it stands in the exposition.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

label! {
    /// Which listener took the request.
    Listener {
        /// The SCIM listener.
        Scim => "scim",
        /// The listener of `/metrics` and the health checks.
        Metrics => "metrics",
    }
}

label! {
    /// What was asked for, without what varies.
    Route {
        /// All users of a directory.
        Users => "/Users",
        /// One user.
        User => "/Users/{id}",
        /// All groups of a directory.
        Groups => "/Groups",
        /// One group.
        Group => "/Groups/{id}",
        /// Discovery: what the server can do.
        ServiceProviderConfig => "/ServiceProviderConfig",
        /// Discovery: attributes.
        Schemas => "/Schemas",
        /// Discovery: endpoints.
        ResourceTypes => "/ResourceTypes",
        /// The resource of the caller, which no token has.
        Me => "/Me",
        /// Search by POST.
        Search => "/.search",
        /// Several operations in one request.
        Bulk => "/Bulk",
        /// Is the server well?
        Health => "/healthz",
        /// The counters.
        Metrics => "/metrics",
        /// Anything else, unknown paths included.
        Other => "other",
    }
}

label! {
    /// The request's method.
    Method {
        /// GET.
        Get => "GET",
        /// POST.
        Post => "POST",
        /// PATCH.
        Patch => "PATCH",
        /// PUT.
        Put => "PUT",
        /// DELETE.
        Delete => "DELETE",
        /// HEAD.
        Head => "HEAD",
        /// OPTIONS.
        Options => "OPTIONS",
        /// Any other.
        Other => "other",
    }
}

impl Method {
    /// The label for a method's name.
    pub fn named(name: &str) -> Self {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.label() == name)
            .unwrap_or(Self::Other)
    }
}
