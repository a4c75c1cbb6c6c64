"""The command line as scripts and users meet it: a process with streams, signals and an exit status.

The dictionary tagger over a vocabulary of two names stands in for the model wherever the words of the
output do not matter.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command import DIRAG, environment

from dirag.cli import COMMANDS, cli

HEAVY = {
    "torch",
    "faiss",
    "sentence_transformers",
    "transformers",
    "xllamacpp",
    "numpy",
    "rapidfuzz",
    "orjson",
}
SECRET = "Zebrowska"
#: Far more than anything here takes, for machines that are busy.
PATIENCE = 120

VOCABULARY = (
    "id\tname\tsynonyms\ttypes\nC1\tasthma\tbronchial asthma\tdisease\nC2\tsalbutamol\talbuterol\tchemical\n"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of things fetched and built, and the vocabulary beside it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "names.tsv").write_text(VOCABULARY, encoding="utf-8")
    indexed = Command(folder, folder).tag("-", stdin=b"asthma")
    assert b"indexed 4 names of 2 concepts" in indexed.stderr
    return folder


@pytest.fixture
def command(home: Path, tmp_path: Path) -> Command:
    return Command(home, tmp_path)


class Command:
    """Runs ``python -m dirag`` in an empty folder, with none of the user's settings."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        self._environment = environment(home)
        self._dictionary = ["--tagger", "dictionary", "--kb", str(home / "names.tsv")]

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*DIRAG, *arguments],
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=cwd or self.folder,
            env={**self._environment, **(env or {})},
            timeout=PATIENCE,
            check=False,
        )

    def tag(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return self("tag", *arguments, *self._dictionary, stdin=stdin)

    def start_tagging(self, *arguments: str) -> subprocess.Popen[bytes]:
        """``dirag tag -`` with its streams held open."""
        return subprocess.Popen(
            [*DIRAG, "tag", "-", *arguments, *self._dictionary],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self._environment,
        )


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def parsed(output: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def mentions(record: Mapping[str, object]) -> list[str]:
    entities = record["entities"]
    assert isinstance(entities, list)
    return [entity["text"] for entity in entities]


def one_sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """The message of a run that failed, which is one line and no traceback."""
    told = done.stderr.decode().strip()
    assert "Traceback" not in told
    [line] = told.splitlines()
    assert line.startswith("dirag: ")
    return line


# -- help ------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy_and_no_command(command: Command) -> None:
    code = (
        "import sys\nfrom dirag.__main__ import main\nsys.argv[1:] = ['--help']\n"
        "try:\n    main()\nfinally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0
    loaded = set(done.stderr.split())
    assert "dirag.cli" in loaded
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith("dirag.cli.")}
    for name, (_, summary) in COMMANDS.items():
        assert name in done.stdout
        assert summary in done.stdout


def commands(group: click.Group, prefix: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    yield tuple(prefix)
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, [*prefix, name])
        else:
            yield (*prefix, name)


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    shown = [CliRunner().invoke(cli, [*path, option]) for option in ("-h", "--help")]
    assert [result.exit_code for result in shown] == [0, 0], shown[0].output
    assert shown[0].output == shown[1].output
    examples = [line for line in shown[0].output.splitlines() if "dirag " in line and "Usage" not in line]
    assert examples
    assert all(" ".join(path) in "\n".join(examples) for _ in examples)


def test_the_table_of_commands_says_what_the_commands_say() -> None:
    context = click.Context(cli)
    for name, (_, summary) in COMMANDS.items():
        found = cli.get_command(context, name)
        assert found is not None
        assert found.name == name
        assert not found.short_help or found.short_help == summary


def test_version(command: Command) -> None:
    done = command("--version")
    assert done.returncode == 0
    assert done.stdout.decode().split()[-1].count(".") == 2


# -- wrong usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tag", "-", "--tagger", "dictionry"], ["llm", "dictionary"]),
        (["tag", "-", "--input-format", "xml"], ["jsonl", "pubtator"]),
        (["tag", "-", "--min-score", "1.5"], ["--min-score", "1.5"]),
        (["tga"], ["tga", "tag"]),
        (["tag", "-", "--shot", "3"], ["--shots"]),
        (["eval"], ["--dataset"]),
        (["eval", "--dataset", "ncbi-diseases"], ["did you mean 'ncbi-disease'", "bc5cdr"]),
        (["models", "path", "smollm"], ["smollm2-135m-instruct"]),
        (
            ["tag", "-", "--concept-matches", "exact,fuzy"],
            ["--concept-matches", "fuzy", "exact, fuzzy, dense"],
        ),
        (["prompt", "x", "--concept-matches", ","], ["--concept-matches", "exact, fuzzy, dense"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_unknown_values_are_refused_with_the_known_ones(
    command: Command, arguments: list[str], named: list[str]
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    told = done.stderr.decode()
    assert "Traceback" not in told
    for name in named:
        assert name in told


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        (["tag", "none.txt"], 1, "none.txt"),
        (["tag", "none/*.txt"], 1, "none/*.txt"),
        (["tag", "-", "--kb", "none.tsv", "--tagger", "dictionary"], 2, "none.tsv"),
        (["tag", "-", "--kb", "none", "--model", "none.gguf"], 1, "none.gguf"),
        (["tag", "-", "--kb", "none", "--pool", "none.jsonl"], 1, "none.jsonl"),
        (["tag", "-", "--kb", "none", "--backend", "replay", "--model", "none.jsonl"], 1, "none.jsonl"),
        (["tag", "-", "--kb", "none", "--tagger", "dictionary"], 2, "--kb none"),
        (["tag", "-", "--kb", "none", "--concepts", "8"], 2, "--concepts 8 needs a knowledge base"),
        (["tag", "-", "--kb", "none", "--retrieval", "llm"], 2, "--concepts 0"),
        (["prompt", "x", "--shots", "0", "--retrieval", "llm"], 2, "--concepts 0"),
        (["eval", "--dataset", "none.jsonl"], 1, "none.jsonl"),
        (["models", "path", "smollm2-135m-instruct"], 1, "dirag models pull"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_missing_is_named_in_one_sentence(
    command: Command, arguments: list[str], status: int, named: str
) -> None:
    done = command(*arguments)
    assert done.returncode == status
    assert done.stdout == b""
    assert named in one_sentence(done)


def test_types_that_the_knowledge_base_lacks_are_refused(command: Command) -> None:
    done = command.tag("-", "--types", "gene,anatomy", stdin=b"asthma")
    assert done.returncode == 2
    assert "chemical, disease" in one_sentence(done)


# -- records ---------------------------------------------------------------------------------------------

RECORDS: list[dict[str, object]] = [
    {"id": "b", "text": "She has asthma.", "ward": {"bed": 3}},
    {"text": "Salbutamol was given.\r\nNo asthma. 😀"},
    {"id": 7, "text": "nothing here", "tags": ["x", None]},
]


def test_records_go_through_in_order_with_their_other_keys(command: Command) -> None:
    first = command.tag("-", stdin=lines(*RECORDS))
    assert first.returncode == 0
    made = parsed(first.stdout)
    assert [record["id"] for record in made] == ["b", "stdin:2", "7"]
    assert [record["text"] for record in made] == [record["text"] for record in RECORDS]
    assert [record["meta"] for record in made] == [{"ward": {"bed": 3}}, {}, {"tags": ["x", None]}]
    assert [mentions(record) for record in made] == [["asthma"], ["Salbutamol", "asthma"], []]
    assert list(made[0]) == ["id", "text", "entities", "issues", "meta"]
    assert made[0]["entities"] == [
        {
            "start": 8,
            "end": 14,
            "text": "asthma",
            "type": "disease",
            "score": 1.0,
            "status": [],
            "concept": {
                "id": "C1",
                "name": "asthma",
                "semantic_types": ["disease"],
                "score": 1.0,
                "match": "exact",
            },
        }
    ]
    assert "3 documents, 3 entities" in first.stderr.decode()
    again = command.tag("-", "--quiet", stdin=lines(*RECORDS))
    assert again.stdout == first.stdout
    assert again.stderr == b""
    assert command.tag("-", "-q", stdin=first.stdout).stdout == first.stdout


def test_status_is_told_of_diseases_and_can_be_left_out(command: Command) -> None:
    with_status, without = (
        json.loads(command.tag("-", option, stdin=lines(RECORDS[1])).stdout)["entities"]
        for option in ("--status", "--no-status")
    )
    drug, disease = with_status
    assert "status" not in drug
    assert disease.pop("status") == ["negated"]
    assert without == [drug, disease]


def test_types_and_an_output_file(command: Command) -> None:
    done = command.tag("-", "--types", "chemical", "-o", "out.jsonl", stdin=lines(*RECORDS))
    assert (done.returncode, done.stdout) == (0, b"")
    made = parsed((command.folder / "out.jsonl").read_bytes())
    assert [mentions(record) for record in made] == [[], ["Salbutamol"], []]


def test_the_first_record_is_out_before_the_last_is_read(command: Command) -> None:
    with command.start_tagging() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(lines({"id": str(number), "text": "asthma"}))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == str(number)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_a_closed_pipe_ends_quietly(command: Command) -> None:
    """As in ``| head -1``, with a producer that goes on and never ends."""
    with command.start_tagging() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(lines({"text": "asthma"}))
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write(lines({"text": "asthma"}) * 3)
        process.stdin.flush()
        assert process.wait(PATIENCE) in (0, -signal.SIGPIPE)
        assert process.stderr.read() == b""


def test_an_interrupt_leaves_every_finished_record(command: Command) -> None:
    with command.start_tagging("-o", "out.jsonl", "--strict") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines({"text": "asthma"}, {"text": " "}))  # the second is reported at once
        process.stdin.flush()
        assert b"stdin:2" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert b"Traceback" not in process.stderr.read()
    assert len(parsed((command.folder / "out.jsonl").read_bytes())) == 2


def test_bad_records_cost_themselves_only(command: Command) -> None:
    folder = command.folder / "notes"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(
        lines({"text": "asthma one"})
        + f'{{"text": "{SECRET}'.encode()
        + b"\n"
        + lines({"text": "asthma two"})
    )
    (folder / "b.jsonl").write_bytes(
        f'{{"text": "{SECRET} \xff"}}\n'.encode("latin-1") + lines({"note": SECRET}, {"text": "asthma three"})
    )
    (folder / "c.txt").write_bytes(b"")
    (folder / "d.jsonl").write_bytes(lines({"text": "no finding " * 450_000 + "but asthma"}))
    (folder / "e.txt").write_bytes(f"{SECRET}\n\xff".encode("latin-1"))
    (folder / "f.txt").write_bytes(b"asthma four\r\n")
    done = command.tag("notes")
    assert done.returncode == 0
    made = parsed(done.stdout)
    assert [mentions(record) for record in made if not record["issues"]] == [["asthma"]] * 5
    told = done.stderr.decode()
    for place in ("a.jsonl:2", "b.jsonl:1", "b.jsonl:2", "c.txt", "e.txt:2"):
        assert f"notes/{place}: " in told
    assert "empty 1, unreadable 4" in told
    assert "Traceback" not in told
    assert SECRET not in told
    assert SECRET.encode() not in b"".join(json.dumps(record["issues"]).encode() for record in made)


def test_strict_tells_issues_by_the_status(command: Command) -> None:
    bad = lines({"text": "asthma"}) + b"{\n"
    assert command.tag("-", "--strict", stdin=bad).returncode == 3
    assert command.tag("-", "--strict", stdin=lines({"text": "asthma"})).returncode == 0


@pytest.mark.parametrize("given", ["in.jsonl", ".", "*.jsonl", "-"])
def test_an_output_that_is_also_an_input_is_refused(command: Command, given: str) -> None:
    path = command.folder / "in.jsonl"
    path.write_bytes(lines({"text": "asthma"}))
    before = path.read_bytes()
    with path.open("rb") as stdin:
        done = subprocess.run(
            [*DIRAG, "tag", given, "-o", "in.jsonl", "--tagger", "dictionary"],
            stdin=stdin,
            capture_output=True,
            cwd=command.folder,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert "-o in.jsonl is also" in one_sentence(done)
    assert path.read_bytes() == before


def test_an_output_that_cannot_be_written_is_named(command: Command) -> None:
    done = command.tag("-", "-o", "none/out.jsonl", stdin=b"asthma")
    assert done.returncode == 1
    assert "none/out.jsonl" in one_sentence(done)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_in_one_sentence(command: Command) -> None:
    named = command.tag("-", "-o", "/dev/full", stdin=b"asthma")
    assert named.returncode == 1
    assert "/dev/full: No space left" in one_sentence(named)
    with Path("/dev/full").open("wb") as full:
        for arguments in (["config"], ["models", "list"]):
            done = command(*arguments, stdout=full.fileno())
            assert done.returncode == 1
            assert "No space left" in one_sentence(done)


def test_a_terminal_gets_a_view_for_eyes(command: Command, home: Path) -> None:
    ours, theirs = pty.openpty()
    dictionary = ["--tagger", "dictionary", "--kb", str(home / "names.tsv")]
    (command.folder / "note.txt").write_text("She has asthma.", encoding="utf-8")
    command("tag", "note.txt", *dictionary, stdout=theirs)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "\x1b[" in shown
    assert "C1" in shown
    assert not shown.startswith("{")
    plain = command("tag", "note.txt", "--format", "terminal", *dictionary)
    assert "[asthma|disease]" in plain.stdout.decode()


# -- settings --------------------------------------------------------------------------------------------


def settings_of(done: subprocess.CompletedProcess[bytes]) -> tuple[dict[str, object], dict[str, str]]:
    """What ``dirag config`` says is in force, and where it says that each comes from."""
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    origins = {line.split(" = ")[0]: line.rpartition("  # ")[2] for line in text.splitlines()}
    return tomllib.loads(text), origins


def test_settings_come_from_flags_variables_and_the_file_upward(command: Command) -> None:
    inner = command.folder / "project" / "notes"
    inner.mkdir(parents=True)
    file = command.folder / "project" / "dirag.toml"
    file.write_text('shots = 2\nselector = "bm25"\ntypes = ["disease", "gene"]\nmin-score = 0.25\n')
    variables = {"DIRAG_SELECTOR": "random", "DIRAG_SHOTS": "5", "DIRAG_CONSTRAIN": "0"}
    values, origins = settings_of(command("config", "--shots", "7", cwd=inner, env=variables))
    assert values["shots"] == 7
    assert values["selector"] == "random"
    assert values["types"] == ["disease", "gene"]
    assert values["min-score"] == 0.25
    assert values["constrain"] is False
    assert origins["shots"] == "command line"
    assert origins["selector"] == "DIRAG_SELECTOR"
    assert origins["types"] == str(file)
    assert origins["answer"] == "default"


def test_the_settings_printed_can_be_read_again(command: Command) -> None:
    printed = command("config", "--types", "disease", "--kb", 'a "b" \\ ü', "--no-lexicon")
    again = command.folder / "again.toml"
    again.write_bytes(printed.stdout)
    values, origins = settings_of(command("--config", str(again), "config"))
    assert values == settings_of(printed)[0]
    assert set(origins.values()) == {str(again), "DIRAG_OFFLINE"}


def test_settings_from_the_file_reach_a_command(command: Command, home: Path) -> None:
    kb = json.dumps(str(home / "names.tsv"))
    (command.folder / "dirag.toml").write_text(f'tagger = "dictionary"\nkb = {kb}\ntypes = "chemical"\n')
    done = command("tag", "-", stdin=b"asthma and salbutamol")
    assert [mentions(record) for record in parsed(done.stdout)] == [["salbutamol"]]


def test_settings_from_the_file_reach_the_commands_of_a_group(command: Command) -> None:
    (command.folder / "dirag.toml").write_text('encoder = "hash"\n')
    entity = {"start": 8, "end": 14, "type": "disease"}
    corpus = command.folder / "corpus.jsonl"
    corpus.write_text(json.dumps({"id": "1", "text": "She has asthma.", "entities": [entity]}))
    done = command("examples", "build", str(corpus), "-o", str(command.folder / "pool"))
    assert done.returncode == 0, done.stderr
    assert json.loads((command.folder / "pool" / "manifest.json").read_text())["encoder"].startswith("hash")


def test_an_unknown_setting_is_refused_with_the_nearest(command: Command) -> None:
    (command.folder / "dirag.toml").write_text("selectr = 'knn'\n")
    done = command("config")
    assert done.returncode == 2
    told = one_sentence(done)
    assert "dirag.toml" in told
    assert "did you mean 'selector'?" in told


# -- prompts, engines, scores ----------------------------------------------------------------------------


def test_a_prompt_is_shown_without_a_model(command: Command) -> None:
    options = ["--types", "disease,chemical", "--selector", "bm25", "--shots", "2", "--grammar"]
    done = command("prompt", "-", *options, stdin="She has asthma.\r\nNo β-blockers.".encode())
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    assert shown.count("Sentence: She has asthma.\nEntities:\n") == 1
    assert shown.count("Sentence: No β-blockers.\nEntities:\n") == 1
    assert shown.count("Sentence: ") == 6
    assert shown.count("root ::= ") == 2
    assert shown == command("prompt", "She has asthma.\r\nNo β-blockers.", *options).stdout.decode()


def test_both_prompts_of_a_retrieval_by_the_model_are_shown(command: Command, home: Path) -> None:
    options = ["--types", "disease", "--shots", "0", "--concepts", "8", "--kb", str(home / "names.tsv")]
    text = "She has asthma."
    shown = command("prompt", text, *options).stdout.decode()
    assert f"asthma semantic type is disease.\nSentence: {text}\nDiseases:\n" in shown
    first, second, rest = (
        command("prompt", text, *options, "--retrieval", "llm").stdout.decode().split("─" * 40)
    )
    assert first.endswith(f"could name one of its diseases.\n\nSentence: {text}\nCandidates:\n\n")
    assert second.endswith(f"mentions.\n\nSentence: {text}\nDiseases:\n\n")
    assert rest == "\n"
    dense = command("prompt", text, *options, "--concept-matches", "exact,dense")
    assert "--concept-matches exact,dense needs a knowledge base with vectors" in one_sentence(dense)


def test_bytes_that_are_no_text_are_refused_without_showing_them(command: Command) -> None:
    done = command("prompt", "-", "--shots", "0", stdin=f"{SECRET} \xff".encode("latin-1"))
    assert done.returncode == 1
    assert "not valid UTF-8" in one_sentence(done)
    assert SECRET not in done.stderr.decode()


def test_an_engine_that_fails_is_an_issue_without_the_text(command: Command) -> None:
    (command.folder / "answers.jsonl").write_text('{"engine": "none", "context": 2048}\n')
    options = ["--backend", "replay", "--model", "answers.jsonl", "--shots", "0", "--kb", "none"]
    done = command("tag", "-", *options, "--strict", stdin=lines({"text": f"{SECRET} has gout."}))
    assert done.returncode == 3
    [record] = parsed(done.stdout)
    issues = record["issues"]
    assert isinstance(issues, list)
    [issue] = issues
    assert issue["code"] == "failed"
    assert issue["where"] == f"characters 0-{len(SECRET) + 10}"
    assert SECRET not in json.dumps(issues) + done.stderr.decode()
    assert "failed 1" in done.stderr.decode()


def test_predictions_of_any_system_are_scored(command: Command) -> None:
    gold = [
        {"id": "1", "text": "asthma", "entities": [{"start": 0, "end": 6, "type": "disease"}]},
        {"id": "2", "text": "gout", "entities": [{"start": 0, "end": 4, "type": "disease"}]},
    ]
    (command.folder / "gold.jsonl").write_bytes(lines(*gold))
    (command.folder / "mine.jsonl").write_bytes(lines(gold[0], {"id": "2", "text": "gout"}))
    scored = ["eval", "--dataset", "gold.jsonl", "--predictions", "mine.jsonl", "--out", "run"]
    done = command(*scored, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["gold"], report["predicted"], report["correct"]) == (2, 1, 1)
    assert (report["precision"], report["recall"], report["f1"]) == (1.0, 0.5, 0.6667)
    assert json.loads((command.folder / "run" / "report.json").read_text()) == report
    assert len(parsed((command.folder / "run" / "predictions.jsonl").read_bytes())) == 2


def test_a_corpus_of_ones_own_is_tagged_with_the_built_in_examples(command: Command) -> None:
    entities = [{"start": 8, "end": 14, "type": "disease"}]
    (command.folder / "gold.jsonl").write_bytes(lines({"text": "She has asthma.", "entities": entities}))
    (command.folder / "answers.jsonl").write_text('{"engine": "none", "context": 2048}\n')
    options = ["--backend", "replay", "--model", "answers.jsonl", "--selector", "bm25", "--kb", "none"]
    done = command("eval", "--dataset", "gold.jsonl", "--json", *options)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["gold"], report["predicted"], report["issues"]["failed"]) == (1, 0, 1)


def test_only_the_types_asked_for_are_scored(command: Command, home: Path) -> None:
    entities = [{"start": 0, "end": 6, "type": "disease"}, {"start": 11, "end": 21, "type": "chemical"}]
    (command.folder / "gold.jsonl").write_bytes(
        lines({"text": "asthma and salbutamol", "entities": entities})
    )
    tagger = ["--tagger", "dictionary", "--kb", str(home / "names.tsv"), "--types", "chemical"]
    done = command("eval", "--dataset", "gold.jsonl", "--json", *tagger)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["gold"], report["predicted"], report["correct"], report["ignored"]) == (1, 1, 1, 0)
    assert report["config"]["types"] == ["chemical"]


def test_status_is_scored_where_the_gold_standard_has_it(command: Command, home: Path) -> None:
    texts = {"No asthma.": ["negated"], "Asthma.": ["family"]}
    gold = [
        {"text": text, "entities": [{"start": at, "end": at + 6, "type": "disease", "status": status}]}
        for (text, status), at in zip(texts.items(), (3, 0), strict=True)
    ]
    (command.folder / "gold.jsonl").write_bytes(lines(*gold))
    tagger = ["--tagger", "dictionary", "--kb", str(home / "names.tsv"), "--types", "disease"]
    done = command("eval", "--dataset", "gold.jsonl", *tagger)
    assert done.returncode == 0, done.stderr
    assert "status of those found, F1 (gold): negated 1.000 (1), family 0.000 (1)" in done.stdout.decode()
    report = json.loads(command("eval", "--dataset", "gold.jsonl", "--json", *tagger).stdout)
    assert report["status"]["family"]["recall"] == 0
    without = command("eval", "--dataset", "gold.jsonl", "--no-status", "--json", *tagger)
    assert json.loads(without.stdout)["status"] == {}


@pytest.mark.weights
def test_a_sentence_through_the_real_engine(command: Command, weights: Callable[[str], Path]) -> None:
    options = ["--model", str(weights("smollm2-135m-instruct")), "--selector", "bm25", "--shots", "2"]
    asked = [*options, "--types", "disease,chemical", "--kb", "none", "--record", "answers.jsonl"]
    text = "She has severe asthma and takes salbutamol."
    done = command("tag", "-", *asked, stdin=lines({"text": text}))
    assert done.returncode == 0, done.stderr
    [record] = parsed(done.stdout)
    entities = record["entities"]
    assert isinstance(entities, list)
    for entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["type"] in ("disease", "chemical")
    assert record["issues"] == []
    assert "prompt and" in done.stderr.decode()
    assert text not in (command.folder / "answers.jsonl").read_text()
    replayed = [*asked[2:-2], "--backend", "replay", "--model", "answers.jsonl"]
    assert command("tag", "-", *replayed, stdin=lines({"text": text})).stdout == done.stdout
