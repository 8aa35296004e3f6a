//! Schemas in the configurations of functions: as text, which is the schema message in base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(self.to_proto()))
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        Schema::from_proto(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::row::{Field, Kind};

    #[test]
    fn a_schema_survives_as_text() {
        let fields = vec![Field::new("a", Kind::Int64), Field::new("b", Kind::String)];
        let schema = Schema::with_content_id(fields).expect("two names");
        let text = serde_json::to_string(&schema).expect("text");
        let read: Schema = serde_json::from_str(&text).expect("the same");
        assert_eq!(read, schema);
        for bad in ["\"?\"", "\"/w==\"", "7"] {
            assert!(serde_json::from_str::<Schema>(bad).is_err(), "{bad}");
        }
    }
}
