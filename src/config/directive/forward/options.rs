//! The options of `forward`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::to::is_host_name;
use super::{DohMethod, Forward, ForwardTls, HealthCheck, Policy};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::Text;
use crate::dns::ResponseCode;

impl Forward {
    pub(super) fn write_options(&self, options: &mut Writer) {
        if !self.except.is_empty() {
            options.line(std::iter::once("except".to_owned()).chain(self.except.iter().map(Text::text)));
        }
        let words = [
            ("force_tcp", self.force_tcp),
            ("prefer_udp", self.prefer_udp),
            ("failfast_all_unhealthy_upstreams", self.failfast_all_unhealthy_upstreams),
            ("next_on_nodata", self.next_on_nodata),
        ];
        for (name, is_set) in words {
            if is_set {
                options.line([name]);
            }
        }
        options.line(["expire", &self.expire.text()]);
        options.line(["max_fails", &self.max_fails.to_string()]);
        let HealthCheck { interval, recursion_desired, domain } = &self.health_check;
        let no_rec = (!recursion_desired).then(|| "no_rec".to_owned());
        let words = ["health_check".to_owned(), interval.text()].into_iter().chain(no_rec);
        options.line(words.chain(["domain".to_owned(), domain.text()]));
        options.line(["policy", self.policy.as_str()]);
        options.line(["read_timeout", &self.read_timeout.text()]);
        if !self.max_age.is_zero() {
            options.line(["max_age", &self.max_age.text()]);
        }
        if self.max_idle_conns > 0 {
            options.line(["max_idle_conns", &self.max_idle_conns.to_string()]);
        }
        if let Some(attempts) = self.max_connect_attempts {
            options.line(["max_connect_attempts", &attempts.to_string()]);
        }
        for (name, codes) in [("failover", &self.failover), ("next", &self.next)] {
            if !codes.is_empty() {
                options.line(std::iter::once(name.to_owned()).chain(codes.iter().map(Text::text)));
            }
        }
        if self.max_concurrent > 0 {
            options.line(["max_concurrent", &self.max_concurrent.to_string()]);
        }
        self.tls.write(options);
        if self.doh_method != DohMethod::default() {
            options.line(["doh_method", self.doh_method.as_str()]);
        }
        if !self.resolver.is_empty() {
            options.line(std::iter::once("resolver".to_owned()).chain(self.resolver.iter().map(Text::text)));
        }
        if let Some(source) = self.source_address {
            options.line(["source_address", &source.to_string()]);
        }
    }

