//! Functions with callbacks for after the commit, as pipelines say them.

use beam_proto::pipeline::ParDoPayload;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::*;
use crate::dofn::{AfterCommit, Cx, DoFn, Named, Out};

#[derive(Serialize, Deserialize)]
struct Acknowledge;

impl Named for Acknowledge {
    const NAME: &'static str = "test.Acknowledge/v1";
}

#[derive(beam_derive::Ports)]
#[beam(crate = "crate")]
struct AcknowledgeIo {
    out: Out<i64>,
    after_commit: AfterCommit,
}

impl DoFn for Acknowledge {
    type In = i64;
    type Io = AcknowledgeIo;

    fn process(&mut self, n: i64, cx: &mut Cx<'_>, io: &mut AcknowledgeIo) -> crate::Result<()> {
        let minute = std::time::Duration::from_secs(60);
        io.after_commit.register(minute, || Ok(()));
        io.out.emit(cx, n);
        Ok(())
    }
}

#[test]
fn finalization_is_requested_and_required() {
    let pipeline = Pipeline::new();
    let numbers = pipeline.create("Numbers", [1i64]);
    numbers.par_do("Acknowledge", Acknowledge);
    let built = built(&pipeline);
    let requests = |name: &str| {
        let spec = transform(&built, name).spec.as_ref().unwrap();
        let payload = ParDoPayload::decode(&spec.payload[..]).unwrap();
        payload.requests_finalization
    };
    assert!(requests("Acknowledge"));
    assert!(!requests("Numbers/Values"));
    let required = ["beam:requirement:pardo:finalization:v1".to_owned()];
    assert_eq!(built.requirements, required.into());
}
