//! Tests of variables beside a configuration.

use confmap::{Location, Tree, Value};

use super::*;

/// The values that `variables` add to the configuration `text`, one a line as `path = value (place)`; then the faults.
fn read(text: &str, variables: &[(&str, &str)]) -> String {
    let environment =
        |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
    let mut tree = Tree::load(&[Location::Yaml(text.to_owned())], &environment).unwrap();
    tree.fill(defaults(&tree.root, &environment)).unwrap();
    let mut lines = Vec::new();
    for (key, value) in &tree.root {
        leaves(&mut vec![key.clone()], value, &tree, &mut lines);
    }
    lines.extend(tree.faults.as_slice().iter().map(ToString::to_string));
    lines.join("\n")
}

fn leaves(path: &mut Vec<String>, value: &Value, tree: &Tree, lines: &mut Vec<String>) {
    let mut inside = |key: String, value: &Value| {
        path.push(key);
        leaves(path, value, tree, lines);
        path.pop();
    };
    let text = match value {
        Value::Dict(_, dict) if !dict.is_empty() => {
            return dict.iter().for_each(|(key, value)| inside(key.clone(), value));
        }
        Value::Array(_, items) => {
            return items.iter().enumerate().for_each(|(at, value)| inside(at.to_string(), value));
        }
        Value::String(_, text) => text.clone(),
        Value::Bool(_, value) => value.to_string(),
        Value::Dict(..) => "{}".to_owned(),
        _ => "null".to_owned(),
    };
    let place = tree.context().place(path);
    let place = place.filter(|place| place.starts_with("environment"));
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    lines.push(format!("{} = {text}{place}", path.join("::")));
}

/// A configuration, variables, and the expected values.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// Checks a table.
fn check(table: &[Case<'_>]) {
    for (text, variables, expected) in table {
        assert_eq!(&read(text, variables), expected, "{text} with {variables:?}");
    }
}

#[test]
fn variables_give_what_an_otlp_exporter_leaves_out() {
    check(&[
        (
            "exporters: { otlp_grpc: }",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a:4317"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500")],
            "exporters::otlp_grpc::endpoint = https://a:4317 (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)\n\
             exporters::otlp_grpc::timeout = 1500ms (environment variable OTEL_EXPORTER_OTLP_TIMEOUT)",
        ),
        // The variable for profiles outranks that for all signals; a file outranks both.
        (
            "exporters: { otlp/a: { compression: none }, otlp_grpc/b: {} }",
            &[
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
                ("OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT", "2"),
            ],
            "exporters::otlp/a::compression = none\n\
             exporters::otlp/a::timeout = 2ms (environment variable OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT)\n\
             exporters::otlp_grpc/b::compression = gzip (environment variable OTEL_EXPORTER_OTLP_COMPRESSION)\n\
             exporters::otlp_grpc/b::timeout = 2ms (environment variable OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT)",
        ),
        // Headers are replaced as a whole.
        (
            "exporters: { otlp_http: {}, otlphttp/b: { headers: { c: d } } }",
            &[("OTEL_EXPORTER_OTLP_HEADERS", "a=x%20y,b=2")],
            "exporters::otlp_http::headers::a = x y (environment variable OTEL_EXPORTER_OTLP_HEADERS)\n\
             exporters::otlp_http::headers::b = 2 (environment variable OTEL_EXPORTER_OTLP_HEADERS)\n\
             exporters::otlphttp/b::headers::c = d",
        ),
        // Other exporters ignore the variables, and no exporter is added by them.
        ("exporters: { debug: {} }", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1")], "exporters::debug = {}"),
        ("receivers: {}", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a")], "receivers = {}"),
        ("", &[("OTEL_SERVICE_NAME", "a")], ""),
        // An empty variable counts as unset; so does a null in the file.
        ("exporters: { otlp: {} }", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "")], "exporters::otlp = {}"),
        (
            "exporters: { otlp_grpc: { timeout: } }",
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1")],
            "exporters::otlp_grpc::timeout = 1ms (environment variable OTEL_EXPORTER_OTLP_TIMEOUT)",
        ),
    ]);
}

#[test]
fn the_endpoint_for_profiles_over_http_is_the_whole_address() {
    check(&[
        (
            "exporters: { otlp_http: {} }",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318")],
            "exporters::otlp_http::endpoint = http://a:4318 (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            "exporters: { otlp_http: {} }",
            &[("OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", "http://a/v1/profiles")],
            "exporters::otlp_http::profiles_endpoint = http://a/v1/profiles (environment variable \
             OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT)",
        ),
        (
            "exporters: { otlp_http: { encoding: proto }, otlp_grpc: { endpoints: [a] } }",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            "exporters::otlp_grpc::endpoints::0 = a\n\
             exporters::otlp_http::encoding = proto\n\
             exporters::otlp_http::endpoint = http://b (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            "exporters: { otlp_http: { endpoint: 'http://b' } }",
            &[("OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", "http://a/v1/profiles")],
            "exporters::otlp_http::endpoint = http://b",
        ),
    ]);
}

