"""A folder is for one training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.training.made_runs import make_run

from codeclm.config_training import TrainingConfig
from codeclm.errors import ConfigError, RunDirectoryError
from codeclm.training import checkpoints
from codeclm.training.data import read_data
from codeclm.training.record import RECORD, check_same, identity, outcome, write


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def same(tmp_path: Path, model: Path) -> Any:
    """``same(epochs=2)``: the identity of a training with these settings."""
    data = read_data(make_run(tmp_path / "run"), "sft")
    return lambda seed=0, **settings: identity(str(model), data, TrainingConfig(**settings), seed)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_the_same_again_is_known(out: Path, same: Any) -> None:
    assert check_same(out, same()) is None
    write(out, {"state": "running", **same()})
    assert (check_same(out, same()) or {})["state"] == "running"


@pytest.mark.parametrize("free", [{"device_batch": 2}, {"save_every": 7}, {"memory_check": False}])
def test_how_the_work_is_done_may_change(out: Path, same: Any, free: dict[str, Any]) -> None:
    write(out, {"state": "running", **same()})
    assert check_same(out, same(**free))


def test_a_training_that_left_no_checkpoint_is_in_nobodys_way(out: Path, same: Any) -> None:
    write(out, {"state": "running", **same()})
    assert check_same(out, same(max_length=512)) is None
    checkpoint = out / checkpoints.FOLDER / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_bytes(b"w")
    assert check_same(out, same(max_length=512)) is None  # torn: it can't be gone on from
    checkpoints.mark_whole(checkpoint, 1.0)
    with pytest.raises(RunDirectoryError, match=r"`training\.max_length` was 2048 and is 512"):
        check_same(out, same(max_length=512))


def test_another_training_is_refused_by_name(out: Path, same: Any, model: Path) -> None:
    write(out, {"state": "complete", **same()})
    with pytest.raises(RunDirectoryError, match=r"`training\.epochs` was 3\.0 and is 2\.0.*--out"):
        check_same(out, same(epochs=2))
    with pytest.raises(RunDirectoryError, match="`seed` was 0 and is 1"):
        check_same(out, same(seed=1))
    (model / "model.safetensors").write_bytes(b"others!")
    with pytest.raises(RunDirectoryError, match="`model_content`"):
        check_same(out, same())


def test_a_template_is_known_by_its_text(out: Path, same: Any, tmp_path: Path) -> None:
    template = tmp_path / "own.jinja"
    template.write_text("one")
    write(out, {"state": "complete", **same(chat_template=template)})
    assert check_same(out, same(chat_template=template))
    template.write_text("two")
    with pytest.raises(RunDirectoryError, match=r"`training\.chat_template`"):
        check_same(out, same(chat_template=template))


def test_a_folder_of_something_else_is_refused(out: Path, same: Any) -> None:
    (out / ".lock").touch()
    (out / "training.json.partial").touch()
    assert check_same(out, same()) is None
    (out / "thesis.txt").touch()
    with pytest.raises(RunDirectoryError, match=r"no training \(thesis\.txt\)"):
        check_same(out, same())


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"model": 1}'])
def test_a_record_that_is_none_is_refused(out: Path, same: Any, content: bytes) -> None:
    (out / RECORD).write_bytes(content)
    with pytest.raises(RunDirectoryError, match="not the record of a training"):
        check_same(out, same())


def test_what_a_record_tells(out: Path, same: Any) -> None:
    values = {**same(), "adapter": True, "losses": [[1, 2.5], [2, 2.0]], "tokens": 30, "seconds": 1.5}
    write(out, values)
    trained = outcome(out, orjson.loads((out / RECORD).read_bytes()), already=True)
    assert (trained.steps, trained.losses, trained.tokens, trained.adapter) == (2, ((1, 2.5), (2, 2.0)), 30, True)


@pytest.mark.parametrize("torn", ["[]", "{", "3"])
def test_a_torn_adapter_is_told(same: Any, model: Path, torn: str) -> None:
    (model / "adapter_config.json").write_text(torn)
    with pytest.raises(ConfigError, match=r"--model .*: its adapter can't be read: .*adapter_config\.json"):
        same()
