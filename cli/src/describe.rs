//! `describe`: what a host says of a service or a method.

use jackfield_wire::reflect::ServiceInfo;
use jackfield_wire::{ServiceName, Target};

use crate::args::{Common, DescribeArgs};
use crate::discover::{self, Via};
use crate::problem::{Outcome, Problem};
use crate::terminal::Terminal;
use crate::view::service::{self, Hidden};
use crate::{call, json};

/// Describes a service or a method.
pub(crate) fn run(args: DescribeArgs, common: &Common, terminal: Terminal) -> Outcome {
    let subject = Subject::read(&args.target)?;
    let via = Via::new(&args.registry, args.direct.as_deref());
    let info = discover::with_client(common, via, async |client| {
        discover::ready(client, via).await?;
        call::describe(client, subject.service()).await
    })?;
    let hidden = Hidden::of_flag(args.all);
    let text = match (&subject, args.json) {
        (Subject::Service(_), false) => service::service(&info, hidden, &terminal),
        (Subject::Service(_), true) => json(&shown(info, hidden), &terminal)?,
        (Subject::Method(target), false) => {
            service::method(&info, call::find(&info, target)?, &terminal)
        }
        (Subject::Method(target), true) => json(call::find(&info, target)?, &terminal)?,
    };
    Ok(terminal.out(text.trim_end())?)
}

enum Subject {
    Service(ServiceName),
    Method(Target),
}

impl Subject {
    fn read(text: &str) -> Outcome<Self> {
        let read = if text.contains('.') {
            text.parse().map(Self::Method).map_err(|error| error.to_string())
        } else {
            ServiceName::new(text).map(Self::Service).map_err(|error| format!("{text:?}: {error}"))
        };
        read.map_err(|error| Problem::usage(error).next("see what there is: jackfield ls"))
    }

    fn service(&self) -> &ServiceName {
        match self {
            Self::Service(service) => service,
            Self::Method(target) => &target.service,
        }
    }
}

fn shown(mut info: ServiceInfo, hidden: Hidden) -> ServiceInfo {
    info.methods = hidden.filter(&info).cloned().collect();
    info
}

fn json(value: &impl serde::Serialize, terminal: &Terminal) -> Outcome<String> {
    let text = serde_json::to_string(value)
        .map_err(|error| Problem::internal(format!("no JSON form: {error}")))?;
    Ok(json::show(&text, terminal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_makes_a_method() {
        assert!(matches!(Subject::read("calc"), Ok(Subject::Service(_))));
        assert!(matches!(Subject::read("calc.add"), Ok(Subject::Method(_))));
        for text in ["", "calc.", "a b"] {
            assert!(Subject::read(text).is_err(), "{text}");
        }
    }
}
