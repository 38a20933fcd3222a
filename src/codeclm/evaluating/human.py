"""People as judges: a blind comparison set written for them, and what they filled in read back.

A set is two files with the same rows, ``NAME.csv`` and ``NAME.jsonl``, and ``NAME.key.json`` that the raters don't get.
A row shows an instruction and two answers, ``answer_a`` and ``answer_b``; a rater fills in ``preference`` (a, b or
tie), ``rater`` and ``notes``. Which answer is a, and where the row stands, goes by a digest of the row's texts: the
same set every time, with nothing in it to tell by.

Cells that a spreadsheet would run as a formula get an apostrophe in front, and lose it when they are read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from codeclm.dataset.cells import csv_table, from_cell
from codeclm.dataset.rows import long_fields
from codeclm.errors import InputError
from codeclm.evaluating.agreement import cohen_kappa, krippendorff_alpha, raw_agreement
from codeclm.evaluating.verdicts import Compared, Result, Rule, summary
from codeclm.run_directory import write

COLUMNS = ("set", "item", "instruction", "answer_a", "answer_b", "preference", "rater", "notes")
_PREFERENCES = ("a", "b", "tie")
_SCORES: Mapping[Result, tuple[float, float]] = {"win": (1.0, 0.0), "tie": (0.5, 0.5), "loss": (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Shown:
    """One item as people are to see it, with the judge's result, which stays in the key."""

    item: str
    instruction: str
    candidate: str
    reference: str
    category: str = ""
    judged: Result = "invalid"


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater thought of one item, from the candidate's side."""

    item: str
    rater: str
    result: Result
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Ratings:
    """All that was filled in, the set's key, how many rows were left empty, and what could not be taken."""

    key: Mapping[str, Any]
    ratings: tuple[Rating, ...]
    empty: int
    refused: tuple[tuple[str, str], ...] = ()


def write_set(path: Path, shown: Sequence[Shown], *, candidate: str, reference: str, rule: Rule) -> tuple[Path, ...]:
    """Write the set beside ``path``, whose suffix does not matter, and give its three files.

    Raises InputError where one of them is there already with other content, since people may have filled it in, and
    where an item comes twice; OutputError where a file can't be written.
    """
    if len({one.item for one in shown}) < len(shown):
        raise InputError("An item comes twice, so ratings could not be told apart.")
    digests = {one.item: _digest(one.item, one.instruction, one.candidate, one.reference) for one in shown}
    name = _digest(*sorted(digests.values()))[:12]
    rows, sides = [], {}
    for one in sorted(shown, key=lambda one: digests[one.item]):
        ahead = _digest("first", digests[one.item])[0] in "01234567"
        answers = (one.candidate, one.reference) if ahead else (one.reference, one.candidate)
        rows.append(dict(zip(COLUMNS, (name, one.item, one.instruction, *answers, "", "", ""), strict=True)))
        sides[one.item] = {"candidate": "a" if ahead else "b", "category": one.category, "judged": one.judged}
    key = {"set": name, "candidate": candidate, "reference": reference, "rule": rule, "items": sides}
    contents = {".csv": as_csv(rows), ".jsonl": b"".join(_line(row) for row in rows), ".key.json": _line(key)}
    files = {path.with_suffix(suffix): content for suffix, content in contents.items()}
    for file, content in files.items():
        if file.exists() and file.read_bytes() != content:
            raise InputError(f"{file}: is there already, and may hold what people filled in. Name another file.")
    for file, content in files.items():
        write(file, content)
    return tuple(files)


def _digest(*texts: str) -> str:
    found = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8) + data)
    return found.hexdigest()


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def as_csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    """The rows as CSV (RFC 4180) with a byte order mark, by which spreadsheets know UTF-8. No cell is a formula."""
    return csv_table(COLUMNS, rows)


