//! The helper attributes `#[beam(…)]` on types and `#[port(…)]` on fields.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, LitStr, Path, Result, parse_quote};

/// What `#[beam(…)]` says.
#[derive(Default)]
pub(crate) struct Beam {
    /// `name = "…"`.
    pub(crate) name: Option<LitStr>,
    /// `upgrade = path::to::function`.
    pub(crate) upgrade: Option<Path>,
    home: Option<Path>,
}

impl Beam {
    /// Reads all `#[beam(…)]` of a type that has a name.
    pub(crate) fn of_function(attributes: &[Attribute]) -> Result<Self> {
        let mut beam = Beam::default();
        for_each_key(attributes, "beam", |key| {
            if key.path.is_ident("name") {
                set(&key, &mut beam.name)
            } else if key.path.is_ident("upgrade") {
                set(&key, &mut beam.upgrade)
            } else if !beam.home(&key)? {
                Err(key.error("unknown key: use `name`, `upgrade` or `crate`"))
            } else {
                Ok(())
            }
        })?;
        Ok(beam)
    }

    /// Reads all `#[beam(…)]` of a type without a name.
    pub(crate) fn of_ports(attributes: &[Attribute]) -> Result<Self> {
        let mut beam = Beam::default();
        for_each_key(attributes, "beam", |key| {
            if beam.home(&key)? {
                Ok(())
            } else {
                Err(key.error("unknown key: ports have no attribute but `crate`"))
            }
        })?;
        Ok(beam)
    }

    /// The path of the ferrobeam crate.
    pub(crate) fn krate(&self) -> Path {
        self.home
            .clone()
            .unwrap_or_else(|| parse_quote!(::ferrobeam))
    }

    fn home(&mut self, key: &ParseNestedMeta<'_>) -> Result<bool> {
        if !key.path.is_ident("crate") {
            return Ok(false);
        }
        let path: LitStr = key.value()?.parse()?;
        self.home = Some(path.parse_with(Path::parse_mod_style)?);
        Ok(true)
    }
}

/// The name that `#[port(name = "…")]` gives a field.
pub(crate) fn port_name(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut name: Option<LitStr> = None;
    for_each_key(attributes, "port", |key| {
        if key.path.is_ident("name") {
            set(&key, &mut name)
        } else {
            Err(key.error("unknown key: a port has no attribute but `name`"))
        }
    })?;
    match name {
        Some(empty) if empty.value().is_empty() => {
            Err(Error::new(empty.span(), "a port needs a name"))
        }
        name => Ok(name),
    }
}

fn for_each_key(
    attributes: &[Attribute],
    helper: &str,
    mut read: impl FnMut(ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(helper))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut read))
}

fn set<T: syn::parse::Parse>(key: &ParseNestedMeta<'_>, place: &mut Option<T>) -> Result<()> {
    if place.is_some() {
        return Err(key.error("this key is said twice"));
    }
    *place = Some(key.value()?.parse()?);
    Ok(())
}
