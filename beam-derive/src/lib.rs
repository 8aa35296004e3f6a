//! Derive macros of ferrobeam.

mod row;

use proc_macro::TokenStream;

/// Names a `DoFn`.
#[proc_macro_derive(DoFn, attributes(beam))]
pub fn dofn(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Names a `CombineFn`.
#[proc_macro_derive(CombineFn, attributes(beam))]
pub fn combine_fn(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Derives `Ports`.
#[proc_macro_derive(Ports, attributes(port))]
pub fn ports(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Makes a struct with named fields a row that travels through collections; see `ferrobeam::Row`.
#[proc_macro_derive(Row, attributes(beam))]
pub fn row(input: TokenStream) -> TokenStream {
    row::derive(syn::parse_macro_input!(input as syn::DeriveInput)).into()
}
