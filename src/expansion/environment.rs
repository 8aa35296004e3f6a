//! Where the expanded transforms run: what a runner is told about starting workers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use beam_proto::pipeline::{
    AnyOfEnvironmentPayload, ApiServiceDescriptor, ArtifactInformation, DockerPayload, Environment,
    ExternalPayload, ProcessPayload,
};
use beam_proto::urns::environments;
use beam_proto::urns::protocols;
use bytes::Bytes;
use prost::Message;

use crate::element::coder::urn as coder;
use crate::error::{Error, Result};

/// A command that Python's runners start as a subprocess, whatever it runs. Only they know it.
const SUBPROCESS: &str = "beam:env:harness_subprocess_python:v1";

/// What the worker can do. Runners choose coders and protocols by it, so nothing may stand here that does not work.
/// Sorted, because clients share one worker between environments only if their bytes are equal.
pub const CAPABILITIES: &[&str] = &[
    coder::BOOL,
    coder::BYTES,
    coder::CUSTOM_WINDOW,
    coder::DOUBLE,
    coder::GLOBAL_WINDOW,
    coder::INTERVAL_WINDOW,
    coder::ITERABLE,
    coder::KV,
    coder::LENGTH_PREFIX,
    coder::NULLABLE,
    coder::PARAM_WINDOWED_VALUE,
    coder::ROW,
    coder::SHARDED_KEY,
    coder::STATE_BACKED_ITERABLE,
    coder::STRING_UTF8,
    coder::TIMER,
    coder::VARINT,
    coder::WINDOWED_VALUE,
    protocols::HARNESS_MONITORING_INFOS,
    protocols::MULTI_CORE_BUNDLE_PROCESSING,
    protocols::PROGRESS_REPORTING,
    concat!(
        "beam:version:sdk_base:ferrobeam:",
        env!("CARGO_PKG_VERSION")
    ),
];

/// One way to start a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A container of an image that a registry or the machine has.
    Docker,
    /// The pool of workers that answers at a known address, such as the service itself.
    External,
    /// This binary as a process that the runner starts, with the binary on every machine.
    Process,
    /// This binary as a subprocess of Python's runners.
    Subprocess,
}

impl FromStr for Start {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "docker" => Start::Docker,
            "external" => Start::External,
            "process" => Start::Process,
            "subprocess" => Start::Subprocess,
            _ => {
                return Err(Error::config(format!(
                    "{text:?} is no way to start a worker; use docker, external, process or subprocess, or several of \
                     them joined by a plus sign"
                )));
            }
        })
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Start::Docker => "docker",
            Start::External => "external",
            Start::Process => "process",
            Start::Subprocess => "subprocess",
        })
    }
}

/// What the ways to start a worker need.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The container image for [`Start::Docker`].
    pub image: Option<String>,
    /// Host and port of the pool for [`Start::External`], as runners reach it.
    pub pool: String,
    /// This binary's path for [`Start::Process`] and [`Start::Subprocess`].
    pub binary: String,
    /// Files that workers need and that runners bring to them.
    pub dependencies: Vec<ArtifactInformation>,
}

/// The environment that offers `starts`, the preferred one first; equal arguments make equal bytes.
///
/// With no `starts`, the choice is left to the runner: the image, if there is one, or the pool.
///
/// # Errors
/// A container without an image.
pub fn environment(starts: &[Start], places: &Places) -> Result<Environment> {
    let by_default: &[Start] = match places.image {
        Some(_) => &[Start::Docker, Start::External],
        None => &[Start::External],
    };
    let starts = if starts.is_empty() {
        by_default
    } else {
        starts
    };
    let mut all = starts
        .iter()
        .map(|start| one(*start, places))
        .collect::<Result<Vec<_>>>()?;
    if all.len() == 1 {
        return Ok(all.remove(0));
    }
    let payload = AnyOfEnvironmentPayload { environments: all };
    Ok(describe(environments::ANYOF, &payload, Vec::new()))
}

fn one(start: Start, places: &Places) -> Result<Environment> {
    Ok(match start {
        Start::Docker => {
            let image = places.image.clone().ok_or_else(|| {
                Error::config("a worker in a container needs an image; name one with --image")
            })?;
            let payload = DockerPayload {
                container_image: image,
            };
            describe(environments::DOCKER, &payload, places.dependencies.clone())
        }
        Start::External => {
            let payload = ExternalPayload {
                endpoint: Some(ApiServiceDescriptor {
                    url: places.pool.clone(),
                    authentication: None,
                }),
                params: BTreeMap::new(),
            };
            // The pool's machine is the one that publishes the files.
            describe(environments::EXTERNAL, &payload, Vec::new())
        }
        Start::Process => {
            let payload = ProcessPayload {
                command: places.binary.clone(),
                ..ProcessPayload::default()
            };
            describe(environments::PROCESS, &payload, places.dependencies.clone())
        }
        Start::Subprocess => Environment {
            urn: SUBPROCESS.into(),
            payload: Bytes::from(format!("{} worker", shell_word(&places.binary))),
            ..describe(SUBPROCESS, &(), Vec::new())
        },
    })
}

fn describe(
    urn: &str,
    payload: &impl Message,
    dependencies: Vec<ArtifactInformation>,
) -> Environment {
    Environment {
        urn: urn.into(),
        payload: Bytes::from(payload.encode_to_vec()),
        capabilities: CAPABILITIES.iter().map(|c| (*c).to_owned()).collect(),
        dependencies,
        ..Environment::default()
    }
}

/// A path as one word of a shell command.
fn shell_word(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            image: Some("example/worker:1".into()),
            pool: "localhost:8097".into(),
            binary: "/opt/it's here/worker".into(),
            dependencies: vec![ArtifactInformation::default()],
        }
    }

    #[test]
    fn the_default_is_what_the_machine_has() {
        let without_image = Places {
            image: None,
            ..places()
        };
        let external = environment(&[], &without_image).expect("a pool");
        assert_eq!(external.urn, "beam:env:external:v1");
        assert_eq!(&external.payload[..], b"\x0a\x10\x0a\x0elocalhost:8097");

        let any = environment(&[], &places()).expect("both");
        assert_eq!(any.urn, "beam:env:anyof:v1");
        let payload = AnyOfEnvironmentPayload::decode(any.payload).expect("its payload");
        let urns: Vec<&str> = payload.environments.iter().map(|e| &e.urn[..]).collect();
        assert_eq!(urns, ["beam:env:docker:v1", "beam:env:external:v1"]);
    }

    #[test]
    fn ways_can_be_chosen() {
        let process = environment(&[Start::Process], &places()).expect("a path");
        assert_eq!(process.urn, "beam:env:process:v1");
        assert_eq!(process.dependencies.len(), 1);
        let subprocess = environment(&[Start::Subprocess], &places()).expect("a path");
        assert_eq!(
            &subprocess.payload[..],
            br"'/opt/it'\''s here/worker' worker"
        );
        let error = environment(&[Start::Docker], &Places::default()).expect_err("no image");
        assert!(error.to_string().contains("--image"));
        for start in [
            Start::Docker,
            Start::External,
            Start::Process,
            Start::Subprocess,
        ] {
            assert_eq!(start.to_string().parse::<Start>().expect("a way"), start);
        }
        assert!("kubernetes".parse::<Start>().is_err());
    }

    #[test]
    fn equal_environments_have_equal_bytes() {
        let bytes = || environment(&[], &places()).expect("both").encode_to_vec();
        assert_eq!(bytes(), bytes());
        assert!(CAPABILITIES.is_sorted());
    }
}
