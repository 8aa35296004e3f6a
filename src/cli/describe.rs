//! A catalogue, for people and for tools.

use std::fmt::Write as _;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::expansion::{Catalogue, Listing};

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Markdown,
    YamlProvider,
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "json" => Format::Json,
            "md" => Format::Markdown,
            "yaml-provider" => Format::YamlProvider,
            _ => {
                return Err(Error::config(format!(
                    "{text:?} is no format; use json, md or yaml-provider"
                )));
            }
        })
    }
}

/// The names of all that can be asked for, one a line.
pub(super) fn list(catalogue: &Catalogue) -> String {
    let mut names: Vec<&str> = catalogue.names().collect();
    names.sort_unstable();
    names.into_iter().fold(String::new(), |mut text, name| {
        text.push_str(name);
        text.push('\n');
        text
    })
}

/// The schema transforms of a catalogue, which a service at `address` offers.
pub(super) fn describe(catalogue: &Catalogue, format: Format, address: &str) -> String {
    match format {
        Format::Json => json_text(catalogue),
        Format::Markdown => markdown(catalogue),
        Format::YamlProvider => yaml_provider(catalogue, address),
    }
}

fn json_text(catalogue: &Catalogue) -> String {
    let transforms: Vec<Value> = catalogue
        .listings()
        .map(|listing| {
            let fields: Vec<Value> = listing
                .config
                .fields()
                .iter()
                .map(|field| {
                    json!({
                        "name": field.name,
                        "type": field.field_type.to_string(),
                        "required": !field.field_type.nullable,
                        "description": field.description,
                    })
                })
                .collect();
            json!({
                "identifier": listing.identifier,
                "description": listing.description,
                "inputs": listing.inputs,
                "outputs": listing.outputs,
                "config": fields,
            })
        })
        .collect();
    format!("{:#}\n", Value::Array(transforms))
}

fn markdown(catalogue: &Catalogue) -> String {
    let mut text = String::new();
    for listing in catalogue.listings() {
        // Writing to a string cannot fail.
        let _ = section(&mut text, listing);
    }
    text
}

fn section(text: &mut String, listing: &Listing) -> std::fmt::Result {
    let separator = if text.is_empty() { "" } else { "\n" };
    writeln!(text, "{separator}## {}\n", class_name(listing.identifier))?;
    writeln!(text, "`{}`\n", listing.identifier)?;
    if !listing.description.is_empty() {
        writeln!(text, "{}\n", listing.description)?;
    }
    let names = |names: &[&str]| match names {
        [] => "none".to_owned(),
        _ => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    writeln!(
        text,
        "Inputs: {}. Outputs: {}.",
        names(&listing.inputs),
        names(&listing.outputs)
    )?;
    if listing.config.fields().is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\n| field | type | required | meaning |\n|---|---|---|---|"
    )?;
    for field in listing.config.fields() {
        let required = if field.field_type.nullable { "" } else { "yes" };
        writeln!(
            text,
            "| `{}` | {} | {required} | {} |",
            field.name,
            field.field_type,
            field.description.replace('\n', " ").replace('|', "\\|")
        )?;
    }
    Ok(())
}

/// A file for `providers: [include: …]` in Beam's YAML.
fn yaml_provider(catalogue: &Catalogue, address: &str) -> String {
    let mut text = format!(
        "- type: remote\n  config:\n    address: {}\n  transforms:\n",
        quoted(address)
    );
    for listing in catalogue.listings() {
        let name = class_name(listing.identifier);
        let _ = writeln!(text, "    {name}: {}", quoted(listing.identifier));
    }
    text
}

/// A YAML string in double quotes, which are JSON's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The name that Python's `ExternalTransformProvider` makes of an identifier: `SplitWords` of `…:split_words:v1`, with
/// later versions appended.
fn class_name(identifier: &str) -> String {
    let mut parts = identifier.rsplit(':');
    let version = parts.next().filter(|version| *version != "v1");
    let name = parts.next().unwrap_or(identifier);
    name.split('_')
        .chain(version)
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_are_those_of_python() {
        let of = |name: &str| class_name(&format!("beam:schematransform:org.apache.beam:{name}"));
        assert_eq!(of("split_words:v1"), "SplitWords");
        assert_eq!(of("my_thing:v2"), "MyThingV2");
        assert_eq!(of("x:v1"), "X");
    }

    #[test]
    fn formats_have_names() {
        assert_eq!("json".parse::<Format>().expect("known"), Format::Json);
        let error = "xml".parse::<Format>().expect_err("unknown").to_string();
        assert_eq!(error, "\"xml\" is no format; use json, md or yaml-provider");
    }
}
