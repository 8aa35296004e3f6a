//! The fields of a ports struct.

use std::collections::HashSet;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericArgument, LitStr, PathArguments, Result,
    Type,
};

use crate::attributes::port_name;

/// One field.
pub(super) struct Port<'a> {
    pub(super) field: &'a Ident,
    pub(super) ty: &'a Type,
    pub(super) tag: LitStr,
    /// What a companion struct has in its place.
    pub(super) shown: Option<(Kind, &'a Type)>,
    pub(super) docs: Vec<&'a Attribute>,
}

/// What the companions show of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An `Out<T>`.
    Output,
    /// A `Side<V>`.
    Side,
}

pub(super) fn ports(input: &DeriveInput) -> Result<Vec<Port<'_>>> {
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
            if is_plain_data(&field.ty) {
                return Err(Error::new(
                    field.ty.span(),
                    format!("`{ident}` is not a port: plain data belongs in the DoFn itself"),
                ));
            }
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

/// Whether no crate can make this type a port. The trait bounds say so too, but not at the field.
fn is_plain_data(ty: &Type) -> bool {
    let path = match bare(ty) {
        Type::Path(path) => path,
        Type::Macro(_) => return false,
        _ => return true,
    };
    path.path.segments.last().is_some_and(|last| {
        matches!(
            last.ident.to_string().as_str(),
            "bool"
                | "char"
                | "i8"
                | "i16"
                | "i32"
                | "i64"
                | "i128"
                | "isize"
                | "u8"
                | "u16"
                | "u32"
                | "u64"
                | "u128"
                | "usize"
                | "f32"
                | "f64"
                | "String"
                | "Vec"
                | "Option"
                | "PhantomData"
        )
    })
}

/// The type without the invisible brackets that macros put around it.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        _ => ty,
    }
}

/// The `T` of an `Out<T>` or `Side<T>`.
fn shown(ty: &Type) -> Option<(Kind, &Type)> {
    let Type::Path(path) = bare(ty) else {
        return None;
    };
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
