"""What a person changed in a run's examples: ``edits.jsonl`` in the run directory, and the examples as changed.

Contract. The file is appended to and never rewritten, and ``examples.jsonl`` stays what the models said. A line is on
disk when :func:`add_edit` returns; several processes may add at once. Of each id the last line counts, and a restore
takes back those before it. A line that a power cut tore is passed over: the next one is written below it and says so.
An edit knows by a digest which texts it was made of, so that it is never laid over others (a run made anew).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

import orjson

from codeclm import run_directory
from codeclm.dataset.outcomes import example_row, outcome_from_row, row_line, writable
from codeclm.errors import InputError, RunDirectoryError
from codeclm.records import Answer, Instruction, Iteration, Outcome

Action = Literal["edit", "drop", "restore"]

EDITED: Final = "edited by a person"
"""The action of the iteration that an edit adds."""

LONGEST: Final = 1_000_000
"""Characters that an edited text may have: more is a mistake."""

# Of a line that stands below a torn one.
_BELOW_TORN: Final = "below_torn_line"


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing a person did to the example ``id``.

    ``instruction`` and ``answer`` are the new texts of an ``edit``, None where that text stays. ``of`` is the digest
    (:func:`digest_of`) of the example as the models made it, ``at`` the time in UTC in ISO form, ``by`` who it was.
    """

    id: str
    action: Action
    instruction: str | None
    answer: str | None
    of: str
    at: str
    by: str = ""
    note: str = ""


@dataclass(slots=True)
class Applied:
    """How edits were laid over examples: the ids of those edited and of those dropped, out of ``edits`` in all."""

    edits: int = 0
    edited_ids: set[str] = field(default_factory=set)
    dropped_ids: set[str] = field(default_factory=set)

    @property
    def edited(self) -> int:
        """Examples with a person's text."""
        return len(self.edited_ids)

    @property
    def dropped(self) -> int:
        """Examples left out."""
        return len(self.dropped_ids)

    @property
    def unfit(self) -> int:
        """Edits of no example that was there: it is gone, or in other words."""
        return self.edits - self.edited - self.dropped

    def as_values(self) -> dict[str, int]:
        """The counts as plain values."""
        return {"edited": self.edited, "dropped": self.dropped, "unfit": self.unfit}

    def told(self) -> str:
        """The counts in a sentence or two for people; empty without edits."""
        if not self.edits:
            return ""
        text = f"A person edited {self.edited:,} of the examples and dropped {self.dropped:,}."
        if self.unfit:
            text += (
                f" Edits that fit no example here, and were not applied: {self.unfit:,}. "
                "Their examples are not here, or not in the words that were edited."
            )
        return text


def now() -> str:
    """The time for an edit's ``at``."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(instruction: str, answer: str) -> str:
    """A digest of an example's two messages: 32 hex digits."""
    texts = orjson.dumps([writable(instruction), writable(answer)])
    return hashlib.blake2b(texts, digest_size=16).hexdigest()


def digest_of(outcome: Outcome) -> str:
    """The digest of a kept outcome's messages. Raises InputError for another outcome."""
    return digest(*_messages(outcome))


def fits(outcome: Outcome, edit: Edit) -> bool:
    """Whether an edit was made of this outcome, as the models made it, in these words."""
    return outcome.status == "kept" and outcome.id == edit.id and digest_of(outcome) == edit.of


def edited(outcome: Outcome, edit: Edit) -> Outcome | None:
    """A kept outcome, as the models made it, with the edit laid over it; None where it is dropped.

    All iterations stay and one is added, so that the lineage keeps what the models said. Where only the answer is
    another, the comparison stays, and with it the preference pair; of another instruction nothing was compared. Raises
    InputError where the outcome was not kept, or where the edit was made of another text.
    """
    if not fits(outcome, edit):
        _messages(outcome)  # says so of one that was not kept
        raise InputError(f"the edit of {edit.id!r:.60} was made of another text than {outcome.id!r:.60} has now.")
    if edit.action == "restore":
        return outcome
    if edit.action == "drop":
        return None
    final = outcome.final
    instruction, answer = texts_after(*_messages(outcome), edit)
    kept = final.kept if answer == final.kept.text else Answer(answer)
    strong, target, comparison = final.strong, final.target, final.comparison
    if instruction != final.instruction.text:
        strong, target, comparison = None, None, None
    strong, target = (kept, target) if final.chosen == "strong" else (strong, kept)
    last = Iteration(Instruction(instruction, EDITED), strong, target, comparison, final.chosen)
    return replace(outcome, iterations=(*outcome.iterations, last))


