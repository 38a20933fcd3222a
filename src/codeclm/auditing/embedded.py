"""Asks the embedding model of a run's config about the run's seeds and a sample of its examples, one text a call.

The calls are recorded in the run's journal and count against its budget, as those of a measuring do (measuring.py), and
are not made twice. The sample is the audit's own (diversity.py), and seeds are drawn by digest likewise. A text that
the model refuses is left out and named; what makes going on useless is raised.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from importlib.util import find_spec
from typing import Final

from codeclm.asking import asking
from codeclm.auditing.checks import INSTALL
from codeclm.auditing.diversity import SAMPLED, drawn_sample
from codeclm.auditing.embeddings import Embeddings, LeftOut, compare
from codeclm.auditing.findings import examples_in
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.embedding import embedding
from codeclm.clients.limited import turn
from codeclm.clients.protocol import Client
from codeclm.config import RunConfig
from codeclm.config_models import ModelConfig
from codeclm.edits import edited_rows, read_edits
from codeclm.engines.local import map_ordered
from codeclm.errors import CallFailed, CodecLMError
from codeclm.generate import read_inputs
from codeclm.measuring import drawn
from codeclm.progress import Progress
from codeclm.records import Seed

FOLDER: Final = "embeddings"
"""The folder in a run directory that this is at work in: it holds no run."""

_NAME = "embedding"


async def embedded(
    config: RunConfig, model: ModelConfig, *, stop: StopSwitch | None = None, progress: Progress | None = None
) -> Embeddings:
    """Compare the run in the config's directory with its seeds by ``model``, which is ``models.embedding``.

    ``progress`` is told of every text that has ended. Where there is nothing to compare no call is made, and the
    comparison says why. Raises what makes going on useless: Stopped, BudgetReached, JournalError, ConfigError for a
    budget in dollars without a price, a CallFailed that no waiting mends.
    """
    rows = edited_rows(config.run_dir, read_edits(config.run_dir))
    examples = drawn_sample(examples_in(rows), config.seed)
    try:
        seeds = _drawn_seeds(read_inputs(config).seeds, config.seed)
    except CodecLMError as error:
        return Embeddings(model.model, not_done=f"there are no seeds to compare with: {error}")
    if find_spec("numpy") is None:
        return Embeddings(model.model, not_done=f"numpy is not installed: {INSTALL}")
    if not examples or not seeds:
        return Embeddings(model.model, not_done=f"the run has no {'seeds' if examples else 'examples'}")
    texts = [(seed.id, seed.instruction) for seed in seeds] + [(one.id, one.instruction) for one in examples]
    progress = progress or Progress(config.size)
    progress.phase, progress.to_measure = "measure", len(texts)
    async with asking(config, FOLDER, {_NAME: model}, stop=stop or StopSwitch(), progress=progress) as by_name:
        found = await _each(by_name[_NAME], [text for _, text in texts], progress)
    return _compared(model.model, [name for name, _ in texts], found, len(seeds))


def _drawn_seeds(seeds: Sequence[Seed], number: int) -> list[Seed]:
    """As many seeds as examples are sampled, by digest."""
    return heapq.nsmallest(SAMPLED, seeds, key=lambda seed: (drawn(seed.instruction, number), seed.id))


async def _each(client: Client, texts: Sequence[str], progress: Progress) -> list[array[float] | str]:
    """The vector of each text in order, or the cause why it has none."""

    async def one(number: int) -> array[float] | str:
        turn.set(number)
        try:
            return await embedding(client, texts[number]) if texts[number] else "empty"
        except CallFailed as error:
            if error.fatal:
                raise
            return error.cause
        finally:
            progress.measured += 1

    calls: Calls = progress.calls
    results = map_ordered(one, goal=lambda: len(texts), window=lambda: 2 + 2 * calls.capacity())
    async with aclosing(results):
        return [vector async for vector in results]


def _compared(model: str, names: Sequence[str], found: Sequence[array[float] | str], seeds: int) -> Embeddings:
    """The comparison of what was found; the first ``seeds`` are those, the rest examples."""
    ended = list(zip(names, found, strict=True))
    return compare(
        model,
        [vector for _, vector in ended[seeds:] if not isinstance(vector, str)],
        {name: vector for name, vector in ended[:seeds] if not isinstance(vector, str)},
        [LeftOut(name, cause) for name, cause in ended if isinstance(cause, str)],
    )
