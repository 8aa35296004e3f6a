//! Names that every client can use. What breaks one of these rules works in some clients and silently vanishes in
//! others, so it is refused before the service starts.

use std::collections::HashSet;

/// Words that a configuration or output field cannot be called, because it becomes an argument or attribute there.
const KEYWORDS: &[&str] = &[
    // Python
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    // Java
    "abstract",
    "boolean",
    "byte",
    "case",
    "catch",
    "char",
    "const",
    "default",
    "do",
    "double",
    "enum",
    "extends",
    "final",
    "float",
    "goto",
    "implements",
    "instanceof",
    "int",
    "interface",
    "long",
    "native",
    "new",
    "package",
    "private",
    "protected",
    "public",
    "short",
    "static",
    "strictfp",
    "super",
    "switch",
    "synchronized",
    "this",
    "throw",
    "throws",
    "transient",
    "void",
    "volatile",
    // Go
    "chan",
    "defer",
    "fallthrough",
    "func",
    "map",
    "range",
    "select",
    "struct",
    "type",
    "var",
];

/// Arguments that Python's wrappers of external transforms take themselves.
const RESERVED: &[&str] = &[
    "classpath",
    "expansion_service",
    "identifier",
    "managed_replacement",
    "output_schema",
    "rearrange_based_on_discovery",
    "self",
];

/// The form that every provider of every client finds without further ado.
const COMMON_PREFIX: &str = "beam:schematransform:org.apache.beam:";

/// Why `name` cannot be a field of a configuration, and what to do.
pub(super) fn config_field(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err("is an argument of Python's own wrappers; choose another name".into());
    }
    nested_field(name)
}

/// Why `name` cannot be a field of a row within a configuration, and what to do.
pub(super) fn nested_field(name: &str) -> Result<(), String> {
    if KEYWORDS.contains(&name) {
        return Err(format!(
            "is a keyword of a client language; call it `{name}_`"
        ));
    }
    snake_case(name)
}

/// Why `name` cannot be a field of an output row. Keywords are only awkward there, but Python drops or renames fields
/// that begin with an underscore.
pub(super) fn output_field(name: &str) -> Result<(), String> {
    if name.starts_with('_') {
        return Err(
            "begins with an underscore, which Python's rows cannot have; choose another name"
                .into(),
        );
    }
    Ok(())
}

/// Why `tag` cannot name an input or output.
pub(super) fn tag(tag: &str) -> Result<(), String> {
    snake_case(tag)
}

fn snake_case(name: &str) -> Result<(), String> {
    let ok = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if ok {
        Ok(())
    } else {
        Err("is not in snake_case, which is what all clients expect".into())
    }
}

/// Why `identifier` cannot name a schema transform.
pub(super) fn identifier(identifier: &str) -> Result<(), String> {
    let parts: Vec<&str> = identifier.split(':').collect();
    let [beam, kind, organisation, name, version] = parts[..] else {
        return Err(format!("has not the form {COMMON_PREFIX}<name>:v<number>"));
    };
    if beam != "beam" || kind != "schematransform" || organisation.is_empty() {
        return Err(format!("has not the form {COMMON_PREFIX}<name>:v<number>"));
    }
    let numbered = version
        .strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    if !numbered {
        return Err("does not end in a version such as v1".into());
    }
    snake_case(name).map_err(|why| format!("has the name `{name}`, which {why}"))
}

/// Whether the identifier has the form that every provider finds.
pub(super) fn is_common(identifier: &str) -> bool {
    identifier.starts_with(COMMON_PREFIX)
}

/// Two identifiers that clients would mix up: Python looks an identifier up as a part of the known ones.
pub(super) fn ambiguous<'a>(
    identifiers: impl IntoIterator<Item = &'a str>,
) -> Option<(&'a str, &'a str)> {
    let mut all: Vec<&str> = identifiers.into_iter().collect();
    all.sort_by_key(|identifier| identifier.len());
    for (i, short) in all.iter().enumerate() {
        if let Some(long) = all[i + 1..].iter().find(|long| long.contains(short)) {
            return Some((short, long));
        }
    }
    None
}

/// The first name that occurs twice.
pub(super) fn duplicate<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_fields_are_usable_everywhere() {
        for good in ["prefix", "from_", "times2", "a"] {
            assert_eq!(config_field(good), Ok(()), "{good}");
        }
        assert_eq!(nested_field("identifier"), Ok(()));
        for (bad, why) in [
            ("from", "call it `from_`"),
            ("lambda", "keyword"),
            ("expansion_service", "wrappers"),
            ("_private", "snake_case"),
            ("camelCase", "snake_case"),
            ("with-dash", "snake_case"),
            ("", "snake_case"),
            ("2nd", "snake_case"),
        ] {
            let error = config_field(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn output_fields_may_be_called_like_methods() {
        for good in ["count", "index", "from", "id"] {
            assert_eq!(output_field(good), Ok(()), "{good}");
        }
        assert!(output_field("_x").is_err());
    }

    #[test]
    fn identifiers_have_one_form() {
        assert_eq!(
            identifier("beam:schematransform:org.apache.beam:split_words:v1"),
            Ok(())
        );
        assert_eq!(identifier("beam:schematransform:org.example:x:v12"), Ok(()));
        for bad in [
            "x",
            "beam:schematransform::x:v1",
            "beam:schematransform:org.example:x",
            "beam:schematransform:org.example:X:v1",
            "beam:schematransform:org.example:x:1",
            "beam:schematransform:org.example:x:v",
        ] {
            assert!(identifier(bad).is_err(), "{bad}");
        }
        assert!(is_common("beam:schematransform:org.apache.beam:x:v1"));
        assert!(!is_common("beam:schematransform:org.example:x:v1"));
    }

    #[test]
    fn an_identifier_within_another_is_ambiguous() {
        assert_eq!(
            ambiguous(["a:v10", "b:v1", "a:v1"]),
            Some(("a:v1", "a:v10"))
        );
        assert_eq!(ambiguous(["x:my_read:v1", "x:read:v1"]), None);
        assert_eq!(duplicate(["a", "b", "a"]), Some("a"));
        assert_eq!(duplicate(["a", "b"]), None);
    }
}