def texts_after(instruction: str, answer: str, edit: Edit) -> tuple[str, str]:
    """An example's two texts with an edit laid over them."""
    return (
        instruction if edit.instruction is None else edit.instruction,
        answer if edit.answer is None else edit.answer,
    )


def apply(outcomes: Iterable[Outcome], edits: Mapping[str, Edit], applied: Applied) -> Iterator[Outcome]:
    """Kept outcomes with the edits that fit them, without those dropped; ``applied`` is told of each."""
    applied.edits = len(edits)
    for outcome in outcomes:
        edit = edits.get(outcome.id)
        if edit is None or not fits(outcome, edit):
            yield outcome
        elif changed := edited(outcome, edit):
            applied.edited_ids.add(outcome.id)
            yield changed
        else:
            applied.dropped_ids.add(outcome.id)


def edited_rows(run_dir: Path, edits: Mapping[str, Edit], applied: Applied | None = None) -> Iterator[dict[str, Any]]:
    """The rows of ``examples.jsonl`` with these edits, one at a time. Raises as :func:`edited_lines`."""
    if edits:
        yield from map(orjson.loads, edited_lines(run_dir, edits, applied))
    else:
        yield from run_directory.read_rows(run_dir / run_directory.EXAMPLES)


def edited_lines(run_dir: Path, edits: Mapping[str, Edit], applied: Applied | None = None) -> Iterator[bytes]:
    """The lines of ``examples.jsonl`` with these edits, one at a time; where none is laid over, as they stand.

    Raises RunDirectoryError at a line that is no row, and InputError at an edited one that no run wrote.
    """
    applied = applied or Applied()
    applied.edits = len(edits)
    path = run_dir / run_directory.EXAMPLES
    for number, line in enumerate(run_directory.read_lines(path), start=1):
        if not edits:
            yield line
            continue
        try:
            row = orjson.loads(line)
        except ValueError:
            raise RunDirectoryError(f"{path}:{number}: not a row. Run the config again to have it anew.") from None
        if isinstance(row, dict) and row.get("id") in edits:
            outcome = outcome_from_row(row)
            changed = list(apply([outcome], edits, applied))
            yield from (line if one is outcome else row_line(example_row(one)) for one in changed)
        else:
            yield line


def read_edits(run_dir: Path) -> dict[str, Edit]:
    """The edit that counts of each example that has one. Raises RunDirectoryError at a line that is no edit."""
    last = {edit.id: edit for edit in _recorded(run_dir)}
    return {name: edit for name, edit in last.items() if edit.action != "restore"}


def history_of(run_dir: Path, id: str) -> tuple[Edit, ...]:
    """All that people did to one example, in the order it was done. Raises RunDirectoryError as above."""
    return tuple(edit for edit in _recorded(run_dir) if edit.id == id)


def add_edit(run_dir: Path, edit: Edit) -> None:
    """Add an edit; it is on disk when this returns.

    Raises InputError where it can't be: a text is empty or too long, nothing is changed, there is no such example, or
    it is in other words by now. Raises RunDirectoryError and OutputError where the file can't be read or written.
    """
    _check(edit)
    if edit.action != "restore":
        _check_example(run_dir, edit)
    row = {key: writable(value) for key, value in asdict(edit).items()}
    path = run_dir / run_directory.EDITS
    try:
        begun = not path.exists()
        place = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(place, fcntl.LOCK_EX)  # let go of when it is closed, however this ends
            _append(place, row)
        finally:
            os.close(place)
        if begun:
            _sync_folder(run_dir)
    except OSError as error:
        raise run_directory.unwritable(path, error) from None


