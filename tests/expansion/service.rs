//! The service over gRPC.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use beam_proto::expansion::DiscoverSchemaTransformRequest;
use beam_proto::expansion::expansion_service_client::ExpansionServiceClient;
use beam_proto::pipeline::{Coder, FunctionSpec};
use ferrobeam::expansion::{Artifacts, Catalogue, ExpansionService, Outputs};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};

use crate::transforms::{catalogue, environment, request};

/// An answer over loopback takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);

async fn serve(catalogue: Catalogue) -> ExpansionServiceClient<Channel> {
    let service = ExpansionService::new(catalogue, environment(), Artifacts::new()).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    let server = Server::builder().add_routes(service.into_routes());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(socket)));
    let channel = Channel::from_shared(address).unwrap().connect().await;
    ExpansionServiceClient::new(channel.unwrap())
}

#[tokio::test]
async fn failures_are_answers() {
    let mut client = serve(catalogue()).await;
    for (urn, expected) in [("test:panic", "panicked"), ("test:unknown", "it offers:")] {
        let answer = timeout(LIMIT, client.expand(request(urn, b"")))
            .await
            .unwrap();
        let error = answer.unwrap().into_inner().error;
        assert!(error.contains(expected), "{urn}: {error}");
    }
}

#[tokio::test]
async fn schema_transforms_can_be_discovered() {
    let mut client = serve(catalogue()).await;
    let answer = client.discover_schema_transform(DiscoverSchemaTransformRequest {});
    let answer = timeout(LIMIT, answer).await.unwrap().unwrap().into_inner();
    assert_eq!(answer.error, "");
    let found = &answer.schema_transform_configs;
    let names: Vec<&str> = found
        .keys()
        .map(|k| k.rsplit(':').nth(1).unwrap())
        .collect();
    assert_eq!(names, ["rename", "rust_prefix", "tell"]);
    let pass = &found["beam:schematransform:org.apache.beam:rust_prefix:v1"];
    assert_eq!(pass.input_pcollection_names, ["input"]);
    assert_eq!(pass.output_pcollection_names, ["same", "raw"]);
    assert_eq!(pass.description, "Passes rows through.");
    let schema = pass.config_schema.as_ref().unwrap();
    let fields: Vec<&str> = schema.fields.iter().map(|f| &f.name[..]).collect();
    assert_eq!(fields, ["prefix", "field", "times"]);
    // Java reads ids as UUIDs.
    assert_eq!(
        schema.id.split('-').map(str::len).collect::<Vec<_>>(),
        [8, 4, 4, 4, 12]
    );
}

#[tokio::test]
async fn large_requests_are_read() {
    let mut client = serve(catalogue()).await;
    let mut large = request("test:unknown", b"");
    let coder = Coder {
        spec: Some(FunctionSpec {
            urn: "x".into(),
            payload: vec![0; 6 << 20].into(),
        }),
        ..Coder::default()
    };
    large
        .components
        .as_mut()
        .unwrap()
        .coders
        .insert("large".into(), coder);
    let answer = timeout(LIMIT, client.expand(large)).await.unwrap().unwrap();
    assert!(answer.into_inner().error.contains("test:unknown"));
}

#[tokio::test]
async fn expansions_do_not_wait_for_each_other() {
    let both = Arc::new(Barrier::new(2));
    let mut catalogue = Catalogue::new();
    catalogue.add_urn("test:meet", move |_call| {
        both.wait();
        Ok(Outputs::none())
    });
    let client = serve(catalogue).await;
    let expand = |mut client: ExpansionServiceClient<Channel>| async move {
        let answer = timeout(LIMIT, client.expand(request("test:meet", b""))).await;
        answer.unwrap().unwrap().into_inner().error
    };
    let (one, other) = tokio::join!(expand(client.clone()), expand(client));
    assert_eq!((&one[..], &other[..]), ("", ""));
}
