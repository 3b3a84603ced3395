//! Spans of `tracing` as OpenTelemetry's, with the identities that Jackfield gives them.
//!
//! A call's place in its trace travels in its head, so client and host say themselves which trace a
//! span is in, which one it is and which is above it: in the fields `trace_id`, `span_id`, `parent_id`
//! and `sampled`. A span without them is in the trace of the one around it; without one around it,
//! it begins a trace if it is a host's (`otel.kind` = `server`), and is nobody's concern otherwise.

use std::fmt;
use std::time::SystemTime;

use jackfield_wire::trace::Sampling;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::SPANS;

/// Takes the spans of calls.
#[derive(Clone, Copy, Debug)]
pub struct SpanLayer {
    sampling: Sampling,
}

impl SpanLayer {
    pub(super) fn new(sampling: Sampling) -> Self {
        Self { sampling }
    }

    /// Lets through what the layer wants, and nothing else: for
    /// [`Layer::with_filter`](tracing_subscriber::Layer::with_filter).
    pub fn filter() -> SpanFilter {
        SpanFilter(())
    }
}

/// What a [`SpanLayer`] wants.
#[derive(Clone, Copy, Debug)]
pub struct SpanFilter(());

impl SpanFilter {
    fn wants(metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with("jackfield");
        metadata.is_span() && is_ours && *metadata.level() <= Level::DEBUG
    }
}

impl<S> Filter<S> for SpanFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::wants(metadata)
    }

    fn callsite_enabled(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        match Self::wants(metadata) {
            true => tracing::subscriber::Interest::always(),
            false => tracing::subscriber::Interest::never(),
        }
    }
}

/// What is known of a span that is open.
struct Open {
    trace: Option<TraceId>,
    id: SpanId,
    parent: SpanId,
    is_sampled: Option<bool>,
    is_remote: bool,
    kind: SpanKind,
    began: SystemTime,
    attributes: Vec<KeyValue>,
    status: Option<String>,
    service: String,
    method: String,
}

impl Open {
    fn new() -> Self {
        Self {
            trace: None,
            id: SpanId::from(fastrand::u64(1..)),
            parent: SpanId::INVALID,
            is_sampled: None,
            is_remote: false,
            kind: SpanKind::Internal,
            began: SystemTime::now(),
            attributes: Vec::new(),
            status: None,
            service: String::new(),
            method: String::new(),
        }
    }

    fn text(&mut self, name: &'static str, text: &str) {
        match name {
            "trace_id" => self.trace = TraceId::from_hex(text).ok(),
            "span_id" => self.id = SpanId::from_hex(text).unwrap_or(self.id),
            "parent_id" => {
                self.parent = SpanId::from_hex(text).unwrap_or(SpanId::INVALID);
                self.is_remote = self.kind == SpanKind::Server;
            }
            "otel.kind" => {
                self.kind = match text {
                    "client" => SpanKind::Client,
                    "server" => SpanKind::Server,
                    _ => SpanKind::Internal,
                };
            }
            "service" => text.clone_into(&mut self.service),
            "method" => text.clone_into(&mut self.method),
            "status" => self.status = Some(text.to_owned()),
            other => {
                let key = format!("jackfield.{other}");
                self.attributes.push(KeyValue::new(key, text.to_owned()));
            }
        }
    }

    /// The names are those of OpenTelemetry's conventions for remote calls.
    fn data(mut self, name: &'static str) -> Option<SpanData> {
        let trace = self.trace?;
        let mut full = name.to_owned();
        if !self.service.is_empty() {
            let both = !self.method.is_empty();
            full = if both {
                format!("{}.{}", self.service, self.method)
            } else {
                self.service.clone()
            };
            self.attributes.push(KeyValue::new("rpc.system", "jackfield"));
            self.attributes.push(KeyValue::new("rpc.service", self.service));
            self.attributes.push(KeyValue::new("rpc.method", self.method));
        }
        let mut status = Status::Unset;
        if let Some(said) = self.status {
            // What a method gives as its own error is an answer.
            if !matches!(said.as_str(), "ok" | "application") {
                status = Status::error(said.clone());
            }
            self.attributes.push(KeyValue::new("jackfield.status", said));
        }
        Some(SpanData {
            span_context: SpanContext::new(
                trace,
                self.id,
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: self.parent,
            parent_span_is_remote: self.is_remote,
            span_kind: self.kind,
            name: full.into(),
            start_time: self.began,
            end_time: SystemTime::now(),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::builder("jackfield").build(),
        })
    }
}

impl Visit for Open {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "sampled" => self.is_sampled = Some(value),
            other => self.attributes.push(KeyValue::new(format!("jackfield.{other}"), value)),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.attributes.push(KeyValue::new(format!("jackfield.{}", field.name()), value));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut open = Open::new();
        attributes.record(&mut open);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(open);
        }
    }

    /// By then all that is known of a span was recorded. One inside it has ended before: those
    /// take their place in the trace from here, while it is open.
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let open = extensions.get::<Open>()?;
            Some((open.trace, open.id, open.is_sampled))
        });
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<Open>().filter(|open| open.trace.is_none()) else {
            return;
        };
        match above {
            Some((trace @ Some(_), id, is_sampled)) => {
                (open.trace, open.parent, open.is_sampled) = (trace, id, is_sampled);
            }
            _ if open.kind == SpanKind::Server => {
                let id = fastrand::u128(1..);
                open.trace = Some(TraceId::from(id));
                open.is_sampled = Some(self.sampling.takes(None, id));
            }
            _ => {}
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let trace = open.trace.map_or(0, |trace| u128::from_be_bytes(trace.to_bytes()));
        if !self.sampling.takes(open.is_sampled, trace) {
            return;
        }
        if let (Some(spans), Some(data)) = (SPANS.get(), open.data(span.name())) {
            spans.on_end(data);
        }
    }
}
