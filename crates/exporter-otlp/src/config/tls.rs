//! Keys of `tls`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use configtypes::{Fault, Secret};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Unsupported, unsupported};

/// Encryption of connections, and the certificates that it trusts and shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Speak without TLS. An `https://` endpoint is spoken to with TLS all the same.
    pub insecure: bool,
    /// Speak TLS with a server whoever it is: a protection from those who listen only, not from those who meddle.
    pub insecure_skip_verify: bool,
    /// File of certificates (PEM) to verify the server by, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificates (PEM) to verify the server by, as text instead of a file.
    pub ca_pem: Option<Secret>,
    /// Whether the system's certificates are trusted beside those that are named.
    pub include_system_ca_certs_pool: bool,
    /// File of the certificate (PEM) to show to the server; goes with a key.
    pub cert_file: Option<PathBuf>,
    /// Certificate (PEM) to show to the server, as text instead of a file.
    pub cert_pem: Option<Secret>,
    /// File of the certificate's key (PEM).
    pub key_file: Option<PathBuf>,
    /// The certificate's key (PEM), as text instead of a file.
    pub key_pem: Option<Secret>,
    /// The oldest TLS to speak: `1.2` or `1.3`; absent for 1.2.
    pub min_version: Option<TlsVersion>,
    /// The newest TLS to speak: `1.2` or `1.3`; absent for 1.3.
    pub max_version: Option<TlsVersion>,
    /// The shortest time between two checks whether the files have changed, which are made for new connections; absent
    /// to check for each connection.
    #[serde(with = "configtypes::GoDurationOption")]
    pub reload_interval: Option<Duration>,
    /// Name that the server's certificate must have, if not that of the endpoint.
    pub server_name_override: Option<String>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub cipher_suites: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub curve_preferences: Option<Unsupported>,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub tpm: Option<Unsupported>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsConfig {
    /// True if the configuration names a certificate or key.
    fn names_certificates(&self) -> bool {
        self.ca_file.is_some() || self.ca_pem.is_some() || self.has_cert() || self.has_key()
    }

    fn has_cert(&self) -> bool {
        self.cert_file.is_some() || self.cert_pem.is_some()
    }

    fn has_key(&self) -> bool {
        self.key_file.is_some() || self.key_pem.is_some()
    }

    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        if self.insecure && self.names_certificates() {
            faults.push(Fault::at(
                ["tls", "insecure"],
                "is true beside certificates, expected one or the other",
            ));
        }
        for (name, file, pem) in [
            ("ca", &self.ca_file, &self.ca_pem),
            ("cert", &self.cert_file, &self.cert_pem),
            ("key", &self.key_file, &self.key_pem),
        ] {
            if file.is_some() && pem.is_some() {
                faults.push(Fault::at(
                    ["tls".to_owned(), format!("{name}_pem")],
                    format!("is beside {name}_file, expected one or the other"),
                ));
            }
        }
        if self.has_cert() && !self.has_key() {
            faults.push(Fault::at(["tls", "key_file"], "is missing, expected the key of the certificate"));
        } else if self.has_key() && !self.has_cert() {
            faults.push(Fault::at(["tls", "cert_file"], "is missing, expected the certificate of the key"));
        }
        if self.max_version.is_some_and(|max| self.min_version.is_some_and(|min| min > max)) {
            faults.push(Fault::at(["tls", "min_version"], "is above max_version, expected at most that"));
        }
        unsupported(
            [
                (
                    "tls::cipher_suites",
                    &self.cipher_suites,
                    "no such key: only suites without known weaknesses are used",
                ),
                ("tls::curve_preferences", &self.curve_preferences, "no such key"),
                ("tls::tpm", &self.tpm, "cert_file and key_file"),
            ],
            faults,
        );
    }
}

impl TlsVersion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl Serialize for TlsVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TlsVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber)
    }
}

/// Reads text or a number: `1.2` without quotes is a number to YAML.
struct TextOrNumber;

impl de::Visitor<'_> for TextOrNumber {
    type Value = TlsVersion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version of TLS, \"1.2\" or \"1.3\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TlsVersion, E> {
        let mut known = [TlsVersion::Tls12, TlsVersion::Tls13].into_iter();
        known
            .find(|version| version.as_str() == text)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<TlsVersion, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for TlsVersion {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TlsVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["1.2", "1.3", 1.2, 1.3] })
    }
}
