"""The run's configuration: one frozen tree, refused whole when anything in it is wrong.

Each key is documented where it is defined, and `codeclm init` writes its commented file from these very descriptions.
Unknown keys and bad values raise :class:`~codeclm.errors.ConfigError` naming the file, the line, the key, what was
expected and the nearest valid name. Secrets are never part of a configuration: keys are named by environment variable,
and headers refer to them as ``${NAME}``.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from codeclm import config_values
from codeclm.config_models import ModelsConfig
from codeclm.config_section import Section
from codeclm.config_training import TrainingConfig
from codeclm.config_values import no_separators
from codeclm.methods import FURTHER_PARTS, METHODS
from codeclm.part_names import name_of

SIMULATOR = config_values.SIMULATOR


def _known_method(name: str) -> str:
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(f"expected one of {', '.join(METHODS)}.{meant}")
    return name


def _known_part(name: str | None) -> str | None:
    if (
        name is None
        or name == "none"
        or name in METHODS
        or name in FURTHER_PARTS
        or re.fullmatch(r"\S.*:[^\W\d]\w*", name)
    ):
        return name
    known = ", ".join((*METHODS, *FURTHER_PARTS))
    raise ValueError(f"expected MODULE:FUNCTION of your own, or one of {known}")


class MethodConfig(Section):
    """The method and its settings; the defaults are the paper's, or those its method was published with."""

    name: Annotated[str, AfterValidator(_known_method)] = Field(
        "codeclm", description=f"Which method makes the data: {', '.join(METHODS)}."
    )
    source: Annotated[str | None, AfterValidator(_known_part)] = Field(
        None, description="Another source of instructions: a method's name, or MODULE:FUNCTION of your own."
    )
    tailor: Annotated[str | None, AfterValidator(_known_part)] = Field(
        None, description="Another way to make them harder: a method's name, MODULE:FUNCTION of your own, or none."
    )
    filter: Annotated[str | None, AfterValidator(_known_part)] = Field(
        None, description="Another way to decide which are kept: a method's name, or MODULE:FUNCTION of your own."
    )
    pool: int = Field(
        200, ge=0, description="Mix and match adds metadata until the pool has so many entries; 0 adds none."
    )
    max_skills: int = Field(3, ge=1, le=20, description="At most so many skills in one metadata entry.")
    mixed_skills: int | None = Field(
        None, ge=1, le=20, description="Mix and match with exactly so many skills, rather than 1 to max_skills."
    )
    metadata_share: float = Field(
        1.0, gt=0, le=1, description="Go by this share of the metadata read from the seeds, drawn at random."
    )
    entry_weights: Literal["uniform", "seeds"] = Field(
        "uniform",
        description="How often an entry has its turn: `uniform`, all equally, as in the paper; `seeds`, as often as "
        "the seeds have its use case and its skills.",
    )
    weights_temperature: float = Field(
        1.0, ge=0.1, le=100, description="`entry_weights: seeds`: above 1 the weights are more even, below 1 less."
    )
    rubrics: int = Field(4, ge=1, le=50, description="Rubrics, each with its action, asked for per metadata entry.")
    iterations: int = Field(4, ge=1, le=100, description="Times round at most; the basic instruction is the first.")
    threshold: float = Field(
        3.0, ge=0, lt=9, description="Keep an instruction where the score gap is larger than this, on the 1-10 scale."
    )
    instructions_per_entry: int = Field(
        5, ge=1, le=50, description="Basic instructions decoded from an entry each time it is its turn."
    )
    judging: Literal["pairwise", "absolute"] = Field(
        "pairwise", description="`pairwise`: both answers scored side by side, in both orders; `absolute`: each alone."
    )
    best_answer: Literal["judged", "likeliest"] = Field(
        "judged",
        description="Of an ensemble's answers: the one the judge scores highest, or the one likeliest to the target.",
    )
    min_rating: float = Field(
        4.5, ge=0, le=5, description="`alpagasus`: keep answers the judge rates at least so high, on its 0-5 scale."
    )
    min_ifd: float = Field(
        0.5, ge=0, le=1, description="The filter `ifd`: compare only instructions at least so hard to follow, below 1."
    )
    nodes: int = Field(10, ge=1, le=100, description="`tree-instruct`: so many nodes are added to an instruction.")
    demonstrations: int = Field(
        8, ge=1, le=100, description="`self-instruct` and `alpagasus`: so many general seeds are shown as examples."
    )
    selection: Literal["first", "top", "quota", "random"] = Field(
        "first",
        description="Of what passes, `size` examples: the first; the `top` by gap; the first with an equal quota for "
        "every use case; or as many drawn at random from all instructions.",
    )
    oversample: float = Field(
        2.0, ge=1, le=100, description="`selection: top` chooses from so many times `size` instructions that pass."
    )
    temperature: float = Field(0.7, ge=0, le=2, description="Sampling temperature of encode, decode and Self-Rubrics.")
    answer_temperature: float = Field(0.7, ge=0, le=2, description="Sampling temperature of the two answers.")
    judge_temperature: float = Field(0.0, ge=0, le=2, description="Sampling temperature of the judge.")
    use_cases: Annotated[tuple[str, ...], AfterValidator(no_separators)] = Field(
        (), description="If given, encode chooses the use case from this list only."
    )
    skills: Annotated[tuple[str, ...], AfterValidator(no_separators)] = Field(
        (), description="If given, encode chooses the skills from this list only."
    )
    near_duplicates: float = Field(
        0.7,
        gt=0,
        le=1,
        description="Drop an instruction at least so similar to a seed or an example (1: equal ones only).",
    )
    patience: int = Field(
        50, ge=1, description="Stop when so many slots in a row gave no example, rather than spend without end."
    )

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, values: Any) -> Any:
        """Settings that are not given are those the method was published with; a part may be given as a function."""
        if not isinstance(values, dict):
            return values
        row = METHODS.get(str(values.get("name", "codeclm")))
        given = values.get("selection")
        if row and given is not None and given != row.settings.get("selection", given):
            its_own = row.settings["selection"]
            raise ValueError(f"the method {values['name']} is `selection: {its_own}`, not {given!r:.40}")
        named = {kind: name_of(values[kind]) for kind in ("source", "tailor", "filter") if callable(values.get(kind))}
        return {**(row.settings if row else {}), **values, **named}


