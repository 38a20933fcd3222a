"""From evidence to figures: how many calls, tokens, dollars and seconds a run will take, each with a 90 % range.

The sum is done for the middle guess and again for hundreds of others (worlds.py). What nine of ten of them stay within
is the range. The generator is the estimate's own, so equal evidence gives equal figures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from codeclm.config import ModelConfig, RunConfig
from codeclm.planning.evidence import STAGES, Probed, Rehearsed, role_of
from codeclm.planning.worlds import World, guess
from codeclm.prices import Price, cost
from codeclm.records import Usage

N = TypeVar("N", int, float, Decimal)

_DRAWS = 400
_OFF = 0.05  # of the guesses lie below the range, and as many above
_CLIENT_SECONDS = (0.0003, 0.001, 0.004)  # of this machine's own work for a call: at least, usually, at most
_BATCH_SECONDS = (300.0, 1800.0, 14_400.0)  # until a batch is done: soon, usually, late
_MOST_PROPOSALS = 5  # pairs asked about for one entry wanted, see pool.py
_EXPECTED_SHARE = 0.5  # of its instructions that a run expects to keep before it knows, see generate.py


@dataclass(frozen=True, slots=True)
class Range(Generic[N]):
    """A point estimate, and the bounds that hold the truth nine times of ten."""

    low: N
    point: N
    high: N


@dataclass(frozen=True, slots=True)
class Amount:
    """What a stage, or the whole run, will take. Dollars are None where a price is not known."""

    calls: Range[int]
    prompt_tokens: Range[int]
    completion_tokens: Range[int]
    tokens: Range[int]
    usd: Range[Decimal] | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Amounts by stage and in all. Seconds are None without a probe, for it alone saw how fast the models are."""

    stages: Mapping[str, Amount]
    total: Amount
    seconds: Range[float] | None
    kept_share: Range[float]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be made, from how many seeds or metadata entries given by hand, at what prices by role."""

    config: RunConfig
    seeds: int
    given: int
    prices: Mapping[str, Price]


def estimate(task: Task, rehearsed: Rehearsed, probed: Probed | None) -> Estimate:
    """What the whole run will take. Handshakes and requests sent again are not counted; calls recorded already are."""
    rng = random.Random("plan")
    middle = guess(task.config, rehearsed, probed, None)
    worlds = [middle] + [guess(task.config, rehearsed, probed, rng) for _ in range(_DRAWS)]
    counts = [calls_by_stage(task, world) for world in worlds]
    usages = [_usages(world, calls) for world, calls in zip(worlds, counts, strict=True)]
    stages = [stage for stage in STAGES if any(calls[stage] >= 0.5 for calls in counts)]
    seconds = _range(
        [_seconds(task, worlds[0], counts[0], None)]
        + [_seconds(task, world, calls, rng) for world, calls in zip(worlds[1:], counts[1:], strict=True)]
    )
    return Estimate(
        {stage: _amount(task, [stage], counts, usages) for stage in stages},
        _amount(task, stages, counts, usages),
        seconds if probed else None,
        _range([world.kept for world in worlds]),
    )


def calls_by_stage(task: Task, world: World) -> dict[str, float]:
    """The calls of a run in this world."""
    config = task.config
    known = task.seeds * world.seed_entries + task.given
    wanted = max(0.0, config.method.pool - known) if known else 0.0
    pool = max(known, config.method.pool, 1.0)
    slots = config.size / max(1e-6, world.per_slot * world.kept)
    slots = max(1.0, slots + world.luck * world.uneven * math.sqrt(slots))
    slots += _begun_too_many(config, world, slots)
    rounds = slots * world.per_slot * world.rounds
    visits = max(1.0, slots / pool)
    needing = 1 - world.passing[0] ** (world.alike * visits)
    again = config.method.iterations > 1
    return {
        "encode": float(task.seeds),
        "reasonable": min(wanted / max(1e-6, world.taken), wanted * _MOST_PROPOSALS),
        "decode": slots,
        "strong_answer": rounds,
        "target_answer": rounds,
        "judge": 2 * rounds,
        "rubrics": min(slots, pool) * needing if again else 0.0,
        "improve": slots * world.per_slot * (world.rounds - 1),
    }


def _begun_too_many(config: RunConfig, world: World, slots: float) -> float:
    """Slots' worth of calls made beyond the last one needed: work under way when the run has enough."""
    steps = 1 + 3 * min(config.method.iterations, world.rounds + 1)
    per_slot = 1 + world.per_slot * (5 * world.rounds - 1)
    under_way = world.in_flight * steps / 2 / per_slot
    first_guess = config.size / (_EXPECTED_SHARE * config.method.instructions_per_entry)
    return min(under_way, max(2 + 0.02 * slots, first_guess - slots))


