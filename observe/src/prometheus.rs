//! The recorder behind the `metrics` facade, and its text for Prometheus.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Makes a recorder with the buckets that all durations have.
pub(crate) fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
    let recorder = builder.expect("there are buckets").build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

/// Upper bounds of durations in seconds. Hosts measure in finer ones, which have all of these among
/// them.
pub(crate) const BUCKETS: [f64; 22] = [
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_wire::reflect::LATENCY_BOUNDS;

    #[test]
    fn every_bucket_ends_where_one_of_a_hosts_does() {
        for bucket in BUCKETS {
            let is_same = |ns: &u64| {
                (std::time::Duration::from_nanos(*ns).as_secs_f64() - bucket).abs() < 1e-12
            };
            assert!(LATENCY_BOUNDS.iter().any(is_same), "{bucket}");
        }
    }
}
