//! The structs that the derive makes beside the ports.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Generics, Path, Type, parse_quote};

use super::field::{Kind, Port};
use crate::generics::used;

/// One of the structs `…Outputs` and `…Sides`, or `()` if it would have no fields.
pub(super) struct Companion<'a> {
    input: &'a DeriveInput,
    krate: &'a Path,
    kind: Kind,
    pub(super) ident: Ident,
    pub(super) fields: Vec<(&'a Port<'a>, &'a Type)>,
    generics: Generics,
    site: &'a Ident,
}

impl<'a> Companion<'a> {
    pub(super) fn new(
        input: &'a DeriveInput,
        krate: &'a Path,
        site: &'a Ident,
        kind: Kind,
        ports: &'a [Port<'a>],
    ) -> Self {
        let fields: Vec<_> = ports
            .iter()
            .filter_map(|port| match port.shown {
                Some((shown, ty)) if shown == kind => Some((port, ty)),
                _ => None,
            })
            .collect();
        let types: TokenStream = fields.iter().map(|(_, ty)| quote!(#ty,)).collect();
        let mut generics = used(&input.generics, types);
        generics
            .params
            .push(parse_quote!(#site: #krate::dofn::Site));
        let suffix = match kind {
            Kind::Output => "Outputs",
            Kind::Side => "Sides",
        };
        Companion {
            input,
            krate,
            kind,
            ident: format_ident!("{}{suffix}", input.ident),
            fields,
            generics,
            site,
        }
    }

    /// The type, where the site is in scope.
    pub(super) fn ty(&self) -> TokenStream {
        if self.fields.is_empty() {
            return quote!(());
        }
        let (ident, (_, arguments, _)) = (&self.ident, self.generics.split_for_impl());
        quote!(#ident #arguments)
    }

    /// What stands for a port of type `ty`.
    fn field_type(&self, ty: &Type) -> TokenStream {
        let (krate, site) = (self.krate, self.site);
        match self.kind {
            Kind::Output => {
                quote_spanned!(ty.span()=> <#site as #krate::dofn::Site>::Collection<#ty>)
            }
            Kind::Side => quote_spanned!(ty.span()=> <#site as #krate::dofn::Site>::View<#ty>),
        }
    }

    pub(super) fn define(&self) -> TokenStream {
        if self.fields.is_empty() {
            return TokenStream::new();
        }
        let (vis, ident, function) = (&self.input.vis, &self.ident, &self.input.ident);
        let (what, one) = match self.kind {
            Kind::Output => ("outputs", "output"),
            Kind::Side => ("side inputs", "side input"),
        };
        let doc = format!("The {what} of [`{function}`] in a pipeline or in a test.");
        let fields = self.fields.iter().map(|(port, ty)| {
            let (field, ty, docs) = (port.field, self.field_type(ty), &port.docs);
            let default = docs.is_empty().then(|| {
                let text = format!("The {one} `{}`.", port.tag.value());
                quote!(#[doc = #text])
            });
            quote!(#default #(#docs)* #vis #field: #ty,)
        });
        let names: Vec<_> = self.fields.iter().map(|(port, _)| port.field).collect();
        let labels = names.iter().map(|field| field.unraw().to_string());
        let (params, arguments, bounds) = self.generics.split_for_impl();
        let mut printable = self.generics.clone();
        let printable_bounds = &mut printable.make_where_clause().predicates;
        for (_, ty) in &self.fields {
            let ty = self.field_type(ty);
            printable_bounds.push(parse_quote!(#ty: ::core::fmt::Debug));
        }
        let printable_bounds = &printable.where_clause;
        let title = ident.to_string();
        quote! {
            #[doc = #doc]
            #[allow(dead_code, reason = "not everybody looks at everything")]
            #vis struct #ident #params #bounds { #(#fields)* }

            #[automatically_derived]
            impl #params ::core::fmt::Debug for #ident #arguments #printable_bounds {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#title) #(.field(#labels, &self.#names))* .finish()
                }
            }
        }
    }
}
