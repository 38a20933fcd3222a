"""People compare two answers blind: one item at a time, by keys, in an order that tells nothing.

Contract. Until a rater has rated all items, no page, address or file name that their browser is sent tells which model
wrote which answer. Every rating is on disk before the next item is shown; rating again takes the place of what was
said. Then the results are shown, as ``codeclm evaluate --human`` tells them, with the names.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from aiohttp import web

from codeclm.errors import InputError
from codeclm.evaluating.human import as_values, majority, read_ratings
from codeclm.studio.blind_sets import (
    LONGEST_NOTE,
    BlindSet,
    Preference,
    Rated,
    SetPlace,
    check_rater,
    find_sets,
    key_of,
    rate,
    raters_of,
    read_blind,
    read_rated,
    set_of_key,
)
from codeclm.studio.drawn_set import MOST, draw_set
from codeclm.studio.handling import RUNS, day, flash, go_to, page, refuse, run_of

PLACES: Final = (("/compare", "Compare"),)
RUN_PLACES: Final = (("/compare", "People compare"),)

_USUAL_ITEMS: Final = 50


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [
        web.get("/compare", _list, name="comparisons"),
        web.get("/compare/{set}", _show, name="comparison"),
        web.post("/compare/{set}", _rate),
        web.get("/compare/{set}/results", _results, name="comparison_results"),
        web.get("/runs/{run}/compare", _draw_form, name="draw_comparison"),
        web.post("/runs/{run}/compare", _draw),
    ]


@dataclass(frozen=True, slots=True)
class Listed:
    """A set in the list: when it was made, how many items it has, and how many each rater has rated."""

    key: str
    made: str
    items: int
    raters: Mapping[str, int]
    problem: str = ""


async def _list(request: web.Request) -> web.Response:
    root = request.app[RUNS].root
    return page(request, "compare_list.html", sets=await asyncio.to_thread(_listed, root))


def _listed(folder: Path) -> list[Listed]:
    """The sets below a folder, the newest first."""
    return sorted(map(_one_listed, find_sets(folder)), key=lambda one: one.made, reverse=True)


def _one_listed(place: SetPlace) -> Listed:
    try:
        made = day(place.rows.stat().st_mtime, "%Y-%m-%d %H:%M UTC")
        blind = read_blind(place)
        return Listed(place.key, made, len(blind.items), {rater: _count(blind, rater) for rater in raters_of(place)})
    except InputError as problem:
        return Listed(place.key, "", 0, {}, str(problem))
    except OSError as error:
        return Listed(place.key, "", 0, {}, f"This set can't be read ({error.strerror}).")


def _count(blind: BlindSet, rater: str) -> int:
    try:
        rated = read_rated(blind, rater)
    except InputError:
        return 0
    return sum(bool(rated[one.item].preference) for one in blind.items if one.item in rated)


async def _show(request: web.Request) -> web.Response:
    """The item that is asked for, else the first that the rater has not rated; without a rater's name the way in."""
    blind = await _set_of(request)
    rater = request.query.get("rater", "").strip()
    if not rater:
        counts = await asyncio.to_thread(lambda: {name: _count(blind, name) for name in raters_of(blind.place)})
        return page(request, "compare_start.html", blind=blind, raters=counts, refused="", rater="")
    try:
        rated = await asyncio.to_thread(read_rated, blind, rater)
    except InputError as problem:
        return page(
            request, "compare_start.html", status=400, blind=blind, raters={}, refused=str(problem), rater=rater
        )
    wanted = request.query.get("item", "")
    place = _position(blind, wanted) if wanted else _next_open(blind, rated, len(blind.items))
    if place is None:
        raise go_to(request, "comparison_results", set=blind.place.key, query={"rater": rater})
    return _item_page(request, blind, rater, rated, place)


def _item_page(
    request: web.Request, blind: BlindSet, rater: str, rated: Mapping[str, Rated], place: int
) -> web.Response:
    """The page of the item at ``place``, from 1."""
    before = [rated.get(one.item) for one in blind.items]
    return page(
        request,
        "compare_item.html",
        set=blind,
        rater=rater,
        place=place,
        item=blind.items[place - 1],
        rated=before[place - 1],
        done=sum(bool(one and one.preference) for one in before),
        back=before[place - 2] if place > 1 else None,
        longest=LONGEST_NOTE,
    )


