//! The functions behind joins and hot keys: they take pairs apart and put them together again.

use serde::{Deserialize, Serialize};

use crate::dofn::{Cx, DoFn, Named, Out};
use crate::element::{Iter, Kv, Raw, put_varint};
use crate::error::{Error, Result};

/// Marks values with the input that they come from: a byte in front of each.
#[derive(Serialize, Deserialize)]
pub struct Tagged {
    /// The number of the input.
    pub tag: u8,
}

impl Named for Tagged {
    const NAME: &'static str = "ferrobeam.Tagged/v1";
}

impl DoFn for Tagged {
    type In = Kv<Raw, Raw>;
    type Io = Out<Kv<Raw, Vec<u8>>>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        let mut value = Vec::with_capacity(1 + pair.1.0.len());
        value.push(self.tag);
        value.extend_from_slice(&pair.1.0);
        out.emit(cx, Kv(pair.0, value));
        Ok(())
    }
}

/// Makes of a key and its marked values the key and a list of values for each input, one pair in the other.
#[derive(Serialize, Deserialize)]
pub struct Join {
    /// How many inputs there are.
    pub inputs: usize,
}

impl Named for Join {
    const NAME: &'static str = "ferrobeam.Join/v1";
}

impl DoFn for Join {
    type In = Kv<Raw, Iter<Vec<u8>>>;
    type Io = Out<Raw>;

    fn process(&mut self, group: Self::In, cx: &mut Cx<'_>, out: &mut Out<Raw>) -> Result<()> {
        let mut lists = vec![(0i32, Vec::new()); self.inputs];
        group.1.for_each(|value| {
            let tagged = value.split_first();
            let list =
                tagged.and_then(|(tag, value)| Some((lists.get_mut(usize::from(*tag))?, value)));
            let Some(((count, bytes), value)) = list else {
                return Err(Error::decode("a value to be joined is of no input"));
            };
            *count = count
                .checked_add(1)
                .ok_or_else(|| Error::user("a key has too many values to be joined"))?;
            bytes.extend_from_slice(value);
            Ok(())
        })?;
        let mut joined = group.0.0.to_vec();
        for (count, bytes) in lists {
            joined.extend_from_slice(&count.to_be_bytes());
            joined.extend_from_slice(&bytes);
        }
        out.emit(cx, Raw(joined.into()));
        Ok(())
    }
}

/// Spreads the values of each key over several keys, so that no worker has all of them to combine.
#[derive(Serialize, Deserialize)]
pub struct Shard {
    /// How many keys one becomes.
    pub shards: u32,
    #[serde(skip)]
    next: u32,
}

impl Shard {
    /// The function that makes so many keys of each.
    pub const fn new(shards: u32) -> Self {
        Shard { shards, next: 0 }
    }
}

impl Named for Shard {
    const NAME: &'static str = "ferrobeam.Shard/v1";
}

impl DoFn for Shard {
    type In = Kv<Raw, Raw>;
    type Io = Out<Raw>;

    fn start_bundle(&mut self, _out: &mut Self::Io) -> Result<()> {
        self.next = 0;
        Ok(())
    }

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        let mut sharded = Vec::with_capacity(pair.0.0.len() + 2 + pair.1.0.len());
        sharded.extend_from_slice(&pair.0.0);
        put_varint(&mut sharded, u64::from(self.next));
        sharded.extend_from_slice(&pair.1.0);
        self.next = (self.next + 1) % self.shards.max(1);
        out.emit(cx, Raw(sharded.into()));
        Ok(())
    }
}

/// Takes the numbers of shards off the keys.
#[derive(Serialize, Deserialize)]
pub struct Unshard;

impl Named for Unshard {
    const NAME: &'static str = "ferrobeam.Unshard/v1";
}

impl DoFn for Unshard {
    type In = Kv<Kv<Raw, i64>, Raw>;
    type Io = Out<Raw>;

    fn process(&mut self, pair: Self::In, cx: &mut Cx<'_>, out: &mut Self::Io) -> Result<()> {
        let Kv(Kv(key, _shard), value) = pair;
        let mut bytes = Vec::with_capacity(key.0.len() + value.0.len());
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(&value.0);
        out.emit(cx, Raw(bytes.into()));
        Ok(())
    }
}
