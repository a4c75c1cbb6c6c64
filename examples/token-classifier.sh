#!/bin/sh
# The token classifier of the package, as it was made: all-MiniLM-L6-v2 with a layer of labels for seven types, trained on
# the train splits of four corpora and of annotated clinical notes. The second stage goes on from the first, with labels of
# their own for the case reports and the notes, whose guides mean other things by the same types. A CPU core with bfloat16
# takes about an hour and half an hour for them, one without three times as long; each is taken up again where it was stopped.
#
#   DIRAG_DATA=FOLDER sh examples/token-classifier.sh REPORTS NOTES OUT
#
# FOLDER holds the corpora that dirag eval knows as ncbi-disease, bc5cdr and bc2gm, REPORTS the BRAT files of MACCROBAT 2020,
# NOTES is a folder with train.jsonl and devel.jsonl. The model is OUT/model.
set -eu
here=$(dirname "$(realpath "$0")") reports=$(realpath "$1") notes=$(realpath "$2") out=$3
DIRAG_DATA=$(realpath "$DIRAG_DATA")
export DIRAG_DATA

mkdir -p "$out"
cd "$out"
python "$here/maccrobat.py" "$reports" maccrobat
ln -sfn "$notes" clinical-notes
dirag train token-classifier --dataset ncbi-disease,bc5cdr:2,bc2gm,maccrobat:2,clinical-notes \
    --masked 0.15 --replaced 0.1 --rate 4e-4 --epochs 8 --validate 3000 --patience 8 --threads 1 -o first --resume
dirag train token-classifier --encoder first --dataset ncbi-disease,bc5cdr,bc2gm,maccrobat:2,clinical-notes:3 \
    --separate maccrobat,clinical-notes --masked 0.15 --replaced 0.1 --rate 3e-4 --epochs 1.8 --every 0.6 \
    --validate 2000 --patience 8 --threads 1 -o model --resume
