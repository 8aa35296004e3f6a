//! `#[derive(Row)]`: a struct with named fields as a row.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Expr, Field, Fields, LitStr, Result, Type};

/// What the derive needs to know of one field.
struct RowField<'a> {
    member: &'a syn::Ident,
    field_type: &'a Type,
    name: LitStr,
    description: String,
    default: Option<Expr>,
}

pub(crate) fn derive(input: DeriveInput) -> TokenStream {
    expand(&input).unwrap_or_else(|error| error.to_compile_error())
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = named_fields(input)?
        .iter()
        .map(RowField::parse)
        .collect::<Result<Vec<_>>>()?;
    refuse_equal_names(&fields)?;
    let ident = &input.ident;
    let count = fields.len();
    let described = fields.iter().map(RowField::describe);
    let is_null = fields.iter().enumerate().map(|(index, field)| {
        let member = field.member;
        quote_spanned!(field.span()=> #index => ::ferrobeam::element::FieldValue::is_null(&self.#member),)
    });
    let put = fields.iter().map(|field| {
        let member = field.member;
        quote_spanned!(field.span()=> ::ferrobeam::element::FieldValue::put_field(&self.#member, out);)
    });
    let read = fields.iter().map(RowField::read);
    Ok(quote! {
        #[automatically_derived]
        impl ::ferrobeam::element::Row for #ident {
            const FIELDS: usize = #count;

            fn schema() -> &'static ::std::sync::Arc<::ferrobeam::element::Schema> {
                static SCHEMA: ::std::sync::OnceLock<::std::sync::Arc<::ferrobeam::element::Schema>> =
                    ::std::sync::OnceLock::new();
                ::ferrobeam::element::row::derived::schema(&SCHEMA, || ::std::vec![#(#described),*])
            }

            #[inline]
            fn null_at(&self, index: usize) -> bool {
                match index {
                    #(#is_null)*
                    _ => false,
                }
            }

            #[inline]
            fn put_values(&self, out: &mut ::std::vec::Vec<u8>) {
                #(#put)*
            }

            #[inline]
            fn read_values(
                reader: &mut ::ferrobeam::element::row::derived::RowReader<'_, '_>,
            ) -> ::ferrobeam::Result<Self> {
                ::std::result::Result::Ok(#ident { #(#read),* })
            }
        }

        #[automatically_derived]
        impl ::ferrobeam::element::FieldValue for #ident {
            fn field_type() -> ::ferrobeam::element::row::FieldType {
                ::ferrobeam::element::row::derived::field_type::<Self>()
            }

            #[inline]
            fn put_field(&self, out: &mut ::std::vec::Vec<u8>) {
                ::ferrobeam::element::row::derived::put(self, out)
            }

            #[inline]
            fn read_field(input: &mut ::ferrobeam::element::Input<'_>) -> ::ferrobeam::Result<Self> {
                ::ferrobeam::element::row::derived::read(input, ::ferrobeam::element::Nesting::Nested)
            }
        }

        #[automatically_derived]
        impl ::ferrobeam::element::Element for #ident {
            fn coder() -> ::ferrobeam::element::Coder {
                <Self as ::ferrobeam::element::Row>::schema().coder()
            }

            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>, _at: ::ferrobeam::element::Nesting) {
                ::ferrobeam::element::row::derived::put(self, out)
            }

            #[inline]
            fn decode(
                input: &mut ::ferrobeam::element::Input<'_>,
                at: ::ferrobeam::element::Nesting,
            ) -> ::ferrobeam::Result<Self> {
                ::ferrobeam::element::row::derived::read(input, at)
            }

            fn skip(
                input: &mut ::ferrobeam::element::Input<'_>,
                at: ::ferrobeam::element::Nesting,
            ) -> ::ferrobeam::Result<()> {
                ::ferrobeam::element::row::derived::skip::<Self>(input, at)
            }
        }

        #[automatically_derived]
        impl ::ferrobeam::element::NotAByte for #ident {}
    })
}

fn named_fields(
    input: &DeriveInput,
) -> Result<&syn::punctuated::Punctuated<Field, syn::Token![,]>> {
    let refuse = |what: &str| {
        Err(Error::new_spanned(
            &input.ident,
            format!(
                "a row is a struct with named fields, but `{}` is {what}",
                input.ident
            ),
        ))
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a row has one schema: derive it for a struct without type or lifetime parameters",
        ));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(&fields.named),
            Fields::Unnamed(_) => refuse("a tuple struct"),
            Fields::Unit => refuse("a unit struct"),
        },
        Data::Enum(_) => refuse("an enum"),
        Data::Union(_) => refuse("a union"),
    }
}

