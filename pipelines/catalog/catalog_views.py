"""The views that people query beside the tables: data, no code.

A query names tables and earlier views in braces; `registration` puts their quoted names there.
`mentions` has the columns of `entities` that are declared `in_views`. All other columns of views
are listed here, so that a new column of a table never changes a view silently.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.tables.definitions import ENTITIES, PROCESSED_NOTES, QUARANTINED_NOTES, RUNS


@dataclass(frozen=True, slots=True)
class View:
    """A view, what it is for, the tables and views that it reads, and its query."""

    name: str
    comment: str
    reads: tuple[str, ...]
    query: str


# Columns of `mentions` that `entities` lacks, each after the column where readers expect it.
_ADDED = {
    "charttime": "n.storetime",
    "text": r"lower(trim(regexp_replace(e.text, '\\s+', ' '))) AS mention",
    "model": "n.characters AS note_characters",
}


def _mention_columns() -> str:
    shown = [column.name for column in ENTITIES.columns if column.in_views]
    parts = ((f"e.{name}", _ADDED.get(name)) for name in shown)
    return ", ".join(part for pair in parts for part in pair if part is not None)


MENTIONS = View(
    "mentions",
    "One row for each mention, with the row of its note of the ledger; a note that a run has not "
    "finished is left out. mention is the text in lower case on one line",
    (ENTITIES.name, PROCESSED_NOTES.name),
    f"SELECT {_mention_columns()}"
    """
    FROM {entities} e JOIN {processed_notes} n
    ON n.note_id = e.note_id AND n.model = e.model AND n.run_id = e.run_id
    """,
)
MENTION_COUNTS = View(
    "mention_counts",
    "One row for each distinct mention, type and model: how many mentions, notes, subjects and "
    "admissions, and when it was first and last charted",
    (MENTIONS.name,),
    """
    SELECT model, entity_type, mention, count(*) AS mentions, count(DISTINCT note_id) AS notes,
        count(DISTINCT subject_id) AS subjects, count(DISTINCT hadm_id) AS admissions,
        avg(score) AS mean_score, min(charttime) AS first_charttime,
        max(charttime) AS last_charttime
    FROM {mentions} GROUP BY model, entity_type, mention
    """,
)
SUBJECT_MENTIONS = View(
    "subject_mentions",
    "One row for each subject, distinct mention, type and model: in how many notes, and when it "
    "was first and last charted; notes without a subject are left out",
    (MENTIONS.name,),
    """
    SELECT subject_id, model, entity_type, mention, count(*) AS mentions,
        count(DISTINCT note_id) AS notes, count(DISTINCT hadm_id) AS admissions,
        avg(score) AS mean_score, min(charttime) AS first_charttime,
        max(charttime) AS last_charttime
    FROM {mentions} WHERE subject_id IS NOT NULL
    GROUP BY subject_id, model, entity_type, mention
    """,
)
NOTE_COUNTS = View(
    "note_counts",
    "One row for each note and model, notes without entities too: its size, what the model could "
    "not read, and its mentions by type",
    (PROCESSED_NOTES.name, MENTIONS.name),
    """
    SELECT n.note_id, n.model, n.storetime, n.characters, n.unread_characters, n.windows,
        n.wordpieces, n.entities,
        coalesce(t.entities_by_type, cast(map() AS map<string, bigint>)) AS entities_by_type,
        n.run_id, n.processed_at
    FROM {processed_notes} n LEFT JOIN (
        SELECT note_id, model, map_from_entries(collect_list(struct(entity_type, mentions)))
            AS entities_by_type
        FROM (SELECT note_id, model, entity_type, count(*) AS mentions
            FROM {mentions} GROUP BY note_id, model, entity_type)
        GROUP BY note_id, model
    ) t ON t.note_id = n.note_id AND t.model = n.model
    """,
)
RUN_OVERVIEW = View(
    "run_overview",
    "One row for each run: how it ended, what it worked on and how fast. A run that was killed "
    "stays running",
    (RUNS.name,),
    """
    SELECT run_id, start, end, status, error, input, input_version, model, rows_read, notes,
        quarantined_notes, quarantined_notes / nullif(rows_read, 0) AS quarantined_fraction,
        unchanged_notes, notes - unchanged_notes AS worked_notes, entities, windows,
        distinct_windows, scored_windows, scored_wordpieces, seconds, inference_seconds,
        (notes - unchanged_notes) / nullif(seconds, 0) AS notes_per_second,
        scored_wordpieces / nullif(inference_seconds, 0) AS wordpieces_per_second,
        code_version, settings_digest, model_fingerprint, pipeline_fingerprint
    FROM {runs}
    """,
)
QUARANTINE_OVERVIEW = View(
    "quarantine_overview",
    "One row for each rule: how many rows broke it, when, and how many of them are open, that is "
    "not processed since",
    (QUARANTINED_NOTES.name, PROCESSED_NOTES.name),
    """
    SELECT q.rule, count(*) AS refused_rows, count(DISTINCT q.note_id) AS notes,
        count_if(n.last_processed_at IS NULL OR n.last_processed_at < q.at) AS open_rows,
        min(q.at) AS first_at, max(q.at) AS last_at
    FROM {quarantined_notes} q LEFT JOIN (
        SELECT note_id, max(processed_at) AS last_processed_at
        FROM {processed_notes} GROUP BY note_id
    ) n ON n.note_id = q.note_id
    GROUP BY q.rule
    """,
)
# In the order of creation: a view comes after the views that it reads.
VIEWS = (
    MENTIONS,
    MENTION_COUNTS,
    SUBJECT_MENTIONS,
    NOTE_COUNTS,
    RUN_OVERVIEW,
    QUARANTINE_OVERVIEW,
)
