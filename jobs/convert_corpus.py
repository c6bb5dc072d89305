"""Convert an annotated corpus from any form that can be read to any that can be written.

    python jobs/convert_corpus.py --from brat:FOLDER --to label-studio:tasks.json

Prints what the corpus holds, what the reader decoded or left out, and what the new form cannot
hold. Without --to it writes nothing. It prints counts and labels, no text. Exit codes: 0 done, 1
failed, 2 bad arguments or a broken corpus, nothing written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.command_line.exit_codes import DONE, exit_code, plain
from training.corpora.corpus_report import CorpusReport, report_corpus
from training.corpora.documents import POLICIES, discontinuous_mentions, resolve_discontinuous
from training.corpora.form_table import FORMS, PARTS, read_part, write_corpus
from udfs.errors import InputError

_COUNTS = {
    "documents": "documents",
    "characters": "characters",
    "mentions": "mentions",
    "nested": "inside another mention",
    "overlapping": "overlapping another mention",
    "duplicates": "duplicates",
    "discontinuous": "discontinuous",
    "misaligned": "not at word borders",
    "padded": "with white space at an end",
    "empty": "empty",
    "behind_astral": "behind a character of two UTF-16 units",
    "concept_ids": "concept ids",
}
_NAMED = {
    "labels": "label",
    "attributes": "attribute",
    "relations": "relation",
    "concept_relations": "relation of concepts",
}
JOB = "convert_corpus"


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    writable = ", ".join(name for name, form in FORMS.items() if form.write is not None)
    parser = argparse.ArgumentParser(
        description="Convert an annotated corpus from one form to another.",
        epilog=f"Forms to read: {', '.join(FORMS)}. Forms to write: {writable}.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--from", dest="source", metavar="FORM:PATH", required=True, help="the corpus to read")
    add("--to", dest="target", metavar="FORM:PATH", help="a new place (none: only report)")
    add("--part", choices=PARTS, help="one part of the corpus (all of it)")
    add(
        "--discontinuous",
        choices=POLICIES,
        help="what is made of discontinuous mentions: cover takes the outermost span, parts each "
        "fragment (they stay where the new form holds them, else refuse)",
    )
    add("--json", metavar="FILE", type=Path, help="write the report there as well")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _convert(arguments))


def _convert(arguments: argparse.Namespace) -> int:
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        raise InputError(f"--json {arguments.json}: there is no such folder")
    reading = read_part(arguments.source, arguments.part)
    documents, report = reading.documents, report_corpus(reading.documents)
    policy, lost = arguments.discontinuous, Counter[str]()
    if policy is not None:
        documents = resolve_discontinuous(documents, policy)
    if arguments.target is not None:
        lost = write_corpus(arguments.target, documents)
    applied = report.discontinuous - discontinuous_mentions(documents)
    resolved = {f"discontinuous mentions resolved ({policy})": applied} if applied else {}
    if arguments.json is not None:
        _write_report(arguments, report, reading.met, resolved, lost)
    console = Console(highlight=False, soft_wrap=True)
    console.print(_table(arguments.source, report))
    _print_counts(console, "While reading", reading.met)
    _print_counts(console, "Changed on request", resolved)
    if arguments.target is not None:
        _print_counts(console, f"{arguments.target} cannot hold", lost)
        console.print(Text(plain(f"{len(documents):,} documents in {arguments.target}")))
    return DONE


def _write_report(
    arguments: argparse.Namespace,
    report: CorpusReport,
    met: Mapping[str, int],
    resolved: Mapping[str, int],
    lost: Mapping[str, int],
) -> None:
    content: dict[str, Any] = {
        "from": arguments.source,
        "part": arguments.part,
        "to": arguments.target,
        "discontinuous": arguments.discontinuous,
        "corpus": report.to_dict(),
        "met": dict(met),
        "changed": dict(resolved),
        "lost": dict(lost),
    }
    arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _table(source: str, report: CorpusReport) -> Table:
    table = Table(title=Text(plain(source)), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _rows(report):
        table.add_row(Text(plain(name)), f"{value:,}")
    return table


def _rows(report: CorpusReport) -> Iterator[tuple[str, int]]:
    for name, title in _COUNTS.items():
        yield title, getattr(report, name)
    for name, title in _NAMED.items():
        for label, count in sorted(getattr(report, name).items()):
            yield f"{title} {label}", count


def _print_counts(console: Console, title: str, counts: Mapping[str, int]) -> None:
    if counts:
        console.print(Text(plain(f"{title}:")))
    for name, count in counts.items():
        console.print(Text(plain(f"  {count:,} {name}")))


if __name__ == "__main__":
    sys.exit(main())
