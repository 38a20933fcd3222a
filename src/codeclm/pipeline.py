"""A slot's journey: the method's loop, which reads like the picture in docs/architecture.md.

A slot decodes its entry into basic instructions and takes each, concurrently, at most ``iterations`` times round. The
result is a pure function of the slot, the settings, the random seed and what the models answer. A call that fails for
good makes a ``failed`` outcome; one that no waiting can mend is raised and ends the run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from codeclm.clients.ask import together
from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.errors import CallFailed
from codeclm.methods import METHODS
from codeclm.records import Failure, Instruction, Iteration, Outcome, Slot, SlotResult


@dataclass(frozen=True, slots=True)
class Models:
    """The three models of a run."""

    strong: Client
    target: Client
    judge: Client


async def run_slot(slot: Slot, *, models: Models, settings: MethodConfig, seed: int) -> SlotResult:
    """Decode the slot and take every instruction to its end; outcomes are in the order decoded."""
    method = METHODS[settings.name]
    slot_id = f"{slot.index:06d}"
    try:
        basics = await method.source(slot, strong=models.strong, settings=settings)
    except CallFailed as error:
        return SlotResult(slot, (Outcome(slot_id, "failed", slot.entry, failure=failure("decode", error)),))
    starts = [Outcome(f"{slot_id}.{number}", "failed", slot.entry, basic) for number, basic in enumerate(basics)]
    journeys = [
        _journey(start, models=models, settings=settings, draws=f"{seed}/{slot.entry.name}/{slot.chunk}.{number}")
        for number, start in enumerate(starts)
    ]
    return SlotResult(slot, tuple(await together(*journeys)))


async def _journey(start: Outcome, *, models: Models, settings: MethodConfig, draws: str) -> Outcome:
    """One instruction, until the gap is wide enough or it has gone round often enough; ``start`` is how it begins.

    ``draws`` names its random choices. The slot's number is not in it: that is only known once the whole pool is, while
    a plan's probe takes the very journeys of the run before.
    """
    method, strong = METHODS[settings.name], models.strong
    instruction, iterations, stage = Instruction(start.basic), list[Iteration](), "filter"
    try:
        while True:
            decided = await method.filter(
                instruction, strong=strong, target=models.target, judge=models.judge, settings=settings
            )
            iterations.append(decided)
            if decided.passes(settings.threshold):
                return replace(start, status="kept", iterations=tuple(iterations))
            if len(iterations) == settings.iterations:
                reason = decided.lack(settings.threshold)
                return replace(start, status="discarded", iterations=tuple(iterations), reason=reason)
            stage = "improve"
            rng = random.Random(f"{draws}/{len(iterations)}")
            instruction = await method.tailor(instruction, start.entry, strong=strong, settings=settings, rng=rng)
            stage = "filter"
    except CallFailed as error:
        return replace(start, iterations=tuple(iterations), failure=failure(stage, error))


def failure(stage: str, error: CallFailed) -> Failure:
    """The record of a failed call; raises the error itself when nothing can be gained by going on."""
    if error.fatal:
        raise error
    return Failure(stage, error.cause, error.message, error.attempts, error.raw)
