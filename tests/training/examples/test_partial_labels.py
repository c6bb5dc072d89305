"""The marginal loss is held against a sum over all taggings that the annotation allows."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from training.corpora.documents import make_document
from training.examples.examples import NO_LABEL, Example, encode_documents, hidden_tags
from training.examples.partial_labels import hidden_matrix, summed_loss
from udfs.decoding.label_scheme import bio_labels
from udfs.network.tokenization import WindowTokenizer
from udfs.spans import Mention

TAGS = bio_labels(["Chemical", "Disease"])  # O, B-Chemical, I-Chemical, B-Disease, I-Disease
NO_CHEMICAL = hidden_tags(TAGS, {"Disease"})


def logits_and_tags(*rows):
    torch.manual_seed(1)
    tags = torch.tensor(rows)
    return torch.randn(*tags.shape, len(TAGS), requires_grad=True), tags


def example(hidden=()):
    nothing = np.zeros(1, dtype=np.int64)
    return Example(nothing, nothing, hidden)


def test_hidden_tags_are_those_of_other_labels():
    assert NO_CHEMICAL == (1, 2)
    assert hidden_tags(TAGS, {"Chemical", "Disease"}) == ()
    assert hidden_matrix([example(), example()], 5) is None
    assert hidden_matrix([example(), example((1, 2))], 5).tolist() == [
        [False] * 5,
        [False, True, True, False, False],
    ]


def test_the_loss_sums_over_what_the_annotation_allows():
    logits, tags = logits_and_tags([0, 3, 4, 0, NO_LABEL])
    hidden = hidden_matrix([example(NO_CHEMICAL)], len(TAGS))
    probabilities = logits.softmax(-1)[0]
    allowed = [[0, 1, 2] if tag == 0 else [tag] for tag in tags[0, :4].tolist()]
    likelihood = sum(
        torch.stack([probabilities[place, tag] for place, tag in enumerate(choice)]).prod()
        for choice in itertools.product(*allowed)
    )
    assert summed_loss(logits, tags, hidden).item() == pytest.approx(-likelihood.log().item())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_full_annotation_is_cross_entropy(smoothing):
    logits, tags = logits_and_tags([0, 3, 4, NO_LABEL], [1, 2, 0, 0])
    expected = cross_entropy(
        logits.flatten(0, 1),
        tags.flatten(),
        ignore_index=NO_LABEL,
        label_smoothing=smoothing,
        reduction="sum",
    )
    nothing_hidden = torch.zeros(2, len(TAGS), dtype=torch.bool)
    assert torch.equal(summed_loss(logits, tags, None, smoothing), expected)
    assert summed_loss(logits, tags, nothing_hidden, smoothing).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_what_is_not_annotated_is_not_unlearnt():
    """Where the model is sure of a hidden label, O of that corpus pulls nothing away from it."""
    logits, tags = logits_and_tags([0, 0])
    logits = logits.detach()
    logits[0, :, 1] = 20.0  # B-Chemical
    logits.requires_grad_()
    summed_loss(logits, tags, hidden_matrix([example(NO_CHEMICAL)], len(TAGS))).backward()
    assert logits.grad.abs().max() < 1e-6
    logits.grad = None
    summed_loss(logits, tags, None).backward()
    assert logits.grad[0, 0, 1] > 0.9


def test_documents_know_what_their_corpus_annotates(tiny_bert):
    tokenizer = WindowTokenizer.from_file(tiny_bert / "tokenizer.json")
    documents = [
        make_document(name, "fever. no fever", [Mention(0, 5, "Disease")]) for name in "ab"
    ]
    [one, *_], [other, *_] = encode_documents(
        documents,
        tokenizer,
        TAGS,
        max_wordpieces=32,
        overlap=8,
        annotated=[{"Disease"}, {"Disease", "Chemical"}],
    )
    assert (one.hidden, other.hidden) == (NO_CHEMICAL, ())
