#!/usr/bin/env bash
# A campaign with TIE-GCM (docs/tiegcm.md): the spin-up, then the run, in as many jobs as it takes:
#   sbatch slurm/tiegcm.sh mine.yaml
# One process of ours starts the members as job steps, as many at a time as the job holds processors for:
#   launcher: {command: [srun, --exact, --mpi=pmi2, -n, "{ranks}", "{executable}", "{namelist}"], ranks: 4}
#
# ---- Site: set these before the first job (docs/slurm.md) ----
##SBATCH --account=PROJECT        # remove the first '#' where your site wants an account,
##SBATCH --partition=PARTITION    # ... and where its default partition is not the right one
#SBATCH --job-name=thermoda-tiegcm
#SBATCH --ntasks=64
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@900
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
run_or_requeue python -m da spinup "${1:?experiment file}"
run_or_requeue python -m da run "$1" --resume
