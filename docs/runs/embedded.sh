#!/bin/sh
# Makes the embedded weights from the three archives: sh docs/runs/embedded.sh DATA OUT
# DATA holds fer2013.zip with ferplus-votes.csv beside it, raf-db.zip and affectnet-yolo.zip. Stopped, it
# goes on where it was. The first training takes an hour and a half on two cores with AMX, the
# second one an hour on one core without; docs/results.md has what is measured on the way.
set -eu
DATA=$1
OUT=$2

python -m train prepare --corpus "fer2013=$DATA/fer2013.zip" --corpus "raf-db=$DATA/raf-db.zip" \
    --corpus "affectnet=$DATA/affectnet-yolo.zip" --out "$OUT/prepared"

# One layer for all corpora, 40 epochs: what a later run starts from.
python -m train fit --data "$OUT/prepared" --out "$OUT/pilot" --resume --checkpoint-minutes 10 \
    --recipe union --annotation first --soft-labels --label-smoothing 0.05 \
    --widths 64 128 256 512 --batch-size 128 --lr 2e-3 --epochs 40

# A layer for each corpus, the output for calm faces, weaker augmentation.
python -m train fit --data "$OUT/prepared" --out "$OUT/embedded" --resume --checkpoint-minutes 10 \
    --recipe union --annotation first --soft-labels --init "$OUT/pilot" --heads --calm-weight 0.5 \
    --no-outlier-exposure --class-weights none --degrade 0.1 --label-smoothing 0.05 \
    --batch-size 128 --lr 1e-3 --warmup-epochs 0.2 --epochs 3 --ema-decay 0.995 \
    --precision float32

python -m train export --weights "$OUT/embedded" --data "$OUT/prepared"
python -m train evaluate --weights "$OUT/embedded" --data "$OUT/prepared" \
    --corpus fer2013 --split public --json "$OUT/fer.json"
python -m train evaluate --weights "$OUT/embedded" --data "$OUT/prepared" \
    --corpus raf-db --split validation --json "$OUT/raf.json"
python -m train evaluate --weights "$OUT/embedded" --data "$OUT/prepared" \
    --corpus affectnet --split valid --json "$OUT/affectnet.json"
python -m train results "$OUT/fer.json" "$OUT/raf.json" "$OUT/affectnet.json" \
    --calibration "$OUT/embedded/calibration.json" --out "$OUT/results.json"
python -m train figures --results "$OUT/results.json" --out "$OUT/figures" \
    --log "$OUT/embedded/log.jsonl"
