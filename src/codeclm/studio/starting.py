"""Starting a run from the browser: a form checked as it is typed, its plan, and only then the button that starts it.

Contract. Nothing is written below the runs folder before Start is pressed; then a new folder has the seeds, the plan
and the config that were planned, and the run works in it as if started in a terminal. Keys of endpoints are never
asked for, kept or shown: a config has the name of the environment variable that holds one.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from codeclm import run_directory
from codeclm.config import RunConfig
from codeclm.config_files import dump, from_mapping, problems
from codeclm.dataset.seeds import read_seeds
from codeclm.errors import CodecLMError, ConfigError, InputError, OutputError
from codeclm.methods import METHODS
from codeclm.pages.rendering import visible
from codeclm.studio import run_forms
from codeclm.studio.controls import start_run
from codeclm.studio.folders import STARTED_FROM
from codeclm.studio.handling import REFRESH, RUNS, flash, go_to, is_partial, page
from codeclm.studio.plans import Draft, Drafts, headline, offered, table
from codeclm.studio.reach import check_from_browser, reach_of
from codeclm.studio.run_forms import BUDGET, KEYS, OTHERS, ROLES, Typed, typed

PLACES: Final = (("/new", "New run"),)
DRAFTS: Final = web.AppKey("drafts", Drafts)

_FIELDS: Final = (*OTHERS, *KEYS)
_LARGEST_SEEDS: Final = 200 * 2**20  # bytes of a file below the runs folder that is copied
_USUAL: Final = {
    "view": "form",
    "seeds_from": "text",
    "size": "100",
    "method.name": "codeclm",
    "models.strong.base_url": "simulator",
    "models.strong.model": "strong",
    "models.target.base_url": "simulator",
    "models.target.model": "target",
}


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [
        web.get("/new", _form, name="new_run"),
        web.post("/new", _sent),
        web.post("/new/check", _check, name="check_run"),
        web.get("/new/plan/{draft}", _plan, name="plan_run"),
        web.post("/new/plan/{draft}", _start),
    ]


def prepare(app: web.Application) -> None:
    """What this feature keeps in the application."""
    app[DRAFTS] = Drafts()
    app.on_cleanup.append(_close)


async def _close(app: web.Application) -> None:
    await app[DRAFTS].close()


async def _form(request: web.Request) -> web.Response:
    """The form: new, or filled with what a draft was made of."""
    root = request.app[RUNS].root
    draft = request.app[DRAFTS].get(request.query.get("draft", ""))
    fields = dict(draft.fields) if draft else {**_USUAL, "name": run_forms.free_name(root)}
    return await _form_page(request, Typed(fields), draft)


async def _form_page(request: web.Request, now: Typed, draft: Draft | None, *, status: int = 200) -> web.Response:
    root = request.app[RUNS].root
    return page(
        request,
        "new_run.html",
        status=status,
        typed=now,
        fields=dict.fromkeys(_FIELDS, "") | dict(now.fields),
        files=list(await asyncio.to_thread(run_forms.seed_files, root)),
        methods=METHODS,
        roles=ROLES,
        notes=_notes(now.fields),
        as_yaml=run_forms.as_yaml(now.values) if now.values else "",
        kept=draft.key if draft and _kept_seeds(draft) else "",
        folder=str(root),
    )


async def _check(request: web.Request) -> web.Response:
    """What is wrong with the form so far, by field, as JSON for form.js."""
    fields = _fields_of(await request.post())
    now = await asyncio.to_thread(typed, fields, request.app[RUNS].root)
    shown = run_forms.as_yaml(run_forms.nested(fields)) if fields["view"] != "yaml" else ""
    errors = {key: visible(said) for key, said in now.errors.items()}
    told = {
        "errors": errors,
        "general": [visible(said) for said in now.general],
        "notes": _notes(fields),
        "yaml": visible(shown),
    }
    return web.Response(body=orjson.dumps(told), content_type="application/json")


async def _sent(request: web.Request) -> web.Response:
    """Change between form and YAML, or make a draft of what was typed; what is wrong is told beside its field."""
    root, drafts = request.app[RUNS].root, request.app[DRAFTS]
    post = await request.post()
    fields = _fields_of(post)
    earlier = drafts.get(str(post.get("draft", "")))
    if "show" in post:
        return await _form_page(request, _shown_as(fields, str(post["show"])), earlier)
    now = await asyncio.to_thread(typed, fields, root)
    folder = tempfile.TemporaryDirectory(prefix="codeclm-draft-", ignore_cleanup_errors=True)
    config: RunConfig | None = None
    try:
        seeds = await asyncio.to_thread(_seeds, now, post, earlier, root, Path(folder.name))
        if now.good:
            config = await asyncio.to_thread(_config_of, now, seeds, root)
    except ConfigError as error:
        now = replace(now, general=(*now.general, str(error)))
    except CodecLMError as error:
        now = replace(now, errors={**now.errors, "seeds": str(error)})
    if config is None:
        folder.cleanup()
        return await _form_page(request, now, earlier, status=422)
    draft = drafts.begin(fields, config, folder)
    raise go_to(request, "plan_run", draft=draft.key)


def _config_of(now: Typed, seeds: Path | None, root: Path) -> RunConfig:
    """The configuration that was typed. Raises ConfigError where one of its paths can't be one."""
    values = {**now.values, "run_dir": now.fields["name"]}
    if seeds:
        values["seeds"] = str(seeds)
        if field := now.fields["seeds_field"]:
            values["seeds_field"] = field
    config = from_mapping(values, folder=root)
    check_from_browser(config, root, seeds.resolve() if seeds else None)
    return config