fn refuse_equal_names(fields: &[RowField<'_>]) -> Result<()> {
    for (index, field) in fields.iter().enumerate() {
        let name = field.name.value();
        if fields[..index].iter().any(|f| f.name.value() == name) {
            return Err(Error::new(
                field.name.span(),
                format!("two fields are called `{name}`"),
            ));
        }
    }
    Ok(())
}

impl<'a> RowField<'a> {
    fn parse(field: &'a Field) -> Result<Self> {
        let Some(member) = &field.ident else {
            return Err(Error::new_spanned(field, "a field of a row has a name"));
        };
        let mut parsed = RowField {
            member,
            field_type: &field.ty,
            name: LitStr::new(&member.unraw().to_string(), member.span()),
            description: description(&field.attrs),
            default: None,
        };
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("beam")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    parsed.name = meta.value()?.parse()?;
                } else if meta.path.is_ident("default") {
                    parsed.default = Some(default(meta.value()?.parse()?));
                } else {
                    return Err(meta.error(
                        "a field of a row knows `rename = \"name\"` and `default = expression`",
                    ));
                }
                Ok(())
            })?;
        }
        if parsed.name.value().is_empty() {
            return Err(Error::new(parsed.name.span(), "a field needs a name"));
        }
        Ok(parsed)
    }

    /// Where code that depends on the field's type stands, so that an unsupported type is pointed at, and not the
    /// derive.
    fn span(&self) -> Span {
        self.field_type.span().resolved_at(Span::call_site())
    }

    fn describe(&self) -> TokenStream {
        let RowField {
            field_type,
            name,
            description,
            default,
            ..
        } = self;
        match default {
            None => quote_spanned! {self.span()=>
                ::ferrobeam::element::row::derived::field::<#field_type>(#name, #description)
            },
            Some(default) => quote_spanned! {self.span()=>
                ::ferrobeam::element::row::derived::field_or::<#field_type>(#name, #description, #default)
            },
        }
    }

    fn read(&self) -> TokenStream {
        let RowField {
            member,
            name,
            default,
            ..
        } = self;
        match default {
            None => quote_spanned!(self.span()=> #member: reader.field(#name)?),
            Some(default) => {
                quote_spanned!(self.span()=> #member: reader.field_or(#name, || #default)?)
            }
        }
    }
}

/// Text literals stand for any type that is made of text.
fn default(expression: Expr) -> Expr {
    match &expression {
        Expr::Lit(literal) if matches!(literal.lit, syn::Lit::Str(_)) => {
            syn::parse_quote!(::std::convert::Into::into(#expression))
        }
        _ => expression,
    }
}

/// The doc comments, as one line of text.
fn description(attributes: &[Attribute]) -> String {
    let lines: Vec<_> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(
            |attribute| match &attribute.meta.require_name_value().ok()?.value {
                Expr::Lit(literal) => match &literal.lit {
                    syn::Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
        )
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    /// The message with which the derive refuses.
    fn refusal(input: &DeriveInput) -> String {
        expand(input).expect_err("it must refuse").to_string()
    }

    #[test]
    fn only_structs_with_named_fields_are_rows() {
        let shape = "a row is a struct with named fields, but `X` is";
        assert_eq!(
            refusal(&parse_quote!(
                enum X {
                    A,
                    B,
                }
            )),
            format!("{shape} an enum")
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct X(i64, String);
            )),
            format!("{shape} a tuple struct")
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct X;
            )),
            format!("{shape} a unit struct")
        );
        assert_eq!(
            refusal(&parse_quote!(union X { a: u8 })),
            format!("{shape} a union")
        );
    }

    #[test]
    fn a_row_has_one_schema() {
        let message =
            "a row has one schema: derive it for a struct without type or lifetime parameters";
        assert_eq!(
            refusal(&parse_quote!(
                struct X<T> {
                    a: T,
                }
            )),
            message
        );
        assert_eq!(
            refusal(&parse_quote!(
                struct X<'a> {
                    a: &'a str,
                }
            )),
            message
        );
    }

    #[test]
    fn attributes_are_known_or_refused() {
        let input = parse_quote!(
            struct X {
                #[beam(defalt = 1)]
                a: i64,
            }
        );
        assert_eq!(
            refusal(&input),
            "a field of a row knows `rename = \"name\"` and `default = expression`"
        );
        let input = parse_quote!(
            struct X {
                #[beam(rename = "")]
                a: i64,
            }
        );
        assert_eq!(refusal(&input), "a field needs a name");
    }

    #[test]
    fn names_are_distinct() {
        let input = parse_quote!(
            struct X {
                a: i64,
                #[beam(rename = "a")]
                b: i64,
            }
        );
        assert_eq!(refusal(&input), "two fields are called `a`");
    }

    #[test]
    fn doc_comments_are_descriptions() {
        let field: Field = parse_quote! {
            /// What it is.
            ///
            /// And why.
            a: i64
        };
        assert_eq!(description(&field.attrs), "What it is. And why.");
    }
}
