"""One run of distilabel: `distilabel_worker.py BASE_URL CALLS IN_FLIGHT` asks CALLS distinct prompts.

Runs in distilabel's own environment, started by benchmarks/peers.py. Ends with 0 only if every prompt has its answer.

The pipeline is the documented one, LoadDataFromDicts >> TextGeneration(OpenAILLM). A task sends the calls of one batch
together and waits for all of them, so concurrency is `input_batch_size`; the loader hands over all rows at once, which
saves messages between its processes. peers.py sets DISTILABEL_LOG_LEVEL=WARNING, or each call would write a log line:
distilabel silences the HTTP client of older openai packages, not that of this one.
"""

import sys

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def main(base_url: str, calls: int, in_flight: int) -> None:
    """Ask, and check that every answer came."""
    rows = [
        {"instruction": f"Instruction {number}: say something short about the number {number}."}
        for number in range(calls)
    ]
    with Pipeline(name="fixed") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=len(rows))
        llm = OpenAILLM(model="fixed", base_url=base_url, api_key="none")
        load >> TextGeneration(llm=llm, input_batch_size=in_flight)
    answers = pipeline.run(use_cache=False)["default"]["train"]["generation"]
    if len(answers) != calls or not all(answers):
        raise SystemExit(f"{len(answers)} answers to {calls} prompts, {sum(map(bool, answers))} of them not empty")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
