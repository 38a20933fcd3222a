"""The examples that encode is shown in the place of its own three: rows of a table that a person corrected.

Which rows of the file: those marked in ``corrected``, or all that have metadata where none is marked. At most
:data:`MOST` are shown at once, drawn by the run's seed and the row's instruction, wherever in the file the row stands.
The seed that is asked about is never among them. Where nothing is left to show, the built-in prompt is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from codeclm.config import MethodConfig, RunConfig
from codeclm.dataset.cells import from_cell
from codeclm.dataset.rows import BadRow, convert_rows, describe
from codeclm.dataset.seeds import metadata_of
from codeclm.errors import ConfigError, InputError
from codeclm.prompts.own_templates import templates_in
from codeclm.records import EncodeExample, Metadata

MOST: Final = 8
"""Examples in one prompt: each is paid for with every seed."""

_EXPECTED: Final = (
    "Expected in each row: `instruction` and `use_case`, texts, and `skills`, a list of texts or one text separated by "
    "commas; `corrected` marks the rows to go by. `codeclm encode` writes such a table."
)
_NOT_MARKED: Final = frozenset({"", "0", "n", "no", "false"})


def encode_examples(config: RunConfig) -> tuple[EncodeExample, ...]:
    """The examples of the config's ``encode_examples`` in their drawn order, one more than are shown at once at most.

    None without the key. Raises InputError where the file can't be read, and ConfigError where the user has a template
    of their own for encode and none that shows examples.
    """
    if config.encode_examples is None:
        return ()
    own = dict(templates_in(config.prompts).own)
    if "encode" in own and "encode_like" not in own:
        raise ConfigError(
            f"`encode_examples`: your own prompt encode.txt in {config.prompts} shows no examples but its own. Put an "
            f"encode_like.txt beside it (`codeclm prompts {config.prompts} encode_like` writes the built-in one), or "
            "leave `encode_examples` out."
        )
    return read_encode_examples(config.encode_examples, config.method, config.seed)


def read_encode_examples(path: Path, settings: MethodConfig, seed: int) -> tuple[EncodeExample, ...]:
    """The examples in a file, drawn by ``seed``. Raises InputError, with all rows that can't be used."""
    spreadsheet = any(suffix.lower() in (".csv", ".tsv") for suffix in path.suffixes[-2:])
    texts: Callable[[object], dict[str, object]] = partial(_texts, text_of=from_cell if spreadsheet else str)
    marks = convert_rows(path, lambda row: _is_marked(texts(row)), expected=_EXPECTED, plain_text=False)
    any_marked = any(marked for _, marked in marks)

    def convert(row: object) -> EncodeExample | None:
        found = texts(row)
        return _example(found, settings, marked=any_marked) if _is_marked(found) or not any_marked else None

    found: dict[str, tuple[int, EncodeExample]] = {}
    for number, example in convert_rows(path, convert, expected=_EXPECTED, plain_text=False):
        if example is None:
            continue
        first, other = found.setdefault(example.words, (number, example))
        if other.metadata != example.metadata:
            raise InputError(
                f"{path}: rows at {first} and {number} have the same instruction with other metadata. Keep one."
            )
    if not found:
        raise InputError(f"{path}: no row has metadata. {_EXPECTED}")
    return tuple(found[words][1] for words in sorted(found, key=lambda words: _drawn_place(words, seed))[: MOST + 1])


def shown_for(instruction: str, examples: Sequence[EncodeExample]) -> tuple[EncodeExample, ...]:
    """Which of the drawn examples are shown for an instruction: never itself, at most :data:`MOST`."""
    itself = EncodeExample(instruction, Metadata("", ())).words
    return tuple(example for example in examples if example.words != itself)[:MOST]


def _texts(row: object, text_of: Callable[[str], str]) -> dict[str, object]:
    """The row with its texts as they were before they became cells."""
    if not isinstance(row, dict):
        raise BadRow(f"found {describe(row)}, expected an object")
    return {key: text_of(value) if isinstance(value, str) else value for key, value in row.items()}


def _is_marked(row: Mapping[str, object]) -> bool:
    mark = row.get("corrected")
    return mark.strip().casefold() not in _NOT_MARKED if isinstance(mark, str) else bool(mark)


def _example(row: dict[str, object], settings: MethodConfig, *, marked: bool) -> EncodeExample | None:
    """The row as an example; None where it has no metadata and nobody marked it."""
    if not marked and not row.get("use_case") and not row.get("skills"):
        return None
    instruction = row.get("instruction")
    if not isinstance(instruction, str) or not instruction.strip():
        raise BadRow(f"`instruction` is {describe(instruction)}, expected a text")
    metadata = metadata_of(row, settings.max_skills)
    _check_allowed("use_case", (metadata.use_case,), "use_cases", settings.use_cases)
    _check_allowed("skills", metadata.skills, "skills", settings.skills)
    return EncodeExample(instruction, metadata)


def _check_allowed(column: str, names: Sequence[str], key: str, allowed: Sequence[str]) -> None:
    known = {name.strip().casefold() for name in allowed}
    for name in names:
        if allowed and name.casefold() not in known:
            raise BadRow(f"`{column}` has {describe(name)}, which is none of `method.{key}`")


def _drawn_place(words: str, seed: int) -> bytes:
    text = f"{seed}/encode_examples/{words}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
