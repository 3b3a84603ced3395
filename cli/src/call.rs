//! `call`: one call, from words to a result.

mod arguments;

use jackfield_client::{Answer, CallError, Client, Request};
use jackfield_wire::reflect::{MethodInfo, ServiceInfo};
use jackfield_wire::ty::nearest;
use jackfield_wire::{ServiceName, Target};

use crate::args::{CallArgs, Common, RequestArgs};
use crate::discover::{self, Via};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem, enumerate};
use crate::terminal::{Style, Terminal};
use crate::{duration, json};
pub(crate) use arguments::Arguments;

/// Makes a call.
pub(crate) fn run(args: CallArgs, common: &Common, terminal: Terminal) -> Outcome {
    let data = Arguments::from_args(&args.request)?;
    let via = args.request.via();
    let answer = discover::with_client(common, via, async |client| {
        discover::ready(client, via).await?;
        let arguments = typed_arguments(client, &args.request).await?.and(data);
        let request = request(client, &args.request, arguments)?;
        request.send().await.map_err(|error| discover::call_problem(&error))
    })?;
    show(&answer, &args, &terminal)
}

impl RequestArgs {
    /// Where the method is looked for.
    pub(crate) fn via(&self) -> Via<'_> {
        Via::new(&self.registry, self.direct.as_deref())
    }
}

/// The call that was typed, ready to be sent.
pub(crate) fn request(
    client: &Client,
    args: &RequestArgs,
    arguments: Arguments,
) -> Outcome<Request> {
    let mut request = client
        .request(&args.target.to_string())
        .map_err(|error| Problem::usage(error.to_string()))?
        .options(args.balancing.options());
    if let Some(deadline) = args.deadline {
        request = request.deadline(deadline);
    }
    if let Some(positional) = arguments.positional {
        request = request.positional_json(positional);
    }
    if let Some(named) = arguments.named {
        request = request.named_json(named);
    }
    Ok(request)
}

/// Words and names, which need the method's types; without any, nobody is asked for them.
pub(crate) async fn typed_arguments(client: &Client, args: &RequestArgs) -> Outcome<Arguments> {
    if args.words.is_empty() && args.named.is_empty() {
        return Ok(Arguments::default());
    }
    let info = describe(client, &args.target.service).await?;
    let method = find(&info, &args.target)?;
    Arguments::from_typed(args, &method.signature)
}

/// What a host says of a service.
pub(crate) async fn describe(client: &Client, service: &ServiceName) -> Outcome<ServiceInfo> {
    client.describe(service).await.map_err(|error| {
        let problem = discover::call_problem(&error);
        match error {
            CallError::NoAvailableInstance(_) => problem,
            _ => problem.during(&format!("asking a host what {service} has")),
        }
    })
}

/// The method that a target names, short or qualified.
pub(crate) fn find<'a>(info: &'a ServiceInfo, target: &Target) -> Outcome<&'a MethodInfo> {
    let Target { service, method: wanted } = target;
    let found = info.methods.iter().find(|m| m.name == *wanted || m.qualified == *wanted);
    if let Some(method) = found {
        return Ok(method);
    }
    let short = |name: &str| name.rsplit('#').next() == Some(wanted);
    if let Some(refused) = info.refused.iter().find(|f| f.name == *wanted || short(&f.name)) {
        let what = format!(
            "{service} exports {}, which cannot be called: {}",
            refused.name, refused.reason
        );
        return Err(Problem::new(Exit::NotFound, what));
    }
    let names: Vec<&str> = info.methods.iter().map(|method| &*method.name).collect();
    let hint = match nearest(wanted, names.iter().copied()) {
        Some(near) => format!("; did you mean {service}.{near}?"),
        None => String::new(),
    };
    Err(Problem::new(Exit::NotFound, format!("{service} has no method `{wanted}`{hint}"))
        .next(format!("it has {}", enumerate(&names)))
        .next(format!("see their types: jackfield describe {service}")))
}

fn show(answer: &Answer, args: &CallArgs, terminal: &Terminal) -> Outcome {
    if args.verbose {
        terminal.err(terminal.paint_err(Style::Faint, &provenance(answer)))?;
    }
    if answer.value.is_some() {
        let value = answer.json().map_err(|error| discover::call_problem(&error))?;
        terminal.out(json::show(value, terminal))?;
    }
    Ok(())
}

/// Who answered, and how it went.
fn provenance(answer: &Answer) -> String {
    let mut text = format!("{} at {}", answer.host, answer.address);
    if let Some(generation) = answer.generation {
        text.push_str(&format!(", generation {}", generation.short()));
    }
    text.push_str(&format!(", {}", duration::show(answer.elapsed)));
    for (number, attempt) in answer.attempts.iter().enumerate() {
        text.push_str(&format!("\nattempt {} failed: {attempt}", number + 1));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::testing;
    use jackfield_wire::reflect::RefusedFunction;

    fn problem(info: &ServiceInfo, target: &str) -> String {
        let problem = find(info, &target.parse().unwrap()).unwrap_err();
        assert_eq!(problem.exit(), Exit::NotFound);
        let (what, next) = problem.text().unwrap();
        format!("{what} | {}", next.join(" | "))
    }

    #[test]
    fn an_unknown_method_is_told_the_nearest_and_all() {
        let info = testing::service(vec![testing::method("add", &[]), testing::method("sub", &[])]);
        let text = problem(&info, "calc.ad");
        assert!(
            text.contains("did you mean calc.add?") && text.contains("it has add, sub"),
            "{text}"
        );
    }

    #[test]
    fn a_function_that_cannot_travel_says_why() {
        let mut info = testing::service(Vec::new());
        let refused = RefusedFunction { name: "a:b/c#open".into(), reason: "a resource".into() };
        info.refused.push(refused);
        assert!(problem(&info, "calc.open").contains("cannot be called: a resource"));
    }

    #[test]
    fn a_method_is_found_by_either_name() {
        let mut add = testing::method("add", &[]);
        add.qualified = "demo:math/calc#add".into();
        let info = testing::service(vec![add]);
        for target in ["calc.add", "calc.demo:math/calc#add"] {
            assert_eq!(find(&info, &target.parse().unwrap()).unwrap().name, "add");
        }
    }
}
