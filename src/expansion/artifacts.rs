//! The files that workers need, and no other file of this machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use beam_proto::job::artifact_retrieval_service_server::ArtifactRetrievalService;
use beam_proto::job::{
    GetArtifactRequest, GetArtifactResponse, ResolveArtifactsRequest, ResolveArtifactsResponse,
};
use beam_proto::pipeline::{
    ArtifactFilePayload, ArtifactInformation, ArtifactStagingToRolePayload,
};
use beam_proto::urns::{artifact_roles, artifact_types};
use bytes::{Bytes, BytesMut};
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::error::{Error, Result};

/// Well below the 4 MiB that clients accept.
const CHUNK: usize = 1 << 20;

/// Chunks read ahead of a slow client: enough to overlap reading and sending.
const AHEAD: usize = 2;

/// A table of published files. What a caller names must stand in it, byte for byte.
#[derive(Debug, Clone, Default)]
pub struct Artifacts {
    files: HashMap<(String, Bytes), PathBuf>,
    listed: Vec<ArtifactInformation>,
}

impl Artifacts {
    /// Nothing is published.
    pub fn new() -> Self {
        Self::default()
    }

    /// Publishes the file at `path`; workers find it under `name`.
    ///
    /// # Errors
    /// A file that cannot be read, or a name that leads out of the worker's folder.
    pub fn publish(&mut self, path: &Path, name: &str) -> Result<()> {
        let bad_name =
            name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']);
        if bad_name {
            return Err(Error::config(format!(
                "{name:?} is not a plain file name that a worker could find a file under"
            )));
        }
        let unreadable = |e| Error::config(format!("cannot publish {}", path.display())).because(e);
        let path = path.canonicalize().map_err(unreadable)?;
        let mut hash = Sha256::new();
        let mut file = std::fs::File::open(&path).map_err(unreadable)?;
        std::io::copy(&mut file, &mut hash).map_err(unreadable)?;
        let payload = ArtifactFilePayload {
            path: path.to_string_lossy().into_owned(),
            sha256: format!("{:x}", hash.finalize()),
        };
        let role = ArtifactStagingToRolePayload {
            staged_name: name.into(),
        };
        let payload = Bytes::from(payload.encode_to_vec());
        self.listed.push(ArtifactInformation {
            type_urn: artifact_types::FILE.into(),
            type_payload: payload.clone(),
            role_urn: artifact_roles::STAGING_TO.into(),
            role_payload: Bytes::from(role.encode_to_vec()),
        });
        self.files
            .insert((artifact_types::FILE.into(), payload), path);
        Ok(())
    }

    /// All published files, as an environment names them.
    pub fn listed(&self) -> &[ArtifactInformation] {
        &self.listed
    }

    fn find(&self, artifact: &ArtifactInformation) -> Result<&PathBuf, Status> {
        // The answer must not tell whether a file exists that is not published.
        let key = (artifact.type_urn.clone(), artifact.type_payload.clone());
        self.files.get(&key).ok_or_else(|| {
            Status::not_found("this service publishes no such artifact; expand the transform again")
        })
    }
}

#[tonic::async_trait]
impl ArtifactRetrievalService for Artifacts {
    async fn resolve_artifacts(
        &self,
        request: Request<ResolveArtifactsRequest>,
    ) -> Result<Response<ResolveArtifactsResponse>, Status> {
        let artifacts = request.into_inner().artifacts;
        for artifact in &artifacts {
            self.find(artifact)?;
        }
        Ok(Response::new(ResolveArtifactsResponse {
            replacements: artifacts,
        }))
    }

    type GetArtifactStream = ReceiverStream<Result<GetArtifactResponse, Status>>;

