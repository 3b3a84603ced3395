//! Two recorders behind the `metrics` facade, which has room for one.

use std::sync::Arc;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Whatever is recorded goes to both.
pub(crate) struct Both<A, B>(pub(crate) A, pub(crate) B);

struct Two<T>(T, T);

impl<A: Recorder, B: Recorder> Recorder for Both<A, B> {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_counter(name.clone(), unit, text.clone());
        self.1.describe_counter(name, unit, text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_gauge(name.clone(), unit, text.clone());
        self.1.describe_gauge(name, unit, text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_histogram(name.clone(), unit, text.clone());
        self.1.describe_histogram(name, unit, text);
    }

    fn register_counter(&self, key: &Key, about: &Metadata<'_>) -> Counter {
        let both = (self.0.register_counter(key, about), self.1.register_counter(key, about));
        Counter::from_arc(Arc::new(Two(both.0, both.1)))
    }

    fn register_gauge(&self, key: &Key, about: &Metadata<'_>) -> Gauge {
        let both = (self.0.register_gauge(key, about), self.1.register_gauge(key, about));
        Gauge::from_arc(Arc::new(Two(both.0, both.1)))
    }

    fn register_histogram(&self, key: &Key, about: &Metadata<'_>) -> Histogram {
        let both = (self.0.register_histogram(key, about), self.1.register_histogram(key, about));
        Histogram::from_arc(Arc::new(Two(both.0, both.1)))
    }
}

impl CounterFn for Two<Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl GaugeFn for Two<Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl HistogramFn for Two<Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }
}
