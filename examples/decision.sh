#!/bin/sh
# The weights by which the default decides over token classifier, names and LLM, as they were fitted: to sentences of the
# development splits of five corpora, none of which any of the three was trained on. Two CPU cores take some ten minutes.
#
#   DIRAG_DATA=FOLDER sh examples/decision.sh REPORTS NOTES OUT
#
# FOLDER holds the corpora that dirag eval knows as ncbi-disease, bc5cdr and bc2gm, REPORTS the BRAT files of MACCROBAT 2020,
# NOTES is a folder with train.jsonl and devel.jsonl. The weights are OUT/decision.json, for the folder of the adapter.
set -eu
here=$(dirname "$(realpath "$0")") reports=$(realpath "$1") notes=$(realpath "$2") out=$3
DIRAG_DATA=$(realpath "$DIRAG_DATA")
export DIRAG_DATA

mkdir -p "$out"
cd "$out"
python "$here/maccrobat.py" "$reports" maccrobat
ln -sfn "$notes" clinical-notes
dirag train decision --dataset ncbi-disease,bc5cdr,bc2gm,maccrobat,clinical-notes -o decision.json
