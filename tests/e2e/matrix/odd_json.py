"""Random JSON in odd but valid spelling: what a parser that rebuilds it can't give back."""

import json
import random

WORDS = ["", "a", "é", "日本", "😀", "\\u0041", "\\ud83d\\ude00", "\\/", "\\\"", "\\\\", "\\n", "\\u0000", "\u2028", "\x7f",
         "x" * 70, "-", "\\u00e9", "e\u0301"]
NUMBERS = ["0", "-0", "1", "1.0", "1.50", "1e5", "1E+2", "1e-7", "0.1", "123456789012345678901234567890", "-1e-400", "1e400",
           "9007199254740993", "0.1000000000000000055511151231257827"]
SPACE = ["", "", "", " ", "\n", "\t", "\r\n  ", "  "]


class Odd:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def string(self):
        return '"' + "".join(self.random.choices(WORDS, k=self.random.randrange(4))) + '"'

    def space(self):
        return self.random.choice(SPACE)

    def value(self, depth=0):
        kind = self.random.randrange(7 if depth < 5 else 5)
        if kind < 2:
            return self.string()
        if kind == 2:
            return self.random.choice(NUMBERS)
        if kind < 5:
            return self.random.choice(["true", "false", "null", "[]", "{}", "[ ]", "{\n}"])
        values = [self.value(depth + 1) for _ in range(self.random.randrange(5))]
        if kind == 5:
            return "[" + ",".join(self.space() + value + self.space() for value in values) + "]"
        return self.object([(self.string(), value) for value in values])

    def object(self, members):
        return "{" + ",".join(f"{self.space()}{name}{self.space()}:{self.space()}{value}{self.space()}"
                              for name, value in members) + (self.space() if not members else "") + "}"

    def spelled(self, value):
        """The value itself, spelled in one of the ways that mean the same."""
        if isinstance(value, dict):
            return self.object([(json.dumps(name), self.spelled(member)) for name, member in value.items()])
        if isinstance(value, list):
            return "[" + ",".join(self.space() + self.spelled(member) + self.space() for member in value) + "]"
        if isinstance(value, str):
            return json.dumps(value, ensure_ascii=self.random.random() < .5)
        return json.dumps(value)

    def body(self, request):
        """A request with members of anyone's invention between its own, in any order."""
        members = [(json.dumps(name), self.spelled(value)) for name, value in request.items()]
        for _ in range(self.random.randrange(6)):
            members.append((f'"x_{self.random.randrange(10 ** 6)}{self.random.choice(WORDS)}"', self.value()))
        self.random.shuffle(members)
        return self.space() + self.object(members) + self.space()
