"""Two runs at the same time on one root."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.faults, pytest.mark.model]


@pytest.mark.parametrize("place", ["new root", "existing root"])
def test_two_at_once(laboratory, few, fault, tmp_path: Path, place: str) -> None:
    """two drivers at once on one root"""
    root = tmp_path / "root"
    if place == "existing root":
        half = tmp_path / "half.jsonl"
        lines = few.notes.read_text(encoding="utf-8").splitlines(keepends=True)
        half.write_text("".join(lines[: len(lines) // 3]), encoding="utf-8")
        assert laboratory.in_process(half, root) == 0
    names = [f"{number} on {place}".replace(" ", "-") for number in ("one", "two")]
    both = [laboratory.locally(name, few.notes, root) for name in names]
    for started in both:
        code, printed = laboratory.wait(started)
        fault.codes.append(code)
        assert code in (0, 4), printed[-3000:]
    assert 0 in fault.codes
    fault.result = laboratory.expect_right(root, few)
