//! What matters of message definitions, as one line of text per fact.
//!
//! Left out is what neither travels nor becomes Rust: comments, file names, the order of
//! declarations, and options of files, messages, fields and services.

use std::collections::BTreeSet;

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, EnumValueDescriptor,
    FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor, Value,
};

use crate::protos::PACKAGE_PREFIX;

/// The facts about everything in Beam's packages.
pub(crate) fn of(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for message in pool.all_messages() {
        if message.full_name().starts_with(PACKAGE_PREFIX) && !message.is_map_entry() {
            of_message(&message, &mut facts);
        }
    }
    for descriptor in pool.all_enums() {
        if descriptor.full_name().starts_with(PACKAGE_PREFIX) {
            of_enum(&descriptor, &mut facts);
        }
    }
    for service in pool.services() {
        of_service(&service, &mut facts);
    }
    for extension in pool.all_extensions() {
        let target = extension.containing_message();
        facts.insert(format!(
            "extension {} = {} of {}: {}",
            extension.full_name(),
            extension.number(),
            target.full_name(),
            kind(&extension.kind()),
        ));
    }
    facts
}

fn of_message(message: &MessageDescriptor, facts: &mut BTreeSet<String>) {
    let name = message.full_name();
    facts.insert(format!("message {name}"));
    for range in message.reserved_ranges() {
        for number in range {
            facts.insert(format!("message {name} reserves {number}"));
        }
    }
    for reserved in message.reserved_names() {
        facts.insert(format!("message {name} reserves {reserved}"));
    }
    for field in message.fields() {
        facts.insert(format!(
            "field {} = {}: {}",
            field.full_name(),
            field.number(),
            field_type(&field)
        ));
    }
}

fn field_type(field: &FieldDescriptor) -> String {
    let mut text = if field.is_map() {
        let Kind::Message(entry) = field.kind() else {
            panic!("{} is a map without entries", field.full_name());
        };
        let key = kind(&entry.map_entry_key_field().kind());
        let value = kind(&entry.map_entry_value_field().kind());
        format!("map<{key}, {value}>")
    } else {
        let label = match field.cardinality() {
            Cardinality::Optional => "",
            Cardinality::Required => "required ",
            Cardinality::Repeated => "repeated ",
        };
        format!("{label}{}", kind(&field.kind()))
    };
    if field.is_list() && !field.is_packed() && !has_length(&field.kind()) {
        text.push_str(", not packed");
    }
    if let Some(oneof) = field.containing_oneof() {
        if oneof.is_synthetic() {
            text.push_str(", presence is told");
        } else {
            text.push_str(", oneof ");
            text.push_str(oneof.name());
        }
    }
    text
}

/// Whether values are length-delimited, so that packing them is impossible.
fn has_length(kind: &Kind) -> bool {
    matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(descriptor) => format!("enum {}", descriptor.full_name()),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn of_enum(descriptor: &EnumDescriptor, facts: &mut BTreeSet<String>) {
    let name = descriptor.full_name();
    facts.insert(format!("enum {name}"));
    for range in descriptor.reserved_ranges() {
        for number in range {
            facts.insert(format!("enum {name} reserves {number}"));
        }
    }
    for reserved in descriptor.reserved_names() {
        facts.insert(format!("enum {name} reserves {reserved}"));
    }
    for value in descriptor.values() {
        let fact = format!("value {name}.{} = {}", value.name(), value.number());
        for option in options(&value) {
            facts.insert(format!("{fact}, {option}"));
        }
        facts.insert(fact);
    }
}

/// The extension options of a value: URNs, constants and what metrics look like.
fn options(value: &EnumValueDescriptor) -> Vec<String> {
    value
        .options()
        .extensions()
        .map(|(extension, value)| {
            let mut value = value.clone();
            if let Value::Message(message) = &mut value {
                leave_out_descriptions(message);
            }
            format!("option {} {value}", extension.name())
        })
        .collect()
}

/// Beam describes its metrics in annotations. We have comments of our own instead.
fn leave_out_descriptions(spec: &mut DynamicMessage) {
    if let Some(annotations) = spec
        .get_field_by_name_mut("annotations")
        .and_then(Value::as_list_mut)
    {
        annotations.retain(|annotation| {
            let key = annotation
                .as_message()
                .and_then(|annotation| annotation.get_field_by_name("key"));
            key.as_deref() != Some(&Value::String("description".to_owned()))
        });
    }
}

fn of_service(service: &ServiceDescriptor, facts: &mut BTreeSet<String>) {
    facts.insert(format!("service {}", service.full_name()));
    for method in service.methods() {
        let stream = |streaming| if streaming { "stream " } else { "" };
        facts.insert(format!(
            "method {}({}{}) returns ({}{})",
            method.full_name(),
            stream(method.is_client_streaming()),
            method.input().full_name(),
            stream(method.is_server_streaming()),
            method.output().full_name(),
        ));
    }
}
