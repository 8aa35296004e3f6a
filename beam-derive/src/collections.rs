//! `#[derive(Collections)]`: a struct whose fields are the inputs or outputs of a transform.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::attributes::Beam;

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let krate = Beam::of_ports(&input.attrs)?.krate();
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if !fields.named.is_empty() => &fields.named,
            _ => return Err(not_collections(&input)),
        },
        _ => return Err(not_collections(&input)),
    };
    let (mut describe, mut take, mut give) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields {
        let (ident, ty) = (&field.ident, &field.ty);
        let name = ident.as_ref().map(|ident| ident.unraw().to_string());
        describe.push(quote_spanned! {ty.span()=>
            #krate::expansion::Described::named::<#ty>(#name)
        });
        take.push(quote!(#ident: inputs.take(::core::option::Option::Some(#name))?));
        give.push(quote!(outputs.give(#name, self.#ident);));
    }
    let ident = &input.ident;
    let (params, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #params #krate::expansion::Collections for #ident #arguments #bounds {
            fn describe() -> ::std::vec::Vec<#krate::expansion::Described> {
                ::std::vec![#(#describe),*]
            }

            fn take(inputs: &mut #krate::expansion::Inputs<'_>) -> #krate::Result<Self> {
                ::core::result::Result::Ok(Self { #(#take),* })
            }

            fn give(self, outputs: &mut #krate::expansion::Outputs) {
                #(#give)*
            }
        }
    })
}

fn not_collections(input: &DeriveInput) -> Error {
    Error::new(
        input.ident.span(),
        "`Collections` needs a struct with named fields: each is an input or output, and its name is what other SDKs \
         call it",
    )
}
