"""Where things lie: tests move between folders, so no other file of theirs counts its parents."""

from pathlib import Path

from conf.shipped_model import shipped_model

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "samples" / "notes.jsonl"
SHIPPED = shipped_model()
