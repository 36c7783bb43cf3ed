//! `ready [ADDRESS] { monitor until-ready|continuously }`: says that the server may get queries.

/// The readiness page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// Ask again after all were ready once.
    pub continuously: bool,
}