def _shown_as(fields: dict[str, str], view: str) -> Typed:
    """The same fields as YAML, or YAML as fields where all of it has a place there."""
    if view == "yaml":
        return Typed({**fields, "view": "yaml", "yaml": run_forms.as_yaml(run_forms.nested(fields))})
    try:
        values, _ = run_forms.read_yaml(fields["yaml"])
        own = {name: fields[name] for name in OTHERS}
        return Typed({**own, **run_forms.flat(values), "view": "form"})
    except ConfigError as error:
        return Typed(fields, errors={"yaml": str(error)})


async def _plan(request: web.Request) -> web.Response:
    """The plan of a draft, or how far it is."""
    draft = _draft_of(request)
    response = page(request, "new_plan_part.html" if is_partial(request) else "new_plan.html", **_plan_values(draft))
    if draft.done:
        response.headers[REFRESH] = "stop"
    return response


def _plan_values(
    draft: Draft, sent: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
) -> dict[str, Any]:
    limits = {key: "" if value is None else str(value) for key, value in _budget(draft.config).items()}
    offer = offered(draft.plan) if draft.plan and not any(limits.values()) else {}
    return {
        "draft": draft,
        "plan": draft.plan,
        "tiles": headline(draft.plan) if draft.plan else [],
        "stages": table(draft.plan) if draft.plan else [],
        "budget": sent or limits | offer,
        "offer": offer,
        "errors": errors or {},
        "reach": replace(reach_of(draft.config, draft.place), files=()),  # none elsewhere: check_from_browser
    }


def _budget(config: RunConfig) -> dict[str, Any]:
    budget = config.budget
    return {"budget.usd": budget.usd, "budget.calls": budget.calls, "budget.tokens": budget.tokens}


async def _start(request: web.Request) -> web.Response:
    """Make the run's folder, write what was planned into it, and start it."""
    draft = _draft_of(request)
    root = request.app[RUNS].root
    if draft.plan is None:
        return page(request, "new_plan.html", status=409, **_plan_values(draft))
    post = await request.post()
    limits = {key: str(post.get(key, "")).strip() for key in BUDGET}
    given = run_forms.nested(limits).get("budget", {})
    values = draft.config.model_dump(mode="json") | {"budget": given}
    wrong = {one.key: one.said for one in problems(values)}
    name = draft.fields["name"]
    if said := run_forms.wrong_name(name, root):
        wrong["name"] = said
    if wrong:
        return page(request, "new_plan.html", status=422, **_plan_values(draft, limits, wrong))
    config = await asyncio.to_thread(from_mapping, values, folder=root)
    run_dir = await asyncio.to_thread(_write, draft, config, root)
    key = await asyncio.to_thread(request.app[RUNS].key_of, run_dir)
    request.app[DRAFTS].drop(draft.key)
    try:
        await asyncio.to_thread(start_run, run_dir / STARTED_FROM, run_dir)
        flash(request, "Started. It goes on when you close this page, and when the studio ends.")
    except CodecLMError as error:
        flash(request, str(error), "bad")
    raise go_to(request, "run", run=key or "")


