"""Trainings by the real TRL on a tiny model: they learn, they go on where they were, they leave what they should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.running import CODECLM, codeclm
from tests.tiny_model import make_tiny_model
from tests.training.made_runs import ROWS, example, make_run

from codeclm.config_training import TrainingConfig
from codeclm.edits import Edit, digest, now
from codeclm.errors import RunDirectoryError, RunFailed, Stopped
from codeclm.training import extra
from codeclm.training.progress import Note, Step
from codeclm.training.record import RECORD, Trained
from codeclm.training.train import train

for package in extra.PACKAGES:
    pytest.importorskip(package, reason=f"training needs {package}: {extra.INSTALL}")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]

FULL: dict[str, Any] = {"preset": "paper", "batch": 12, "device_batch": 4, "epochs": 2, "learning_rate": 1e-3}
LORA: dict[str, Any] = {"preset": "lora", "batch": 12, "device_batch": 4, "epochs": 2, "learning_rate": 1e-2}
OFFLINE = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """As many threads as in the processes that are started: sums in another order are other bits."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("model"), hidden=32))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "run")


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    [path] = folder.glob("*.safetensors")
    return dict(load_file(path))


def same_weights(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(bool((left[name] == right[name]).all()) for name in left)


@pytest.mark.parametrize("objective", ["sft", "dpo"])
@pytest.mark.parametrize("settings", [FULL, LORA], ids=["full", "lora"])
def test_the_loss_falls_and_what_is_left_can_be_used(
    tmp_path: Path, run: Path, model: str, settings: dict[str, Any], objective: Any
) -> None:
    told: list[Note | Step] = []
    config = TrainingConfig(**settings, objective=objective)
    trained = train(run, model, config, tmp_path / "out", tell=told.append)
    steps = [step for step in told if isinstance(step, Step)]
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert [(step.number, step.loss) for step in steps] == list(trained.losses)
    assert trained.losses[-1][1] < trained.losses[0][1]
    falls = [before.learning_rate - after.learning_rate for before, after in pairwise(steps)]
    assert falls == pytest.approx([(config.learning_rate - config.final_learning_rate) / 4] * 3)
    assert not (tmp_path / "out" / "checkpoints").exists()
    loads(trained, model)
    record = json.loads((trained.folder / RECORD).read_bytes())
    assert record["state"] == "complete"
    assert record["versions"]["trl"]
    again = train(run, model, config, tmp_path / "out")
    assert again == Trained(
        **{name: getattr(trained, name) for name in again.__slots__ if name != "already"}, already=True
    )


def loads(trained: Trained, base: str) -> None:
    """The files are what transformers and PEFT read, and not the base any more."""
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind = AutoPeftModelForCausalLM if trained.adapter else AutoModelForCausalLM
    with extra.quiet():
        tuned = kind.from_pretrained(trained.folder)
        tokenizer = AutoTokenizer.from_pretrained(trained.folder)
        before = AutoModelForCausalLM.from_pretrained(base)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Say 3."}], return_tensors="pt", return_dict=True)
    assert (tuned(**ids).logits - before(**ids).logits).abs().max() > 1e-4


@pytest.mark.parametrize("settings", [FULL, LORA | {"lora_dropout": 0.2}], ids=["full", "lora"])
def test_a_stopped_training_goes_on_to_the_same_weights(
    tmp_path: Path, run: Path, model: str, settings: dict[str, Any]
) -> None:
    config = TrainingConfig(**settings)
    unbroken = train(run, model, config, tmp_path / "unbroken")

    def stop_at_3(told: Note | Step) -> None:
        if isinstance(told, Step) and told.number == 3:
            raise Stopped("enough")

    with pytest.raises(Stopped, match="after step 3; a checkpoint is saved"):
        train(run, model, config, tmp_path / "broken", tell=stop_at_3)
    numbers: list[int] = []
    resumed = train(
        run, model, config, tmp_path / "broken", tell=lambda told: numbers.append(getattr(told, "number", 0))
    )
    assert numbers[-1:] == [4]
    assert 3 not in numbers
    assert (resumed.losses, resumed.tokens) == (unbroken.losses, unbroken.tokens)
    assert same_weights(tmp_path / "broken", tmp_path / "unbroken")


def test_a_killed_training_goes_on_from_its_last_whole_checkpoint(tmp_path: Path, run: Path, model: str) -> None:
    settings = FULL | {"save_every": 1, "epochs": 6}
    given = [f"--set=training.{name}={value}" for name, value in settings.items()]
    command = [*CODECLM, "train", str(run), "--model", model, "--out", str(tmp_path / "killed"), *given]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | OFFLINE)
    try:
        until(lambda: (tmp_path / "killed/checkpoints/checkpoint-2/whole.json").exists() or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    finally:
        _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    torn = tmp_path / "killed/checkpoints/checkpoint-99"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_step": 99')
    numbers: list[int] = []
    config = TrainingConfig(**settings)
    resumed = train(
        run, model, config, tmp_path / "killed", tell=lambda told: numbers.append(getattr(told, "number", 0))
    )
    assert min(filter(None, numbers)) >= 3
    unbroken = train(run, model, config, tmp_path / "unbroken")
    assert (resumed.losses, resumed.tokens) == (unbroken.losses, unbroken.tokens)
    assert same_weights(tmp_path / "killed", tmp_path / "unbroken")


def until(reached: Any) -> None:
    while not reached():
        time.sleep(0.01)


def test_packed_examples_do_not_see_each_other(tmp_path: Path, run: Path, model: str) -> None:
    """All examples in one step: packed or not, each learns from its own text alone, so the losses are the same."""
    whole = {"preset": "paper", "epochs": 2, "batch": ROWS, "max_length": 256}
    apart = train(run, model, TrainingConfig(**whole, learning_rate=1e-3), tmp_path / "apart")
    packed = train(run, model, TrainingConfig(**whole, learning_rate=1e-3, packing=True), tmp_path / "packed")
    assert packed.steps == apart.steps == 2
    assert [loss for _, loss in packed.losses] == pytest.approx([loss for _, loss in apart.losses], abs=1e-5)


def test_pairs_train_the_adapter_of_an_earlier_training(tmp_path: Path, run: Path, model: str) -> None:
    first = train(run, model, TrainingConfig(**LORA), tmp_path / "sft")
    pairs = TrainingConfig(**LORA, objective="dpo")
    second = train(run, str(first.folder), pairs, tmp_path / "dpo")
    assert second.losses[0][1] == pytest.approx(0.6931, abs=1e-3)  # compared with itself, adapter and all
    assert second.losses[-1][1] < second.losses[0][1]
    loads(second, model)
    adapter = json.loads((second.folder / "adapter_config.json").read_bytes())
    assert adapter["base_model_name_or_path"] == model
    assert not (second.folder / "ref").exists()
    assert not same_weights(first.folder, second.folder)


def test_two_processes_come_to_what_one_does(tmp_path: Path, run: Path, model: str) -> None:
    settings = FULL | {"device_batch": 2}
    one = train(run, model, TrainingConfig(**settings), tmp_path / "one")
    given = [f"--set=training.{name}={value}" for name, value in settings.items()]
    own_port = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *own_port]
    done = subprocess.run(
        [*launcher, "-m", "codeclm", "train", str(run), "--model", model, "--out", str(tmp_path / "two"), *given],
        capture_output=True,
        text=True,
        env=os.environ | OFFLINE,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 1 of 4") == 1  # the first alone speaks
    record = json.loads((tmp_path / "two" / RECORD).read_bytes())
    assert record["machine"]["processes"] == 2
    assert [loss for _, loss in record["losses"]] == pytest.approx([loss for _, loss in one.losses], abs=1e-5)
    assert record["tokens"] == one.tokens


def test_what_people_dropped_is_not_learnt_and_makes_another_training(tmp_path: Path, model: str) -> None:
    run = make_run(tmp_path / "run")
    config = TrainingConfig(**LORA | {"epochs": 1})
    before = train(run, model, config, tmp_path / "before")
    asked, answer = example(3)["messages"]
    of = digest(asked["content"], answer["content"])
    edit = Edit("000003.0", "drop", None, None, of, now())
    (run / "edits.jsonl").write_text(json.dumps(asdict(edit)) + "\n")
    with pytest.raises(RunDirectoryError, match="another training: `data_sha256`"):
        train(run, model, config, tmp_path / "before")
    told: list[Note | Step] = []
    after = train(run, model, config, tmp_path / "after", tell=told.append)
    record = json.loads((after.folder / RECORD).read_bytes())
    assert record["edits"] == {"edited": 0, "dropped": 1, "unfit": 0}
    assert record["examples"]["read"] == json.loads((before.folder / RECORD).read_bytes())["examples"]["read"] - 1
    assert any(isinstance(one, Note) and "dropped 1" in one.text for one in told)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path, run: Path, model: str) -> None:
    settings = TrainingConfig(**FULL | {"learning_rate": 1.0, "epochs": 40, "max_length": 64, "save_every": 1000})
    import torch

    broken = make_tiny_model(tmp_path / "broken", hidden=32)
    from safetensors.torch import load_file, save_file

    values = load_file(broken / "model.safetensors")
    values["model.norm.weight"] = torch.full_like(values["model.norm.weight"], float("inf"))
    save_file(values, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunFailed, match="no longer a number at step 1"):
        train(run, str(broken), settings, tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()


_WATCHED = """
import socket, sys
reached = []
def refuse(*arguments, **_):
    reached.append(arguments[:2])
    raise OSError("the network was reached for")
socket.getaddrinfo = refuse
socket.socket.connect = refuse
sys.argv = ["codeclm", *sys.argv[1:]]
from codeclm.cli.app import main
try:
    main()
finally:
    import threading
    [thread.join(5) for thread in threading.enumerate() if thread is not threading.current_thread()]
    print("REACHED", reached)
"""


def test_a_local_model_trains_without_the_network_and_without_noise(tmp_path: Path, run: Path, model: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "CI")}
    given = ["--set", "training.epochs=1", "--set", "training.batch=24", "--set", "training.device_batch=24"]
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, "train", str(run), "--model", model, "--out", str(tmp_path / "out"), *given],
        capture_output=True,
        text=True,
        env=environment | {"COLUMNS": "100", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "REACHED []" in done.stdout
    assert done.stderr == ""
    said = done.stdout.splitlines()
    assert said[0] == f"{ROWS} examples, the longest of 102 tokens."
    assert said[1].startswith("step 1 of 1, loss 5.")
    assert "codeclm evaluate CONFIG" in done.stdout


def test_ctrl_c_saves_a_checkpoint_and_says_how_to_go_on(tmp_path: Path, run: Path, model: str) -> None:
    out = tmp_path / "out"
    command = [*CODECLM, "train", str(run), "--model", model, "--out", str(out), "--set", "training.epochs=500"]
    process = subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | OFFLINE
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            process.send_signal(signal.SIGINT)
            break
    said, _ = process.communicate()
    assert process.returncode == 130
    assert json.loads(said.splitlines()[-1])["kind"] == "Stopped"
    assert len(list(out.glob("checkpoints/*/whole.json"))) == 1
    assert json.loads((out / RECORD).read_bytes())["state"] == "running"
    busy = codeclm("train", run, "--model", model, "--out", out, "--set", "training.epochs=499", env=OFFLINE)
    assert busy.status == 2
    assert "`training.epochs` was 500.0 and is 499.0" in busy.error
