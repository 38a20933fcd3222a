"""What the models say of a method's examples, asked in the same words of every method's.

Of each method a sample is measured: its examples whose instructions have the lowest digests, so that an instruction two
methods share is measured once and a growing run keeps what it had. Each is given its use case and skills by the very
question that encodes seeds, a difficulty from 1 to 10, and a gap, where its method left none. The calls are recorded in
the journal that the methods share and count against the same budget.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from codeclm.asking import below
from codeclm.clients.ask import ask
from codeclm.clients.limited import turn
from codeclm.clients.protocol import Models
from codeclm.config import MethodConfig, RunConfig
from codeclm.dataset.outcomes import last_text, outcome_from_row
from codeclm.edits import Edit, edited_rows
from codeclm.engines.local import map_ordered
from codeclm.errors import CallFailed
from codeclm.generate import Inputs
from codeclm.judge import judged
from codeclm.methods import METHODS
from codeclm.parts import KINDS
from codeclm.progress import Progress
from codeclm.prompts.sampling import difficulty
from codeclm.records import Metadata, Outcome, Seed
from codeclm.stages.contrastive_filter import target_answer
from codeclm.stages.encode import encode

A = TypeVar("A")
B = TypeVar("B")

MEASURING = "measuring"
"""The folder of measuring: it holds no run, and its calls are counted under this name."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an example was found to be; None where the models gave no usable reply, or nobody asked.

    ``gap`` is that of the kept pair, G(I) as in section 3.3: below 0 where the target's answer is the better one.
    """

    metadata: Metadata | None = None
    difficulty: float | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True)
class Measurements:
    """The sampled examples of every method, in the sample's order, and the seeds' metadata."""

    of: Mapping[str, Sequence[Measured]]
    seeds: tuple[Metadata, ...] = ()


def measuring_config(config: RunConfig) -> RunConfig:
    """The config that measuring goes by: codeclm's encoding and the user's way of judging, in a folder of its own."""
    return below(config, MEASURING, method=as_published("codeclm", config.method))


def as_published(name: str, given: MethodConfig) -> MethodConfig:
    """Another method's settings: the user's, where it was not published with one of its own.

    What the config's own method was published with is not the user's doing, and so not taken over.
    """
    inherited, published = METHODS[given.name].settings, METHODS[name].settings
    settings: dict[str, Any] = {
        key: getattr(given, key)
        for key in given.model_fields_set
        if key not in ("name", *KINDS, *published) and getattr(given, key) != inherited.get(key, _NOTHING)
    }
    return MethodConfig(name=name, **settings)


_NOTHING = object()


def sample_of(folder: Path, count: int, seed: int, *, edits: Mapping[str, Edit] | None = None) -> list[Outcome]:
    """``count`` of the examples in a run directory, drawn by their instructions' digests; all, where it has fewer.

    They are as the method made them, or with the ``edits`` of people if these are given.
    """
    examples = map(outcome_from_row, edited_rows(folder, edits or {}))
    return heapq.nsmallest(count, examples, key=lambda outcome: (drawn(last_text(outcome), seed), outcome.id))


def drawn(text: str, seed: int) -> bytes:
    """Where an instruction stands in the order that samples are drawn in: sort by it. It depends on no other."""
    return hashlib.blake2b(f"{seed}/{text}".encode(), digest_size=16).digest()


async def measured(
    samples: Mapping[str, Sequence[Outcome]],
    inputs: Inputs,
    *,
    models: Models,
    config: RunConfig,
    progress: Progress | None = None,
) -> Measurements:
    """Measure every sample with the models of ``config``, whose ``method`` says how seeds are encoded and judges judge.

    ``progress`` is told of every question that has ended. What a model gave no usable reply to stays None. Raises what
    makes going on useless: Stopped, BudgetReached, a CallFailed that no waiting mends.
    """
    settings, window = config.method, 2 * config.models.strong.max_in_flight
    outcomes = [outcome for sample in samples.values() for outcome in sample]
    texts = [Seed(outcome.id, last_text(outcome)) for outcome in outcomes]
    progress = progress or Progress(config.size)
    progress.phase, progress.to_measure = "measure", len(inputs.seeds) + 3 * len(texts)
    # The seeds first: these calls are as a rule recorded already.
    found = await _each(
        [*inputs.seeds, *texts], lambda text: encode(text, strong=models.strong, settings=settings), window, progress
    )
    seeds, metadata = found[: len(inputs.seeds)], found[len(inputs.seeds) :]

    def rate(text: Seed) -> Awaitable[float]:
        return ask(models.judge, difficulty(text.instruction), temperature=settings.judge_temperature)

    ratings = await _each(texts, rate, window, progress)
    gaps = await _each(outcomes, lambda outcome: _gap(outcome, models, settings), window, progress)
    rows = iter([Measured(*row) for row in zip(metadata, ratings, gaps, strict=True)])
    return Measurements(
        {name: [next(rows) for _ in sample] for name, sample in samples.items()},
        inputs.metadata + tuple(seed for seed in seeds if seed),
    )


async def _gap(outcome: Outcome, models: Models, settings: MethodConfig) -> float | None:
    """The gap that is recorded, or else that of the strong answer to one of the target's."""
    final = outcome.final
    if final.gap is not None or final.strong is None:
        return final.gap
    text = final.instruction.text
    target = await target_answer(text, models=models, settings=settings)
    return (await judged(text, final.strong, target, models=models, settings=settings)).comparison.gap


async def _each(
    items: Sequence[A], work: Callable[[A], Awaitable[B]], window: int, progress: Progress
) -> list[B | None]:
    """What ``work`` makes of each item, in order; None where a call failed in a way that the others need not."""

    async def one(number: int) -> B | None:
        turn.set(number)
        try:
            return await work(items[number])
        except CallFailed as error:
            if error.fatal:
                raise
            return None
        finally:
            progress.measured += 1

    async with aclosing(map_ordered(one, goal=lambda: len(items), window=lambda: window)) as results:
        return [result async for result in results]
