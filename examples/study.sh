#!/bin/sh
# A study of in-context examples and of concepts in the prompt, after arXiv 2404.07376, on the model by itself: how many
# examples, how chosen, in which answer format, with and without concepts; other selectors, formats and models beside it.
#
#   sh examples/study.sh DATASET VOCABULARY OUT [LIMIT [MODEL.gguf]]
#
# Prints what each grid changes, with p-values, then one table of all runs, and writes OUT/page.html. What is finished in OUT
# is not run again. The paper's prompts have 16 examples, inline (TANL) or template (DICE) answers, and UMLS as vocabulary.
set -eu
dataset=$1 vocabulary=$2 out=$3 limit=${4:-200} model=${5:-}

base=$out/base
[ -d "$base" ] || dirag kb build "$vocabulary" --no-dense -o "$base"
study() {
    dirag eval --dataset "$dataset" --limit "$limit" --adapter none --no-lexicon --kb "$base" --cache default "$@"
}

study --shots 0,4,8,16 --selector random,knn --answer inline,mentions --concepts 0,8 --out "$out/runs"
for selector in bm25 tfidf mmr coverage; do
    study --selector "$selector" --out "$out/runs/shots=8,selector=$selector,concepts=0,answer=mentions"
done
for answer in template json; do
    study --answer "$answer" --out "$out/runs/shots=8,selector=knn,concepts=0,answer=$answer"
done
if [ "$model" ]; then
    study --backend llamacpp --model "$model" --out "$out/runs/shots=8,selector=knn,concepts=0,answer=mentions,model=${model##*/}"
fi
dirag report "$out/runs" -o "$out/page.html"
