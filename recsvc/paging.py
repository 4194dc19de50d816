"""Owns page sizes and page tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from google.protobuf.message import Message

from recsvc.errors import InvalidFieldError, quoted

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
TOKEN_VERSION = 1


class _Token(msgspec.Struct, frozen=True, array_like=True):
    version: int
    snapshot_id: str
    request: bytes
    start: int


def page_size(asked: int, field: str = "page_size") -> int:
    """Returns the page size to use: 0 means 20, above 200 means 200.

    Raises:
        InvalidFieldError: it is negative.
    """
    if asked < 0:
        raise InvalidFieldError(
            field, f"{field} is {asked}; give 0 for {DEFAULT_PAGE_SIZE}, or 1 to {MAX_PAGE_SIZE}"
        )
    return min(asked or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def next_token(request: Message, snapshot_id: str, start: int) -> str:
    """Returns the token that asks for the entries from `start` on, of this request and this snapshot."""
    token = _Token(TOKEN_VERSION, snapshot_id, _fingerprint(request), start)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).rstrip(b"=").decode()


def page_start(request: Message, page_token: str, snapshot_id: str) -> int:
    """Returns where the page begins that a request asks for; 0 without a token.

    Raises:
        InvalidFieldError: the token is not one of ours, of another snapshot (reason SNAPSHOT_CHANGED), or of
            another request (reason PAGE_TOKEN_MISMATCH).
    """
    if not page_token:
        return 0
    try:
        content = base64.b64decode(page_token + "=" * (-len(page_token) % 4), altchars=b"-_", validate=True)
        token = msgspec.msgpack.decode(content, type=_Token)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        token = None
    if token is None or token.version != TOKEN_VERSION or token.start < 0:
        raise InvalidFieldError(
            "page_token", "page_token is not a next_page_token of this service; leave it empty to start"
        )
    if token.snapshot_id != snapshot_id:
        raise InvalidFieldError(
            "page_token",
            f"page_token is of snapshot {quoted(token.snapshot_id)}, now {snapshot_id} serves; "
            "leave it empty to start again",
            reason="SNAPSHOT_CHANGED",
        )
    if token.request != _fingerprint(request):
        raise InvalidFieldError(
            "page_token",
            "page_token is of a request with other conditions; send the same, or leave it empty to start",
            reason="PAGE_TOKEN_MISMATCH",
        )
    return token.start


def _fingerprint(request: Message) -> bytes:
    """Returns a hash of what decides a list: the request without its page size, token and language.

    Nor is the snapshot in it that a request pins: the token names its own, so that a list that was begun on
    the serving snapshot can be read on once another one serves.
    """
    bare = type(request)()
    bare.CopyFrom(request)
    for field in ("page_size", "page_token", "language", "snapshot_id"):
        if field in bare.DESCRIPTOR.fields_by_name:
            bare.ClearField(field)
    content = bare.DESCRIPTOR.full_name.encode() + bare.SerializeToString(deterministic=True)
    return hashlib.blake2b(content, digest_size=8, usedforsecurity=False).digest()
