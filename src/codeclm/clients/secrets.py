"""Keeping an endpoint's secrets out of everything that is written or shown.

Servers and proxies repeat keys in error pages, and a model or an echoing server may put one into a reply. Whatever
comes back passes through here before anyone else sees it. An error's text is searched for every secret, however it is
escaped. A reply is data, and many servers of one's own are given a key such as EMPTY or test: it is searched only for
secrets that can't be taken for a word.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from functools import cached_property
from urllib.parse import unquote, urlsplit

MASK = "***"

_SHORTEST = 8
_LONG = 20
"""A secret is distinctive from 8 characters on with a digit among them, and from 20 on without."""

_LOOKED_AT = 20_000  # characters of an error's text; only its first 2,000 are kept


class Secrets:
    """The secrets that go with an endpoint's requests."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = sorted(set(values) - {""}, key=len, reverse=True)  # one may be part of another
        distinctive = [value for value in self._values if _is_distinctive(value)]
        self._cores = [max(re.findall(r"[A-Za-z0-9]+", value) or [value], key=len) for value in distinctive]
        self._distinctive = distinctive

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def cut_from_error(self, text: str) -> str:
        """The first part of a text without any secret, also not one escaped for JSON, a URL, HTML or a program."""
        return self._any.sub(MASK, text[:_LOOKED_AT]) if self._values else text

    def cut_from_reply(self, text: str) -> str:
        """A reply's text without distinctive secrets; costs next to nothing where there is none in it."""
        for core in self._cores:
            # No escaping touches letters and digits.
            if core in text:
                return self._any_distinctive.sub(MASK, text)
        return text

    @cached_property
    def _any(self) -> re.Pattern[str]:
        return _pattern(self._values)

    @cached_property
    def _any_distinctive(self) -> re.Pattern[str]:
        return _pattern(self._distinctive)


def in_url(url: str | None) -> set[str]:
    """The user and password in a URL, as written and as meant."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return set()
    found = {part for part in (parts.username, parts.password) if part}
    return found | {unquote(part) for part in found}


def _is_distinctive(secret: str) -> bool:
    return len(secret) >= _LONG or (len(secret) >= _SHORTEST and any(c.isdigit() for c in secret))


def _pattern(secrets: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join("".join(map(_written, secret)) for secret in secrets))


def _written(character: str) -> str:
    """A pattern for the ways in which a character may be written."""
    code = ord(character)
    number = f"(?i:{code:02x})"
    ways = [
        r"\\+" if character == "\\" else rf"\\*{re.escape(character)}",
        rf"\\+(?:u00|x){number}",
        rf"%(?:25)*{number}",
        f"&#0*{code};",
        f"&#[xX]0*{number};",
    ]
    if (named := html.escape(character)) != character:
        ways.append(re.escape(named))
    if character == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(ways)})"
