"""What is printed of an evaluation."""

from __future__ import annotations

import pytest

from codeclm.cli.evaluation_screen import _paired


@pytest.mark.parametrize(("p", "told"), [(0.0004, "p < 0.001."), (0.0014, "p = 0.001."), (0.5, "p = 0.500.")])
def test_no_chance_is_told_as_none(p: float, told: str) -> None:
    test = {"first": "a", "second": "b", "items": 80, "difference": 0.2, "interval": (0.1, 0.3), "p": p}
    assert _paired(test).endswith(told)
