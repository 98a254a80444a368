"""What was said, whatever dialect it was said in."""

from dataclasses import dataclass, field


@dataclass
class Call:
    name: str
    arguments: dict
    id: str = ""


@dataclass
class Turn:
    """One answer. `finish` is stop, stop_sequence, length, tools or filter; `message` what a client
    of the dialect puts into its history; `order` the kinds of parts as they began."""
    text: str = ""
    thoughts: str = ""
    refusal: str = ""
    calls: list = field(default_factory=list)
    signatures: list = field(default_factory=list)
    finish: str = ""
    stop_sequence: str = None
    usage: tuple = None  # input with what was cached, of it cached, output
    order: list = field(default_factory=list)
    message: list = field(default_factory=list)
    text_deltas: int = 0


@dataclass
class Failure:
    """An error answer or event. `kind`: request, auth, permission, missing, rate, server."""
    kind: str
    message: str


@dataclass
class Seen:
    """A request as a provider of the dialect understands it."""
    model: str = None
    stream: bool = False
    system: str = ""
    texts: list = field(default_factory=list)  # (role, text)
    images: list = field(default_factory=list)  # (media type, base64)
    calls: list = field(default_factory=list)  # Call
    results: list = field(default_factory=list)  # (name of the tool, text)
    signatures: list = field(default_factory=list)
    thoughts: list = field(default_factory=list)
    tools: dict = field(default_factory=dict)  # name: schema
    choice: str = None  # auto, none, any, or a tool's name behind "="
    stop: list = field(default_factory=list)
    max_tokens: int = None
    schema: dict = None
    thinks: bool = False