def _append(place: int, row: dict[str, Any]) -> None:
    size = os.fstat(place).st_size
    line = row_line(row)
    if size and os.pread(place, 1, size - 1) != b"\n":
        line = b"\n" + row_line({_BELOW_TORN: True, **row})
    try:
        while line:
            line = line[os.write(place, line) :]
        os.fsync(place)
    except OSError:
        with suppress(OSError):
            os.ftruncate(place, size)  # takes back our own half line, of which nobody was told
        raise


def _sync_folder(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _check(edit: Edit) -> None:
    """Raise InputError for an edit that can be no one's."""
    if edit.action not in get_args(Action):
        raise InputError(f"{edit.action!r:.40} is nothing to do to an example; expected {', '.join(get_args(Action))}.")
    if not edit.id:
        raise InputError("an edit needs the id of an example.")
    try:
        utc = datetime.fromisoformat(edit.at).utcoffset()
    except ValueError:
        utc = None
    if utc is None or utc.total_seconds():
        raise InputError(f"the time {edit.at!r:.40} of an edit is not one in UTC, such as 2026-01-31T12:00:00+00:00.")
    texts = {"instruction": edit.instruction, "answer": edit.answer}
    given = {name: text for name, text in texts.items() if text is not None}
    if edit.action != "edit" and given:
        raise InputError(f"{edit.id}: to {edit.action} an example takes no text.")
    for name, text in given.items():
        if not text.strip():
            raise InputError(f"{edit.id}: the edited {name} is empty. To leave the example out, drop it.")
    for name, text in {**given, "name": edit.by, "note": edit.note}.items():
        if len(text) > LONGEST:
            raise InputError(f"{edit.id}: the {name} has {len(text):,} characters, at most {LONGEST:,} are taken.")


def _check_example(run_dir: Path, edit: Edit) -> None:
    """Raise InputError where no kept example is there in the words the edit was made of."""
    rows = run_directory.rows_with_id(run_dir / run_directory.EXAMPLES, edit.id)
    outcome = next(map(outcome_from_row, rows), None)
    if outcome is None:
        raise InputError(
            f"{run_dir / run_directory.EXAMPLES}: no example has the id {edit.id!r:.60}. Only an example can be edited "
            "or dropped; what was not kept is in no dataset."
        )
    if not fits(outcome, edit):
        raise InputError(f"{edit.id}: the example is in other words than those edited. Look at it again, then edit it.")
    if edit.action == "edit" and texts_after(*_messages(outcome), edit) == _messages(outcome):
        raise InputError(f"{edit.id}: both texts are as they were. To take back an earlier edit, restore the example.")


def _messages(outcome: Outcome) -> tuple[str, str]:
    if outcome.status != "kept":
        raise InputError(f"{outcome.id!r:.60} is {outcome.status}, not kept: only an example can be edited or dropped.")
    return outcome.final.instruction.text, outcome.final.kept.text


def _recorded(run_dir: Path) -> Iterator[Edit]:
    """Every edit in the file, in order."""
    path = run_dir / run_directory.EDITS
    torn = 0  # the number of a line that may be torn: whether it is, the one below it says
    ended = True
    for number, line in enumerate(run_directory.read_lines(path), start=1):
        ended = line.endswith(b"\n")
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except ValueError:
            if torn:
                raise _bad(path, torn, "not JSON") from None
            torn = number
            continue
        if torn and not (isinstance(row, dict) and row.get(_BELOW_TORN) is True):
            raise _bad(path, torn, "not JSON")
        torn = 0
        yield _edit(row, path, number)
    if torn and ended:
        raise _bad(path, torn, "not JSON")


def _edit(row: object, path: Path, number: int) -> Edit:
    if not isinstance(row, dict):
        raise _bad(path, number, "no object")
    for one in fields(Edit):
        value = row.get(one.name, "" if one.name in ("by", "note") else None)
        wanted = isinstance(value, str) or (value is None and one.name in ("instruction", "answer"))
        if not wanted or (one.name == "action" and value not in get_args(Action)):
            raise _bad(path, number, f"`{one.name}` is {row.get(one.name)!r:.40}")
    return Edit(**{one.name: row[one.name] for one in fields(Edit) if one.name in row})


def _bad(path: Path, number: int, what: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"{path}:{number}: not an edit ({what}). Mend this line or take it out; the others are as people left them."
    )