    async fn get_artifact(
        &self,
        request: Request<GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        let artifact = request.into_inner().artifact.unwrap_or_default();
        let path = self.find(&artifact)?;
        let mut file = tokio::fs::File::open(path)
            .await
            .map_err(|e| Status::not_found(format!("a published file is gone: {e}")))?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            loop {
                let mut chunk = BytesMut::with_capacity(CHUNK);
                let piece = match file.read_buf(&mut chunk).await {
                    Ok(0) => return,
                    Ok(_) => Ok(GetArtifactResponse {
                        data: chunk.freeze(),
                    }),
                    Err(e) => Err(Status::data_loss(format!(
                        "a published file broke off: {e}"
                    ))),
                };
                let failed = piece.is_err();
                // A client that went away ends the reading.
                if sender.send(piece).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio_stream::StreamExt as _;
    use tonic::Code;

    use super::*;

    fn published(folder: &Path, content: &[u8]) -> Artifacts {
        let path = folder.join("model.bin");
        fs::write(&path, content).expect("a file");
        let mut artifacts = Artifacts::new();
        artifacts.publish(&path, "model").expect("readable");
        artifacts
    }

    async fn fetch(
        artifacts: &Artifacts,
        artifact: ArtifactInformation,
    ) -> Result<Vec<u8>, Status> {
        let request = Request::new(GetArtifactRequest {
            artifact: Some(artifact),
        });
        let mut chunks = artifacts.get_artifact(request).await?.into_inner();
        let mut content = Vec::new();
        while let Some(chunk) = chunks.next().await {
            content.extend_from_slice(&chunk?.data);
        }
        Ok(content)
    }

    fn at_path(path: &str) -> ArtifactInformation {
        ArtifactInformation {
            type_urn: artifact_types::FILE.into(),
            type_payload: ArtifactFilePayload {
                path: path.into(),
                ..ArtifactFilePayload::default()
            }
            .encode_to_vec()
            .into(),
            ..ArtifactInformation::default()
        }
    }

    #[tokio::test]
    async fn a_published_file_can_be_fetched() {
        let folder = tempfile::tempdir().expect("a folder");
        let content: Vec<u8> = (0..CHUNK + 7).map(|i| (i % 251) as u8).collect();
        let artifacts = published(folder.path(), &content);
        let [artifact] = artifacts.listed() else {
            panic!("one artifact");
        };
        assert_eq!(&artifact.role_payload[..], b"\x0a\x05model");
        let resolved = artifacts
            .resolve_artifacts(Request::new(ResolveArtifactsRequest {
                artifacts: vec![artifact.clone()],
                ..ResolveArtifactsRequest::default()
            }))
            .await
            .expect("published");
        assert_eq!(
            &resolved.into_inner().replacements,
            std::slice::from_ref(artifact)
        );
        let fetched = fetch(&artifacts, artifact.clone())
            .await
            .expect("published");
        assert!(fetched == content);
    }

    #[tokio::test]
    async fn nothing_else_can_be_fetched() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = published(folder.path(), b"content");
        fs::write(folder.path().join("secret"), b"secret").expect("a file");
        let known = folder.path().join("model.bin");
        let around = folder.path().join("x/../model.bin");
        let secret = folder.path().join("secret");
        for path in [&known, &around, &secret, Path::new("/etc/hostname")] {
            // Not even a published path is enough: its hash belongs to its name.
            let artifact = at_path(&path.to_string_lossy());
            let status = fetch(&artifacts, artifact.clone())
                .await
                .expect_err("unpublished");
            assert_eq!(status.code(), Code::NotFound, "{}", path.display());
            let status = artifacts
                .resolve_artifacts(Request::new(ResolveArtifactsRequest {
                    artifacts: vec![artifact],
                    ..ResolveArtifactsRequest::default()
                }))
                .await
                .expect_err("unpublished");
            assert_eq!(status.code(), Code::NotFound);
        }
    }

    #[test]
    fn names_stay_in_the_workers_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        fs::write(&path, b"").expect("a file");
        for name in ["../../etc/passwd", "/abs", "a/b", "..", "", "nul\0", "a\\b"] {
            let error = Artifacts::new().publish(&path, name).expect_err(name);
            assert!(error.to_string().contains("plain file name"), "{error}");
        }
        let missing = folder.path().join("missing");
        assert!(Artifacts::new().publish(&missing, "x").is_err());
    }
}
