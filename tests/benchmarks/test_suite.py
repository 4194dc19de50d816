from __future__ import annotations

import numpy as np
from load.exact import top_items
from load.figures import Limits, figure, rows
from load.http2 import Connection, header_block
from load.pacer import MARKER, messages
from load.synthetic import SIZES, Synthetic

from recdata.releases import Releases
from recsvc.config import ServingConfig
from recsvc.server import Server
from tests.recsvc.tiny import Tiny


def test_the_exact_list_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(7)
    items = rng.standard_normal((30_000, 8), np.float32) * rng.random((30_000, 1), np.float32)
    users = rng.standard_normal((20, 8), np.float32)
    found, scores = top_items(users, items, 50)
    products = users @ items.T
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :50], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(products, found, axis=1), scores, rtol=1e-5)


def test_a_shopper_of_the_made_shop_has_the_exact_list_and_bought_what_made_the_vector(tmp_path) -> None:
    Releases(tmp_path).publish(Synthetic(SIZES["5k"]).write)
    snapshot = Releases(tmp_path).open_current()
    user = snapshot.user("user-0000042")
    products = snapshot.item_factors @ user.factors
    np.testing.assert_allclose(products[user.ranked_rows], -np.sort(-products)[:200], rtol=1e-4)
    assert np.array_equal(user.purchased_rows, user.interacted_rows)
    copied = snapshot.user(f"user-{42 + SIZES['5k'].shoppers:07d}")
    assert np.array_equal(copied.ranked_rows, user.ranked_rows)
    del user, copied, products
    snapshot.close()


def test_every_figure_with_a_limit_says_whether_it_holds() -> None:
    limits = Limits("full")
    within, above = figure("cpu_ratio", "50k", "", [1.1, 1.2, 1.9]), figure("cpu_ratio", "50k", "", [1.31])
    assert [row[6] for row in rows([within, above], limits)] == ["held", "**breached**"]
    assert limits.of(figure("cpu_ratio", "1M", "", [1.4])).holds(1.4)
    assert not limits.of(figure("recall", "1M", "", [0.97])).holds(0.97)
    assert limits.of(figure("disk_commits", "1M", "", [1.0])) is None


def test_both_kinds_of_run_hold_limits_of_the_same_figures() -> None:
    assert set(Limits("full")._sides["most"]) == set(Limits("quick")._sides["most"])
    assert set(Limits("full")._sides["least"]) == set(Limits("quick")._sides["least"])


def test_a_marker_becomes_another_number_in_each_call() -> None:
    made = messages([b"<" + MARKER + b"|" + MARKER + b">"], iter(range(10)), 0)
    assert next(made) == b"<0000000000000000|0000000000000001>"
    assert next(made) == b"<0000000000000002|0000000000000003>"


def test_the_plain_connection_calls_a_real_server(tmp_path) -> None:
    snapshot_id = Tiny().publish(tmp_path).snapshot_id
    server = Server(tmp_path, ServingConfig(port=0))
    server.start()
    connection = Connection(server.address)
    stream = connection.send("/recsvc.v1.SnapshotService/GetServingState", b"")
    unknown = connection.send("/recsvc.v1.SnapshotService/Nothing", b"")
    ended = {}
    while len(ended) < 2:
        ended.update(connection.receive())
    connection.close()
    server.stop()
    assert snapshot_id.encode() in ended[stream]
    assert ended[unknown] is None


def test_headers_are_literals_without_a_table() -> None:
    assert header_block("/a.B/C", "h:1")[:2] == b"\x83\x86"
    assert b"/a.B/C" in header_block("/a.B/C", "h:1")
