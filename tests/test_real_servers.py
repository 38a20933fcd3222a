"""Runs against inference servers nobody here wrote: models of random weights talk nonsense, and nothing crashes.

``transformers serve`` comes with the packages of `make test`. vLLM wants an environment of its own: the variable
CODECLM_TEST_VLLM_PYTHON names its Python.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.running import BUNDLED_SEEDS, codeclm, manifest, rows, run_until, simulator_process, write_config
from tests.tiny_model import make_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SERVES = ("torch", "transformers", "accelerate", "fastapi", "uvicorn", "openai")
VLLM_PYTHON = os.environ.get("CODECLM_TEST_VLLM_PYTHON", "")
NONSENSE = {"unparseable", "truncated", "empty"}
READY_WITHIN = 200.0  # seconds; on two busy cores transformers needs 10 to 20, vLLM 40


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model of random weights, with room for every prompt."""
    pytest.importorskip("torch", reason="making a model needs torch")
    pytest.importorskip("transformers", reason="making a model needs transformers")
    return make_tiny_model(tmp_path_factory.mktemp("weights"), hidden=128, context=8192)


@pytest.fixture(scope="module")
def transformers_model(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A model's config for `transformers serve`."""
    missing = [name for name in SERVES if find_spec(name) is None]
    if missing:
        pytest.skip(f"`transformers serve` needs {', '.join(missing)}")
    command: list[str | Path] = [Path(sys.executable).with_name("transformers"), "serve", weights, "--device", "cpu"]
    with serving(command, tmp_path_factory.mktemp("transformers")) as base_url:
        yield {"model": str(weights), "base_url": base_url, "max_in_flight": 2, "max_tokens": 32, "retries": 2}


@pytest.fixture(scope="module")
def vllm_model(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A model's config for vLLM, which keeps to JSON schemas."""
    command: list[str | Path] = [
        VLLM_PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", weights, "--served-model-name", "tiny",
        "--dtype", "float32", "--max-model-len", "8192", "--enforce-eager",
        # Random weights would else fill their JSON with spaces.
        "--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}',
    ]  # fmt: skip
    with serving(command, tmp_path_factory.mktemp("vllm"), VLLM_CPU_KVCACHE_SPACE="1") as base_url:
        # Its build for CPUs crashes when a sampling seed meets a prompt worked on in pieces (chunked prefill).
        yield {"model": "tiny", "base_url": base_url, "max_tokens": 512, "retries": 2, "extra_body": {"seed": None}}


@contextmanager
def serving(command: Sequence[str | Path], folder: Path, **environment: str) -> Iterator[str]:
    """The base_url of a server while it runs; it is offline and has one thread a process, best for a tiny model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*map(str, command), "--host", "127.0.0.1", "--port", str(port)],
            stdout=output, stderr=output, env=os.environ | own | environment, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_WITHIN
        while not healthy(port):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def config_with(folder: Path, *, strong: Mapping[str, Any], target: Mapping[str, Any], **values: Any) -> Path:
    """A config with few seeds and these models."""
    folder.mkdir(exist_ok=True)
    (folder / "seeds.jsonl").write_text("".join(BUNDLED_SEEDS.read_text().splitlines(keepends=True)[:6]))
    models = {"strong": dict(strong), "target": dict(target)}
    return write_config(
        folder, "", models=models, **({"seeds": "seeds.jsonl", "size": 10, "method": {"pool": 0}} | values)
    )


def recorded(run: Path) -> dict[bytes, bytes]:
    """The replies in a run's journal, by their calls' keys."""
    with closing(sqlite3.connect(run / "journal.sqlite")) as journal:
        return dict(journal.execute("SELECT key, reply FROM calls").fetchall())


def test_nonsense_from_the_strong_model_ends_the_run_with_each_seed_among_the_failures(
    transformers_model: dict[str, Any], tmp_path: Path
) -> None:
    done = codeclm("run", config_with(tmp_path, strong=transformers_model, target=transformers_model))
    assert done.status == 1, done
    assert "error: None of the 6 seeds could be encoded" in done.error
    assert "Traceback" not in done.err
    found = manifest(tmp_path / "run")
    failures = rows(tmp_path / "run" / "failures.jsonl")
    assert found["state"] == "failed"
    assert [row["id"] for row in failures] == [f"seed-{number:06d}" for number in range(6)]
    assert {(row["stage"], row["attempts"]) for row in failures} == {("encode", 3)}
    causes = Counter(row["cause"] for row in failures)
    assert causes.keys() <= NONSENSE
    assert found["failures_by_cause"] == causes
    assert found["counts"]["failed_seeds"] == 6


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_nonsense_from_the_target_stands_beside_each_kept_answer_as_the_rejected_one(
    transformers_model: dict[str, Any], tmp_path: Path, api: str
) -> None:
    target = transformers_model | {"api": api}
    with simulator_process() as simulator:
        strong = {"model": "strong", "base_url": simulator.base_url}
        done = codeclm("run", config_with(tmp_path, strong=strong, target=target))
    assert done.status == 0, done
    examples, preferences = rows(tmp_path / "run" / "examples.jsonl"), rows(tmp_path / "run" / "preferences.jsonl")
    assert len(examples) == len(preferences) == 10
    for example, preference in zip(examples, preferences, strict=True):
        assert example["kept_answer"] == "strong"
        assert preference["chosen"][0]["content"] == example["history"][-1]["strong_answer"]
        assert preference["rejected"][0]["content"] == example["history"][-1]["target_answer"]
    # Random bytes are hardly ever valid UTF-8.
    assert sum("\ufffd" in row["rejected"][0]["content"] for row in preferences) > 5
    assert not any("\ufffd" in row["chosen"][0]["content"] for row in preferences)


def test_killed_half_way_the_run_goes_on_and_makes_no_recorded_call_again(
    transformers_model: dict[str, Any], tmp_path: Path
) -> None:
    with simulator_process() as simulator:
        strong = {"model": "strong", "base_url": simulator.base_url}
        config = config_with(tmp_path, strong=strong, target=transformers_model | {"max_in_flight": 1}, size=20)

        def some_are_judged() -> bool:
            return bool(simulator.stats()["by_prompt"].get("judge", 0) >= 6)

        assert run_until(config, some_are_judged, signal.SIGKILL) == -signal.SIGKILL
        before = recorded(tmp_path / "run")
        done = codeclm("run", config, "--json")
    assert done.status == 0, done
    after = recorded(tmp_path / "run")
    *_, last, end = map(json.loads, done.out.splitlines())
    assert end["manifest"]["examples"] == 20
    assert before.items() < after.items()
    assert last["calls_made"] == len(after) - len(before)
    assert 0 < last["calls_replayed"] <= len(before)
    assert sum(row["calls"] for row in end["manifest"]["calls"]) == len(after)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [({"model": "another"}, "requested 'another'"), ({"extra_body": {"top_k": 5}}, "Unexpected fields in the request")],
)
def test_what_the_server_refuses_is_told_in_its_own_words_before_any_seed_is_sent(
    transformers_model: dict[str, Any], tmp_path: Path, mistake: dict[str, Any], said: str
) -> None:
    config = config_with(tmp_path, strong=transformers_model | mistake, target=transformers_model)
    done = codeclm("run", config)
    assert done.status == 1, done
    assert "error: models.strong" in done.error
    assert said in done.error
    assert {row["stage"] for row in manifest(tmp_path / "run")["calls"]} <= {"handshake"}


@pytest.mark.skipif(not VLLM_PYTHON, reason="CODECLM_TEST_VLLM_PYTHON does not name a Python that has vLLM")
def test_random_json_that_keeps_to_the_schemas_is_counted_by_what_is_wrong_with_it(
    vllm_model: dict[str, Any], tmp_path: Path
) -> None:
    method = {"pool": 8, "patience": 10, "iterations": 2}
    done = codeclm("run", config_with(tmp_path, strong=vllm_model, target=vllm_model, method=method))
    assert done.status in (0, 1), done
    assert "Traceback" not in done.err
    found = manifest(tmp_path / "run")
    failures = rows(tmp_path / "run" / "failures.jsonl")
    causes = Counter(row["cause"] for row in failures)
    assert found["state"] == ("complete" if done.status == 0 else "failed")
    assert found["failures_by_cause"] == causes
    assert causes.keys() <= NONSENSE
    assert all(isinstance(json.loads(row["raw"]), dict) for row in failures if row["cause"] == "unparseable")


@pytest.mark.skipif(not VLLM_PYTHON, reason="CODECLM_TEST_VLLM_PYTHON does not name a Python that has vLLM")
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_vllm_serves_the_target_of_a_run(vllm_model: dict[str, Any], tmp_path: Path, api: str) -> None:
    with simulator_process() as simulator:
        strong = {"model": "strong", "base_url": simulator.base_url}
        target = vllm_model | {"api": api, "max_tokens": 48}
        done = codeclm("run", config_with(tmp_path, strong=strong, target=target))
    assert done.status == 0, done
    assert len(rows(tmp_path / "run" / "preferences.jsonl")) == 10
