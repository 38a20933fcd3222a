"""The arms of the experiment: the methods, the ways to break CodecLM, and its settings, one row each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.test_tube.conditions import START
from codeclm.methods import METHODS


@dataclass(frozen=True, slots=True)
class Arm:
    """One row: what it changes of the config's ``method``, and what else is particular to it.

    ``pairs`` are made and trained on; none for the start. ``whole_world``: metadata drawn from the whole world, not
    read from seeds. ``shuffled_of``: the pairs of another arm, which comes before it, with their answers shuffled.
    """

    name: str
    pairs: int
    method: Mapping[str, Any] = field(default_factory=dict)
    whole_world: bool = False
    shuffled_of: str = ""
    judge: str = "judge"

    @property
    def folder(self) -> str:
        """Its name as a folder's."""
        return re.sub(r"[^\w.+-]+", "-", self.name)


_ONE_EACH: Final = {"instructions_per_entry": 1}
"""Pairs are few here: an entry of the pool has one instruction at each of its turns, so that many have theirs."""

_OF_METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    "self-instruct": {},
    "alpagasus": {},
    "tree-instruct": {"nodes": 2},  # an instruction here is some 15 words, and 10 nodes would be 10 steps
}

_SIZES: Final = (0.25, 0.5, 2.0)
_SHARES: Final = (0.2, 0.4, 0.6, 0.8)
_ITERATIONS: Final = (2, 3)
_THRESHOLDS: Final = (0.0, 1.0, 5.0, 7.0)


def arms(pairs: int) -> tuple[Arm, ...]:
    """All of them, in the order in which they are worked on. ``pairs`` are those of all arms but the sizes."""
    sizes = [round(share * pairs) for share in _SIZES]
    return (
        Arm(START, 0),
        *(_method(name, name, pairs) for name in METHODS),
        _codeclm("flipped", pairs, {"filter": "benchmarks.test_tube.breaks:flipped"}),
        _codeclm("no-metadata", pairs, whole_world=True),
        Arm("shuffled", pairs, shuffled_of="codeclm"),
        *(_method(f"{name}@{size}", name, size) for name in ("codeclm", "wizardlm+") for size in sizes),
        *(_codeclm(f"codeclm:share={share:g}", pairs, {"metadata_share": share}) for share in _SHARES),
        *(_iterated(f"metadata+rubrics:iterations={count}", pairs, count) for count in _ITERATIONS),
        *(_codeclm(f"codeclm:threshold={points:g}", pairs, {"threshold": points}) for points in _THRESHOLDS),
        _codeclm("codeclm:noisy-judge", pairs, judge="judge-noisy"),
    )


QUICK: Final = frozenset(
    (START, "codeclm", "metadata+rubrics", "metadata-only", "self-instruct", "random", "flipped", "no-metadata")
) | {"shuffled"}
"""What ``--quick`` looks at: the paper's ablations, the control, and the ways to break it."""


def _method(name: str, method: str, pairs: int) -> Arm:
    return Arm(name, pairs, {"name": method, **_OF_METHODS.get(method, _ONE_EACH)})


def _iterated(name: str, pairs: int, count: int) -> Arm:
    """Metadata and Self-Rubrics, improved so often less one. The method's own is 4, the paper's most."""
    return Arm(name, pairs, {"name": "metadata+rubrics", **_ONE_EACH, "iterations": count})


def _codeclm(name: str, pairs: int, method: Mapping[str, Any] | None = None, **more: Any) -> Arm:
    return Arm(name, pairs, {"name": "codeclm", **_ONE_EACH, **(method or {})}, **more)
