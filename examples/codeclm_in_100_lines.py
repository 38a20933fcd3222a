"""CodecLM with no abstractions: one call after another, nothing recorded, nothing retried.

    codeclm simulate --port 8080 &
    python examples/codeclm_in_100_lines.py http://127.0.0.1:8080/v1 seeds.jsonl 20

prints as many instructions as asked for, the very ones that `codeclm run` keeps on the same inputs. Read it to see the
method; use the package to have the same with thousands of calls at once, resuming, failures and records.
"""

import hashlib
import json
import random
import re
import sys
import urllib.request

from codeclm.prompts import questions
from codeclm.records import Metadata

POOL, RUBRICS, ITERATIONS, THRESHOLD, PER_ENTRY, MAX_SKILLS, SEED = 200, 4, 4, 3.0, 5, 3, 0


def call(url, model, messages, temperature, seed, schema=None):
    body = {"model": model, "messages": messages, "temperature": temperature, "seed": seed, "max_tokens": 2048}
    if schema:
        named = {"name": schema.name, "schema": schema.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def ask(url, question, temperature=0.7, sample=0):
    messages = [{"role": m.role, "content": m.content} for m in question.messages("json")]
    # The package asks up to three times, so its samples of one question are three apart.
    return question.parse(call(url, "strong", messages, temperature, 3 * sample, question.schema), "json")


def answer(url, model, instruction):
    return call(url, model, [{"role": "user", "content": instruction}], 0.7, 0).strip()


def metadata_pool(url, seeds):
    """Encode every seed, then mix and match until the pool is full (section 3.1)."""
    encoded = [ask(url, questions.encode(seed, max_skills=MAX_SKILLS)) for seed in seeds]
    first = {(entry.use_case, frozenset(entry.skills)): entry for entry in reversed(encoded)}
    pool = [entry for entry in encoded if first[entry.use_case, frozenset(entry.skills)] is entry]
    use_cases = list(dict.fromkeys(entry.use_case for entry in pool))
    skills = list(dict.fromkeys(skill for entry in pool for skill in entry.skills))
    rng, seen = random.Random(f"{SEED}/mix"), set(first)
    while len(pool) < POOL:
        chosen = rng.sample(skills, rng.randint(1, min(MAX_SKILLS, len(skills))))
        pair = Metadata(rng.choice(use_cases), tuple(chosen))
        if (pair.use_case, frozenset(pair.skills)) in seen:
            continue
        seen.add((pair.use_case, frozenset(pair.skills)))
        if ask(url, questions.reasonable(pair), temperature=0.0):
            pool.append(pair)
    # An entry's random draws go by its name: a digest of the seed it was first read from, or its number.
    digests = [hashlib.blake2b(seed.encode(), digest_size=8).hexdigest() for seed in seeds]
    names = {id(entry): digest for entry, digest in zip(encoded, digests, strict=True)}
    named = [(names.get(id(entry), f"m{number:06d}"), entry) for number, entry in enumerate(pool)]
    return sorted(named, key=lambda row: hashlib.blake2b(f"{SEED}/{row[0]}".encode(), digest_size=16).digest())


def gap(url, instruction):
    """Both models answer, the judge scores them in both orders (section 3.3)."""
    strong, target = answer(url, "strong", instruction), answer(url, "target", instruction)
    first = ask(url, questions.judge(instruction, strong, target), temperature=0.0)
    second = ask(url, questions.judge(instruction, target, strong), temperature=0.0)
    difference = (first[0] + second[1]) / 2 - (first[1] + second[0]) / 2
    return difference, strong if difference > 0 else target


def journey(url, instruction, entry, item):
    """Round and round until the gap is wide enough (sections 3.2 and 3.3)."""
    for iteration in range(1, ITERATIONS + 1):
        difference, better = gap(url, instruction)
        if abs(difference) > THRESHOLD:
            return instruction, better
        if iteration < ITERATIONS:
            rubrics = ask(url, questions.rubrics(entry, RUBRICS))
            action = random.Random(f"{SEED}/{item}/{iteration}").choice(rubrics).action
            instruction = ask(url, questions.improve(instruction, entry, action))
    return None


def shingles(text):
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def codeclm(url, seeds, size):
    pool, slot, examples = metadata_pool(url, seeds), 0, []
    known = [shingles(seed) for seed in seeds]
    while len(examples) < size:
        (name, entry), chunk = pool[slot % len(pool)], slot // len(pool)
        for number, basic in enumerate(ask(url, questions.decode(entry, PER_ENTRY), sample=chunk)):
            kept = journey(url, basic, entry, f"{name}/{chunk}.{number}")
            if kept and len(examples) < size:
                new = shingles(kept[0])
                if all(len(new & old) / len(new | old) < 0.7 for old in known):
                    known.append(new)
                    examples.append(kept)
        slot += 1
    return examples


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python codeclm_in_100_lines.py BASE_URL SEEDS.jsonl SIZE")
    base_url, seeds_file, wanted = sys.argv[1:]
    with open(seeds_file, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [row["instruction"] + (f"\n\n{row['input']}" if row.get("input") else "") for row in rows]
    for made, _ in codeclm(base_url, texts, int(wanted)):
        print(json.dumps(made))
