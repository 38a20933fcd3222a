"""A training that can't work is refused before it starts, with what to do about it.

In this order, cheapest first: the model is there, the batch can be made, the device has the precision, the chat
template can be trained on, the examples fit the model, the memory is enough.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeclm.config_training import TrainingConfig
from codeclm.errors import ConfigError, InputError
from codeclm.training import memory
from codeclm.training.arguments import accumulation
from codeclm.training.data import TrainingData
from codeclm.training.devices import Device, Precision, find_device, resolve_precision, world_size
from codeclm.training.lengths import Lengths, measure, set_template, training_template
from codeclm.training.progress import Note, Tell
from codeclm.weights import adapter_in

_ADAPTER = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Checked:
    """A training nothing speaks against, and what was found out on the way. ``need`` is None where it can't be told."""

    base: str
    tokenizer: Any
    data: TrainingData
    settings: TrainingConfig
    lengths: Lengths
    precision: Precision
    device: Device
    need: memory.Need | None


def resolved(model: str) -> str:
    """The model's folder in full, or its name on the hub as it is. Raises ConfigError where there is no such folder."""
    path = Path(model).expanduser()
    if model.strip() and path.is_dir():
        if not any((path / name).is_file() for name in ("config.json", _ADAPTER)):
            raise ConfigError(f"--model {model}: no model in this folder: it has no config.json or {_ADAPTER}.")
        return str(path.resolve())
    if path.is_file():
        raise ConfigError(f"--model {model}: a file. Name the folder of a model that transformers reads; no GGUF.")
    if model.startswith((".", "/", "~")) or model.count("/") > 1 or not model.strip():
        raise ConfigError(f"--model {model}: there is no such folder.")
    return model


def check(model: str, data: TrainingData, settings: TrainingConfig, tell: Tell) -> Checked:
    """Raise ConfigError or InputError where the training can't work, else say what was found."""
    accumulation(settings, world_size())
    device = find_device()
    precision = resolve_precision(settings.precision, device)
    base = _base_of(model, settings, tell)
    config, tokenizer = _loaded(model, base)
    for folder in dict.fromkeys((model, base)):
        _check_weights(Path(folder))
    set_template(tokenizer, settings.chat_template)
    template, remark = None, ""
    if settings.assistant_only and data.objective == "sft":
        template, remark = training_template(tokenizer)
    lengths = measure(tokenizer, data, settings, template)
    _check_lengths(lengths, data, settings, _context(config))
    for text in (remark, *_said(lengths, settings)):
        if text:
            tell(Note(text))
    need = _check_memory(config, settings, lengths, precision, device)
    return Checked(base, tokenizer, data, settings, lengths, precision, device, need)


def _base_of(model: str, settings: TrainingConfig, tell: Tell) -> str:
    """The model itself or, where it is an adapter, the one it belongs to."""
    adapter = adapter_in(Path(model))
    if adapter is None:
        return model
    base, rank = adapter.base, adapter.rank
    if not settings.lora_rank:
        raise ConfigError(
            f"--model {model}: an adapter, and training.lora_rank 0 trains all weights. Use --preset lora, which goes "
            "on with the adapter, or merge it into its model first."
        )
    if rank != settings.lora_rank:
        tell(Note(f"The adapter is trained on as it is: its rank is {rank}, whatever training.lora_rank says."))
    try:
        return resolved(base)
    except ConfigError:
        raise ConfigError(
            f"--model {model}: an adapter, and the model it belongs to is not at {base}. Put it back, or name its "
            f"folder in {_ADAPTER}."
        ) from None


def _loaded(model: str, base: str) -> tuple[Any, Any]:
    """The base's config and the tokenizer. Raises ConfigError where they can't be had."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(base)
        own = Path(model) / "tokenizer_config.json"
        return config, AutoTokenizer.from_pretrained(model if own.is_file() else base)
    except (OSError, ValueError, KeyError, ImportError) as error:
        offline = " The hub is off (HF_HUB_OFFLINE)." if os.environ.get("HF_HUB_OFFLINE") else ""
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(
            f"--model {model}: can't be loaded ({said[0][:300]}).{offline} Name a folder, or a model of "
            "huggingface.co; a gated one needs `hf auth login`."
        ) from None


def _check_weights(folder: Path) -> None:
    """Raise ConfigError where a folder has no weights, or torn ones; a model of the hub is not looked at."""
    from safetensors import SafetensorError, safe_open

    if not folder.is_dir():
        return
    found = sorted(folder.glob("*.safetensors"))
    if not found and not any(folder.glob("*.bin")):
        raise ConfigError(f"--model {folder}: no weights in this folder: it has no .safetensors.")
    for path in found:
        try:
            with safe_open(path, framework="pt"):
                continue
        except (SafetensorError, OSError) as error:
            raise ConfigError(f"{path}: not whole ({error}). Download or copy the model again.") from None


def _context(config: Any) -> int | None:
    """Tokens the model was made for, where its config says."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def _check_lengths(lengths: Lengths, data: TrainingData, settings: TrainingConfig, context: int | None) -> None:
    if context and min(lengths.longest, settings.max_length) > context:
        raise ConfigError(
            f"`training.max_length` {settings.max_length} is above the {context} tokens the model was made for, and "
            f"{data.path.name} has an example of {lengths.longest}. Cut them: --set training.max_length={context}"
        )
    if lengths.lost == lengths.count:
        raise InputError(
            f"{data.path}: in every example the instruction alone fills training.max_length, {settings.max_length} "
            f"tokens, so there is no answer left to learn. The longest has {lengths.longest}: raise it"
            f"{f', up to {context}' if context else ''}."
        )


def _said(lengths: Lengths, settings: TrainingConfig) -> tuple[str, ...]:
    """What people should know of the lengths."""
    kept = f"{lengths.count:,} examples, the longest of {lengths.longest:,} tokens."
    if not lengths.cut:
        return (kept,)
    lost = f"; {lengths.lost:,} of them have no answer left, and are left out" if lengths.lost else ""
    return (kept, f"{lengths.cut:,} are longer than training.max_length {settings.max_length:,} and are cut{lost}.")


def _check_memory(
    config: Any, settings: TrainingConfig, lengths: Lengths, precision: Precision, device: Device
) -> memory.Need | None:
    """The estimate. Raises ConfigError where the device has not got so much free."""
    try:
        shape = memory.shape_of(config)
    except (ValueError, AttributeError, KeyError, TypeError):  # an architecture that is made otherwise
        return None

    def need(of: TrainingConfig) -> memory.Need:
        return memory.estimate(shape, of, lengths.longest, precision, gpu=device.kind != "cpu")

    found = need(settings)
    if not settings.memory_check or device.free is None or found.total <= device.free:
        return found
    for setting, smaller in memory.smaller(settings):
        if need(smaller).total <= device.free:
            remedy = f"About {memory.in_words(need(smaller).total)} would do with {setting}"
            break
    else:
        remedy = "Choose a smaller model"
    raise ConfigError(
        f"this training needs about {memory.in_words(found.total)} and {memory.in_words(device.free)} are free on "
        f"{device.name}: {_parts(found)}. {remedy}. To try all the same: --set training.memory_check=false"
    )


def _parts(need: memory.Need) -> str:
    parts = {
        "weights": need.weights,
        "gradients": need.gradients,
        "optimizer": need.optimizer,
        "the model it is compared with": need.reference,
        "activations": need.activations + need.head,
    }
    return ", ".join(f"{name} {memory.in_words(size)}" for name, size in parts.items() if size)
