//! Where the expanded transforms run: which ways to start workers a runner is told about.

use std::fmt;
use std::str::FromStr;

use beam_proto::pipeline::{AnyOfEnvironmentPayload, ArtifactInformation, Environment};
use beam_proto::urns::environments;
use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Result};
use crate::pipeline::EnvironmentSpec;

/// A command that Python's runners start as a subprocess, whatever it runs. Only they know it.
const SUBPROCESS: &str = "beam:env:harness_subprocess_python:v1";

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

const STARTS: [(Start, &str); 4] = [
    (Start::Docker, "docker"),
    (Start::External, "external"),
    (Start::Process, "process"),
    (Start::Subprocess, "subprocess"),
];

impl FromStr for Start {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match STARTS.iter().find(|(_, name)| *name == text) {
            Some((start, _)) => Ok(*start),
            None => Err(Error::config(format!(
                "{text:?} is no way to start a worker; use docker, external, process or subprocess, or several of them \
                 joined by a plus sign"
            ))),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STARTS.iter().find(|(start, _)| start == self);
        f.write_str(name.map_or("", |(_, name)| name))
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

/// The environment that offers `starts`, the preferred one first. Equal arguments make equal bytes, which clients need
/// to see that all expansions can share one worker.
///
/// With no `starts` the choice is left to the runner: the image, if there is one, or the pool.
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
    if let [start] = starts {
        return one(*start, places);
    }
    let environments = starts.iter().map(|start| one(*start, places));
    let payload = AnyOfEnvironmentPayload {
        environments: environments.collect::<Result<_>>()?,
    };
    Ok(Environment {
        urn: environments::ANYOF.into(),
        payload: payload.encode_to_vec().into(),
        ..EnvironmentSpec::AnyOf(Vec::new()).to_proto()
    })
}

fn one(start: Start, places: &Places) -> Result<Environment> {
    let with_files = |spec: EnvironmentSpec| Environment {
        dependencies: places.dependencies.clone(),
        ..spec.to_proto()
    };
    Ok(match start {
        Start::Docker => {
            let image = places.image.clone().ok_or_else(|| {
                Error::config("a worker in a container needs an image; name one with --image")
            })?;
            with_files(EnvironmentSpec::docker(image))
        }
        // The pool is on the machine that publishes the files.
        Start::External => EnvironmentSpec::external(places.pool.clone()).to_proto(),
        Start::Process => with_files(EnvironmentSpec::process(places.binary.clone())),
        Start::Subprocess => Environment {
            urn: SUBPROCESS.into(),
            payload: Bytes::from(format!("{} worker", shell_word(&places.binary))),
            ..EnvironmentSpec::process("").to_proto()
        },
    })
}

/// A path as one word of a shell command.
fn shell_word(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::capabilities;

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
        assert_eq!(any.capabilities, capabilities());
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
        for (start, name) in STARTS {
            assert_eq!(start.to_string(), name);
            assert_eq!(name.parse::<Start>().expect("a way"), start);
        }
        assert!("kubernetes".parse::<Start>().is_err());
    }

    #[test]
    fn equal_environments_have_equal_bytes() {
        let bytes = || environment(&[], &places()).expect("both").encode_to_vec();
        assert_eq!(bytes(), bytes());
    }
}
