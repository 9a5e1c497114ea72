//! `OTEL_EXPORTER_OTLP_*`: endpoint, headers and security of OTLP exporters.

use super::pairs;
use super::variables::{Variables, present, variable};
use crate::components::ComponentId;
use confmap::{Dict, Environment, Value};

/// The protocol of an OTLP exporter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    /// The protocol of an exporter with this id, if it is an OTLP exporter.
    fn of(id: &str) -> Option<Self> {
        match ComponentId::parse(id).ok()?.kind() {
            "otlp_grpc" | "otlp" => Some(Self::Grpc),
            "otlp_http" | "otlphttp" => Some(Self::Http),
            _ => None,
        }
    }
}

/// Reads the variables for each OTLP exporter of `root`.
pub(super) fn read(root: &Dict, environment: Environment<'_>, variables: &mut Variables) {
    let Some(Value::Dict(_, exporters)) = root.get("exporters") else { return };
    let nothing = Dict::new();
    for (id, value) in exporters {
        let written = match value {
            Value::Dict(_, dict) => dict,
            Value::Empty(..) => &nothing,
            // A value that is no configuration of an exporter, which is reported later.
            _ => continue,
        };
        if let Some(protocol) = Protocol::of(id) {
            Exporter { id, protocol, written, environment, variables }.read();
        }
    }
}

/// One exporter, with its configuration as written and the variables.
struct Exporter<'a> {
    id: &'a str,
    protocol: Protocol,
    written: &'a Dict,
    environment: Environment<'a>,
    variables: &'a mut Variables,
}

/// Name and value of a variable.
type Variable = (String, String);

impl Exporter<'_> {
    fn read(&mut self) {
        let is_meant = self.protocol_is_meant();
        let scheme_is_plain = is_meant && self.endpoint();
        self.pairs();
        if let Some((name, value)) = self.lookup("TIMEOUT") {
            match value.parse::<u32>() {
                Ok(millis) => self.give(&["timeout"], &name, format!("{millis}ms").into()),
                Err(_not_a_number) => {
                    let message = format!("expected a whole number of milliseconds, found {value:?}");
                    self.refuse(&["timeout"], &name, message);
                }
            }
        }
        if let Some((name, value)) = self.lookup("COMPRESSION") {
            self.give(&["compression"], &name, value.into());
        }
        self.security(scheme_is_plain);
    }

    /// The variable for profiles, or else the one for all signals.
    fn lookup(&self, what: &str) -> Option<Variable> {
        ["OTEL_EXPORTER_OTLP_PROFILES_", "OTEL_EXPORTER_OTLP_"].iter().find_map(|prefix| {
            let name = format!("{prefix}{what}");
            variable(self.environment, &name).map(|value| (name, value))
        })
    }

    fn give(&mut self, keys: &[&str], name: &str, value: Value) {
        if present(self.written, keys).is_none() {
            self.variables.give(&self.path(keys), name, value);
        }
    }

    fn refuse(&mut self, keys: &[&str], name: &str, message: String) {
        if present(self.written, keys).is_none() {
            let path: Vec<_> = ["exporters", self.id].into_iter().chain(keys.iter().copied()).collect();
            self.variables.refuse(&path, name, message);
        }
    }

    fn path<'k>(&self, keys: &[&'k str]) -> Vec<&'k str>
    where
        Self: 'k,
    {
        ["exporters", self.id].into_iter().chain(keys.iter().copied()).collect()
    }

    /// False if the variables name a protocol for their endpoint that this exporter does not speak.
    fn protocol_is_meant(&mut self) -> bool {
        let Some((name, value)) = self.lookup("PROTOCOL") else { return true };
        let mut over_http = |encoding: &str| {
            let is_http = self.protocol == Protocol::Http;
            if is_http {
                self.give(&["encoding"], &name, encoding.into());
            }
            is_http
        };
        match value.as_str() {
            "grpc" => self.protocol == Protocol::Grpc,
            "http/protobuf" => over_http("proto"),
            "http/json" => over_http("json"),
            _ => {
                let message = format!("expected grpc, http/protobuf or http/json, found {value:?}");
                self.refuse(&[], &name, message);
                false
            }
        }
    }

    /// True if the variables have set an endpoint without TLS.
    fn endpoint(&mut self) -> bool {
        // Over HTTP the endpoint of all signals is a base, and that of profiles is the whole address.
        let keys = ["endpoint", "endpoints", "profiles_endpoint"];
        if keys.iter().any(|key| present(self.written, &[key]).is_some()) {
            return false;
        }
        let Some((name, value)) = self.lookup("ENDPOINT") else { return false };
        let is_plain = value.starts_with("http://");
        let is_whole = self.protocol == Protocol::Http && name.contains("_PROFILES_");
        let key = if is_whole { "profiles_endpoint" } else { "endpoint" };
        self.give(&[key], &name, value.into());
        // In a variable, unlike in the key `endpoint`, the scheme selects whether there is TLS.
        if is_plain && self.protocol == Protocol::Grpc && present(self.written, &["tls"]).is_none() {
            self.give(&["tls", "insecure"], &name, true.into());
        }
        is_plain
    }

    fn pairs(&mut self) {
        let Some((name, value)) = self.lookup("HEADERS") else { return };
        match pairs::parse(&value) {
            Ok(pairs) => {
                let headers: Dict = pairs.into_iter().map(|(name, value)| (name, value.into())).collect();
                self.give(&["headers"], &name, headers.into());
            }
            Err(message) => self.refuse(&["headers"], &name, message),
        }
    }

    /// Sets certificates, unless the configuration or the endpoint excludes TLS; and whether TLS is off, for which only
    /// gRPC has a key beside its endpoint.
    fn security(&mut self, scheme_is_plain: bool) {
        let written = self.written;
        let has = |keys: &[&str]| keys.iter().any(|key| present(written, &["tls", key]).is_some());
        let is_insecure = matches!(present(written, &["tls", "insecure"]), Some(Value::Bool(_, true)));
        if is_insecure || scheme_is_plain {
            return;
        }
        let insecure = self.lookup("INSECURE").filter(|_| self.protocol == Protocol::Grpc);
        let has_certificates = has(&["ca_file", "ca_pem", "cert_file", "cert_pem"]);
        match insecure.as_ref().map(|(name, value)| (name, value.to_ascii_lowercase())) {
            Some((name, value)) if value == "true" && !has_certificates && !has(&["insecure"]) => {
                self.give(&["tls", "insecure"], name, true.into());
                return;
            }
            Some((name, value)) if value != "true" && value != "false" => {
                self.refuse(&["tls", "insecure"], name, format!("expected true or false, found {value:?}"));
            }
            _ => {}
        }
        if !has(&["ca_file", "ca_pem"])
            && let Some((name, value)) = self.lookup("CERTIFICATE")
        {
            self.give(&["tls", "ca_file"], &name, value.into());
        }
        // A certificate and its key must come from the same source.
        if !has(&["cert_file", "cert_pem", "key_file", "key_pem"]) {
            for (what, key) in [("CLIENT_CERTIFICATE", "cert_file"), ("CLIENT_KEY", "key_file")] {
                if let Some((name, value)) = self.lookup(what) {
                    self.give(&["tls", key], &name, value.into());
                }
            }
        }
    }
}
