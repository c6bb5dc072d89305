#!/bin/sh
# Spark's discovery script: prints the GPUs that a process started here may use, as Spark wants them.
# An address is the number by which CUDA, and so torch, knows the device in that process.
set -eu
if [ -n "${CUDA_VISIBLE_DEVICES+set}" ]; then
    # CUDA numbers the devices that this variable names anew, from 0, and stops at the first that is none.
    count=0
    for device in $(printf '%s' "$CUDA_VISIBLE_DEVICES" | tr ',' ' '); do
        case $device in [0-9]* | GPU-* | MIG-*) count=$((count + 1)) ;; *) break ;; esac
    done
else
    count=$(nvidia-smi --query-gpu=index --format=csv,noheader | grep -c '^[0-9]' || true)
fi
addresses=
index=0
while [ "$index" -lt "$count" ]; do
    addresses="$addresses${addresses:+, }\"$index\""
    index=$((index + 1))
done
printf '{"name": "gpu", "addresses": [%s]}\n' "$addresses"
