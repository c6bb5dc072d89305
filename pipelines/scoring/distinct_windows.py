"""The distinct windows of notes, and how they are spread over tasks."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# A partition of the inference stage holds about this much text, so that no task grows with the run.
PARTITION_CHARACTERS = 16_000_000
# Fewest notes per partition when notes are spread. Fewer are done before a shuffle of their texts
# would pay, and would give many small files.
NOTES_A_PARTITION = 100


def size_of(rows: DataFrame) -> tuple[int, int]:
    """The number of rows, and the code points of all their texts."""
    size = rows.agg(F.count(F.lit(1)), F.sum(F.length("text"))).first()
    return (int(size[0]), int(size[1] or 0)) if size else (0, 0)


def spread(notes: DataFrame, count: int, partitions: int, slots: int) -> DataFrame:
    """Spreads notes over all slots if they come in fewer partitions.

    One file is often one partition. Then one task would do all the work before and after the model.

    Args:
        notes: rows with `note_id`.
        count: how many notes these are.
        partitions: the number of partitions of their source.
        slots: see `task_slots`.
    """
    wanted = min(slots, count // NOTES_A_PARTITION)
    return notes if wanted <= partitions else notes.repartition(wanted, "note_id")


def partitions_for(slots: int, characters: int) -> int:
    """The number of partitions of the inference stage for this much text: a multiple of slots."""
    return max(slots, slots * -(-characters // (slots * PARTITION_CHARACTERS)))


def distinct_windows(windows: DataFrame, known: DataFrame | None, partitions: int) -> DataFrame:
    """Each window text once, without those whose hash stands in `known`.

    The explicit partition count after the anti-join keeps adaptive execution from collapsing the
    stage into one task, and `dropDuplicates` over it needs no second shuffle.
    """
    wanted = windows.select("window_hash", "text")
    if known is not None:
        wanted = wanted.join(known.select("window_hash"), on="window_hash", how="left_anti")
    return wanted.repartition(partitions, "window_hash").dropDuplicates(["window_hash"])


def hash_range(windows: DataFrame, begin: float, end: float) -> DataFrame:
    """The windows whose hash lies in a part `[begin, end)` of the hash space, 0 to 1.

    Keyed hashes are uniform, so this is a random sample of that share, the same in every run.
    """
    column = F.col("window_hash")
    chosen = windows.where(column >= _hash_at(begin))
    return chosen if end >= 1 else chosen.where(column < _hash_at(end))


def _hash_at(fraction: float) -> str:
    return f"{min(int(fraction * 2**32), 2**32 - 1):08x}" if fraction > 0 else ""
