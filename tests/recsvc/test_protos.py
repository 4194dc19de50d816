from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pool

from recdata.snapshot.records import Source
from recsvc.server import methods
from recsvc.v1.common_pb2 import SourceType

ROOT = Path(__file__).parents[2]


def test_the_generated_code_is_current_and_the_linter_has_nothing_to_say():
    check = subprocess.run(
        [sys.executable, str(ROOT / "proto" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


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
