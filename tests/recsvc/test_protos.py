from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from recdata.snapshot.records import Source
from recsvc.server import methods
from recsvc.v1.common_pb2 import SourceType

ROOT = Path(__file__).parents[2]


def check(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "proto" / "generate.py"), "--check", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_generated_code_is_current_and_neither_linter_nor_released_callers_object():
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_field_that_was_released_cannot_be_removed(tmp_path):
    released = FileDescriptorSet.FromString((ROOT / "proto" / "released.binpb").read_bytes())
    common = next(file for file in released.file if file.name == "recsvc/v1/common.proto")
    item = next(message for message in common.message_type if message.name == "Item")
    item.field.add(name="colour", json_name="colour", number=99, type="TYPE_STRING", label="LABEL_OPTIONAL")
    image = tmp_path / "released.binpb"
    image.write_bytes(released.SerializeToString())
    done = check("--against", str(image))
    assert done.returncode == 1
    assert 'field "99" with name "colour" on message "Item" was deleted' in done.stdout
    assert "callers of the released contract would break" in done.stderr


def test_every_method_of_the_protos_is_served_with_its_own_request(running):
    pool = descriptor_pool.Default()
    for service, entries in methods(running.serving).items():
        declared = pool.FindServiceByName(service).methods_by_name
        assert set(declared) == set(entries)
        for name, (request_type, _) in entries.items():
            assert declared[name].input_type.full_name == request_type.DESCRIPTOR.full_name
    files = {path.name for path in (ROOT / "proto" / "recsvc" / "v1").glob("*_service.proto")}
    assert len(files) == len(methods(running.serving))


def test_the_sources_that_a_snapshot_stores_have_the_numbers_of_the_protos():
    for source in Source:
        assert SourceType.Name(source) == f"SOURCE_TYPE_{source.name}"
