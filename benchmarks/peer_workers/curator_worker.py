"""One run of Bespoke Curator: `curator_worker.py BASE_URL CALLS IN_FLIGHT` asks CALLS distinct prompts.

Runs in Curator's own environment, started by benchmarks/peers.py. Ends with 0 only if every prompt has its answer.

Concurrency is `max_concurrent_requests`, and the limits per minute are set out of the way (left out, Curator keeps to
200 requests a minute). The `openai` backend is Curator's fastest: it posts with aiohttp, while `litellm` wraps every
call. Once per process it posts an empty `messages` to read rate limits from the headers of the refusal. It counts
prompt tokens with tiktoken, whose vocabulary would be downloaded: the copy inside litellm is used instead.
"""

import os
import sys
from importlib.resources import files

from bespokelabs import curator

os.environ["TIKTOKEN_CACHE_DIR"] = str(files("litellm").joinpath("litellm_core_utils", "tokenizers"))


def main(base_url: str, calls: int, in_flight: int) -> None:
    """Ask, and check that every answer came."""
    llm = curator.LLM(
        model_name="fixed",
        backend="openai",
        backend_params={
            "base_url": base_url,
            "max_concurrent_requests": in_flight,
            "max_requests_per_minute": 10**8,
            "max_tokens_per_minute": 10**12,
        },
    )
    prompts = [f"Instruction {number}: say something short about the number {number}." for number in range(calls)]
    answers = llm(prompts).dataset["response"]
    if len(answers) != calls or not all(answers):
        raise SystemExit(f"{len(answers)} answers to {calls} prompts, {sum(map(bool, answers))} of them not empty")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
