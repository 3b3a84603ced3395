//! The OpenAPI 3.1 document of the services that can be called now. Pure.
//!
//! Every method has a path of its own, so that a generated client has a typed function for it. The
//! schemas are those that hosts describe their methods with.

use std::sync::Arc;

use jackfield_wire::reflect::{MethodInfo, ServiceInfo};
use jackfield_wire::{Executed, Status, Type};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::call::{GENERATION, HOST};
use crate::catalog::Listing;
use crate::problem::{ATTEMPTS, EXECUTED, PROBLEMS, STATUS, code, title};
use crate::wishes::{IDEMPOTENT, KEY, TIMEOUT, TRACE};

/// The document.
pub(crate) fn document(listing: &Listing) -> Value {
    let paths: Map<String, Value> = listing.services.iter().flat_map(paths).collect();
    let tags = listing.services.iter().map(|info| tag(info));
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Jackfield",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Methods of WebAssembly plugins, by name",
            "description": about(listing),
        },
        "servers": [{ "url": "/" }],
        "tags": tags.collect::<Vec<_>>(),
        "paths": paths,
        "components": components(),
    })
}

fn about(listing: &Listing) -> String {
    let mut text = "Made from the services that can be called at this moment.".to_owned();
    if !listing.failed.is_empty() {
        text.push_str(" No host could be asked about:");
        for (service, why) in &listing.failed {
            text.push_str(&format!("\n- `{service}`: {why}"));
        }
    }
    text
}

fn tag(info: &ServiceInfo) -> Value {
    let mut tag = json!({ "name": info.service });
    if let Some(docs) = &info.docs {
        tag["description"] = docs.trim().into();
    }
    tag
}

fn paths(info: &Arc<ServiceInfo>) -> impl Iterator<Item = (String, Value)> {
    let methods = info.methods.iter().filter(|method| !method.hidden);
    methods.map(|method| {
        let name = utf8_percent_encode(&method.name, SEGMENT);
        let item = json!({ "parameters": parameters(), "post": operation(info, method) });
        (format!("/call/{}/{name}", info.service), item)
    })
}

fn operation(info: &ServiceInfo, method: &MethodInfo) -> Value {
    let mut operation = json!({
        "operationId": format!("{}.{}", info.service, method.name),
        "tags": [info.service],
        "summary": method.wit,
        "responses": responses(method),
    });
    if let Some(docs) = &method.docs {
        operation["description"] = docs.trim().into();
    }
    if !method.signature.params.is_empty() {
        operation["requestBody"] = json!({
            "required": method.signature.params.iter().any(|param| !param.ty.is_option()),
            "content": { "application/json": { "schema": arguments(method) } },
        });
    }
    operation
}

/// By name or by position; options at the end may be left out of both.
fn arguments(method: &MethodInfo) -> Value {
    let params = &method.signature.params;
    let items: Vec<Value> = params.iter().map(|param| param.ty.json_schema()).collect();
    let least = params.iter().rposition(|param| !param.ty.is_option()).map_or(0, |last| last + 1);
    json!({ "anyOf": [
        embedded(&method.params_schema),
        { "type": "array", "prefixItems": items, "minItems": least, "items": false },
    ] })
}

fn responses(method: &MethodInfo) -> Value {
    let result = match &method.result_schema {
        Some(schema) => embedded(schema),
        None => json!({ "type": "null" }),
    };
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({
            "description": title(Status::Ok),
            "headers": answer_headers(),
            "content": { "application/json": { "schema": result } },
        }),
    );
    if matches!(method.signature.result, Some(Type::Result { .. })) {
        let error = method.signature.error_schema();
        let error = error.map_or(json!({ "type": "null" }), |schema| embedded(&schema));
        let schema = json!({
            "allOf": [{ "$ref": PROBLEM }, { "properties": { "error": error } }],
        });
        responses.insert(
            code(Status::Application).as_str().into(),
            json!({
                "description": title(Status::Application),
                "content": { "application/problem+json": { "schema": schema } },
            }),
        );
    }
    responses.insert("default".into(), json!({ "$ref": "#/components/responses/Problem" }));
    responses.into()
}

/// The document names the dialect once.
fn embedded(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
    }
    schema
}

fn parameters() -> Value {
    let names = [TIMEOUT, KEY, IDEMPOTENT, TRACE];
    names.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).as_slice().into()
}

fn answer_headers() -> Value {
    let names = [STATUS, GENERATION, HOST, ATTEMPTS];
    let headers: Map<_, _> = names
        .iter()
        .map(|name| (name.to_string(), json!({ "$ref": format!("#/components/headers/{name}") })))
        .collect();
    headers.into()
}

fn components() -> Value {
    let parameter = |name: &str, description: &str, schema: Value| {
        (
            name.to_owned(),
            json!({ "name": name, "in": "header", "description": description, "schema": schema }),
        )
    };
    let header = |name: &str, description: &str| {
        (name.to_owned(), json!({ "description": description, "schema": { "type": "string" } }))
    };
    json!({
        "schemas": { "Problem": problem() },
        "responses": { "Problem": {
            "description": "It failed; the document says why and whether the method ran",
            "headers": { EXECUTED.as_str(): { "$ref": format!("#/components/headers/{EXECUTED}") } },
            "content": { "application/problem+json": { "schema": { "$ref": PROBLEM } } },
        } },
        "parameters": Map::from_iter([
            parameter(TIMEOUT, "How long the call may take in all: `500ms`, `2s`, `1m`",
                json!({ "type": "string" })),
            parameter(KEY, "Calls with one key go to one host", json!({ "type": "string" })),
            parameter(IDEMPOTENT, "Running the method twice does no harm",
                json!({ "type": "boolean" })),
            parameter(TRACE, "W3C trace context", json!({ "type": "string" })),
        ]),
        "headers": Map::from_iter([
            header(STATUS.as_str(), "How the call ended"),
            header(EXECUTED.as_str(), "Whether the method ran: no, yes or unknown"),
            header(ATTEMPTS.as_str(), "How often it was tried"),
            header(GENERATION.as_str(), "Which version of the plugin answered"),
            header(HOST.as_str(), "Which host answered"),
        ]),
    })
}

fn problem() -> Value {
    let executed = [Executed::No, Executed::Yes, Executed::Unknown];
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457)",
        "required": ["type", "title", "status", "detail", "instance", "jackfield_status", "executed",
            "attempts"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "What was wrong, where, and what to do" },
            "instance": { "type": "string", "format": "uri-reference" },
            "jackfield_status": { "enum": PROBLEMS },
            "executed": { "enum": executed, "description": "Whether the method ran" },
            "attempts": { "type": "array", "items": { "type": "object" } },
            "retry_after_ms": { "type": "integer", "minimum": 0 },
            "error": { "description": "The method's own error" },
        },
    })
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const PROBLEM: &str = "#/components/schemas/Problem";

/// What must be written as `%XX` within one segment of a path: all but the unreserved characters
/// of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests;
