"""Strict readers of model replies: lists, labelled lines, yes or no, JSON. (The judge's scores: ``scores.py``.)

The contract, the same for every function: pure, no I/O; any ``str`` whatever may be given; what is returned was said
by the reply, never guessed; a reply not in the form asked for raises :class:`codeclm.errors.Unparseable`, with the
reply in ``raw``, and nothing else is ever raised; the time taken grows with the length of the reply and no faster.
Lines end in "\\n" or "\\r\\n"; other line separators are ordinary characters.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent
from typing import Any, NoReturn

from codeclm.errors import Unparseable

__all__ = ["NumberedList", "comma_list", "json_object", "labelled", "numbered_list", "yes_no"]

# "1. x", "1) x", "(1) x", "**1.** x", "**1. x**", "## 1. x": indentation, bold, number, the rest of the line.
_MARKER = re.compile(r"([ \t]*)(?:#{1,6}[ \t]+)?(\*\*|__)?\(?([0-9]{1,6})[.)](?=[ \t]|\2|$)(.*)")
_FENCE = re.compile(r"[ \t]*```[^`]*$")
_RULE = re.compile(r"[ \t]*([-*_])\1{2,}[ \t]*")
# What can't begin a closing paragraph: indented text, a bullet, a number, a quotation, a table, code.
_PART_OF_ITEM = re.compile(r"[ \t]|[-*+•][ \t]|[0-9]+[.)]|[>|]|```")

# A comma within brackets separates nothing.
_PIECE = re.compile(r"(?:\([^()\n]*\)|[^,;\n])+")
_BULLET = re.compile(r"\A(?:(?:[-*+•–]|[0-9]{1,3}[.)])\s+)+")
_AND = re.compile(r"\A\s*and\s+", re.IGNORECASE)
_QUOTES = "\"'`*“”‘’«»"

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")


@dataclass(frozen=True, slots=True)
class NumberedList:
    """The complete items of a list. ``torn``: the last one is left out, as its end is missing or can't be told."""

    items: tuple[str, ...]
    torn: bool


def numbered_list(text: str, *, truncated: bool = False, first: int = 1, continues: bool = False) -> NumberedList:
    """The items of a list numbered ``first``, ``first + 1`` and so on; Unparseable when not one is complete.

    - An item begins at a line that begins with the next number, indented no further than the first one and not within
      a code fence. Any other number is text. Where an inner list, neither indented nor fenced, reaches the very number
      the next item would have, nobody can tell the two apart: Unparseable.
    - It holds its inner lines, less their common indentation, and goes on to the next item. Empty items are none.
    - Text before the first item is ignored; with ``continues`` it is the first item (the prompt ended in its number).
    - ``truncated``: the token limit cut the reply, so its last item is torn and left out.
    - A paragraph that follows the last item after a blank line closes the reply and is not part of the item, unless
      it is indented, or is a bullet, number, quotation, table or code, or the text before it ends in a colon. Where
      earlier items hold such paragraphs too, or a code fence is left open, the end can't be told: the item is left out.
    """
    reply = _unfenced(text)
    if truncated and reply.endswith((".", ")")):
        reply = reply[:-1]  # "3." may have been about to become "3.5 litres", so it begins no item yet
    blocks = _blocks(reply, first, continues, raw=text)
    if not blocks:
        raise Unparseable(f"expected a list numbered from {first}", raw=text)
    *earlier, last = blocks
    end = _closing(last)
    unclear = end is not None and any(_closing(block) is not None for block in earlier)
    torn = truncated or unclear or sum(_FENCE.match(line) is not None for line in last) % 2 == 1
    kept = earlier if torn else [*earlier, last[:end]]
    items = tuple(filter(None, map(_item, kept)))
    if not items:
        raise Unparseable("expected at least one complete item", raw=text)
    return NumberedList(items, torn)


def labelled(text: str, *labels: str) -> dict[str, str]:
    """The values of lines such as "Skills: ...", by label as given; each label must occur once and have a value.

    Labels stand at line starts, in upper or lower case, possibly bold or after a bullet. A value goes on to the next
    label or the end. Text before the first label is ignored.
    """
    names = {label.lower(): label for label in labels}
    choices = "|".join(map(re.escape, labels))
    # re.ASCII: only then do re and str.lower() agree on which letters are the same.
    pattern = re.compile(
        rf"[ \t]*(?:[-*+•>#]{{1,6}}[ \t]+)?(\*\*|__)?({choices})((?:\*\*|__)?[ \t]*:)(.*)", re.IGNORECASE | re.ASCII
    )
    found: dict[str, list[str]] = {}
    value: list[str] = []
    for line in _lines(text):
        match = pattern.match(line) if labels else None
        if match is None:
            value.append(line)
            continue
        bold, name, colon, rest = match.groups()
        label = names[name.lower()]
        if label in found:
            raise Unparseable(f"expected {label!r} once", raw=text)
        value = found[label] = [rest if bold and bold in colon else _after_bold(bold, rest)]
    values = {label: "\n".join(found.get(label, [])).strip() for label in labels}
    for label, content in values.items():
        if not content:
            raise Unparseable(f"expected a value for {label!r}", raw=text)
    return values


