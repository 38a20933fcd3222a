"""The readers on files people really have: public seeds and benchmarks, kept outside the project."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from codeclm.dataset.seeds import read_seeds

DATA = Path(os.environ.get("CODECLM_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the public data files; set CODECLM_SHARED_DATA")


@pytest.mark.parametrize(
    ("name", "rows", "first_id"),
    [
        ("self_instruct_seed_175.jsonl", 175, "seed_task_0"),
        ("benchmarks/vicuna.jsonl", 80, "vicuna-1"),
        ("benchmarks/self_instruct.jsonl", 252, "user_oriented_task_0"),
        ("benchmarks/koala.jsonl", 180, "koala_0"),
        ("benchmarks/ifeval.jsonl", 541, "ifeval.jsonl:1"),
    ],
)
def test_every_row_is_read(name: str, rows: int, first_id: str) -> None:
    read = read_seeds(DATA / name)
    assert (len(read.seeds), read.duplicates, read.seeds[0].id) == (rows, 0, first_id)


def test_inputs_come_with_their_instructions() -> None:
    path = DATA / "self_instruct_seed_175.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    expected = [(row["instruction"], row["instances"][0]["input"]) for row in rows]
    assert sum(bool(given) for _, given in expected) == 125
    read = [seed.instruction for seed in read_seeds(path).seeds]
    assert read == [f"{text}\n\n{given}" if given else text for text, given in expected]
