#!/bin/sh
# The token classifier of the package, as it was made: all-MiniLM-L6-v2 with a layer of labels for seven types, trained on
# the train splits of four corpora and of annotated clinical notes; the same on the notes alone; and their average, since one
# model of this size for all loses on notes what the other has. A CPU core with bfloat16 takes an hour and ten minutes for the
# two, one without three times as long; each is taken up again where it was stopped.
#
#   DIRAG_DATA=FOLDER sh examples/token-classifier.sh REPORTS NOTES OUT
#
# FOLDER holds the corpora that dirag eval knows as ncbi-disease, bc5cdr and bc2gm, REPORTS the BRAT files of MACCROBAT 2020,
# NOTES is a folder with train.jsonl and devel.jsonl. The model is OUT/model.
set -eu
. "$(dirname "$0")/corpora.sh"
dirag train token-classifier --dataset ncbi-disease,bc5cdr:2,bc2gm,maccrobat:2,clinical-notes \
    --masked 0.15 --replaced 0.1 --rate 4e-4 --epochs 8 --validate 3000 --patience 8 --threads 1 -o all --resume
dirag train token-classifier --dataset clinical-notes \
    --masked 0.15 --replaced 0.1 --rate 4e-4 --epochs 8 --validate 3000 --patience 8 --threads 1 -o notes --resume
python "$here/average.py" all notes 0.25 gene model ncbi-disease,bc5cdr,bc2gm,maccrobat,clinical-notes
