"""Owns one HTTP/2 connection that makes unary gRPC calls at a fraction of what grpc's own client costs.

Callers and server share the machine's cores; where many calls a second are asked for, the callers must not be
what is measured. So this is the least that a gRPC server accepts: constant headers, whole messages, and of an
answer only whether it has a message and where its stream ends. RFC 9113 names the frames.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import deque
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
LARGEST_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
#: The connection's window is opened anew when so many bytes have come.
REOPEN_BYTES = 2**29
RECEIVE_BYTES = 1 << 18

_TAIL = struct.Struct(">BBI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Returns a frame's bytes."""
    return len(payload).to_bytes(3, "big") + _TAIL.pack(kind, flags, stream) + payload


def header_block(path: str, authority: str) -> bytes:
    """Returns the headers of a gRPC call as HPACK literals that leave no trace in its table (RFC 7541)."""

    def text(content: str) -> bytes:
        assert len(content) < 127
        return bytes([len(content)]) + content.encode()

    return (
        b"\x83\x86"  # :method POST, :scheme http
        + b"\x04"
        + text(path)
        + b"\x01"
        + text(authority)
        + b"\x0f\x10"  # content-type
        + text("application/grpc")
        + b"\x00"
        + text("te")
        + text("trailers")
    )


class Connection:
    """One connection; `send` calls, `receive` what has come.

    Attributes:
        socket: for `select`.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._authority = address
        self._blocks: dict[str, bytes] = {}
        self._next_stream = 1
        self._buffer = b""
        self._received = 0
        self._window = DEFAULT_WINDOW
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._with_message: set[int] = set()
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, LARGEST_WINDOW)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings) + self._reopen(DEFAULT_WINDOW))

    def close(self) -> None:
        """Closes the socket."""
        self.socket.close()

    def send(self, path: str, message: bytes) -> int:
        """Begins a call; returns its stream."""
        stream = self._next_stream
        self._next_stream += 2
        block = self._blocks.get(path)
        if block is None:
            block = self._blocks[path] = header_block(path, self._authority)
        content = b"\x00" + len(message).to_bytes(4, "big") + message
        frames = frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, content)
        self._waiting.append((len(content), frames))
        self._flush()
        return stream

    def receive(self) -> Iterator[tuple[int, bytes | None]]:
        """Yields the streams that have ended, each with its last data, or None where the call failed."""
        with contextlib.suppress(BlockingIOError):
            content = self.socket.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            if not content:
                raise ConnectionError("the server closed the connection")
            self._buffer += content
        buffer, at = self._buffer, 0
        last: dict[int, bytes] = {}
        while len(buffer) - at >= 9:
            end = at + 9 + int.from_bytes(buffer[at : at + 3], "big")
            if end > len(buffer):
                break
            kind, flags, stream = _TAIL.unpack_from(buffer, at + 3)
            if kind == DATA:
                self._received += end - at - 9
                self._with_message.add(stream)
                last[stream] = buffer[at + 9 : end]
            elif kind == HEADERS:
                if flags & END_STREAM:
                    failed = stream not in self._with_message
                    self._with_message.discard(stream)
                    yield stream, None if failed else last.get(stream, b"")
            elif stream == 0 or kind == RST_STREAM:
                if kind == RST_STREAM:
                    self._with_message.discard(stream)
                    yield stream, None
                else:
                    self._control(kind, flags, buffer[at + 9 : end])
            at = end
        self._buffer = buffer[at:]
        if self._received > REOPEN_BYTES:
            self.socket.sendall(self._reopen(LARGEST_WINDOW - self._received))
            self._received = 0

    def _control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self._window += int.from_bytes(payload, "big")
            self._flush()
        elif kind == GOAWAY:
            raise ConnectionError(f"the server goes away: {payload[8:]!r}")

    def _flush(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._window:
            size, frames = self._waiting.popleft()
            self._window -= size
            self.socket.sendall(frames)

    def _reopen(self, open_bytes: int) -> bytes:
        return frame(WINDOW_UPDATE, 0, 0, (LARGEST_WINDOW - open_bytes).to_bytes(4, "big"))
