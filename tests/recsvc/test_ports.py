"""An address that cannot be listened on: why, and what helps against just that."""

from __future__ import annotations

import socket

import pytest

from recdata.errors import ServeError
from recsvc.config import ServingConfig
from recsvc.ports import cannot_listen, hold_port
from tests.recsvc.tiny import Tiny

# The second is of a network for documentation, which no machine has.
ELSEWHERE = ["no.such.host.invalid", "203.0.113.7"]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_host_that_is_not_this_machine_is_to_be_another_host_and_no_other_port(host):
    with pytest.raises(
        ServeError, match=rf"cannot listen on {host}:0: .*; give --host an address of this"
    ) as caught:
        hold_port(host, 0)
    assert "--port" not in str(caught.value)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_lone_worker_says_the_same(host, tmp_path, start):
    Tiny().publish(tmp_path)
    with pytest.raises(ServeError, match=rf"cannot listen on {host}:0: .*; give --host an address of this"):
        start(tmp_path, ServingConfig(host=host, port=0))


def test_a_taken_port_is_to_be_freed_or_to_be_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServeError, match="Address already in use; stop what listens there"):
            hold_port("127.0.0.1", taken.getsockname()[1])


def test_a_port_that_asks_for_rights_and_a_failure_without_words_are_told():
    assert "a number from 1024 on" in str(cannot_listen("h", 80, PermissionError(13, "Permission denied")))
    assert "cannot listen on h:80: refused; stop what listens" in str(cannot_listen("h", 80, None))
