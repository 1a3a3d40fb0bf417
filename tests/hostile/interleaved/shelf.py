"""What the test itself knows to be whose, from answers to those who may know it."""

from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True)
class Source:
    """A connected source as its audience knows it."""

    id: str
    key: str
    vendor: str


@dataclass
class Shelf:
    """What one audience has. Ids are global ones."""

    audience: str
    sources: dict[str, Source] = field(default_factory=dict)
    """By key."""
    chats: dict[str, Source] = field(default_factory=dict)
    """Id → where it lives. Those of the seed have equal native ids on all shelves."""
    made: set[str] = field(default_factory=set)
    """Chats that the test made."""
    staying: set[str] = field(default_factory=set)
    """Chats and folders that are not deleted, so that there always are some."""
    leaving: set[str] = field(default_factory=set)
    """Chats and folders whose deletion was asked for."""
    folders: list[str] = field(default_factory=list)
    """Folders of the gateway."""
    messages: dict[str, Source] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    """What was sent with success: text → chat."""
    others: dict[str, list[str]] = field(default_factory=dict)
    """Members, API keys, organizations: by the noun that the gateway has for them."""
    event_cursor: str | None = None
    """A place in its organization's log."""

    def a_chat(self, chance: Random, *vendors: str) -> str | None:
        """One that nobody asked to delete, of one of these vendors, where some are named."""
        found = [
            chat
            for chat, source in self.chats.items()
            if chat not in self.leaving and (not vendors or source.vendor in vendors)
        ]
        return chance.choice(found) if found else None

    def ids_of(self, noun: str) -> list[str]:
        """What it has of a kind; `noun` as in the sentence that denies it."""
        if noun in self.others:
            return self.others[noun]
        known = {
            "chat": list(self.chats),
            "folder": self.folders,
            "message": list(self.messages),
            "message of this chat": list(self.messages),
            "source": [source.id for source in self.sources.values()],
        }
        return known[noun]
