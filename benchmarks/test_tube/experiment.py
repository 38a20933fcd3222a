"""One seed of the experiment: every arm makes its pairs, trains the start checkpoint on them, and is tested.

All of it by codeclm itself: a run, a training by TRL, an evaluation against the strong model in both orders, over HTTP.
Each arm leaves a result file; one that is there is not done again, and one that was cut off goes on from its
run's journal. The runs of a seed share a journal, so that what they have in common is asked once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.test_tube import results, strong, users
from benchmarks.test_tube.arms import Arm
from benchmarks.test_tube.breaks import shuffle_answers
from benchmarks.test_tube.conditions import START
from benchmarks.test_tube.pretraining import LATENT
from benchmarks.test_tube.results import Result, Score
from benchmarks.test_tube.target_server import TargetServer
from benchmarks.test_tube.world import Task, credit, read
from codeclm import run_directory
from codeclm.config import RunConfig
from codeclm.config_training import TrainingConfig
from codeclm.evaluating.benchmarks import Benchmark, load
from codeclm.evaluating.evaluate import Asked, Evaluated, evaluate
from codeclm.evaluating.verdicts import result as verdict
from codeclm.generate import generate
from codeclm.records import Answer
from codeclm.simulator.server import Simulator
from codeclm.training.train import train

RULE: Final = "strict"
CANDIDATE: Final = "tuned"

FIGURES: Final = "results"
RUNS: Final = "runs"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an experiment is: the same for every arm and every seed."""

    pairs: int = 120
    seeds_of_user: int = 60
    general_seeds: int = 200
    user_items: int = 300
    world_items: int = 300
    epochs: float = 10.0
    rate: float = 3e-4

    @property
    def training(self) -> TrainingConfig:
        """How each arm fine-tunes: all weights, at a small rate that falls to nothing."""
        return TrainingConfig.model_validate(
            {
                "preset": "paper",
                "epochs": self.epochs,
                "learning_rate": self.rate,
                "final_learning_rate": 0.0,
                "batch": 16,
                "device_batch": 16,
                "max_length": 128,
                "precision": "fp32",
                "gradient_checkpointing": False,
                "save_every": 100_000,  # a training takes seconds
                "memory_check": False,
            }
        )


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one seed, and the checkpoint that everything starts from."""

    folder: Path
    checkpoint: Path
    seed: int
    settings: Settings

    def result(self, arm: Arm) -> Path:
        """Where a arm's result is."""
        return self.folder / FIGURES / f"{arm.folder}.json"

    def run(self, arm: Arm) -> Path:
        """A arm's run directory."""
        return self.folder / RUNS / arm.folder


async def run_seed(place: Place, arms: Sequence[Arm], tell: Callable[[str], None]) -> None:
    """Do what is not done yet of a seed."""
    left = [arm for arm in arms if not place.result(arm).exists()]
    if not left:
        return
    (place.folder / FIGURES).mkdir(parents=True, exist_ok=True)
    _write_inputs(place)
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(reply=strong.reply))
        server = await stack.enter_async_context(TargetServer({START: place.checkpoint}))
        work = _Work(place, simulator.base_url, server, _tests(place))
        for arm in left:
            found = await work.result_of(arm)
            results.write(place.result(arm), found)
            _forget_weights(place.run(arm) / "model")
            tell(
                f"seed {place.seed}: {arm.name}: CRR {found.user.crr:.1%} on the user's task, "
                f"{found.world.crr:.1%} in the world ({sum(found.seconds.values()):.0f} s)"
            )


def _write_inputs(place: Place) -> None:
    """The seeds, the general seeds and the metadata of the whole world, which are functions of the seed."""
    settings, asks = place.settings, users.user(place.seed).asks
    seeds = users.drawn("seeds", place.seed, settings.seeds_of_user, asks)
    users.write_instructions(place.folder / "seeds.jsonl", seeds)
    general = users.drawn("general", place.seed, settings.general_seeds, users.general)
    users.write_instructions(place.folder / "general_seeds.jsonl", general)
    anything = users.drawn("anything", place.seed, settings.seeds_of_user, users.of_the_world)
    users.write_metadata(place.folder / "whole_world.jsonl", anything)


def _tests(place: Place) -> dict[str, Benchmark]:
    """The held-out instructions: none is a seed."""
    settings = place.settings
    draws = {
        "user": (users.user(place.seed).asks, settings.user_items),
        "world": (users.of_the_world, settings.world_items),
    }
    seeds = set((place.folder / "seeds.jsonl").read_text(encoding="utf-8").splitlines())
    known = {orjson.loads(line)["instruction"] for line in seeds}
    found = {}
    for name, (draw, count) in draws.items():
        items = [
            one for one in users.drawn(f"test {name}", place.seed, count + len(known), draw) if one.text not in known
        ]
        path = place.folder / f"test_{name}.jsonl"
        users.write_instructions(path, items[:count])
        found[name] = load(str(path))
    return found


