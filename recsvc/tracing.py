"""Owns OpenTelemetry traces: one span a call, continuing the caller's trace. Off unless configured.

The generic interceptor of OpenTelemetry's own package wraps each call several times over; a span around our
one handler is all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc

from recdata.errors import ServeError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

Handle = Callable[[bytes, grpc.ServicerContext], bytes]

SERVICE_NAME = "recsvc"


class Tracing:
    """Records a span for each call.

    Args:
        provider: OpenTelemetry's provider, which knows where spans go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE_NAME)
        self._extract = TraceContextTextMapPropagator().extract

    def wrapped(self, name: str, handle: Handle) -> Handle:
        """Returns a handler that records a span around another one.

        Args:
            name: the method's full name, such as "recsvc.v1.RecommendationService/Recommend".
            handle: what answers it.
        """
        from opentelemetry.trace import SpanKind, Status, StatusCode

        service, method = name.rsplit("/", 1)
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}

        def traced(content: bytes, context: grpc.ServicerContext) -> bytes:
            carrier: dict[str, Any] = {}
            carrier.update(context.invocation_metadata())
            with self._tracer.start_as_current_span(
                name,
                context=self._extract(carrier),
                kind=SpanKind.SERVER,
                attributes=attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                code = grpc.StatusCode.OK
                try:
                    return handle(content, context)
                except Exception:
                    code = context.code() or grpc.StatusCode.UNKNOWN  # type: ignore[attr-defined]
                    span.set_status(Status(StatusCode.ERROR, code.name))
                    raise
                finally:
                    span.set_attribute("rpc.grpc.status_code", code.value[0])

        return traced

    def close(self) -> None:
        """Sends what has not been sent."""
        self._provider.shutdown()


def start_tracing(endpoint: str, *, worker: int) -> Tracing | None:
    """Returns what sends spans to an OTLP collector over gRPC, None without an endpoint.

    Args:
        endpoint: its URL; OpenTelemetry's own environment variables hold beside it, such as
            OTEL_TRACES_SAMPLER.
        worker: which of the server's workers this is.

    Raises:
        ServeError: the libraries are not installed.
    """
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ServeError(
            f"[serving] trace_endpoint is {endpoint!r}, which needs OpenTelemetry: "
            "install recsvc[tracing], or leave it empty"
        ) from error
    resource = Resource.create({"service.name": SERVICE_NAME, "service.instance.id": f"worker-{worker}"})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)
