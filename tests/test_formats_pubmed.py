"""PubMed's XML: titles, structured abstracts, markup, articles without a number."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import read

_HEAD = """<?xml version="1.0" ?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://dtd.nlm.nih.gov/pubmed.dtd">
"""
_ARTICLE = """<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article><Journal>
<Title>J</Title><JournalIssue><PubDate><Year>2020</Year></PubDate></JournalIssue></Journal>
<ArticleTitle>On <i>E. coli</i> &amp;
 <b>flu</b>&#x2009;.</ArticleTitle><Abstract>{abstract}</Abstract><Language>eng</Language></Article>
</MedlineCitation><PubmedData><ReferenceList><Reference><ArticleIdList/></Reference></ReferenceList></PubmedData>
</PubmedArticle>"""


def _read(*articles: str) -> list[Document]:
    data = f"{_HEAD}<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>"
    return list(read(["-"], stdin=io.BytesIO(data.encode())))


def test_an_article_is_its_title_and_its_abstract() -> None:
    plain = _ARTICLE.format(pmid=1, abstract="<AbstractText>One\n two.</AbstractText>")
    parts = (
        '<AbstractText Label="AIM">To see.</AbstractText><AbstractText Label="RESULT">Seen.</AbstractText>'
    )
    one, two = _read(plain, _ARTICLE.format(pmid="", abstract=parts))
    assert (one.id, one.text) == ("1", "On E. coli & flu\u2009.\nOne two.")
    assert (two.id, two.text) == ("stdin:2", "On E. coli & flu\u2009.\nAIM: To see.\nRESULT: Seen.")
    assert dict(one.meta) == {"journal": "J", "year": "2020", "language": "eng"}
    assert one.issues == two.issues == ()


def test_citations_and_books_are_read_and_an_article_without_text_is_empty() -> None:
    title = "<Article><ArticleTitle>Flu</ArticleTitle></Article>"
    citation = f"<MedlineCitation><PMID>2</PMID>{title}</MedlineCitation>"
    book = "<BookDocument><PMID>3</PMID><Book><BookTitle>Flu</BookTitle></Book></BookDocument>"
    book = f"<PubmedBookArticle>{book}</PubmedBookArticle>"
    bare = "<PubmedArticle><MedlineCitation><PMID>4</PMID></MedlineCitation></PubmedArticle>"
    documents = _read(citation, book, bare)
    assert [(d.id, d.text) for d in documents] == [("2", "Flu"), ("3", "Flu"), ("4", "")]
    assert [issue.code for issue in documents[2].issues] == ["empty"]


@given(st.data())
def test_a_file_that_is_cut_off_keeps_what_is_whole(data: st.DataObject) -> None:
    article = _ARTICLE.format(pmid=1, abstract="<AbstractText>One.</AbstractText>")
    whole = f"{_HEAD}<PubmedArticleSet>{article * 3}</PubmedArticleSet>".encode()
    cut = whole[: data.draw(st.integers(len(_HEAD) + 20, len(whole) - 1))]
    *documents, last = read(["-"], stdin=io.BytesIO(cut))
    assert [document.id for document in documents] == ["1"] * len(documents)
    assert last.issues[0].detail.startswith("it is broken XML at line")
