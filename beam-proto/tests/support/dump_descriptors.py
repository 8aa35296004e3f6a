"""Writes Beam's message definitions to stdout, as a serialized FileDescriptorSet.

Usage: python dump_descriptors.py VERSION

VERSION is the version of apache-beam that has to be installed.
"""

import importlib
import pkgutil
import sys

import apache_beam
from apache_beam.portability.api.org.apache.beam import model
from google.protobuf import descriptor_pb2

# Serves notebooks only; no runner, worker or expansion service speaks it.
LEFT_OUT = "beam_interactive_api_pb2"


def add(descriptor, files):
    """Adds a file after the files that it imports."""
    if descriptor.name in files:
        return
    for dependency in descriptor.dependencies:
        add(dependency, files)
    proto = descriptor_pb2.FileDescriptorProto()
    descriptor.CopyToProto(proto)
    files[descriptor.name] = proto


def main():
    wanted = sys.argv[1]
    if apache_beam.__version__ != wanted:
        sys.exit(f"apache-beam {apache_beam.__version__} is installed, not {wanted}")
    files = {}
    for module in pkgutil.walk_packages(model.__path__, model.__name__ + "."):
        name = module.name.rsplit(".", 1)[-1]
        if name.endswith("_pb2") and name != LEFT_OUT:
            add(importlib.import_module(module.name).DESCRIPTOR, files)
    result = descriptor_pb2.FileDescriptorSet(file=files.values())
    sys.stdout.buffer.write(result.SerializeToString())


main()
