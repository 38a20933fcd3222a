"""The calls that led to one outcome, word for word, from the journal and without making any.

The journal files a reply under a digest of its request and does not hold the request. So the instruction's journey is
gone through again (codeclm.pipeline) with clients that only look up what is recorded, and each request they are given
is taken down with its reply. The journal is opened to be read only, and a run may be writing it meanwhile.

Contract. No call is made, nothing is written, and no part of a user's own is executed. What can't be found is told in
``missing``, and nothing is shown in its place. Choices that a run draws by the texts of its seeds are read off the
recorded outcome as far as it goes, so that little is lost where the seeds are gone.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from codeclm import part_loading, run_directory
from codeclm.clients.protocol import Models
from codeclm.config import RunConfig
from codeclm.config_files import load
from codeclm.dataset.encode_examples import encode_examples
from codeclm.dataset.outcomes import last_text, outcome_from_row, writable
from codeclm.dataset.seeds import read_seeds
from codeclm.errors import CallFailed, CodecLMError, ConfigError, InputError
from codeclm.journal_file import reading
from codeclm.methods import FURTHER_PARTS, METHODS
from codeclm.part_names import shown
from codeclm.parts import KINDS, Context, Kind, Parts, part_name
from codeclm.pipeline import Method, run_slot
from codeclm.prompts.own_templates import templates_in
from codeclm.recorded_models import RawCall as RawCall
from codeclm.recorded_models import Recording, models_of
from codeclm.records import EncodeExample, Instruction, Iteration, Outcome, Seed, Slot
from codeclm.stages.encode import encode
from codeclm.stages.mix_and_match import reasonable
from codeclm.stages.strong_answer import GOES_ON

_FILES: Final = (run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES)

_LARGEST_SEEDS: Final = 500 * 2**20  # bytes: the directory may be anybody's, and its config name any file

# Causes of failures whose replies are in the journal; calls that failed otherwise got no reply.
_REPLIED: Final = frozenset({"unparseable", "truncated", "empty", "refused", "content_filter"})


@dataclass(frozen=True, slots=True)
class RawCalls:
    """The calls that led to an outcome, in the order asked; ``missing`` says what could not be found and why."""

    calls: tuple[RawCall, ...] = ()
    missing: str = ""


async def raw_calls(run_dir: Path, outcome_id: str) -> RawCalls:
    """The recorded calls behind an outcome: of its instruction, its slot's decode, its rubrics, and its entry.

    The entry's are the encoding of its seed, where it is of one alone, or the word on the pair, where it is mixed.
    Failed seeds and pairs have their calls too. Raises InputError for an id that is in none of the run's files.
    """
    outcome = await asyncio.to_thread(_outcome, run_dir, outcome_id)
    return await raw_calls_of(run_dir, outcome)


async def raw_calls_of(run_dir: Path, outcome: Outcome) -> RawCalls:
    """The same for an outcome that was read already, as it stands in the run's files."""
    path = run_directory.journal_of(run_dir)
    try:
        config = await asyncio.to_thread(load, run_dir / run_directory.CONFIG)
        templates = templates_in(config.prompts)
        with reading(path) as db:
            recording = Recording(db, path, run_dir)
            again = _Again(run_dir, config, outcome, recording, models_of(config, templates, recording))
            try:
                await again.through()
            except CodecLMError as error:
                again.missing.append(str(error))
            return RawCalls(tuple(recording.calls.values()), " ".join(again.missing))
    except FileNotFoundError:
        return RawCalls((), f"There is no journal at {path}: was it left behind when the run directory moved?")
    except (sqlite3.Error, OSError) as error:
        return RawCalls((), f"The journal can't be read ({path}: {error}).")
    except CodecLMError as error:
        return RawCalls((), f"Requests can't be made up again: {error}")


def _outcome(run_dir: Path, wanted: str) -> Outcome:
    for name in _FILES:
        for row in run_directory.rows_with_id(run_dir / name, wanted):
            return outcome_from_row(row)
    raise InputError(f"{run_dir}: no instruction has the id {wanted!r:.60}. Ids are in {', '.join(_FILES)}.")


class _NotExecuted(CallFailed):
    """A part of the user's own was due."""

    cause = "not_executed"


