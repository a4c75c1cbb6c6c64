"""PubTator, CoNLL/BIO and BRAT: their quirks in small, an oracle for the tags, the real corpora in full."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from dirag.data import Document
from dirag.formats import conll, pubtator, read


def _pubtator(content: str) -> list[Document]:
    lines = content.encode().splitlines(keepends=True)
    return list(pubtator.read(lines, name="c.txt", stem="c"))


def _conll(content: str) -> list[Document]:
    lines = content.encode().splitlines(keepends=True)
    return list(conll.read(lines, name="c.tsv", stem="c"))


def _spans(document: Document) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.type) for entity in document.entities]


def test_pubtator_counts_one_character_between_title_and_abstract() -> None:
    (document,) = _pubtator(
        "\n1|t|Flu and |t| it.\n1|a|A |t| cold; ache.\n1\t22\t26\tcold\tDisease\tD1\n1\tCID\tD1\tD2\n\n"
    )
    assert document.text == "Flu and |t| it.\nA |t| cold; ache."
    assert (document.id, document.issues) == ("1", ())
    (entity,) = document.entities
    assert (entity.text, entity.type) == ("cold", "Disease")
    assert entity.link is not None
    assert (entity.link.concept.id, entity.link.match, entity.link.score) == ("D1", "exact", 1.0)


@pytest.mark.parametrize(
    "raw, id", [("D1", "D1"), (" D1", "D1"), ("D1|D2", "D1|D2"), ("D1+D2", "D1+D2"), ("MESH:D1", "MESH:D1")]
)
def test_pubtator_ids_stay_as_annotated(raw: str, id: str) -> None:
    (document,) = _pubtator(f"1|t|Flu\n1\t0\t3\tFlu\tDisease\t{raw}\tpart|part\n")
    hit = document.entities[0].link
    assert hit is not None
    assert hit.concept.id == id


@pytest.mark.parametrize("rest", ["D1\tD2", "1312\t4524\tNovel", "D1\t12\tNo\tx\ty"])
@pytest.mark.parametrize("kind", ["CID", "Positive_Correlation", "Drug-Gene", "Gene Of"])
def test_pubtator_relations_of_any_width_are_no_labels(kind: str, rest: str) -> None:
    (document,) = _pubtator(f"1|t|Flu\n1\t{kind}\t{rest}\n1\t0\t3\tFlu\tDisease\n")
    assert (_spans(document), document.issues) == ([(0, 3, "Disease")], ())


@pytest.mark.parametrize("rest", ["", "\t", "\t-1", "\t-"])
def test_pubtator_labels_without_a_concept(rest: str) -> None:
    (document,) = _pubtator(f"1|t|Flu\n1\t0\t3\tFlu\tDisease{rest}\n")
    assert document.entities[0].link is None


@pytest.mark.parametrize(
    "label",
    [
        "0\t3\tflu\tD",
        "1\t4\tFlu\tD",
        "0\t99\tFlu\tD",
        "3\t3\t\tD",
        "a\t3\tFlu\tD",
        "0\t3\tFlu",
        "0\t3\tFlu\t ",
        "\u0661\t3\tFlu\tD",
    ],
)
def test_pubtator_labels_that_cannot_be_placed_are_reported_and_not_moved(label: str) -> None:
    (document,) = _pubtator(f"1|t|Flu Flu\n1\t{label}\n1\t4\t7\tFlu  \tD\n")
    assert _spans(document) == [(4, 7, "D")]
    assert [(issue.code, issue.where) for issue in document.issues] == [("unusable-label", "c.txt:2")]


def test_pubtator_documents_end_at_the_next_title_and_a_bad_byte_costs_one() -> None:
    data = b"1|t|One\r\n1|a|Abs\r\n2|t|Tw\xff\n2|a|x\n\n2\t0\t3\tTwo\tD\n\n1|t|One again\n"
    documents = list(pubtator.read(data.splitlines(keepends=True), name="c.txt", stem="c"))
    assert [(d.id, d.text) for d in documents] == [
        ("1", "One\nAbs"),
        ("c:3", ""),
        ("c:6", ""),
        ("1", "One again"),
    ]
    assert [[i.where for i in d.issues] for d in documents] == [[], ["c.txt:3"], ["c.txt:6"], []]


def test_conll_sentences() -> None:
    one, two = _conll("-DOCSTART-\tO\n\nHe\tPRP\tO\nhas\tVB\tO\nflu\tNN\tB-D\n\n \nB B-D\nC I-D\n")
    assert (one.id, one.text, _spans(one)) == ("c:1", "He has flu", [(7, 10, "D")])
    assert (two.id, two.text, _spans(two)) == ("c:2", "B C", [(0, 3, "D")])


@pytest.mark.parametrize("blank", ["\u2028", "\u00a0\t\u2003", "\x85", "\x1c"])
def test_a_conll_line_of_any_white_space_ends_a_sentence(blank: str) -> None:
    lines = f"flu\tB-D\n{blank}\n\u2028\tI-D\n".encode().splitlines(keepends=True)
    one, two = conll.read(lines, name="c.tsv", stem="c")
    assert (one.text, _spans(one), two.text) == ("flu", [(0, 3, "D")], "\u2028")


@pytest.mark.parametrize(
    "tags, spans",
    [
        ("B-D I-D O", [(0, 3, "D")]),
        ("I-D I-D B-D", [(0, 3, "D"), (4, 5, "D")]),
        ("I-D I-E O", [(0, 1, "D"), (2, 3, "E")]),
        ("B-D E-D S-D", [(0, 3, "D"), (4, 5, "D")]),
        ("B-D L-D U-D", [(0, 3, "D"), (4, 5, "D")]),
        ("O B-a-b I-a-b", [(2, 5, "a-b")]),
    ],
)
def test_conll_tag_schemes(tags: str, spans: list[tuple[int, int, str]]) -> None:
    (document,) = _conll("".join(f"{token}\t{tag}\n" for token, tag in zip("xyz", tags.split(), strict=True)))
    assert _spans(document) == spans


_HABITS = {
    "IO": ["O", "I-D", "I-D", "O", "I-E"],
    "IOB1": ["O", "I-D", "I-D", "O", "I-E"],
    "IOB2": ["O", "B-D", "I-D", "O", "B-E"],
    "BIOES": ["O", "B-D", "E-D", "O", "S-E"],
    "BILOU": ["O", "B-D", "L-D", "O", "U-E"],
    "small letters": ["O", "b-D", "i-D", "O", "b-E"],
    "types alone": ["O", "D", "D", "O", "E"],
    "type first": ["O", "D-B", "D-I", "O", "E-B"],
    "underscores": ["O", "B_D", "I_D", "O", "B_E"],
}


@pytest.mark.parametrize("habit", _HABITS)
@pytest.mark.parametrize(
    "layout", ["{n} {w} X {t}", "{w} {t}", "{w}\t{t}", "{w}\t{t}\tX", "{n}\t{w}\t{t}\t{x}\t_"]
)
def test_conll_in_all_its_habits(habit: str, layout: str) -> None:
    rows = enumerate(zip("vwxyz", _HABITS[habit], "NAVNP", strict=True), start=1)
    sentence = "".join(layout.format(n=n, w=w, t=t, x=x) + "\n" for n, (w, t, x) in rows)
    one, two = _conll(f"-DOCSTART- -X- O O\n\n# id = 1\n{sentence}\n### 2\n{sentence}")
    for document in (one, two):
        assert (document.text, _spans(document)) == ("v w x y z", [(2, 5, "D"), (8, 9, "E")])
        assert document.issues == ()


def test_conll_tags_without_a_type_are_entities_all_the_same() -> None:
    (document,) = _conll("Flu\tB\nB\tI\nand\tO\ncold\tB\n")
    assert _spans(document) == [(0, 5, "entity"), (10, 14, "entity")]


def test_a_conll_token_that_begins_as_a_comment_stays_one() -> None:
    (document,) = _conll("#1 O\n# B-D\nflu I-D\n")
    assert (document.text, _spans(document)) == ("#1 # flu", [(3, 8, "D")])


_TAGS = st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in "DE")])


@given(
    st.lists(
        st.tuples(st.text("abc\u0301\U0001f600", min_size=1, max_size=3), _TAGS), min_size=1, max_size=12
    )
)
def test_conll_entities_are_those_of_seqeval(rows: list[tuple[str, str]]) -> None:
    (document,) = _conll("".join(f"{token}\t{tag}\n" for token, tag in rows))
    starts = [sum(len(token) + 1 for token, _ in rows[:i]) for i in range(len(rows))]
    expected = [
        (starts[first], starts[last] + len(rows[last][0]), kind)
        for kind, first, last in get_entities([tag for _, tag in rows])
    ]
    assert _spans(document) == expected


def test_conll_lines_without_a_tag_are_reported_once_a_sentence() -> None:
    (document,) = _conll("a\tB-D\nb\nc\tx\n\tO\n")
    assert (document.text, _spans(document)) == ("a b c", [(0, 1, "D")])
    (issue,) = document.issues
    assert (issue.code, issue.where) == ("unusable-label", "c.tsv:2")
    assert issue.detail == "2 of 4 lines have no tag in the last column"


def test_a_bad_byte_costs_one_conll_sentence() -> None:
    documents = list(
        conll.read([b"a\tO\n", b"\n", b"b\tO\n", b"\xff\tO\n", b"\n", b"c\tO\n"], name="c.tsv", stem="c")
    )
    assert [(d.id, d.text) for d in documents] == [("c:1", "a"), ("c:2", ""), ("c:3", "c")]
    assert documents[1].issues[0].where == "c.tsv:4"


def test_brat_pairs(tmp_path: Path) -> None:
    text = "Flu and\r\na c\u0131old \U0001f600 head ache"
    (tmp_path / "n.txt").write_bytes(text.encode())
    (tmp_path / "n.ann").write_bytes(
        b"T1\tDisease 0 3\tFlu\r\nT2\tDisease 4 10\tand a\nE1\tDisease:T1 \n"
        b"T3\tDisease 11 15;24 28\told ache\n"
        b"T4\tDisease 0 3\tFla\nT5\tDisease 0 99\tFlu\nT6\tDisease\tFlu\nT7 x\nT8\tSign 19 28\thead ache\n"
        b"#1\tAnnotatorNotes T1\tC1\nT9\tD 0 3\tFl\xff\nR1\tX Arg1:T1 Arg2:T2\n*\tEquiv T1 T2\n"
    )
    for path in (tmp_path, tmp_path / "n.ann"):
        (document,) = read([str(path)])
        assert (document.id, document.text) == ("n", text)
        assert _spans(document) == [(0, 3, "Disease"), (4, 10, "Disease"), (19, 28, "Sign")]
        assert [issue.where for issue in document.issues] == [
            f"{tmp_path}/n.ann:{line}" for line in (4, 5, 6, 7, 8, 11)
        ]
        assert document.issues[0].detail == "its span is discontinuous"
    # The text alone, when only it is named.
    (plain,) = read([str(tmp_path / "n.txt")])
    assert plain.entities == ()


@pytest.mark.parametrize(
    "text, span, start, end",
    [
        ("colon and\nrectal cancer", "0 9;10 16", 0, 16),
        ("colon\r\n and rectal cancer", "0 5;8 11;12 18", 0, 18),
        ("colon and rectal", "0 5;10 16", 0, 0),
        ("colon and rectal", "10 16;6 9", 0, 0),
        ("colon and rectal", "0 5;3 9", 0, 0),
        ("colon and rectal", "0 5;6 99", 0, 0),
        ("colon and rectal", "0 5;5 5", 0, 0),
    ],
)
def test_a_brat_span_in_parts_is_one_where_only_white_space_parts_it(
    tmp_path: Path, text: str, span: str, start: int, end: int
) -> None:
    (tmp_path / "n.txt").write_bytes(text.encode())
    covered = " ".join(text[int(a) : int(b)] for a, b in (part.split() for part in span.split(";")))
    (tmp_path / "n.ann").write_text(f"T1\tDisease {span}\t{covered}\n")
    (document,) = read([str(tmp_path)])
    assert _spans(document) == ([(start, end, "Disease")] if end else [])
    assert [issue.code for issue in document.issues] == ([] if end else ["unusable-label"])


def test_brat_files_without_their_other_half(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_bytes(b"T1\tD 0 3\tFlu\n")
    (tmp_path / "b.txt").write_bytes(b"Flu")
    (tmp_path / "c.txt").write_bytes(b"\xff")
    (tmp_path / "c.ann").write_bytes(b"T1\tD 0 3\tFlu\n")
    a, b, c = read([str(tmp_path)], format="brat")
    assert a.issues[0].detail == "no .txt file beside the .ann file"
    assert (b.text, b.entities, b.issues) == ("Flu", (), ())
    assert [issue.where for issue in c.issues] == [f"{tmp_path}/c.txt:1"]


@pytest.mark.parametrize(
    "path, format, documents, entities, unusable",
    [
        ("ncbi-disease/NCBItrainset_corpus.txt", "pubtator", 593, 5145, 0),
        ("ncbi-disease/NCBIdevelopset_corpus.txt", "pubtator", 100, 787, 0),
        ("ncbi-disease/NCBItestset_corpus.txt", "pubtator", 100, 960, 0),
        ("bc5cdr-pubtator/CDR_TrainingSet.PubTator.txt", None, 500, 9385, 0),
        ("bc5cdr-pubtator/CDR_DevelopmentSet.PubTator.txt", None, 500, 9591, 0),
        ("bc5cdr-pubtator/CDR_TestSet.PubTator.txt", None, 500, 9809, 0),
        ("tmvar3-pubtator", "pubtator", 500, 7837, 0),
        ("ncbi-disease-bio/train.tsv", None, 5424, 5134, 0),
        ("ncbi-disease-bio/devel.tsv", None, 923, 787, 0),
        ("ncbi-disease-bio/test.tsv", None, 940, 960, 0),
        ("bc5cdr-bio/test.tsv", None, 4797, 9809, 0),
        ("bc2gm-bio/test.tsv", None, 5038, 6325, 0),
        ("jnlpba-bio/devel.tsv", None, 1939 - 200, 4551, 0),  # 200 -DOCSTART- lines are no sentences
        ("pharmaconer-es-bio/dev.txt", "conll", 1046, 563, 0),
        ("maccrobat2020-half-a", None, 100, 12780 - 20, 20),
        ("jnlpba-standoff/train", None, 2000, 51301, 0),
    ],
)
def test_real_corpora(
    shared_data: Path, path: str, format: str | None, documents: int, entities: int, unusable: int
) -> None:
    found = list(read([str(shared_data / "corpora" / path)], format=format))
    issues = Counter(issue.code for document in found for issue in document.issues)
    assert (len(found), sum(len(document.entities) for document in found)) == (documents, entities)
    assert issues == ({"unusable-label": unusable} if unusable else {})


def test_offsets_of_a_corpus_with_two_character_line_ends(shared_data: Path) -> None:
    found = list(read([str(shared_data / "corpora/mantra-gsc")]))
    german = [document for document in found if "\r\n" in document.text]
    assert len(german) == 250
    assert {issue.detail for document in found for issue in document.issues} == {"its span is discontinuous"}
