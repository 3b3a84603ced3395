//! What a call becomes when no attempt follows: one of the errors that an application matches.

use jackfield_wire::{Executed, Status};

use super::Course;
use crate::attempt::{Failed, FailureKind};
use crate::error::{
    Attempt, CallError, Exhaustion, LimitExceeded, MaxRetriesExceeded, NoAvailableInstance,
    NoInstance, RequestTimeout, ServiceError,
};

/// It might have been tried again, were it not for the bounds. A single attempt is its own error.
pub(super) fn exhausted(course: Course<'_>, failed: Failed, reason: Exhaustion) -> CallError {
    if course.history.len() < 2 {
        return conclude(course, failed);
    }
    let (target, attempts) = (course.job.target.to_string(), course.history);
    let executed = Attempt::executed_in_any(&attempts);
    let error = MaxRetriesExceeded { target, attempts, executed, reason };
    CallError::MaxRetriesExceeded(Box::new(error))
}

/// Trying again is not safe, or of no use. The failure is the last in the history.
pub(super) fn conclude(course: Course<'_>, failed: Failed) -> CallError {
    let executed = Attempt::executed_in_any(&course.history);
    match failed.kind {
        FailureKind::Timeout => timeout(course, &failed, executed),
        FailureKind::Connect => {
            let (service, reason) = (course.job.service.clone(), NoInstance::Unreachable);
            let error = NoAvailableInstance { service, reason, attempts: course.history };
            CallError::NoAvailableInstance(Box::new(error))
        }
        _ if failed.outcome.status == Status::ResourceExhausted => {
            CallError::LimitExceeded(Box::new(LimitExceeded {
                target: course.job.target.to_string(),
                executed,
                message: failed.attempt.message,
                retry_after: failed.outcome.retry_after,
                attempts: course.history,
            }))
        }
        FailureKind::Transport | FailureKind::Answer => {
            CallError::ServiceError(Box::new(ServiceError {
                target: course.job.target.to_string(),
                status: failed.outcome.status,
                executed,
                is_answered: failed.kind == FailureKind::Answer,
                message: failed.attempt.message,
                value: failed.value,
                cause: failed.cause,
                attempts: course.history,
            }))
        }
    }
}

fn timeout(course: Course<'_>, failed: &Failed, executed: Executed) -> CallError {
    CallError::RequestTimeout(Box::new(RequestTimeout {
        target: course.job.target.to_string(),
        deadline: course.deadline.total(),
        phase: failed.attempt.phase,
        executed,
        attempts: course.history,
    }))
}
