#!/bin/sh
# The weights by which the default decides over token classifier, names and LLM, as they were fitted: to sentences of the
# development splits of five corpora, on which none of the three was trained, but the classifier was chosen and calibrated.
# Two CPU cores take some ten minutes.
#
#   DIRAG_DATA=FOLDER sh examples/decision.sh REPORTS NOTES OUT
#
# FOLDER holds the corpora that dirag eval knows as ncbi-disease, bc5cdr and bc2gm, REPORTS the BRAT files of MACCROBAT 2020,
# NOTES is a folder with train.jsonl and devel.jsonl. The weights are OUT/decision.json, for the folder of the adapter.
set -eu
. "$(dirname "$0")/corpora.sh"
dirag train decision --dataset ncbi-disease,bc5cdr,bc2gm,maccrobat,clinical-notes -o decision.json
