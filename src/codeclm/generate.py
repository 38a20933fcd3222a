"""The composition root: from a configuration to a finished run directory.

It wires config, journal, clients, pool, engine, selection and output together and holds no logic of theirs.
Running it again is how a run is resumed: recorded calls return at once from the journal and the rest are made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from codeclm import events, run_directory
from codeclm.clients.budget import Budget
from codeclm.clients.calls import StopSwitch
from codeclm.clients.limited import turn
from codeclm.clients.protocol import Models
from codeclm.config import RunConfig
from codeclm.config_models import ModelConfig
from codeclm.connected import connected
from codeclm.dataset.card import dataset_card
from codeclm.dataset.encode_examples import encode_examples
from codeclm.dataset.export import write_parquet
from codeclm.dataset.seeds import read_metadata, read_seeds
from codeclm.dataset.test_sets import read_test_sets
from codeclm.engines.engine import Engine
from codeclm.engines.local import Local, map_ordered
from codeclm.enough import fruitless, short_draw, slots_at_once, wanted_slots
from codeclm.errors import BudgetReached, CodecLMError, ConfigError, JournalError, OutputError, RunFailed, Stopped
from codeclm.finished import digests, nothing_to_do
from codeclm.journal import Journal, endpoint_key
from codeclm.journal_check import open_journal
from codeclm.ledger import Ledger
from codeclm.live_state import told
from codeclm.manifest import build_manifest
from codeclm.metrics import served
from codeclm.output import Output
from codeclm.overlap import TestItems
from codeclm.parts import Parts, parts_of
from codeclm.pipeline import Method, run_slot
from codeclm.pool import Known, Pool, encode_seeds, mix, seeds_as_pool
from codeclm.prices import Price, dearer, price_of, why_no_price
from codeclm.progress import Progress
from codeclm.prompts.own_templates import templates_in
from codeclm.records import EncodeExample, Metadata, Outcome, Seed, Slot, SlotResult
from codeclm.remote.slots import RemoteSlots, workers
from codeclm.selection import Selection, check_selection
from codeclm.weighting import check_weights

_NOTE_EVERY = 5.0  # seconds between two manifests of a running run


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run starts from: seeds, or metadata written by hand; the general seeds and encode's examples, if any.

    ``sha256`` is of all the files these, the test sets and the prompts come from. No example may overlap one of the
    ``test_items``, where there are any.
    """

    seeds: tuple[Seed, ...]
    metadata: tuple[Metadata, ...]
    sha256: str
    general: tuple[Seed, ...] = ()
    test_items: TestItems | None = None
    examples: tuple[EncodeExample, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run's files are, and its manifest."""

    run_dir: Path
    manifest: dict[str, Any] = field(repr=False)


async def generate(
    config: RunConfig,
    *,
    stop: StopSwitch | None = None,
    watch: Callable[[Progress], None] | None = None,
    retry_failed: bool = False,
) -> RunResult:
    """Run ``config`` to the end and write its run directory.

    ``retry_failed`` asks anew what failed in earlier runs because of what a model replied.
    ``watch`` is given the live Progress once at the start. ``stop`` ends the run cleanly: calls in flight end and are
    recorded, what is kept is written, and Stopped is raised. Raises the CodecLMError of whatever makes going on
    useless, after writing what there is.
    """
    inputs = read_inputs(config)
    progress = Progress(config.size, seeds=len(inputs.seeds))
    if watch:
        watch(progress)
    with run_directory.held(config, inputs.sha256) as folder, open_journal(config, inputs.sha256) as journal:
        run_directory.write_config(folder, config)
        earlier = run_directory.read_manifest(folder) or {}
        progress.published = earlier.get("examples", 0)
        again = earlier.get("state") == "complete" and earlier.get("size") == config.size
        budget = budget_of(config, journal)
        progress.budget = budget
        enough = earlier["counts"]["slots"] if again else None
        # What a pool is made from is never asked anew where slots were made of it: one entry more would move them all.
        progress.calls.retrying_failed = retry_failed and not earlier
        parts = parts_of(config.method)
        run = _Run(config, inputs, progress, journal, budget, folder, enough, retry_failed, parts)
        if again and not retry_failed and run.is_finished(earlier):
            progress.end_as(earlier)
            return RunResult(folder, earlier)
        switch = stop or StopSwitch()
        async with served(config.metrics_port, progress, journal):
            with told(folder, progress, stopping=lambda: switch.pressed):
                return RunResult(folder, await run.to_the_end(switch))


def budget_of(config: RunConfig, journal: Journal, asked: Mapping[str, ModelConfig] | None = None) -> Budget:
    """The run's budget, with what its journal says was spent. Raises ConfigError for dollars without a price.

    ``asked`` are the models by their names where it is not the run's own that are asked.
    """
    models = config.models.named if asked is None else asked
    if config.budget.usd is not None:
        unknown = [f"models.{name}: {why}." for name, model in models.items() if (why := why_no_price(model))]
        if unknown:
            raise ConfigError(f"`budget.usd` needs the price of every model. {' '.join(unknown)}")
    prices: dict[bytes, Price] = {}
    # What others asked with this journal counts too: an evaluation the candidates, an audit the embedding model.
    others = (*config.models.named_and_embedding.values(), *config.models.candidates.values())
    for model in (*models.values(), *others):
        if price := price_of(model):
            key = endpoint_key(model)
            prices[key] = dearer(price, prices.get(key, price))  # one model live and in batches has one account
    return Budget(Ledger(journal), config.budget, prices)


def read_inputs(config: RunConfig) -> Inputs:
    """What the files a config names hold. Raises InputError, and ConfigError where the method's parts, its prompts or
    the general seeds it starts from can't be had.
    """
    seeds: tuple[Seed, ...] = ()
    metadata: tuple[Metadata, ...] = ()
    general: tuple[Seed, ...] = ()
    if config.seeds:
        seeds = read_seeds(config.seeds, field=config.seeds_field).seeds
    if config.metadata:
        metadata = read_metadata(config.metadata, max_skills=config.method.max_skills)
    templates_in(config.prompts)  # looked at before anything is made or asked
    examples = encode_examples(config)
    starts_from = parts_of(config.method).starts_from
    check_selection(config.method, starts_from)
    check_weights(config.method, starts_from)
    if starts_from == "general seeds":
        if config.general_seeds is None:
            raise ConfigError(
                f"config: the method {config.method.name} starts from instructions of no particular task: name a file "
                "of them, such as Alpaca's, as `general_seeds`. (To start from your own, name the seeds' file.)"
            )
        general = read_seeds(config.general_seeds).seeds
    test_items = read_test_sets(config.test_sets) if config.test_sets else None
    sha256 = run_directory.inputs_sha256(config, general=bool(general))
    return Inputs(seeds, metadata, sha256, general, test_items, examples)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run while it is under way."""

    config: RunConfig
    inputs: Inputs
    progress: Progress
    journal: Journal
    budget: Budget
    folder: Path
    enough: int | None
    retry_failed: bool
    parts: Parts
    noted: list[float] = field(default_factory=list)

    def is_finished(self, earlier: dict[str, Any]) -> bool:
        """Whether the run that left this manifest did all there is to do."""
        now = self._manifest("complete")
        return nothing_to_do(self.folder, earlier, now, method=self.config.method, journal=self.journal)

    async def to_the_end(self, stop: StopSwitch) -> dict[str, Any]:
        """Work until the run is complete and return its manifest; whatever ends it before that is noted in it too."""
        events.note("run_started", run_dir=str(self.folder), size=self.config.size, seed=self.config.seed)
        self.note("running")
        try:
            await self.work(stop)
        except (CodecLMError, asyncio.CancelledError) as error:
            wanted = isinstance(error, Stopped | asyncio.CancelledError)
            state = "stopped" if wanted or isinstance(error, BudgetReached) else "failed"
            with suppress(OutputError, JournalError):
                self.note(state, error="" if wanted else str(error))
            self.progress.phase = "stopped"
            if isinstance(error, BudgetReached):
                spent = self.budget
                events.note("budget_reached", requests=spent.requests, tokens=spent.tokens, usd=float(spent.usd))
            self._note_end(state, type(error).__name__)
            raise
        manifest = self.note("complete")
        self.progress.phase = "done"
        self._note_end("complete")
        return manifest

    def _note_end(self, state: str, error: str = "") -> None:
        progress, calls = self.progress, self.progress.calls
        seconds = round(time.monotonic() - progress.started, 3)
        events.note("run_ended", state=state, error=error, kept=progress.kept, calls_made=calls.made, seconds=seconds)

    async def work(self, stop: StopSwitch) -> None:
        """Everything between opening the journal and closing it. What there is gets written, whatever the end."""
        with Output(self.folder) as output:
            try:
                config, calls = self.config, self.progress.calls
                connecting = connected(config, journal=self.journal, stop=stop, calls=calls, budget=self.budget)
                asked_for = workers(config, self.inputs.general, calls=calls, stop=stop)
                async with asked_for as elsewhere, connecting as models:
                    pool = await self._pool(models, output)
                    await self._generate(self._engine(models, elsewhere), pool, output, stop)
            except (CodecLMError, asyncio.CancelledError):
                # An earlier, longer run may have left more examples than this one came to.
                whole = self.progress.phase != "connect" and not self.progress.gathering
                if whole and self.progress.kept >= self.progress.published:
                    with suppress(OutputError):  # what went wrong first is what to tell
                        self._publish(output, "stopped")
                raise
            self._publish(output, "complete")

    def _engine(self, models: Models, elsewhere: RemoteSlots | None) -> Engine[Slot, SlotResult]:
        """What runs the slots: the workers, or this process where there are none."""
        if elsewhere:
            elsewhere.ask(models)
            return elsewhere
        method = Method(self.parts, self.config.method, self.config.seed, self.inputs.general)
        return Local(partial(run_slot, models=models, method=method))

    async def _pool(self, models: Models, output: Output) -> Pool:
        if self.parts.starts_from == "general seeds":
            pool = seeds_as_pool(self.inputs.general)
            self.progress.entries = len(pool.entries)
            return pool
        self.progress.phase = "encode"
        known = Known()
        for metadata in self.inputs.metadata:
            known.add(metadata)
        window = 2 * self.config.models.strong.max_in_flight
        seeds, settings, examples = self.inputs.seeds, self.config.method, self.inputs.examples
        encoding = encode_seeds(seeds, strong=models.strong, settings=settings, window=window, examples=examples)
        async for seed, result in encoding:
            self.progress.encoded += 1
            if isinstance(result, Metadata):
                known.add(result, seed)
            else:
                self.progress.failed_seeds += 1
                self._add_failure(result, output)
        if not known.metadata:
            causes = ", ".join(f"{cause} ({n})" for cause, n in self.progress.failures_by_cause.most_common())
            raise RunFailed(
                f"None of the {len(self.inputs.seeds)} seeds could be encoded: {causes}. Their replies are in "
                f"{self.folder / run_directory.FAILURES}. Can {self.config.models.strong.model} follow instructions?"
            )
        self.progress.phase = "mix"
        pool = await mix(known, strong=models.strong, settings=self.config.method, seed=self.config.seed, window=window)
        self.progress.entries = len(pool.entries)
        self.progress.mixed_entries = pool.mixed
        self.progress.turned_away = len(pool.turned_away)
        for entry in pool.entries:
            output.add_metadata(_metadata_row(entry.id, entry.metadata, entry.seed_ids, turned_away=False))
        for pair in pool.turned_away:
            output.add_metadata(_metadata_row("", pair, (), turned_away=True))
        for outcome in pool.failures:
            self.progress.failed_pairs += 1
            self._add_failure(outcome, output)
        return pool

    async def _generate(self, engine: Engine[Slot, SlotResult], pool: Pool, output: Output, stop: StopSwitch) -> None:
        """Go through slots until there is enough, and select; what ends this early still selects from what there is."""
        self.progress.phase = "generate"
        self.progress.calls.retrying_failed = self.retry_failed
        use_cases = {entry.metadata.use_case.casefold() for entry in pool.entries}
        test_items = self.inputs.test_items
        with Selection(self.config, use_cases=len(use_cases), test_items=test_items) as selection:
            if not selection.at_once:
                self.progress.gather(selection.goal)
            selection.know(self.inputs.seeds)
            try:
                await self._go_through(engine, pool, selection, output, stop)
            except (CodecLMError, asyncio.CancelledError):
                with suppress(OutputError):  # what went wrong first is what to tell
                    self._select(selection, output)
                raise
            self._select(selection, output)
        if self.progress.candidates_wanted and self.progress.kept < self.config.size:
            raise RunFailed(short_draw(self.progress))

    async def _go_through(
        self, engine: Engine[Slot, SlotResult], pool: Pool, selection: Selection, output: Output, stop: StopSwitch
    ) -> None:
        config, progress = self.config, self.progress
        slot = pool.slots(config.seed, settings=config.method, skip=config.skip_slots)
        begun = 0

        async def work(index: int) -> SlotResult | None:
            """The slot's result; None where the run was ended before the slot was."""
            nonlocal begun
            begun = index + 1
            turn.set(index)
            try:
                return await engine.run(slot(index))
            except CodecLMError as error:
                stop.press(error)
                return None

        def goal() -> int:
            return begun if stop.pressed else wanted_slots(progress, config, self.enough)

        cut_short = False
        at_once = partial(slots_at_once, progress, config)
        async with aclosing(map_ordered(work, goal=goal, window=at_once)) as results:
            async for result in results:
                if result:
                    self._consume(result, selection, output)
                # Those after a slot that is missing may fill the size, but not with what a whole run keeps.
                cut_short = cut_short or (result is None and progress.found < progress.goal)
        if cut_short or progress.found < progress.goal:
            stop.check()

    def _consume(self, result: SlotResult, selection: Selection, output: Output) -> None:
        config, progress = self.config, self.progress
        outcomes = tuple(map(selection.consider, result.outcomes))
        progress.add_slot(SlotResult(result.slot, outcomes))
        for outcome in outcomes:
            if selection.at_once or outcome.status == "failed":
                output.add(outcome)
        self._note_now_and_then()
        if progress.fruitless_slots == config.method.patience and progress.found < progress.goal:
            raise RunFailed(fruitless(progress, config))

    def _select(self, selection: Selection, output: Output) -> None:
        """Write what was gathered as it is in the end."""
        if self.progress.gathering:
            self.progress.phase = "select"
            self.progress.select_from_here()
            for outcome in selection.decided():
                self.progress.count(outcome)
                output.add(outcome)
            self.progress.gathering = False

    def _add_failure(self, outcome: Outcome, output: Output) -> None:
        if outcome.failure:
            self.progress.failures_by_cause[outcome.failure.cause] += 1
        output.add(outcome)

    def _publish(self, output: Output, state: str) -> None:
        """Put the files in place, and beside them what is made from them by a run in ``state``."""
        self.progress.phase = "write"
        output.publish()
        self.progress.published = self.progress.kept
        examples = self.folder / run_directory.EXAMPLES
        if find_spec("pyarrow"):
            write_parquet(self.folder / run_directory.EXAMPLES_PARQUET, run_directory.read_rows(examples))
        card = dataset_card(self._manifest(state), run_directory.read_rows(examples))
        run_directory.write(self.folder / run_directory.CARD, card.encode())

    def _note_now_and_then(self) -> None:
        if time.monotonic() - self.noted[-1] > _NOTE_EVERY:
            self.note("running")

    def note(self, state: str, *, error: str = "") -> dict[str, Any]:
        """Write the manifest."""
        self.noted[:] = [time.monotonic()]
        manifest = self._manifest(state) | {"error": error}
        if state == "complete":
            manifest["files"] = digests(self.folder)
        run_directory.write_manifest(self.folder, manifest)
        return manifest

    def _manifest(self, state: str) -> dict[str, Any]:
        return build_manifest(self.config, self.inputs.sha256, self.progress, self.budget, self.journal, state)


def _metadata_row(entry: str, metadata: Metadata, seed_ids: tuple[str, ...], *, turned_away: bool) -> dict[str, Any]:
    return {
        "id": entry,
        "use_case": metadata.use_case,
        "skills": list(metadata.skills),
        "seed_ids": list(seed_ids),
        "turned_away": turned_away,
    }
