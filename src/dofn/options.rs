//! Pipeline options as functions see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Describe, Port, Wiring};
use crate::error::{Error, Result};

/// Pipeline options as they were submitted.
///
/// Names are compared in snake_case: SDKs differ in how they write them, so `maxRows` and `max_rows` are one option. An
/// option that is `null` was not given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptionValues(Arc<BTreeMap<String, Value>>);

impl FromIterator<(String, Value)> for OptionValues {
    /// Of two values for one option the later counts.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        let values = values.into_iter().filter(|(_, value)| !value.is_null());
        let named = values.map(|(name, value)| (snake_case(&name), value));
        OptionValues(Arc::new(named.collect()))
    }
}

impl OptionValues {
    /// The value of an option; `None` if it was not given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&snake_case(name))
    }

    /// The value of an option as a `T`; `None` if it was not given. Text that is JSON of a `T` is taken as that: job
    /// services pass numbers on as text.
    ///
    /// # Errors
    /// The value is not a `T`.
    pub fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match (T::deserialize(value), value) {
            (Ok(parsed), _) => Ok(Some(parsed)),
            (Err(error), Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| misfit(name, value, error)),
            (Err(error), _) => Err(misfit(name, value, error)),
        }
    }
}

#[cold]
fn misfit(name: &str, value: &Value, error: serde_json::Error) -> Error {
    let wanted = "which is not what the function reads; pass another value";
    Error::config(format!("the pipeline option {name:?} is {value}, {wanted}")).because(error)
}

/// A camelCase name in snake_case; others as they are.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// A port that knows the options of the pipeline, as they were submitted.
///
/// ```
/// use ferrobeam::prelude::*;
/// use ferrobeam::testing::DoFnTester;
///
/// /// Passes on what is at most as long as the option `longest` says.
/// #[derive(serde::Serialize, serde::Deserialize, DoFn)]
/// #[beam(name = "text.Short/v1")]
/// struct Short;
///
/// #[derive(Ports)]
/// struct ShortIo {
///     out: Out<String>,
///     options: Options,
/// }
///
/// impl DoFn for Short {
///     type In = String;
///     type Io = ShortIo;
///
///     fn process(&mut self, text: String, cx: &mut Cx, io: &mut ShortIo) -> Result {
///         if text.len() <= io.options.parse("longest")?.unwrap_or(80) {
///             io.out.emit(cx, text);
///         }
///         Ok(())
///     }
/// }
///
/// let mut tester = DoFnTester::of(Short).option("longest", "3");
/// let outputs = tester.run(["one".to_owned(), "three".to_owned()])?;
/// assert_eq!(outputs.out.values(), ["one"]);
/// # Ok::<(), ferrobeam::Error>(())
/// ```
pub struct Options(OptionValues);

impl Options {
    /// The value of an option; `None` if it was not given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The value of an option as a `T`; `None` if it was not given. Text that is JSON of a `T` is taken as that: job
    /// services pass numbers on as text.
    ///
    /// # Errors
    /// The value is not a `T`.
    pub fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.0.parse(name)
    }
}

impl<F: ?Sized> Port<F> for Options {
    fn wire(wiring: &mut Wiring<'_>, _name: &'static str) -> Result<Self> {
        Ok(Options(wiring.services().options.clone()))
    }

    fn describe<D: Describe>(_describe: &mut D, _name: &'static str) {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> OptionValues {
        let given = json!({
            "maxRows": 12, "max_bytes": "34", "name": "5", "list": ["a", "b"], "none": null, "odd": "x1",
        });
        let Value::Object(given) = given else {
            panic!("it is an object");
        };
        given.into_iter().collect()
    }

    #[test]
    fn names_are_one_in_camel_case_and_in_snake_case() {
        let values = values();
        assert_eq!(values.get("max_rows"), Some(&json!(12)));
        assert_eq!(values.get("maxRows"), Some(&json!(12)));
        assert_eq!(values.get("maxBytes"), Some(&json!("34")));
        assert_eq!(values.get("none"), None);
        assert_eq!(values.get("other"), None);
    }

    #[test]
    fn values_are_read_as_the_type_that_is_wanted() {
        let values = values();
        assert_eq!(values.parse::<u8>("max_rows").expect("a number"), Some(12));
        assert_eq!(values.parse::<i64>("max_bytes").expect("text"), Some(34));
        let text = values.parse::<String>("name").expect("text");
        assert_eq!(text.as_deref(), Some("5"));
        let list = values.parse::<Vec<String>>("list").expect("a list");
        assert_eq!(list, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(values.parse::<u8>("other").expect("absent"), None);
        let error = values.parse::<u8>("odd").expect_err("not a number");
        assert!(error.to_string().contains(r#""odd" is "x1""#), "{error}");
    }
}
