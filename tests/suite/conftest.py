"""Lets Beam's tests take their pipeline options from pytest's command line, which the published package leaves out."""

from apache_beam.testing.test_pipeline import TestPipeline


def pytest_addoption(parser):
    parser.addoption(
        "--test-pipeline-options",
        default="",
        help="options of each pipeline, as one string",
    )


def pytest_configure(config):
    TestPipeline.pytest_test_pipeline_options = config.getoption("test_pipeline_options")
    for marker in ("uses_java_expansion_service", "uses_python_expansion_service", "xlang_transforms"):
        config.addinivalue_line("markers", f"{marker}: set by Beam's tests")