@dataclass(slots=True)
class _Again:
    """An outcome's way, gone again; ``missing`` are the sentences on what could not be found."""

    run_dir: Path
    config: RunConfig
    outcome: Outcome
    recording: Recording
    models: Models
    missing: list[str] = field(default_factory=list)

    async def through(self) -> None:
        """All of it: the entry's calls, then the slot's and the instruction's."""
        kind, _, _ = self.outcome.id.partition("-")
        entry = self.outcome.entry
        if kind == "seed":
            seed = Seed(self.outcome.id, self.outcome.basic)
            await self._encoding(seed)
            self._tell_failed()
            return
        if kind == "mix":
            await self._one(reasonable(entry.metadata, strong=self.models.strong))
            self._tell_failed()
            return
        parts, own = _parts(self.config)
        general = parts.starts_from == "general seeds" or not entry.metadata.use_case  # as a source of one's own may
        if general:
            seeds = await self._seeds(self.config.general_seeds, None)
        else:
            seeds = await self._seeds(self.config.seeds, self.config.seeds_field)
        if not general:
            await self._entry(seeds)
        await self._slot(parts, seeds, general=general, own=own)

    async def _entry(self, seeds: Mapping[str, Seed]) -> None:
        """The calls by which the slot's entry came into the pool."""
        entry, strong = self.outcome.entry, self.models.strong
        if len(entry.seed_ids) == 1 and (seed := seeds.get(entry.seed_ids[0])):
            await self._encoding(seed)
        elif not entry.seed_ids:
            lost = self.recording.lost
            await self._one(reasonable(entry.metadata, strong=strong))
            if self.config.metadata:
                self.recording.lost = lost  # written by hand, perhaps: nobody was asked
        if self.recording.lost:
            self.missing.append("The calls by which its metadata came into the pool are not recorded.")
            self.recording.lost = 0

    async def _encoding(self, seed: Seed) -> None:
        """The calls that encoded a seed."""
        try:
            examples = await asyncio.to_thread(_examples_in, self.config)
        except (InputError, ConfigError) as error:
            self.missing.append(f"The examples of encode can't be read, and calls that show them not be found: {error}")
            return
        await self._one(encode(seed, strong=self.models.strong, settings=self.config.method, examples=examples))

    async def _slot(self, parts: Parts, seeds: Mapping[str, Seed], *, general: bool, own: Sequence[str]) -> None:
        """The calls of the slot's source and of the one instruction."""
        entry, settings = self.outcome.entry, self.config.method
        first = seeds.get(entry.seed_ids[0]) if entry.seed_ids else None
        if general and first is None:
            return
        count = len(seeds) if general else self._entries()
        index, _, number = self.outcome.id.partition(".")
        if not count or not index.isdecimal():
            self.missing.append(f"{run_directory.METADATA} does not tell how many entries there were, nor which turn.")
            return
        parts = _recalled(parts, self.outcome)
        slot = Slot(int(index), replace(entry, first_seed=first.name if first else ""), int(index) // count)
        method = Method(parts, settings, self.config.seed, tuple(seeds.values()) if general else ())
        before = dict(self.recording.calls)
        only = int(number) if number.isdecimal() else 0
        result = await run_slot(slot, models=self.models, method=method, only=only)
        found = result.outcomes[0] if result.outcomes else None
        if found is None or (found.basic and not self._is_it(found)):
            self.recording.calls = before
            self.missing.append(
                "What the journal holds leads to another instruction: the config, the inputs or the journal are not "
                "those this one was made with."
            )
        elif own:
            self.missing.append(
                f"Parts of the user's own ({', '.join(own)}) are not executed here, so that what they asked, and what "
                "came after, is not shown."
            )
        elif self.recording.lost and not found.failure:
            self.missing.append("Calls to a model that gave no reply are not shown: only replies are recorded.")
        else:
            self._tell_failed()

    def _is_it(self, found: Outcome) -> bool:
        """Whether it is the same instruction, as far as it was found."""
        recorded = [iteration.instruction.text for iteration in self.outcome.iterations]
        same = [writable(iteration.instruction.text) for iteration in found.iterations]
        far = min(len(recorded), len(same))
        basic = self.outcome.basic or last_text(self.outcome)
        return writable(found.basic) == basic and recorded[:far] == same[:far]

    def _entries(self) -> int:
        rows = run_directory.read_rows(self.run_dir / run_directory.METADATA)
        return sum(1 for row in rows if isinstance(row, dict) and row.get("id"))

    async def _seeds(self, path: Path | None, name: str | None) -> dict[str, Seed]:
        """The seeds that are there, by id; ``name`` is the field that holds them."""
        if path is None:
            return {}
        try:
            seeds = await asyncio.to_thread(_seeds_in, path, name)
        except InputError as error:
            self.missing.append(f"The seeds can't be read, and calls that hold their texts not be found: {error}")
            return {}
        found = {seed.id: seed for seed in seeds}
        if any(seed not in found for seed in self.outcome.entry.seed_ids):
            self.missing.append(f"{path} has no longer the seed {', '.join(self.outcome.entry.seed_ids):.60}.")
        return found

    async def _one(self, asking: Awaitable[object]) -> None:
        """Ask one question, whatever comes of it."""
        try:
            await asking
        except CallFailed:
            return

    def _tell_failed(self) -> None:
        """Say why calls were not found."""
        if not self.recording.lost:
            return
        failure = self.outcome.failure
        if failure and failure.cause not in _REPLIED:
            self.missing.append(f"The call that failed ({failure.cause}) got no reply, and only replies are recorded.")
        else:
            self.missing.append(
                f"{self.recording.path} lacks calls of this instruction. Is it this run's journal, whole, and are its "
                "config and inputs unchanged?"
            )


def _examples_in(config: RunConfig) -> tuple[EncodeExample, ...]:
    if config.encode_examples:
        _check_readable(config.encode_examples)
    return encode_examples(config)


def _check_readable(path: Path) -> None:
    if path.exists() and (not path.is_file() or path.stat().st_size > _LARGEST_SEEDS):
        raise InputError(f"{path} is no plain file, or larger than {_LARGEST_SEEDS >> 20} MB.")


def _seeds_in(path: Path, field: str | None) -> tuple[Seed, ...]:
    _check_readable(path)
    return read_seeds(path, field=field).seeds


def _parts(config: RunConfig) -> tuple[Parts, tuple[str, ...]]:
    """The method's parts, and the names of those that are not executed since they are the user's own."""
    ours = {name for row in METHODS.values() for name in (row.source, row.tailor, row.filter)}
    ours |= {part.part for part in FURTHER_PARTS.values()}
    found: dict[Kind, Any] = {}
    own: list[str] = []
    for kind in KINDS:
        name = part_name(config.method, kind)
        if name is None or name in ours:
            found[kind] = part_loading.load(kind, name) if name else None
        else:
            found[kind] = _not_executed
            own.append(f"method.{kind} {shown(name)}")
    return Parts(found["source"], found["tailor"], found["filter"]), tuple(own)


async def _not_executed(given: object, context: Context) -> Any:
    raise _NotExecuted("a part of the user's own is not executed here")


def _recalled(parts: Parts, outcome: Outcome) -> Parts:
    """The parts with the choices on record in the place of draws, which hang on the text of a seed."""
    iterations = outcome.iterations

    async def tailor(instruction: Instruction, context: Context) -> Instruction:
        if context.iteration < len(iterations):
            context = replace(context, rng=_Recalled(action=iterations[context.iteration].instruction.action))
        return await parts.tailor(instruction, context)  # type: ignore[misc]

    async def decide(instruction: Instruction, context: Context) -> Iteration:
        if context.iteration <= len(iterations):
            here = iterations[context.iteration - 1]
            context = replace(context, rng=_Recalled(drawn=here.reason != GOES_ON))
        return await parts.filter(instruction, context)

    return Parts(parts.source, tailor if parts.tailor else None, decide)


class _Recalled(random.Random):
    """Draws what was drawn: the element whose action is on record, and whether this was the round drawn."""

    def __new__(cls, *, action: str = "", drawn: bool = False) -> _Recalled:
        return super().__new__(cls)

    def __init__(self, *, action: str = "", drawn: bool = False) -> None:
        super().__init__(0)
        self._action = action
        self._drawn = drawn

    def choice(self, seq: Any) -> Any:
        """The one on record; the first where none is that, whose call is then not found."""
        for one in seq:
            action = writable(getattr(one, "action", one))
            if action == self._action or self._action.endswith(f": {action}"):
                return one
        return seq[0]

    def random(self) -> float:
        """Below every chance where this was the round drawn, else above."""
        return 0.0 if self._drawn else 1.0
