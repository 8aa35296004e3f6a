"""YAML pipelines with a `remote` provider."""

import glob
import json

import apache_beam as beam
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.yaml.yaml_transform import YamlTransform


def run(address, transforms, tmp_path, **providers):
    out = tmp_path / "out"
    spec = {
        "type": "chain",
        "transforms": [*transforms, {"type": "WriteToJson", "config": {"path": str(out)}}],
    }
    remote = [{"type": "remote", "config": {"address": address}, "transforms": providers}]
    options = PipelineOptions(pickle_library="cloudpickle")
    with beam.Pipeline(options=options) as pipeline:
        from apache_beam.yaml.yaml_provider import merge_providers, parse_providers, standard_providers

        known = merge_providers(parse_providers(None, remote), standard_providers())
        pipeline | YamlTransform(yaml.dump(spec), known)
    rows = []
    for path in glob.glob(f"{out}*"):
        with open(path) as lines:
            rows += [json.loads(line) for line in lines]
    return rows


SCALE = {"RustScale": "beam:schematransform:org.apache.beam:scale:v1"}


def create(*elements):
    return {"type": "Create", "config": {"elements": list(elements)}}


def scale(field):
    return {"type": "RustScale", "config": {"field": field, "factor": 2.0}}


def test_a_missing_field_stays_missing(schema_transforms, tmp_path):
    elements = create({"sdk": "MapReduce", "year": 2004}, {"sdk": "Flume"}, {"sdk": "MillWheel", "year": 2008})
    rows = run(schema_transforms, [elements, scale("year")], tmp_path, **SCALE)
    years = {row["sdk"]: row.get("year") for row in rows}
    assert years == {"MapReduce": 4008.0, "Flume": None, "MillWheel": 4016.0}


def test_numbers_that_are_sometimes_whole(schema_transforms, tmp_path):
    """Python gives such a column its own type for anything."""
    rows = run(schema_transforms, [create({"x": 1}, {"x": 2.5}), scale("x")], tmp_path, **SCALE)
    assert sorted(row["x"] for row in rows) == [2.0, 5.0]


def test_texts_are_refused_when_the_pipeline_is_built(schema_transforms, tmp_path):
    with pytest.raises(Exception, match="field `sdk` is of the type string, and only numbers can be scaled"):
        run(schema_transforms, [create({"sdk": "Flume"}), scale("sdk")], tmp_path, **SCALE)


def test_words_by_their_provider(words, tmp_path):
    providers = {
        "SplitWords": "beam:schematransform:org.apache.beam:rust_split_words:v1",
        "CountWords": "beam:schematransform:org.apache.beam:rust_count_words:v1",
    }
    transforms = [
        create({"line": "to be or not to be"}),
        {"type": "SplitWords"},
        {"type": "CountWords", "config": {"min_count": 2}},
    ]
    rows = run(words, transforms, tmp_path, **providers)
    assert sorted((row["word"], row["count"]) for row in rows) == [("be", 2), ("to", 2)]
