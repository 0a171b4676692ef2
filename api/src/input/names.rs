//! Names of members: those that came, and those that a form has.

use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor, value};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};
use std::fmt;

/// Members as they came.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// The first of each name.
    pub(super) first: Map<String, Value>,
    /// Names that came again, each once.
    pub(super) doubled: Vec<String>,
}

impl Members {
    pub(super) fn add(&mut self, name: String, value: Value) {
        if !self.first.contains_key(&name) {
            self.first.insert(name, value);
        } else if !self.doubled.contains(&name) {
            self.doubled.push(name);
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some((name, value)) = map.next_entry()? {
                    members.add(name, value);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_any(Object)
    }
}

/// Names of the members of `T`, as serde reads them.
pub(super) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It ends with an error each time: only the question is of interest.
    drop(T::deserialize(Asked(&mut names)));
    names
}

/// Hears which members a structure asks for.
struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = fields;
        Err(value::Error::custom("only asked"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("no structure"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}
