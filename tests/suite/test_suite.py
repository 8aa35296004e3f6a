"""Beam's cross-language suite. It asks the transform service on localhost:$EXPANSION_PORT for eight transforms."""

from apache_beam.transforms.validate_runner_xlang_test import ValidateRunnerXlangTest

__all__ = ["ValidateRunnerXlangTest"]
