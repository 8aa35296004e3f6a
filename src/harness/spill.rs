//! Input that has no room in memory: kept in a file that has no name.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use bytes::Bytes;

use crate::error::{Error, Result};

/// What one bundle may spill. A runner that sends more than that ahead of a bundle is better told so.
const MAX_BYTES: u64 = 64 << 30;

/// A file of stretches that are read back once each.
#[derive(Default)]
pub(crate) struct Spill {
    file: Option<File>,
    written: u64,
}

/// Where a stretch lies in its [`Spill`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    at: u64,
    len: usize,
}

impl Spill {
    /// Writes a stretch.
    ///
    /// # Errors
    /// No temporary file, no room on disk, or the limit is reached.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<Place> {
        if self.written + data.len() as u64 > MAX_BYTES {
            return Err(Error::transport(format!(
                "the runner sent more than {} GiB ahead of this bundle; make bundles smaller",
                MAX_BYTES >> 30
            )));
        }
        let failed = |e| {
            Error::transport("input beyond the memory budget could not be kept in a temporary file; free disk space")
                .because(e)
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile().map_err(failed)?),
        };
        file.seek(SeekFrom::Start(self.written)).map_err(failed)?;
        file.write_all(data).map_err(failed)?;
        let place = Place {
            at: self.written,
            len: data.len(),
        };
        self.written += data.len() as u64;
        Ok(place)
    }

    /// Reads a stretch back.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(&mut self, place: Place) -> Result<Bytes> {
        let failed = |e| Error::transport("spilled input cannot be read back").because(e);
        let Some(file) = &mut self.file else {
            return Err(Error::transport("spilled input is gone"));
        };
        let mut data = vec![0; place.len];
        file.seek(SeekFrom::Start(place.at)).map_err(failed)?;
        file.read_exact(&mut data).map_err(failed)?;
        Ok(data.into())
    }

    /// Gives the disk space back once everything was read.
    pub(crate) fn clear(&mut self) {
        *self = Spill::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_come_back() {
        let mut spill = Spill::default();
        let one = spill.write(b"one").expect("room");
        let two = spill.write(b"twofold").expect("room");
        assert_eq!(spill.read(two).expect("there"), "twofold");
        assert_eq!(spill.read(one).expect("there"), "one");
        spill.clear();
        assert!(spill.read(one).is_err());
    }
}
