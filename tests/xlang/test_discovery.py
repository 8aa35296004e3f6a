"""What Python makes of the schemas that a service publishes."""

import inspect

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.external import SchemaAwareExternalTransform
from apache_beam.transforms.external_transform_provider import ExternalTransformProvider

PREFIX = "beam:schematransform:org.apache.beam:"


def test_transforms_become_classes(words):
    rust = ExternalTransformProvider(words)
    split = rust.RustSplitWords
    assert "runs of letters and digits" in split.__doc__
    parameters = inspect.signature(split).parameters
    assert list(parameters) == ["lowercase", "min_letters"]
    assert "Default: true" in str(parameters["lowercase"].annotation)


def test_every_transform_is_found(words, schema_transforms):
    for address, names in (
        (words, {"rust_count_words:v1", "rust_split_words:v1"}),
        (schema_transforms, {"options:v1", "rename:v1", "repeat:v1", "scale:v1", "split:v1"}),
    ):
        found = {configuration.identifier for configuration in SchemaAwareExternalTransform.discover(address)}
        assert found == {PREFIX + name for name in names}


def test_inputs_and_outputs_have_names(schema_transforms):
    (split,) = (
        found
        for found in SchemaAwareExternalTransform.discover(schema_transforms)
        if found.identifier == PREFIX + "split:v1"
    )
    assert split.inputs == ["input"]
    assert split.outputs == ["small", "large"]


def lines():
    return beam.Create(["Hello, hello world", "", "it's the world's end"]) | beam.Select(line=str)


@pytest.mark.parametrize("discovers", [True, False])
def test_both_ways_to_configure_a_transform(words, discovers):
    split = SchemaAwareExternalTransform(
        PREFIX + "rust_split_words:v1", words, rearrange_based_on_discovery=discovers, min_letters=4
    )
    with beam.Pipeline() as pipeline:
        found = pipeline | lines() | split | beam.Map(lambda row: row.word)
        assert_that(found, equal_to(["hello", "hello", "world", "it's", "world's"]))


def test_defaults_hold_where_nothing_is_said(words):
    rust = ExternalTransformProvider(words)
    with beam.Pipeline() as pipeline:
        counts = pipeline | lines() | rust.RustSplitWords(lowercase=False) | rust.RustCountWords()
        pairs = counts | beam.Map(lambda row: (row.word, row.count))
        expected = {"Hello": 1, "hello": 1, "world": 1, "it's": 1, "the": 1, "world's": 1, "end": 1}
        assert_that(pairs, equal_to(list(expected.items())))
