"""Publish a model package in a repository of a hub.

    python jobs/publish_model.py --model PACKAGE --repository OWNER/NAME --private --dry-run

Shows what would be uploaded. Without --dry-run it uploads all of it in one commit and reads it
back. The hub is huggingface.co or the one that HF_ENDPOINT names. The token is read from HF_TOKEN
or from where `hf auth login` put it, and is never shown. Exit codes: 0 done, 1 the hub failed or
refused, 2 bad input, nothing sent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.command_line.exit_codes import exit_code
from training.package.publication import Publication, prepare_publication

JOB = "publish_model"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _publish(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Publish a model package on a hub of models.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--model", metavar="PACKAGE", type=Path, required=True, help="the package")
    add("--repository", metavar="OWNER/NAME", required=True, help="made where there is none")
    add("--private", action="store_true", help="for members of OWNER alone")
    add("--license", metavar="ID", help="such as apache-2.0 (default: the one that its card names)")
    add("--dry-run", action="store_true", help="show what would be uploaded, and end")
    return parser


def _publish(arguments: argparse.Namespace) -> None:
    publication = prepare_publication(arguments.model, arguments.repository, arguments.license)
    _show(publication, arguments.private)
    if arguments.dry_run:
        print("dry run: nothing was sent")
        return
    from training.package.model_hub import upload_package

    print(f"published: {upload_package(publication, arguments.private)}")


def _show(publication: Publication, private: bool) -> None:
    manifest = publication.manifest
    print(f"repository   {publication.repository} ({'private' if private else 'public'})")
    print(f"model        {manifest.name}, fingerprint {manifest.fingerprint}")
    print(f"licence      {publication.licence}")
    print(f"base model   {manifest.base_model or 'unknown'}")
    print(f"trained on   {', '.join(publication.datasets) or 'unknown'}")
    for where, entry in publication.scores.items():
        print(f"scored       {where}: F1 {entry['scores']['overall']['f1']:.4f}")
    for file in publication.files:
        changed = ", other than in the folder" if file.content is not None else ""
        print(f"file         {file.name}, {file.size:,} bytes, {file.sha256[:12]}{changed}")


if __name__ == "__main__":
    sys.exit(main())
