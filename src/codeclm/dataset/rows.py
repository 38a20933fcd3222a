"""Rows of a user's file, whatever its format, each with its number.

Owns the formats (JSONL, JSON, CSV, TSV, Parquet, text, and .gz of the text ones) and every message about a file that
can't be read. :func:`convert_rows` takes each row through the caller's function and lists all bad rows in one
:class:`~codeclm.errors.InputError`; it never returns part of a file. Lines end at "\\n" only, so U+2028 and its like
stay inside the text they are in; a byte order mark and CRLF are tolerated.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import orjson

from codeclm.dataset.arrow import MissingPyarrow, load_pyarrow
from codeclm.errors import InputError

T = TypeVar("T")

_SHOWN = 10
_CLIP = 60
_FIELD_LIMIT = 2**31 - 1


class BadRow(ValueError):
    """One row can't be used; the text says what was found in it."""


class _BadFile(ValueError):
    """The file as a whole can't be taken apart into rows."""


def convert_rows(
    path: Path, convert: Callable[[object], T], *, expected: str, plain_text: bool = True
) -> list[tuple[int, T]]:
    """Every row of ``path`` as (number, ``convert(row)``); whatever raises :class:`BadRow` is listed in one error.

    ``expected`` ends that error: what a row should look like and the remedy. A row of a text file is its line.
    """
    suffix, zipped = _format_of(path, plain_text)
    unit = "row" if suffix in (".json", ".parquet") else "line"
    converted: list[tuple[int, T]] = []
    bad: list[str] = []
    try:
        for number, row in _READERS[suffix](_read(path, zipped)):
            try:
                if isinstance(row, BadRow):
                    raise row
                converted.append((number, convert(row)))
            except BadRow as problem:
                bad.append(f"{unit} {number}: {problem}")
    except _BadFile as problem:
        bad.append(str(problem))
    except MissingPyarrow as missing:
        raise InputError(f"{path}: {missing}") from None
    if bad:
        more = [f"and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
        raise InputError("\n  ".join([f"{path}: {_count(len(bad))}", *bad[:_SHOWN], *more]) + f"\n{expected}")
    if not converted:
        raise InputError(f"{path}: the file has no rows. {expected}")
    return converted


def describe(value: object) -> str:
    """What a JSON value is, in a few words fit for an error message whatever is in it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {_clip(value)}"
        case int() | float():
            return f"the number {_clip(value)}"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
    return f"a {type(value).__name__}"


def describe_fields(row: Mapping[str, object]) -> str:
    """The row's field names, to pick one from."""
    names = [name if name.isidentifier() and len(name) <= _CLIP else _clip(name) for name in row]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more


def _clip(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _CLIP else shown[:_CLIP] + "…"


def _count(bad: int) -> str:
    return "1 problem, nothing was read" if bad == 1 else f"{bad} problems, nothing was read"


def _format_of(path: Path, plain_text: bool) -> tuple[str, bool]:
    """The suffix that names the format, and whether the file is gzipped."""
    zipped = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if zipped else path).suffix.lower()
    known = [name for name, reader in _READERS.items() if plain_text or reader is not _text]
    if suffix not in known or (zipped and suffix == ".parquet"):
        found = f"the suffix {''.join(path.suffixes[-2:])!r}" if path.suffix else "no suffix"
        names = ", ".join(name for name in known if name)
        raise InputError(f"{path}: {found} names no format read here. Expected {names}; all but .parquet also as .gz.")
    return suffix, zipped


def _read(path: Path, zipped: bool) -> bytes:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if zipped else data
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such file. In a config, paths are taken from the config's folder."
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder. Name one file in it.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read ({error}). Check its permissions and that it is whole.") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: this is UTF-16. Save it as UTF-8.")
    return data.removeprefix(b"\xef\xbb\xbf")


def _lines(data: bytes) -> Iterator[tuple[int, str | BadRow]]:
    for number, line in enumerate(io.BytesIO(data), start=1):  # one at a time: there may be a million
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            yield number, BadRow(f"not UTF-8 (byte 0x{line[error.start]:02x} at byte {error.start + 1} of the line)")


def _text(data: bytes) -> Iterator[tuple[int, object]]:
    for number, line in _lines(data):
        if isinstance(line, BadRow) or line.strip():
            yield number, line


def _jsonl(data: bytes) -> Iterator[tuple[int, object]]:
    for number, line in _text(data):
        try:
            yield number, orjson.loads(line) if isinstance(line, str) else line
        except orjson.JSONDecodeError as error:
            hint = "a file that is one array is named .json"
            yield number, BadRow(f"not JSON ({error.msg}, column {error.colno}); {hint}")


def _whole(data: bytes) -> str:
    """The file's text, for the formats that are more than their lines."""
    for number, line in _lines(data):
        if isinstance(line, BadRow):
            raise _BadFile(f"line {number}: {line}")
    return data.decode()


def _json(data: bytes) -> Iterator[tuple[int, object]]:
    text = _whole(data)
    if not text.strip():
        return
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        hint = "a file with one row on each line is named .jsonl"
        raise _BadFile(f"line {error.lineno}: not JSON ({error.msg}, column {error.colno}); {hint}") from None
    if not isinstance(rows, list):
        fields = f" with the fields {describe_fields(rows)}" if isinstance(rows, dict) else ""
        raise _BadFile(f"found {describe(rows)}{fields}, expected an array of rows")
    yield from enumerate(rows, start=1)


def _csv(data: bytes) -> Iterator[tuple[int, object]]:
    """With whatever separator a spreadsheet saved it, by the header: where it has no comma, semicolons or tabs."""
    text = _whole(data)
    header = text.split("\n", 1)[0]
    with long_fields():
        records = list(_records(text, next((one for one in ",;\t" if one in header), ",")))
    yield from records


def _tsv(data: bytes) -> Iterator[tuple[int, object]]:
    with long_fields():
        records = list(_records(_whole(data), "\t"))
    yield from records


@contextmanager
def long_fields() -> Iterator[None]:
    """Fields of any length in the CSV that is read meanwhile. The limit is the whole process's, so it is put back."""
    limit = csv.field_size_limit(_FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, object]]:
    """Strict, because a lenient reader lets one stray quote swallow the rest of the file."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not cells:
                pass
            elif not header:
                header = cells
            elif len(cells) > len(header):
                found = f"{len(cells)} fields, the header has {len(header)}"
                yield line, BadRow(f"{found}; text that has a {delimiter!r} in it needs quotes")
            else:
                yield line, dict(zip(header, cells, strict=False))
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, BadRow(f"not CSV ({error}); check the quotes from here on")


def _parquet(data: bytes) -> Iterator[tuple[int, object]]:
    pyarrow = load_pyarrow()
    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data)).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _BadFile(f"not a Parquet file that can be read ({error})") from None


_READERS: dict[str, Callable[[bytes], Iterator[tuple[int, object]]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
    ".txt": _text,
    ".md": _text,
    "": _text,
}