#[test]
fn an_endpoint_is_for_the_protocol_that_the_variables_name() {
    let both = "exporters: { otlp_grpc: {}, otlp_http: {} }";
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a");
    check(&[
        (
            both,
            &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            "exporters::otlp_grpc = {}\n\
             exporters::otlp_http::encoding = proto (environment variable OTEL_EXPORTER_OTLP_PROTOCOL)\n\
             exporters::otlp_http::endpoint = https://a (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            both,
            &[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "exporters::otlp_grpc::endpoint = https://a (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)\n\
             exporters::otlp_http = {}",
        ),
        (
            "exporters: { otlp_grpc: {} }",
            &[("OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL", "carrier-pigeon")],
            "exporters::otlp_grpc = {}\n\
             exporters::otlp_grpc: expected grpc, http/protobuf or http/json, found \"carrier-pigeon\" (in environment \
             variable OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL)",
        ),
    ]);
}

#[test]
fn security_comes_from_one_source() {
    let ca = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca");
    let certificate = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/cert");
    let key = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key");
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "True");
    check(&[
        (
            "exporters: { otlp_grpc: {} }",
            &[ca, certificate, key],
            "exporters::otlp_grpc::tls::ca_file = /ca (environment variable OTEL_EXPORTER_OTLP_CERTIFICATE)\n\
             exporters::otlp_grpc::tls::cert_file = /cert (environment variable OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)\n\
             exporters::otlp_grpc::tls::key_file = /key (environment variable OTEL_EXPORTER_OTLP_CLIENT_KEY)",
        ),
        (
            "exporters: { otlp_grpc: { tls: { cert_file: /mine } } }",
            &[certificate, key, insecure],
            "exporters::otlp_grpc::tls::cert_file = /mine",
        ),
        (
            "exporters: { otlp_grpc: { tls: { insecure: true } } }",
            &[ca, certificate, key],
            "exporters::otlp_grpc::tls::insecure = true",
        ),
        (
            "exporters: { otlp_grpc: {}, otlp_http: {} }",
            &[insecure],
            "exporters::otlp_grpc::tls::insecure = true (environment variable OTEL_EXPORTER_OTLP_INSECURE)\n\
             exporters::otlp_http = {}",
        ),
        // The scheme in a variable excludes TLS, too.
        (
            "exporters: { otlp_grpc: {} }",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"), ca, ("OTEL_EXPORTER_OTLP_INSECURE", "false")],
            "exporters::otlp_grpc::endpoint = http://a:1 (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)\n\
             exporters::otlp_grpc::tls::insecure = true (environment variable OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            "exporters: { otlp_grpc: {} }",
            &[("OTEL_EXPORTER_OTLP_INSECURE", "maybe")],
            "exporters::otlp_grpc = {}\n\
             exporters::otlp_grpc::tls::insecure: expected true or false, found \"maybe\" (in environment variable \
             OTEL_EXPORTER_OTLP_INSECURE)",
        ),
    ]);
}

#[test]
fn values_that_cannot_be_used_are_faults_that_name_the_variable() {
    check(&[
        (
            "exporters: { otlp_grpc: {} }",
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "5s"), ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")],
            "exporters::otlp_grpc = {}\n\
             exporters::otlp_grpc::headers: member 1 cannot be read: expected name=value pairs separated by commas, \
             percent-encoded UTF-8 (in environment variable OTEL_EXPORTER_OTLP_HEADERS)\n\
             exporters::otlp_grpc::timeout: expected a whole number of milliseconds, found \"5s\" (in environment variable \
             OTEL_EXPORTER_OTLP_TIMEOUT)",
        ),
        // A variable that a file replaces is not read.
        (
            "exporters: { otlp_grpc: { timeout: 1s } }",
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "5s")],
            "exporters::otlp_grpc::timeout = 1s",
        ),
        (
            "service: {}",
            &[("OTEL_RESOURCE_ATTRIBUTES", "a=%zz")],
            "service = {}\n\
             service::telemetry::resource: member 1 cannot be read: expected name=value pairs separated by commas, \
             percent-encoded UTF-8 (in environment variable OTEL_RESOURCE_ATTRIBUTES)",
        ),
    ]);
}

#[test]
fn attributes_of_the_agent_are_joined_with_those_of_the_file() {
    const NAME: (&str, &str) = ("OTEL_SERVICE_NAME", "agent");
    const ATTRIBUTES: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,zone=x%2Cy");
    check(&[
        (
            "service: {}",
            &[NAME, ATTRIBUTES],
            "service::telemetry::resource::attributes::0::name = service.name (environment variable OTEL_SERVICE_NAME)\n\
             service::telemetry::resource::attributes::0::value = agent (environment variable OTEL_SERVICE_NAME)\n\
             service::telemetry::resource::attributes::1::name = zone (environment variable OTEL_SERVICE_NAME)\n\
             service::telemetry::resource::attributes::1::value = x,y (environment variable OTEL_SERVICE_NAME)",
        ),
        (
            "service: { telemetry: { resource: { attributes: [{ name: zone, value: z }] } } }",
            &[ATTRIBUTES],
            "service::telemetry::resource::attributes::0::name = zone\n\
             service::telemetry::resource::attributes::0::value = z\n\
             service::telemetry::resource::attributes::1::name = service.name (environment variable \
             OTEL_RESOURCE_ATTRIBUTES)\n\
             service::telemetry::resource::attributes::1::value = other (environment variable OTEL_RESOURCE_ATTRIBUTES)",
        ),
        // A null removes an attribute, whichever source has it.
        (
            "service: { telemetry: { resource: { service.name: , zone: z } } }",
            &[NAME, ("OTEL_RESOURCE_ATTRIBUTES", "team=t")],
            "service::telemetry::resource::service.name = null\n\
             service::telemetry::resource::team = t (environment variable OTEL_RESOURCE_ATTRIBUTES)\n\
             service::telemetry::resource::zone = z",
        ),
    ]);
}
