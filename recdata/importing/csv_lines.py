"""Owns the lines of a CSV file: whether each holds its fields, and a copy that marks those that do not.

A file is looked at once, block by block. Where every line is sound it is read as it stands. Otherwise, and
where it has another encoding than UTF-8, a copy is made: a broken line becomes a line of empty fields that
carries the reason and the beginning of its text, so that rows keep their numbers and the import goes on.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from recdata.errors import TableError
from recdata.importing.mapping import CsvOptions

#: Columns that a copy has besides the file's own: why a line is broken (null for a sound one), and its text.
BROKEN: Final = "__broken"
BROKEN_TEXT: Final = "__raw_line"
#: What stands in `BROKEN` for an empty line, which is no row.
EMPTY: Final = "empty"
TEXT_CHARS: Final = 200
BLOCK_BYTES: Final = 1 << 22
#: A record that is longer has a quote that nobody closed.
MAX_RECORD: Final = 1 << 24
LINE_FEED: Final = 10
RETURN: Final = 13
#: Stands for bytes that are no text; no decoder makes it of text.
UNDECODABLE: Final = "\udcff"
WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

codecs.register_error("recdata.mark", lambda error: (UNDECODABLE, cast("UnicodeDecodeError", error).end))


def is_utf8(encoding: str) -> bool:
    """Returns whether text in the encoding is UTF-8 as it stands."""
    return codecs.lookup(encoding).name in {"utf-8", "ascii"}


def lines_are_sound(path: Path, options: CsvOptions) -> bool:
    """Returns whether a UTF-8 file is read right as it stands: equal field counts, strict quotes, text."""
    separator, quote = ord(options.separator), ord(options.quote)
    if max(separator, quote) > 127:  # more than one byte
        return False
    fields = -1
    with _opened(path) as stream:
        rest = stream.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
        if b"\n" not in rest and b"\r" in rest:
            return False
        while rest:
            more = stream.read(BLOCK_BYTES)
            ended = not more
            if ended and rest.endswith(b"\r"):
                return False
            if ended and not rest.endswith(b"\n"):
                rest += b"\n"
            used, fields = _sound_part(np.frombuffer(rest, np.uint8), separator, quote, fields)
            if used < 0 or (ended and used < len(rest)) or len(rest) - used > MAX_RECORD:
                return False
            if not rest.isascii() and not _is_text(rest[:used]):
                return False
            rest = rest[used:] + more
    return True


def write_marked_copy(path: Path, options: CsvOptions, target: Path) -> None:
    """Writes the file in UTF-8 with the columns `BROKEN` and `BROKEN_TEXT` added.

    Raises:
        TableError: the file is empty, or its line of column names cannot be read.
    """
    separator, quote = options.separator, options.quote
    with _opened(path) as stream, target.open("w", encoding="utf-8", newline="") as out:
        start = cast("io.BufferedReader", stream).peek(BLOCK_BYTES)
        if is_utf8(options.encoding) and start.startswith(WIDE_MARKS):
            raise TableError(f'{path}: is UTF-16; say so in a mapping file: [csv] encoding = "utf-16"')
        encoding = "utf-8-sig" if is_utf8(options.encoding) else options.encoding
        head = start.decode(encoding, errors="replace")
        newline = "\r" if "\r" in head and "\n" not in head else "\n"
        text = io.TextIOWrapper(stream, encoding, errors="recdata.mark", newline=newline)
        lines = _Lines(text, separator, quote)
        header, _ = lines.take()
        if header is None or any(UNDECODABLE in name for name in header):
            raise TableError(
                f"{path}: its line of column names cannot be read as {options.encoding}; set [csv] encoding "
                '(such as "gb18030"), separator and quote in a mapping file'
            )
        header[0] = header[0].removeprefix("\ufeff")
        if header == [""]:
            raise TableError(f"{path}: the file is empty; it needs a line of column names")
        out.write(separator.join([*header, BROKEN, BROKEN_TEXT]) + "\n")
        blank = separator * len(header)
        sound = _sound_line(separator, quote, len(header))
        while lines.more():
            if (whole := lines.take_if(sound)) is not None:
                out.write(f"{whole}{separator}{separator}\n")
                continue
            fields, line = lines.take(len(header))
            if fields is not None and len(fields) == len(header):
                made = separator.join(fields)
                if UNDECODABLE not in made:
                    out.write(f"{made}{separator}{separator}\n")
                    continue
                reason = "bad_encoding"
            elif fields is None:
                reason = "bad_quotes"
            else:
                reason = EMPTY if fields == [""] else "wrong_field_count"
            shown = line[:TEXT_CHARS].rstrip("\r\n").replace(UNDECODABLE, "\ufffd")
            out.write(f"{blank}{reason}{separator}{_quoted(shown, quote)}\n")


class _Lines:
    """The records of a text, each a list of fields as they are written in the copy."""

    def __init__(self, text: io.TextIOWrapper, separator: str, quote: str) -> None:
        self._text = text
        self._separator = separator
        self._quote = quote
        self._ahead: deque[str] = deque()

    def more(self) -> bool:
        """Returns whether anything is left."""
        if not self._ahead and (line := self._text.readline(MAX_RECORD)):
            self._ahead.append(line)
        return bool(self._ahead)

    def take_if(self, sound: re.Pattern[str]) -> str | None:
        """Returns the next line without its end if the pattern is the whole of it (the way of most lines)."""
        line = _bare(self._ahead[0])
        if sound.fullmatch(line) is None:
            return None
        self._ahead.popleft()
        return line

    def take(self, width: int | None = None) -> tuple[list[str] | None, str]:
        """Returns the next record's fields (None where its quotes are wrong) and its first line.

        A record of several lines with wrong quotes, or another width, is an unclosed quote in its first
        line: the others are given back, to be read by themselves.
        """
        if not self.more():
            return [""], ""
        line = self._ahead.popleft()
        if self._quote not in line:
            return [self._plain(field) for field in _bare(line).split(self._separator)], line
        taken: list[str] = []
        fields = self._fields(line, taken)
        if taken and (fields is None or (width is not None and len(fields) != width)):
            self._ahead.extendleft(reversed(taken))
            return None, line
        return fields, line

    def _plain(self, field: str) -> str:
        return _quoted(field, self._quote) if self._quote in field or "\r" in field else field

    def _fields(self, text: str, taken: list[str]) -> list[str] | None:
        separator, quote = self._separator, self._quote
        fields: list[str] = []
        at = 0
        while True:
            if not text.startswith(quote, at):
                end = text.find(separator, at)
                field = text[at:end] if end >= 0 else _bare(text[at:])
                fields.append(self._plain(field))
                if end < 0:
                    return fields
                at = end + 1
                continue
            look = at + 1
            while True:
                end = text.find(quote, look)
                if end < 0:
                    look = len(text)
                    if look > MAX_RECORD or not self.more():
                        return None
                    taken.append(self._ahead.popleft())
                    text += taken[-1]
                elif text.startswith(quote, end + 1):
                    look = end + 2
                else:
                    break
            fields.append(text[at : end + 1])
            if not text.startswith(separator, end + 1):
                return None if _bare(text[end + 1 :]) else fields
            at = end + 2


def _sound_part(block: NDArray[np.uint8], separator: int, quote: int, fields: int) -> tuple[int, int]:
    """Returns how many bytes hold whole sound records (-1: some are broken), and the fields of a record."""
    ends = np.flatnonzero(block == LINE_FEED)
    between = np.flatnonzero(block == separator)
    quotes = np.flatnonzero(block == quote)
    if len(quotes):
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        between = between[np.searchsorted(quotes, between) % 2 == 0]
    if not len(ends):
        return 0, fields
    used = int(ends[-1]) + 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    counts = np.diff(np.searchsorted(between, ends), prepend=0) + 1
    fields = int(counts[0]) if fields < 0 else fields
    lengths = ends - starts
    empty = (lengths == 0) | ((lengths == 1) & (block[starts] == RETURN))
    if (counts != fields).any() or empty.any():
        return -1, fields
    quotes = quotes[quotes < used]
    # Of a quote at 0 the byte before is the block's last one, so it is looked at apart.
    before = block[quotes[0::2] - 1]
    after = block[quotes[1::2] + 1]
    opened = np.isin(before, [separator, LINE_FEED, quote]) | (quotes[0::2] == 0)
    closed = np.isin(after, [separator, LINE_FEED, quote])
    # A return ends a line only before a line feed; every record here ends with one, so there is a next byte.
    closed |= (after == RETURN) & (block[np.minimum(quotes[1::2] + 2, used - 1)] == LINE_FEED)
    return (used if opened.all() and closed.all() else -1), fields


def _sound_line(separator: str, quote: str, fields: int) -> re.Pattern[str]:
    """Returns the pattern of a line that needs no mending; an empty line is none."""
    s, q = re.escape(separator), re.escape(quote)
    field = f"(?:{q}[^{q}{UNDECODABLE}]*+(?:{q}{q}[^{q}{UNDECODABLE}]*+)*+{q}|[^{q}{s}\r{UNDECODABLE}]*+)"
    return re.compile(f"(?=.){field}(?:{s}{field}){{{fields - 1}}}")


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _bare(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace(quote, quote * 2) + quote


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        yield cast("BinaryIO", gzip.GzipFile(fileobj=file)) if path.name.endswith(".gz") else file
