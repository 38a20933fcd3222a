"""One outcome: where it comes from, its whole way, and what a person does to it.

Contract. What the models said is shown as it stands and never changed; a person's edit is added to ``edits.jsonl``
(codeclm.edits) and shown beside it. An edit is refused where the example, or what people did to it, is another than the
form was made from. Seeds are read where their file lies in the runs folder or came with codeclm; nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from aiohttp import web

from codeclm import edits, run_directory
from codeclm.config import RunConfig
from codeclm.config_files import load
from codeclm.dataset.outcomes import outcome_from_row
from codeclm.dataset.seeds import read_seeds
from codeclm.edits import Edit
from codeclm.errors import CodecLMError, InputError
from codeclm.pages.rendering import visible
from codeclm.raw_calls import raw_calls_of
from codeclm.records import Outcome
from codeclm.studio.browsing import neighbours_of, row_of
from codeclm.studio.folders import Run
from codeclm.studio.handling import RUNS, day, flash, go_to, is_partial, page, run_of

_BUNDLED: Final = Path(__file__).parent.parent / "bundled"
_LARGEST_SEEDS: Final = 50 * 2**20  # bytes of a seeds file that is read for the sake of one page
_FILES: Final = (run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES)


def routes() -> list[web.RouteDef]:
    """The pages of one outcome, and what its forms are sent to."""
    return [
        web.get("/runs/{run}/outcomes/{id:[^/]+}", _show, name="outcome"),
        web.post("/runs/{run}/outcomes/{id:[^/]+}", _change),
        web.get("/runs/{run}/outcomes/{id:[^/]+}/calls", _calls, name="outcome_calls"),
    ]


@dataclass(frozen=True, slots=True)
class People:
    """What people did to an outcome: all of it in order, and the edit that counts, if any.

    ``fits`` is whether that edit was made of the words the example has now. ``problem`` says why the file of edits
    can't be read; nothing can be added to it then.
    """

    history: tuple[Edit, ...] = ()
    counts: Edit | None = None
    fits: bool = False
    problem: str = ""

    @property
    def state(self) -> str:
        """``edited``, ``dropped``, or empty where neither holds."""
        if self.counts is None or not self.fits:
            return ""
        return "dropped" if self.counts.action == "drop" else "edited"


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form was sent with, and why it was not taken."""

    instruction: str
    answer: str
    by: str
    note: str
    refused: str


async def _show(request: web.Request) -> web.Response:
    run = await run_of(request)
    return await _outcome_page(request, run, None)


async def _calls(request: web.Request) -> web.Response:
    """The calls that led to the outcome, as a part of its page."""
    run = await run_of(request)
    outcome = await _outcome_of(request, run)
    found = await asyncio.to_thread(lambda: asyncio.run(raw_calls_of(run.folder, outcome)))
    template = "outcome_calls_part.html" if is_partial(request) else "outcome_calls.html"
    return page(request, template, run=run, outcome=outcome, found=found, when=_when)


def _when(seconds: float) -> str:
    return day(seconds, "%Y-%m-%d %H:%M:%S UTC")


async def _change(request: web.Request) -> web.Response:
    """Add what a person did, and show the outcome again; what can't be added is told beside the form, as typed."""
    run = await run_of(request)
    form = await request.post()
    sent = {name: _as_typed(str(form.get(name, ""))) for name in ("instruction", "answer", "by", "note")}
    outcome = await _outcome_of(request, run)
    try:
        said = await asyncio.to_thread(_add, run.folder, outcome, form, sent)
    except CodecLMError as error:
        return await _outcome_page(request, run, Typed(**sent, refused=str(error)))
    flash(request, said)
    raise go_to(request, "outcome", run=run.key, id=outcome.id, query=dict(request.query))


def _add(run_dir: Path, outcome: Outcome, form: Mapping[str, Any], sent: Mapping[str, str]) -> str:
    """Add what the form asks for and say what was done. Raises InputError, RunDirectoryError, OutputError."""
    action = str(form.get("action", ""))
    if action not in get_args(edits.Action):
        raise InputError("The form asks for nothing that can be done to an example.")
    of, people = edits.digest_of(outcome), _people(run_dir, outcome)
    if people.problem:
        raise InputError(people.problem)
    if form.get("of") != of:
        raise InputError(
            "The run was made anew meanwhile, and the example is in other words now. Nothing was saved: what you wrote "
            "is still below, beside the example as it is now."
        )
    if form.get("seen") != str(len(people.history)):
        raise InputError(
            "Somebody changed this example after you opened it. Nothing was saved: what you wrote is still below. Look "
            "at the history, then save again."
        )
    texts: list[str | None] = [None, None]
    if action == "edit":
        was = outcome.final.instruction.text, outcome.final.kept.text
        new = sent["instruction"], sent["answer"]
        texts = [None if now == _as_typed(before) else now for now, before in zip(new, was, strict=True)]
        if texts == [None, None] and people.state == "edited":
            action = "restore"  # an edit back to the model's words is none
        now = people.counts if people.state == "edited" else None
        if texts == ([now.instruction, now.answer] if now else [None, None]):
            raise InputError("Both texts are as they were: there is nothing to save.")
    kind = cast(edits.Action, action)
    edits.add_edit(run_dir, Edit(outcome.id, kind, texts[0], texts[1], of, edits.now(), sent["by"], sent["note"]))
    return _SAID[kind]


