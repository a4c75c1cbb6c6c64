#!/bin/sh
# From raw text to a small model of one's own, without a gold label: a teacher tags it, and the sentences of which it was sure
# teach an adapter. All is taken up again where it was stopped.
#
#   sh examples/silver.sh RAW OUT TYPES [OPTION…]
#
# RAW is whatever dirag tag reads, TYPES as in disease,chemical; the options are those of the teacher, such as --samples 5, or
# --backend openai --base-url http://127.0.0.1:8000. The adapter is OUT/student: dirag tag REST --types TYPES --adapter
# OUT/student. With GOLD=PATH in the environment teacher and student are scored on that annotated corpus.
set -eu
raw=$1 out=$2 types=$3
shift 3

mkdir -p "$out"
dirag tag "$raw" --types "$types" "$@" -o "$out/tagged.jsonl" --resume
dirag train silver "$out/tagged.jsonl" -o "$out/silver.jsonl"
dirag train adapter --dataset "$out/silver.jsonl" --types "$types" --shots 0 --validate 0 -o "$out/student" --resume
if [ "${GOLD:-}" ]; then
    dirag tag "$GOLD" --types "$types" "$@" -o "$out/teacher.jsonl" --resume
    dirag tag "$GOLD" --types "$types" --adapter "$out/student" -o "$out/student.jsonl" --resume
    for one in teacher student; do
        dirag eval --dataset "$GOLD" --types "$types" --predictions "$out/$one.jsonl"
    done
fi
