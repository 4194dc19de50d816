from __future__ import annotations

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from recsvc.server import Server
from recsvc.tracing import Tracing, start_tracing
from recsvc.v1.recommendation_service_pb2 import RecommendRequest
from tests.recsvc.conftest import CONFIG, Stubs, refusal
from tests.recsvc.tiny import Tiny

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def traced(tmp_path):
    """A server whose spans are kept in memory: its stubs, and the spans."""
    Tiny().publish(tmp_path)
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = Tracing(provider)
    server = Server(tmp_path, CONFIG, tracing=tracing)
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        yield Stubs(channel), spans
    server.stop()
    tracing.close()


def test_a_call_is_a_span_in_the_trace_of_its_caller(traced):
    stubs, spans = traced
    stubs.recommendations.Recommend(
        RecommendRequest(user_id="ann"), metadata=[("traceparent", f"00-{TRACE}-{PARENT}-01")]
    )
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("recsvc.v1.RecommendationService/Recommend", SpanKind.SERVER)
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert dict(span.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "recsvc.v1.RecommendationService",
        "rpc.method": "Recommend",
        "rpc.grpc.status_code": 0,
    }


def test_a_failed_call_is_a_span_with_its_code(traced):
    stubs, spans = traced
    refusal(stubs.recommendations.Recommend, RecommendRequest(page_size=-1))
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "INVALID_ARGUMENT")


def test_nothing_is_traced_without_an_endpoint():
    assert start_tracing("", worker=0) is None


def test_spans_go_to_the_endpoint_with_the_worker_they_come_from():
    tracing = start_tracing("http://127.0.0.1:1", worker=3)
    attributes = tracing._provider.resource.attributes
    assert (attributes["service.name"], attributes["service.instance.id"]) == ("recsvc", "worker-3")
    tracing.close()
