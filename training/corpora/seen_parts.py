"""Whether a model, or one that it learnt from, was trained on a part of a corpus, by the digests in
its package.
"""

from __future__ import annotations

from itertools import combinations

from training.corpora.documents import digest_documents
from training.corpora.form_table import PARTS, read_corpus
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest


def refuse_seen_part(manifest: ModelManifest, corpus: str, part: str) -> None:
    """Raises InputError where the part, alone or with others of the corpus, is what the model, its
    teachers or the package that it began as were trained on. Other data are not recognised.
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
