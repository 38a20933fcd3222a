"""What the test tube leaves: ``table.md``, ``page.html`` and ``results.json`` in one folder.

All three are pure functions of the results and of ``about``: the same give the same bytes, in whichever order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.test_tube import page, table
from benchmarks.test_tube.claims import Checked, check
from benchmarks.test_tube.conditions import ByCondition, by_condition
from benchmarks.test_tube.notes import notes
from benchmarks.test_tube.results import Result
from codeclm import run_directory

TABLE: Final = "table.md"
PAGE: Final = "page.html"
RESULTS: Final = "results.json"

_INDENTED: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


def write(folder: Path, results: Iterable[Result], about: Mapping[str, str]) -> None:
    """Write the three files into ``folder``, which is made if it is not there; each is written whole or not at all.

    Raises ValueError for two results of one condition at one seed, and OutputError where a file can't be written.
    """
    results = list(results)
    found = by_condition(results)
    folder.mkdir(parents=True, exist_ok=True)
    text = table.markdown(table.tables(found), notes(found), about)
    run_directory.write(folder / TABLE, text.encode(errors="replace"))
    page.write(folder / PAGE, results, about)
    run_directory.write(folder / RESULTS, orjson.dumps(_as_json(found, about), option=_INDENTED))


def _as_json(found: ByCondition, about: Mapping[str, str]) -> dict[str, Any]:
    return {
        "about": dict(about),
        "claims": [_claim(one) for one in check(found)],
        "results": [asdict(one) for of_seeds in found.values() for one in of_seeds.values()],
    }


def _claim(one: Checked) -> dict[str, Any]:
    return {
        **asdict(one.claim),
        "difference": asdict(one.difference),
        "held": one.held,
        "seeds": one.seeds,
        "holds": one.verdict.value,
    }
