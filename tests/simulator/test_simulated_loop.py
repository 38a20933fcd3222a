"""The simulated world has the shape the paper reports: what the filter keeps, and when."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codeclm.simulator import DEFAULT_JUDGE, DEFAULT_STRONG, DEFAULT_TARGET, SimulatedModel
from codeclm.simulator.draws import Draws
from codeclm.simulator.lexicon import skills, use_cases
from codeclm.simulator.phrases import words
from codeclm.simulator.world import reply

Ask = Callable[..., Any]

DATA = Path(os.environ.get("CODECLM_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
SEEDS = DATA / "self_instruct_seed_175.jsonl"
THRESHOLD, ITERATIONS = 3, 4


@dataclass(frozen=True)
class Journey:
    """How one instruction ended: the iteration that kept it (0: none), the last gap, and if it takes a weak skill."""

    kept_at: int
    gap: float
    weak: bool


def entries(count: int) -> list[str]:
    """Different metadata, one to three skills each."""
    draws = [Draws("entry", index) for index in range(count)]
    rows = [(draw.pick(list(use_cases())), draw.some(list(skills()), 1 + int(draw.unit() * 3))) for draw in draws]
    return list(dict.fromkeys(f"use case: {use_case}\nskills: {', '.join(names)}" for use_case, names in rows))


def journeys(ask: Ask, metadata: str, count: int) -> list[Journey]:
    actions = [row["action"] for row in ask(DEFAULT_STRONG, "rubrics", count=4, metadata=metadata)["rubrics"]]
    instructions = ask(DEFAULT_STRONG, "decode", count=count, metadata=metadata)["instructions"]
    weak = any(skill in metadata for skill in DEFAULT_TARGET.weak_skills)
    found = []
    for instruction in instructions:
        kept_at, gap, text = 0, 0.0, instruction
        for iteration in range(1, ITERATIONS + 1):
            gap = _gap(ask, text)
            if abs(gap) > THRESHOLD:
                kept_at = iteration
                break
            action = Draws("action", text).pick(actions)
            text = ask(DEFAULT_STRONG, "improve", metadata=metadata, action=action, instruction=text)["instruction"]
        found.append(Journey(kept_at, gap, weak))
    return found


def _gap(ask: Ask, instruction: str) -> float:
    strong, target = (_answer(model, instruction) for model in (DEFAULT_STRONG, DEFAULT_TARGET))
    one = ask(DEFAULT_JUDGE, "judge", instruction=instruction, answer_1=strong, answer_2=target)
    two = ask(DEFAULT_JUDGE, "judge", instruction=instruction, answer_1=target, answer_2=strong)
    return float(one["score_1"] - one["score_2"] + two["score_2"] - two["score_1"]) / 2


def _answer(model: SimulatedModel, instruction: str) -> str:
    return reply(model, [{"role": "user", "content": instruction}], temperature=0.7, seed=0)


def assert_shape(found: Sequence[Journey]) -> None:
    kept = [journey for journey in found if journey.kept_at]
    at = Counter(journey.kept_at for journey in kept)
    assert 0.3 <= len(kept) / len(found) <= 0.6
    assert at[1] / len(kept) > 0.6
    assert all(at[iteration] / len(kept) > 0.01 for iteration in (2, 3, 4))
    assert _weak(kept) > 1.3 * _weak(found)
    assert 0.005 < sum(journey.gap < 0 for journey in kept) / len(kept) < 0.035


def _weak(found: Sequence[Journey]) -> float:
    return sum(journey.weak for journey in found) / len(found)


def test_the_loop_on_generated_metadata_has_the_papers_shape(ask: Ask) -> None:
    assert_shape([journey for metadata in entries(200) for journey in journeys(ask, metadata, 8)])


@pytest.mark.skipif(not SEEDS.exists(), reason=f"needs the seed tasks at {SEEDS}; set CODECLM_SHARED_DATA")
def test_the_loop_on_the_175_seed_tasks_has_the_papers_shape(ask: Ask) -> None:
    found = []
    for line in SEEDS.read_text(encoding="utf-8").splitlines():
        seed = json.loads(line)["instruction"]
        allowed = "use cases: any\nskills: any"
        row = ask(DEFAULT_STRONG, "encode", max_skills=3, allowed=allowed, instruction=seed)
        metadata = f"use case: {row['use_case']}\nskills: {', '.join(row['skills'])}"
        found += journeys(ask, metadata, 8)
    assert_shape(found)


def test_decoded_instructions_are_hardly_ever_near_duplicates(ask: Ask) -> None:
    texts = [
        text
        for metadata in entries(220)[:200]
        for seed in range(3)
        for text in ask(DEFAULT_STRONG, "decode", seed=seed, count=5, metadata=metadata)["instructions"]
    ]
    assert len(texts) == 3000
    assert _near_duplicates(texts) / len(texts) < 0.03


def _near_duplicates(texts: Sequence[str]) -> int:
    """How many texts have a Jaccard similarity of 0.7 or more over word 3-grams to one before them."""
    seen: list[int] = []
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    count = 0
    for index, text in enumerate(texts):
        tokens = words(text)
        grams = set(zip(tokens, tokens[1:], tokens[2:], strict=False))
        common = Counter(other for gram in grams for other in holders[gram])
        count += any(shared >= 0.7 * (len(grams) + seen[other] - shared) for other, shared in common.items())
        seen.append(len(grams))
        for gram in grams:
            holders[gram].append(index)
    return count
