#!/usr/bin/env bash
# One experiment on a Slurm cluster:  sbatch slurm/run.sh experiments/champ_grace_2002.yaml
# Site-specific values stand here and nowhere else.
#SBATCH --job-name=thermoda
#SBATCH --ntasks=20
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --output=%x-%j.log

set -euo pipefail
: "${THERMODA_ENVIRONMENT:=$HOME/thermoda/.venv}"  # virtual environment whose mpi4py was built against the cluster's MPI
: "${THERMODA_DATA:?set THERMODA_DATA to the folder of the density files}"
export THERMODA_DATA

source "$THERMODA_ENVIRONMENT/bin/activate"
srun python -m mpi4py -m da run "$@"
