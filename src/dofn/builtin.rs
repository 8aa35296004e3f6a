//! The functions that pipelines use for their own transforms. Every worker has them.
//!
//! A function's name stands for one type, so these work on encoded values wherever the type does not matter.

mod ranges;
mod regroup;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{Cx, Describe, DoFn, List, Named, Out, Port, Ports, Scope, Side, Site, Wiring};
use crate::element::{Header, Input, Iter, Kv, Pane, Raw, Timestamp, WindowBytes, put_varint};
use crate::error::{Error, Result};

pub use ranges::{ReadText, Sequence};
pub use regroup::{Join, Shard, Tagged, Unshard};

/// Emits values that the pipeline holds.
#[derive(Serialize, Deserialize)]
pub struct Create {
    /// The values one after the other, each after its length as a varint, in base64.
    values: String,
}

impl Create {
    /// The function that emits these encoded values.
    pub fn of(values: &[Vec<u8>]) -> Self {
        let mut framed = Vec::new();
        for value in values {
            put_varint(&mut framed, value.len() as u64);
            framed.extend_from_slice(value);
        }
        Create {
            values: BASE64_STANDARD.encode(framed),
        }
    }
}

impl Named for Create {
    const NAME: &'static str = "ferrobeam.Create/v1";
}

impl DoFn for Create {
    type In = Vec<u8>;
    type Io = Out<Raw>;

    fn process(&mut self, _impulse: Vec<u8>, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result<()> {
        let framed = BASE64_STANDARD.decode(&self.values);
        let framed: Bytes = framed
            .map_err(|e| Error::descriptor("the values in the pipeline are damaged").because(e))?
            .into();
        let mut input = Input::of_chunk(&framed);
        while !input.is_empty() && !cx.failed() {
            let length = input.length()?;
            out.emit(cx, Raw(input.bytes(length)?));
        }
        Ok(())
    }
}

/// Puts all values under one key.
#[derive(Serialize, Deserialize)]
pub struct UnderUnit;

impl Named for UnderUnit {
    const NAME: &'static str = "ferrobeam.UnderUnit/v1";
}

impl DoFn for UnderUnit {
    type In = Raw;
    type Io = Out<Kv<(), Raw>>;

    fn process(&mut self, value: Raw, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        out.emit(cx, Kv((), value));
        Ok(())
    }
}

/// The keys of pairs.
#[derive(Serialize, Deserialize)]
pub struct Keys;

impl Named for Keys {
    const NAME: &'static str = "ferrobeam.Keys/v1";
}

impl DoFn for Keys {
    type In = Kv<Raw, Raw>;
    type Io = Out<Raw>;

    fn process(&mut self, pair: Kv<Raw, Raw>, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result<()> {
        out.emit(cx, pair.0);
        Ok(())
    }
}

/// The values of pairs.
#[derive(Serialize, Deserialize)]
pub struct Values;

impl Named for Values {
    const NAME: &'static str = "ferrobeam.Values/v1";
}

impl DoFn for Values {
    type In = Kv<Raw, Raw>;
    type Io = Out<Raw>;

    fn process(&mut self, pair: Kv<Raw, Raw>, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result<()> {
        out.emit(cx, pair.1);
        Ok(())
    }
}

/// The values of pairs, at the timestamps that the keys are in milliseconds.
#[derive(Serialize, Deserialize)]
pub struct AtKeys;

impl Named for AtKeys {
    const NAME: &'static str = "ferrobeam.AtKeys/v1";
}

impl DoFn for AtKeys {
    type In = Kv<i64, Raw>;
    type Io = Out<Raw>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result<()> {
        out.emit_at(cx, Timestamp::from_millis(pair.0), pair.1);
        Ok(())
    }
}

/// Makes values keys of nothing, to be counted.
#[derive(Serialize, Deserialize)]
pub struct AsKeys;

impl Named for AsKeys {
    const NAME: &'static str = "ferrobeam.AsKeys/v1";
}

impl DoFn for AsKeys {
    type In = Raw;
    type Io = Out<Kv<Raw, ()>>;