def _usages(world: World, calls: Mapping[str, float]) -> dict[str, Usage]:
    found = {}
    for stage, count in calls.items():
        each = world.calls.get(stage)
        found[stage] = Usage(round(count * each.prompt), round(count * each.completion)) if each else Usage()
    return found


def _amount(
    task: Task, stages: Sequence[str], counts: Sequence[Mapping[str, float]], usages: Sequence[Mapping[str, Usage]]
) -> Amount:
    """What the stages take together; the first of ``counts`` and ``usages`` is the point."""
    together = [sum((found[stage] for stage in stages), Usage()) for found in usages]
    roles = {role_of(stage) for stage in stages}
    usd = None
    if roles <= task.prices.keys():
        usd = _range([_usd(task, stages, found) for found in usages])
    return Amount(
        _range([round(sum(calls[stage] for stage in stages)) for calls in counts]),
        _range([usage.prompt_tokens for usage in together]),
        _range([usage.completion_tokens for usage in together]),
        _range([usage.total for usage in together]),
        usd,
    )


def _usd(task: Task, stages: Iterable[str], usages: Mapping[str, Usage]) -> Decimal:
    return sum((cost(task.prices[role_of(stage)], usages[stage]) for stage in stages), Decimal(0))


def _range(values: Sequence[N]) -> Range[N]:
    """The first value, and what all but a tenth of the others lie within; the first one always does."""
    point, drawn = values[0], sorted(values[1:])
    low, high = drawn[int(_OFF * len(drawn))], drawn[-1 - int(_OFF * len(drawn))]
    return Range(min(low, point), point, max(high, point))


def _seconds(task: Task, world: World, calls: Mapping[str, float], rng: random.Random | None) -> float:
    """How long the calls take: as long as the busiest of the endpoints, the client, and the longest chain of calls."""
    config = task.config
    endpoints: dict[tuple[str, str], list[str]] = {}
    models = config.models.named
    for stage in calls:
        model = models.get(role_of(stage), models["strong"])
        endpoints.setdefault((model.base_url, model.model), []).append(stage)
    busy = [_busy(models_of(config, stages[0]), world, calls, stages) for stages in endpoints.values()]
    live = [stage for stage in calls if not models_of(config, stage).batch]
    chain = _chain(config, world, live)
    waves = _waves(config, [stage for stage in calls if models_of(config, stage).batch])
    client = sum(calls.values()) * (_between(_CLIENT_SECONDS, rng))
    return max(client, *busy) + chain + waves * _between(_BATCH_SECONDS, rng)


def models_of(config: RunConfig, stage: str) -> ModelConfig:
    """The model that a stage's calls go to."""
    models = config.models.named
    return models.get(role_of(stage), models["strong"])


def _busy(model: ModelConfig, world: World, calls: Mapping[str, float], stages: Sequence[str]) -> float:
    """Seconds that an endpoint needs for its calls."""
    each = {stage: world.calls[stage] for stage in stages if stage in world.calls}
    paces = [0.0]
    if not model.batch:
        work = sum(calls[stage] * seen.seconds for stage, seen in each.items())
        paces.append(work / max(1.0, min(world.in_flight, model.max_in_flight)))
    if model.requests_per_minute:
        paces.append(60 * sum(calls[stage] for stage in stages) / model.requests_per_minute)
    if model.tokens_per_minute:
        tokens = sum(calls[stage] * (seen.prompt + seen.completion) for stage, seen in each.items())
        paces.append(60 * tokens / model.tokens_per_minute)
    return max(paces)


def _chain(config: RunConfig, world: World, live: Sequence[str]) -> float:
    """Seconds of calls that wait for one another, from a seed to the last time round."""
    times = dict.fromkeys(STAGES, config.method.iterations) | {"encode": 1, "reasonable": 2, "decode": 1, "rubrics": 1}
    times["improve"] = config.method.iterations - 1
    return sum(times[stage] * world.calls[stage].seconds for stage in live if stage in world.calls)


def _waves(config: RunConfig, batched: Sequence[str]) -> int:
    """Batches that wait for one another."""
    iterations = config.method.iterations
    times = {"encode": 1, "reasonable": 2, "decode": 1, "rubrics": int(iterations > 1), "improve": iterations - 1}
    answers = iterations if {"strong_answer", "target_answer"} & set(batched) else 0
    return answers + sum(times.get(stage, 0) for stage in batched) + (iterations if "judge" in batched else 0)


def _between(bounds: tuple[float, float, float], rng: random.Random | None) -> float:
    """The middle value, or one drawn between the outer ones, evenly by magnitude."""
    low, usual, high = bounds
    return usual if rng is None else low * (high / low) ** rng.random()
