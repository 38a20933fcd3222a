"""A run directory of any size that looks like a real one, for benchmarks of the studio. No run makes it.

Rows have the shape of a run's, and texts are the simulator's: instructions of 40 to 90 words, answers of 1 to 3 kB, one
to four iterations. Simulated models know few words, so each answer ends with rarer ones, of 120,000 in all, as often as
real texts have them (Zipf). Of the outcomes 62 % are kept, 21 % discarded, 9 % duplicates, 4 % surplus, 4 % failed. The
same number of outcomes is always the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import yaml

from codeclm import run_directory
from codeclm.dataset.outcomes import discarded_row, example_row, failure_row, row_line
from codeclm.records import (
    Answer,
    Comparison,
    Entry,
    Failure,
    Instruction,
    Iteration,
    Metadata,
    Outcome,
    Side,
)
from codeclm.simulator import writing
from codeclm.simulator.answers import answer
from codeclm.simulator.draws import Draws
from codeclm.simulator.lexicon import use_cases
from codeclm.simulator.models import DEFAULT_STRONG, DEFAULT_TARGET, SimulatedModel

THRESHOLD = 3.0
ENTRIES = 500
RARE_WORDS = 120_000
RARE_IN_ANSWER = 30
OFTEN = (("kept", 62), ("discarded", 21), ("duplicate", 9), ("surplus", 4), ("failed", 4))
CAUSES = (("filter", "unparseable"), ("filter", "timeout"), ("decode", "refused"), ("improve", "truncated"))
STARTS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "st", "tr", "pl", "gr")
SYLLABLES = [start + end for start in STARTS for end in ("a", "en", "i", "or", "u")]


def write_run(folder: Path, count: int) -> int:
    """Write a run directory of ``count`` outcomes; how many bytes its outcomes are."""
    folder.mkdir(parents=True)
    seeds = folder / "seeds.txt"
    seeds.write_text("Write a poem about the sea.\n")
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        names = (run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES)
        files = {name: stack.enter_context((folder / name).open("wb")) for name in names}
        for outcome in outcomes(count):
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
            if outcome.status == "kept":
                files[run_directory.EXAMPLES].write(row_line(example_row(outcome)))
            elif outcome.status == "failed":
                files[run_directory.FAILURES].write(row_line(failure_row(outcome)))
            else:
                files[run_directory.DISCARDED].write(row_line(discarded_row(outcome)))
        written = sum(file.tell() for file in files.values())
    model = {"base_url": "http://127.0.0.1:9/v1"}
    config = {
        "seeds": "seeds.txt",
        "size": counts["kept"],
        "run_dir": ".",
        "method": {"name": "codeclm", "threshold": THRESHOLD},
        "models": {name: model | {"model": name} for name in ("strong", "target")},
    }
    (folder / run_directory.CONFIG).write_text(yaml.safe_dump(config))
    manifest = {
        "state": "complete",
        "examples": counts["kept"],
        "size": counts["kept"],
        "outcomes": counts,
        "calls": [],
    }
    (folder / run_directory.MANIFEST).write_bytes(orjson.dumps(manifest))
    return written


def outcomes(count: int) -> Iterator[Outcome]:
    """The outcomes, in slot order."""
    rare = [_rare_word(number) for number in range(RARE_WORDS)]
    cases = list(use_cases().items())
    statuses = [status for status, share in OFTEN for _ in range(share)]
    for number in range(count):
        draws, rng = Draws("outcome", number), random.Random(number)
        name, use_case = cases[int(len(cases) * draws.unit() * draws.unit())]
        entry = Entry(
            f"m{number % ENTRIES:06d}", Metadata(name, tuple(draws.some(use_case.skills, draws.pick((1, 2)))))
        )
        status = draws.pick(statuses)
        rounds = draws.pick((1, 1, 1, 2, 2, 3, 4)) if status != "discarded" else 4
        texts, actions = _instructions(name, entry.metadata.skills, rounds, draws)
        iterations = []
        for place, (text, action) in enumerate(zip(texts, actions, strict=True), start=1):
            wide = place == rounds and status in ("kept", "duplicate", "surplus")
            gap = draws.pick((1, 1, 1, -1)) * (
                3.5 + draws.pick(tuple(range(8))) / 2 if wide else draws.pick(tuple(range(7))) / 2
            )
            scores = (5.5 + gap / 2, 5.5 - gap / 2)
            strong, target = (_answer(model, text, rare, rng) for model in (DEFAULT_STRONG, DEFAULT_TARGET))
            reason = "" if wide else "gap within the threshold"
            chosen: Side = "strong" if gap > 0 else "target"
            iterations.append(
                Iteration(Instruction(text, action), strong, target, Comparison(scores, scores), chosen, reason)
            )
        yield _ended(number, status, entry, tuple(iterations), draws)


def _ended(number: int, status: str, entry: Entry, iterations: tuple[Iteration, ...], draws: Draws) -> Outcome:
    outcome = Outcome(f"{number // 5:06d}.{number % 5}", "kept", entry, iterations[0].instruction.text, iterations)
    if status == "kept":
        return outcome
    if status == "failed":
        failure = Failure(*draws.pick(CAUSES), "the reply was not in the form asked for", 3, "Score: ten of ten")
        return Outcome(outcome.id, "failed", entry, outcome.basic, iterations[:-1], failure)
    reasons = {
        "discarded": "gap within the threshold",
        "duplicate": f"0.8{draws.pick(tuple(range(10)))} similar to {max(0, number // 5 - 7):06d}.0",
        "surplus": "there were enough",
    }
    return Outcome(outcome.id, status, entry, outcome.basic, iterations, reason=reasons[status])  # type: ignore[arg-type]


def _instructions(use_case: str, skills: tuple[str, ...], rounds: int, draws: Draws) -> tuple[list[str], list[str]]:
    texts, actions = writing.basics(use_case, skills, 1, draws), [""]
    for _, action in (writing.rubrics(skills, rounds - 1, draws) * rounds)[: rounds - 1]:
        texts.append(writing.improved(texts[-1], skills, action, draws))
        actions.append(action)
    return texts, actions


def _answer(model: SimulatedModel, instruction: str, rare: list[str], rng: random.Random) -> Answer:
    parts = [answer(model, instruction, "", sample) for sample in range(rng.choice((1, 2, 2, 3, 4)))]
    parts.append(" ".join(rare[int(RARE_WORDS ** rng.random()) - 1] for _ in range(RARE_IN_ANSWER)))
    return Answer("\n\n".join(parts))


def _rare_word(number: int) -> str:
    rng = random.Random(number)
    return "".join(rng.choices(SYLLABLES, k=rng.choice((2, 3, 3, 4, 5))))
