"""Tag a sentence from Python: open what tags, once, and give it any number of documents."""

import dirag

notes = ["Metformin was stopped when lactic acidosis developed."]
with dirag.open(types=["disease", "chemical"]) as ner:
    for result in ner.tag(notes):
        for e in result.entities:
            print(e.start, e.end, e.type, e.text, e.concept.id if e.concept else None, sep="\t")
