"""A training that can't work is refused before it starts, and the error says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.running import codeclm
from tests.tiny_model import make_tiny_model
from tests.training.made_runs import assistant, make_run, user, write

from codeclm.config_training import TrainingConfig
from codeclm.errors import ConfigError, InputError, RunDirectoryError
from codeclm.training import devices, extra
from codeclm.training.data import read_data
from codeclm.training.progress import Note, Step
from codeclm.training.refusals import check, resolved
from codeclm.training.train import default_folder, train


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_a_missing_extra_is_one_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "PACKAGES", ("json", "no_such_package"))
    with pytest.raises(ConfigError) as refused:
        train(run, "org/model", TrainingConfig(), tmp_path / "out")
    assert str(refused.value) == "training needs no_such_package. Install: pip install 'codeclm[train]'"


def test_a_tracker_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "PACKAGES", ())
    with pytest.raises(ConfigError, match=r"names no_such_tracker\. Install: pip install no_such_tracker"):
        extra.require(["json", "no_such_tracker"])


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "a/b/c", ""])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no such folder"):
        resolved(name)


def test_a_folder_or_file_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model in this folder"):
        resolved(str(tmp_path))
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ConfigError, match="no GGUF"):
        resolved(str(tmp_path / "model.gguf"))
    assert resolved("org/model") == "org/model"


@pytest.mark.parametrize(
    ("model", "name"), [("org/Llama-3.2-1B", "Llama-3.2-1B"), ("/x/my model/", "my-model"), ("..", "model")]
)
def test_the_folder_by_default(model: str, name: str) -> None:
    assert default_folder(Path("run"), model, TrainingConfig()) == Path("run/models") / f"{name}-sft-lora"


def test_a_folder_where_another_training_works(run: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / ".lock"), pytest.raises(RunDirectoryError, match="another training is at work"):
        train(run, "org/model", TrainingConfig(), out)


def test_bad_usage_of_the_command(run: Path) -> None:
    for arguments, said in [
        ((run, "--model", "./nowhere"), "there is no such folder"),
        ((run, "--model", "m", "--preset", "best"), "best"),
    ]:
        done = codeclm("train", *arguments)
        assert done.status == 2, done
        assert said in done.error


@pytest.mark.parametrize(
    ("wanted", "kind", "found"), [("auto", "cpu", "fp32"), ("bf16", "cpu", "bf16"), ("auto", "xpu", "bf16")]
)
def test_the_precision_of_a_device(wanted: Any, kind: str, found: str) -> None:
    assert devices.resolve_precision(wanted, devices.Device(kind, kind, None)) == found


def test_a_precision_that_the_device_has_not(run: Path) -> None:
    with pytest.raises(ConfigError, match="fp16 needs a CUDA GPU"):
        devices.resolve_precision("fp16", devices.Device("cpu", "CPU", None))
    with pytest.raises(ConfigError, match="mps has no bf16"):
        devices.resolve_precision("bf16", devices.Device("mps", "mps", None))


needs_trl = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


class Tried:
    """A tiny model, and what is said when it is trained with some settings."""

    def __init__(self, folder: Path, run: Path) -> None:
        self.model = make_tiny_model(folder / "model", hidden=32)
        self.run = run
        self.out = folder / "out"
        self.notes: list[str] = []

    def refused(self, kind: type[Exception], **settings: Any) -> str:
        """The error, with nothing left in the folder but the lock."""
        with pytest.raises(kind) as refused:
            train(self.run, str(self.model), TrainingConfig(**settings), self.out, tell=self.tell)
        assert {path.name for path in self.out.iterdir()} <= {".lock"}
        return str(refused.value)

    def tell(self, told: Note | Step) -> None:
        assert isinstance(told, Note)
        self.notes.append(told.text)

    def change_template(self, template: str) -> None:
        (self.model / "chat_template.jinja").write_text(template)


@pytest.fixture
def tried(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> Tried:
    for package in extra.PACKAGES:
        pytest.importorskip(package, reason=f"training needs {package}: {extra.INSTALL}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Tried(tmp_path, run)


class TestWithTheLibraries:
    pytestmark = needs_trl

    def test_examples_longer_than_the_model(self, tried: Tried) -> None:
        write(tried.run / "examples.jsonl", [{"messages": [user("?"), assistant("x" * 600)]}] * 3)
        said = tried.refused(ConfigError)
        assert "`training.max_length` 2048 is above the 512 tokens" in said
        assert "--set training.max_length=512" in said

    def test_instructions_that_leave_no_room_for_answers(self, tried: Tried) -> None:
        write(tried.run / "examples.jsonl", [{"messages": [user("?" * 100), assistant("x")]}] * 3)
        said = tried.refused(InputError, max_length=64)
        assert "in every example the instruction alone fills training.max_length, 64 tokens" in said
        assert "up to 512" in said

    def test_examples_that_are_cut_are_counted(self, tried: Tried) -> None:
        answers, questions = ("x" * 10, "x" * 100, "x"), ("?", "?", "?" * 100)
        turns = [[user(question), assistant(answer)] for question, answer in zip(questions, answers, strict=True)]
        write(tried.run / "examples.jsonl", [{"messages": messages} for messages in turns])
        settings = TrainingConfig(max_length=64)
        found = check(str(tried.model), read_data(tried.run, "sft"), settings, tried.tell)
        assert (found.lengths.count, found.lengths.cut, found.lengths.lost) == (3, 2, 1)
        assert tried.notes == [
            "3 examples, the longest of 105 tokens.",
            "2 are longer than training.max_length 64 and are cut; 1 of them have no answer left, and are left out.",
        ]

    def test_pairs_that_leave_no_room_for_answers(self, tried: Tried) -> None:
        pair = {"prompt": [user("?" * 100)], "chosen": [assistant("x")], "rejected": [assistant("y")]}
        write(tried.run / "preferences.jsonl", [pair] * 2)
        assert "the instruction alone fills" in tried.refused(InputError, max_length=64, objective="dpo")

    def test_a_template_that_marks_no_answers(self, tried: Tried) -> None:
        tried.change_template("{% for message in messages %}{{ message.role + message.content }}{% endfor %}")
        said = tried.refused(ConfigError)
        assert "--set training.assistant_only=false" in said
        assert "--set training.chat_template=FILE" in said

    def test_no_template_at_all(self, tried: Tried) -> None:
        (tried.model / "chat_template.jinja").unlink()
        assert "has no chat template" in tried.refused(ConfigError)
        assert "can't be read" in tried.refused(ConfigError, chat_template=tried.run / "none.jinja")

    def test_a_template_that_can_not_write_a_row(self, tried: Tried) -> None:
        own = tried.run / "own.jinja"
        own.write_text("{{ raise_exception('no such role') }}")
        said = tried.refused(InputError, chat_template=own, assistant_only=False)
        assert "row 1: the chat template can't write it (TemplateError: no such role)" in said

    def test_too_little_memory(self, tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(devices, "free_memory", lambda: 2**20)
        said = tried.refused(ConfigError, preset="paper", device_batch=64)
        assert "1 MiB are free on CPU" in said
        assert "weights 0 MiB, gradients 0 MiB" in said
        assert "--set training.device_batch=1" in said
        assert "--set training.memory_check=false" in said

    def test_an_adapter_and_all_weights(self, tried: Tried, tmp_path: Path) -> None:
        values = {"base_model_name_or_path": str(tried.model), "r": 8}
        tried.model = tmp_path / "adapter"
        tried.model.mkdir()
        (tried.model / "adapter_config.json").write_text(json.dumps(values))
        assert "Use --preset lora" in tried.refused(ConfigError, preset="paper")
        (tried.model / "adapter_config.json").write_text("{}")
        assert "names no base_model_name_or_path" in tried.refused(ConfigError)

    def test_a_model_that_is_nowhere(self, tried: Tried) -> None:
        tried.model = Path("no-such-org/no-such-model")
        said = tried.refused(ConfigError)
        assert "can't be loaded" in said
        assert "Name a folder" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_template_that_trl_knows_is_marked_as_trl_does(tried: Tried) -> None:
    """Qwen3's own template has no marks; TRL has a copy that has, and trains by it."""
    import trl
    from transformers import AutoTokenizer

    from codeclm.training.lengths import training_template

    tried.change_template((Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text())
    tokenizer = AutoTokenizer.from_pretrained(tried.model)
    template, remark = training_template(tokenizer)
    assert template is not None
    assert "generation" in template
    assert remark


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_adapters_parameters_are_counted_as_peft_does(tried: Tried) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from codeclm.training.arguments import lora_arguments
    from codeclm.training.memory import shape_of

    shape = shape_of(AutoConfig.from_pretrained(tried.model))
    model = AutoModelForCausalLM.from_pretrained(tried.model)
    assert shape.parameters == model.num_parameters()
    adapted = get_peft_model(model, LoraConfig(**lora_arguments(TrainingConfig(lora_rank=4))))
    assert shape.trained(4) == adapted.get_nb_trainable_parameters()[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_weights_that_are_torn_or_not_there(tried: Tried) -> None:
    weights = tried.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors: not whole" in tried.refused(ConfigError)
    weights.unlink()
    assert "no weights in this folder" in tried.refused(ConfigError)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_an_adapter_whose_model_is_gone(tried: Tried) -> None:
    (tried.model / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/no/where", "r": 16}))
    assert "the model it belongs to is not at /no/where" in tried.refused(ConfigError)
