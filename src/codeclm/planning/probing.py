"""A probe: the first rows of a run taken through their whole journeys before the run, on whatever models are given.

The rows are those whose names come first in the pool's order (pool.py), so their encoding, their first slots and every
random draw in them are the run's own. Where the models and the journal are the run's, it finds these calls made.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from codeclm import run_directory
from codeclm.clients.ask import together
from codeclm.clients.calls import StopSwitch
from codeclm.clients.limited import turn
from codeclm.clients.noting import Notes, Noting
from codeclm.clients.protocol import Models
from codeclm.config import RunConfig
from codeclm.connected import connected
from codeclm.dataset.encode_examples import encode_examples
from codeclm.errors import CallFailed
from codeclm.generate import Inputs, budget_of
from codeclm.journal_check import open_journal
from codeclm.parts import parts_of
from codeclm.pipeline import Method, run_slot
from codeclm.planning.evidence import Evidence, Walk, calls_of, name_of, walk
from codeclm.pool import Known, drawn_place, seeds_as_pool
from codeclm.progress import Progress
from codeclm.records import Entry, Metadata, Seed, Slot
from codeclm.stages.encode import encode

Row = TypeVar("Row", Seed, Entry)


@asynccontextmanager
async def opened(
    config: RunConfig, inputs: Inputs, *, stop: StopSwitch | None = None, progress: Progress | None = None
) -> AsyncIterator[Models]:
    """The models of a run with its journal and its budget, while nobody else holds its directory.

    Calls and budget are those of ``progress``, if it is given.
    Raises what a run would: RunDirectoryError, ConfigError, CallFailed, and BudgetReached from calls.
    """
    stop, progress = stop or StopSwitch(), progress or Progress(config.size)
    with run_directory.held(config, inputs.sha256), open_journal(config, inputs.sha256) as journal:
        progress.budget = budget = budget_of(config, journal)
        async with connected(config, journal=journal, stop=stop, calls=progress.calls, budget=budget) as models:
            yield models


def first_rows(config: RunConfig, inputs: Inputs, count: int) -> tuple[Seed | Entry, ...]:
    """The rows a run's entries are made of that are first in the pool's order, at most ``count``; in file order.

    These are the seeds, the entries given by hand, or the general seeds as entries.
    """
    if inputs.general:
        return in_pool_order(seeds_as_pool(inputs.general).entries, count, config.seed)
    known = Known()
    for metadata in inputs.metadata:
        known.add(metadata)
    return in_pool_order(inputs.seeds, count, config.seed) or in_pool_order(known.entries(), count, config.seed)


def in_pool_order(rows: Sequence[Row], count: int, seed: int) -> tuple[Row, ...]:
    """The ``count`` rows that come first in the pool's order, in the order given."""
    first = {row.name for row in sorted(rows, key=lambda row: drawn_place(row.name, seed))[:count]}
    return tuple(row for row in rows if row.name in first)


async def go_through(
    rows: Sequence[Seed | Entry], models: Models, config: RunConfig, general: tuple[Seed, ...] = (), *, slots: int = 0
) -> Evidence:
    """The first slot of each row, from its decoding to the end of its journeys; its further ones if ``slots`` are more.

    ``general`` are the general seeds, for a source that starts from them. A seed that cannot be encoded is left out; a
    row that cannot be decoded has a walk without instructions. Raises CallFailed where nothing can be gained by going
    on, and PartFailed.
    """
    notes: Notes = {}
    noting = _noting(models, notes)
    method = Method(parts_of(config.method), config.method, config.seed, general)
    entries = await _entries(rows, noting, config)
    turns = math.ceil(slots / len(entries)) if slots and entries else 1
    going = [Slot(number, entry, 0) for number, entry in enumerate(entries)]
    going += [Slot(len(going) * chunk + slot.index, slot.entry, chunk) for chunk in range(1, turns) for slot in going]

    async def work(slot: Slot) -> Walk:
        turn.set(slot.index)
        result = await run_slot(slot, models=noting, method=method)
        return walk(result.outcomes)

    walks = await together(*(asyncio.create_task(work(slot)) for slot in going))
    made = defaultdict(list)
    for call in notes.values():
        made[name_of(call.stage, call.role)].append((call.usage, call.latency))
    calls = {name: calls_of(found) for name, found in made.items()}
    return Evidence({_name(slot): walked for slot, walked in zip(going, walks, strict=True)}, calls)


def _name(slot: Slot) -> str:
    """The entry's name for its first slot."""
    return slot.entry.name + (f"/{slot.chunk}" if slot.chunk else "")


def _noting(models: Models, notes: Notes) -> Models:
    """The models, with a note taken of each call."""
    strong = Noting(models.strong, notes, "strong")
    return Models(
        strong,
        Noting(models.target, notes, "target"),
        strong if models.judge is models.strong else Noting(models.judge, notes, "judge"),
        ensemble={name: Noting(model, notes, f"ensemble.{name}") for name, model in models.ensemble.items()},
        jury={name: Noting(model, notes, f"jury.{name}") for name, model in models.jury.items()},
    )


async def _entries(rows: Sequence[Seed | Entry], models: Models, config: RunConfig) -> list[Entry]:
    """The rows as entries; seeds of equal metadata share one, as in the pool."""
    examples = encode_examples(config)

    async def metadata(row: Seed | Entry) -> Metadata | None:
        if isinstance(row, Entry):
            return row.metadata
        try:
            return await encode(row, strong=models.strong, settings=config.method, examples=examples)
        except CallFailed as error:
            if error.fatal:
                raise
            return None

    known = Known()
    for row, found in zip(rows, await together(*map(metadata, rows)), strict=True):
        if found and isinstance(row, Seed):
            known.add(found, row)
    return [row for row in rows if isinstance(row, Entry)] or list(known.entries())
