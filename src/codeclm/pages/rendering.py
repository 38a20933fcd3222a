"""Pages from templates: everything that is put into one is text, whatever it holds.

Templates are those in the folders ``templates`` of pages, reporting and studio. Values are escaped unless they are
:class:`markupsafe.Markup`, which only :mod:`codeclm.pages.figures` and macros of our own make. A name that a template
uses and nobody gave is an error, not an empty place.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from codeclm.amounts import dollars, duration, short
from codeclm.pages.words import changes

_PACKAGE: Final = Path(__file__).parent.parent
STYLES: Final = Path(__file__).parent / "static" / "page.css"
"""The styles that every page has; the studio serves it, the report holds it."""

# Characters that turn the direction of what follows, or are not seen at all: they could make a text look like another.
_UNSEEN: Final = frozenset("\u200b\u200e\u200f\u2028\u2029\u2060\u061c\ufeff") | frozenset(
    map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)
_TO_SHOW: Final = re.compile("[^\t\n\x20-\x7e\xa0-\xac\xae-\u061b\u061d-\u1fff\u3000-\ud7ff\uf900-\ufdcf]")


def render(template: str, /, **values: Any) -> str:
    """The page, or the part of one, that ``template`` makes of ``values``."""
    return _environment().get_template(template).render(values)


def render_from(folder: Path, template: str, /, **values: Any) -> str:
    """As :func:`render`, for a template of a folder outside the package, which may build on those of the package."""
    here = _environment()
    own = here.overlay(loader=ChoiceLoader([FileSystemLoader(folder), *filter(None, [here.loader])]))
    return own.get_template(template).render(values)


def visible(text: object) -> str:
    """The text with each character in it to be seen: control characters and those that turn the direction as symbols.

    What is not Unicode text (a lone surrogate) becomes U+FFFD. Ends of lines and tabs stay.
    """
    return _TO_SHOW.sub(_shown, str(text).replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return chr(0x2400 + code) if code < 0x20 else "\u2421"
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    if character in _UNSEEN or unicodedata.category(character) == "Cc":
        return f"⟨U+{code:04X}⟩"
    return character


@cache
def styles() -> str:
    """The text of :data:`STYLES`."""
    return STYLES.read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    folders = [_PACKAGE / name / "templates" for name in ("pages", "reporting", "studio")]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible,
        "count": _count,
        "share": _share,
        "signed": _signed,
        "plain": _plain,
        "dollars": _dollars,
        "duration": _duration,
        "short": short,
        "clip": clip,
        "segment": _segment,
    }
    environment.globals |= {"changes": changes}
    return environment


def clip(text: str, characters: int = 400) -> str:
    """The beginning of a long text, with an ellipsis; the whole of a short one."""
    return text if len(text) <= characters else text[:characters].rstrip() + "…"


def _segment(text: object) -> str:
    """The text as one segment of an address, slashes and all."""
    return quote(str(text).encode(errors="replace"), safe="")


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _share(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _signed(value: float | None) -> str:
    """A gap: with its sign, and as many digits as it has."""
    return "–" if value is None else f"{value:+g}".replace("-", "\u2212") if value else "0"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:g}".replace("-", "\u2212")


def _dollars(value: float | Decimal | None) -> str:
    return "–" if value is None else dollars(Decimal(str(value)))


def _duration(value: float | None) -> str:
    return "–" if value is None else duration(value)
