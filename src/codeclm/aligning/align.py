"""The loop: a run makes data that the target lacks, the target is trained on it, and the tuned model is the new target.

Contract. Each round is a run directory ``round-N`` below the config's run_dir; all share its journal and its budget,
and go through the pool's entries where the one before stopped, so that every instruction is new. Each trains the start
model on all rounds' examples (data.py) and is evaluated on one benchmark. Nothing is kept between phases but what they
leave: doing it again finds every finished phase done, and goes on with the one that was cut off. The same journal and
the same weights give the same numbers.

The loop ends when the Capacity Recovery Ratio no longer grows, or after so many rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from codeclm import run_directory
from codeclm.aligning.data import gather
from codeclm.aligning.training_run import Trained, train
from codeclm.asking import below
from codeclm.config import RunConfig
from codeclm.config_files import load
from codeclm.config_models import ModelConfig, ServeConfig
from codeclm.errors import ConfigError, RunDirectoryError, RunFailed
from codeclm.evaluating.benchmarks import Benchmark
from codeclm.evaluating.evaluate import Asked, Evaluated, evaluate
from codeclm.evaluating.verdicts import Rule, summary
from codeclm.generate import generate, read_inputs
from codeclm.progress import Progress
from codeclm.steps import Interruption, Watching
from codeclm.weights import with_weights

START = "start"
"""What the target is called as it was before any training."""

REFERENCE = "strong"

TRAINING = "training"
"""The folder in a round's that holds what is trained on, and the config it is trained by."""

_TRAINABLE = ("vllm", "transformers")


@dataclass(frozen=True, slots=True)
class Aim:
    """What is aligned to: a benchmark and a rule. ``rounds`` at most; all of them with ``every``."""

    benchmark: Benchmark
    rounds: int
    rule: Rule = "strict"
    every: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """A round that has ended, and the ``model`` it left; 0 is the start, of which only its evaluation is known."""

    number: int
    model: ModelConfig
    evaluated: Evaluated
    totals: dict[str, Any]
    manifest: dict[str, Any] = field(default_factory=dict)
    trained_on: int = 0
    trained: Trained | None = None

    @property
    def name(self) -> str:
        """The name its model is evaluated under."""
        return name_of(self.number)

    @property
    def crr(self) -> float | None:
        """The Capacity Recovery Ratio, 0 to 1; None where nothing was scored."""
        crr: float | None = self.totals["crr"]
        return crr


@dataclass(frozen=True, slots=True)
class Aligned:
    """The rounds in order, the start first, and why there is no further one."""

    rounds: tuple[Round, ...]
    ended: str

    @property
    def best(self) -> Round:
        """The round with the highest CRR; the first of equals, since it took least."""
        return max(self.rounds, key=lambda one: (-1.0 if one.crr is None else one.crr, -one.number))


def name_of(number: int) -> str:
    """What a round is called, in files and figures."""
    return f"round-{number}" if number else START


def check(config: RunConfig) -> ServeConfig:
    """How the target is served. Raises ConfigError where it can't be trained and served in turns."""
    serve = config.models.target.serve
    if serve is None:
        raise ConfigError(
            "models.target: `align` trains the target and serves what comes out, so it must start the server itself. "
            "Set models.target.serve: {engine: vllm, model: FOLDER or NAME} in the place of base_url."
        )
    if serve.engine not in _TRAINABLE:
        raise ConfigError(
            f"models.target.serve.engine: {serve.engine} serves files that can't be trained further. `align` takes "
            f"{' or '.join(_TRAINABLE)}, with the model's weights as a folder or by name."
        )
    return serve


async def align(
    config: RunConfig, aim: Aim, *, stop: Interruption | None = None, watching: Watching | None = None
) -> Aligned:
    """Go round until it no longer helps. Run it again to resume.

    Raises ConfigError where the target can't be trained and served, RunDirectoryError where a folder is another run's,
    RunFailed where the first round comes to nothing or a training fails, and what ends any run.
    """
    serve = check(config)
    stop, watching = stop or Interruption(), watching or Watching()
    with run_directory.made_and_alone(config.run_dir):
        _check_size(config)
        work = _Work(config, aim, serve, stop, watching)
        rounds = [await work.start()]
        work.tell(rounds[0])
        for number in range(1, aim.rounds + 1):
            watching.say(f"round {number} of at most {aim.rounds}")
            following = await work.round(number, rounds)
            if following is None:
                return Aligned(tuple(rounds), f"round {number} kept no example: the filter finds nothing more to teach")
            rounds.append(following)
            work.tell(following)
            if not (aim.every or _grew(rounds)):
                return Aligned(tuple(rounds), f"round {number} did not raise the CRR")
        asked = "1 round was" if aim.rounds == 1 else f"{aim.rounds} rounds were"
        return Aligned(tuple(rounds), f"{asked} asked for")


