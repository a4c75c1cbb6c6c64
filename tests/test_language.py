"""A language is one file: what reads texts and names follows it, and a file that does not fit is refused."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from dirag import answers, pipeline
from dirag.data import Concept, Document, Entity, Mention
from dirag.errors import KnowledgeError, UsageError
from dirag.evaluate.robustness.names import ConceptNames
from dirag.evaluate.robustness.perturb import perturb
from dirag.examples.pool import Pool
from dirag.files import paths
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.prompting.concept_lines import windows
from dirag.status.context import ConText
from dirag.taggers.dictionary import DictionaryTagger
from dirag.text import abbreviations
from dirag.text.language import Language, english, language, read
from dirag.text.normalise import normaliser
from dirag.text.segment import segments

#: A language with German and made-up words: no rule of it is one of English.
OTHER = r"""
[sentences]
capitals = "A-ZÄÖÜ"
never_last = ["hr"]
never_last_in_this_case = []
before_number = ["nr"]
seldom_last = ["usw"]
openers = ["der"]
[words]
dropped = '''\bd[’']'''
spellings = { k = "c" }
endings = [{ ending = "en", becomes = "e", at_least = 5, not_after = "i" }]
short_form_plurals = ["en"]
[words.greek]
"β" = "beeta"
[names]
unspecified = '''(?i), n\. n\. b\.'''
residual = ["sonstige "]
never_found = ["befund"]
function_words = ["und"]
phrases = ["roter Faden"]
[dictionary]
between = [" und "]
[dictionary.never]
disease = "XX[0-9]"
[dictionary.modifiers]
disease = ["schwere"]
[answers]
between = " und "
nothing = "(?i)keine?"
[status]
cues = [{ label = "negated", stands = "before", reach = "phrase", phrases = ["keine|kein"] }]
neutral = ["kein Zweifel an?"]
[status.stops]
clause = ["aber"]
[status.headings]
family = ["Familienanamnese"]
"""
CONCEPTS = (
    Concept("X:1", "Lungenembolien, n. n. b.", ("Masern",), ("disease",)),
    Concept("X:2", "Blasen Wunde", ("XX1",), ("disease",)),
    Concept("X:3", "Herz Wunde", ("Befund",), ("disease",)),
)


@pytest.fixture
def other(tmp_path: Path) -> Language:
    (tmp_path / "zz.toml").write_text(OTHER, "utf-8")
    return read(tmp_path / "zz.toml")


@pytest.fixture
def folder(tmp_path: Path, other: Language) -> Path:
    writer.write(CONCEPTS, tmp_path / "kb", language=other)
    return tmp_path / "kb"


def texts(text: str, language: Language) -> list[str]:
    return [segment.text for segment in segments(text, language=language)]


def test_segmentation_follows_the_file(other: Language) -> None:
    text = "Hr. Muster kam, Nr. 7 usw. Der Dr. Smith"
    assert texts(text, other) == ["Hr. Muster kam, Nr. 7 usw.", "Der Dr.", "Smith"]
    assert texts(text, english()) == ["Hr.", "Muster kam, Nr.", "7 usw.", "Der Dr. Smith"]
    assert texts("Kein Tabak. ÜBERSICHT: gut", other) == ["Kein Tabak.", "ÜBERSICHT: gut"]
    assert texts("nass.,ÖDEM: nein", other) == ["nass.,", "ÖDEM: nein"]
    assert texts("nass.,ÖDEM: nein", english()) == ["nass.,ÖDEM: nein"]


def test_normal_forms_and_variants_follow_the_file(other: Language) -> None:
    names = normaliser(other)
    assert names is normaliser(other)
    assert names.key("d’Blasen") == names.key("BLASE") == ("blase",)
    assert names.key("β-Knien, diseases") == ("beeta", "cnien", "diseases")
    assert set(names.variants("Masern, n. N. b.")) == {"Masern"}
    assert list(names.variants("Typhoid fever NOS")) == []
    defined = {"AT": "Ataxie"}
    assert abbreviations.expand("ATen ATs", defined, other) == "Ataxie ATs"


def test_names_are_looked_up_by_the_file(folder: Path, other: Language) -> None:
    base = KnowledgeBase(folder, language=other)
    assert base.language is other
    assert base.manifest.language == "zz"
    [embolism, measles] = base.index_for(matches=["exact"]).lookup(["lungenembolien", "MASERN"], k=1)
    assert [hit.concept.id for hit in (*embolism, *measles)] == ["X:1", "X:1"]
    assert [hit.alias for hit in base.index.scan("Eine Blase Wunde als Befund")] == ["Blasen Wunde"]


def test_a_text_is_tagged_by_one_file(folder: Path, other: Language) -> None:
    base = KnowledgeBase(folder, language=other)
    tagger = DictionaryTagger(base.index_for(["disease"]), ["disease"], base.language)
    document = Document("1", "Hr. Muster hat eine schwere Blasen und Herz Wunde, Befund XX1.")
    [result] = pipeline.tag([document], tagger, language=base.language)
    assert [entity.text for entity in result.entities] == ["schwere Blasen und Herz Wunde"]
    [example] = Pool.from_documents([document], language=other).examples
    assert example.text == document.text


def test_prompts_answers_and_perturbations_follow_the_file(folder: Path, other: Language) -> None:
    assert [*windows("of und gout", other)] == [(0, 2), (0, 11), (7, 11)]
    mentions, issues = answers.make("mentions", ["disease"], language=other).parse(
        "Masern und Wunde", "Wunde Masern und Wunde"
    )
    assert not issues
    assert mentions == [Mention("Wunde Masern", "disease"), Mention("Wunde", "disease")]
    assert answers.make("mentions", ["disease"], language=other).parse("Gut.", "Keine") == ([], [])
    text = "Mit Masern. Ende β."
    document = Document("1", text, tagged(folder, other, text))
    names = ConceptNames({}, (), other)
    copies = [perturb(document, kind, names) for kind in ("non-entity", "typography")]
    written = [copy and copy.after.text for copy in copies]
    assert written == ["Mit roter Faden. Ende β.", "Mit Masern. Ende beeta."]


def tagged(folder: Path, other: Language, text: str) -> tuple[Entity, ...]:
    base = KnowledgeBase(folder, language=other)
    tagger = DictionaryTagger(base.index, ["disease"], base.language)
    [result] = pipeline.tag([Document("1", text)], tagger, language=other)
    return result.entities


def test_a_base_is_opened_in_its_language_only(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"kb: unknown language 'zz'; known: en"):
        KnowledgeBase(folder)
    with pytest.raises(KnowledgeError, match="has the language 'zz', not 'en'"):
        KnowledgeBase(folder, language=english())
    writer.write(CONCEPTS, tmp_path / "english")
    assert KnowledgeBase(tmp_path / "english").language is english()


def test_a_base_that_names_no_language_is_english(tmp_path: Path) -> None:
    writer.write(CONCEPTS, tmp_path / "kb")
    manifest = tmp_path / "kb" / "manifest.json"
    table = json.loads(manifest.read_text("utf-8"))
    assert table.pop("language") == "en"
    manifest.write_text(json.dumps(table), "utf-8")
    base = KnowledgeBase(tmp_path / "kb")
    assert base.language is english()
    base.verify()


def test_languages_are_read_once_and_by_name() -> None:
    assert language("en") is english()
    assert english().code == "en"
    with pytest.raises(UsageError, match=r"unknown language '\.\./en'; known: en"):
        language("../en")


def test_status_follows_the_file(other: Language) -> None:
    text = "Kein Fieber, aber Husten. Kein Zweifel an Masern.\n\nFAMILIENANAMNESE: Gicht, no Asthma"
    names = ["Fieber", "Husten", "Masern", "Gicht", "Asthma"]
    entities = [Entity(text.index(n), text.index(n) + len(n), "disease", n) for n in names]
    classified = ConText(other).classify(segments(text, language=other), entities)
    assert [entity.status for entity in classified] == [("negated",), (), (), ("family",), ("family",)]


def test_every_key_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "zz.toml"
    lines = OTHER.splitlines()
    keys = [number for number, line in enumerate(lines) if line[:1].isalpha()]
    assert len(keys) > 15
    for number in keys:
        key, section = lines[number].split(" = ")[0], _section(lines[:number])
        path.write_text("\n".join([*lines[:number], *lines[number + 1 :]]), "utf-8")
        if section in ("dictionary.never", "dictionary.modifiers", "status.stops", "status.headings"):
            continue  # an entity type without rules, a stop or a label without phrases
        with pytest.raises(KnowledgeError, match=rf"zz\.toml lacks the key {section}\.{key}; add it"):
            read(path)


def _section(lines: list[str]) -> str:
    return [line for line in lines if line.startswith("[")][-1].strip("[]")


@pytest.mark.parametrize(
    "old, new, reason",
    [
        (
            "[words]",
            "[words]\nplurals = []",
            r"has the unknown key words\.plurals; its keys there are",
        ),
        ("[answers]", "[other]", r"has the unknown key other; its keys there are"),
        ("[sentences]", 'code = "de"\n[sentences]', "has the unknown key code; the name of the file"),
        ('not_after = "i"', 'not_after = "i", x = 1', r"has the unknown key words\.endings\[0\]\.x;"),
        ('never_last = ["hr"]', 'never_last = "hr"', r"sentences\.never_last is 'hr'; give a list"),
        ('["hr"]', "[1]", r"sentences\.never_last\[0\] is 1; give a string"),
        ("at_least = 5", "at_least = true", r"words\.endings\[0\]\.at_least is True; give a whole number"),
        ('{ k = "c" }', '"c"', r"words\.spellings is 'c'; give a table"),
        ('"XX[0-9]"', '"("', r"dictionary\.never\.disease is '\(': .*; give a regular expression"),
        ('"A-ZÄÖÜ"', '"Z-A"', r"sentences\.capitals is '\[Z-A\]': .*; give a regular expression"),
        ('"before"', '"vor"', r"status\.cues\[0\]\.stands is 'vor'; give one of before, after, between"),
        ("clause =", "verbs =", r"status\.stops\.verbs is 'verbs'; give one of phrase, clause, verb"),
        (
            "family =",
            "familie =",
            r"status\.headings\.familie is 'familie'; give one of negated, .*, present",
        ),
        ("[words]", "[words", r"zz\.toml is no language: "),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert OTHER.count(old) == 1
    (tmp_path / "zz.toml").write_text(OTHER.replace(old, new), "utf-8")
    with pytest.raises(KnowledgeError, match=reason):
        read(tmp_path / "zz.toml")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"cannot read the language .*zz\.toml: No such file"):
        read(tmp_path / "zz.toml")


def test_words_of_english_are_in_the_case_in_which_they_are_looked_up() -> None:
    table = tomllib.loads(paths.path("kb", "languages", "en.toml").read_text("utf-8"))
    lists = [table["sentences"][name] for name in ("never_last", "before_number", "seldom_last", "openers")]
    lists += [table["names"][name] for name in ("function_words", "residual")]
    lists += table["dictionary"]["modifiers"].values()
    rules = table["status"]
    phrases = [rules["neutral"], *rules["stops"].values(), *(cue["phrases"] for cue in rules["cues"])]
    lists += [[re.sub("NUMBER|YEAR", "#", phrase) for phrase in of] for of in phrases]
    lists += rules["headings"].values()
    for words in lists:
        assert words == [word.lower() for word in words]
        assert len(set(words)) == len(words)
