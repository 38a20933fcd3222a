"""Runs that are prepared: what was typed, its seeds, and the plan that is made of it before anything may start.

Contract. A draft is a temporary folder of the studio's own, gone with the draft or the studio. Its plan is made by
``python -m codeclm.studio.plans CONFIG`` in a process of its own, on simulated models alone (codeclm.planning): no
model of the config is asked, nothing is spent, and the studio goes on answering. What is started later is the very
config and the very seeds that were planned.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from codeclm.amounts import dollars, duration, short
from codeclm.config import RunConfig
from codeclm.config_files import dump, load
from codeclm.errors import CodecLMError, ConfigError
from codeclm.planning.plan import as_values, plan
from codeclm.progress import Progress

CONFIG: Final = "planned.yaml"

_MOST: Final = 20  # drafts at once
_TELL_EVERY: Final = 0.25  # seconds
_LONGEST_LINE: Final = 2**20  # bytes
_LONGEST_ERROR: Final = 2_000  # characters


@dataclass(slots=True)
class Draft:
    """A run that is prepared. ``plan`` is as in plan.json, None until it is made; ``problem`` is why there is none."""

    key: str
    fields: Mapping[str, str]
    config: RunConfig
    folder: tempfile.TemporaryDirectory[str] = field(repr=False)
    doing: str = "beginning"
    plan: Mapping[str, Any] | None = None
    problem: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def place(self) -> Path:
        """The draft's folder."""
        return Path(self.folder.name)

    @property
    def done(self) -> bool:
        """Whether there is a plan, or will be none."""
        return self.plan is not None or bool(self.problem)


class Drafts:
    """The drafts of a studio, the latest few. Used from its event loop."""

    def __init__(self) -> None:
        self._drafts: OrderedDict[str, Draft] = OrderedDict()

    def get(self, key: str) -> Draft | None:
        """The draft of this key; None where it is gone."""
        return self._drafts.get(key)

    def begin(self, fields: Mapping[str, str], config: RunConfig, folder: tempfile.TemporaryDirectory[str]) -> Draft:
        """Keep a draft, whose folder is given over, and begin its plan."""
        draft = Draft(secrets.token_urlsafe(12), fields, config, folder)
        self._drafts[draft.key] = draft
        draft.task = asyncio.create_task(_plan(draft))
        while len(self._drafts) > _MOST:
            self.drop(next(iter(self._drafts)))
        return draft

    def drop(self, key: str) -> None:
        """Let go of a draft and its files."""
        if draft := self._drafts.pop(key, None):
            if draft.task:
                draft.task.cancel()
            draft.folder.cleanup()

    async def close(self) -> None:
        """Let go of all."""
        tasks = [draft.task for draft in self._drafts.values() if draft.task]
        for key in list(self._drafts):
            self.drop(key)
        await asyncio.gather(*tasks, return_exceptions=True)


async def _plan(draft: Draft) -> None:
    """Have the plan made, and tell how far it is."""
    path = draft.place / CONFIG
    await asyncio.to_thread(path.write_text, dump(_planned(draft)), encoding="utf-8")
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "codeclm.studio.plans", str(path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
        )  # fmt: skip
    except OSError as error:
        draft.problem = f"The plan can't be made ({error.strerror})."
        return
    try:
        assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
        async for line in process.stdout:
            _take(draft, orjson.loads(line))
        await process.wait()
        if not draft.done:
            draft.problem = "The plan could not be made: the process that made it ended early."
    except ValueError:
        draft.problem = "The plan could not be made: the process that made it said something else."
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _planned(draft: Draft) -> RunConfig:
    """The config as it is planned: in the draft's folder, and with no journal that others use."""
    return draft.config.model_copy(update={"run_dir": draft.place / "run", "journal": None, "metrics_port": None})


def _take(draft: Draft, told: Mapping[str, Any]) -> None:
    if "plan" in told:
        draft.plan = told["plan"]
    elif "problem" in told:
        draft.problem = str(told["problem"])
    else:
        draft.doing = str(told.get("doing", ""))


def offered(made: Mapping[str, Any]) -> dict[str, str]:
    """The budget to offer for a plan: the upper end of its range, rounded up, in dollars where prices are known.

    Else in tokens; none where it costs nothing.
    """
    total = made["total"]
    if total["usd"] is not None:
        high = Decimal(str(total["usd"]["high"]))
        return {"budget.usd": f"{_up(high):f}"} if high else {}
    return {"budget.tokens": f"{_up(Decimal(total['tokens']['high'])):.0f}"}


def _up(amount: Decimal) -> Decimal:
    """Rounded up to two digits that count."""
    if not amount:
        return amount
    return amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1), rounding=ROUND_UP)


def headline(made: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The plan's figures that tell most: what it is, how much, and its 90 % range."""
    total, seconds = made["total"], made["seconds"]
    time = ("–", "known when real models were asked: codeclm plan --probe 5") if seconds is None else (
        duration(seconds["point"]), f"{duration(seconds['low'])} to {duration(seconds['high'])}"
    )  # fmt: skip
    share = made["kept_share"]
    return [
        ("calls", short(total["calls"]["point"]), _between(total["calls"])),
        ("tokens", short(total["tokens"]["point"]), _between(total["tokens"])),
        ("dollars", _dollars(total["usd"], "point"), _dollars_between(total["usd"]) or "a price is not known"),
        ("time", *time),
        ("instructions kept", f"{share['point']:.0%}", f"{share['low']:.0%} to {share['high']:.0%}"),
    ]


def table(made: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The plan by stage, and in all: calls, their range, tokens in and out; and dollars and their range, if known."""
    priced = made["total"]["usd"] is not None
    return [
        (
            name,
            f"{amount['calls']['point']:,}",
            _between(amount["calls"]),
            short(amount["prompt_tokens"]["point"]),
            short(amount["completion_tokens"]["point"]),
            *((_dollars(amount["usd"], "point"), _dollars_between(amount["usd"])) if priced else ()),
        )
        for name, amount in [*made["stages"].items(), ("total", made["total"])]
    ]


def _between(found: Mapping[str, int]) -> str:
    return f"{short(found['low'])} to {short(found['high'])}"


def _dollars(found: Mapping[str, float] | None, which: str) -> str:
    return "unknown" if found is None else dollars(Decimal(str(found[which])))


def _dollars_between(found: Mapping[str, float] | None) -> str:
    return "" if found is None else f"{_dollars(found, 'low')} to {_dollars(found, 'high')}"


async def _made(config: RunConfig) -> None:
    """Make the plan of a config, and say so line by line."""
    watched: list[Progress] = []
    doing = ["reading"]

    async def tell() -> None:
        while True:
            far = f" ({watched[0].kept} of {watched[0].size} examples)" if watched and watched[0].kept else ""
            _say({"doing": doing[0] + far})
            await asyncio.sleep(_TELL_EVERY)

    telling = asyncio.create_task(tell())
    try:
        made = await plan(config, 0, say=lambda said: doing.__setitem__(0, said), watch=watched.append)
    finally:
        telling.cancel()
    _say({"plan": as_values(made)})


def _say(told: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def main() -> None:
    """Plan the config that the first argument names, and write what comes of it as lines of JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the studio's terminal is the studio's
    try:
        asyncio.run(_made(load(Path(sys.argv[1]))))
    except ConfigError as error:
        _say({"problem": str(error).replace(f"{sys.argv[1]}: ", "")[:_LONGEST_ERROR]})
    except CodecLMError as error:
        _say({"problem": str(error)[:_LONGEST_ERROR]})


if __name__ == "__main__":
    main()
