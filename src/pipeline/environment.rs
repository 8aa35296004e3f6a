//! Where functions run: what a runner is told about starting workers.

use std::collections::BTreeMap;

use beam_proto::pipeline::{
    AnyOfEnvironmentPayload, ApiServiceDescriptor, DockerPayload, Environment, ExternalPayload,
    ProcessPayload,
};
use beam_proto::urns::environments;
use bytes::Bytes;
use prost::Message;

use super::capabilities;

/// A way to start workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentSpec {
    /// A container.
    Docker {
        /// The image, with its tag.
        image: String,
    },
    /// A pool of workers that is there already.
    External {
        /// `host:port` of the pool, as the runner reaches it.
        endpoint: String,
        /// Passed on to the pool.
        params: BTreeMap<String, String>,
    },
    /// A process that the runner starts.
    Process {
        /// The program's path on the runner's machines.
        command: String,
        /// Variables to add to the process's environment.
        env: BTreeMap<String, String>,
    },
    /// Any of several, the preferred one first.
    AnyOf(Vec<EnvironmentSpec>),
}

impl EnvironmentSpec {
    /// A container of `image`.
    pub fn docker(image: impl Into<String>) -> Self {
        EnvironmentSpec::Docker {
            image: image.into(),
        }
    }

    /// The pool at `endpoint`, a `host:port`.
    pub fn external(endpoint: impl Into<String>) -> Self {
        EnvironmentSpec::External {
            endpoint: endpoint.into(),
            params: BTreeMap::new(),
        }
    }

    /// A process of the program `command`.
    pub fn process(command: impl Into<String>) -> Self {
        EnvironmentSpec::Process {
            command: command.into(),
            env: BTreeMap::new(),
        }
    }

    /// The environment as pipelines say it. Equal specs make equal bytes.
    pub fn to_proto(&self) -> Environment {
        match self {
            EnvironmentSpec::Docker { image } => environment(
                environments::DOCKER,
                &DockerPayload {
                    container_image: image.clone(),
                },
            ),
            EnvironmentSpec::External { endpoint, params } => environment(
                environments::EXTERNAL,
                &ExternalPayload {
                    endpoint: Some(ApiServiceDescriptor {
                        url: endpoint.clone(),
                        authentication: None,
                    }),
                    params: params.clone(),
                },
            ),
            EnvironmentSpec::Process { command, env } => environment(
                environments::PROCESS,
                &ProcessPayload {
                    command: command.clone(),
                    env: env.clone(),
                    ..ProcessPayload::default()
                },
            ),
            EnvironmentSpec::AnyOf(specs) => environment(
                environments::ANYOF,
                &AnyOfEnvironmentPayload {
                    environments: specs.iter().map(Self::to_proto).collect(),
                },
            ),
        }
    }
}

fn environment(urn: &str, payload: &impl Message) -> Environment {
    Environment {
        urn: urn.into(),
        payload: Bytes::from(payload.encode_to_vec()),
        capabilities: capabilities().iter().map(|c| (*c).to_owned()).collect(),
        ..Environment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_say_what_runners_read() {
        let external = EnvironmentSpec::external("localhost:8097").to_proto();
        assert_eq!(external.urn, "beam:env:external:v1");
        assert_eq!(&external.payload[..], b"\x0a\x10\x0a\x0elocalhost:8097");
        assert_eq!(external.capabilities, capabilities());

        let both = EnvironmentSpec::AnyOf(vec![
            EnvironmentSpec::docker("a:1"),
            EnvironmentSpec::process("/bin/worker"),
        ])
        .to_proto();
        let payload = AnyOfEnvironmentPayload::decode(both.payload).expect("its own payload");
        let urns: Vec<&str> = payload.environments.iter().map(|e| &e.urn[..]).collect();
        assert_eq!(urns, ["beam:env:docker:v1", "beam:env:process:v1"]);
    }
}
