#!/bin/bash
# `build` without Dask between nodes: one job scans and plans, an array of jobs cuts, one job publishes and verifies.
#
#   workflows/slurm/array.sh ARCHIVE DATASET SHARES [OPTION...]
#
# The tiles are divided into SHARES. Options, such as --config FILE, go to every command. The id of the last job is
# printed, for jobs that begin after it. If some elements of the array fail, run this again: only what is missing is done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if ! [[ ${3-} =~ ^[1-9][0-9]*$ ]]; then
  echo "Usage: $0 ARCHIVE DATASET SHARES [OPTION...], with the number of shares, such as 16" >&2
  exit 2
fi
archive=$1 dataset=$2 shares=$3
shift 3

plan=$(sbatch --parsable "$here/plan.sbatch" "$archive" "$dataset" "$@")
cut=$(sbatch --parsable --dependency="afterok:${plan%%;*}" --array="1-$shares" "$here/cut.sbatch" \
  "$archive" "$dataset" "$shares" "$@")
last=$(sbatch --parsable --dependency="afterok:${cut%%;*}" "$here/build.sbatch" "$archive" "$dataset" "$@")
echo "${last%%;*}"   # sbatch may add the name of the cluster
