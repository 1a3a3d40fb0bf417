"""The conversations that a simulator starts with: the same each time, apart from the base time.

Each vendor has its own hour in every ten of the same time line, so that one list over all is interleaved.
"""

from dataclasses import dataclass

HOUR = 3600.0
_SHIFT = {"kodey": 0.0, "splox": 2.0, "open_webui": 5.0}
"""Vendor → hours by which its chats are younger than those of the first."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One chat: `lines` alternate between the user and the assistant, the user first. Ages are seconds before the base time."""

    title: str
    lines: tuple[str, ...]
    created_age: float
    updated_age: float


def talks(vendor: str) -> list[Talk]:
    """The chats of one vendor, the oldest first."""
    shift = _SHIFT[vendor]
    texts = _TEXTS[vendor]
    made = []
    for place, (title, lines) in enumerate(texts):
        created = HOUR * (10 * (len(texts) - place) - shift)
        lasted = HOUR * (1 + place % 4) if place % 3 else 20 * 60.0
        made.append(Talk(title, lines, created, max(created - lasted, 60.0)))
    return made


_TEXTS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "kodey": [
        ("Refund for order 1042", ("Where is my refund for order 1042?", "It was sent on Monday and takes three working days.", "Thank you!", "You are welcome.")),
        ("Opening hours", ("Are you open on Sunday?", "Yes, from ten to four.")),
        ("Broken zipper", ("The zipper of my jacket broke after a week.", "I am sorry. Would you like a repair or a new one?", "A new one, please.", "It is on its way.")),
        ("Invoice address", ("Can I change the address on my invoice?", "Until it is paid, yes. What should it say?")),
        ("Gift card balance", ("How much is left on my gift card?", "There are 17.50 euros left on it.")),
        ("Parcel is late", ("My parcel should have come yesterday.", "It is in the depot of your town and comes today.", "Great.", "Anything else?")),
        ("Size advice", ("I am between M and L. Which one?", "This model is wide: take M.")),
        ("Cancel a subscription", ("How do I cancel my subscription?", "In the settings, under Plan. It ends with the month.")),
        ("Password reset", ("The link to reset my password does not work.", "Links live for an hour; I have sent a new one.", "That one worked.", "Good to hear.")),
        ("Student discount", ("Is there a discount for students?", "Ten percent with a valid card.")),
        ("Wrong item delivered", ("I got blue shoes instead of green ones.", "Sorry! Keep the label, we collect them tomorrow.")),
        ("Warranty of a lamp", ("How long is the warranty of the desk lamp?", "Two years from the day of purchase.", "And for the bulb?", "The bulb has six months.")),
    ],
    "open_webui": [
        ("Trip to Lisbon", ("Plan three days in Lisbon.", "Day one: Alfama. Day two: Belém. Day three: Sintra.", "What about rain?", "Then the tile museum on day one.")),
        ("Regular expression for dates", ("A regular expression for ISO dates?", "`\\d{4}-\\d{2}-\\d{2}` finds them; it does not check them.")),
        ("Sourdough that will not rise", ("My sourdough stays flat.", "Feed the starter twice before baking.", "How warm?", "About 26 °C.")),
        ("Explain B-trees", ("Explain B-trees in two sentences.", "A B-tree is a search tree with many children in each node. It stays shallow, so few pages are read.")),
        ("Release notes draft", ("Draft release notes for 0.3.", "Added: folders. Fixed: paging past the end.")),
        ("Guitar practice plan", ("Half an hour of guitar a day: how?", "Ten minutes scales, ten chords, ten a song.")),
        ("SQL window functions", ("When do I need a window function?", "When a row needs its neighbours without losing itself.", "An example?", "A running total over dates.")),
        ("Letter to the landlord", ("The heating is broken. Write to my landlord.", "Dear Mr Moss, since Monday the heating …")),
        ("Names for a cat", ("Five names for a grey cat?", "Ash, Pebble, Misty, Flint, Dove.")),
        ("Review of a pull request", ("How do I start a review?", "Read the tests first: they say what is promised.", "And then?", "The smallest file that changed.")),
        ("Budget for a small garden", ("What does a small garden cost a year?", "Seeds, soil and water: about 150 euros.")),
        ("Why is the sky blue", ("Why is the sky blue?", "Air scatters short waves more than long ones.", "And red at sunset?", "The path is longer; the blue is gone by then.")),
    ],
    "splox": [
        ("Nightly report is missing", ("Where is last night's report?", "The job waited for a lock; it has run now.", "Why a lock?", "Two deployments overlapped.")),
        ("Summarize the sales call", ("Summarize the call with Harbor Foods.", "They want a pilot in March for two stores.")),
        ("Rotate the signing keys", ("When are the signing keys due?", "On the third of each month.", "Rotate them now.", "Done; the old ones live for a day.")),
        ("Translate the terms", ("Translate our terms into Danish.", "Here is a draft; two sentences need a lawyer.")),
        ("Alert fatigue", ("Half of the alerts are noise.", "Eleven rules fired without anybody acting; list follows.")),
        ("Import of the price list", ("Import the new price list.", "412 rows read, 3 have no currency.", "Take euros.", "Imported.")),
        ("Plan the release train", ("What leaves with release 14?", "Nine changes; one is blocked by a review.")),
        ("Duplicate customers", ("Find duplicate customers.", "27 pairs share an e-mail address.")),
        ("Status page wording", ("Word the incident for the status page.", "Some uploads failed between 9:10 and 9:40. They can be repeated now.", "Shorter.", "Uploads failed from 9:10 to 9:40; please repeat them.")),
        ("Storage forecast", ("When is the disk full?", "At this rate in eleven weeks.")),
        ("On-call handover", ("Write the handover.", "One open incident, two muted alerts, no deployments before Monday.")),
        ("Quarterly numbers", ("What changed most this quarter?", "Returns fell by a fifth.", "Where?", "Almost all of it in footwear.")),
    ],
}  # fmt: skip
