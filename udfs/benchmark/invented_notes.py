"""Invented notes in any number; a seed, the note's number and the line's number decide a line.

For soaks and benchmarks: what is copied, and how often, is known. The sentences are plausible and
mean nothing. Each line is a paragraph of one sentence, so it becomes exactly one window.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LINES = 6
# A copied line comes from one of this many notes before.
REACH = 20_000
DAY_SECONDS = 86_400


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_DRUGS = _words("""
amiodarone amlodipine amoxicillin apixaban aspirin atenolol atorvastatin azithromycin bumetanide
carvedilol ceftriaxone ciprofloxacin citalopram clopidogrel colchicine digoxin diltiazem doxycycline
enoxaparin famotidine fluconazole furosemide gabapentin glipizide haloperidol heparin ibuprofen
insulin labetalol levofloxacin lisinopril lorazepam metformin metoprolol morphine naproxen
omeprazole phenytoin prednisone propranolol ramipril sertraline simvastatin spironolactone
tamoxifen tramadol valproate vancomycin verapamil warfarin
""")
_DISEASES = _words("""
anemia angina asthma bronchitis cellulitis cholecystitis cirrhosis colitis delirium depression
dermatitis diabetes diverticulitis emphysema encephalitis endocarditis epilepsy gastritis gout
hepatitis hyperkalemia hypertension hyponatremia hypotension hypothyroidism meningitis myocarditis
nephrolithiasis neuropathy obesity osteoarthritis osteoporosis pancreatitis pericarditis pneumonia
psoriasis pyelonephritis sarcoidosis seizure sepsis sinusitis stroke syncope thrombocytopenia
thrombosis tonsillitis tuberculosis urticaria vasculitis vertigo
""")
# Each has some 10⁹ forms, so two new sentences of a million notes are hardly ever the same.
_SENTENCES = (
    "Started {drug} {dose} mg on {date} for {disease}, pulse {pulse}.",
    "Known {disease} since {date}, takes {drug} {dose} mg daily.",
    "No {disease} on {date}, {drug} level {level}, pulse {pulse}.",
    "Stopped {drug} {dose} mg on {date} because of {disease}.",
)


@dataclass(frozen=True, slots=True)
class InventedNote:
    """A note, stored `seconds` after the midnight at which the first day begins."""

    note_id: str
    subject_id: int
    note_type: str
    seconds: int
    text: str


@dataclass(frozen=True, slots=True)
class NotePlan:
    """How many notes there are, over how many days, and how much they copy.

    Each of the `days` has equally many of the `notes`. `copied` is the share of lines that are
    taken over from an earlier note: at least 0 and below 1.
    """

    notes: int
    days: int = 1
    copied: float = 0.5
    seed: int = 0

    def note(self, number: int) -> InventedNote:
        """The note of a number from 0 on; always the same, whatever was asked for before."""
        draws = self._draws(number, LINES)
        place = number * self.days * DAY_SECONDS // self.notes
        return InventedNote(
            note_id=f"{self.seed}-{number:09d}",
            subject_id=10_000_000 + draws.below(max(1, self.notes // 10)),
            note_type=("PN", "DS", "RR")[draws.below(3)],
            seconds=place,
            text="\n\n".join(self.line(number, line) for line in range(LINES)),
        )

    def line(self, number: int, line: int) -> str:
        """A line of a note: a new sentence, or a line of an earlier note."""
        while True:
            draws = self._draws(number, line)
            is_copied = draws.below(1_000_000) < self.copied * 1_000_000
            if not is_copied or not number:
                return _sentence(draws)
            number -= 1 + draws.below(min(REACH, number))

    def _draws(self, number: int, line: int) -> _Draws:
        name = f"{self.seed}/{number}/{line}".encode()
        return _Draws(int.from_bytes(hashlib.blake2b(name, digest_size=24).digest(), "big"))


class _Draws:
    """Draws small numbers from one large number."""

    def __init__(self, number: int) -> None:
        self._rest = number

    def below(self, end: int) -> int:
        self._rest, number = divmod(self._rest, end)
        return number


def _sentence(draws: _Draws) -> str:
    values = {
        "drug": _DRUGS[draws.below(len(_DRUGS))],
        "disease": _DISEASES[draws.below(len(_DISEASES))],
        "dose": (1 + draws.below(80)) * 2.5,
        "date": f"{1 + draws.below(12)}/{1 + draws.below(28)}/{2100 + draws.below(60)}",
        "pulse": 45 + draws.below(90),
        "level": (1 + draws.below(120)) / 10,
    }
    return _SENTENCES[draws.below(len(_SENTENCES))].format(**values)
