//! `#[derive(Ports)]`: a struct whose fields are ports.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericArgument, Generics, LitStr, Path,
    PathArguments, Result, Token, Type, WherePredicate, parse_quote, parse_quote_spanned,
};

use crate::attributes::{Beam, port_name};

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

/// One field.
struct Port<'a> {
    field: &'a Ident,
    ty: &'a Type,
    tag: LitStr,
    /// What a companion struct has in its place.
    shown: Option<(Kind, &'a Type)>,
    docs: Vec<&'a Attribute>,
}

/// What the companions show of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An `Out<T>`.
    Output,
    /// A `Side<V>`.
    Side,
}

fn ports(input: &DeriveInput) -> Result<Vec<Port<'_>>> {
    let refuse = || {
        Err(Error::new(
            input.ident.span(),
            "ports are a struct with named fields: the names are what the pipeline knows them by",
        ))
    };
    let Data::Struct(data) = &input.data else {
        return refuse();
    };
    let Fields::Named(fields) = &data.fields else {
        return refuse();
    };
    if fields.named.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "there are no ports here: a function without ports has `type Io = ()`",
        ));
    }
    let mut tags = HashSet::new();
    fields
        .named
        .iter()
        .map(|field| {
            let ident = field.ident.as_ref().expect("the fields are named");
            let tag = port_name(&field.attrs)?
                .unwrap_or_else(|| LitStr::new(&ident.unraw().to_string(), ident.span()));
            if !tags.insert(tag.value()) {
                return Err(Error::new(
                    tag.span(),
                    format!("two ports are named {:?}", tag.value()),
                ));
            }
            Ok(Port {
                field: ident,
                ty: &field.ty,
                tag,
                shown: shown(&field.ty),
                docs: field
                    .attrs
                    .iter()
                    .filter(|attribute| attribute.path().is_ident("doc"))
                    .collect(),
            })
        })
        .collect()
}

/// The `T` of an `Out<T>` or `Side<T>`.
fn shown(ty: &Type) -> Option<(Kind, &Type)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let kind = match last.ident.to_string().as_str() {
        "Out" => Kind::Output,
        "Side" => Kind::Side,
        _ => return None,
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(shown) if arguments.args.len() == 1 => Some((kind, shown)),
        _ => None,
    }
}

/// One of the structs `…Outputs` and `…Sides`, or `()` if it would have no fields.
struct Companion<'a> {
    input: &'a DeriveInput,
    krate: &'a Path,
    kind: Kind,
    ident: Ident,
    fields: Vec<(&'a Port<'a>, &'a Type)>,
    generics: Generics,
    site: &'a Ident,
}

impl<'a> Companion<'a> {
    fn new(
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
    fn ty(&self) -> TokenStream {
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

    fn define(&self) -> TokenStream {
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
        let tags = self.fields.iter().map(|(port, _)| &port.tag);
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
                    f.debug_struct(#title) #(.field(#tags, &self.#names))* .finish()
                }
            }
        }
    }
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

            fn enter(&mut self, window: &[u8]) -> #krate::Result<()> {
                #(#as_port::enter(&mut self.#names, window)?;)*
                ::core::result::Result::Ok(())
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

/// The generics that `types` use, without defaults: a struct may not have any it does not use.
fn used(generics: &Generics, types: TokenStream) -> Generics {
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
fn fresh(wanted: &str, input: &DeriveInput) -> Ident {
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
