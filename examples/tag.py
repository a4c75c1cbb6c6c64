"""Tag a sentence from Python: one configuration, the stages that it names, and the pipeline over them."""

from contextlib import closing

from dirag import Document, configure, tag
from dirag.assembly import sources, tagging

config = configure(types=("disease", "chemical"))
notes = [Document("note-1", "Metformin was stopped when lactic acidosis developed.")]
base = sources.knowledge_base(config)
with closing(tagging.tagger(config, config.types, base=base)) as tagger:
    for result in tag(notes, tagger, index=base.index_for(config.types)):
        for e in result.entities:
            print(e.start, e.end, e.type, e.text, e.concept.id if e.concept else None, sep="\t")
