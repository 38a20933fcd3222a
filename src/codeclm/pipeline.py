"""A slot's journey: the method's loop, which reads like the picture in docs/architecture.md.

A slot's source gives basic instructions, and each goes, concurrently, at most ``iterations`` times round. The result is
a pure function of the slot, the method's parts and settings, the random seed and what the models answer. A call that
fails for good makes a ``failed`` outcome; one that no waiting can mend is raised and ends the run. So does what a part
does that no part may (:class:`~codeclm.errors.PartFailed`).
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from codeclm.clients.ask import together
from codeclm.clients.protocol import Models
from codeclm.config import MethodConfig
from codeclm.errors import CallFailed, CodecLMError, PartFailed
from codeclm.part_loading import defined_at, described
from codeclm.part_names import shown
from codeclm.parts import CUT_OFF, Context, Kind, Parts, part_name, what_is_wrong
from codeclm.records import Failure, Instruction, Iteration, Outcome, Seed, Slot, SlotResult

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Method:
    """All that a slot's result depends on besides the slot and what the models answer.

    ``seeds`` are the general seeds, for a source that starts from them; ``seed`` is the run's random seed.
    """

    parts: Parts
    settings: MethodConfig
    seed: int
    seeds: tuple[Seed, ...] = ()


async def run_slot(slot: Slot, *, models: Models, method: Method, only: int | None = None) -> SlotResult:
    """Take every instruction that the slot's source gives to its end; outcomes are in the source's order.

    ``only`` is the number (from 0) of the one instruction to take, where the others are not asked for.
    """
    slot_id = f"{slot.index:06d}"
    # The slot's number is not in it: that is only known once the whole pool is, while a plan's probe takes the very
    # journeys of the run before.
    draws = f"{method.seed}/{slot.entry.name}/{slot.chunk}"
    rng = random.Random(draws)
    settings = method.settings
    if method.parts.tailor is None:  # the first time round is the last, and a filter that waits for that must know
        settings = settings.model_copy(update={"iterations": 1})
    context = Context(models, settings, slot.entry, slot.chunk, rng=rng, seeds=method.seeds)
    try:
        basics = await _owed("source", method.parts.source, slot, context)
    except CallFailed as error:
        return SlotResult(slot, (Outcome(slot_id, "failed", slot.entry, failure=failure("decode", error)),))
    starts = [Outcome(f"{slot_id}.{number}", "failed", slot.entry, basic) for number, basic in enumerate(basics)]
    journeys = [
        _journey(start, context, method.parts, draws=f"{draws}.{number}")
        for number, start in enumerate(starts)
        if only in (None, number)
    ]
    return SlotResult(slot, tuple(await together(*journeys)))


async def _journey(start: Outcome, context: Context, parts: Parts, *, draws: str) -> Outcome:
    """One instruction, until it passes or has gone round often enough; ``start`` is how it begins.

    ``draws`` names its random choices.
    """
    instruction, iterations, stage = Instruction(start.basic), list[Iteration](), "filter"
    try:
        while True:
            number = len(iterations) + 1
            here = replace(context, iteration=number, rng=random.Random(f"{draws}/filter/{number}"))
            decided = await _owed("filter", parts.filter, instruction, here)
            if decided.passes and decided.kept.truncated:  # a fragment is never kept, whatever a part says
                decided = replace(decided, reason=CUT_OFF)
            iterations.append(decided)
            if decided.passes:
                return replace(start, status="kept", iterations=tuple(iterations))
            if here.last or parts.tailor is None:
                return replace(start, status="discarded", iterations=tuple(iterations), reason=decided.reason)
            stage = "improve"
            here = replace(here, rng=random.Random(f"{draws}/{number}"))
            instruction = await _owed("tailor", parts.tailor, instruction, here)
            stage = "filter"
    except CallFailed as error:
        return replace(start, iterations=tuple(iterations), failure=failure(stage, error))


async def _owed(kind: Kind, part: Callable[[T, Context], Awaitable[U]], given: T, context: Context) -> U:
    """What a part returns. Raises PartFailed where it does what no part may."""
    try:
        returned = await part(given, context)
    except CodecLMError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's part may raise
        raise _mistake(kind, context, f"raised {described(error)}") from error
    if wrong := what_is_wrong(kind, returned):
        raise _mistake(kind, context, f"{wrong} ({defined_at(part)})")
    return returned


def _mistake(kind: Kind, context: Context, what: str) -> PartFailed:
    return PartFailed(
        f"method.{kind} {shown(part_name(context.settings, kind) or '')}: {what}. That was with entry "
        f"{context.entry.id}, iteration {context.iteration}. Mend it and run again: every call that ended is recorded."
    )


def failure(stage: str, error: CallFailed) -> Failure:
    """The record of a failed call; raises the error itself when nothing can be gained by going on."""
    if error.fatal:
        raise error
    return Failure(stage, error.cause, error.message, error.attempts, error.raw)
