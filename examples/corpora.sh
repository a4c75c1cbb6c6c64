# Sourced by scripts that fit to the five corpora, with the arguments REPORTS NOTES OUT: goes to OUT, with the case reports and
# the notes in it. DIRAG_DATA holds the corpora that dirag eval knows as ncbi-disease, bc5cdr and bc2gm, REPORTS the BRAT files
# of MACCROBAT 2020, NOTES is a folder with train.jsonl and devel.jsonl.
here=$(dirname "$(realpath "$0")") reports=$(realpath "$1") notes=$(realpath "$2") out=$3
DIRAG_DATA=$(realpath "$DIRAG_DATA")
export DIRAG_DATA

mkdir -p "$out"
cd "$out"
python "$here/split.py" "$reports" maccrobat disease,symptom,chemical,procedure,test,anatomy
ln -sfn "$notes" clinical-notes
