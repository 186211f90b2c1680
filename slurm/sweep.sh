#!/usr/bin/env bash
# A folder of experiments, such as python -m da sweep ... --files-only writes, one run per task of a job array:
#   sbatch --array=0-11%4 slurm/sweep.sh runs/radius
# Task k makes the k-th of the files that python -m da study would run, evaluates it and adds it to the key figures.
#
# ---- Site: set these before the first job (docs/slurm.md) ----
##SBATCH --account=PROJECT        # remove the first '#' where your site wants an account,
##SBATCH --partition=PARTITION    # ... and where its default partition is not the right one
#SBATCH --job-name=thermoda-sweep
#SBATCH --ntasks=8
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.log
MODULES=()                                                   # such as (python/3.12)
: "${THERMODA_SOURCE:=$SLURM_SUBMIT_DIR}"                    # folder that holds slurm/common.sh
: "${THERMODA_ENVIRONMENT:=$THERMODA_SOURCE/.venv}"          # virtual environment, or a copy on the nodes
: "${THERMODA_LAUNCH:=srun --mpi=pmi2 --wait=60}"            # starts MPI processes; with the site's own MPI as it says
: "${THERMODA_DATA:=}"                                       # folder of measurements; empty for synthetic ones
MOST_RESTARTS=100                                            # then a job is not put back into the queue any more
# ---- Site: end ----

set -euo pipefail
# shellcheck source=slurm/common.sh
source "$THERMODA_SOURCE/slurm/common.sh"
prepare
read -ra launch <<<"$THERMODA_LAUNCH"
mapfile -t files < <(find "${1:?folder of experiments}" -maxdepth 1 -name '[!_]*.y*ml' | LC_ALL=C sort)
file=${files[${SLURM_ARRAY_TASK_ID:?submit with --array}]:?the folder has only ${#files[@]} experiments}
run_or_requeue "${launch[@]}" python -m mpi4py -m da run "$file" --resume
python -m da study "$1" --only "$(basename "$file")"
