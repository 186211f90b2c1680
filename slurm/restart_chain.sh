#!/usr/bin/env bash
# One experiment that may need more time than a job is given:
#   sbatch slurm/restart_chain.sh experiments/champ_grace_2002/direct.yaml
# Ahead of the time limit the run is stopped with a restart point and the job puts itself back into the queue, until
# the run is complete.
#
# ---- Site: set these before the first job (docs/slurm.md) ----
##SBATCH --account=PROJECT        # remove the first '#' where your site wants an account,
##SBATCH --partition=PARTITION    # ... and where its default partition is not the right one
#SBATCH --job-name=thermoda-chain
#SBATCH --ntasks=20
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
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
run_or_requeue "${launch[@]}" python -m mpi4py -m da run "${1:?experiment file}" --resume
