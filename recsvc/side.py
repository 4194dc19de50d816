"""Owns what stands beside the service's own methods: health and reflection, with their streams.

Both have streams that stay open for as long as the client likes. They take no thread from the calls, and they
are ended when the server stops, which would wait for them otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

REFLECTION_THREADS = 2


class OpenStreams:
    """The streams that are open at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[grpc.ServicerContext] = set()

    def add(self, context: grpc.ServicerContext) -> None:
        """Remembers a stream until it ends."""
        with self._lock:
            self._open.add(context)
        if not context.add_callback(lambda: self._forget(context)):
            self._forget(context)  # it has ended already

    def cancel_all(self) -> None:
        """Ends every stream; its client sees CANCELLED."""
        with self._lock:
            contexts = list(self._open)
        for context in contexts:
            context.cancel()

    def _forget(self, context: grpc.ServicerContext) -> None:
        with self._lock:
            self._open.discard(context)


class _Health(health.HealthServicer):  # type: ignore[misc] # grpc_health has no types
    """Health whose watchers can be ended; a watcher holds no thread."""

    def __init__(self, streams: OpenStreams) -> None:
        super().__init__()
        self._streams = streams

    def Watch(  # noqa: N802 - grpc's own name
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[Any], None] | None = None,
    ) -> Any:  # noqa: ANN401 - grpc_health's own business
        self._streams.add(context)
        return super().Watch(request, context, send_response_callback)


class SideServices:
    """Health and reflection of one server.

    Args:
        server: grpc's server, before it starts.
        names: the full names of the service's own services.
    """

    def __init__(self, server: grpc.Server, names: Iterable[str]) -> None:
        self._streams = OpenStreams()
        self._pool = ThreadPoolExecutor(REFLECTION_THREADS, thread_name_prefix="reflection")
        self._health = _Health(self._streams)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        served = tuple(names)
        for name in served:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflecting = reflection.ReflectionServicer((*served, health.SERVICE_NAME, reflection.SERVICE_NAME))
        reflecting.ServerReflectionInfo = self._on_own_threads(reflecting.ServerReflectionInfo)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflecting, server)

    def retire(self) -> None:
        """Tells every health check that the server takes no more calls."""
        self._health.enter_graceful_shutdown()

    def close(self) -> None:
        """Ends the open streams and the threads."""
        self._streams.cancel_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_own_threads(self, stream: Any) -> Any:  # noqa: ANN401 - grpc_reflection has no types
        """Returns a stream method that can be ended, with a mark by which grpc runs it on our threads."""

        def reflect(questions: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            self._streams.add(context)
            yield from stream(questions, context)

        reflect.experimental_thread_pool = self._pool  # type: ignore[attr-defined]
        return reflect
