from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from recdata.errors import ServeError
from recsvc import server as server_module
from recsvc.v1.recommendation_service_pb2 import RecommendRequest, RecommendResponse
from tests.recsvc.conftest import CONFIG
from tests.recsvc.tiny import Tiny

ROOT = Path(__file__).parents[2]


@contextmanager
def serve_command(home: Path, *options: str):
    """Runs `recsvc serve`, yields the process and the address that it printed."""
    command = [sys.executable, "-m", "recdata", "--home", str(home), "serve", *options]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        try:
            yield process, process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.kill()


def test_the_command_prints_its_free_port_answers_and_drains_on_sigterm(tmp_path):
    Tiny().publish(tmp_path)
    with serve_command(tmp_path, "--port", "0") as (process, address):
        assert address.startswith("127.0.0.1:")
        done, outcomes = threading.Event(), []

        def ask() -> None:
            with grpc.insecure_channel(address) as channel:
                method = channel.unary_unary(
                    "/recsvc.v1.RecommendationService/Recommend",
                    RecommendRequest.SerializeToString,
                    RecommendResponse.FromString,
                )
                while not done.is_set():
                    try:
                        outcomes.append(len(method(RecommendRequest(user_id="ann")).results))
                    except grpc.RpcError as error:
                        outcomes.append(error.code())
                        return

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        done.set()
        thread.join()
        log = [json.loads(line) for line in process.stderr]
    assert len(outcomes) > 5
    assert set(outcomes[:-1]) == {5}
    # A call that reaches grpc in the very moment of the stop is cancelled by it, a later one is unavailable.
    assert outcomes[-1] in {5, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    told = [line["event"] for line in log if line.get("worker") == 0]
    worker = [event for event in told if event != "keeps to one core"]  # it does where no quota forbids it
    assert worker == [
        *("listening", "worker ready", "told to stop", "stopping", "snapshot closed", "stopped")
    ]
    ours = [line for line in log if "worker" not in line]
    events = [line["event"] for line in ours if line["event"] != "snapshot verified"]
    assert events == ["starting", "listening", "signal", "stopping", "stopped"]
    assert ours[1]["address"] == address
    assert all(line["level"] == "info" and line["time"].endswith("+00:00") for line in log)


def test_a_running_call_is_answered_while_the_server_stops(start, tmp_path, monkeypatch):
    Tiny().publish(tmp_path)
    began, go_on = threading.Event(), threading.Event()
    real = server_module.recommend

    def waits(generation, request):
        began.set()
        assert go_on.wait(10)
        return real(generation, request)

    monkeypatch.setattr(server_module, "recommend", waits)
    server = start(tmp_path, CONFIG)
    with grpc.insecure_channel(server.address) as channel:
        method = channel.unary_unary(
            "/recsvc.v1.RecommendationService/Recommend",
            RecommendRequest.SerializeToString,
            RecommendResponse.FromString,
        )
        running = method.future(RecommendRequest(user_id="ann"))
        assert began.wait(10)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        time.sleep(0.1)
        with pytest.raises(grpc.RpcError) as refused:
            method(RecommendRequest())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        go_on.set()
        assert len(running.result(10).results) == 5
        stopping.join()


def test_a_defect_is_logged_and_ends_as_internal(start, tmp_path, monkeypatch, caplog):
    Tiny().publish(tmp_path)

    def broken(generation, request):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(server_module, "recommend", broken)
    server = start(tmp_path, CONFIG)
    with grpc.insecure_channel(server.address) as channel:
        method = channel.unary_unary("/recsvc.v1.RecommendationService/Recommend")
        with pytest.raises(grpc.RpcError) as caught:
            method(b"", metadata=[("x-request-id", "from-the-shop")])
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
    failed = next(record for record in caplog.records if record.message == "call failed")
    assert failed.fields == {
        "method": "recsvc.v1.RecommendationService/Recommend",
        "code": "INTERNAL",
        "request_id": "from-the-shop",
    }
    assert failed.exc_info


def test_a_second_server_on_the_same_port_fails_and_says_why(start, running, tmp_path):
    Tiny().publish(tmp_path)
    with pytest.raises(ServeError, match=rf"127\.0\.0\.1:{running.port}: Address already in use; stop what"):
        start(tmp_path, msgspec.structs.replace(CONFIG, port=running.port))


def test_the_command_leaves_with_one_line_when_the_port_is_taken(running, tmp_path):
    Tiny().publish(tmp_path)
    with serve_command(tmp_path, "--port", str(running.port)) as (process, address):
        assert address == ""
        assert process.wait(10) == ServeError.exit_code
        assert "Address already in use" in process.stderr.read().splitlines()[-1]


def test_the_command_leaves_with_one_line_when_nothing_is_published(tmp_path):
    with serve_command(tmp_path, "--port", "0") as (process, _):
        assert process.wait(10) == 5
        said = process.stderr.read()
    assert "no published snapshot" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("change", "why"), [({"port": 70000}, "70000"), ({"host": "192.0.2.1"}, "192.0.2.1")]
)
def test_an_address_that_cannot_be_had_is_an_error(start, tmp_path, change, why):
    Tiny().publish(tmp_path)
    with pytest.raises(ServeError, match=why):
        start(tmp_path, msgspec.structs.replace(CONFIG, **change))