@dataclass(frozen=True, slots=True)
class _Work:
    """What the arms of a seed have in common."""

    place: Place
    base_url: str
    server: TargetServer
    tests: Mapping[str, Benchmark]

    async def result_of(self, arm: Arm) -> Result:
        """Make the pairs, train, test."""
        began, seconds = time.perf_counter(), {}

        def lap(phase: str) -> None:
            nonlocal began
            now = time.perf_counter()
            seconds[phase], began = round(now - began, 2), now

        run_dir, model, made = self.place.run(arm), self.place.checkpoint, {}
        if arm.shuffled_of:
            source = next(iter(self.place.folder.glob(f"{RUNS}/{arm.shuffled_of}")))
            shuffle_answers(source, run_dir, self.place.seed)
        elif arm.pairs:
            made = (await generate(self._config(arm))).manifest
        lap("run")
        if arm.pairs:
            model = run_dir / "model"
            train(run_dir, str(self.place.checkpoint), self.place.settings.training, model, seed=self.place.seed)
            lap("train")
        scores = await self._tested(arm, model)
        lap("evaluate")
        pairs = self._of_pairs(run_dir, made)
        return Result(arm.name, self.place.seed, user=scores["user"], world=scores["world"], seconds=seconds, **pairs)

    async def _tested(self, arm: Arm, model: Path) -> dict[str, Score]:
        """The scores on both test sets. The weights' digest is in the name under which answers are recorded."""
        digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:16]
        name = f"{CANDIDATE}-{digest}"
        await self.server.add(name, model)
        try:
            config = self._config(arm, candidate=name)
            found = {}
            for test, benchmark in self.tests.items():
                [evaluated] = await evaluate(config, Asked(benchmark, (CANDIDATE,), "strong", RULE))
                found[test] = _score(evaluated)
            return found
        finally:
            self.server.remove(name)

    def _of_pairs(self, run_dir: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """What a result says of the pairs and what they took."""
        path = run_dir / run_directory.EXAMPLES
        if not path.exists():
            return {"pairs": 0}
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        instructions = [row["messages"][0]["content"] for row in rows]
        taken = [skill for instruction in instructions for skill in _task(instruction).skills]
        iterations = [row["iteration"] for row in rows]
        tested = {item.instruction for benchmark in self.tests.values() for item in benchmark.items}
        own = users.user(self.place.seed).skills
        calls: dict[str, int] = {}
        for total in manifest.get("calls", ()):
            calls[total["model"]] = calls.get(total["model"], 0) + total["calls"]
        return {
            "pairs": len(rows),
            "by_iteration": tuple(iterations.count(number) for number in range(1, max(iterations) + 1)),
            "calls": calls,
            "prompt_tokens": sum(total["prompt_tokens"] for total in manifest.get("calls", ())),
            "completion_tokens": sum(total["completion_tokens"] for total in manifest.get("calls", ())),
            "latent": sum(skill in LATENT for skill in taken) / len(taken),
            "on_task": sum(skill in own for skill in taken) / len(taken),
            "steps": len(taken) / len(rows),
            "tested": len(tested.intersection(instructions)),
        }

    def _config(self, arm: Arm, candidate: str = "") -> RunConfig:
        """The config of a arm's run; with the model to test as a candidate, and the exact judge, of its test."""
        folder = self.place.folder
        source = {"metadata": folder / "whole_world.jsonl"} if arm.whole_world else {"seeds": folder / "seeds.jsonl"}
        models = {
            "strong": self._simulated("strong"),
            "target": self._target(START),
            "judge": self._simulated("judge" if candidate else arm.judge),
        }
        if candidate:
            models["candidates"] = {CANDIDATE: self._target(candidate)}
        return RunConfig.model_validate(
            {
                **source,
                "general_seeds": folder / "general_seeds.jsonl",
                "size": max(1, arm.pairs),
                "run_dir": self.place.run(arm),
                "journal": folder / "journal.sqlite",
                "seed": self.place.seed,
                "models": models,
                # Instructions are lists and phrases of one small vocabulary: all are near duplicates of some other.
                "method": {"answer_temperature": 0.0, "near_duplicates": 1.0, **arm.method},
            }
        )

    def _simulated(self, name: str) -> dict[str, Any]:
        return {"model": name, "base_url": self.base_url, "identity": "test-tube", "price": {"input": 0, "output": 0}}

    def _target(self, name: str) -> dict[str, Any]:
        return {
            "model": name,
            "base_url": self.server.base_url,
            "identity": "test-tube-target",
            "max_tokens": 72,
            "price": {"input": 0, "output": 0},
        }


def _score(evaluated: Evaluated) -> Score:
    """Judgements as a score. An item to which there is no answer is lost; one without a judgement is a ValueError."""
    outcomes, right, steps = [], [], []
    for judgement, compared in zip(evaluated.judgements, evaluated.compared, strict=True):
        asked, answer = _task(judgement.item.instruction), judgement.candidate
        outcome = verdict(compared, RULE) if isinstance(answer, Answer) else "loss"
        if outcome == "invalid":
            raise ValueError(f"{judgement.item.id}: no judgement: {judgement.failure}")
        outcomes.append(outcome)
        right.append(isinstance(answer, Answer) and credit(asked, answer.text) == 1)
        steps.append(len(asked.phrasings))
    return Score(
        outcomes.count("win"),
        outcomes.count("tie"),
        outcomes.count("loss"),
        "".join("0" if outcome == "loss" else "1" for outcome in outcomes),
        "".join(str(int(one)) for one in right),
        "".join(map(str, steps)),
    )


def _task(instruction: str) -> Task:
    asked = read(instruction)
    if asked is None:
        raise ValueError(f"not an instruction of this world: {instruction!r:.200}")
    return asked


def _forget_weights(model: Path) -> None:
    """Leave the record of the training alone, so that folders stay small: what it came to is on file."""
    for path in model.glob("*.safetensors"):
        path.unlink()


def work(place: Place, arms: Sequence[Arm]) -> None:
    """:func:`run_seed` in a process and on a core of its own, telling its arms as they end."""
    import torch

    torch.set_num_threads(1)
    asyncio.run(run_seed(place, arms, partial(print, flush=True)))
