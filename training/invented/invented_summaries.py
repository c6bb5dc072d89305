"""Invented discharge summaries annotated as n2c2 2018 track 2 is, in any number, from a seed.

Owns how a summary is put together and where its mentions and relations stand; its words are in
`invented_phrases.py`. Knows nothing of files. Lines are wrapped near column 76 as in MIMIC, so some
mentions contain a line break. Some mentions are discontinuous.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from training.corpora.documents import Document, join_pieces, make_document
from training.invented import invented_phrases as phrases
from udfs.spans import Mention, Relation

LABELS = ("ADE", "Dosage", "Drug", "Duration", "Form", "Frequency", "Reason", "Route", "Strength")
FIRST_ID = 900_001  # ids of the corpus have six digits too, but begin with 1
WRAP_AT = 76
TYPO_SHARE = 0.04  # chance of a typo in a drug's name of more than five characters

_SLOT = re.compile(r"\{([A-Za-z_]+)(?:\.([0-9]))?\}")


def invent_summaries(number: int, seed: int, first_id: int = FIRST_ID) -> list[Document]:
    """`number` annotated summaries; each depends only on the seed and its own id."""
    return [_summary(first_id + place, seed) for place in range(number)]


@dataclass
class _Draft:
    """A summary while it grows."""

    rng: random.Random
    text: str = ""
    mentions: list[Mention] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Adds a sentence with its slots filled.

        Each mention is related to the drug whose slot has the same number.
        """
        heads: list[tuple[int, str, str]] = []  # place in `mentions`, label, number of its drug
        drugs: dict[str, int] = {}
        at = 0
        for slot in _SLOT.finditer(sentence):
            self.text += sentence[at : slot.start()]
            at = slot.end()
            name, number = slot[1], slot[2] or "1"
            filled, marked = _fill(name, self.rng)
            begin = len(self.text)
            self.text += filled
            for label, pieces in marked:
                place = len(self.mentions)
                moved = [(begin + b, begin + e) for b, e in pieces]
                self.mentions.append(join_pieces(moved, label))
                if label == "Drug":
                    drugs.setdefault(number, place)
                else:
                    heads.append((place, label, number))
        self.text += sentence[at:]
        self.relations += [
            Relation(f"{label}-Drug", place, drugs[number])
            for place, label, number in heads
            if number in drugs
        ]

    def wrapped_since(self, begin: int) -> None:
        """Wraps long lines from an offset on: spaces become line feeds, so no offset moves."""
        lines: list[str] = []
        for line in self.text[begin:].split("\n"):
            rest = line
            while len(rest) > WRAP_AT and " " in rest[1:WRAP_AT]:
                cut = rest.rindex(" ", 1, WRAP_AT)
                lines.append(rest[:cut])
                rest = rest[cut + 1 :]
            lines.append(rest)
        self.text = self.text[:begin] + "\n".join(lines)


_Marked = list[tuple[str, list[tuple[int, int]]]]


def _fill(name: str, rng: random.Random) -> tuple[str, _Marked]:
    """The text of a slot, and its mentions: label and pieces, with offsets in that text."""
    if name == "coordinated":
        first, second = rng.choice((("potassium", "magnesium"), ("calcium", "magnesium")))
        salt = rng.choice(("chloride", "citrate", "carbonate"))
        text = f"{first} and {second} {salt}"
        salt_at = len(text) - len(salt)
        split = [(0, len(first)), (salt_at, len(text))]
        return text, [("Drug", split), ("Drug", [(len(first) + 5, len(text))])]
    if name == "inhalers":
        text = "short and long acting " + rng.choice(("bronchodilators", "insulin", "nitrates"))
        return text, [("Drug", [(0, 5), (15, len(text))]), ("Drug", [(10, len(text))])]
    value = _value(name, rng)
    return value, [(name, [(0, len(value))])] if name in LABELS else []


def _value(name: str, rng: random.Random) -> str:
    if name == "Strength":
        amount = rng.choice((0.5, 1, 2.5, 5, 10, 12.5, 20, 25, 40, 50, 80, 100, 250, 325, 500))
        return f"{amount}{rng.choice((' ', ' ', ''))}{rng.choice(phrases.UNITS)}"
    if name == "Drug":
        return _drug(rng)
    numbers = {"day": (1, 28), "age": (21, 94)}
    if name in numbers:
        return str(rng.randint(*numbers[name]))
    if name == "level":
        return f"{rng.uniform(1, 9):.1f}"
    return rng.choice(_VALUES[name])


_VALUES: dict[str, Sequence[str]] = {
    "ADE": phrases.PROBLEMS,
    "Reason": phrases.PROBLEMS,
    "problem": phrases.PROBLEMS,
    "Dosage": phrases.AMOUNTS,
    "Duration": phrases.DURATIONS,
    "Form": phrases.FORMS,
    "Frequency": phrases.FREQUENCIES,
    "Route": phrases.ROUTES,
    "drug_class": phrases.CLASSES,
    "lab": phrases.LABS,
    "sex": ("man", "woman", "male", "female"),
}


def _drug(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return rng.choice(phrases.CLASSES)
    drug = rng.choice(phrases.DRUGS)
    if drug.islower():
        drug = rng.choice((drug, drug, drug.capitalize(), drug.upper()))
    if len(drug) > 5 and rng.random() < TYPO_SHARE:
        place = rng.randrange(1, len(drug) - 2)
        drug = drug[:place] + drug[place + 1] + drug[place] + drug[place + 2 :]
    return drug


def _summary(number: int, seed: int) -> Document:
    rng = random.Random(f"{seed}/{number}")
    draft = _Draft(rng)
    year, day = rng.randint(2101, 2199), rng.randint(1, 20)
    draft.text = (
        f"Admission Date:  [**{year}-{rng.randint(1, 12)}-{day}**]"
        f"{' ' * 14}Discharge Date:   [**{year}-12-{day + rng.randint(1, 8)}**]\n\n"
        f"Service: {rng.choice(phrases.SERVICES)}\n"
    )
    for heading, sentences, between in _sections(rng):
        draft.text += f"\n{heading}:\n"
        begin = len(draft.text)
        for place, sentence in enumerate(sentences):
            draft.text += between if place else ""
            draft.text += f"{place + 1}. " if between == "\n" and len(sentences) > 1 else ""
            draft.say(sentence)
        draft.wrapped_since(begin)
        draft.text += "\n"
    return make_document(str(number), draft.text, draft.mentions, draft.relations)


def _sections(rng: random.Random) -> Iterator[tuple[str, list[str], str]]:
    """Heading, sentences, and the separator between sentences."""

    def some(of: Sequence[str], least: int, most: int) -> list[str]:
        return [rng.choice(of) for _ in range(rng.randint(least, most))]

    yield "Allergies", some(phrases.ALLERGIES, 1, 1), " "
    yield "Chief Complaint", some(phrases.COMPLAINTS, 1, 1), " "
    history = [*some(phrases.HISTORY, 1, 1), *some(phrases.COURSE, 0, 2)]
    yield "History of Present Illness", history, " "
    yield "Past Medical History", ["{problem}"] * rng.randint(2, 4), "\n"
    yield "Medications on Admission", some(phrases.ADMISSION_ITEMS, 2, 5), "\n"
    yield "Brief Hospital Course", some(phrases.COURSE, 3, 7), " "
    yield "Discharge Medications", some(phrases.DISCHARGE_ITEMS, 2, 5), "\n"
    yield "Discharge Instructions", some(phrases.INSTRUCTIONS, 1, 3), " "
