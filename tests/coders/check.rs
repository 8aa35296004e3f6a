//! What must hold for every example.

use ferrobeam::element::coder::urn;
use ferrobeam::element::{Coder, Input, Nesting, Transcoder};

use crate::dynamic;
use crate::pages::StatePages;
use crate::spec::Spec;
use crate::typed::{self, Example, same};

type Result = std::result::Result<(), String>;

/// Checks one example of a document at one nesting.
pub(crate) fn example(spec: &Spec, example: usize, at: Nesting) -> Result {
    let (bytes, value) = &spec.examples[example];
    let pages = StatePages::shared(&spec.state);
    by_coder(spec, bytes, value, at)?;
    typed::check(&Example {
        coder: &spec.coder,
        bytes,
        value,
        at,
        non_deterministic: spec.non_deterministic,
        pages: &pages,
    })?;
    ends_where_it_ends(&spec.coder, bytes, at)?;
    survives_length_prefixes(&spec.coder, bytes, at)
}

/// Reads and writes the value as the coder says.
fn by_coder(spec: &Spec, bytes: &[u8], value: &yaml_rust2::Yaml, at: Nesting) -> Result {
    let coder = &spec.coder;
    let pages = StatePages::shared(&spec.state);
    let read = |bytes: &[u8]| {
        let mut input = Input::new(bytes).with_pages(&pages);
        let value = dynamic::decode(coder, &mut input, at).map_err(|e| e.to_string())?;
        same("bytes left over", &input.remaining(), &0)?;
        Ok::<_, String>(value)
    };
    let expected = dynamic::normal(coder, value)?;
    same("value", &read(bytes)?, &expected)?;
    let mut written = Vec::new();
    dynamic::encode(coder, value, at, &mut written)?;
    if spec.non_deterministic {
        same("value read again", &read(&written)?, &expected)
    } else {
        same("bytes", &written.as_slice(), &bytes)
    }
}

/// Where more bytes may follow, the value's end is found without reading it.
fn ends_where_it_ends(coder: &Coder, bytes: &[u8], at: Nesting) -> Result {
    let skipped = |bytes: &[u8]| dynamic::skipped(coder, bytes, at).map_err(|e| e.to_string());
    same("bytes skipped", &skipped(bytes)?, &bytes.len())?;
    if at == Nesting::Nested {
        let more = [bytes, b"more"].concat();
        same("bytes skipped before more", &skipped(&more)?, &bytes.len())?;
        // No value is whole without its last byte.
        if let [start @ .., _] = bytes
            && dynamic::skipped(coder, start, at).is_ok()
        {
            return Err("a part of the value passes for the whole".into());
        }
    }
    Ok(())
}

/// Length prefixes at any places come and go without a trace.
fn survives_length_prefixes(coder: &Coder, bytes: &[u8], at: Nesting) -> Result {
    let all_parts = with_prefixed_parts(coder, |_| true);
    let one_part =
        (0..coder.components.len()).map(|index| with_prefixed_parts(coder, |i| i == index));
    let forms = one_part.chain([
        Coder::length_prefix(coder.clone()),
        Coder::length_prefix(all_parts.clone()),
        all_parts,
    ]);
    for form in forms.filter(|form| form != coder) {
        for (there, back) in [(at, at), (Nesting::Nested, at), (at, Nesting::Nested)] {
            let prefixed = convert(coder, &form, bytes, at, there)?;
            same(
                "bytes skipped",
                &dynamic::skipped(&form, &prefixed, there).map_err(|e| e.to_string())?,
                &prefixed.len(),
            )?;
            let again = convert(&form, coder, &prefixed, there, back)?;
            if back == at {
                same(&format!("bytes after {form}"), &again.as_slice(), &bytes)?;
            }
        }
    }
    Ok(())
}

fn with_prefixed_parts(coder: &Coder, which: impl Fn(usize) -> bool) -> Coder {
    let parts = coder.components.iter().enumerate().map(|(index, part)| {
        // Window coders are the runner's own in a payload, whose windows stay as they are.
        if which(index) && !(coder.is(urn::PARAM_WINDOWED_VALUE) && index == 1) {
            Coder::length_prefix(part.clone())
        } else {
            part.clone()
        }
    });
    let mut outer = coder.clone();
    outer.components = parts.collect();
    outer
}

fn convert(
    from: &Coder,
    to: &Coder,
    bytes: &[u8],
    at: Nesting,
    out_at: Nesting,
) -> std::result::Result<Vec<u8>, String> {
    let transcoder = Transcoder::between(from, to).map_err(|e| e.to_string())?;
    let transcoder = transcoder.ok_or("the coders differ, but need no transcoder")?;
    let (mut input, mut out) = (Input::new(bytes), Vec::new());
    transcoder
        .convert(&mut input, at, &mut out, out_at)
        .map_err(|e| format!("{from} to {to}: {e}"))?;
    same("bytes left over", &input.remaining(), &0)?;
    Ok(out)
}
