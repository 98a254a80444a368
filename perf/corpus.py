"""The request bodies of the benchmarks: always the same bytes, made here, copied from nowhere.

Prose of common words with a little of what real prompts hold: accents, dashes, quotation marks,
a few characters outside the Latin script, line breaks and the escapes that these need in JSON.
"""

import json
import random

import dialects

WORDS = (
    "the a of and to in that it is was for on with as at by from this which or an be not are but "
    "have had one all there when their more will would who what so up out if about into than them "
    "only other time new some could these two may first then do any like my now over such our man "
    "even most made after also did many before must through back years where much your way well "
    "down should because each just those people mister state good very make world still own see "
    "men work long here get both between life being under never day same another know while last "
    "river table answer question summary paragraph function variable number letter window garden"
).split()
RARE = ("naïve", "café", "Zürich", "élève", "–", "“quoted”", "日本語", "Москва", "😀", "µs", "\"so\"",
        "C:\\temp", "\tindented")
RARE_ONE_IN = 40


def _sentence(rng):
    words = []
    for _ in range(rng.randint(6, 18)):
        words.append(rng.choice(RARE if rng.randrange(RARE_ONE_IN) == 0 else WORDS))
    return " ".join(words).capitalize() + rng.choice((".", ".", ".", "?", "!\n", ".\n\n"))


def _prose(rng, size):
    parts = []
    length = 0
    while length < size:
        text = _sentence(rng) + " "
        parts.append(text)
        length += len(json.dumps(text, ensure_ascii=False).encode()) - 2
    return "".join(parts)


def chat(size, model, stream=False, dialect="openai"):
    """A chat request of `size` bytes: a system prompt and a conversation of several turns."""
    def encode():
        return dialects.body(dialect, model, messages, stream)

    rng = random.Random(20240501)
    turn = max(200, size // 12)
    messages = [{"role": "system", "content": _prose(rng, min(300, size // 4))}]
    roles = ("user", "assistant")
    while len(encode()) + turn + 100 < size:
        messages.append({"role": roles[(len(messages) - 1) % 2], "content": _prose(rng, turn)})
    messages.append({"role": "user", "content": ""})
    missing = size - len(encode())
    words = ""
    while len(words) < missing:
        words += rng.choice(WORDS) + " "
    messages[-1]["content"] = words[:missing]
    return encode()
