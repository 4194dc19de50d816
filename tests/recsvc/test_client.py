from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.rpc.status_pb2 import Status
from rich.console import Console

import recsvc.v1
from recdata.cli import Door
from recdata.errors import RecsvcError
from recsvc.calling import call
from recsvc.client import (
    METHODS,
    CallError,
    Client,
    DeadlineError,
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
    ServerError,
    UnavailableError,
    amount_of,
    error_of,
    money,
    pages,
)
from recsvc.v1.common_pb2 import Language
from recsvc.v1.recommendation_service_pb2 import RecommendRequest
from tests.recsvc.tiny import Tiny

ROOT = Path(__file__).parents[2]
REFUSED = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def client(running):
    with Client(running.address) as opened:
        yield opened


class Moody(grpc.GenericRpcHandler):
    """A server that refuses the first calls of each method, and answers the others with an empty response."""

    def __init__(self, refusals: int, *, code: grpc.StatusCode = REFUSED) -> None:
        self.refusals = refusals
        self.code = code
        self.calls: dict[str, int] = {}
        self.free = threading.Event()
        self.free.set()

    def service(self, details):
        def answer(_, context):
            self.free.wait(10)
            self.calls[details.method] = self.calls.get(details.method, 0) + 1
            if self.calls[details.method] <= self.refusals:
                context.abort(self.code, "not now")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def moody():
    servers = []

    def starting(handler: Moody) -> str:
        server = grpc.server(ThreadPoolExecutor(2), handlers=(handler,))
        servers.append(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"127.0.0.1:{port}"

    yield starting
    for server in servers:
        server.stop(None).wait()


def test_the_client_has_every_method_of_the_contract_with_its_own_messages():
    folder = Path(recsvc.v1.__file__).parent
    pool, declared = descriptor_pool.Default(), {}
    for path in folder.glob("*_service_pb2.py"):
        file = pool.FindFileByName(f"recsvc/v1/{path.name.removesuffix('_pb2.py')}.proto")
        for service in file.services_by_name.values():
            for method in service.methods:
                name = f"/{service.full_name}/{method.name}"
                declared[name] = (method.input_type.full_name, method.output_type.full_name)
    assert declared == {
        method.path: (method.request.DESCRIPTOR.full_name, method.response.DESCRIPTOR.full_name)
        for method in METHODS
    }


def test_a_method_takes_the_fields_of_its_request_or_the_request_itself(client):
    by_fields = client.recommend(user_id="ann", page_size=2, language=Language.LANGUAGE_EN)
    by_request = client.recommend(RecommendRequest(user_id="ann", page_size=2, language=Language.LANGUAGE_EN))
    assert by_fields.results[0].item.item_id == "bread"
    assert list(by_fields.results) == list(by_request.results)


def test_a_method_does_not_take_both_nor_a_field_that_it_has_not(client):
    with pytest.raises(TypeError, match="Recommend takes a request or its fields, not both"):
        client.recommend(RecommendRequest(), user_id="ann")
    with pytest.raises(ValueError, match="userid"):
        client.recommend(userid="ann")


def test_pages_hands_out_a_list_to_its_end(client):
    handed = list(pages(client.list_candidates, page_size=2))
    assert [each.item.item_id for page in handed for each in page.results] == ["pear", "beer", "apple"]
    assert len(handed) == 2


def test_an_error_says_code_reason_field_and_request(client):
    with pytest.raises(InvalidRequestError) as caught:
        client.recommend(user_id="ann", page_size=-1)
    error = caught.value
    assert (error.code, error.reason, error.field) == ("INVALID_ARGUMENT", "INVALID_FIELD", "page_size")
    assert len(error.request_id) == 32
    with pytest.raises(NotFoundError) as caught:
        client.list_similar_items(item_id="no such")
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", "ITEM_NOT_FOUND")


def test_nothing_of_grpc_shows_in_an_error(client):
    with pytest.raises(RecsvcError) as caught:
        client.list_similar_items(item_id="no such")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [(5, NotFoundError), (9, PreconditionError), (13, ServerError), (16, ServerError), (99, ServerError)],
)
def test_an_entry_of_a_batch_becomes_the_error_of_a_single_call(code, kind):
    error = error_of(Status(code=code, message="why"))
    assert type(error) is kind
    assert str(error).startswith("why (")


def test_nobody_there_is_said_with_the_address():
    with (
        Client("127.0.0.1:1") as client,
        pytest.raises(UnavailableError, match=r"nothing answers at 127\.0\.0\.1:1"),
    ):
        client.get_serving_state()


def test_every_call_has_a_deadline(moody):
    handler = Moody(0)
    handler.free.clear()
    with Client(moody(handler), timeout=timedelta(milliseconds=100)) as client:
        with pytest.raises(DeadlineError, match=r"did not answer within 0\.1 s"):
            client.recommend()
        with pytest.raises(DeadlineError, match=r"did not answer within 0\.05 s"):
            client.within(timedelta(milliseconds=50)).recommend()
        handler.free.set()


