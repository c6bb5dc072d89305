"""Whether a model, or one that it learnt from, was trained on a part of a corpus.

The digests in the model's package tell.
"""

from __future__ import annotations

from itertools import combinations

from training.corpora.documents import digest_documents
from training.corpora.form_table import PARTS, read_corpus
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest


def refuse_seen_part(manifest: ModelManifest, corpus: str, part: str) -> None:
    """Refuses a part that the model, a teacher or the package that it started from has seen.

    A part is recognised where it was the training data alone, or together with other whole parts of
    the corpus. Other data are not recognised.

    Raises:
        InputError: one of these models was trained on the part.
    """
    documents = {}
    for name in PARTS:
        try:
            documents[name] = read_corpus(corpus, [name])
        except InputError:
            continue  # a corpus need not have all parts
    for number in range(1, len(documents) + 1):
        for parts in combinations(documents, number):
            together = [document for name in parts for document in documents[name]]
            if part in parts and digest_documents(together) in manifest.seen_digests:
                raise InputError(
                    f"the model {manifest.name}, or one that it learnt from, was trained on the "
                    f"{' and '.join(parts)} parts of this corpus, so its scores on {part} are "
                    "not what they are on other texts; name a part that it has not seen"
                )
