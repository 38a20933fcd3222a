"""The metadata pool that every slot draws on: read from the seeds or given by the user, then mixed and matched.

Entries are numbered in a fixed order: those read from the seeds first, in seed order and each once, then the mixed ones
in the order drawn. Nothing depends on which call ended first.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice

from codeclm.clients.protocol import Client
from codeclm.config import MethodConfig
from codeclm.engines.local import map_ordered
from codeclm.errors import CallFailed
from codeclm.pipeline import failure
from codeclm.records import EncodeExample, Entry, Failure, Metadata, Outcome, Seed, Slot
from codeclm.stages.encode import encode
from codeclm.stages.mix_and_match import candidates, identity, reasonable
from codeclm.weighting import weighted_turns, weights_of

# More proposals than this per wanted entry, and the strong model finds hardly any pair reasonable.
_PROPOSALS_PER_ENTRY = 5


@dataclass(frozen=True, slots=True)
class Pool:
    """The entries, how many of them are mixed, the pairs turned away, and the pairs that got no verdict."""

    entries: tuple[Entry, ...]
    mixed: int = 0
    turned_away: tuple[Metadata, ...] = ()
    failures: tuple[Outcome, ...] = ()

    def slots(
        self,
        seed: int,
        *,
        settings: MethodConfig = MethodConfig(),  # noqa: B008 (frozen)
        skip: int = 0,
    ) -> Callable[[int], Slot]:
        """Slot j: entry j mod |pool| of the pool in its drawn order, chunk j div |pool|. It begins at ``skip``.

        Where entries are weighted, they have their turns as their weights say (weighting.py).
        """
        weights = weights_of(self.entries, self.mixed, settings)
        if weights:
            return self._weighted(seed, weights, skip)
        order = sorted(self.entries, key=lambda entry: drawn_place(entry.name, seed))

        def slot(number: int) -> Slot:
            index = skip + number
            return Slot(index, order[index % len(order)], index // len(order))

        return slot

    def _weighted(self, seed: int, weights: Sequence[float], skip: int) -> Callable[[int], Slot]:
        phases = [int.from_bytes(drawn_place(entry.name, seed)[:6]) / 2**48 for entry in self.entries]
        turn = weighted_turns(weights, phases)

        def slot(number: int) -> Slot:
            place, chunk = turn(skip + number)
            return Slot(skip + number, self.entries[place], chunk)

        return slot


def drawn_place(name: str, seed: int) -> bytes:
    """Where an entry stands in the drawn order: sort by it. It depends on no other entry."""
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()


@dataclass(slots=True)
class Known:
    """Metadata known so far, each with the seeds it was read from."""

    seeds: dict[tuple[str, frozenset[str]], list[Seed]] = field(default_factory=dict)
    metadata: dict[tuple[str, frozenset[str]], Metadata] = field(default_factory=dict)

    def add(self, metadata: Metadata, *seeds: Seed) -> None:
        """Count metadata in; equal ones share an entry."""
        key = identity(metadata)
        self.metadata.setdefault(key, metadata)
        self.seeds.setdefault(key, []).extend(seeds)

    def entries(self) -> tuple[Entry, ...]:
        """The entries so far, in the order they were first seen."""
        rows = enumerate(self.metadata.items())
        return tuple(_entry(number, metadata, self.seeds[key]) for number, (key, metadata) in rows)


async def encode_seeds(
    seeds: Sequence[Seed],
    *,
    strong: Client,
    settings: MethodConfig,
    window: int,
    examples: Sequence[EncodeExample] = (),
) -> AsyncIterator[tuple[Seed, Metadata | Outcome]]:
    """Each seed with its metadata, in seed order; with a ``failed`` outcome where it could not be encoded."""

    async def work(number: int) -> tuple[Seed, Metadata | Outcome]:
        seed = seeds[number]
        try:
            return seed, await encode(seed, strong=strong, settings=settings, examples=examples)
        except CallFailed as error:
            _stop_if_passing(error)
            nowhere = Entry("", Metadata("", ()), (seed.id,))
            reason = failure("encode", error)
            return seed, Outcome(f"seed-{number:06d}", "failed", nowhere, seed.instruction, failure=reason)

    async with aclosing(map_ordered(work, goal=lambda: len(seeds), window=lambda: window)) as results:
        async for result in results:
            yield result


async def mix(known: Known, *, strong: Client, settings: MethodConfig, seed: int, window: int = 100) -> Pool:
    """The pool: what is known, and reasonable new pairs until it has ``pool`` entries or no more are to be found.

    ``window`` is how many pairs are asked about at once: a pool may want many thousands.
    """
    entries = list(_thinned(known.entries(), settings.metadata_share, seed))
    read = len(entries)
    failures: list[Outcome] = []
    turned_away: list[Metadata] = []
    rng = random.Random(f"{seed}/mix")
    known_metadata = [entry.metadata for entry in entries]
    proposals = candidates(known_metadata, max_skills=settings.max_skills, rng=rng, exactly=settings.mixed_skills)
    allowed = _PROPOSALS_PER_ENTRY * max(0, settings.pool - len(entries))
    asked = 0
    while len(entries) < settings.pool and asked < allowed:
        wave = list(islice(proposals, settings.pool - len(entries)))
        if not wave:
            break
        verdicts = await _verdicts(wave, strong=strong, window=window)
        for pair, verdict in zip(wave, verdicts, strict=True):
            if verdict is True:
                number = len(known.metadata) + len(entries) - read
                entries.append(Entry(_entry_id(number), pair))
            elif verdict is False:
                turned_away.append(pair)
            else:
                name = f"mix-{asked:06d}"
                failures.append(Outcome(name, "failed", Entry("", pair), failure=verdict))
            asked += 1
    return Pool(tuple(entries), len(entries) - read, tuple(turned_away), tuple(failures))


def seeds_as_pool(seeds: Sequence[Seed]) -> Pool:
    """A pool of the seeds themselves, for the methods that start from general instructions: an entry each."""
    nothing = Metadata("", ())
    return Pool(tuple(Entry(f"g{number:06d}", nothing, (seed.id,), seed.name) for number, seed in enumerate(seeds)))


def _thinned(entries: Sequence[Entry], share: float, seed: int) -> Sequence[Entry]:
    """``share`` of the entries, at least one, drawn by their names."""
    count = max(1, round(share * len(entries)))
    drawn = {entry.id for entry in sorted(entries, key=lambda entry: drawn_place(entry.name, seed))[:count]}
    return [entry for entry in entries if entry.id in drawn]


async def _verdicts(pairs: Sequence[Metadata], *, strong: Client, window: int) -> list[bool | Failure]:
    async def work(number: int) -> bool | Failure:
        return await _verdict(pairs[number], strong=strong)

    async with aclosing(map_ordered(work, goal=lambda: len(pairs), window=lambda: window)) as results:
        return [verdict async for verdict in results]


async def _verdict(pair: Metadata, *, strong: Client) -> bool | Failure:
    try:
        return await reasonable(pair, strong=strong)
    except CallFailed as error:
        _stop_if_passing(error)
        return failure("mix_and_match", error)


def _stop_if_passing(error: CallFailed) -> None:
    """End the run on what another run may not meet: a pool that changes later would undo everything made from it."""
    if error.retriable:
        raise error


def _entry(number: int, metadata: Metadata, seeds: Sequence[Seed]) -> Entry:
    first = seeds[0].name if seeds else ""
    return Entry(_entry_id(number), metadata, tuple(seed.id for seed in seeds), first)


def _entry_id(number: int) -> str:
    return f"m{number:06d}"
