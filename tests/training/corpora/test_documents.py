from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotated_documents import corpora
from training.corpora.documents import (
    COVER,
    PARTS_OF,
    REFUSE,
    Document,
    digest_documents,
    discontinuous_mentions,
    join_pieces,
    make_document,
    resolve_discontinuous,
)
from udfs.errors import InputError
from udfs.spans import Mention, Relation, Span

GAP = Mention(
    0, 9, "Drug", fragments=((0, 1), (4, 5), (8, 9)), attributes=(("a", ""),), concept_ids=("D1",)
)
INSIDE = Mention(4, 9, "Drug")


def test_annotations_stand_in_one_order_and_relations_follow():
    given_order = [INSIDE, Mention(0, 2, "B"), Mention(0, 2, "A"), GAP]
    document = make_document("d", "012345678", given_order, [Relation("r", 0, 3)])
    assert document.spans == (Mention(0, 2, "A"), Mention(0, 2, "B"), GAP, INSIDE)
    assert document.relations == (Relation("r", 3, 2),)


def test_equal_mentions_keep_their_own_relations():
    twice = [Mention(0, 1, "Drug"), Mention(0, 1, "Drug"), Mention(2, 3, "Dose")]
    document = make_document("d", "a b", twice, [Relation("r", 2, 1)])
    assert document.relations == (Relation("r", 2, 1),)


def test_one_piece_is_no_fragment():
    assert join_pieces([(2, 5)], "X") == Mention(2, 5, "X")
    assert join_pieces([(2, 5), (7, 8)], "X").pieces == ((2, 5), (7, 8))


def test_the_policies_for_discontinuous_mentions():
    relations = [Relation("r", 0, 1), Relation("r", 1, 0)]
    documents = [make_document("d", "012345678", [GAP, INSIDE], relations)]
    extras = {"attributes": GAP.attributes, "concept_ids": GAP.concept_ids}
    [covered] = resolve_discontinuous(documents, COVER)
    assert covered.spans == (Mention(0, 9, "Drug", **extras), INSIDE)
    assert covered.relations == (Relation("r", 0, 1), Relation("r", 1, 0))
    [parted] = resolve_discontinuous(documents, PARTS_OF)
    one, two, three = (Mention(b, e, "Drug", **extras) for b, e in GAP.fragments)
    assert parted.spans == (one, two, INSIDE, three)
    assert parted.relations == (Relation("r", 0, 2), Relation("r", 2, 0))
    with pytest.raises(InputError, match="1 discontinuous mentions"):
        resolve_discontinuous(documents, REFUSE)


def heads_of(relation, document):
    """What of a relation a policy must not change."""
    ends = (document.spans[relation.head], document.spans[relation.tail])
    return (relation.label, *((end.begin, end.label) for end in ends))


@given(corpora(), st.sampled_from([COVER, PARTS_OF]))
def test_a_policy_leaves_all_else_as_it_is(corpus, policy):
    resolved = resolve_discontinuous(corpus, policy)
    assert discontinuous_mentions(resolved) == 0
    for before, after in zip(corpus, resolved, strict=True):
        assert (after.doc_id, after.text) == (before.doc_id, before.text)
        assert after.concept_relations == before.concept_relations
        assert len(after.relations) == len(before.relations)
        whole = Counter(span for span in before.spans if not span.fragments)
        assert whole <= Counter(after.spans)
        old, new = ([heads_of(relation, d) for relation in d.relations] for d in (before, after))
        assert sorted(old) == sorted(new)
    assert resolve_discontinuous(resolved, REFUSE) == resolved


@given(st.text(min_size=1), st.text(min_size=1))
def test_digest_tells_documents_apart(one, other):
    def digest(text, *spans):
        return digest_documents([Document("1", text, spans)])

    assert (digest(one) == digest(other)) == (one == other)
    assert len({digest(one), digest(one, Span(0, 1, "A")), digest(one, Span(0, 1, "B"))}) == 3
    assert digest(one, Span(0, 1, "A", 0.5)) == digest(one, Span(0, 1, "A"))
    with_more = Mention(0, 1, "A", attributes=(("a", ""),), concept_ids=("D1",))
    assert digest(one, Span(0, 1, "A")) == digest(one, with_more, Mention(0, 1, "A"))
