# shellcheck shell=bash
# What the scripts of this folder share. They stay thin: node dist/cluster.js does what needs judgement.

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2; }

refuse() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Which programs: those of the image, or Node and dist/ of this folder.
choose_programs() {
  if [ "$APPTAINER" != 0 ] && [ -e "$KALSHI_SIF" ]; then
    if ! command -v apptainer >/dev/null && command -v module >/dev/null; then module load "$APPTAINER_MODULE" || true; fi
    command -v apptainer >/dev/null ||
      refuse "APPTAINER_MODULE: there is no apptainer here, also after module load $APPTAINER_MODULE; name the right module, or set APPTAINER=0"
    in_container=1
    return
  fi
  [ "$APPTAINER" != 1 ] || refuse "KALSHI_SIF: $KALSHI_SIF does not exist; build it as docs/cluster.md says, or set APPTAINER=0"
  [ -z "$POSTGRES_SIF$POSTGRES_IMAGE" ] || refuse "POSTGRES_SIF: it needs the image; build $KALSHI_SIF, or unset it"
  command -v "$NODE" >/dev/null || refuse "NODE: there is no $NODE here; load a module with Node 20.20 or later, or set NODE to its path"
  [ -e "$KALSHI_HOME/dist/cluster.js" ] || refuse "KALSHI_HOME: $KALSHI_HOME/dist is missing; run there: npm ci && npm run build"
  in_container=0
}

