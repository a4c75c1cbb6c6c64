"""Two systems over one small gold standard, chosen so that no two figures of a table are alike by chance.

Precision differs from recall, A from B, and every interval from every other.
"""

from __future__ import annotations

import json
from pathlib import Path

from command import output

#: Texts with the mentions of the gold standard, of A and of B; a mention is type:text[:score]. Three scores
#: mark a wrong concept.
DOCUMENTS = (
    ("Asthma and gout after aspirin.", "d:Asthma d:gout c:aspirin", "d:Asthma:.9 d:gout:.8", "d:Asthma:.7"),
    ("Zinc for flu.", "c:Zinc d:flu", "c:Zinc:.95 d:flu:.9", "d:Zinc:.6 d:flu:.5"),
    ("Acute kidney injury.", "d:Acute_kidney_injury", "d:kidney_injury:.4", "d:Acute_kidney_injury:.85"),
    ("Ibuprofen eased pain.", "c:Ibuprofen d:pain", "c:Ibuprofen:.7 d:pain:.65", "c:Ibuprofen d:eased:.3"),
    ("No fever.", "d:fever", "d:fever:.55", "d:No:.2 d:fever:.25"),
    ("Lead poisoning.", "d:Lead_poisoning", "", "c:Lead:.35 d:poisoning:.45"),
    ("Iron and copper.", "c:Iron c:copper", "c:Iron:.5", "c:Iron:.9 c:copper:.1 c:and:.15"),
)
_TYPES = {"d": "disease", "c": "chemical"}


def _record(number: int, text: str, mentions: str) -> str:
    entities = []
    for mention in mentions.split():
        kind, words, *score = mention.split(":")
        start = text.index(words.replace("_", " "))
        entity: dict[str, object] = {"start": start, "end": start + len(words), "type": _TYPES[kind]}
        entity |= {"score": float(score[0])} if score else {}
        concept = "X:0" if entity.get("score", 1.0) in (0.5, 0.55, 0.65) else f"X:{ord(words[0])}"
        entities.append(entity | {"concept": {"id": concept}})
    return json.dumps({"id": str(number), "text": text, "entities": entities}) + "\n"


def write(folder: Path) -> None:
    """Writes gold.jsonl, a.jsonl and b.jsonl, and the runs A, A-sure (scores of at least 0.6) and B.

    Tokens, seconds and costs of the runs are made up: predictions from a file have none.
    """
    for column, name in enumerate(("gold", "a", "b"), start=1):
        records = [_record(number, row[0], row[column]) for number, row in enumerate(DOCUMENTS)]
        (folder / f"{name}.jsonl").write_text("".join(records), encoding="utf-8")
    usage = {"A": (1200, 340, 7.5, 0.25), "A-sure": (1300, 350, 8.25, 0.5), "B": (56000, 7800, 91.5, 1.75)}
    for run, (prompt, completion, seconds, cost) in usage.items():
        sure = ["--min-score", "0.6"] if run == "A-sure" else []
        scored = ["eval", "--dataset", "gold.jsonl", "--predictions", f"{run[0].lower()}.jsonl"]
        output(folder, *scored, *sure, "--out", run)
        path = folder / run / "report.json"
        report = json.loads(path.read_text(encoding="utf-8"))
        report |= {"tokens": {"prompt": prompt, "completion": completion, "cached": 17}}
        path.write_text(json.dumps(report | {"seconds": seconds, "cost": cost}), encoding="utf-8")
