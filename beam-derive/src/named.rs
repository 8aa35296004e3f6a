//! `#[derive(DoFn)]` and `#[derive(CombineFn)]`: the name that a function travels under.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, LitStr, Result};

use crate::attributes::Beam;

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let beam = Beam::of_function(&input.attrs)?;
    let ident = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            format!(
                "each instance of a generic function needs a name of its own: \
                 write `impl Named for {ident}<…>` for those that travel, instead of this derive"
            ),
        ));
    }
    let Some(name) = &beam.name else {
        return Err(Error::new(
            ident.span(),
            "say `#[beam(name = \"…\")]`: the name is written into pipelines and must outlive renames of the type",
        ));
    };
    check(name)?;
    let krate = beam.krate();
    let upgrade = beam.upgrade.as_ref().map(|path| {
        let call = quote_spanned!(path.span()=> #path(config));
        quote! {
            fn upgrade(config: #krate::serde_json::Value) -> #krate::Result<#krate::serde_json::Value> {
                #call
            }
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl #krate::dofn::Named for #ident {
            const NAME: &'static str = #name;
            #upgrade
        }
    })
}

/// Checks that a name has the form `place.Name/vN`.
fn check(name: &LitStr) -> Result<()> {
    let value = name.value();
    let refuse = |what: &str| Err(Error::new(name.span(), what));
    if value.is_empty() {
        return refuse("the name is empty: say what the function is, as in `shop.Price/v1`");
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse("a name consists of visible ASCII characters, without spaces");
    }
    match value.split_once('/') {
        Some(("", _)) => refuse("a name says more than its version, as in `shop.Price/v1`"),
        Some((_, version)) if is_version(version) => Ok(()),
        _ => refuse(
            "a name ends in a slash and a version, as in `shop.Price/v1`, and has no other slash",
        ),
    }
}

/// Whether this is `v1`, `v2` and so on.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|number| {
        !number.starts_with('0') && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    #[test]
    fn names_end_in_a_version() {
        let ok = |name: &str| check(&LitStr::new(name, Span::call_site())).is_ok();
        for name in ["shop.Price/v1", "text.words/v20", "a:b-c_d/v3"] {
            assert!(ok(name), "{name}");
        }
        for name in [
            "", "x", "x/", "x/v", "x/1", "x/v0", "x/v01", "x/v1a", "/v1", "a/b/v1", "a b/v1",
            "ü/v1",
        ] {
            assert!(!ok(name), "{name}");
        }
    }
}
