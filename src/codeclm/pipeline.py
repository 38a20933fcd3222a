"""A slot's journey: the method's loop, which reads like the picture in docs/architecture.md.

A slot decodes its entry into basic instructions and takes each, concurrently, at most ``iterations`` times round. The
result is a pure function of the slot, the settings, the random seed and what the models answer. A call that fails for
good makes a ``failed`` outcome; one that no waiting can mend is raised and ends the run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from codeclm.clients.ask import together
from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.errors import CallFailed
from codeclm.methods import METHODS, Method
from codeclm.records import Entry, Failure, Instruction, Iteration, Outcome, Slot, SlotResult


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
    journeys = [
        _journey(f"{slot_id}.{number}", basic, slot.entry, method=method, models=models, settings=settings, seed=seed)
        for number, basic in enumerate(basics)
    ]
    return SlotResult(slot, tuple(await together(*journeys)))


async def _journey(
    item: str, basic: str, entry: Entry, *, method: Method, models: Models, settings: MethodConfig, seed: int
) -> Outcome:
    """One instruction, until the gap is wide enough or it has gone round often enough."""
    instruction = Instruction(basic)
    rounds: list[Iteration] = []
    stage = "filter"
    try:
        while True:
            stage = "filter"
            rounds.append(
                await method.filter(
                    instruction, strong=models.strong, target=models.target, judge=models.judge, settings=settings
                )
            )
            if rounds[-1].passes(settings.threshold):
                return Outcome(item, "kept", entry, basic, tuple(rounds))
            if len(rounds) == settings.iterations:
                return Outcome(
                    item, "discarded", entry, basic, tuple(rounds), reason=rounds[-1].lack(settings.threshold)
                )
            stage = "improve"
            rng = random.Random(f"{seed}/{item}/{len(rounds)}")
            instruction = await method.tailor(instruction, entry, strong=models.strong, settings=settings, rng=rng)
    except CallFailed as error:
        return Outcome(item, "failed", entry, basic, tuple(rounds), failure=failure(stage, error))


def failure(stage: str, error: CallFailed) -> Failure:
    """The record of a failed call; raises the error itself when nothing can be gained by going on."""
    if error.fatal:
        raise error
    return Failure(stage, error.cause, error.message, error.attempts, error.raw)
