//! Arguments as typed, made into the JSON that a call carries.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use jackfield_wire::Target;
use jackfield_wire::ty::{Field, Signature, nearest};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::args::RequestArgs;
use crate::problem::{Outcome, Problem};
use crate::words::read_word;

/// What a call carries: JSON by position, by name, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// An array.
    pub(crate) positional: Option<String>,
    /// An object.
    pub(crate) named: Option<String>,
}

/// Reads `-d`: the text itself, a file, or stdin.
fn read_data(data: &str) -> Outcome<String> {
    match data.strip_prefix('@') {
        None if data == "-" => read_all("stdin", io::stdin().lock()),
        None => Ok(data.to_owned()),
        Some(path) => {
            let file = File::open(Path::new(path)).map_err(|error| {
                Problem::usage(format!("-d @{path}: cannot read {path}: {error}"))
            })?;
            read_all(path, file)
        }
    }
}

fn read_all(place: &str, source: impl Read) -> Outcome<String> {
    let mut bytes = Vec::new();
    source
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Problem::usage(format!("-d: cannot read {place}: {error}")))?;
    if bytes.len() as u64 > LONGEST {
        let mib = LONGEST >> 20;
        return Err(Problem::usage(format!(
            "-d: {place} is over {mib} MiB, the most that a call carries"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::usage(format!("-d: {place} is not UTF-8 at byte {at}; JSON is always UTF-8"))
    })
}

impl Arguments {
    /// What `-d` gives; refuses, before anybody is asked, what is also given otherwise.
    pub(crate) fn from_args(call: &RequestArgs) -> Outcome<Self> {
        let Some(data) = &call.data else {
            return Ok(Self::default());
        };
        let data = Self::from_data(&read_data(data)?)?;
        data.check_beside(call)?;
        Ok(data)
    }

    /// Of the text of `-d`: an array is by position, an object by name.
    fn from_data(data: &str) -> Outcome<Self> {
        let json: &RawValue = serde_json::from_str(data).map_err(|error| {
            Problem::usage(format!("-d is not JSON: {error}"))
                .next("in a shell, put JSON in single quotes: -d '{\"a\": 1}'")
        })?;
        let json = json.get().to_owned();
        match json.as_bytes().first() {
            Some(b'[') => Ok(Self { positional: Some(json), ..Self::default() }),
            Some(b'{') => Ok(Self { named: Some(json), ..Self::default() }),
            _ => Err(Problem::usage(
                "-d takes an array (arguments by position) or an object (by name)",
            )
            .next(format!("for a single argument: -d '[{}]'", clip(&json)))),
        }
    }

    /// Refuses what is also given by words or names.
    fn check_beside(&self, call: &RequestArgs) -> Outcome {
        let doubled = match (&self.positional, &self.named) {
            (Some(_), _) if !call.words.is_empty() => "by position",
            (_, Some(_)) if !call.named.is_empty() => "by name",
            _ => return Ok(()),
        };
        Err(Problem::usage(format!(
            "arguments {doubled} are given twice: by -d and on the command line; use one of them"
        )))
    }

    /// Of words and names, each read by its parameter's type.
    pub(crate) fn from_typed(call: &RequestArgs, signature: &Signature) -> Outcome<Self> {
        let reader = Reader { target: &call.target, signature };
        Ok(Self {
            positional: reader.words(&call.words)?.map(|words| Value::from(words).to_string()),
            named: reader.names(&call.named)?.map(|names| Value::from(names).to_string()),
        })
    }

    /// The length of the JSON, in bytes.
    pub(crate) fn len(&self) -> usize {
        [&self.positional, &self.named].into_iter().flatten().map(String::len).sum()
    }

    /// These and `other`; see [`Self::check_beside`].
    pub(crate) fn and(self, other: Self) -> Self {
        Self { positional: self.positional.or(other.positional), named: self.named.or(other.named) }
    }
}

struct Reader<'a> {
    target: &'a Target,
    signature: &'a Signature,
}

impl Reader<'_> {
    fn words(&self, words: &[String]) -> Outcome<Option<Vec<Value>>> {
        let params = &self.signature.params;
        if words.len() > params.len() {
            return Err(self.problem(format!(
                "{} takes {}, not {}: {}",
                self.target,
                count(params.len(), "argument"),
                words.len(),
                self.wit()
            )));
        }
        let values: Result<Vec<_>, _> =
            words.iter().zip(params).map(|(word, param)| self.value(word, param)).collect();
        Ok(Some(values?).filter(|values| !values.is_empty()))
    }

    fn names(&self, named: &[(String, String)]) -> Outcome<Option<Map<String, Value>>> {
        let mut values = Map::new();
        for (name, text) in named {
            let param = self.parameter(name)?;
            if values.insert(name.clone(), self.value(text, param)?).is_some() {
                return Err(self.problem(format!("the parameter `{name}` is given twice")));
            }
        }
        Ok(Some(values).filter(|values| !values.is_empty()))
    }

    fn value(&self, text: &str, param: &Field) -> Outcome<Value> {
        read_word(text, &param.ty).map_err(|error| {
            self.problem(format!("{}, parameter `{}`: {error}", self.target, param.name))
        })
    }

    fn parameter(&self, name: &str) -> Outcome<&Field> {
        let params = &self.signature.params;
        params.iter().find(|param| param.name == name).ok_or_else(|| {
            let names = params.iter().map(|param| &*param.name);
            let hint = match nearest(name, names) {
                Some(near) => format!("; did you mean --{near}?"),
                None => ".".to_owned(),
            };
            self.problem(format!(
                "{} has no parameter `{name}`{hint} It is {}",
                self.target,
                self.wit()
            ))
        })
    }

    /// `add: func(a: f64, b: f64) -> f64`
    fn wit(&self) -> String {
        let method = &self.target.method;
        self.signature.to_wit(method.rsplit('#').next().unwrap_or(method))
    }

    fn problem(&self, what: String) -> Problem {
        Problem::usage(what).next(format!("see its types: jackfield describe {}", self.target))
    }
}

