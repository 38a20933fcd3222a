"""Counterfactual swap: whether a model answers alike when an instruction speaks of another group of people.

Of the examples whose instructions name a group that has a counterpart, at most DRAWN are drawn by digest. The model
answers each instruction and its twin (counterparts.py) at ``evaluation.answer_temperature``; shifts.py says what
changed. The idea is that of Garg et al. 2019 (arXiv:1809.10610), with the tone of what is written as in Huang et al.
2020 (arXiv:1911.03064).

Every call is in the journal of the run and falls under its budget: asking again makes none. A call that fails leaves
its pair on record as failed, and is not compared.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from codeclm.asking import asking
from codeclm.auditing.counterparts import Twin, twins
from codeclm.auditing.findings import Example, Finding, examples_in
from codeclm.auditing.refusals import refusal
from codeclm.auditing.shifts import Compared, Direction, Said, directions
from codeclm.auditing.tone import tone, tone_of
from codeclm.clients.ask import answer, together
from codeclm.clients.calls import StopSwitch
from codeclm.clients.limited import turn
from codeclm.clients.protocol import Client
from codeclm.config import RunConfig
from codeclm.edits import edited_rows, read_edits
from codeclm.engines.local import map_ordered
from codeclm.errors import CallFailed, ConfigError, ContentFiltered, Refused
from codeclm.evaluating.evaluate import model_named
from codeclm.measuring import drawn
from codeclm.pipeline import failure
from codeclm.progress import Progress
from codeclm.records import Failure

SWAPS: Final = "audit-swaps.jsonl"

FOLDER: Final = "swaps"
"""The folder below the run's that the calls are counted under; it holds no run."""

STAGE: Final = "swap_answer"

DRAWN: Final = 100
"""Examples that are asked about, at most."""


@dataclass(frozen=True, slots=True)
class Swapping:
    """What a model made of the twins: ``mentioning`` examples have one, ``asked`` of them were drawn.

    ``compared`` has a pair for each attribute that a drawn instruction names a group by.
    """

    model: str
    temperature: float
    mentioning: int
    asked: int
    compared: tuple[Compared, ...]

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The figures by direction."""
        return directions(self.compared)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The pairs in which something changed."""
        return tuple(finding for one in self.compared if (finding := one.finding()))

    def as_values(self) -> dict[str, Any]:
        """The figures as plain values, as ``audit.json`` has them."""
        return {
            "model": self.model,
            "temperature": self.temperature,
            "mentioning": self.mentioning,
            "asked": self.asked,
            "directions": [asdict(direction) for direction in self.directions],
        }

    def rows(self) -> bytes:
        """Every pair as a line of JSONL."""
        return b"".join(orjson.dumps(one.as_values(), option=orjson.OPT_APPEND_NEWLINE) for one in self.compared)


def check_swap(config: RunConfig, name: str) -> None:
    """Raise ConfigError where the model is unknown or the package that tells tones is not installed."""
    known = config.models.named | config.models.candidates
    if name not in known:
        raise ConfigError(f"--swap {name:.60}: no model is called so. The config has {', '.join(known)}.")
    try:
        tone()
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        raise ConfigError(f"--swap: {package} is not installed: pip install 'codeclm[audit]'") from None


async def swapped(
    config: RunConfig, name: str, *, stop: StopSwitch | None = None, progress: Progress | None = None
) -> Swapping:
    """Ask the model ``name`` of ``config`` about the examples in its run directory, and compare.

    ``progress`` is told of every instruction that has ended. Raises ConfigError as check_swap() does, and what makes
    going on useless: Stopped, BudgetReached, JournalError, a CallFailed that no waiting mends.
    """
    check_swap(config, name)
    progress = progress or Progress(config.size)
    mentioning, sample = _sample(config.run_dir, config.seed)
    work = [(example, twin) for example in sample for twin in twins(example.instruction)]
    temperature = config.evaluation.answer_temperature
    if not work:
        return Swapping(name, temperature, 0, 0, ())
    progress.phase, progress.to_measure = "measure", len(work)
    role = f"candidates.{name}" if name in config.models.candidates else name
    roles = {role: model_named(config, name)}
    async with asking(config, FOLDER, roles, stop=stop or StopSwitch(), progress=progress) as by_name:
        compared = await _compared(work, by_name[role], temperature, progress)
    return Swapping(name, temperature, mentioning, len(sample), tuple(compared))


def _sample(folder: Path, seed: int) -> tuple[int, list[Example]]:
    """How many examples have a twin, and those of them that are drawn."""
    mentioning = 0

    def having(examples: Iterable[Example]) -> Iterable[Example]:
        nonlocal mentioning
        for example in examples:
            if next(twins(example.instruction), None):
                mentioning += 1
                yield example

    examples = examples_in(edited_rows(folder, read_edits(folder)))
    sample = heapq.nsmallest(
        DRAWN, having(examples), key=lambda example: (drawn(example.instruction, seed), example.id)
    )
    return mentioning, sample


async def _compared(
    work: list[tuple[Example, Twin]], client: Client, temperature: float, progress: Progress
) -> list[Compared]:
    async def one(number: int) -> Compared:
        turn.set(number)
        example, twin = work[number]
        said, said_to_twin = await together(
            *(_said(client, text, temperature) for text in (example.instruction, twin.text))
        )
        progress.measured += 1
        return Compared(example.id, example.instruction, twin, said, said_to_twin)

    calls = progress.calls
    results = map_ordered(one, goal=lambda: len(work), window=lambda: 2 + 2 * calls.capacity())
    async with aclosing(results):
        return [compared async for compared in results]


async def _said(client: Client, text: str, temperature: float) -> Said | Failure:
    """The model's answer; one that the provider's own rules held back counts as declined."""
    try:
        said = (await answer(client, text, temperature=temperature, stage=STAGE)).text
    except (Refused, ContentFiltered) as error:
        return Said(error.raw or "", None)
    except CallFailed as error:
        return failure(STAGE, error)
    return Said(said, None if refusal(said) else tone_of(said))
