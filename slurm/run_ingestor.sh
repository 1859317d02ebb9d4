#!/usr/bin/env bash
# The ingestor on this machine, without Slurm: the database in PGDATA_HOST and the programs of INGESTOR_MODE, until Ctrl-C or SIGTERM.
#   slurm/run_ingestor.sh
set -euo pipefail
KALSHI_HOME=${KALSHI_HOME:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=settings.sh
source "$KALSHI_HOME/slurm/settings.sh"
# shellcheck source=lib.sh
source "$KALSHI_HOME/slurm/lib.sh"
run programs "$KALSHI_HOME/slurm/run_ingestor.sh"