class EvaluationConfig(Section):
    """How `codeclm evaluate` asks."""

    answer_temperature: float = Field(
        0.0, ge=0, le=2, description="Sampling temperature of the answers that are compared on a benchmark."
    )


class EngineConfig(Section):
    """What runs the slots. All but `name` is for Ray's workers."""

    name: Literal["local", "ray"] = Field(
        "local", description="`local`: this process, asynchronously; `ray`: workers on a Ray cluster (codeclm[ray])."
    )
    address: Annotated[str, AfterValidator(config_values.cluster_address)] = Field(
        "local",
        description="Of the Ray cluster: `auto` for the one this machine is part of, or HOST:PORT; `local` starts one "
        "here and ends it with the run.",
    )
    workers: int = Field(2, ge=1, le=1000, description="How many workers, spread over the cluster's nodes.")
    cpus_per_worker: float = Field(1, ge=0, le=1000, description="CPUs that Ray sets aside for a worker.")
    gpus_per_worker: float = Field(0, ge=0, le=100, description="GPUs that Ray sets aside for a worker.")
    serve: Literal["here", "workers"] = Field(
        "here",
        description="Where the servers of models with `serve` run: in one place, here, or one with each worker.",
    )


class BudgetConfig(Section):
    """What a run may spend in all, from the first call in its run directory on. Each limit holds by itself."""

    usd: Decimal | None = Field(None, ge=0, max_digits=20, description="Dollars; the run stops before it spends more.")
    calls: int | None = Field(None, ge=0, description="Requests sent, those sent again included.")
    tokens: int | None = Field(None, ge=0, description="Tokens of prompts and replies together.")


class RunConfig(Section):
    """Everything a run depends on."""

    seeds: Path | None = Field(
        None, description="The seed instructions: JSONL, JSON, CSV, Parquet, or text with one per line."
    )
    seeds_field: str | None = Field(
        None, description="The field that holds the instruction, where it is not instruction, prompt or messages."
    )
    metadata: Path | None = Field(
        None,
        description="Instead of seeds: metadata written by hand, rows of use_case and skills, in the same formats.",
    )
    general_seeds: Path | None = Field(
        None,
        description="Instructions of no particular task, such as Alpaca's, for the methods that start from them: "
        "self-instruct, alpagasus, tree-instruct, wizardlm. The same formats.",
    )
    test_sets: tuple[Path, ...] = Field(
        (),
        description="Files of test items, in the same formats: a pair that overlaps one is dropped, and the reason "
        "noted.",
    )
    prompts: Path | None = Field(
        None, description="A folder of prompt templates that take the place of the built-in ones of the same name."
    )
    encode_examples: Path | None = Field(
        None,
        description="A table that `codeclm encode` wrote and a person corrected: encode is shown its rows in the place "
        "of the built-in examples. Those marked `corrected`, or else all; at most 8 at once, drawn by `seed`.",
    )
    size: int = Field(500, ge=1, description="How many examples to make.")
    run_dir: Path = Field(
        description="Where everything about the run is written. Run again with the same one to resume."
    )
    journal: Path | None = Field(
        None,
        description="Where the model calls are recorded, journal.sqlite in run_dir unless set. Runs that share one pay "
        "for the calls they have in common once.",
    )
    seed: int = Field(0, ge=0, description="The random seed of every choice the run makes.")
    skip_slots: int = Field(
        0,
        ge=0,
        description="Leave out so many turns of the pool's entries, which another run of this seed had: the "
        "instructions are new ones then.",
    )
    models: ModelsConfig = Field(description="The models of the run.")
    method: MethodConfig = Field(default_factory=MethodConfig, description="The method and its settings.")
    evaluation: EvaluationConfig = Field(
        default_factory=EvaluationConfig, description="How models are evaluated; a run makes no use of it."
    )
    training: TrainingConfig = Field(
        default_factory=TrainingConfig, description="How `codeclm train` fine-tunes; a run makes no use of it."
    )
    engine: EngineConfig = Field(default_factory=EngineConfig, description="What runs the work.")
    budget: BudgetConfig = Field(default_factory=BudgetConfig, description="What the run may spend at most.")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Serve Prometheus metrics on this port of 127.0.0.1 while the run works."
    )

    @model_validator(mode="after")
    def _one_source(self) -> RunConfig:
        if (self.seeds is None) == (self.metadata is None):
            raise ValueError(
                "expected exactly one of `seeds` (a file of instructions) and `metadata` (written by hand)"
            )
        if self.encode_examples and self.seeds is None:
            raise ValueError("`encode_examples` is for encoding `seeds`, and `metadata` written by hand is not encoded")
        return self
