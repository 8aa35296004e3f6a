//! A scenario's bundle descriptor.

use std::fs;

use anyhow::{Context as _, Result, anyhow, ensure};
use beam_proto::fnexec::{ProcessBundleDescriptor, RemoteGrpcPort};
use beam_proto::pipeline::{ApiServiceDescriptor, PTransform};
use prost::Message as _;

use crate::runner::Endpoints;
use crate::scenario::Scenario;

/// URN of a transform that reads from the runner.
pub(crate) const SOURCE: &str = "beam:runner:source:v1";
/// URN of a transform that writes to the runner.
pub(crate) const SINK: &str = "beam:runner:sink:v1";

/// Whether a transform is of this kind.
pub(crate) fn is(transform: &PTransform, urn: &str) -> bool {
    transform.spec.as_ref().is_some_and(|spec| spec.urn == urn)
}

/// The number of transforms that write to the runner.
pub(crate) fn sinks(descriptor: &ProcessBundleDescriptor) -> usize {
    let transforms = descriptor.transforms.values();
    transforms.filter(|transform| is(transform, SINK)).count()
}

/// Reads a scenario's descriptor.
///
/// # Errors
/// There is none, or it lacks the scenario's source or any sink.
pub(crate) fn load(scenario: &Scenario) -> Result<ProcessBundleDescriptor> {
    let path = scenario.file(&scenario.descriptor);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let descriptor = ProcessBundleDescriptor::decode(&bytes[..])
        .with_context(|| format!("{} is not a bundle descriptor", path.display()))?;
    let source = &scenario.source.transform_id;
    let transform = descriptor.transforms.get(source);
    ensure!(
        transform.is_some_and(|transform| is(transform, SOURCE)),
        "{} has no source {source:?}",
        path.display()
    );
    ensure!(sinks(&descriptor) > 0, "{} has no sink", path.display());
    Ok(descriptor)
}

/// Puts the addresses of this run's services into a descriptor, where it names any.
///
/// # Errors
/// The payload of a source or sink cannot be read.
pub(crate) fn connect(
    descriptor: &mut ProcessBundleDescriptor,
    endpoints: &Endpoints,
) -> Result<()> {
    for (id, transform) in &mut descriptor.transforms {
        if !is(transform, SOURCE) && !is(transform, SINK) {
            continue;
        }
        let spec = transform.spec.as_mut();
        let spec = spec.ok_or_else(|| anyhow!("transform {id} has no spec"))?;
        let mut port = RemoteGrpcPort::decode(&spec.payload[..])
            .with_context(|| format!("the payload of {id} is not a port"))?;
        port.api_service_descriptor = Some(service(&endpoints.data));
        spec.payload = port.encode_to_vec().into();
    }
    if let Some(state) = &mut descriptor.state_api_service_descriptor {
        *state = service(&endpoints.state);
    }
    if let Some(timers) = &mut descriptor.timer_api_service_descriptor {
        *timers = service(&endpoints.data);
    }
    Ok(())
}

/// A service at an address.
pub(crate) fn service(address: &str) -> ApiServiceDescriptor {
    ApiServiceDescriptor {
        url: address.to_owned(),
        authentication: None,
    }
}
