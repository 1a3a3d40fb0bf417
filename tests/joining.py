"""A client that keeps the words of replies as the schema says, and counts as JavaScript does. Also texts that are hard to cut."""

from dataclasses import dataclass, field

FAMILY, FLAG, SKIN = "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👋🏽"
HARD = (
    "plain",
    FAMILY,
    "e\u0301e\u0301",
    FLAG,
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    f"{SKIN}\u200d{SKIN}",
    "𠜎𠜱𠝹",
    "\u0301\u0301o\u0308",
    "क्षि",
    "❤️\ufe0f🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "אבג",
    "…",
)
"""Words with joined emoji, flags, combining characters (some at their beginning), letters outside the first plane, other scripts."""


def hard_words(number: int) -> list[str]:
    """So many words, no two alike."""
    return [f"{HARD[place % len(HARD)]}{place}" for place in range(number)]


def sliced(text: str, offset: int) -> str:
    """`text.slice(0, offset)`. A cut through a surrogate pair, which JavaScript would do, fails."""
    return text.encode("utf-16-le")[: 2 * offset].decode("utf-16-le")


@dataclass
class Reader:
    """What one client has of one reply."""

    text: str = ""
    states: list[str] = field(default_factory=list)
    """Every text that it showed."""
    deltas: int = 0

    def delta(self, offset: int, text: str) -> None:
        """`text = text.slice(0, offset) + delta.text`."""
        self.text = sliced(self.text, offset) + text
        self.deltas += 1
        self.states.append(self.text)

    def message(self, text: str) -> None:
        """The message itself, as an event or a page shows it."""
        self.text = text
        self.states.append(text)
