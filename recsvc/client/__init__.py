"""The client: `Client`, one typed method for each of the contract, and the errors that a call ends in.

    with Client("127.0.0.1:50051") as client:
        answer = client.recommend(user_id="459", page_size=8)

Importing it loads grpc and the generated messages only, nothing of the server. docs/client.md tells more.
"""

from __future__ import annotations

from recsvc.client.connection import Client, pages
from recsvc.client.errors import (
    CallError,
    DeadlineError,
    ExistsError,
    Failure,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    ServerError,
    UnavailableError,
    error_of,
)
from recsvc.client.methods import METHODS, Methods
from recsvc.client.money import amount_of, money

__all__ = [
    "METHODS",
    "CallError",
    "Client",
    "DeadlineError",
    "ExistsError",
    "Failure",
    "InvalidRequestError",
    "Methods",
    "NotFoundError",
    "OverloadedError",
    "PreconditionError",
    "ServerError",
    "UnavailableError",
    "amount_of",
    "error_of",
    "money",
    "pages",
]