_SAID: Final[Mapping[edits.Action, str]] = {
    "edit": "Saved. What the models said stays on record; codeclm export and codeclm train use your words.",
    "drop": "Dropped. codeclm export and codeclm train leave it out. You can restore it at any time.",
    "restore": "Restored: the example is again as the models made it.",
}


async def _outcome_page(request: web.Request, run: Run, typed: Typed | None) -> web.Response:
    root = request.app[RUNS].root
    outcome = await _outcome_of(request, run)
    people = await asyncio.to_thread(_people, run.folder, outcome)
    config = await asyncio.to_thread(_config_of, run.folder)
    seeds, seeds_problem = await asyncio.to_thread(_seeds_of, config, root, outcome.entry.seed_ids)
    values = {
        "run": run,
        "outcome": outcome,
        "way": [_as_row(outcome, number) for number in range(len(outcome.iterations))],
        "people": people,
        "seeds": seeds,
        "seeds_problem": seeds_problem,
        "neighbours": await neighbours_of(request, run, outcome.id),
        "query": request.rel_url.raw_query_string,
        "typed": typed,
        "threshold": config.method.threshold if config else None,
    }
    if outcome.status == "kept":
        values |= _kept_values(outcome, people, typed)
    return page(request, "outcome.html", status=409 if typed else 200, **values)


def _kept_values(outcome: Outcome, people: People, typed: Typed | None) -> dict[str, Any]:
    """What the page of an example has beside: its texts as they count, and what the form is filled with."""
    final = outcome.final
    counts = people.counts if people.state == "edited" else None
    instruction = counts.instruction if counts and counts.instruction is not None else final.instruction.text
    answer = counts.answer if counts and counts.answer is not None else final.kept.text
    fields = (
        (typed.instruction, typed.answer) if typed and (typed.instruction or typed.answer) else (instruction, answer)
    )
    return {
        "of": edits.digest_of(outcome),
        "instruction": instruction,
        "answer": answer,
        "fields": fields,
        "unseen": any(visible(text) != text.replace("\r\n", "\n") for text in fields),
    }


async def _outcome_of(request: web.Request, run: Run) -> Outcome:
    """The outcome that the address names. Raises a 404 where there is none."""
    name = request.match_info["id"]
    row = await row_of(request, run, name)
    return outcome_from_row(row) if row else await asyncio.to_thread(_searched, run.folder, name)


def _searched(run_dir: Path, name: str) -> Outcome:
    """The same without an index."""
    for file in _FILES:
        for row in run_directory.rows_with_id(run_dir / file, name):
            return outcome_from_row(row)
    raise web.HTTPNotFound(text="This run has no such outcome. If it was made anew, look for it in the list again.")


def _people(run_dir: Path, outcome: Outcome) -> People:
    try:
        history = edits.history_of(run_dir, outcome.id)
        counts = edits.read_edits(run_dir).get(outcome.id)
    except CodecLMError as error:
        return People(problem=str(error))
    return People(history, counts, counts is not None and edits.fits(outcome, counts))


def _as_row(outcome: Outcome, number: int) -> dict[str, Any]:
    """An iteration as the templates of report and studio take it, which is as it stands in ``examples.jsonl``."""
    one = outcome.iterations[number]
    compared = one.comparison
    return {
        "instruction": one.instruction.text,
        "action": one.instruction.action,
        "strong_answer": one.strong and one.strong.text,
        "strong_truncated": one.strong and one.strong.truncated,
        "strong_model": one.strong and one.strong.model,
        "target_answer": one.target and one.target.text,
        "target_truncated": one.target and one.target.truncated,
        "strong_first": compared and compared.strong_first,
        "target_first": compared and compared.target_first,
        "gap": one.gap,
        "chosen": one.chosen,
        "reason": one.reason,
        "measures": [{"name": name, "value": value} for name, value in one.measures],
    }


def _config_of(run_dir: Path) -> RunConfig | None:
    """The run's config; None where it can't be read, which its own page tells."""
    try:
        return load(run_dir / run_directory.CONFIG)
    except CodecLMError:
        return None


def _seeds_of(config: RunConfig | None, root: Path, ids: Iterable[str]) -> tuple[dict[str, str], str]:
    """The texts of these seeds by their ids, as far as they can be had; and why not, for people."""
    wanted = set(ids)
    if not wanted:
        return {}, ""
    try:
        if config is None:
            raise InputError("the run's config can't be read.")
        path = _readable(config, root)
        found = {seed.id: seed.instruction for seed in read_seeds(path, field=config.seeds_field).seeds}
    except (CodecLMError, OSError) as error:
        return {}, f"The seeds' texts can't be shown: {error}"
    return {name: found[name] for name in wanted if name in found}, ""


def _readable(config: RunConfig, root: Path) -> Path:
    """The config's seeds file. Raises InputError where the studio does not read it."""
    path = config.seeds
    if path is None:
        raise InputError("the run's config names no seeds.")
    place = path.resolve()
    if not place.is_relative_to(root) and not place.is_relative_to(_BUNDLED):
        raise InputError("their file lies outside the runs folder, where the studio reads nothing.")
    if place.exists() and place.stat().st_size > _LARGEST_SEEDS:
        raise InputError(f"their file is larger than {_LARGEST_SEEDS >> 20} MB.")
    return place


def _as_typed(text: str) -> str:
    """The text as a browser sends it back from a form that nobody touched, with ends of lines as everywhere."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