    fn process(&mut self, value: Raw, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        out.emit(cx, Kv(value, ()));
        Ok(())
    }
}

/// Emits a value if a collection is empty.
#[derive(Serialize, Deserialize)]
pub struct IfEmpty {
    /// The encoded value in base64.
    value: String,
}

impl IfEmpty {
    /// The function that emits this encoded value.
    pub fn of(value: &[u8]) -> Self {
        IfEmpty {
            value: BASE64_STANDARD.encode(value),
        }
    }
}

/// Ports of [`IfEmpty`].
pub struct IfEmptyIo {
    output: Out<Raw>,
    /// Only whether there are any is looked at.
    values: Side<List<Raw>>,
}

impl Ports<IfEmpty> for IfEmptyIo {
    type Outputs<S: Site> = S::Collection<Raw>;
    type Sides<S: Site> = S::View<List<Raw>>;
    const OBSERVES_WINDOWS: bool = true;

    fn wire(wiring: &mut Wiring<'_>) -> Result<Self> {
        Ok(IfEmptyIo {
            output: Port::<IfEmpty>::wire(wiring, "output")?,
            values: Port::<IfEmpty>::wire(wiring, "values")?,
        })
    }

    fn describe<D: Describe>(describe: &mut D) {
        describe.output::<Raw>("output");
        describe.side::<List<Raw>>("values");
    }

    fn start(&mut self) -> Result<()> {
        Port::<IfEmpty>::start(&mut self.output)?;
        Port::<IfEmpty>::start(&mut self.values)
    }

    fn enter(&mut self, scope: &Scope<'_>) -> Result<()> {
        Port::<IfEmpty>::enter(&mut self.values, scope)
    }

    fn finish(&mut self) -> Result<()> {
        Port::<IfEmpty>::finish(&mut self.values)?;
        Port::<IfEmpty>::finish(&mut self.output)
    }

    fn outputs<S: Site>(site: &mut S) -> S::Collection<Raw> {
        site.output("output")
    }

    fn sides<S: Site>(site: &mut S, values: S::View<List<Raw>>) {
        site.side("values", values);
    }
}

impl Named for IfEmpty {
    const NAME: &'static str = "ferrobeam.IfEmpty/v1";
}

impl DoFn for IfEmpty {
    type In = Vec<u8>;
    type Io = IfEmptyIo;

    fn process(&mut self, _impulse: Vec<u8>, cx: &mut Cx<'_>, io: &mut IfEmptyIo) -> Result<()> {
        if io.values.values()?.iter().next().transpose()?.is_none() {
            let value = BASE64_STANDARD.decode(&self.value);
            let value = value
                .map_err(|e| Error::descriptor("a value in the pipeline is damaged").because(e))?;
            io.output.emit(cx, Raw(value.into()));
        }
        Ok(())
    }
}

/// How many keys [`Scatter`] spreads the values of a bundle over: more than any runner has threads.
const SHARDS: u64 = 1 << 10;

/// Spreads values over keys, with their headers, for runners that can only move groups.
#[derive(Serialize, Deserialize)]
pub struct Scatter {
    #[serde(skip)]
    next: Option<u64>,
}

impl Scatter {
    /// The function.
    pub const fn new() -> Self {
        Scatter { next: None }
    }
}

impl Default for Scatter {
    fn default() -> Self {
        Scatter::new()
    }
}

impl Named for Scatter {
    const NAME: &'static str = "ferrobeam.Scatter/v1";
}

impl DoFn for Scatter {
    type In = Raw;
    type Io = Out<Kv<i64, Vec<u8>>>;

    fn start_bundle(&mut self, _out: &mut Self::Io) -> Result<()> {
        self.next = None;
        Ok(())
    }

