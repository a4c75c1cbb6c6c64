#!/bin/sh
# The token classifier of the package for what the other one does not find, as it was made: cells and their lines, organisms,
# cancers, parts of bodies and of cells, proteins, DNA, RNA and variants. It begins with the encoder of the other one; a CPU core
# with AVX2 takes an hour and a half.
#
#   DIRAG_DATA=FOLDER sh examples/biology-classifier.sh ABSTRACTS ENCODER OUT
#
# FOLDER holds the corpora that dirag eval knows as jnlpba, bionlp13cg and tmvar3, ABSTRACTS the BRAT files of the abstracts that
# JNLPBA is trained on, ENCODER is what examples/token-classifier.sh leaves in OUT/model. The model is OUT/biology.
set -eu
here=$(dirname "$(realpath "$0")") abstracts=$(realpath "$1") encoder=$(realpath "$2") out=$3
DIRAG_DATA=$(realpath "$DIRAG_DATA")
export DIRAG_DATA

mkdir -p "$out"
cd "$out"
python "$here/split.py" tmvar3 tmvar variant,gene,organism,cell_line
python "$here/split.py" "$abstracts" abstracts protein,dna,rna,cell_line,cell_type jnlpba
dirag train token-classifier --encoder "$encoder" --dataset ./abstracts,bionlp13cg:2,tmvar:2 \
    --masked 0.1 --replaced 0.1 --rate 4e-4 --epochs 3 --validate 1500 --patience 8 --threads 1 -o biology --resume
dirag train decision --dataset ./abstracts,bionlp13cg,./tmvar --adapter none --model biology --threads 1 \
    -o biology/decision.json
