"""Owns what one method of the client is: a typed function from a request's fields to its response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

FieldsP = ParamSpec("FieldsP")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
ArgumentT = TypeVar("ArgumentT", contravariant=True)
AnswerT = TypeVar("AnswerT", covariant=True)


class Sender(Protocol):
    """What a method needs of a client."""

    def send(self, path: str, request: Any) -> Any:  # noqa: ANN401 - the method's own types hold
        """Returns a method's response.

        Raises:
            CallError: the call failed.
        """


class Bound(Protocol[FieldsP, ArgumentT, AnswerT]):
    """A method of one client."""

    @overload
    def __call__(self, request: ArgumentT, /) -> AnswerT: ...
    @overload
    def __call__(self, *args: FieldsP.args, **fields: FieldsP.kwargs) -> AnswerT: ...


class Method(Generic[FieldsP, RequestT, ResponseT]):
    """One method of the contract; on a client it is called with a request's fields, or with a request.

    Args:
        service: the service's name, without its package.
        request: the class of its request; a type checker takes the keywords from it.
        response: the class of its response.
        again: whether a call that nobody answered is sent again.
    """

    def __init__(
        self,
        service: str,
        request: Callable[FieldsP, RequestT],
        response: type[ResponseT],
        *,
        again: bool = True,
    ) -> None:
        self.service = service
        self.name = ""
        self.request = request
        self.response = response
        self.again = again

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = "".join(part.capitalize() for part in name.split("_"))

    @property
    def path(self) -> str:
        """Returns the method's name on the wire."""
        return f"/recsvc.v1.{self.service}/{self.name}"

    @overload
    def __get__(self, client: None, owner: type) -> Method[FieldsP, RequestT, ResponseT]: ...
    @overload
    def __get__(self, client: Sender, owner: type) -> Bound[FieldsP, RequestT, ResponseT]: ...
    def __get__(self, client: Sender | None, owner: type) -> Any:
        if client is None:
            return self

        def call(*requests: Any, **fields: Any) -> Any:  # noqa: ANN401 - typed by `Bound`
            if requests and fields:
                raise TypeError(f"{self.name} takes a request or its fields, not both")
            request = requests[0] if requests else self.request(**fields)  # type: ignore[call-arg]
            return client.send(self.path, request)

        return call
