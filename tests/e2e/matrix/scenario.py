"""Conversations, said so that every dialect can have them, and what must come of each."""

from dataclasses import dataclass, field

from matrix.turn import Call

# The first tokens that mockllm says (tests/mockllm/sample.c).
TOKENS = ["A", " mock", " naïve", " says", ' "hello', '"', " to", " every"]
TEXT = "".join(TOKENS)
ODD_TEXT = ("日本語" "👩\u200d🚀" "e\u0301" "🚀" "\x00\x1f" '\\\n\t"/' "\u2028\u2029" "שלום")
THOUGHT_TOKENS = ["Let", " me", " think", " about"]

# A PNG of one pixel.
IMAGE = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}
INSTANCE = {"name": "mock", "age": 7}

TOOLS = {
    "weather": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"], "additionalProperties": False},
    "clock": {"type": "object", "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}},
              "required": ["zone"], "additionalProperties": False},
}
WEATHER = Call("weather", {"city": "mock", "days": 7})
CLOCK = Call("clock", {"zone": "UTC"})
RESULTS = {"weather": 'rain, 8 °C, "windy"\n', "clock": "12:00"}


@dataclass(frozen=True)
class Step:
    """One request of a conversation. `say` is the user's text; None: the results of the calls that
    the answer before asked for."""
    say: str = "Say hello."
    script: str = ""
    text: str = TEXT
    calls: tuple = ()
    finish: str = "stop"
    thoughts: str = ""
    signed: bool = False
    usage: tuple = None


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple = (Step(),)
    system: str = ""
    image: str = ""
    tools: tuple = ()
    choice: str = ""  # auto, any, or the name of a tool
    schema: dict = field(default=None, hash=False)
    stop: tuple = ()
    max_tokens: int = None
    thinks: bool = False
    modes: tuple = ("whole", "stream")
    failure: str = ""  # kind of the error that must come
    status: int = 200
    filtered: bool = False

    def __str__(self):
        return self.name


THOUGHTS = "".join(THOUGHT_TOKENS)
_PACE = "chunk=7"  # no event arrives in one piece

SCENARIOS = [
    Scenario("text", system="Answer briefly.", modes=("whole",),
             steps=(Step(script="prompt=23,completion=8,cached=5", usage=(23, 5, 8)),)),
    Scenario("stream", system="Answer briefly.", modes=("stream",),
             steps=(Step(script="prompt=23,completion=8,cached=5," + _PACE, usage=(23, 5, 8)),)),
    Scenario("turns", steps=(Step(), Step(say="And again."))),
    Scenario("tool_call", tools=("weather", "clock"), choice="auto",
             steps=(Step(script="tools=1," + _PACE, text="", calls=(WEATHER,), finish="tools"),)),
    Scenario("tool_choice_any", tools=("weather", "clock"), choice="any",
             steps=(Step(text="", calls=(WEATHER,), finish="tools"),)),
    Scenario("tool_choice_named", tools=("weather", "clock"), choice="weather",
             steps=(Step(text="", calls=(WEATHER,), finish="tools"),)),
    Scenario("parallel_tools", tools=("weather", "clock"),
             steps=(Step(script="tools=2", text="", calls=(WEATHER, CLOCK), finish="tools"),)),
    Scenario("tool_result", tools=("weather", "clock"),
             steps=(Step(script="tools=2," + _PACE, text="", calls=(WEATHER, CLOCK), finish="tools"), Step(say=None))),
    Scenario("image", image=IMAGE),
    Scenario("structured_output", schema=SCHEMA, steps=(Step(text=None),)),
    Scenario("reasoning", thinks=True, max_tokens=4096,
             steps=(Step(script="reason=4," + _PACE, thoughts=THOUGHTS, signed=True), Step(say="And now?"))),
    Scenario("reasoning_tools", thinks=True, max_tokens=4096, tools=("weather", "clock"),
             steps=(Step(script="reason=4,tools=2", thoughts=THOUGHTS, signed=True, text="", calls=(WEATHER, CLOCK),
                         finish="tools"), Step(say=None))),
    Scenario("stop_sequence", stop=("END", "\n\nEND"), steps=(Step(script="{stop}", finish="stop_sequence"),)),
    Scenario("max_tokens", max_tokens=3, steps=(Step(text="".join(TOKENS[:3]), finish="length"),)),
    Scenario("content_filter", filtered=True, steps=(Step(script="{filter}", finish="filter"),)),
    Scenario("error_request", failure="request", status=400, steps=(Step(script="status=400"),)),
    Scenario("error_rate", failure="rate", status=429, steps=(Step(script="status=429,retry_after=3"),)),
    Scenario("error_server", failure="server", status=502, steps=(Step(script="status=500"),)),
    Scenario("error_in_stream", failure="server", modes=("broken",),
             steps=(Step(script="hold=e5,error_after=7"),)),
    Scenario("cut_stream", failure="server", modes=("broken",), steps=(Step(script="hold=e5,cut=e7"),)),
    Scenario("empty", steps=(Step(script="empty=1", text=""),)),
    Scenario("unicode", steps=(Step(script="unicode=1,split=utf8,tokens=8", text=ODD_TEXT),)),
    Scenario("unicode_bytes", modes=("stream",), steps=(Step(script="unicode=1,chunk=1,tokens=8", text=ODD_TEXT),)),
]
