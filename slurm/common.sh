# shellcheck shell=bash
# What the job scripts share; nothing here depends on the site.

readonly PROGRAM_FAULT=1         # of da; it would come again
readonly INPUT_FAULT=2           # the same
readonly ATTEMPTS=3              # in one job, after any other status
readonly STOPPED=75              # da: a signal stopped the run, which can be resumed (EX_TEMPFAIL)
readonly KILLED_BY_USR1=138      # the signal came before the program listened; nothing is lost by starting again

prepare() {
    [[ ${#MODULES[@]} -eq 0 ]] || module load "${MODULES[@]}"
    # shellcheck disable=SC1091
    source "$THERMODA_ENVIRONMENT/bin/activate"
    [[ -z $THERMODA_DATA ]] || export THERMODA_DATA
    export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
}

# Runs a command and passes SIGUSR1 on to it; returns its status.
run_listening() {
    local status passed_on=0
    "$@" &
    local -r program=$!
    trap 'passed_on=1; kill -USR1 "$program" 2>/dev/null || true' USR1
    wait "$program" && status=0 || status=$?
    while [[ $passed_on -eq 1 ]]; do
        passed_on=0
        wait "$program" && status=0 || status=$?
    done
    trap - USR1
    return "$status"
}

# Runs a command, again where it ends in a way that is not its own, such as a killed rank or an MPI that does not start.
run_trying() {
    local status attempt
    for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
        run_listening "$@" && return 0 || status=$?
        case $status in
            "$PROGRAM_FAULT" | "$INPUT_FAULT" | "$STOPPED" | "$KILLED_BY_USR1") break ;;
            *) echo "job $SLURM_JOB_ID: attempt $attempt of $ATTEMPTS ended with status $status" >&2 ;;
        esac
    done
    return "$status"
}

# Runs a command; where it was stopped on the way, puts this job back into the queue and ends it.
run_or_requeue() {
    local status job=$SLURM_JOB_ID
    # The number of an array's last task is that of the whole array.
    [[ -z ${SLURM_ARRAY_TASK_ID:-} ]] || job="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    run_trying "$@" && status=0 || status=$?
    case $status in
        0) return 0 ;;
        "$STOPPED" | "$KILLED_BY_USR1") ;;
        *) exit "$status" ;;
    esac
    if [[ ${SLURM_RESTART_COUNT:-0} -ge $MOST_RESTARTS ]]; then
        echo "job $job: stopped, and started again $MOST_RESTARTS times already: submit it again to go on" >&2
        exit "$status"
    fi
    echo "job $job: stopped with status $status after ${SLURM_RESTART_COUNT:-0} restarts; back into the queue"
    scontrol requeue "$job"
    # Slurm ends this job now.
    sleep 60
    exit "$status"
}
