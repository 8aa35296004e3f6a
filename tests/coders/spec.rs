//! Reads `standard_coders.yaml`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use ferrobeam::element::{Coder, Nesting};
use yaml_rust2::{Yaml, YamlLoader};

/// One document: a coder and examples of its bytes.
pub(crate) struct Spec {
    pub(crate) index: usize,
    pub(crate) coder: Coder,
    pub(crate) nestings: Vec<Nesting>,
    /// Several encodings are right: ours need not be the example's.
    pub(crate) non_deterministic: bool,
    /// What a runner has behind each state token.
    pub(crate) state: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) examples: Vec<(Vec<u8>, Yaml)>,
}

pub(crate) fn load() -> Result<Vec<Spec>, String> {
    let path = path()?;
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let documents = YamlLoader::load_from_str(&text).map_err(|e| e.to_string())?;
    let specs = documents.iter().enumerate();
    let specs = specs.map(|(index, document)| spec(index, document));
    specs.collect()
}

/// Asks the Python that has apache-beam where it has it.
fn path() -> Result<PathBuf, String> {
    let python = std::env::var_os("FERROBEAM_PYTHON").ok_or(
        "FERROBEAM_PYTHON is not set: it names a Python that has apache-beam, whose cases these tests run; \
         `cargo verify coders` sets it",
    )?;
    let find = "import importlib.util as u; print(u.find_spec('apache_beam').submodule_search_locations[0])";
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || sender.send(Command::new(python).args(["-c", find]).output()));
    let output = receiver
        .recv_timeout(Duration::from_secs(60))
        .map_err(|_| "the Python of FERROBEAM_PYTHON does not answer within a minute")?
        .map_err(|e| format!("the Python of FERROBEAM_PYTHON does not start: {e}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!(
            "the Python of FERROBEAM_PYTHON has no apache-beam: {reason}"
        ));
    }
    let package = String::from_utf8_lossy(&output.stdout);
    Ok(PathBuf::from(package.trim()).join("portability/api/standard_coders.yaml"))
}

fn spec(index: usize, document: &Yaml) -> Result<Spec, String> {
    let in_document = |what: &str| format!("document {index} has no {what}");
    let coder = &document["coder"];
    let entries = |yaml: &Yaml| yaml.as_hash().cloned().unwrap_or_default();
    let text = |yaml: &Yaml| {
        yaml.as_str()
            .ok_or(in_document("text where it should"))
            .and_then(latin1)
    };
    Ok(Spec {
        index,
        coder: parse_coder(coder)?,
        nestings: match document["nested"].as_bool() {
            Some(true) => vec![Nesting::Nested],
            Some(false) => vec![Nesting::Outer],
            None => vec![Nesting::Nested, Nesting::Outer],
        },
        non_deterministic: coder["non_deterministic"].as_bool() == Some(true),
        state: entries(&coder["state"])
            .iter()
            .map(|(token, data)| Ok((text(token)?, text(data)?)))
            .collect::<Result<_, String>>()?,
        examples: entries(&document["examples"])
            .iter()
            .map(|(bytes, value)| Ok((text(bytes)?, value.clone())))
            .collect::<Result<_, String>>()?,
    })
}

fn parse_coder(yaml: &Yaml) -> Result<Coder, String> {
    let urn = yaml["urn"].as_str().ok_or("a coder has no URN")?;
    let components = yaml["components"].as_vec().cloned().unwrap_or_default();
    let payload = latin1(yaml["payload"].as_str().unwrap_or_default())?;
    let mut coder = Coder::foreign(urn.to_owned(), payload);
    let parts = components.iter().map(parse_coder);
    coder.components = parts.collect::<Result<_, _>>()?;
    Ok(coder)
}

/// Bytes are written as text whose characters have the bytes' numbers.
fn latin1(text: &str) -> Result<Vec<u8>, String> {
    let byte = |c| u8::try_from(u32::from(c)).map_err(|_| format!("{c:?} is no byte"));
    text.chars().map(byte).collect()
}
