//! Arrays and objects to values made of several: what is missing, doubled or too much.

use jackfield_wire::Type;
use jackfield_wire::ty::{Case, Field};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess};
use wasmtime::component::Val;

use super::{NameSeed, Names, ValueSeed};
use crate::value::path::{Context, Step};

impl<'c, 't> ValueSeed<'c, 't> {
    pub(super) fn list<'de, A: SeqAccess<'de>>(
        self,
        item: &'t Type,
        mut items: A,
    ) -> Result<Val, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = self
            .context
            .within(Step::Index(values.len()), || items.next_element_seed(self.of(item)))?
        {
            values.push(value);
        }
        Ok(Val::List(values))
    }

    pub(super) fn tuple<'de, A: SeqAccess<'de>>(
        self,
        types: &'t [Type],
        mut items: A,
    ) -> Result<Val, A::Error> {
        let mut values = Vec::with_capacity(types.len());
        for (index, ty) in types.iter().enumerate() {
            let step = Step::Index(index);
            match self.context.within(step, || items.next_element_seed(self.of(ty)))? {
                Some(value) => values.push(value),
                None => return Err(self.mismatch(format_args!("an array of {index}"))),
            }
        }
        if items.next_element::<de::IgnoredAny>()?.is_some() {
            return Err(self.mismatch(format_args!("an array of more than {}", types.len())));
        }
        Ok(Val::Tuple(values))
    }

    pub(super) fn flags<'de, A: SeqAccess<'de>>(
        self,
        flags: &'t [String],
        mut items: A,
    ) -> Result<Val, A::Error> {
        let seed = NameSeed::new(Names::Plain(flags), self.shown, "flag", self.context);
        let mut set = vec![false; flags.len()];
        let mut position = 0;
        loop {
            let flag = self.context.within(Step::Index(position), || {
                let flag = items.next_element_seed(seed)?;
                match flag {
                    Some(index) if std::mem::replace(&mut set[index], true) => {
                        let name = &flags[index];
                        Err(self.context.refuse(format_args!("flag {name} is given twice")))
                    }
                    flag => Ok(flag),
                }
            })?;
            if flag.is_none() {
                break;
            }
            position += 1;
        }
        let set = flags.iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name.clone());
        Ok(Val::Flags(set.collect()))
    }

    pub(super) fn record<'de, A: MapAccess<'de>>(
        self,
        fields: &'t [Field],
        mut entries: A,
    ) -> Result<Val, A::Error> {
        let mut values = vec![None; fields.len()];
        let seed = NameSeed::new(Names::Fields(fields), self.shown, "field", self.context);
        while let Some(index) = entries.next_key_seed(seed)? {
            let Field { name, ty } = &fields[index];
            self.context.within(Step::Key(name), || {
                if values[index].is_some() {
                    return Err(self.context.refuse("the field is given twice"));
                }
                values[index] = Some(entries.next_value_seed(self.of(ty))?);
                Ok(())
            })?;
        }
        let pairs = fields.iter().zip(values).map(|(field, value)| match value {
            Some(value) => Ok((field.name.clone(), value)),
            None if field.ty.is_option() => Ok((field.name.clone(), Val::Option(None))),
            None => Err(self.context.refuse(format_args!("{} lacks field {}", self.shown, field))),
        });
        Ok(Val::Record(pairs.collect::<Result<_, _>>()?))
    }

    pub(super) fn variant<'de, A: MapAccess<'de>>(
        self,
        cases: &'t [Case],
        mut entries: A,
    ) -> Result<Val, A::Error> {
        let index = self.only_key(Names::Cases(cases), "case", &mut entries)?;
        let Case { name, ty } = &cases[index];
        let Some(ty) = ty else {
            return Err(self.context.refuse(format_args!(
                "case {name} carries nothing: write \"{name}\" instead of an object"
            )));
        };
        let payload = self.payload(name, Some(ty), &mut entries)?;
        Ok(Val::Variant(name.clone(), payload))
    }

    pub(super) fn result<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<Val, A::Error> {
        let Type::Result { ok, err } = self.ty else {
            return Err(self.mismatch("an object"));
        };
        let index = self.only_key(Names::Fixed(&["ok", "err"]), "case", &mut entries)?;
        let (name, ty) = [("ok", ok), ("err", err)][index];
        let payload = self.payload(name, ty.as_deref(), &mut entries)?;
        Ok(Val::Result(if index == 0 { Ok(payload) } else { Err(payload) }))
    }

    pub(super) fn some<'de, A: MapAccess<'de>>(
        self,
        item: &'t Type,
        mut entries: A,
    ) -> Result<Val, A::Error> {
        self.only_key(Names::Fixed(&["some"]), "key", &mut entries)?;
        Ok(Val::Option(self.payload("some", Some(item), &mut entries)?))
    }

    /// The first key of an object that has to have exactly one.
    fn only_key<'de, A: MapAccess<'de>>(
        self,
        names: Names<'t>,
        what: &'static str,
        entries: &mut A,
    ) -> Result<usize, A::Error> {
        let seed = NameSeed::new(names, self.shown, what, self.context);
        let key = entries.next_key_seed(seed)?;
        key.ok_or_else(|| self.mismatch("an empty object"))
    }

    /// The value of an object that has to have exactly one.
    fn payload<'de, A: MapAccess<'de>>(
        self,
        name: &'t str,
        ty: Option<&'t Type>,
        entries: &mut A,
    ) -> Result<Option<Box<Val>>, A::Error> {
        let value = self.context.within(Step::Key(name), || match ty {
            Some(ty) => entries.next_value_seed(self.of(ty)).map(|value| Some(Box::new(value))),
            None => entries.next_value_seed(Nothing(self.context)).map(|()| None),
        })?;
        match entries.next_key::<de::IgnoredAny>()? {
            Some(_) => Err(self.mismatch("an object with more than one key")),
            None => Ok(value),
        }
    }
}

/// Reads the `null` that stands for the payload of a side of a result that carries nothing.
struct Nothing<'c, 't>(&'c Context<'t>);

impl<'de> DeserializeSeed<'de> for Nothing<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let context = self.0;
        let value: Option<de::IgnoredAny> = de::Deserialize::deserialize(deserializer)?;
        value.map_or(Ok(()), |_| Err(context.refuse("expected null: this side carries nothing")))
    }
}
