"""The conversations that a simulator starts with: the same each time, apart from the base time.

Each vendor takes its own slot of every ten hours of the same time line, so that one list over all is interleaved.
"""

from dataclasses import dataclass

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Talk:
    """One chat: `lines` alternate between the user and the assistant, the user first. Ages are seconds before the base time."""

    title: str
    lines: tuple[str, ...]
    created_age: float
    updated_age: float


def talks(vendor: str) -> list[Talk]:
    """The chats of one vendor, the oldest first."""
    shift, texts = _SHIFTS[vendor], _TEXTS[vendor]
    made = []
    for place, (title, lines) in enumerate(texts):
        created = HOUR * (10 * (len(texts) - place) - shift)
        lasted = HOUR * (1 + place % 4) if place % 3 else 20 * 60.0
        made.append(Talk(title, lines, created, max(created - lasted, 60.0)))
    return made


_SHIFTS = {"kodey": 0.0, "splox": 1.5, "lexicon": 2.5, "open_webui": 5.0, "chatlogger": 7.5}
"""Vendor → its slot, in hours."""

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
    "lexicon": [
        ("Printer on the third floor", ("The printer on the third floor jams.", "Please open tray two: is there paper left in it?", "Yes, a torn sheet.", "Take it out along the arrow.")),
        ("VPN from a train", ("The VPN drops on every train ride.", "Switch it to TCP: it survives short gaps.")),
        ("New laptop for a colleague", ("A colleague starts on Monday and needs a laptop.", "I ordered one; it is here on Friday.", "With a German keyboard?", "Yes, as for the whole team.")),
        ("Calendar shows wrong hours", ("My calendar is one hour off.", "Its time zone is still Lisbon. Shall I set it to Berlin?")),
        ("Licence for a drawing tool", ("How do I get a licence for the drawing tool?", "Your manager approves it, then it takes a minute.")),
        ("Two-factor on a new phone", ("I have a new phone and no codes.", "Use a recovery code, then scan the new one.", "Where are they?", "On the sheet from your first day.")),
        ("Mailbox is full", ("My mailbox is full.", "The largest mails are 4 GB of videos. Move them to the share.")),
        ("Access to the wiki", ("I cannot open the wiki.", "You were in no group; now you are in Readers.")),
        ("Screen stays black", ("The screen stays black after lunch.", "Does the light below it blink?", "It blinks orange.", "Then it sleeps: press the key twice.")),
        ("Old backups", ("How long are backups kept?", "Thirty days, and the last of each month for a year.")),
        ("Guest network", ("What is the password of the guest network?", "It changes daily and stands on the screen at the desk.")),
        ("Headset without sound", ("My headset has no sound in calls.", "Choose it in the call's own settings too.", "Now it works.", "Good.")),
    ],
    "chatlogger": [
        ("Delivery abroad", ("Do you deliver to Norway?", "Yes, in five working days.", "And returns?", "Free within thirty days.")),
        ("Colour of a sofa", ("Is the sofa more green or more blue?", "It is petrol: green by day, blue by lamp.")),
        ("Complaint about a courier", ("The courier threw my parcel.", "I am sorry. I have passed it on to a colleague.", "Will they call?", "Tomorrow before noon.")),
        ("Voucher not accepted", ("My voucher is not accepted.", "It is for orders from 40 euros.")),
        ("Assembly of a shelf", ("Two screws are left over.", "They are spare; every box has two.")),
        ("Job offer in the shop", ("Are you looking for people in Utrecht?", "Yes, for Saturdays. Shall I forward you?", "Please.", "Done.")),
        ("Invoice as a PDF", ("I need the invoice as a PDF.", "It is in your account, under Orders.")),
        ("Allergy to wool", ("Is there wool in the blue blanket?", "No, it is all cotton.")),
        ("Change a delivery date", ("Can it come on Thursday?", "Thursday afternoon is free.", "Good.", "It is changed.")),
        ("Opening on a holiday", ("Are you open on Easter Monday?", "No; on Tuesday again from nine.")),
        ("Loyalty points", ("How many points do I have?", "320, which are 16 euros.")),
        ("Lost order confirmation", ("I got no confirmation.", "There was a typing error in the address; I sent it again.", "It came.", "Fine.")),
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