    pub(super) fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "except" => {
                let arguments = cursor.arguments();
                if arguments.is_empty() {
                    return Err(cursor.error("except takes zones"));
                }
                self.except.extend(cursor.zones(&arguments));
            }
            "force_tcp" => {
                cursor.no_argument()?;
                self.force_tcp = true;
            }
            "prefer_udp" => {
                cursor.no_argument()?;
                self.prefer_udp = true;
            }
            "expire" => self.expire = lower_duration(cursor)?,
            "max_fails" => {
                let text = lower_word(cursor)?;
                self.max_fails = cursor.number(&text, "max_fails", 0..=u32::MAX)?;
            }
            "max_concurrent" => {
                let text = lower_word(cursor)?;
                self.max_concurrent = cursor.number(&text, "max_concurrent", 0..=u32::MAX as usize)?;
            }
            "policy" => {
                self.policy = match lower_word(cursor)?.as_str() {
                    "random" => Policy::Random,
                    "round_robin" => Policy::RoundRobin,
                    "sequential" => Policy::Sequential,
                    other => {
                        return Err(cursor
                            .error(format!("unknown policy {other:?}; there are random, round_robin and sequential")));
                    }
                }
            }
            "health_check" => self.lower_health_check(cursor)?,
            "tls_servername" => {
                let name = lower_word(cursor)?;
                if !is_host_name(&name) && name.parse::<IpAddr>().is_err() {
                    return Err(cursor.error(format!("tls_servername is the name of a server, not {name:?}")));
                }
                self.tls.server_name = Some(name);
            }
            "tls" => self.lower_tls(cursor)?,
            "read_timeout" => {
                self.read_timeout = lower_duration(cursor)?;
                if self.read_timeout.is_zero() {
                    return Err(cursor.error("read_timeout must be more than 0s"));
                }
            }
            "max_age" => self.max_age = lower_duration(cursor)?,
            "max_idle_conns" => {
                let text = lower_word(cursor)?;
                self.max_idle_conns = cursor.number(&text, "max_idle_conns", 0..=u32::MAX as usize)?;
            }
            "max_connect_attempts" => {
                let text = lower_word(cursor)?;
                self.max_connect_attempts = Some(cursor.number(&text, "max_connect_attempts", 0..=u32::MAX)?);
            }
            "failfast_all_unhealthy_upstreams" => {
                cursor.no_argument()?;
                self.failfast_all_unhealthy_upstreams = true;
            }
            "failover" => {
                let codes = lower_codes(cursor)?;
                if codes.contains(&ResponseCode::NoError) {
                    return Err(cursor.error("NOERROR cannot be used in failover: it is the answer"));
                }
                self.failover.extend(codes);
            }
            "next" => self.next.extend(lower_codes(cursor)?),
            "next_on_nodata" => {
                cursor.no_argument()?;
                self.next_on_nodata = true;
            }
            "doh_method" => {
                self.doh_method = match lower_word(cursor)?.as_str() {
                    "GET" => DohMethod::Get,
                    "POST" => DohMethod::Post,
                    other => return Err(cursor.error(format!("doh_method is GET or POST, not {other:?}"))),
                }
            }
            "resolver" => {
                let words = cursor.arguments();
                if words.is_empty() {
                    return Err(cursor.error("resolver takes addresses, e.g. `resolver 192.0.2.53`"));
                }
                let read = |word: &String| {
                    SocketAddr::read(word)
                        .ok_or_else(|| cursor.error(format!("resolver takes {}, not {word:?}", SocketAddr::WHAT)))
                };
                self.resolver = words.iter().map(read).collect::<Result<_, _>>()?;
            }
            "source_address" => {
                let word = lower_word(cursor)?;
                let source: Result<IpAddr, _> = word.parse();
                self.source_address =
                    Some(source.map_err(|_| cursor.error(format!("source_address is an IP address, not {word:?}")))?);
            }
            _ => {
                return Err(cursor.unknown::<Self>());
            }
        }
        Ok(())
    }

    /// `health_check DURATION [no_rec] [domain NAME]`
    fn lower_health_check(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let arguments = cursor.arguments();
        let Some((interval, options)) = arguments.split_first() else {
            return Err(cursor.error("health_check takes a duration"));
        };
        self.health_check.interval = cursor.duration(interval, "health_check")?;
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match (option.as_str(), option.as_str() == "domain") {
                ("no_rec", _) => self.health_check.recursion_desired = false,
                (_, true) => {
                    let domain = options.next().and_then(|domain| crate::dns::parse_name(domain).ok());
                    self.health_check.domain =
                        domain.ok_or_else(|| cursor.error("health_check: domain takes a domain name"))?;
                }
                _ => {
                    return Err(cursor
                        .error(format!("health_check: unknown option {option:?}; there are no_rec and domain NAME")));
                }
            }
        }
        Ok(())
    }

    /// `tls [CERT KEY] [CA]`
    fn lower_tls(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let arguments: Vec<PathBuf> = cursor.arguments().into_iter().map(PathBuf::from).collect();
        match arguments.as_slice() {
            [] => {}
            [authority] => self.tls.authority = Some(authority.clone()),
            [certificate, key] => self.tls.identity = Some((certificate.clone(), key.clone())),
            [certificate, key, authority] => {
                self.tls.identity = Some((certificate.clone(), key.clone()));
                self.tls.authority = Some(authority.clone());
            }
            _ => return Err(cursor.error("tls takes at most a certificate, a key and an authority")),
        }
        Ok(())
    }
}

impl ForwardTls {
    fn write(&self, options: &mut Writer) {
        let path = |path: &PathBuf| path.display().to_string();
        let identity = self.identity.iter().flat_map(|(certificate, key)| [path(certificate), path(key)]);
        let files: Vec<String> = identity.chain(self.authority.as_ref().map(path)).collect();
        if !files.is_empty() {
            options.line(std::iter::once("tls".to_owned()).chain(files));
        }
        if let Some(name) = &self.server_name {
            options.line(["tls_servername", name]);
        }
    }
}

impl DohMethod {
    /// The method of HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl Policy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "round_robin",
            Self::Sequential => "sequential",
        }
    }
}

/// One word behind an option, whatever follows: `{ policy sequential }` on one line is legal here.
fn lower_word(cursor: &mut Cursor<'_>) -> Result<String, CorefileError> {
    let option = cursor.word().to_owned();
    match cursor.next_argument() {
        true => Ok(cursor.word().to_owned()),
        false => Err(cursor.error(format!("{option} takes a value"))),
    }
}

/// Response codes, at least one, in any letter case.
fn lower_codes(cursor: &mut Cursor<'_>) -> Result<Vec<ResponseCode>, CorefileError> {
    let option = cursor.word().to_owned();
    let arguments = cursor.arguments();
    if arguments.is_empty() {
        return Err(cursor.error(format!("{option} takes response codes, e.g. `{option} SERVFAIL REFUSED`")));
    }
    let read = |text: &String| {
        ResponseCode::read(&text.to_ascii_uppercase())
            .ok_or_else(|| cursor.error(format!("{text:?} is not a valid rcode, such as SERVFAIL")))
    };
    arguments.iter().map(read).collect()
}

fn lower_duration(cursor: &mut Cursor<'_>) -> Result<Duration, CorefileError> {
    let option = cursor.word().to_owned();
    let text = lower_word(cursor)?;
    cursor.duration(&text, &option)
}
