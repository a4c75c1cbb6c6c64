#!/bin/sh
# Tag abstracts with the knowledge base alone, one JSONL record a document, and count the mentions by type.
set -eu
cd "$(dirname "$0")"

dirag tag abstracts.jsonl --tagger dictionary --types disease,symptom |
    grep -o '"type":"[^"]*"' | sort | uniq -c | sort -rn