def test_a_call_too_many_is_refused_at_once(start, tmp_path, monkeypatch):
    Tiny().publish(tmp_path)
    go_on = threading.Event()
    real = server_module.recommend

    def waits(generation, request):
        assert go_on.wait(10)
        return real(generation, request)

    monkeypatch.setattr(server_module, "recommend", waits)
    server = start(tmp_path, msgspec.structs.replace(CONFIG, max_concurrent_calls=2))
    with grpc.insecure_channel(server.address) as channel:
        method = channel.unary_unary("/recsvc.v1.RecommendationService/Recommend")
        calls = [method.future(b"") for _ in range(3)]
        codes = []
        deadline = time.monotonic() + 10
        while not codes and time.monotonic() < deadline:
            codes = [call.code() for call in calls if call.done()]
            time.sleep(0.01)
        assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]
        go_on.set()
        for call in calls:
            call.exception()


def test_health_is_answered_for_the_whole_and_for_each_service(running):
    with grpc.insecure_channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", *server_module.methods(running.serving)):
            status = health.Check(health_pb2.HealthCheckRequest(service=service)).status
            assert status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="no.such"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_watchers_and_open_reflection_streams_take_no_thread_from_the_calls(start, tmp_path):
    Tiny().publish(tmp_path)
    server = start(tmp_path, msgspec.structs.replace(CONFIG, threads=1))
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
        assert [next(watch).status for watch in watches] == [health_pb2.HealthCheckResponse.SERVING] * 3
        hold = threading.Event()

        def questions():
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            hold.wait(10)

        streams = [
            reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(questions())
            for _ in range(2)
        ]
        for stream in streams:
            next(stream)
        method = channel.unary_unary("/recsvc.v1.RecommendationService/Recommend")
        assert method(b"", timeout=5)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < CONFIG.shutdown_grace_seconds / 2, "it waited for the streams"
        hold.set()
        for stream in (*watches, *streams):
            with pytest.raises(grpc.RpcError) as ended:
                list(stream)
            assert ended.value.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def test_a_client_that_knows_nothing_but_reflection_can_call_a_method(running):
    with grpc.insecure_channel(running.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)

        def ask(**question):
            return next(
                iter(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)])))
            )

        names = [each.name for each in ask(list_services="").list_services_response.service]
        assert set(server_module.methods(running.serving)) < set(names)
        pool = descriptor_pool.DescriptorPool()
        service = "recsvc.v1.RecommendationService"
        files = {}
        for content in ask(file_containing_symbol=service).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(content)
            files[file.name] = file

        def add(name: str) -> None:
            file = files.pop(name, None)
            if file is not None:
                for needed in file.dependency:
                    add(needed)
                pool.Add(file)

        for name in list(files):
            add(name)
        method = pool.FindServiceByName(service).methods_by_name["Recommend"]
        request = message_factory.GetMessageClass(method.input_type)(user_id="ann", page_size=1)
        call = channel.unary_unary(
            f"/{service}/Recommend",
            type(request).SerializeToString,
            message_factory.GetMessageClass(method.output_type).FromString,
        )
        assert call(request).results[0].item.title == "Bread"
