"""The dataset card of a run: the README.md the Hugging Face Hub shows, made from the manifest and the example rows.

A pure function, so the card of a run is always the same. Names that models or users wrote (use cases, skills, models)
are untrusted: they are clipped, and every character Markdown, HTML or a link could be made of is written as an entity.
Endpoints' addresses stay out of the card, for a card is published and they may be internal.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import yaml

from codeclm.config import SIMULATOR
from codeclm.dataset.columns import hub_features

_TOP = 10
_CLIP = 80
_MARKUP: Final = re.compile(r"[\\`*_~\[\](){}<>|&$#!:@\"']|(?<=[wW]{3})\.")
_JOINERS: Final = "\u200c\u200d"  # part of the spelling of some scripts and emoji

Manifest = Mapping[str, Any]


def dataset_card(manifest: Manifest, examples: Iterable[Mapping[str, Any]]) -> str:
    """The card as Markdown with a YAML head. ``examples`` is read once: example rows, or just their metadata."""
    use_cases: Counter[str] = Counter()
    skills: Counter[str] = Counter()
    for row in examples:
        use_cases[row["use_case"]] += 1
        skills.update(row["skills"])
    size = use_cases.total()  # what is there, which in a stopped run is less than what was asked for
    sections = [
        _head(size, simulated=_is_simulated(manifest)),
        _introduction(manifest, size),
        _numbers(manifest),
        "## What it is about\n\n" + _top("use case", use_cases) + "\n\n" + _top("skill", skills),
        "## What it cost\n\n" + _calls(manifest["calls"]),
        "## How it was made\n\n" + _method(manifest),
        _FIELDS,
        _USE,
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def escape(text: object) -> str:
    """Untrusted text as one line that shows as itself wherever Markdown allows inline text."""
    visible = (c for c in str(text) if c in _JOINERS or c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join("".join(visible).split())
    clipped = line if len(line) <= _CLIP else line[:_CLIP] + "…"
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", clipped)


def _is_simulated(manifest: Manifest) -> bool:
    return any(model["base_url"] == SIMULATOR for model in manifest["models"].values())


def _head(size: int, *, simulated: bool) -> str:
    limits = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M")
    values = {
        "task_categories": ["text-generation"],
        "size_categories": [names[sum(size >= limit for limit in limits)]],
        "tags": ["codeclm", "synthetic", "instruction-tuning", *(["simulated"] if simulated else [])],
        "configs": [
            {"config_name": "examples", "data_files": "examples.jsonl", "default": True},
            {"config_name": "preferences", "data_files": "preferences.jsonl"},
        ],
        "dataset_info": [{"config_name": "examples", "features": hub_features()}],
    }
    license_note = "# license: yours to choose before you publish; see the known limits below\n"
    return f"---\n{license_note}{yaml.safe_dump(values, sort_keys=False)}---"


def _introduction(manifest: Manifest, size: int) -> str:
    strong, target = (escape(manifest["models"][role]["model"]) for role in ("strong", "target"))
    paragraphs = [f"# Instruction data tailored to {target}"]
    if _is_simulated(manifest):
        paragraphs.append("> **Warning: simulated text: for rehearsal, not for training.** No real model wrote it.")
    paragraphs.append(
        f"{size:,} example{'' if size == 1 else 's'}, each an instruction with one answer, made by the strong model "
        f"{strong} for fine-tuning the target model {target}. They were made with "
        f"codeclm {escape(manifest['codeclm'])}, an open implementation of CodecLM "
        "([Wang et al., 2024, arXiv:2404.05875](https://arxiv.org/abs/2404.05875)): seed instructions are encoded into "
        "metadata (a use case and skills), the metadata is decoded into new instructions, these are made harder by "
        "rubrics of their own, and one is kept once the two models' answers score far enough apart."
    )
    if manifest["state"] != "complete":
        state = escape(manifest["state"])
        paragraphs.append(
            f"The run is not complete: its state is {state}, and {manifest['size']:,} examples were asked for."
        )
    return "\n\n".join(paragraphs)


def _numbers(manifest: Manifest) -> str:
    counts = manifest["counts"]
    names = {
        "seeds": "seeds",
        "failed_seeds": "seeds that could not be encoded",
        "entries": "metadata entries",
        "mixed_entries": "of these made by mixing",
        "turned_away_pairs": "mixed pairs turned away",
        "failed_pairs": "mixed pairs that failed",
        "slots": "decodings",
        "failed_slots": "decodings that failed",
        "instructions": "instructions decoded",
        "kept": "kept",
        "discarded": "discarded, the scores being too close",
        "duplicate": "dropped as duplicates",
        "surplus": "beyond the size asked for",
        "failed": "failed",
    }
    rows: list[tuple[object, ...]] = [(name, f"{counts[key]:,}") for key, name in names.items() if key in counts]
    by_iteration = sorted(manifest["kept_by_iteration"].items(), key=lambda item: int(item[0]))
    rows += [(f"kept at iteration {escape(number)}", f"{kept:,}") for number, kept in by_iteration]
    rows += [(f"failed: {escape(cause)}", f"{n:,}") for cause, n in sorted(manifest["failures_by_cause"].items())]
    if manifest["mean_gap"] is not None:
        rows.append(("mean gap of the examples, whichever answer was better", f"{manifest['mean_gap']:.2f}"))
    kept = counts["kept"]
    share = f" ({manifest['kept_target_answers'] / kept:.0%})" if kept else ""
    rows.append(("answers kept from the target model", f"{manifest['kept_target_answers']:,}{share}"))
    return "## The run in numbers\n\n" + _table(("", "count"), rows)


def _top(name: str, counted: Counter[str]) -> str:
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
    return _table((f"{name} ({len(counted):,} in all)", "examples"), [(escape(text), f"{n:,}") for text, n in ranked])


def _calls(calls: Iterable[Mapping[str, Any]]) -> str:
    numbers = ("calls", "prompt_tokens", "completion_tokens", "seconds")
    rows = [
        (escape(call["stage"]), escape(call["model"]), *(f"{call[number]:,.0f}" for number in numbers))
        for call in calls
    ]
    return _table(("stage", "model", "calls", "prompt tokens", "completion tokens", "seconds"), rows)


def _method(manifest: Manifest) -> str:
    models = [(f"{escape(role)} model", escape(model["model"])) for role, model in manifest["models"].items()]
    settings = [(escape(key), escape(_listed(value))) for key, value in manifest["method"].items()]
    hashes = [(f"{name} (sha256)", escape(manifest[f"{name}_sha256"])) for name in ("config", "seeds")]
    return _table(("setting", "value"), [*models, *settings, *hashes])


def _listed(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


_FIELDS: Final = """\
## How an example is built

