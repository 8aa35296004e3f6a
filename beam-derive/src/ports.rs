//! `#[derive(Ports)]`: a struct whose fields are ports.

mod companion;
mod field;

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Path, Result, parse_quote, parse_quote_spanned};

use crate::attributes::Beam;
use crate::generics::fresh;
use companion::Companion;
use field::{Kind, Port, ports};

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let krate = Beam::of_ports(&input.attrs)?.krate();
    let ports = ports(&input)?;
    let site = fresh("S", &input);
    let outputs = Companion::new(&input, &krate, &site, Kind::Output, &ports);
    let sides = Companion::new(&input, &krate, &site, Kind::Side, &ports);
    let implementation = implementation(&input, &krate, &site, &ports, &outputs, &sides);
    let outputs = outputs.define();
    let sides = sides.define();
    Ok(quote!(#implementation #outputs #sides))
}

fn implementation(
    input: &DeriveInput,
    krate: &Path,
    site: &Ident,
    ports: &[Port<'_>],
    outputs: &Companion<'_>,
    sides: &Companion<'_>,
) -> TokenStream {
    let ident = &input.ident;
    let function = fresh("F", input);
    let (_, arguments, _) = input.generics.split_for_impl();
    let mut generics = input.generics.clone();
    generics.params.push(parse_quote!(#function: ?Sized));
    let bounds = &mut generics.make_where_clause().predicates;
    for port in ports {
        let ty = port.ty;
        bounds.push(parse_quote_spanned!(ty.span()=> #ty: #krate::dofn::Port<#function>));
    }
    let (params, _, bounds) = generics.split_for_impl();

    let names: Vec<_> = ports.iter().map(|port| port.field).collect();
    let tags: Vec<_> = ports.iter().map(|port| &port.tag).collect();
    let as_port: Vec<_> = ports
        .iter()
        .map(|port| {
            let ty = port.ty;
            quote_spanned!(ty.span()=> <#ty as #krate::dofn::Port<#function>>)
        })
        .collect();

    let outputs_type = outputs.ty();
    let make_outputs = if outputs.fields.is_empty() {
        quote!(fn outputs<#site: #krate::dofn::Site>(_site: &mut #site) {})
    } else {
        let companion = &outputs.ident;
        let fields = outputs.fields.iter().map(|(port, ty)| {
            let (field, tag) = (port.field, &port.tag);
            quote!(#field: #krate::dofn::Site::output::<#ty>(site, #tag))
        });
        quote! {
            fn outputs<#site: #krate::dofn::Site>(site: &mut #site) -> Self::Outputs<#site> {
                #companion { #(#fields),* }
            }
        }
    };
    let sides_type = sides.ty();
    let take_sides = if sides.fields.is_empty() {
        quote!(fn sides<#site: #krate::dofn::Site>(_site: &mut #site, (): ()) {})
    } else {
        let takes = sides.fields.iter().map(|(port, ty)| {
            let (field, tag) = (port.field, &port.tag);
            quote!(#krate::dofn::Site::side::<#ty>(site, #tag, sides.#field);)
        });
        quote! {
            fn sides<#site: #krate::dofn::Site>(site: &mut #site, sides: Self::Sides<#site>) {
                #(#takes)*
            }
        }
    };

    quote! {
        #[automatically_derived]
        impl #params #krate::dofn::Ports<#function> for #ident #arguments #bounds {
            type Outputs<#site: #krate::dofn::Site> = #outputs_type;
            type Sides<#site: #krate::dofn::Site> = #sides_type;
            const OBSERVES_WINDOWS: bool = #(#as_port::OBSERVES_WINDOWS)||*;
            const KEYED: bool = #(#as_port::KEYED)||*;

            fn wire(wiring: &mut #krate::dofn::Wiring<'_>) -> #krate::Result<Self> {
                ::core::result::Result::Ok(Self { #(#names: #as_port::wire(wiring, #tags)?),* })
            }

            fn describe<__D: #krate::dofn::Describe>(describe: &mut __D) {
                #(#as_port::describe(describe, #tags);)*
            }

            fn start(&mut self) -> #krate::Result<()> {
                #(#as_port::start(&mut self.#names)?;)*
                ::core::result::Result::Ok(())
            }

            fn enter(&mut self, scope: &#krate::dofn::Scope<'_>) -> #krate::Result<()> {
                #(#as_port::enter(&mut self.#names, scope)?;)*
                ::core::result::Result::Ok(())
            }

            fn leave(&mut self) {
                #(#as_port::leave(&mut self.#names);)*
            }

            fn finish(&mut self) -> #krate::Result<()> {
                #(#as_port::finish(&mut self.#names)?;)*
                ::core::result::Result::Ok(())
            }

            #make_outputs

            #take_sides
        }
    }
}