def _write(draft: Draft, config: RunConfig, root: Path) -> Path:
    """The new folder, with all that the run starts from. Raises InputError where it is taken, OutputError."""
    run_dir = root / draft.fields["name"]
    try:
        run_dir.mkdir()
    except FileExistsError:
        raise InputError(f"{run_dir}: it is there already. Choose another name.") from None
    except OSError as error:
        raise OutputError(f"{run_dir}: can't make it ({error.strerror}).") from None
    changes: dict[str, Any] = {"run_dir": run_dir}
    if draft.config.seeds:
        changes["seeds"] = run_dir / f"seeds{draft.config.seeds.suffix}"
        run_directory.write(changes["seeds"], draft.config.seeds.read_bytes())
    if draft.plan:
        run_directory.write(run_dir / run_directory.PLAN, orjson.dumps(draft.plan, option=orjson.OPT_INDENT_2))
    run_directory.write(run_dir / STARTED_FROM, dump(config.model_copy(update=changes)).encode())
    return run_dir


def _seeds(now: Typed, post: Mapping[str, Any], earlier: Draft | None, root: Path, folder: Path) -> Path | None:
    """The seeds that were chosen, as a file in the draft's folder; None where the config has metadata instead.

    Raises InputError where they can't be read.
    """
    if "metadata" in now.values:
        return None
    fields = now.fields
    source = fields["seeds_from"]
    if source == "text":
        path, content = folder / "seeds.txt", fields["seeds_text"].encode()
        if not fields["seeds_text"].strip():
            raise InputError("Write at least one seed instruction, each on a line of its own.")
    elif source == "file":
        chosen = run_forms.seed_files(root).get(fields["seeds_file"])
        if chosen is None:
            raise InputError("Choose a file. It must lie in the runs folder.")
        if chosen.stat().st_size > _LARGEST_SEEDS:
            raise InputError(f"The file is larger than {_LARGEST_SEEDS >> 20} MB: start the run in a terminal.")
        path, content = folder / f"seeds{chosen.suffix.lower()}", chosen.read_bytes()
    elif source == "sample":
        path, content = folder / "seeds.jsonl", (files("codeclm.bundled") / "seeds.jsonl").read_bytes()
    elif source == "upload":
        return _uploaded(post.get("seeds_upload"), earlier, folder, fields)
    else:
        raise InputError("Say where the seeds come from.")
    return _readable(path, content, fields)


def _uploaded(sent: object, earlier: Draft | None, folder: Path, fields: Mapping[str, str]) -> Path:
    """The file that was sent, or else the one sent for the draft before this."""
    if isinstance(sent, web.FileField) and sent.filename:
        suffix = Path(sent.filename).suffix.lower()
        if suffix not in run_forms.SUFFIXES:
            raise InputError(f"The file's name must end in one of {', '.join(run_forms.SUFFIXES)}.")
        return _readable(folder / f"seeds{suffix}", sent.file.read(), fields)
    if earlier and (kept := _kept_seeds(earlier)):
        return _readable(folder / kept.name, kept.read_bytes(), fields)
    raise InputError("Choose a file to upload.")


def _readable(path: Path, content: bytes, fields: Mapping[str, str]) -> Path:
    """Write the seeds and see that they can be read. Raises InputError, without the draft's folder in it."""
    try:
        path.write_bytes(content)
        read_seeds(path, field=fields["seeds_field"] or None)
    except InputError as error:
        raise InputError(str(error).replace(f"{path.parent}/", "")) from None
    except OSError as error:
        raise OutputError(f"The seeds can't be written ({error.strerror}).") from None
    return path


def _kept_seeds(draft: Draft) -> Path | None:
    """The seeds that were uploaded for a draft."""
    return draft.config.seeds if draft.fields.get("seeds_from") == "upload" else None


def _draft_of(request: web.Request) -> Draft:
    draft = request.app[DRAFTS].get(request.match_info["draft"])
    if draft is None:
        raise web.HTTPNotFound(
            text="This plan is gone: the studio was started anew, or it was started. Make a new one."
        )
    return draft


def _fields_of(post: Mapping[str, Any]) -> dict[str, str]:
    """The form's own fields, and no others, with ends of lines as everywhere."""
    fields = {name: str(value) for name in _FIELDS if isinstance(value := post.get(name, ""), str)}
    return {
        name: fields.get(name, "").replace("\r\n", "\n")
        if name in ("yaml", "seeds_text")
        else fields.get(name, "").strip()
        for name in _FIELDS
    }


def _notes(fields: Mapping[str, str]) -> dict[str, str]:
    """What to know of a field's value, by field: whether a variable that is to hold a key is there. Never the key."""
    notes = {}
    for role in ROLES:
        field = f"models.{role}.api_key_env"
        name = fields.get(field, "")
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            there = bool(os.environ.get(name))
            notes[field] = "It is set." if there else "It is not set where the studio was started."
    return notes
