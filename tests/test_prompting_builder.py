"""Prompts: what stands in them and in which order, what is left out where the context is short, templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag import answers
from dirag.config import ANSWERS
from dirag.data import Concept, Document, Entity, Hit
from dirag.errors import PromptError
from dirag.prompting.builder import FIELDS, PromptBuilder, load_template
from dirag.text.occurrences import flatten

DISEASE = ("disease",)


def builder(
    answer: str = "mentions",
    types: Sequence[str] = DISEASE,
    *,
    context: int = 10_000,
    constrain: bool = True,
) -> PromptBuilder:
    """A builder for an engine whose tokens are characters."""
    made = answers.make(answer, types)
    return PromptBuilder(
        load_template(answer), made, tuple(types), context=context, count_tokens=len, constrain=constrain
    )


def example(text: str, mention: str = "") -> Document:
    start = text.index(mention)
    found = (Entity(start, start + len(mention), "disease", mention),) if mention else ()
    return Document(text, text, found)


def hit(text: str, mention: str) -> Hit:
    start = text.index(mention)
    concept = Concept("C1", mention, semantic_types=("neoplasm", "disease"))
    return Hit(concept, mention, "exact", 1.0, start, start + len(mention))


EXAMPLES = [
    example("Gout is common .", "Gout"),
    example("No finding ."),
    example("Two had asthma .", "asthma"),
]


def test_the_whole_prompt() -> None:
    text = "BRCA1 and\r\n\tcolon cancer"
    prompt, issues = builder().build(text, examples=EXAMPLES[:2], concepts=[hit(text, "colon cancer")])
    assert issues == []
    assert prompt is not None
    assert prompt.text == (
        "List the diseases that each sentence mentions.\n\n"
        "Sentence: No finding .\nDiseases: none\n\n"
        "Sentence: Gout is common .\nDiseases: Gout\n\n"
        "colon cancer semantic type is neoplasm, disease.\n"
        "Sentence: BRCA1 and colon cancer\nDiseases:"
    )
    assert prompt.stop == ("\n",)
    assert prompt.constraint is not None
    assert prompt.constraint.accepts("colon cancer")


def test_several_types_are_enumerated() -> None:
    prompt, _ = builder(types=("disease", "gene", "device")).build("x", examples=EXAMPLES[:1])
    assert prompt is not None
    assert prompt.text.startswith("List the diseases, genes and device that")
    assert "Entities: Gout (disease)\n" in prompt.text


def test_free_decoding_has_no_constraint() -> None:
    prompt, _ = builder(constrain=False).build("x", examples=())
    assert prompt is not None
    assert prompt.constraint is None


@settings(deadline=None)
@given(st.sampled_from(sorted(ANSWERS)), st.text(max_size=40), st.integers(0, 3))
def test_each_sentence_is_one_line_and_the_query_comes_last(name: str, text: str, shots: int) -> None:
    prompt, _ = builder(name).build(text, examples=EXAMPLES[:shots])
    assert prompt is not None
    sentences = [line for line in prompt.text.split("\n") if line.startswith("Sentence: ")]
    shown = [flatten(e.text) for e in reversed(EXAMPLES[:shots])]
    assert sentences == [f"Sentence: {line}" for line in [*shown, flatten(text).strip()]]
    assert prompt.text.endswith(":")
    prompt.text.encode()


@settings(deadline=None)
@given(st.integers(10, 600), st.integers(0, 3), st.integers(0, 2))
def test_what_does_not_fit_is_left_out_and_told(context: int, shots: int, known: int) -> None:
    text = "Gout and asthma and cancer."
    concepts = [hit(text, "Gout"), hit(text, "cancer")][:known]
    made, issues = builder(context=context).build(text, examples=EXAMPLES[:shots], concepts=concepts)
    whole = builder()

    def size(kept_shots: int, kept_lines: int) -> int:
        prompt, _ = whole.build(text, examples=EXAMPLES[:kept_shots], concepts=concepts[:kept_lines])
        assert prompt is not None
        return len(prompt.text)

    room = context - min(context // 2, 32 + len(text) // 2)
    order = [(kept, known) for kept in range(shots, -1, -1)] + [
        (0, kept) for kept in range(known - 1, -1, -1)
    ]
    fitting = [kept for kept in order if size(*kept) <= room]
    if not fitting:
        assert made is None
        assert [issue.code for issue in issues] == ["truncated"]
        return
    best, _ = whole.build(text, examples=EXAMPLES[: fitting[0][0]], concepts=concepts[: fitting[0][1]])
    assert made is not None
    assert best is not None
    assert made.text == best.text
    assert len(made.text) + made.max_tokens <= context
    lost_shots, lost_lines = shots - fitting[0][0], known - fitting[0][1]
    assert [issue.code for issue in issues] == ["examples-dropped"] * bool(lost_shots or lost_lines)
    for issue in issues:
        assert ("examples" in issue.detail, "concept lines" in issue.detail) == (
            lost_shots > 0,
            lost_lines > 0,
        )
        assert issue.where == ""  # the segment's place is filled in where it is known
        assert "Gout" not in issue.detail


@pytest.mark.parametrize("name", sorted([*ANSWERS, "candidates"]))
def test_the_templates_that_come_with_the_package_are_whole(name: str) -> None:
    template = load_template(name)
    assert set(template.plurals) >= {"disease", "symptom", "chemical", "procedure", "test", "gene", "anatomy"}


GOOD = {"head": "$types\n", "example": "$text $label $answer", "concept": "$mention", "query": "$text:"}


def written(folder: Path, fields: dict[str, str]) -> Path:
    path = folder / "template.toml"
    path.write_text("".join(f"{key} = '''{value}'''\n" for key, value in fields.items()), encoding="utf-8")
    return path


def test_a_template_by_path(tmp_path: Path) -> None:
    template = load_template("mentions", path=written(tmp_path, GOOD))
    assert template.query.substitute(text="x") == "x:"
    assert template.several == "Entities"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"query": "$label:"}, r"has no \$text"),
        ({"head": "$type"}, "type"),
        ({"example": "$ 5"}, r"a lone \$"),
        ({"concept": None}, "has no text 'concept'"),
    ],
)
def test_a_broken_template_is_refused(tmp_path: Path, change: dict[str, str | None], told: str) -> None:
    fields = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(PromptError, match=told):
        load_template("mentions", path=written(tmp_path, fields))


def test_a_template_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("head = ")
    for name in ("broken.toml", "none.toml"):
        with pytest.raises(PromptError, match="cannot read the template"):
            load_template("mentions", path=tmp_path / name)
    assert "text" in FIELDS["query"]