/// `1 argument`, `2 arguments`.
fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn clip(json: &str) -> String {
    crate::table::fit(json, 40)
}

/// The longest value frame that the wire takes, in bytes.
const LONGEST: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use jackfield_wire::ty::Type;

    fn signature() -> Signature {
        let field = |name: &str, ty| Field { name: name.into(), ty };
        Signature {
            params: vec![
                field("first", Type::F64),
                field("second", Type::String),
                field("third", Type::Option(Box::new(Type::U8))),
            ],
            result: None,
        }
    }

    fn typed(words: &[&str], named: &[(&str, &str)]) -> RequestArgs {
        let typed = ["jackfield", "call", "calc.add"].map(Into::into).to_vec();
        let Ok(crate::args::Command::Call(mut call)) =
            crate::args::Cli::read(typed).map(|cli| cli.command)
        else {
            panic!("not read");
        };
        call.request.words = words.iter().map(|&word| word.into()).collect();
        call.request.named = named.iter().map(|&(n, v)| (n.into(), v.into())).collect();
        call.request
    }

    fn read(words: &[&str], named: &[(&str, &str)]) -> Outcome<Arguments> {
        Arguments::from_typed(&typed(words, named), &signature())
    }

    fn text(outcome: Outcome<Arguments>) -> String {
        let problem = outcome.unwrap_err();
        assert_eq!(problem.exit(), Exit::Usage);
        let (what, next) = problem.text().unwrap();
        format!("{what} | {}", next.join(" | "))
    }

    #[test]
    fn words_and_names_are_read_by_type() {
        let arguments = read(&["-1", "2"], &[("third", "3")]).unwrap();
        assert_eq!(arguments.positional.as_deref(), Some(r#"[-1.0,"2"]"#));
        assert_eq!(arguments.named.as_deref(), Some(r#"{"third":3}"#));
    }

    #[test]
    fn no_arguments_are_none_at_all() {
        assert_eq!(read(&[], &[]).unwrap(), Arguments::default());
    }

    #[test]
    fn an_unknown_parameter_is_told_the_nearest_and_all() {
        let text = text(read(&[], &[("secnd", "x")]));
        assert!(text.contains("did you mean --second?"), "{text}");
        assert!(text.contains("third: option<u8>"), "{text}");
        assert!(text.contains("jackfield describe calc.add"), "{text}");
    }

    #[test]
    fn too_many_words_are_told_what_there_is() {
        let text = text(read(&["1", "2", "3", "4"], &[]));
        assert!(text.contains("takes 3 arguments, not 4: add: func(first: f64"), "{text}");
    }

    #[test]
    fn a_word_of_the_wrong_type_names_its_parameter() {
        let text = text(read(&["x"], &[]));
        assert!(text.contains("parameter `first`") && text.contains("f64"), "{text}");
    }

    #[test]
    fn a_name_cannot_be_given_twice() {
        let text = text(read(&[], &[("first", "1"), ("first", "2")]));
        assert!(text.contains("`first` is given twice"), "{text}");
    }

    #[test]
    fn data_is_by_position_or_by_name() {
        let list = Arguments::from_data(" [1, 2] ").unwrap();
        assert_eq!(list.positional.as_deref(), Some("[1, 2]"));
        let object = Arguments::from_data("{\"a\": 1}").unwrap();
        assert_eq!(object.named.as_deref(), Some("{\"a\": 1}"));
    }

    #[test]
    fn other_data_is_told_how_to_be_an_array() {
        let text = text(Arguments::from_data("5"));
        assert!(text.contains("-d '[5]'"), "{text}");
        assert!(self::text(Arguments::from_data("{a: 1}")).contains("not JSON"));
    }

    #[test]
    fn deep_nesting_in_data_is_passed_on_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Arguments::from_data(&deep).unwrap().positional, Some(deep));
    }

    #[test]
    fn data_and_words_can_be_mixed_but_not_doubled() {
        let by_name = Arguments::from_data("{\"b\":2}").unwrap();
        let both = read(&["1"], &[]).unwrap().and(by_name.clone());
        assert!(both.positional.is_some() && both.named.is_some());
        assert!(by_name.check_beside(&typed(&["1"], &[])).is_ok());
        let doubled = by_name.check_beside(&typed(&[], &[("b", "1")])).unwrap_err();
        assert!(doubled.text().unwrap().0.contains("by name are given twice"));
        let by_position = Arguments::from_data("[1]").unwrap();
        assert!(by_position.check_beside(&typed(&["1"], &[])).is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let problem = read_data("@/no/such/file").unwrap_err();
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(problem.text().unwrap().0.contains("/no/such/file"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_where_they_are() {
        let text = read_all("stdin", &b"[\xff"[..]).unwrap_err();
        assert!(text.text().unwrap().0.contains("at byte 1"));
    }
}
