"""What a person looks for, as a query of the index's full text.

Contract. Whatever is typed is data: it is taken apart by the very tokenizer the index was built with, and a query is
made of the terms that gives, so that none can be bad syntax. All words must be there, in any order; what stands in
quotation marks must be there as it stands. A word of three letters and more is found within longer words too, whatever
its case and accents. Scripts written without spaces are taken character by character.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Final

TOKENIZER: Final = "unicode61 remove_diacritics 2"
"""As FTS5 names it. Three letters at a time (`trigram`) take 6 times as long and 5 times the room."""

LONGEST: Final = 400
"""Characters of a query that are looked at."""

_MOST_TERMS: Final = 200
_SHORTEST_PART: Final = 3
# Kana, Han and their extensions; Hangul has spaces.
_UNSPACED: Final = re.compile("([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_PHRASE_OR_WORD: Final = re.compile(r'["“”„«»]([^"“”„«»]*)["“”„«»]|([^\s"“”„«»]+)')


def spaced(text: str) -> str:
    """The text with each character of a script without spaces as a word of its own."""
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def match_of(db: sqlite3.Connection, text: str) -> str:
    """The query for what was typed; empty where that has no word in it.

    ``db`` is the index: its tables ``terms`` and ``edited_terms`` tell which terms hold a word, and in how many
    outcomes. Of more than 200 those in most outcomes are looked for.
    """
    parts: list[str] = []
    with closing(_tokenizing()) as tokenizer:
        for phrase, word in _PHRASE_OR_WORD.findall(text[:LONGEST]):
            terms = _terms(tokenizer, phrase or word)
            if len(terms) == 1 and word and len(terms[0]) >= _SHORTEST_PART:
                parts.append(f"({' OR '.join(map(_quoted, _holding(db, terms[0])))})")
            elif terms:
                parts.append(_quoted(" ".join(terms)))
    return " AND ".join(parts)


def _holding(db: sqlite3.Connection, part: str) -> list[str]:
    found = db.execute(
        "SELECT term, outcomes FROM terms WHERE instr(term, ?1) "
        "UNION ALL SELECT term, doc FROM edited_terms WHERE instr(term, ?1) ORDER BY outcomes DESC, term LIMIT ?2",
        (part, _MOST_TERMS),
    )
    return list(dict.fromkeys([part, *(term for term, _ in found)]))


def _quoted(terms: str) -> str:
    return f'"{terms}"'  # no term has a quotation mark in it: it is no letter and no digit


def _tokenizing() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE VIRTUAL TABLE typed USING fts5(text, tokenize = '{TOKENIZER}')")
    db.execute("CREATE VIRTUAL TABLE seen USING fts5vocab(typed, instance)")
    return db


def _terms(db: sqlite3.Connection, text: str) -> list[str]:
    """The terms of a text, in order."""
    db.execute("DELETE FROM typed")
    text = spaced(text).encode("utf-8", "replace").decode()
    db.execute("INSERT INTO typed (text) VALUES (?)", (text,))
    return [term for (term,) in db.execute("SELECT term FROM seen ORDER BY offset")]