def comma_list(text: str) -> tuple[str, ...]:
    """What stands between commas, semicolons and line ends (not within brackets), each once in any case, in order.

    Bullets, quotes, bold, full stops at the end and the "and" before the last are taken off. May be empty.
    """
    pieces = [_BULLET.sub("", piece.strip()) for piece in _PIECE.findall(text)]
    if len(pieces) > 1:
        pieces[-1] = _AND.sub("", pieces[-1])
    found: dict[str, str] = {}
    for piece in pieces:
        tidy = re.sub(r"\s+", " ", piece).strip(_QUOTES + " ").rstrip(_QUOTES + " .")
        if tidy:
            found.setdefault(tidy.casefold(), tidy)
    return tuple(found.values())


def yes_no(text: str) -> bool:
    """Whether the reply's first word is yes; Unparseable when it is neither yes nor no, or the first line has both."""
    first_line = text.strip().partition("\n")[0]
    words = _WORD.findall(first_line.replace("_", " ").lower())  # "_" can only be markdown here
    if not words or words[0] not in ("yes", "no") or {"yes", "no"} <= set(words):
        raise Unparseable("expected yes or no", raw=text)
    return bool(words[0] == "yes")


def json_object(text: str, required: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """The reply as one JSON object with the ``required`` keys and their types; a bool is not an int.

    It may stand in one code fence and nothing else may stand around it. Not JSON here: a key given twice, NaN,
    infinite or overlong numbers, and text that can't be written as UTF-8.
    """
    try:
        # The standard library and not orjson, which lets the last of two equal keys win in silence.
        value = json.loads(_unfenced(text), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Unparseable(f"expected one JSON object: {error}", raw=text) from None
    if not isinstance(value, dict):
        raise Unparseable("expected a JSON object", raw=text)
    for key, kinds in required.items():
        if key not in value:
            raise Unparseable(f"expected the key {key!r}", raw=text)
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value[key], allowed) or (isinstance(value[key], bool) and bool not in allowed):
            names = " or ".join(kind.__name__ for kind in allowed)
            raise Unparseable(f"expected {key!r} to be {names}, got {type(value[key]).__name__}", raw=text)
    return value


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _unfenced(text: str) -> str:
    """What stands in the one code fence that encloses the whole text; otherwise the text."""
    opening, _, rest = text.strip().partition("\n")
    inner = rest.removesuffix("```")
    if re.fullmatch(r"```[A-Za-z]*\s*", opening) and inner != rest and "\n```" not in f"\n{inner}":
        return inner
    return text


def _after_bold(bold: str | None, rest: str) -> str:
    """The text after a marker that bold began before: "**1.** x" and "**1. x**" are "x", "**1. x** y" is "**x** y"."""
    if not bold:
        return rest
    if rest.startswith(bold):
        return rest[len(bold) :]
    if rest.rstrip().endswith(bold):
        return rest.rstrip().removesuffix(bold)
    return bold + rest.lstrip()


def _blocks(text: str, first: int, continues: bool, *, raw: str) -> list[list[str]]:
    """The lines of each item, without its number and without blank lines and rules at its end."""
    blocks: list[list[str]] = [[]] if continues else []
    margin = 0 if continues else None
    inner: int | None = None  # the last number seen in this item that is not the next item's
    fenced = False
    for line in _lines(text):
        content = line
        marker = None if fenced else _MARKER.match(line)
        if marker and (margin is None or len(marker[1].expandtabs()) <= margin):
            number = int(marker[3])
            if number == first + len(blocks):
                if inner == number - 1:
                    raise Unparseable(f"can't tell whether {number} belongs to a list within an item", raw=raw)
                margin = len(marker[1].expandtabs()) if margin is None else margin
                content = _after_bold(marker[2], marker[4])
                blocks.append([])
                inner = None
            elif blocks:
                inner = number
        if blocks:
            blocks[-1].append(content)
            fenced ^= _FENCE.match(content) is not None
    for block in blocks:
        while block and (not block[-1].strip() or _RULE.fullmatch(block[-1])):
            block.pop()
    return blocks


def _closing(block: list[str]) -> int | None:
    """The line at which a paragraph begins that need not belong to the item, if any."""
    above, blank, fenced = "", False, False
    for index, line in enumerate(block):
        if not line.strip():
            blank = not fenced
            continue
        announced = above.endswith((":", "："))
        if blank and above and not announced and not _PART_OF_ITEM.match(line):
            return index
        above, blank = line.rstrip(" \t*_"), False
        fenced ^= _FENCE.match(line) is not None
    return None


def _item(block: list[str]) -> str:
    return "\n".join([*block[:1], dedent("\n".join(block[1:]))]).strip()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is given twice")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
