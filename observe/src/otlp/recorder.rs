//! The `metrics` facade on OpenTelemetry's instruments.
//!
//! Each series is one entry here, whoever asks for it: gauges are counted up and down by several.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::prometheus::BUCKETS;

/// Hands what is recorded to a meter.
pub(crate) struct OtlpRecorder {
    meter: Meter,
    /// None of them is held across an await.
    texts: Mutex<HashMap<String, (String, String)>>,
    counters: Mutex<HashMap<Key, Arc<Counted>>>,
    gauges: Mutex<HashMap<Key, Arc<Gauged>>>,
    histograms: Mutex<HashMap<Key, Arc<Spread>>>,
}

struct Counted {
    instrument: opentelemetry::metrics::Counter<u64>,
    labels: Vec<KeyValue>,
    sum: AtomicU64,
}

struct Gauged {
    instrument: opentelemetry::metrics::Gauge<f64>,
    labels: Vec<KeyValue>,
    /// Its value's bits.
    value: AtomicU64,
}

struct Spread {
    instrument: opentelemetry::metrics::Histogram<f64>,
    labels: Vec<KeyValue>,
}

impl OtlpRecorder {
    pub(crate) fn new(meter: Meter) -> Self {
        let (texts, counters) = (Mutex::default(), Mutex::default());
        let (gauges, histograms) = (Mutex::default(), Mutex::default());
        Self { meter, texts, counters, gauges, histograms }
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
        // The units of UCUM, which OpenTelemetry wants.
        let unit = match unit {
            Some(Unit::Seconds) => "s",
            Some(Unit::Bytes) => "By",
            _ => "1",
        };
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(name.as_str().to_owned(), (unit.to_owned(), text.to_string()));
    }

    fn said(&self, key: &Key) -> (String, String) {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get(key.name()).cloned().unwrap_or_default()
    }
}

/// The entry of `key`, or a new one.
fn entry<K: Clone + Eq + Hash, V>(
    all: &Mutex<HashMap<K, Arc<V>>>,
    key: &K,
    new: impl FnOnce() -> V,
) -> Arc<V> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(key.clone()).or_insert_with(|| Arc::new(new())).clone()
}

fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels()
        .map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned()))
        .collect()
}

impl Recorder for OtlpRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe(&name, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let (unit, text) = self.said(key);
        Counter::from_arc(entry(&self.counters, key, || {
            let builder = self.meter.u64_counter(key.name().to_owned());
            let instrument = builder.with_unit(unit).with_description(text).build();
            Counted { instrument, labels: labels(key), sum: AtomicU64::new(0) }
        }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let (unit, text) = self.said(key);
        Gauge::from_arc(entry(&self.gauges, key, || {
            let builder = self.meter.f64_gauge(key.name().to_owned());
            let instrument = builder.with_unit(unit).with_description(text).build();
            Gauged { instrument, labels: labels(key), value: AtomicU64::new(0) }
        }))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let (unit, text) = self.said(key);
        Histogram::from_arc(entry(&self.histograms, key, || {
            let builder = self.meter.f64_histogram(key.name().to_owned());
            let builder = builder.with_unit(unit).with_description(text);
            let instrument = builder.with_boundaries(BUCKETS.to_vec()).build();
            Spread { instrument, labels: labels(key) }
        }))
    }
}

impl CounterFn for Counted {
    fn increment(&self, value: u64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.instrument.add(value, &self.labels);
    }

    fn absolute(&self, value: u64) {
        let before = self.sum.fetch_max(value, Ordering::Relaxed);
        self.instrument.add(value.saturating_sub(before), &self.labels);
    }
}

impl Gauged {
    fn change(&self, change: impl Fn(f64) -> f64) {
        let next = |bits| Some(change(f64::from_bits(bits)).to_bits());
        // It always has a next value.
        let _ = self.value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let value = f64::from_bits(self.value.load(Ordering::Relaxed));
        self.instrument.record(value, &self.labels);
    }
}

impl GaugeFn for Gauged {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Spread {
    fn record(&self, value: f64) {
        self.instrument.record(value, &self.labels);
    }
}
