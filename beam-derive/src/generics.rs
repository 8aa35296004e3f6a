//! Type parameters, and names for new ones.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::punctuated::Punctuated;
use syn::{DeriveInput, Generics, Token, WherePredicate};

/// The generics that `types` use, without defaults: a struct may not have any it does not use.
pub(crate) fn used(generics: &Generics, types: TokenStream) -> Generics {
    let mentioned = idents(types);
    let (kept, dropped): (Vec<_>, Vec<_>) = generics
        .params
        .iter()
        .cloned()
        .partition(|param| mentioned.contains(&name_of(param)));
    let dropped: HashSet<String> = dropped.iter().map(name_of).collect();
    let mut kept_generics = Generics {
        params: kept.into_iter().map(without_default).collect(),
        ..Generics::default()
    };
    if let Some(bounds) = &generics.where_clause {
        let predicates: Punctuated<WherePredicate, Token![,]> = bounds
            .predicates
            .iter()
            .filter(|predicate| idents(predicate.to_token_stream()).is_disjoint(&dropped))
            .cloned()
            .collect();
        kept_generics.make_where_clause().predicates = predicates;
    }
    kept_generics
}

fn name_of(param: &syn::GenericParam) -> String {
    match param {
        syn::GenericParam::Type(param) => param.ident.to_string(),
        syn::GenericParam::Const(param) => param.ident.to_string(),
        syn::GenericParam::Lifetime(param) => param.lifetime.ident.to_string(),
    }
}

fn without_default(mut param: syn::GenericParam) -> syn::GenericParam {
    match &mut param {
        syn::GenericParam::Type(param) => {
            param.eq_token = None;
            param.default = None;
        }
        syn::GenericParam::Const(param) => {
            param.eq_token = None;
            param.default = None;
        }
        syn::GenericParam::Lifetime(_) => {}
    }
    param
}

/// A type parameter that reads well in the documentation, unless the input means something else by it.
pub(crate) fn fresh(wanted: &str, input: &DeriveInput) -> Ident {
    if idents(input.to_token_stream()).contains(wanted) {
        format_ident!("__{wanted}")
    } else {
        Ident::new(wanted, Span::call_site())
    }
}

fn idents(tokens: TokenStream) -> HashSet<String> {
    let mut found = HashSet::new();
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(ident) => {
                found.insert(ident.to_string());
            }
            proc_macro2::TokenTree::Group(group) => found.extend(idents(group.stream())),
            _ => {}
        }
    }
    found
}
