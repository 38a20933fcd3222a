"""What a run has come to so far: counters that the run raises, and that displays and the manifest read."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from codeclm.clients.budget import Budget
from codeclm.clients.calls import Calls
from codeclm.records import Outcome, SlotResult

Phase = Literal["connect", "encode", "mix", "generate", "select", "write", "measure", "evaluate", "done", "stopped"]

STATUSES: Final = ("kept", "discarded", "failed", "duplicate", "surplus")


@dataclass(slots=True)
class Progress:
    """Counts of everything consumed so far; ``counts`` by an instruction's status.

    ``failed_seeds``, ``failed_pairs`` and ``failed_slots`` are failures that came before there was an instruction;
    they are in ``failures_by_cause`` too. ``published`` is the number of examples in examples.jsonl as it stands.

    Where a run gathers candidates and selects among them when there are enough (selection.py), ``candidates_wanted`` is
    how many, and none otherwise. Meanwhile (``gathering``) they are counted as ``undecided`` and what else has ended as
    it stands; :meth:`select_from_here` and :meth:`count` then count all of them anew.

    Where examples are measured (measuring.py), ``measured`` of ``to_measure`` questions about them have ended; where
    models are evaluated, comparisons.
    """

    size: int
    calls: Calls = field(default_factory=Calls)
    budget: Budget | None = None
    phase: Phase = "connect"
    seeds: int = 0
    encoded: int = 0
    entries: int = 0
    mixed_entries: int = 0
    turned_away: int = 0
    slots: int = 0
    failed_seeds: int = 0
    failed_pairs: int = 0
    failed_slots: int = 0
    fruitless_slots: int = 0
    published: int = 0
    candidates_wanted: int = 0
    candidates: int = 0
    gathering: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    kept_by_iteration: Counter[int] = field(default_factory=Counter)
    failures_by_cause: Counter[str] = field(default_factory=Counter)
    kept_target_answers: int = 0
    compared: int = 0
    measured: int = 0
    to_measure: int = 0
    gap_sum: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def kept(self) -> int:
        """Examples so far."""
        return self.counts["kept"]

    @property
    def mean_gap(self) -> float | None:
        """The mean size of the examples' gaps, whichever side won; None where none has a gap."""
        return self.gap_sum / self.compared if self.compared else None

    @property
    def goal(self) -> int:
        """How many instructions have to pass before there is enough: the size, or the candidates wanted."""
        return self.candidates_wanted or self.size

    @property
    def found(self) -> int:
        """How many of these there are."""
        return self.candidates if self.candidates_wanted else self.kept

    def end_as(self, manifest: Mapping[str, Any]) -> None:
        """Stand where the run stood that left this manifest, which found nothing more to do."""
        counts = manifest["counts"]
        self.counts.update({name: counts[name] for name in STATUSES})
        self.kept_by_iteration.update({int(number): n for number, n in manifest["kept_by_iteration"].items()})
        self.slots, self.entries, self.encoded = counts["slots"], counts["entries"], counts["seeds"]
        self.phase = "done"

    def gather(self, wanted: int) -> None:
        """Count what passes as candidates, of which so many are wanted."""
        self.candidates_wanted = wanted
        self.gathering = True

    def select_from_here(self) -> None:
        """Forget how what was gathered stood; what failed stays counted."""
        for status in ("undecided", "discarded", "duplicate", "surplus"):
            del self.counts[status]

    def add_slot(self, result: SlotResult) -> None:
        """Count a slot's outcomes, already selected or considered."""
        self.slots += 1
        passed = sum(outcome.status == "kept" for outcome in result.outcomes)
        self.fruitless_slots = 0 if passed else self.fruitless_slots + 1
        for outcome in result.outcomes:
            if self.gathering and outcome.status == "kept":
                self.candidates += 1
                self.counts["undecided"] += 1
            else:
                self.count(outcome)

    def count(self, outcome: Outcome) -> None:
        """Count an outcome that is decided."""
        if outcome.failure:
            self.failures_by_cause[outcome.failure.cause] += 1
            if not outcome.basic:
                self.failed_slots += 1
                return
        self.counts[outcome.status] += 1
        if outcome.status == "kept":
            self.kept_by_iteration[len(outcome.iterations)] += 1
            self.gap_sum += abs(outcome.final.gap or 0.0)
            self.compared += outcome.final.gap is not None
            self.kept_target_answers += outcome.final.chosen == "target"

    def summary(self) -> dict[str, Any]:
        """The counts as plain values, in the manifest's shape.

        ``instructions`` is the sum of the five statuses, and of those undecided while there are any.
        """
        statuses = {name: self.counts[name] for name in STATUSES}
        if undecided := self.counts["undecided"]:
            statuses["undecided"] = undecided
        candidates = {"candidates": {"found": self.candidates, "wanted": self.candidates_wanted}}
        return {
            "counts": {
                "instructions": sum(statuses.values()),
                **statuses,
                "slots": self.slots,
                "failed_slots": self.failed_slots,
                "seeds": self.seeds,
                "failed_seeds": self.failed_seeds,
                "entries": self.entries,
                "mixed_entries": self.mixed_entries,
                "turned_away_pairs": self.turned_away,
                "failed_pairs": self.failed_pairs,
            },
            "kept_by_iteration": {str(number): count for number, count in sorted(self.kept_by_iteration.items())},
            "mean_gap": self.mean_gap,
            "kept_target_answers": self.kept_target_answers,
            "failures_by_cause": dict(sorted(self.failures_by_cause.items())),
            **(candidates if self.candidates_wanted else {}),
        }