# The folders that the container sees, each under its own name.
container_binds() {
  local key=${KALSHI_PRIVATE_KEY_PEM_PATH-} folder
  binds=(--bind "$PGDATA_HOST" --bind "$KALSHI_HOME" --bind "$CLUSTER_RUN_DIR")
  if [ -z "$key" ]; then
    setting KALSHI_PRIVATE_KEY_PEM_PATH ""
    key=$KALSHI_PRIVATE_KEY_PEM_PATH
    [ -n "$key" ] || unset KALSHI_PRIVATE_KEY_PEM_PATH
  fi
  if [ -n "$key" ] && [ -e "$key" ]; then binds+=(--bind "$(dirname "$(realpath "$key")"):$(dirname "$key"):ro"); fi
  for folder in "$DATA_DIR" "$JOURNAL_DIR"; do
    mkdir -p "$folder"
    case $folder/ in "$PGDATA_HOST"/*) ;; *) binds+=(--bind "$folder") ;; esac
  done
  if [ "$ENV_FILE" != /dev/null ]; then binds+=(--bind "$ENV_FILE"); fi
  IFS=, read -ra more <<<"$APPTAINER_BIND_MORE"
  for folder in "${more[@]}"; do binds+=(--bind "$folder"); done
}

# A private folder of this start on this node, with a pipe for each long process: it ends when nobody holds the other end any more,
# so nothing outlives this script, however the script ends.
begin_run() {
  umask 077
  CLUSTER_RUN=${SLURM_JOB_ID:-$(hostname)-$$}.${SLURM_RESTART_COUNT:-0}.$(date +%s)
  CLUSTER_RUN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/kalshi_hd.XXXXXX") || refuse "TMPDIR: no folder can be made in ${TMPDIR:-/tmp}"
  export CLUSTER_RUN CLUSTER_RUN_DIR
  mkdir -p "$PGDATA_HOST" 2>/dev/null || refuse "PGDATA_HOST: $PGDATA_HOST cannot be made; name a folder that you can write"
  PGDATA_HOST=$(realpath "$PGDATA_HOST")
  DATA_DIR=$(realpath -m "$DATA_DIR")
  JOURNAL_DIR=$(realpath -m "$JOURNAL_DIR")
  if command -v squeue >/dev/null && jobs_now=$(squeue --noheader --array --user "$(id -un)" --format %A 2>/dev/null); then
    CLUSTER_LIVE_JOBS=$(tr '\n' ' ' <<<"$jobs_now")
    export CLUSTER_LIVE_JOBS
  fi
  instance=${POSTGRES_INSTANCE}_${SLURM_JOB_ID:-$$}
  mkfifo "$CLUSTER_RUN_DIR/life.database" "$CLUSTER_RUN_DIR/life.server" "$CLUSTER_RUN_DIR/life.programs"
  exec {life_database}<>"$CLUSTER_RUN_DIR/life.database" {life_server}<>"$CLUSTER_RUN_DIR/life.server" {life_programs}<>"$CLUSTER_RUN_DIR/life.programs"
  binds=()
  if [ "$in_container" = 1 ]; then container_binds; fi
  export EXIT_WITH_STDIN=1
}

# cluster COMMAND: one of node dist/cluster.js, in the container or not.
cluster() {
  if [ "$in_container" = 1 ]; then
    exec apptainer run --no-home --pwd / "${binds[@]}" "$KALSHI_SIF" cluster "$@"
  else
    cd "$KALSHI_HOME" && exec "$NODE" dist/cluster.js "$@"
  fi
}

# Before there is a database: nobody will say how it ended.
refuse_database() {
  echo 1 >"$CLUSTER_RUN_DIR/database.exit"
  refuse "$*"
}

# Runs in the background with its pipe as standard input, and without ours.
keep() {
  local pipe=$1
  shift
  (
    exec <"$CLUSTER_RUN_DIR/life.$pipe" {life_database}>&- {life_server}>&- {life_programs}>&-
    trap - TERM INT
    "$@"
  ) &
}

# Not the shell's own waiting: a trap interrupts it at once.
pause() {
  sleep "$1" {life_database}>&- {life_server}>&- {life_programs}>&- &
  wait $! || true
}

# Outlives a signal to the whole job, to tell how the database ended.
database_and_exit_code() {
  trap : TERM INT
  local code=0
  (cluster "$1") >>"$CLUSTER_RUN_DIR/database.log" 2>&1 || code=$?
  echo "$code" >"$CLUSTER_RUN_DIR/database.exit"
}

start_database() {
  : >"$CLUSTER_RUN_DIR/database.log"
  if [ -n "$POSTGRES_SIF$POSTGRES_IMAGE" ]; then
    start_other_server
  elif [ "$in_container" = 1 ]; then
    start_instance &
  else
    keep database database_and_exit_code database
  fi
}

# While it starts, the programs load: a hand-over waits for both.
start_instance() {
  exec {life_database}>&- {life_server}>&- {life_programs}>&-
  apptainer instance start --no-home "${binds[@]}" "$KALSHI_SIF" "$instance" database >"$CLUSTER_RUN_DIR/instance.log" 2>&1 ||
    {
      cat "$CLUSTER_RUN_DIR/instance.log" >>"$CLUSTER_RUN_DIR/database.log"
      echo 1 >"$CLUSTER_RUN_DIR/database.exit"
    }
}

# A server of another image: the lease is held by a process of ours, and lost with it the server is stopped at once. It is no instance,
# as those of other images start nothing, but one process that ends with this script.
start_other_server() {
  : "${POSTGRES_SIF:=$KALSHI_HOME/postgres.sif}"
  if [ ! -e "$POSTGRES_SIF" ]; then
    [ -n "$POSTGRES_IMAGE" ] || refuse_database "POSTGRES_SIF: $POSTGRES_SIF does not exist; pull it, or set POSTGRES_IMAGE=docker://postgres:16"
    apptainer pull "$POSTGRES_SIF" "$POSTGRES_IMAGE" || refuse_database "POSTGRES_IMAGE: $POSTGRES_IMAGE cannot be pulled here; pull it elsewhere into $POSTGRES_SIF"
  fi
  keep database database_and_exit_code lease
  until [ -e "$CLUSTER_RUN_DIR/lease.held" ] || [ -e "$CLUSTER_RUN_DIR/database.exit" ]; do pause 0.1; done
  [ -e "$CLUSTER_RUN_DIR/lease.held" ] || return 0
  local data=$PGDATA_HOST/postgres log=$CLUSTER_RUN_DIR/initdb.log
  if [ ! -e "$data/PG_VERSION" ]; then
    rm -rf "$data.new"
    in_other_image initdb --pgdata="$data.new" --username=postgres --auth=scram-sha-256 --encoding=UTF8 --locale=C \
      --pwfile="$PGDATA_HOST/postgres-password" >"$log" 2>&1 </dev/null ||
      {
        tail -n 20 "$log" >&2
        refuse_database "POSTGRES_SIF: initdb failed; the lines above say why"
      }
    mv "$data.new" "$data"
  fi
  keep server other_server "$data"
}

in_other_image() { apptainer exec --no-home --pwd / --bind "$PGDATA_HOST" "$POSTGRES_SIF" "$@"; }

# Until nobody holds the pipe, or the process of the lease has ended: then it must stop at once.
other_server() {
  local data=$1 way=fast
  trap : TERM INT
  in_other_image postgres -D "$data" -p "$POSTGRES_PORT" -c "listen_addresses=$POSTGRES_LISTEN" -c unix_socket_directories= \
    -c timezone=UTC -c log_timezone=UTC >>"$PGDATA_HOST/postgres.log" 2>&1 </dev/null &
  while true; do
    read -r -t 1 _ && continue
    # More than 128: only the time is up.
    [ $? -gt 128 ] || break
    if [ -e "$CLUSTER_RUN_DIR/database.exit" ]; then
      way=immediate
      break
    fi
  done
  in_other_image pg_ctl -D "$data" -m "$way" -t 30 -w stop >>"$PGDATA_HOST/postgres.log" 2>&1 </dev/null || true
  wait
}

# Ends what this script started, the database last.
end_run() {
  trap '' TERM INT
  local n
  exec {life_programs}>&-
  # Our own server waits by itself until the programs have let go; another one must hear of the end after theirs.
  if [ -z "$POSTGRES_SIF$POSTGRES_IMAGE" ]; then exec {life_database}>&-; fi
  if [ -n "${programs-}" ]; then
    while kill -0 "$programs" 2>/dev/null; do wait "$programs" || true; done
  fi
  exec {life_server}>&-
  if [ -n "$POSTGRES_SIF$POSTGRES_IMAGE" ]; then exec {life_database}>&-; fi
  if [ -n "${has_database-}" ]; then
    for ((n = 0; n < 600; n++)); do
      [ ! -e "$CLUSTER_RUN_DIR/database.exit" ] || break
      sleep 0.1
    done
    if [ "$in_container" = 1 ] && [ -z "$POSTGRES_SIF$POSTGRES_IMAGE" ]; then
      # Once the database has ended there is nothing left in the instance to be kind to.
      local how=(--timeout 20)
      [ ! -e "$CLUSTER_RUN_DIR/database.exit" ] || how=(--force)
      apptainer instance stop "${how[@]}" "$instance" >>"$CLUSTER_RUN_DIR/instance.log" 2>&1 || true
    fi
    cat "$CLUSTER_RUN_DIR/database.log" >&2
  fi
  wait
  rm -rf "$CLUSTER_RUN_DIR"
}

# Seconds until the wall-time limit; nothing when the job is being cancelled or Slurm does not answer.
seconds_left() {
  local state left days=0
  read -r state left < <(squeue --noheader --job "$SLURM_JOB_ID" --format '%T %L' 2>/dev/null) || return 0
  [ "$state" = RUNNING ] || return 0
  case $left in *-*) days=${left%%-*} left=${left#*-} ;; esac
  case $left in
    *:*:*) ;;
    *:*) left=0:$left ;;
    *) return 0 ;;
  esac
  IFS=: read -r hours minutes seconds <<<"$left"
  echo $((((10#$days * 24 + 10#$hours) * 60 + 10#$minutes) * 60 + 10#$seconds))
}

# The next job, when this one ends by its wall-time limit: it starts once this one is gone, as nobody else of its name may run.
hand_over() {
  local left script=$1
  [ -n "${SLURM_JOB_ID-}" ] && [ "$HANDOVER" != none ] || return 0
  left=$(seconds_left)
  if [ -z "$left" ] || [ "$left" -gt "$HANDOVER_SECONDS" ]; then return 0; fi
  if [ "$HANDOVER" = requeue ]; then
    requeue_at_end=1
    return 0
  fi
  local next limit
  limit=$(squeue --noheader --job "$SLURM_JOB_ID" --format %l)
  local -a more=()
  read -ra more <<<"$HANDOVER_SBATCH_ARGS"
  next=$(cd "$KALSHI_HOME" && unset CLUSTER_RUN CLUSTER_RUN_DIR CLUSTER_LIVE_JOBS LEASE_GONE EXIT_WITH_STDIN &&
    sbatch --parsable --dependency=singleton --job-name="$SLURM_JOB_NAME" --time="$limit" \
      ${SLURM_JOB_PARTITION:+--partition="$SLURM_JOB_PARTITION"} ${SLURM_JOB_ACCOUNT:+--account="$SLURM_JOB_ACCOUNT"} \
      ${SLURM_JOB_QOS:+--qos="$SLURM_JOB_QOS"} ${SLURM_CPUS_PER_TASK:+--cpus-per-task="$SLURM_CPUS_PER_TASK"} \
      ${SLURM_MEM_PER_NODE:+--mem="$SLURM_MEM_PER_NODE"} "${more[@]}" "$script" {life_database}>&- {life_server}>&- {life_programs}>&-) ||
    {
      say "the next job could not be submitted; submit it by hand"
      return 0
    }
  say "$left s are left: job $next goes on"
  # What is written now need not be written while nobody records.
  if [ -n "$has_database" ]; then (trap - TERM INT && unset EXIT_WITH_STDIN && cluster checkpoint) </dev/null >&2 || true; fi
}

# run COMMAND SCRIPT: programs (with their database) or guests (on the database of another job), until a stop signal or their own end.
run() {
  local command=$1 script=$2 code=0
  stopped=0 requeue_at_end=0 programs="" has_database=""
  choose_programs
  begin_run
  trap 'stopped=1' TERM INT
  trap end_run EXIT
  say "run $CLUSTER_RUN on $(hostname): $PGDATA_HOST, $([ "$in_container" = 1 ] && echo "$KALSHI_SIF" || echo "no container")"
  if [ "$command" = programs ]; then
    has_database=1
    start_database
  fi
  keep programs cluster "$command"
  programs=$!
  while [ "$stopped" = 0 ]; do
    wait "$programs" && code=0 || code=$?
    kill -0 "$programs" 2>/dev/null || break
  done
  if [ "$stopped" = 1 ]; then
    code=0
    hand_over "$script"
  fi
  trap - EXIT
  end_run
  if [ "$requeue_at_end" = 1 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
  exit "$code"
}
