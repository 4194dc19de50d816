import gzip
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recdata.errors import RejectShareError, TableError
from recdata.importing import csv_lines
from recdata.importing.csv_lines import lines_are_sound
from recdata.importing.mapping import CsvOptions
from recdata.importing.sources import ROW, SourceFile, scan_source
from recdata.tables import read_table
from tests.recdata.import_shop import Shop

ITEMS = "item_id,title,category\na,Apple,Food\nb,Bread,Food\n"
EVENTS = "user_id,item_id,event_type,event_time\nu1,a,view,2025-03-01\n"
LAST = b"u3,b,view,2025-03-03\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.put("items.csv", ITEMS)
    shop.put("events.csv", EVENTS)
    return shop


def lines(path: Path, content: bytes, **options) -> list[tuple]:
    """Reads a CSV of any columns: row, reason and the fields."""
    path.write_bytes(content)
    frame = scan_source(SourceFile(path, path.name), CsvOptions(**options), path.parent / "scratch")
    return frame.select(ROW, "__broken", pl.exclude(ROW, "__broken", "__raw_line")).collect().rows()


@pytest.mark.parametrize(
    ("broken", "reason", "shown"),
    [
        (b"u2,a,view\n", "wrong_field_count", "u2,a,view"),
        (b"u2,a,view,2025-03-02,9\n", "wrong_field_count", "u2,a,view,2025-03-02,9"),
        (b'u2,"a,view,2025-03-02\n', "bad_quotes", 'u2,"a,view,2025-03-02'),
        (b'u2,"a" b,view,2025-03-02\n', "bad_quotes", 'u2,"a" b,view,2025-03-02'),
        (b"u2\xff,a,view,2025-03-02\n", "bad_encoding", "u2\ufffd,a,view,2025-03-02"),
        (b"\xe4\xbd,a,view,2025-03-02\n", "bad_encoding", "\ufffd,a,view,2025-03-02"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_broken_line_is_one_reject_and_the_others_come_in(
    shop: Shop, broken: bytes, reason: str, shown: str, *, zipped: bool
) -> None:
    content = EVENTS.encode() + broken + LAST
    (shop.source / "events.csv").unlink()
    name = "events.csv.gz" if zipped else "events.csv"
    (shop.source / name).write_bytes(gzip.compress(content) if zipped else content)
    report = shop.run()
    assert report.tables["events"].rejected == {reason: 1}
    (reject,) = shop.rejects("events")
    assert reject == {
        "table": "events", "file": name, "row": "2", "reason": reason, "column": "line", "value": shown,
    }  # fmt: skip
    assert read_table(shop.home, "events")["user_id"].to_list() == ["u1", "u3"]


def test_a_quote_that_is_open_to_the_end_costs_its_own_line_alone(shop: Shop) -> None:
    shop.put("items.csv", ITEMS + 'c,"Cake,Food\nd,Dates,Food\n')
    assert shop.run().tables["items"].rejected == {"bad_quotes": 1}
    assert read_table(shop.home, "items")["item_id"].to_list() == ["a", "b", "d"]


def test_an_open_quote_does_not_swallow_lines_up_to_the_next_quoted_field(shop: Shop) -> None:
    shop.put("items.csv", ITEMS + 'c,"Cake,Food\nd,Dates,Food\ne,"Eggs, brown",Food\n')
    assert shop.run().tables["items"].rejected == {"bad_quotes": 1}
    assert read_table(shop.home, "items")["title"].to_list() == ["Apple", "Bread", "Dates", "Eggs, brown"]


def test_inches_in_a_title_are_kept(shop: Shop) -> None:
    shop.put("items.csv", 'item_id,title,category\na,5" pipe,Food\nb,TV 32",Food\nc,"32"" TV",Food\n')
    assert shop.run().tables["items"].rejected == {}
    assert read_table(shop.home, "items")["title"].to_list() == ['5" pipe', 'TV 32"', '32" TV']


def test_broken_lines_past_the_share_are_an_error_with_their_reason(shop: Shop) -> None:
    (shop.source / "events.csv").write_bytes((EVENTS + "用户,a,view,2025-03-01\n").encode("gb18030"))
    with pytest.raises(RejectShareError, match=r"events: 1 of 2 rows rejected \(50.0%; bad_encoding 1\)"):
        shop.run(max_reject_share=0.05)


def test_empty_lines_are_no_rows_but_count_as_lines(tmp_path: Path) -> None:
    found = lines(tmp_path / "a.csv", b"a,b\n\n1,2\r\n\r\n3\n\n")
    assert found == [(2, None, "1", "2"), (4, "wrong_field_count", None, None)]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gbk", "gb18030"])
def test_every_encoding_and_line_end_gives_the_same_rows(tmp_path: Path, encoding: str, ends: str) -> None:
    text = '编号,名称\n00123,"苹果, 红"\n12345678901234567890,"第一\n第二"\n1e18,\n'.replace("\n", ends)
    found = lines(tmp_path / "a.csv", text.encode(encoding), encoding=encoding)
    assert found == [
        (1, None, "00123", "苹果, 红"),
        (2, None, "12345678901234567890", f"第一{ends}第二"),
        (3, None, "1e18", None),
    ]


def test_bytes_that_are_no_gbk_break_their_line_alone(tmp_path: Path) -> None:
    content = "编号,名称\n1,苹果\n".encode("gbk") + b"2,\xff\xff\n" + "3,面包\n".encode("gbk")
    found = lines(tmp_path / "a.csv", content, encoding="gbk")
    assert found == [(1, None, "1", "苹果"), (2, "bad_encoding", None, None), (3, None, "3", "面包")]


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (EVENTS.encode("utf-16"), r'is UTF-16.*encoding = "utf-16"'),
        ("用户,商品\n1,2\n".encode("gb18030"), r"column names cannot be read as utf-8.*gb18030"),
        (b'user_id,"item_id\n1,2\n', r"column names cannot be read.*quote"),
        (b"\n1,2\n", "needs a line of column names"),
    ],
)
def test_column_names_that_cannot_be_read_are_an_error_with_the_remedy(
    shop: Shop, content: bytes, remedy: str
) -> None:
    (shop.source / "events.csv").write_bytes(content)
    with pytest.raises(TableError, match=remedy):
        shop.run()


def test_a_title_of_a_million_characters_is_read(tmp_path: Path) -> None:
    title = "x\n" * 500_000
    assert lines(tmp_path / "a.csv", f'a,b\n1,"{title}"\n2\n'.encode())[0] == (1, None, "1", title)


def test_a_quote_in_any_one_line_of_many_is_found_in_every_block(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 16)
    path = tmp_path / "a.csv"
    for at in range(20):
        rows = [f'{n},"x{n}\n, y"\n' if n != at else f'{n},5" x\n' for n in range(20)]
        path.write_text("a,b\n" + "".join(rows))
        assert not lines_are_sound(path, CsvOptions())
    path.write_text("a,b\n" + "".join(f'{n},"x{n}\n, ""y"\n' for n in range(20)))
    assert lines_are_sound(path, CsvOptions())


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='a1,"\n\r长', max_size=30), st.integers(0, 10**6))
@example('1,""\n"",2\n', 0)
@example('"\n",1\n', 0)
@example('""\r1,', 0)
def test_no_text_stops_the_reading_and_sound_lines_are_read_the_same_either_way(
    tmp_path_factory: pytest.TempPathFactory, body: str, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("lines")
    content = f"a,b\n{body}".encode()
    cut = random.Random(seed).randrange(4, len(content) + 1)
    found = lines(folder / "a.csv", content)
    lines(folder / "cut.csv", content[:cut])
    assert all(not any(values) for _, reason, *values in found if reason)
    lone_return = "\r" in body.replace("\r\n", "\n")  # Polars drops one that is all of a field
    if not lone_return and lines_are_sound(folder / "a.csv", CsvOptions()):
        marked = folder / "marked.csv"
        csv_lines.write_marked_copy(folder / "a.csv", CsvOptions(), marked)
        again = pl.read_csv(marked, infer_schema=False)
        assert again["__broken"].null_count() == again.height
        assert again.select("a", "b").rows() == [row[2:] for row in found]
