//! Derive macros of ferrobeam. Their examples are in the documentation of `ferrobeam::dofn`.

mod attributes;
mod collections;
mod generics;
mod named;
mod ports;

mod row;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Names a `DoFn`: implements `ferrobeam::dofn::Named`.
///
/// `#[beam(name = "shop.Price/v1")]` is the name that pipelines say. It must be there and end in a version.
/// `#[beam(upgrade = path)]` names a function that brings a configuration saved by an older version into this one's
/// shape: `fn(serde_json::Value) -> ferrobeam::Result<serde_json::Value>`.
/// `#[beam(crate = "path")]` says where ferrobeam is, if not at `::ferrobeam`.
///
/// A generic type has many names, one for each instance: implement `Named` for these by hand.
#[proc_macro_derive(DoFn, attributes(beam))]
pub fn dofn(input: TokenStream) -> TokenStream {
    finish(named::derive(parse_macro_input!(input as DeriveInput)))
}

/// Names a `WindowFunction`, with the attributes of `#[derive(DoFn)]`.
#[proc_macro_derive(WindowFunction, attributes(beam))]
pub fn derive_window_function(input: TokenStream) -> TokenStream {
    finish(named::derive(parse_macro_input!(input as DeriveInput)))
}

/// Names a `CombineFn`, with the attributes of `#[derive(DoFn)]`.
#[proc_macro_derive(CombineFn, attributes(beam))]
pub fn combine_fn(input: TokenStream) -> TokenStream {
    finish(named::derive(parse_macro_input!(input as DeriveInput)))
}

/// Names an `Order` of values, with the attributes of `#[derive(DoFn)]`.
#[proc_macro_derive(Order, attributes(beam))]
pub fn order(input: TokenStream) -> TokenStream {
    finish(named::derive(parse_macro_input!(input as DeriveInput)))
}

/// Makes a struct with named fields the ports of a function: implements `ferrobeam::dofn::Ports`.
///
/// Every field is a `Port`, and its name is the tag or metric that the pipeline knows it by;
/// `#[port(name = "…")]` says another one. For a struct `Io` the derive also makes
///
/// * `IoOutputs<S>`, with a field for each `Out<T>`: what placing the function in the site `S` yields;
/// * `IoSides<S>`, with a field for each `Side<V>`: what must be given to place it.
///
/// A struct that would have no field is not made; `()` takes its place. Both are as visible as `Io`, in all fields.
/// The macro goes by the names `Out` and `Side`: a type alias for one of them is a port, but has no field there.
///
/// `#[beam(crate = "path")]` says where ferrobeam is, if not at `::ferrobeam`.
#[proc_macro_derive(Ports, attributes(port, beam))]
pub fn ports(input: TokenStream) -> TokenStream {
    finish(ports::derive(parse_macro_input!(input as DeriveInput)))
}

fn finish(made: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    made.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct with named fields a row that travels through collections; see `ferrobeam::Row`.
#[proc_macro_derive(Row, attributes(beam))]
pub fn row(input: TokenStream) -> TokenStream {
    row::derive(syn::parse_macro_input!(input as syn::DeriveInput)).into()
}

/// Makes a struct with named fields the inputs or outputs of a transform: implements
/// `ferrobeam::expansion::Collections`.
///
/// Every field is a `Collection`, such as `PCollection<T>`, and its name is what other SDKs call it.
/// `#[beam(crate = "path")]` says where ferrobeam is, if not at `::ferrobeam`.
#[proc_macro_derive(Collections, attributes(beam))]
pub fn collections(input: TokenStream) -> TokenStream {
    finish(collections::derive(parse_macro_input!(
        input as DeriveInput
    )))
}