def _check_size(config: RunConfig) -> None:
    """Raise RunDirectoryError where a round was trained on another ``size``: the rounds after it begin where it ended.

    A run by itself may grow, and so this is no other config to it.
    """
    path = config.run_dir / name_of(1) / TRAINING / run_directory.CONFIG
    if path.exists() and (size := load(path).size) != config.size:
        raise RunDirectoryError(
            f"{config.run_dir}: the rounds here have `size` {size}, and it is {config.size} now. Put the old value "
            "back, or choose another run_dir: a journal.sqlite copied there keeps the answers."
        )


def _grew(rounds: Sequence[Round]) -> bool:
    before, now = rounds[-2].crr, rounds[-1].crr
    return now is not None and (before is None or now > before)


@dataclass(frozen=True, slots=True)
class _Work:
    """The phases, one after the other."""

    config: RunConfig
    aim: Aim
    serve: ServeConfig
    stop: Interruption
    watching: Watching

    async def start(self) -> Round:
        """The target as it is, evaluated."""
        target = self.config.models.target
        evaluated = await self._evaluated(START, target)
        return Round(0, target, evaluated, self._totals(evaluated))

    async def round(self, number: int, before: Sequence[Round]) -> Round | None:
        """Data, training, evaluation; None where the filter keeps nothing any more."""
        manifest = await self._generated(number, before)
        if not manifest["counts"]["kept"]:
            return None
        folder = self.config.run_dir / name_of(number)
        folders = [self.config.run_dir / name_of(one) for one in range(1, number + 1)]
        trained_on = gather(folders, folder / TRAINING, self._config_of(number, before))
        self.watching.watch(None)
        what = "pairs" if self.config.training.objective == "dpo" else "examples"
        self.watching.say(f"training on {trained_on:,} {what}")
        trained = await train(
            folder / TRAINING, self.serve.model, folder / "model", stop=self.stop.switch(), say=self.watching.say
        )
        tuned = self._tuned(number)
        evaluated = await self._evaluated(name_of(number), tuned)
        return Round(number, tuned, evaluated, self._totals(evaluated), manifest, trained_on, trained)

    def tell(self, ended: Round) -> None:
        """Say what a round came to, which is all there is to see where the next one is stopped."""
        crr, totals = "none" if ended.crr is None else f"{ended.crr:.1%}", ended.totals
        counts = f"{totals['wins']} won, {totals['ties']} tied, {totals['losses']} lost"
        self.watching.say(f"{ended.name}: CRR {crr} ({counts})")

    async def _generated(self, number: int, before: Sequence[Round]) -> dict[str, Any]:
        """The manifest of the round's run. A later run that the filter lets nothing through ends with what it has."""
        config = self._config_of(number, before)
        run_directory.check_same_run(config.run_dir, config, read_inputs(config).sha256)
        self.watching.say(f"making {config.size:,} examples that {before[-1].name} lacks")
        try:
            return (await generate(config, stop=self.stop.switch(), watch=self.watching.watch)).manifest
        except RunFailed:
            manifest = run_directory.read_manifest(config.run_dir)
            if number == 1 or manifest is None:
                raise
            return manifest

    async def _evaluated(self, name: str, model: ModelConfig) -> Evaluated:
        models = self.config.models
        config = self.config.model_copy(
            update={"models": models.model_copy(update={"candidates": {**models.candidates, name: model}})}
        )
        self.watching.say(f"evaluating {name} on {len(self.aim.benchmark.items):,} items of {self.aim.benchmark.name}")
        progress = Progress(config.size)
        self.watching.watch(progress)
        asked = Asked(self.aim.benchmark, (name,), REFERENCE, self.aim.rule)
        [evaluated] = await evaluate(config, asked, stop=self.stop.switch(), progress=progress)
        return evaluated

    def _totals(self, evaluated: Evaluated) -> dict[str, Any]:
        names = {"candidate": evaluated.candidate, "reference": evaluated.reference}
        return summary(evaluated.compared, self.aim.rule, **names)

    def _config_of(self, number: int, before: Sequence[Round]) -> RunConfig:
        """The config of a round's run: its target is what came of the round before, its slots those not yet used."""
        models = self.config.models.model_copy(update={"target": before[-1].model})
        used = sum(one.manifest["counts"]["slots"] for one in before if one.manifest)
        return below(self.config, name_of(number), models=models, skip_slots=self.config.skip_slots + used)

    def _tuned(self, number: int) -> ModelConfig:
        """What a round trained, as a model that is served where the target was."""
        folder = self.config.run_dir / name_of(number) / "model"
        serve = with_weights(self.serve.model_copy(update={"model": str(folder)}))
        return self.config.models.target.model_copy(update={"model": name_of(number), "serve": serve})