A line of `examples.jsonl`:

| field | what it holds |
| --- | --- |
| `messages` | what to train on: the instruction as the user, the better answer as the assistant |
| `id` | the slot and the number of the instruction in it |
| `use_case`, `skills` | the metadata it was decoded from |
| `seed_ids` | the seeds this metadata was read from; empty where it was mixed or written by hand |
| `entry` | the metadata entry |
| `iteration` | the iteration that decided; 1 is the basic instruction |
| `kept_answer` | whose answer scored higher: `strong` or `target` |
| `gap` | the strong model's score less the target model's |
| `scores` | the mean scores from 1 to 10, and the pairs (strong, target) with either answer shown first |
| `history` | each iteration: instruction, the action that improved it, both answers, their scores and gap |

`preferences.jsonl` holds the same instructions as `prompt`, the better answer as `chosen`, the other as `rejected`."""

_USE: Final = """\
## How to use it

```python
from datasets import load_dataset
from trl import DPOTrainer, SFTTrainer

examples = load_dataset("path/to/this/folder", "examples", split="train")
SFTTrainer(model="path/to/the/target-model", train_dataset=examples).train()

preferences = load_dataset("path/to/this/folder", "preferences", split="train")
DPOTrainer(model="path/to/the/target-model", train_dataset=preferences).train()
```"""

_LIMITS: Final = """\
## Known limits

- **Terms.** The text was made by models. Check the terms of the strong model before you train on it or publish it. No
  license is set here: choose one they allow, and put it into the head of this file.
- **Facts.** Nobody has checked the answers. A fluent answer may be wrong.
- **Scores.** An LLM judged the answers. Showing them in both orders evens out its preference for a place, not its
  preference for length, style or its own text.
- **Coverage.** The instructions go no further than their use cases and skills, and share the strong model's bias."""
