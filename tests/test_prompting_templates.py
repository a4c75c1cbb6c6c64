"""Prompt files: those of the package, one's own, and what each mistake in one is told as."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command import DIRAG

from dirag import answers
from dirag.config import ANSWERS
from dirag.data import Concept, Document, Hit
from dirag.errors import PromptError, UsageError
from dirag.prompting.builder import PromptBuilder
from dirag.prompting.templates import load_template, prompt_file, sources

KNOWN = {f"{answer}{kind}.en" for answer in ANSWERS for kind in ("", "-chat")}
OWN = """
head = "$types$descriptions"
example = "$text > $answer\\n"
concept = "$mention: $semantic_type$definition\\n"
query = "$concepts$text >"
"""


def own(folder: Path, *more: str) -> Path:
    path = folder / "own.toml"
    path.write_text("\n".join([*more[:1], OWN, *more[1:]]), encoding="utf-8")
    return path


def prompt(
    path: Path,
    text: str,
    *,
    examples: tuple[Document, ...] = (),
    best_last: bool = True,
    definitions: bool = False,
) -> str:
    template = load_template("mentions", path=path)
    made = PromptBuilder(
        template,
        answers.make("mentions", ["disease"]),
        ("disease",),
        10_000,
        len,
        definitions=definitions,
        best_last=best_last,
    )
    hit = Hit(Concept("1", "gout", (), ("joint disease",), "Crystals\nin joints."), "gout", "exact", 1, 0, 4)
    built, issues = made.build(text, examples=examples, concepts=[hit])
    assert built is not None
    assert issues == []
    return built.text


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_file_of_the_package_can_be_used(name: str) -> None:
    answer = name.partition(".")[0].removesuffix("-chat")
    template = load_template(answer, path=prompt_file(answer, name))
    types = ("disease", "cell_type", "DNA")
    described = template.describe(types)
    made = answers.make(answer, types, descriptions=described)
    builder = PromptBuilder(template, made, types, 10_000, len, descriptions=described)
    built, _ = builder.build("Gout.", examples=[Document("", "No finding .")])
    assert built is not None
    assert built.text.endswith(":")
    for description in described.values():
        # Where a description is no part of each answer, it stands once.
        assert built.text.count(description) == 1
    assert template.describes == (answer not in answers.DESCRIBING)


def test_prompts_are_named() -> None:
    assert prompt_file("json") == prompt_file("json", "json.en")
    with pytest.raises(UsageError, match=r"unknown prompt 'json-chat'; did you mean 'json-chat.en'") as told:
        prompt_file("json", "json-chat")
    assert set(told.value.hint.partition("known: ")[2].split(", ")) >= KNOWN
    assert "types.en" not in told.value.hint


def test_a_prompt_of_ones_own(tmp_path: Path) -> None:
    path = own(tmp_path, 'plurals = { disease = "ills" }')
    near, far = Document("", "near ."), Document("", "far .")
    assert prompt(path, "gout !", examples=(near, far)) == (
        "illsfar . > none\nnear . > none\ngout: joint disease\ngout ! >"
    )
    assert prompt(path, "gout !", examples=(near, far), best_last=False, definitions=True) == (
        "illsnear . > none\nfar . > none\ngout: joint disease Crystals in joints.\ngout ! >"
    )


def test_examples_of_ones_own_stand_first_and_never_give_the_text_away(tmp_path: Path) -> None:
    path = own(
        tmp_path,
        "",
        '[[examples]]\ntext = "Gout and Asthma ."\nentities = { disease = ["asthma", "Gout"], gene = [] }',
        '[[examples]]\ntext = "Fever ."',
    )
    one, two = load_template("mentions", path=path).examples
    assert [(e.start, e.text) for e in one.entities] == [(0, "Gout"), (9, "Asthma")]
    assert two.entities == ()
    near = (Document("", "near ."),)
    written = "Fever . > none\nGout and Asthma . > Gout; Asthma\nnear . > none\n"
    assert prompt(path, "Gout ?", examples=near).startswith("diseases" + written)
    assert "Fever" not in prompt(path, "fever", examples=near).partition("near")[0]


def test_a_type_without_a_description_is_told(tmp_path: Path) -> None:
    template = load_template("mentions", path=own(tmp_path, "", '[descriptions]\nDisease = "an ill"'))
    assert template.describe(["disease", "gene"])["disease"] == "an ill"
    with pytest.raises(PromptError, match=r"no description of the entity type phi, x; .*\[descriptions\]"):
        template.describe(["phi", "gene", "x"])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("heads = 'x'", "", "unknown key 'heads'"),
        ("answer = 'json'", "", "for the answer format 'json', not 'mentions'; give --answer json"),
        ("language = 'xx'", "", "unknown language 'xx'; known: en"),
        ("plurals = 'x'", "", "'plurals' is not a table"),
        ("", "[plurals]\nx = 3", r"plurals\.x is not one line of text"),
        ("", '[descriptions]\nx = "a\\nb"', r"descriptions\.x is not one line of text"),
        ("", "[[examples]]\nentities = {}", "example 1 is not a text with its entities; as in"),
        ("", "[[examples]]\ntext = 'a'\nanswer = 'a'", "example 1 is not a text with its entities"),
        ("examples = ['a']", "", "example 1 is not a text with its entities"),
        ("examples = 'a'", "", "example 1 is not a text with its entities"),
        ("", "[[examples]]\ntext = 'a'\nentities = { x = 'a' }", "example 1: its entities are not lists"),
        (
            "",
            "[[examples]]\ntext = 'a'\n[[examples]]\ntext = 'a secret'\nentities = { x = ['secrecy'] }",
            "example 2 does not align: a mention of type x is invented; write",
        ),
        (
            "",
            "[[examples]]\ntext = 'a b'\nentities = { x = ['a b'], y = ['b'] }",
            "example 1 does not align: a mention of type y lies on another one",
        ),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path: Path, before: str, after: str, told: str) -> None:
    with pytest.raises(PromptError, match=told) as error:
        load_template("mentions", path=own(tmp_path, before, after))
    assert "own.toml" in str(error.value)
    assert "secre" not in str(error.value)


def test_the_sources_of_a_prompt_are_its_file_and_those_of_the_types(tmp_path: Path) -> None:
    path = own(tmp_path)
    before = sources("mentions", str(path))
    assert path.read_bytes() in before
    assert any(b"[anatomy]" in content for content in before)
    with pytest.raises(PromptError, match=r"none\.toml: No such file"):
        sources("mentions", str(tmp_path / "none.toml"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*DIRAG, "prompt", "He has gout.", "--types", "disease", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_takes_a_prompt_and_descriptions(tmp_path: Path) -> None:
    path = own(tmp_path, "", '[descriptions]\ndisease = "an ill"')
    shots = ("--shots", "2", "--selector", "tfidf")
    done = run("--prompt", str(path), "--descriptions", *shots)
    assert done.stdout.startswith("diseasesdisease: an ill\n"), done.stderr
    assert done.stdout.count(" > ") == 2
    first = run("--prompt", str(path), *shots, "--example-order", "best-first").stdout.splitlines()
    last = run("--prompt", str(path), *shots).stdout.splitlines()
    assert first[0].removeprefix("diseases") == last[1]
    filled = run("--answer", "template", "--descriptions", "--shots", "0", "--grammar").stdout
    assert "Entity type is disease. a disorder of body or mind" in filled
    path.write_text(path.read_text().replace("$descriptions", ""))
    refused = run("--prompt", str(path), "--descriptions")
    assert refused.returncode == 1
    assert "has no $descriptions" in refused.stderr
