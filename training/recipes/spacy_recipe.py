"""Every setting of a training with spaCy, and the spaCy configuration made from them.

The defaults are those of spaCy's own quickstart for CPUs. spaCy is not imported, so that wrong
settings are refused at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from training.recipes.recipe import setting
from udfs.errors import InputError

LOGGER = "clinspan.Progress.v1"


@dataclass(frozen=True)
class SpacyRecipe:
    """Every setting of a training with spaCy."""

    max_epochs: int = setting(0, "most passes over the training parts; 0: until patience ends it")
    max_steps: int = setting(20000, "most steps; 0: no limit")
    patience: int = setting(1600, "steps without a better F1 on devel that end it; 0: none do")
    eval_frequency: int = setting(200, "steps between two looks at devel")
    learning_rate: float = setting(0.001, "of Adam")
    first_batch_words: int = setting(100, "tokens in the first batch; batches grow by 0.1 % a step")
    batch_words: int = setting(1000, "tokens in the largest batch")
    dropout: float = setting(0.1, "of all layers")
    width: int = setting(96, "numbers of a token")
    depth: int = setting(4, "convolutions, each of which sees one token more to either side")
    hidden_width: int = setting(64, "of the layer that decides on a step")
    seed: int = setting(1, "of the weights, of dropout and of the order of batches")

    def __post_init__(self) -> None:
        may_be_none = ("max_epochs", "max_steps", "patience", "seed", "dropout")
        for one in fields(self):
            value = getattr(self, one.name)
            if value < 0 or (value == 0 and one.name not in may_be_none):
                least = "at least" if one.name in may_be_none else "greater than"
                raise InputError(f"{one.name} {value} must be {least} 0")
        if self.dropout >= 1:
            raise InputError(f"dropout {self.dropout} must be less than 1")
        if self.first_batch_words > self.batch_words:
            raise InputError(
                f"first_batch_words {self.first_batch_words} must be at most batch_words "
                f"{self.batch_words}"
            )
        if not self.max_epochs and not self.max_steps and not self.patience:
            raise InputError("max_epochs, max_steps or patience must set an end")


def training_config(
    recipe: SpacyRecipe, train: Path, devel: Path, vectors: Path | None
) -> dict[str, Any]:
    """The configuration of spaCy for a recogniser.

    `train` and `devel` are DocBins. `vectors` is a folder of a spaCy pipeline with word vectors.
    """
    return {
        "nlp": {"lang": "en", "pipeline": ["ner"], "batch_size": 1000},
        "components": {"ner": _recogniser(recipe, vectors is not None)},
        "corpora": {
            "train": {"@readers": "spacy.Corpus.v1", "path": str(train)},
            "dev": {"@readers": "spacy.Corpus.v1", "path": str(devel)},
        },
        "training": {
            "seed": recipe.seed,
            "gpu_allocator": None,
            "train_corpus": "corpora.train",
            "dev_corpus": "corpora.dev",
            "dropout": recipe.dropout,
            "patience": recipe.patience,
            "max_epochs": recipe.max_epochs,
            "max_steps": recipe.max_steps,
            "eval_frequency": recipe.eval_frequency,
            "score_weights": {"ents_f": 1.0},
            "logger": {"@loggers": LOGGER},
            "optimizer": {"@optimizers": "Adam.v1", "learn_rate": recipe.learning_rate},
            "batcher": {
                "@batchers": "spacy.batch_by_words.v1",
                "discard_oversize": False,
                "tolerance": 0.2,
                "size": {
                    "@schedules": "compounding.v1",
                    "start": recipe.first_batch_words,
                    "stop": recipe.batch_words,
                    "compound": 1.001,
                },
            },
        },
        "initialize": {"vectors": None if vectors is None else str(vectors)},
    }


def _recogniser(recipe: SpacyRecipe, with_vectors: bool) -> dict[str, Any]:
    return {
        "factory": "ner",
        "model": {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "state_type": "ner",
            "extra_state_tokens": False,
            "hidden_width": recipe.hidden_width,
            "maxout_pieces": 2,
            "use_upper": True,
            "nO": None,
            "tok2vec": {
                "@architectures": "spacy.Tok2Vec.v2",
                "embed": {
                    "@architectures": "spacy.MultiHashEmbed.v2",
                    "width": recipe.width,
                    "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"],
                    "rows": [5000, 1000, 2500, 2500],
                    "include_static_vectors": with_vectors,
                },
                "encode": {
                    "@architectures": "spacy.MaxoutWindowEncoder.v2",
                    "width": recipe.width,
                    "depth": recipe.depth,
                    "window_size": 1,
                    "maxout_pieces": 3,
                },
            },
        },
    }
