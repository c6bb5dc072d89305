"""The cues of the segmenter, as data: abbreviations, list markers, headings, line shapes.

`segmentation.py` holds the algorithm. Everything here is about language: extend it on evidence, and
raise `SEGMENTATION_VERSION` there when a change moves a border.
"""

# Look-alike dashes and quotes are cues here (RUF001); word lists read best as words (SIM905).
# ruff: noqa: RUF001, SIM905

from __future__ import annotations

import re

# A full stop after one of these never ends a sentence: something must follow.
BINDING_ABBREVIATIONS = frozenset(
    """dr mr mrs ms prof st vs v e.g eg i.e ie cf approx ca dept fig figs ref refs no nos vol
    mt ft sgt lt col gen rev hon messrs drs resp incl esp et viz""".split()
)
# A full stop after one of these ends a sentence only where a capital letter follows.
FREE_ABBREVIATIONS = frozenset(
    """q.d q.i.d b.i.d t.i.d q.h.s q.o.d q.a.m q.p.m q.h p.o p.r p.r.n i.v i.m s.c s.l s.q h.s a.c
    p.c a.m p.m o.d o.s o.u a.d a.s n.p.o d.c w.o etc al inc ltd co corp jr sr m.d d.o ph.d r.n
    u.s c.c i.p i.c.v i.t q.w q.wk prn bid tid qid qhs qd po iv im sc sq hs mg mcg ml cc kg gm
    tab tabs cap caps susp sol inj oz lb lbs in hr hrs min mins sec wk wks mo mos yr yrs pt pts
    hx dx rx sx tx fx exam temp wt ht avg max bp hr rr dob adm disch cont est""".split()
)
# Words that begin sentences: one of these after an initial ("E.") shows that a sentence ended.
SENTENCE_STARTERS = frozenset(
    """a after all also an and as at because before both but by during each every few following
    for from given he her here his however if in initially it its many most no none not of on
    once one our patient patients per prior she since so some such that the their then there
    these they this those to upon was we were when while will with within you your""".split()
)

NEWLINE = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")

# "- item", "• item", "1. item", "2) item", "(3) item", "a) item", "# problem"
LIST_MARKER = re.compile(
    r"\s*(?:[-–—*•‣◦▪●○·#>+~]+(?=[\s\w(\[])|\(?\d{1,3}[.)](?=\s|[A-Za-z])|\(?[A-Za-z][)](?=\s)|"
    r"[A-Za-z]\.(?=\s+[A-Z]))"
)
# "HISTORY OF PRESENT ILLNESS:", "Brief Hospital Course:", "Discharge Diagnosis (primary):"
HEADING_LINE = re.compile(r"\s*[A-Z][A-Za-z0-9 /&'(),+.-]{1,60}:(?=\s|$)")
CAPITALS_LINE = re.compile(r"\s*[A-Z][A-Z0-9 /&'(),-]{2,60}\s*$")
# "___ 06:20AM BLOOD WBC-7.2", "[**2178-3-4**] 08:00", "2178-03-04 08:00", "08:30"
TIMED_LINE = re.compile(
    r"\s*(?:(?:_{2,}|\[\*\*[^*\n]{0,60}\*\*\]|\d{2,4}[-/]\d{1,2}[-/]\d{1,4})\s+)?\d{1,2}:\d{2}"
)
# Two columns: a tab, or three spaces between two words. Here and in STOP, possessive repeats keep
# the matcher from trying a long run (of spaces, of dots) again from each of its characters.
TABLE_LINE = re.compile(r"\S(?:\s?\t\s*+|\s{3,}+)\S")

# A MIMIC-III blank may hold full stops and commas, and one line break where a program wrapped the
# note. Nothing inside a blank is a border.
BLANK = r"\[\*\*[^\]\n]{0,120}(?:\n[^\[\]\n]{0,120})?\*\*\]"
# A blank on two lines: how the first line ends and how the second begins.
BLANK_BEGINS = re.compile(r"\[\*\*[^\]]{0,120}\Z")
BLANK_ENDS = re.compile(r"[^\[\]]{0,120}\*\*\]")
# What may end a sentence: stops, then closing quotes and brackets.
STOP = r"(?<![.!?])(?P<stop>[.!?]++[\"'”’»)\]}]*+)(?=\s|,(?=[A-Z0-9])|$)"
# "the end.The next": a full stop without the space after it.
GLUED = r"(?<=[a-z]{3})(?P<glued>\.)(?=[A-Z][a-z]{2,})"
# For notes whose line breaks were once turned into commas: ",HEADER:,", ".,2.  item".
INLINE_HEADING = (
    r"(?P<heading>,[^\S\n]*)(?=[A-Z][A-Z0-9 /&'().-]{1,60}:)|"
    r"(?<=:)(?P<after>[^\S\n]*,)|(?P<item>,[^\S\n]*)(?=\d{1,2}\.[^\S\n]+[A-Za-z])"
)
BORDER = re.compile("|".join((f"(?P<blank>{BLANK})", INLINE_HEADING, STOP, GLUED)))
LAST_WORD = re.compile(r"[^\s,;:()\[\]\"“”/-]+$")