    fn process(&mut self, value: Raw, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        // Where bundles begin depends on their content alone, so that a retry does the same.
        let shard = self.next.unwrap_or_else(|| hash(&value.0)) % SHARDS;
        self.next = Some(shard + 1);
        let header = cx.header();
        let mut bytes = Vec::with_capacity(16 + value.0.len());
        header.timestamp.encode(&mut bytes);
        header.pane.encode(&mut bytes, false);
        put_varint(&mut bytes, u64::from(header.windows.count()));
        put_varint(&mut bytes, header.windows.bytes().len() as u64);
        bytes.extend_from_slice(header.windows.bytes());
        bytes.extend_from_slice(&value.0);
        out.send(&Header::global(header.timestamp), Kv(shard as i64, bytes))
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Gives scattered values their headers back.
#[derive(Serialize, Deserialize)]
pub struct Gather;

impl Named for Gather {
    const NAME: &'static str = "ferrobeam.Gather/v1";
}

impl DoFn for Gather {
    type In = Kv<i64, Iter<Bytes>>;
    type Io = Out<Raw>;

    fn process(&mut self, group: Self::In, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result<()> {
        for value in &group.1 {
            if cx.failed() {
                break;
            }
            let value = value?;
            let mut input = Input::of_chunk(&value);
            let timestamp = Timestamp::decode(&mut input)?;
            let (pane, _) = Pane::decode(&mut input)?;
            let count = u32::try_from(input.varint()?)
                .map_err(|_| Error::decode("a scattered value is in too many windows"))?;
            let length = input.length()?;
            let header = Header {
                timestamp,
                windows: WindowBytes::of(count, input.take(length)?),
                pane,
                metadata: None,
            };
            let rest = input.take_rest();
            out.send(&header, Raw(input.share(rest)))?;
        }
        Ok(())
    }
}

/// Reads the lines of the files whose paths come in. Lines end in `\n` or `\r\n`, which is not part of them.
#[derive(Serialize, Deserialize)]
pub struct ReadLines;

impl Named for ReadLines {
    const NAME: &'static str = "ferrobeam.ReadLines/v1";
}

impl DoFn for ReadLines {
    type In = String;
    type Io = Out<String>;

    fn process(&mut self, path: String, cx: &mut Cx<'_>, out: &mut Out<String>) -> Result<()> {
        let cannot = |e| Error::user(format!("the file {path:?} cannot be read")).because(e);
        let file = File::open(&path).map_err(cannot)?;
        for line in BufReader::with_capacity(1 << 16, file).lines() {
            out.emit(cx, line.map_err(cannot)?);
            if cx.failed() {
                break;
            }
        }
        Ok(())
    }
}

/// Writes groups of lines into a file, each line followed by `\n`. Yields the file's path.
///
/// The file appears under its name when it is complete.
#[derive(Serialize, Deserialize)]
pub struct WriteLines {
    /// The file's path.
    pub path: String,
}

impl Named for WriteLines {
    const NAME: &'static str = "ferrobeam.WriteLines/v1";
}

impl DoFn for WriteLines {
    type In = Kv<(), Iter<String>>;
    type Io = Out<String>;

    fn process(&mut self, lines: Self::In, cx: &mut Cx<'_>, out: &mut Out<String>) -> Result<()> {
        write_lines(&lines.1, Path::new(&self.path))?;
        out.emit(cx, self.path.clone());
        Ok(())
    }
}

/// Attempts at the same bundle may overlap: each writes into a file of its own, and the last one to finish wins.
fn write_lines(lines: &Iter<String>, path: &Path) -> Result<()> {
    let cannot = |e| cannot_write(path, e);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let unfinished = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(cannot)?;
    let mut file = BufWriter::new(unfinished.as_file());
    for line in lines {
        file.write_all(line?.as_bytes()).map_err(cannot)?;
        file.write_all(b"\n").map_err(cannot)?;
    }
    file.flush().map_err(cannot)?;
    drop(file);
    unfinished.persist(path).map_err(|e| cannot(e.error))?;
    Ok(())
}

#[cold]
fn cannot_write(path: &Path, cause: std::io::Error) -> Error {
    Error::user(format!("the file {path:?} cannot be written")).because(cause)
}
