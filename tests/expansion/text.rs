//! Messages as text, by the descriptors of the project's own .proto files.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use prost::Message;
use prost_reflect::text_format::FormatOptions;
use prost_reflect::{DescriptorPool, DynamicMessage};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("beam-proto/proto");
    let api = "org/apache/beam/model/job_management/v1/beam_expansion_api.proto";
    let files = protox::compile([root.join(api)], [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
});

fn message(name: &str) -> prost_reflect::MessageDescriptor {
    let name = format!("org.apache.beam.model.expansion.v1.{name}");
    POOL.get_message_by_name(&name).unwrap()
}

/// The file of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/expansion")
        .join(name)
}

/// The message of this name within the expansion API that a fixture holds.
pub(crate) fn read<M: Message + Default>(name: &str, file: &str) -> M {
    let text = std::fs::read_to_string(fixture(file)).unwrap();
    let parsed = DynamicMessage::parse_text_format(message(name), &text).unwrap();
    M::decode(&parsed.encode_to_vec()[..]).unwrap()
}

/// The message as text.
pub(crate) fn write<M: Message>(name: &str, value: &M) -> String {
    let bytes = value.encode_to_vec();
    let dynamic = DynamicMessage::decode(message(name), &bytes[..]).unwrap();
    let mut text = dynamic.to_text_format_with_options(&FormatOptions::new().pretty(true));
    text.push('\n');
    text
}