def read_set(path: Path) -> list[dict[str, str]]:
    """The rows of a set in CSV, with whatever separator a spreadsheet saved it, or JSON Lines. Raises InputError."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogatepass")
    except OSError as error:
        raise InputError(
            f"{path}: can't read the ratings ({error.strerror}). Name a file that was filled in."
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text. Save it as UTF-8.") from None
    try:
        with long_fields():
            rows = list(_json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text))
    except (ValueError, RecursionError, csv.Error) as error:
        raise InputError(f"{path}: not a comparison set: {error}.") from None
    if not rows:
        raise InputError(f"{path}: not a comparison set: no rows.")
    return rows


def _json_rows(text: str) -> Iterator[dict[str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict) or "set" not in row or "item" not in row:
                raise ValueError(f"line {number} has no set and item")
            yield {column: str(row.get(column) or "") for column in COLUMNS}


def _csv_rows(text: str) -> Iterator[dict[str, str]]:
    first = text.split("\n", 1)[0]
    separator = next((one for one in ",;\t" if one in first), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    if not {"set", "item", "preference"} <= set(reader.fieldnames or ()):
        raise ValueError("the first line does not name set, item and preference")
    for row in reader:
        yield {column: from_cell(row.get(column) or "") for column in COLUMNS}


def read_ratings(files: Sequence[Path]) -> Ratings:
    """What raters filled in, in one file or several; a row without a rater's name has the file's.

    The key is found beside the first file, by the set's name in the rows. Raises InputError where there is none or a
    file is of another set. A preference other than a, b and tie, an unknown item, and an item that one rater rated
    twice in different ways are refused and listed: none of them counts.
    """
    rows = [(path, number, row) for path in files for number, row in enumerate(read_set(path), start=1)]
    key = _key_of({row["set"] for _, _, row in rows}, files[0])
    found: dict[tuple[str, str], set[Result]] = defaultdict(set)
    notes: dict[tuple[str, str], str] = {}
    empty, refused = 0, []
    for path, number, row in rows:
        where, rater = f"{path.name}: row {number}", row["rater"].strip() or path.stem
        preference = row["preference"].strip().casefold()
        side = key["items"].get(row["item"])
        if side is None:
            refused.append((where, f"item {row['item']} is not in the set"))
        elif not preference:
            empty += 1
        elif preference not in _PREFERENCES:
            refused.append((where, f"preference is {preference[:20]!r}, expected a, b or tie"))
        else:
            ours: Result = "tie" if preference == "tie" else "win" if preference == side["candidate"] else "loss"
            found[row["item"], rater].add(ours)
            notes[row["item"], rater] = row["notes"]
    refused += [
        (f"item {item}", f"{rater} rated it in different ways")
        for (item, rater), ways in found.items()
        if len(ways) > 1
    ]
    ratings = [
        Rating(item, rater, next(iter(ways)), notes[item, rater])
        for (item, rater), ways in found.items()
        if len(ways) == 1
    ]
    return Ratings(key, tuple(ratings), empty, tuple(refused))


def _key_of(sets: set[str], beside: Path) -> Mapping[str, Any]:
    if len(sets) > 1:
        raise InputError(f"The rows are of different sets: {', '.join(sorted(sets))}.")
    for path in sorted(beside.resolve().parent.glob("*.key.json")):
        if not path.is_file():  # to open a pipe is to wait for its other end
            continue
        try:
            key = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(key, dict) and isinstance(key.get("set"), str) and key["set"] in sets:
            if not _is_key(key):
                raise InputError(f"{path}: not a key as it was written. Put back the one that came with the set.")
            return key
    raise InputError(f"{beside}: the key of set {', '.join(sets)} is not in its folder. Put NAME.key.json there.")


def _is_key(key: Mapping[str, Any]) -> bool:
    items = key.get("items")
    return (
        all(isinstance(key.get(name), str) for name in ("candidate", "reference"))
        and key.get("rule") in get_args(Rule)
        and isinstance(items, dict)
        and all(isinstance(one, dict) and one.get("candidate") in ("a", "b") for one in items.values())
        and all(isinstance(one.get(name, ""), str) for one in items.values() for name in ("category", "judged"))
    )


def as_values(ratings: Ratings) -> dict[str, Any]:
    """People's totals and agreement as values for JSON.

    An item's result is what most of its raters say, a tie where no result has more than any other; the totals are as
    in verdicts.py. ``agreement`` is among the raters: ``raw`` is the mean share of items that two of them rated alike,
    ``alpha`` Krippendorff's. ``judge`` is between people's results and the judge's on the items that have both.
    """
    key, results = ratings.key, majority(ratings.ratings)
    compared = [
        Compared(item, key["items"][item].get("category", ""), candidate_first=_SCORES[one], orders=1)
        for item, one in results.items()
    ]
    totals = summary(compared, key["rule"], candidate=key["candidate"], reference=key["reference"])
    for name in ("rule", "other_rule", "position", "without_lean", "length_controlled_win_rate", "orders", "one_order",
                 "invalid"):  # fmt: skip
        del totals[name]  # they are about a judge's two orders
    by_rater: dict[str, dict[str, str]] = defaultdict(dict)
    for one in ratings.ratings:
        by_rater[one.rater][one.item] = one.result
    pairs = [_alike(*two) for two in combinations(by_rater.values(), 2)]
    shares = [share for share in pairs if share is not None]
    units: dict[str, list[str]] = defaultdict(list)
    for one in ratings.ratings:
        units[one.item].append(one.result)
    return {
        **totals,
        "set": key["set"],
        "raters": len(by_rater),
        "ratings": len(ratings.ratings),
        "empty": ratings.empty,
        "refused": [{"where": where, "reason": reason} for where, reason in ratings.refused],
        "agreement": {
            "raw": _rounded(fmean(shares) if shares else None),
            "alpha": _rounded(krippendorff_alpha(list(units.values()))),
        },
        "judge": _with_judge(results, key),
    }


def majority(ratings: Sequence[Rating]) -> dict[str, Result]:
    """Each rated item's result, in the order of the ratings."""
    votes: dict[str, Counter[Result]] = defaultdict(Counter)
    for one in ratings:
        votes[one.item][one.result] += 1
    results: dict[str, Result] = {}
    for item, counts in votes.items():
        (most, times), *others = counts.most_common()
        results[item] = most if all(count < times for _, count in others) else "tie"
    return results


def _alike(one: Mapping[str, str], other: Mapping[str, str]) -> float | None:
    both = [item for item in one if item in other]
    return raw_agreement([one[item] for item in both], [other[item] for item in both])


def _with_judge(results: Mapping[str, Result], key: Mapping[str, Any]) -> dict[str, Any]:
    both = [item for item in results if key["items"][item].get("judged") in _SCORES]
    people = [results[item] for item in both]
    judge = [key["items"][item]["judged"] for item in both]
    return {
        "rule": key["rule"],
        "items": len(both),
        "raw": _rounded(raw_agreement(people, judge)),
        "kappa": _rounded(cohen_kappa(people, judge)),
        "alpha": _rounded(krippendorff_alpha([list(pair) for pair in zip(people, judge, strict=True)])),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
