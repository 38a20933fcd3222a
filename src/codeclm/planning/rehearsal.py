"""A rehearsal: the run of a config on the simulated models, small, in a folder of its own that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from codeclm import run_directory
from codeclm.config import SIMULATOR, BudgetConfig, EngineConfig, RunConfig
from codeclm.config_models import ModelConfig, ModelsConfig
from codeclm.dataset.outcomes import outcome_from_row, row_line
from codeclm.errors import RunFailed
from codeclm.generate import Inputs, generate, read_inputs
from codeclm.journal import recorded_totals
from codeclm.planning.evidence import Evidence, Rehearsed, StageCalls, name_of, walk
from codeclm.planning.probing import first_rows, go_through, in_pool_order, opened
from codeclm.planning.worlds import is_codeclm
from codeclm.progress import Progress
from codeclm.records import Outcome

_SIZES = 60, 150  # examples at least and at most
_ROWS = 200
_PATIENCE = 20  # slots without an example; where nothing passes, few tell as much as many
_IN_FLIGHT = 16
_SLOTS = 40  # gone through by themselves, for methods other than CodecLM


async def rehearse(
    config: RunConfig, inputs: Inputs, rows: int, watch: Callable[[Progress], None] | None = None
) -> tuple[Rehearsed, Evidence]:
    """What the run came to on the simulator, and its first ``rows`` rows by themselves.

    Takes a few seconds of this machine, and asks no model of the config.
    """
    with tempfile.TemporaryDirectory(prefix="codeclm-rehearsal-") as name:
        folder = Path(name)
        simulated = _simulated(config, inputs, folder)
        with suppress(RunFailed):  # few examples, or none: that too is something to know
            await generate(simulated, watch=watch)
        alone = simulated.model_copy(update={"run_dir": folder / "rows"})
        async with opened(alone, read_inputs(alone)) as models:
            first = await go_through(first_rows(config, inputs, rows), models, config, inputs.general)
            slots = None
            if not is_codeclm(config):
                some = first_rows(config, inputs, _SLOTS)
                slots = await go_through(some, models, config, inputs.general, slots=_SLOTS)
        return _rehearsed(simulated, slots), first


def _simulated(config: RunConfig, inputs: Inputs, folder: Path) -> RunConfig:
    """The config on the simulator, with at most so many rows and examples as a rehearsal takes."""
    models = {
        name: ModelConfig(
            model=_stand_in(name),
            base_url=SIMULATOR,
            reply_form=model.reply_form,
            max_in_flight=min(_IN_FLIGHT, model.max_in_flight),
        )
        for name, model in config.models.named.items()
    }
    source = "seeds" if config.seeds else "metadata"
    path = folder / f"{source}.jsonl"
    path.write_bytes(b"".join(map(row_line, _source_rows(config, inputs))))
    # As drawn at random, or the widest, the outcomes would not show how far the instructions went.
    selection = "quota" if config.method.selection == "quota" else "first"
    method = {"patience": min(config.method.patience, _PATIENCE), "selection": selection}
    changes = {
        source: path,
        "seeds_field": None,
        "size": min(max(config.size, _SIZES[0]), _SIZES[1]),
        "run_dir": folder / "run",
        "journal": None,
        "models": _models(config.models, models),
        "method": config.method.model_copy(update=method),
        "budget": BudgetConfig(),
        "engine": EngineConfig(),
        "metrics_port": None,
    }
    return config.model_copy(update=changes)


def _stand_in(name: str) -> str:
    """The simulated model that plays this part, each under a name of its own."""
    group, _, member = name.partition(".")
    return {"ensemble": f"strong-{member}", "jury": f"judge-{member}"}.get(group, name)


def _models(chosen: ModelsConfig, simulated: Mapping[str, ModelConfig]) -> ModelsConfig:
    """The models, each by its simulated stand-in."""
    update: dict[str, Any] = {name: model for name, model in simulated.items() if "." not in name}
    for group in ("ensemble", "jury"):
        update[group] = {name: simulated[f"{group}.{name}"] for name in getattr(chosen, group)}
    return chosen.model_copy(update=update)


def _source_rows(config: RunConfig, inputs: Inputs) -> Iterator[dict[str, Any]]:
    for seed in in_pool_order(inputs.seeds, _ROWS, config.seed):
        yield {"id": seed.id, "instruction": seed.instruction}
    for metadata in inputs.metadata[:_ROWS]:
        yield {"use_case": metadata.use_case, "skills": list(metadata.skills)}


def _rehearsed(simulated: RunConfig, gone_through: Evidence | None) -> Rehearsed:
    """What the rehearsal's files say, and the slots gone through by themselves."""
    folder = simulated.run_dir
    roles = {model.model: role for role, model in simulated.models.named.items()}
    slots: dict[str, list[Outcome]] = defaultdict(list)
    for name in (run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES):
        for row in run_directory.read_rows(folder / name):
            outcome = outcome_from_row(row)
            if outcome.basic and not outcome.id.startswith("seed"):
                slots[outcome.id.partition(".")[0]].append(outcome)
    calls = {
        name_of(total.stage, roles[total.model]): StageCalls(
            total.calls,
            total.prompt_tokens / total.calls,
            total.completion_tokens / total.calls,
            total.seconds / total.calls,
        )
        for total in recorded_totals(folder / run_directory.JOURNAL)
        if total.stage != "handshake"
    }
    counts = (run_directory.read_manifest(folder) or {})["counts"]
    passed = [counts[name] for name in ("kept", "duplicate", "surplus")]
    return Rehearsed(
        {name: walk(outcomes) for name, outcomes in sorted(slots.items())},
        calls,
        seeds=counts["seeds"],
        seed_entries=counts["entries"] - counts["mixed_entries"] if counts["seeds"] else 0,
        pairs_asked=counts["mixed_entries"] + counts["turned_away_pairs"],
        pairs_taken=counts["mixed_entries"],
        passed=sum(passed),
        duplicates=counts["duplicate"],
        surplus=counts["surplus"],
        slots=gone_through,
    )
