"""Which rows of the tables contradict each other: the checks, as data.

A check is a condition over the rows of a view (`check_views`). No row of a sound root breaks one,
in whatever order its runs came; only rows that break a warning may be right. `table_verification`
runs the checks.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Rows of `view` for which the SQL condition `broken` is true are wrong.

    `says` tells a user what is wrong with them; `shown` is the column that names such a row.
    Rows that break a `warning` may be right: they are worth a look, but no violation.
    """

    name: str
    view: str
    broken: str
    says: str
    shown: str = "note_id"
    warning: bool = False


CHECKS = (
    Check(
        "entity_offsets",
        "entity_rows",
        "`begin` < 0 OR `end` <= `begin` OR characters <> `end` - `begin`",
        "an entity's offsets do not fit its text",
    ),
    Check(
        "duplicate_entities",
        "entity_ids",
        "entity_rows > 1",
        "one entity_id stands in several rows",
    ),
    Check(
        "duplicate_ledger_rows",
        "notes",
        "ledger_rows > 1",
        "a note has several ledger rows for one model",
    ),
    Check(
        "entities_without_ledger",
        "notes",
        "ledger_rows IS NULL",
        "a note has entities and no ledger row",
    ),
    Check(
        "entities_of_other_runs",
        "notes",
        "first_stamp <> last_stamp OR first_stamp.run_id <> run_id "
        "OR first_stamp.pipeline_fingerprint <> pipeline_fingerprint "
        "OR first_stamp.model_fingerprint <> run_model_fingerprint",
        "a note's entities name another run, pipeline or model than its ledger row",
    ),
    Check(
        "entity_count",
        "notes",
        "coalesce(entity_rows, 0) <> entities",
        "a note has more or fewer entities than its ledger row says",
    ),
    Check(
        "entities_beyond_note",
        "notes",
        "last_end > characters",
        "an entity ends behind the note's last character",
    ),
    Check(
        "ledger_without_run",
        "notes",
        "ledger_rows IS NOT NULL AND run_model_fingerprint IS NULL",
        "a ledger row names a run that the table runs does not have",
    ),
    Check(
        "ledger_of_other_pipeline",
        "notes",
        "model <> run_model OR pipeline_fingerprint <> run_pipeline",
        "a ledger row names another model or pipeline than its run",
    ),
    Check(
        "windows_without_ledger",
        "windows_of_notes",
        "windows IS NULL",
        "a note has windows and no ledger row",
    ),
    Check(
        "window_count",
        "windows_of_notes",
        "coalesce(window_rows, 0) <> windows",
        "a note has more or fewer windows than its ledger row says",
    ),
    Check(
        "duplicate_windows",
        "windows_of_notes",
        "window_numbers < window_rows",
        "a note has two windows with one number",
    ),
    Check(
        "windows_beyond_note",
        "windows_of_notes",
        "last_end > characters",
        "a window ends behind the note's last character",
    ),
    Check(
        "windows_in_order",
        "layout",
        "NOT is_entity AND (`begin` < 0 OR `end` <= `begin` OR window.`end` > `begin` "
        "OR window.window_index >= window_index)",
        "windows of a note overlap, are empty or are numbered out of order",
    ),
    Check(
        "entities_in_windows",
        "layout",
        "is_entity AND (window IS NULL OR window.`end` < `end`)",
        "an entity does not lie in one window",
    ),
    Check(
        "missing_predictions",
        "window_texts",
        "note_id IS NOT NULL AND predictions IS NULL",
        "a window has no prediction of the model that the note was done with",
    ),
    Check(
        "failed_windows",
        "window_texts",
        "note_id IS NOT NULL AND has_failed",
        "a note is done in which the model failed on a window",
    ),
    Check(
        "window_lengths",
        "window_texts",
        "shortest <> longest",
        "windows with one hash have different lengths",
    ),
    Check(
        "prediction_spans",
        "window_texts",
        "has_bad_span OR last_span_end > longest",
        "a prediction does not fit the windows with its hash",
        shown="window_hash",
    ),
    Check(
        "contradictory_predictions",
        "window_texts",
        "first_spans <> last_spans",
        "two predictions of one model for one window have different spans",
        shown="window_hash",
    ),
    Check("duplicate_runs", "runs", "run_rows > 1", "one run_id stands in several rows", "run_id"),
    Check(
        "run_counts",
        "runs",
        "status = 'done' AND (owned.notes > worked_notes OR owned.windows > windows "
        "OR owned.wordpieces > wordpieces OR owned.unread_characters > unread_characters "
        "OR owned.entities > entities)",
        "the ledger rows of a run add up to more than the run says that it did",
        "run_id",
    ),
    Check(
        "rows_gone",
        "runs",
        "status = 'done' AND start = last_start AND (coalesce(owned.notes, 0) < worked_notes "
        "OR coalesce(owned.windows, 0) < windows OR coalesce(owned.entities, 0) < entities)",
        "of what the latest run wrote, some is gone: right after a purge, else a loss",
        "run_id",
        warning=True,
    ),
    Check(
        "unfinished_runs",
        "runs",
        "status = 'running'",
        "a run is at work, or was killed: if so, a run to the end mends what it left",
        "run_id",
        warning=True,
    ),
    Check(
        "done_and_refused",
        "refused_and_done",
        "run_id = done_by",
        "one run both did and quarantined a note with one text",
    ),
    Check(
        "done_or_refused_earlier",
        "refused_and_done",
        "run_id <> done_by",
        "a text was done in one run and quarantined in another: right if settings changed between",
        warning=True,
    ),
)
