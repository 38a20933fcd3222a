"""Blind comparison sets below the runs folder, and what people rate in them.

Contract. A set is what codeclm.evaluating.human writes: ``NAME.jsonl`` (or ``NAME.csv``) with ``NAME.key.json``. It is
found by listing and known by a key made of its place, so that no address tells a name. What a person rates is in
``NAME.RATER.jsonl`` beside it, one row for each item with the last rating alone, which is what
``codeclm evaluate --human`` reads. That file is replaced at once, never half written, and no other file ever is. No
message here names a file: raters read them, and people name files after models.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from codeclm.errors import InputError, OutputError
from codeclm.evaluating.human import COLUMNS, read_set
from codeclm.run_directory import write

Preference = Literal["a", "b", "tie"]

DEPTH: Final = 6
"""How many folders below the runs folder a set is looked for: those made of a run lie in a folder of it."""

LONGEST_NOTE: Final = 5_000
"""Characters that a note may have."""

_KEY: Final = ".key.json"
_MOST: Final = 1_000  # sets that are found
_LARGEST: Final = 200 * 2**20  # bytes of a set
_RATER: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class SetPlace:
    """Where a set is: its folder and the name its files have in common. ``key`` names it in addresses."""

    key: str
    folder: Path
    name: str

    @property
    def rows(self) -> Path:
        """The file with the set's rows."""
        path = self.folder / f"{self.name}.jsonl"
        return path if path.exists() else self.folder / f"{self.name}.csv"


@dataclass(frozen=True, slots=True)
class BlindItem:
    """One item as a rater is to see it."""

    item: str
    instruction: str
    answer_a: str
    answer_b: str


@dataclass(frozen=True, slots=True)
class BlindSet:
    """A set as raters get it: its name, which is a digest of its texts, and its items in their order."""

    place: SetPlace
    name: str
    items: tuple[BlindItem, ...]


@dataclass(frozen=True, slots=True)
class Rated:
    """What a rater said of an item; an empty preference is none yet."""

    preference: Preference | Literal[""]
    note: str = ""


def find_sets(root: Path) -> list[SetPlace]:
    """All sets below a folder, by their place. Links are not followed."""
    return sorted(_sets_in(root.resolve(), DEPTH), key=lambda place: (str(place.folder), place.name))[:_MOST]


def set_of_key(root: Path, key: str) -> SetPlace | None:
    """The set of this key; None where there is none."""
    return next((place for place in find_sets(root) if place.key == key), None)


def key_of(folder: Path, name: str) -> str:
    """What a set is called in addresses: a digest of its place, which tells nothing of it."""
    return hashlib.blake2b(os.fsencode(folder / name), digest_size=8).hexdigest()


def _sets_in(folder: Path, depth: int) -> Iterator[SetPlace]:
    try:
        with os.scandir(folder) as entries:
            there = {entry.name: entry for entry in entries if _is_plain(entry)}
    except OSError:
        return
    for name in there:
        base = name.removesuffix(_KEY)
        if name.endswith(_KEY) and base and not {f"{base}.jsonl", f"{base}.csv"}.isdisjoint(there):
            yield SetPlace(key_of(folder, base), folder, base)
    if depth:
        for name, entry in there.items():
            if entry.is_dir(follow_symlinks=False) and not name.startswith("."):
                yield from _sets_in(folder / name, depth - 1)


def _is_plain(entry: os.DirEntry[str]) -> bool:
    """A file or a folder, and no link: to open anything else is to wait for it."""
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def read_blind(place: SetPlace) -> BlindSet:
    """The set as raters get it. Raises InputError."""
    path = place.rows
    if path.is_symlink() or (path.exists() and (not path.is_file() or path.stat().st_size > _LARGEST)):
        raise InputError(f"This set can't be read: its file is no plain file, or larger than {_LARGEST >> 20} MB.")
    try:
        rows = read_set(path)
    except InputError as error:
        raise InputError(f"This set can't be read: {str(error).removeprefix(f'{path}: ')}") from None
    names = {row["set"] for row in rows}
    if len(names) > 1 or len({row["item"] for row in rows}) < len(rows):
        raise InputError("This set can't be rated: its rows are of several sets, or an item comes twice.")
    items = (BlindItem(row["item"], row["instruction"], row["answer_a"], row["answer_b"]) for row in rows)
    return BlindSet(place, names.pop(), tuple(items))