def test_what_nobody_answered_is_sent_again(moody):
    handler = Moody(2)
    with Client(moody(handler), retries=2) as client:
        client.record_events()
        client.recommend()
    assert set(handler.calls.values()) == {3}


def test_retries_end(moody):
    handler = Moody(2)
    with Client(moody(handler), retries=1) as client, pytest.raises(UnavailableError):
        client.recommend()
    assert set(handler.calls.values()) == {2}


def test_no_retries_means_one_try(moody):
    handler = Moody(1)
    with Client(moody(handler), retries=0) as client, pytest.raises(UnavailableError):
        client.recommend()
    assert set(handler.calls.values()) == {1}


def test_what_must_not_be_done_twice_is_never_sent_again(moody):
    handler = Moody(1)
    with Client(moody(handler)) as client:
        for method in (client.create_rule, client.delete_rule, client.activate_snapshot):
            with pytest.raises(UnavailableError):
                method()
    assert set(handler.calls.values()) == {1}


def test_only_what_nobody_answered_is_sent_again(moody):
    handler = Moody(1, code=grpc.StatusCode.INTERNAL)
    with Client(moody(handler)) as client, pytest.raises(ServerError, match="not now"):
        client.recommend()
    assert set(handler.calls.values()) == {1}


def test_a_method_that_the_server_does_not_have_is_said_so():
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"127.0.0.1:{port}") as client, pytest.raises(ServerError, match=r"does not know .*/GetItem"):
        client.get_item(item_id="apple")
    server.stop(None).wait()


def test_round_robin_spreads_calls_over_all_addresses(moody):
    handlers = [Moody(0), Moody(0)]
    ports = [moody(handler).removeprefix("127.0.0.1:") for handler in handlers]
    address = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    with Client(address, round_robin=True) as client:
        for _ in range(200):
            client.recommend()
            if all(handler.calls for handler in handlers):
                break
    assert all(handler.calls for handler in handlers)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retries": 5}, "retries is 5; give 0 to 4"),
        ({"retries": -1}, "retries is -1"),
        ({"timeout": timedelta()}, "timeout is 0:00:00; give one above 0"),
    ],
)
def test_a_client_that_could_not_work_is_not_made(options, says):
    with pytest.raises(ValueError, match=says):
        Client("127.0.0.1:1", **options)


def test_importing_the_client_loads_nothing_of_the_server():
    code = (
        "import sys, recsvc.client\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'numpy', 'lmdb', 'msgspec', 'rich', 'click', 'selection', 'training'}, loaded\n"
        "ours = {name for name in sys.modules if name.startswith(('recsvc.', 'recdata.'))}\n"
        "ours = {name for name in ours if not name.startswith(('recsvc.client', 'recsvc.v1'))}\n"
        "assert ours == {'recdata.errors'}, ours\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("amount", "units", "nanos"),
    [("12.50", 12, 500_000_000), ("-0.01", 0, -10_000_000), ("-3.5", -3, -500_000_000), (7, 7, 0)],
)
def test_money_keeps_every_cent(amount, units, nanos):
    made = money(amount, "CNY")
    assert (made.units, made.nanos, made.currency_code) == (units, nanos, "CNY")
    assert amount_of(made) == Decimal(amount)


def test_money_is_made_of_numbers():
    with pytest.raises(InvalidOperation):
        money("twelve")


def test_every_error_of_a_call_is_one_that_the_command_line_knows():
    assert all(issubclass(kind, RecsvcError) for kind in CallError.__subclasses__())


def snippets() -> list[str]:
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    return [part.split("```")[0] for part in page.split("```python\n")[1:]]


@pytest.mark.parametrize("snippet", snippets(), ids=range(len(snippets())))
def test_what_the_page_on_clients_shows_in_python_works(start, tmp_path, snippet):
    Tiny().publish(tmp_path)
    server = start(tmp_path)
    exec(snippet.replace("127.0.0.1:50051", server.address), {})


def test_what_the_page_on_clients_shows_for_the_command_line_works(start, tmp_path, capsys):
    Tiny().publish(tmp_path)
    address = start(tmp_path).address
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("recsvc call ")]
    assert lines
    for shown in lines:
        line = shown
        for demo, tiny in (("1082185", "apple"), ("995242", "pear"), ("Produce", "Drinks")):
            line = line.replace(demo, tiny)
        words = shlex.split(line)[2:]
        console = Console()
        door = Door(home=tmp_path, config=None, console=console, out=console)
        call.main([*words, "--address", address], obj=door, standalone_mode=False)
    assert "rule summer is deleted" in capsys.readouterr().out
