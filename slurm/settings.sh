# shellcheck shell=bash
# Every setting of the scripts in this folder, with its default. What is in the environment comes first, then .env (or the file that
# ENV_FILE names), then the defaults below. The programs read their own settings (KALSHI_API_KEY_ID, DISCOVERY_SECONDS, …) from the same
# places: .env.example has them all.

setting() {
  local name=$1 default=${2-} line
  if [ -z "${!name-}" ] && [ -r "$ENV_FILE" ]; then
    line=$(grep -E "^[[:space:]]*(export[[:space:]]+)?${name}=" "$ENV_FILE" | tail -n 1 || true)
    line=${line#*=}
    case $line in
      \"*\"*) line=${line#\"} line=${line%%\"*} ;;
      \'*\'*) line=${line#\'} line=${line%%\'*} ;;
      *) line=${line%%[[:space:]]#*} line=${line%"${line##*[![:space:]]}"} ;;
    esac
    printf -v "$name" '%s' "$line"
  fi
  if [ -z "${!name-}" ]; then printf -v "$name" '%s' "$default"; fi
  export "${name?}"
}

# The folder of this repository: where sbatch was called.
KALSHI_HOME=${KALSHI_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}
export KALSHI_HOME
if [ -z "${ENV_FILE-}" ] && [ -r "$KALSHI_HOME/.env" ]; then ENV_FILE=$KALSHI_HOME/.env; fi
ENV_FILE=${ENV_FILE:-/dev/null}
export ENV_FILE

# The folder of the database, its journals, logs and lease: on storage that every node sees, and that outlives a job.
setting PGDATA_HOST "${SCRATCH:-${WORK:-$KALSHI_HOME}}/kalshi"
setting DATA_DIR "$PGDATA_HOST"
setting JOURNAL_DIR "$DATA_DIR/journal"

# The image of apptainer/kalshi_ingestor.def. Where it is missing, Node and dist/ of this folder run instead. APPTAINER=0 wants that anyway.
setting KALSHI_SIF "$KALSHI_HOME/kalshi_ingestor.sif"
setting APPTAINER auto
setting APPTAINER_MODULE apptainer
setting NODE node
# More folders that the container must see, separated by commas: certificates, a prompt, a handler of your own.
setting APPTAINER_BIND_MORE ""

# The database: that of the image. POSTGRES_SIF names another server (PostgreSQL 15 or later); POSTGRES_IMAGE is pulled into it once.
setting POSTGRES_SIF ""
setting POSTGRES_IMAGE ""
setting POSTGRES_INSTANCE pgdb
setting POSTGRES_PORT 55432
setting POSTGRES_LISTEN 127.0.0.1

# What runs: all, ws-worker, ws, worker, rest; how many of them; and what is off unless wanted.
setting INGESTOR_MODE all
setting WORK_QUEUE_WORKERS 0
setting WS_SHARD_COUNT ""
setting PREDICTION_ENABLE 0
setting WEB_PORTAL_ENABLE 0
setting APPLY_ROLES auto

# At the wall-time limit: singleton submits the next job, requeue puts this one back in the queue (slower), none just ends.
setting HANDOVER singleton
# A stop signal that comes while so little time is left is that of the limit. More than --signal=B:TERM@… says.
setting HANDOVER_SECONDS 180
# More arguments for the next sbatch.
setting HANDOVER_SBATCH_ARGS ""