async def _rate(request: web.Request) -> web.Response:
    """Set down what was chosen, and go on to the next item that has no rating."""
    blind = await _set_of(request)
    form = await request.post()
    sent = {name: str(form.get(name, "")) for name in ("rater", "item", "preference", "note", "set")}
    rater = sent["rater"].strip()
    check_rater(blind.place, rater)
    if sent["set"] != blind.name:
        refuse("This set is another one now than when you opened it. Nothing was saved; open it again.")
    place = _position(blind, sent["item"])
    item = blind.items[place - 1].item
    rated = await asyncio.to_thread(read_rated, blind, rater)
    preference = sent["preference"]
    if preference not in (*get_args(Preference), ""):
        refuse("A preference is a, b or tie.")
    earlier = rated[item].preference if item in rated else ""
    now = Rated(cast(Preference, preference) if preference else earlier, sent["note"].replace("\r\n", "\n").strip())
    await asyncio.to_thread(rate, blind, rater, item, now)
    after = place if not preference else _next_open(blind, {**rated, item: now}, place)
    if after is None:
        flash(request, "That was the last one. Thank you!")
        raise go_to(request, "comparison_results", set=blind.place.key, query={"rater": rater})
    raise go_to(request, "comparison", set=blind.place.key, query={"rater": rater, "item": str(after)})


async def _results(request: web.Request) -> web.Response:
    """What people said, with the names: only for who has rated all."""
    blind = await _set_of(request)
    rater = request.query.get("rater", "").strip()
    check_rater(blind.place, rater)
    left = len(blind.items) - await asyncio.to_thread(_count, blind, rater)
    told = None if left else await asyncio.to_thread(_told, blind, request.app[RUNS].root)
    return page(request, "compare_results.html", blind=blind, rater=rater, left=left, told=told)


@dataclass(frozen=True, slots=True)
class Told:
    """What people said of a set: the totals, those by category as a table, and where the judge sees it differently.

    ``unlike`` are the item's place, people's result and the judge's; ``command`` tells the same in a terminal.
    """

    values: Mapping[str, Any]
    categories: Sequence[tuple[object, ...]]
    unlike: Sequence[tuple[int, str, str]]
    command: str


def _told(blind: BlindSet, root: Path) -> Told:
    files = [path for rater, path in raters_of(blind.place).items() if _count(blind, rater)]
    ratings = read_ratings(files)
    results, values = majority(ratings.ratings), as_values(ratings)
    judged = {item: one.get("judged") for item, one in ratings.key["items"].items()}
    unlike = [
        (place, str(results[one.item]), str(judged[one.item]))
        for place, one in enumerate(blind.items, start=1)
        if one.item in results
        and judged.get(one.item) in ("win", "tie", "loss")
        and judged[one.item] != results[one.item]
    ]
    categories = [
        (name, one["wins"], one["ties"], one["losses"], 100 * one["crr"])
        for name, one in values["by_category"].items()
        if one["crr"] is not None
    ]
    command = " ".join(["codeclm evaluate", *(f"--human {shlex.quote(str(path.relative_to(root)))}" for path in files)])
    return Told(values, categories, unlike, command)


async def _draw_form(request: web.Request) -> web.Response:
    run = await run_of(request)
    sets = await asyncio.to_thread(_listed, run.folder)
    return page(request, "compare_draw.html", run=run, sets=sets, items=_USUAL_ITEMS, most=MOST)


async def _draw(request: web.Request) -> web.Response:
    """Draw a set from the run's outcomes and open it."""
    run = await run_of(request)
    form = await request.post()
    items, seed = _number(form.get("items")), _number(form.get("seed", "0"))
    if items is None or seed is None:
        refuse("Items and seed are whole numbers.")
    folder, name = await asyncio.to_thread(draw_set, run.folder, items, seed)
    raise go_to(request, "comparison", set=key_of(folder.resolve(), name))


async def _set_of(request: web.Request) -> BlindSet:
    """The set that the address names. Raises a 404 where there is none."""
    place = await asyncio.to_thread(set_of_key, request.app[RUNS].root, request.match_info["set"])
    if place is None:
        raise web.HTTPNotFound(text="There is no such set below the runs folder. It may have been moved or deleted.")
    return await asyncio.to_thread(read_blind, place)


def _position(blind: BlindSet, text: str) -> int:
    """The place of an item, from 1. Raises a 404 where there is none."""
    place = _number(text)
    if place is None or not 1 <= place <= len(blind.items):
        raise web.HTTPNotFound(text="There is no such item in this set.")
    return place


def _next_open(blind: BlindSet, rated: Mapping[str, Rated], after: int) -> int | None:
    """The place of the next item without a preference, beginning behind ``after`` and going round; None at the end."""
    count = len(blind.items)
    places = (number % count + 1 for number in range(after, after + count))
    return next((place for place in places if not _has(rated, blind.items[place - 1].item)), None)


def _has(rated: Mapping[str, Rated], item: str) -> bool:
    return item in rated and bool(rated[item].preference)


def _number(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else None
