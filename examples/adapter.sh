#!/bin/sh
# The default model's own adapter, as it was made: first from four corpora, each asked for the types that it annotates; then
# from the same sentences, each corpus completed with the types that it lacks as the first adapter sees them, so that all
# seven can be asked for at once. Two CPU cores take about three hours; all is taken up again where it was stopped.
#
#   DIRAG_DATA=FOLDER sh examples/adapter.sh REPORTS OUT
#
# FOLDER holds the corpora that dirag eval knows as ncbi-disease, bc5cdr and bc2gm, REPORTS the BRAT files of MACCROBAT 2020.
# The adapter is OUT/second.
set -eu
here=$(dirname "$(realpath "$0")") reports=$(realpath "$1") out=$2
DIRAG_DATA=$(realpath "$DIRAG_DATA")
export DIRAG_DATA

mkdir -p "$out"
cd "$out"
python "$here/split.py" "$reports" maccrobat disease,symptom,chemical,procedure,test,anatomy
dirag train adapter --dataset ncbi-disease:2,bc5cdr,bc2gm,maccrobat:2 --shots 1 --epochs 1.75 --rate 1e-3 \
    --every 0.35 --validate 400 -o first --resume

# complete CORPUS FILE TYPES OUT: the corpus, whose train split is FILE, with TYPES too.
complete() {
    dirag tag "$2" --types "$3" --no-lexicon --kb none --confidence 0.2 --adapter first -o "tagged-$4" --resume
    dirag train silver "tagged-$4" --gold "$1" -o "$4"
}
# some NAME NUMBER: the first sentences of a corpus's train split.
some() {
    awk -v number="$2" 'NF == 0 { seen++ } seen < number' "$(find "$DIRAG_DATA" -path "*$1-bio/train.tsv")" > "$1.tsv"
}
some bc5cdr 2600
some bc2gm 3500
complete bc5cdr bc5cdr.tsv gene bc5cdr-gene.jsonl
complete bc5cdr-gene.jsonl bc5cdr.tsv anatomy,procedure,symptom,test bc5cdr-7.jsonl
complete bc2gm bc2gm.tsv disease,chemical,anatomy,procedure,symptom,test bc2gm-7.jsonl
complete maccrobat maccrobat/train.jsonl gene maccrobat-7.jsonl
dirag train adapter --dataset ncbi-disease,bc5cdr-7.jsonl,bc2gm-7.jsonl,maccrobat-7.jsonl:2 --tests bc5cdr,bc2gm,maccrobat \
    --start first --shots 1 --epochs 1 --rate 5e-4 --every 0.5 --validate 300 --seed 1 -o second --resume
