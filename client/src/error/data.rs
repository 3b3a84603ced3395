//! An error as data: what a log or another program reads of it.

use jackfield_transport::chain;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::CallError;

impl CallError {
    /// The error's name, as it is written in data: `request-timeout`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoAvailableInstance(_) => "no-available-instance",
            Self::RequestTimeout(_) => "request-timeout",
            Self::LimitExceeded(_) => "limit-exceeded",
            Self::ServiceError(_) => "service-error",
            Self::MaxRetriesExceeded(_) => "max-retries-exceeded",
            Self::Service(_) => "service",
            Self::Target(_) => "target",
            Self::Encode(_) => "encode",
            Self::Decode(_) => "decode",
        }
    }
}

impl Serialize for CallError {
    /// `{"error", "status", "executed", "message", "attempts": [{"address", "host", "phase",
    /// "status", "executed", "message", "elapsed_ms"}]}`
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("CallError", 5)?;
        data.serialize_field("error", self.name())?;
        data.serialize_field("status", &self.status())?;
        data.serialize_field("executed", &self.executed())?;
        data.serialize_field("message", &chain(self))?;
        data.serialize_field("attempts", self.attempts())?;
        data.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jackfield_wire::{Executed, Status};

    use super::*;
    use crate::error::{Attempt, Exhaustion, MaxRetriesExceeded, Phase};

    #[test]
    fn an_error_reads_as_data_with_its_history() {
        let attempt = Attempt {
            address: "127.0.0.1:4433".into(),
            host: Some("left".into()),
            phase: Phase::Connect,
            status: Status::Unavailable,
            executed: Executed::No,
            message: "nobody there".into(),
            elapsed: Duration::from_micros(1500),
        };
        let error = CallError::MaxRetriesExceeded(Box::new(MaxRetriesExceeded {
            target: "calc.add".into(),
            attempts: vec![attempt],
            executed: Executed::No,
            reason: Exhaustion::Budget,
        }));
        let data = serde_json::to_value(&error).unwrap();
        assert_eq!(data["error"], "max-retries-exceeded");
        assert_eq!((&data["status"], &data["executed"]), (&"unavailable".into(), &"no".into()));
        let expected = serde_json::json!({
            "address": "127.0.0.1:4433", "host": "left", "phase": "connect",
            "status": "unavailable", "executed": "no", "message": "nobody there",
            "elapsed_ms": 1.5,
        });
        assert_eq!(data["attempts"][0], expected);
        assert!(data["message"].as_str().unwrap().contains("budget"), "{data}");
    }
}