def check_rater(place: SetPlace, rater: str) -> None:
    """Raise InputError for a name that can't be a rater's of this set."""
    if not _RATER.fullmatch(rater):
        raise InputError("Your name becomes part of a file's name: use letters, digits, _ and -, at most 40 of them.")
    if (place.folder / f"{place.name}.{rater}{_KEY}").exists():
        raise InputError("Another set has a file of that name: choose another name for yourself.")


def ratings_file(place: SetPlace, rater: str) -> Path:
    """Where a rater's ratings are. Raises InputError for a name that can't be one."""
    check_rater(place, rater)
    return place.folder / f"{place.name}.{rater}.jsonl"


def raters_of(place: SetPlace) -> dict[str, Path]:
    """Who has rated items of the set here, by name, with the file of each."""
    found = {}
    for path in sorted(place.folder.glob("*.jsonl")):
        rater = path.name.removeprefix(f"{place.name}.").removesuffix(".jsonl")
        named = path.name == f"{place.name}.{rater}.jsonl" and _RATER.fullmatch(rater)
        taken = path.with_name(f"{place.name}.{rater}{_KEY}").exists()  # the name of another set
        if named and not taken and path.is_file() and not path.is_symlink():
            found[rater] = path
    return found


def read_rated(blind: BlindSet, rater: str) -> dict[str, Rated]:
    """What a rater said so far, by item; of several rows of one item the last counts.

    Raises InputError where the file that should hold it holds something else.
    """
    path = ratings_file(blind.place, rater)
    if not path.is_symlink() and (not path.exists() or (path.is_file() and not path.stat().st_size)):
        return {}
    try:
        rows = [] if path.is_symlink() or not path.is_file() else read_set(path)
    except InputError:
        rows = []
    if not rows or any(row["set"] != blind.name for row in rows):
        raise InputError(
            "The file of ratings under this name holds something else than ratings of this set. Choose another name."
        )
    return {row["item"]: Rated(_preference(row["preference"]), row["notes"]) for row in rows}


def rate(blind: BlindSet, rater: str, item: str, rated: Rated) -> None:
    """Set down what a rater says of an item, in the place of what was said before; it is whole on disk or not at all.

    Raises InputError for what can't be taken, OutputError where it can't be written.
    """
    if item not in {one.item for one in blind.items}:
        raise InputError("There is no such item in this set.")
    if len(rated.note) > LONGEST_NOTE:
        raise InputError(f"The note has {len(rated.note):,} characters; at most {LONGEST_NOTE:,} are taken.")
    path = ratings_file(blind.place, rater)
    with _alone_in(blind.place.folder):
        before = read_rated(blind, rater)
        after = before | {item: rated}
        lines = (_line(blind.name, name, rater, one) for name, one in after.items())
        try:
            write(path, b"".join(lines))
        except OutputError as error:
            raise OutputError(f"Not saved. {str(error).removeprefix(f'{path}: ')}") from None


def _line(name: str, item: str, rater: str, rated: Rated) -> bytes:
    values: Mapping[str, str] = {
        "set": name, "item": item, "preference": rated.preference, "rater": rater, "notes": rated.note,
    }  # fmt: skip
    return json.dumps({column: values[column] for column in COLUMNS if column in values}).encode() + b"\n"


def _preference(text: str) -> Preference | Literal[""]:
    text = text.strip().casefold()
    return next((one for one in get_args(Preference) if one == text), "")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Nobody else writes ratings in the folder meanwhile: two windows of one rater, or another studio."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"Not saved: the set's folder can't be opened ({error.strerror}).") from None
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)  # lets go of it
