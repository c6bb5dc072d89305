"""A tiny pipeline of spaCy that has learnt a few words, for tests; made in a second."""

import random
from pathlib import Path

import spacy
from spacy.training import Example

TEXTS = (
    ("aspirin caused severe headache.", [("aspirin", "DRUG"), ("severe headache", "DISEASE")]),
    ("ibuprofen and aspirin, no fever.", [("ibuprofen", "DRUG"), ("aspirin", "DRUG"),
                                          ("fever", "DISEASE")]),
    ("severe headache after aspirin 😀 today.", [("severe headache", "DISEASE"),
                                                ("aspirin", "DRUG")]),
    ("nothing to see here.", []),
)  # fmt: skip
CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "pretrained_vectors": None,
    "width": 16,
    "depth": 2,
    "embed_size": 200,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "*"}


def write_tiny_spacy(folder: Path, listening: bool = False, others: tuple[str, ...] = ()) -> Path:
    """A folder as spaCy writes it; `listening`: the recogniser shares a tok2vec component."""
    random.seed(1)
    spacy.util.fix_random_seed(1)
    nlp = spacy.blank("en")
    for name in others:
        nlp.add_pipe(name)
    if listening:
        nlp.add_pipe("tok2vec", config={"model": CNN})
    tok2vec = LISTENER if listening else CNN
    model = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 16,
        "maxout_pieces": 2,
        "use_upper": True,
        "nO": None,
        "tok2vec": tok2vec,
    }
    nlp.add_pipe("ner", config={"model": model})
    examples = []
    for text, words in TEXTS:
        spans = [(text.index(w), text.index(w) + len(w), label) for w, label in words]
        examples.append(Example.from_dict(nlp.make_doc(text), {"entities": spans}))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(40):
        nlp.update(examples, sgd=optimizer, drop=0.0)
    nlp.to_disk(folder)
    return folder
