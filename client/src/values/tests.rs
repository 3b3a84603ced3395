//! Values there and back, and the mapping's own forms.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;

fn written<T: Serialize + ?Sized>(value: &T) -> String {
    String::from_utf8(write::to_json(value).unwrap()).unwrap()
}

/// What `value` is written as; it must read back the same.
fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let json = written(value);
    let back: T = from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(&back, value, "{json}");
    json
}

/// Bytes as serde knows them; `Vec<u8>` is a list of numbers to it.
#[derive(Clone, Debug, PartialEq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Nothing,
    Circle(f64),
    Pair(u64, i64),
    Named { width_of: Option<u32>, id: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    shapes: Vec<Shape>,
    outcome: Result<u64, String>,
    maybe: Option<Option<u8>>,
    by_number: BTreeMap<u16, char>,
    bytes: Blob,
}

#[test]
fn the_shape_of_the_type_decides_how_arguments_travel() {
    let positional = Arguments::Positional("[1,\"a\"]".into());
    assert_eq!(arguments(&(1, "a")).unwrap(), positional);
    assert_eq!(arguments(&vec![1]).unwrap(), Arguments::Positional("[1]".into()));
    let named = BTreeMap::from([("a", 1)]);
    assert_eq!(arguments(&named).unwrap(), Arguments::Named("{\"a\":1}".into()));
    assert_eq!(arguments(&()).unwrap(), Arguments::None);
}

#[test]
fn one_bare_value_is_refused_with_how_to_write_it() {
    for error in [arguments(&1), arguments("a"), arguments(&true)].map(Result::unwrap_err) {
        assert!(error.to_string().contains("(value,)"), "{error}");
    }
}

#[test]
fn floats_that_are_no_numbers_are_not_lost() {
    let all = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    assert_eq!(written(&all), r#"["NaN","Infinity","-Infinity"]"#);
    assert_eq!(written(&f32::NAN), r#""NaN""#);
    let back: (f64, f32, f64) = from_json(written(&all).as_bytes()).unwrap();
    assert!(back.0.is_nan() && back.1 == f32::INFINITY && back.2 == f64::NEG_INFINITY);
}

#[test]
fn large_integers_are_read_from_strings() {
    assert_eq!(from_json::<u64>(br#""18446744073709551615""#).unwrap(), u64::MAX);
    assert_eq!(from_json::<i64>(br#""-9223372036854775808""#).unwrap(), i64::MIN);
    assert_eq!(from_json::<Vec<u64>>(br#"[1,"2"]"#).unwrap(), [1, 2]);
    assert!(from_json::<u64>(br#""-1""#).is_err());
    assert!(from_json::<u8>(br#""1""#).is_err());
}

#[test]
fn bytes_travel_as_base64() {
    assert_eq!(there_and_back(&Blob(vec![0, 255])), r#"{"base64":"AP8="}"#);
    assert_eq!(from_json::<Vec<u8>>(br#"{"base64":"AP8="}"#).unwrap(), [0, 255]);
    assert!(from_json::<Vec<u8>>(br#"{"base64":"?"}"#).is_err());
}

#[test]
fn results_variants_and_nested_options_have_the_mappings_form() {
    assert_eq!(there_and_back(&Ok::<u8, u8>(1)), r#"{"ok":1}"#);
    assert_eq!(there_and_back(&Err::<u8, u8>(2)), r#"{"err":2}"#);
    assert_eq!(there_and_back(&Some(Some(1))), r#"{"some":1}"#);
    assert_eq!(there_and_back(&Some(None::<u8>)), r#"{"some":null}"#);
    assert_eq!(there_and_back(&Some(Some(None::<u8>))), r#"{"some":{"some":null}}"#);
    assert_eq!(there_and_back(&None::<Option<u8>>), "null");
    assert_eq!(there_and_back(&Shape::Nothing), r#""nothing""#);
    assert_eq!(there_and_back(&Shape::Circle(1.5)), r#"{"circle":1.5}"#);
    assert_eq!(there_and_back(&Shape::Pair(1, -1)), r#"{"pair":[1,-1]}"#);
}

#[test]
fn raw_json_is_taken_as_it_is_and_odd_keys_are_refused() {
    let raw = RawValue::from_string(r#"{"a": [1, 2]}"#.into()).unwrap();
    assert_eq!(written(&(1, &raw)), r#"[1,{"a": [1, 2]}]"#);
    assert_eq!(written(&BTreeMap::from([(-1, "x")])), r#"{"-1":"x"}"#);
    let error = write::to_json(&BTreeMap::from([((1, 2), "x")])).unwrap_err();
    assert!(error.to_string().contains("key"), "{error}");
}

#[test]
fn the_error_of_a_misfit_is_serdes_own_with_its_place() {
    let error = from_json::<Vec<u8>>(br#"[1, "a"]"#).unwrap_err();
    assert!(error.to_string().contains("line 1 column"), "{error}");
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let number = -1e300..1e300f64;
    prop_oneof![
        Just(Shape::Nothing),
        number.prop_map(Shape::Circle),
        any::<(u64, i64)>().prop_map(|(a, b)| Shape::Pair(a, b)),
        any::<(Option<u32>, u64)>().prop_map(|(width_of, id)| Shape::Named { width_of, id }),
    ]
}

prop_compose! {
    fn any_record()(
        shapes in proptest::collection::vec(any_shape(), 0..5),
        outcome: Result<u64, String>,
        maybe: Option<Option<u8>>,
        by_number: BTreeMap<u16, char>,
        bytes in proptest::collection::vec(any::<u8>(), 0..20),
    ) -> Record {
        Record { shapes, outcome, maybe, by_number, bytes: Blob(bytes) }
    }
}

proptest! {
    #[test]
    fn any_record_reads_back_as_it_was_written(record in any_record()) {
        there_and_back(&record);
    }

    #[test]
    fn what_json_has_is_written_as_serde_json_does(
        strings: Vec<String>, numbers: Vec<i64>, flags: (bool, char, Option<u8>),
    ) {
        let all = (strings, numbers, flags);
        prop_assert_eq!(written(&all), serde_json::to_string(&all).unwrap());
    }
}
