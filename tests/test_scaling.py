"""Parts of one large run put together, as docs/scaling.md has it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

SCALING = Path(__file__).parents[1] / "docs" / "scaling.md"


def test_the_parts_of_a_run_are_put_together_without_what_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", SCALING.read_text(), re.DOTALL)
    said = {0: ["Write a poem.", "Sort these numbers upwards."], 1: ["write a POEM", "Explain the tides to a child."]}
    for part, instructions in said.items():
        folder = tmp_path / "runs" / f"part-{part}"
        folder.mkdir(parents=True)
        with (folder / "examples.jsonl").open("w") as file:
            for number, text in enumerate(instructions):
                messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "…"}]
                file.write(json.dumps({"messages": messages, "id": f"{part}{number:05d}.0"}) + "\n")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(SCALING), "exec"), {})
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["000000.0", "000001.0", "100001.0"]
