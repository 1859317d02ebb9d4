import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Nodes from "./Nodes.ts"
import { at, read } from "./Place.ts"
import { must, run, waitFor } from "./Shell.ts"

const configFile = path.join(at.slurm, "slurm.conf")
export const environment = { SLURM_CONF: configFile }

const nodes = [Nodes.here, Nodes.other]

/** A partition of the other node alone. */
export const otherPartition = "other"

/** Two nodes that pass for eight processors each, so that jobs start beside each other. A node that is silent for 5 s is down. */
const config = `ClusterName=lab
SlurmctldHost=${Nodes.here}(${Nodes.addressOf(Nodes.here)})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${at.slurm}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=5
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=${at.slurm}/state
SlurmdSpoolDir=${at.slurm}/spool.%n
SlurmctldPidFile=${at.slurm}/slurmctld.pid
SlurmdPidFile=${at.slurm}/slurmd.%n.pid
SlurmctldLogFile=${at.slurm}/slurmctld.log
SlurmdLogFile=${at.slurm}/slurmd.%n.log
SlurmctldPort=16817
SlurmdPort=16818
${nodes
  .map(
    (node, n) =>
      `NodeName=${node} NodeAddr=${Nodes.addressOf(node)} CPUs=8 RealMemory=20000 Weight=${n + 1} State=UNKNOWN\n`
  )
  .join("")}PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=${otherPartition} Nodes=${Nodes.other} MaxTime=INFINITE State=UP
`

const daemon = (name: string) => Number(read(path.join(at.slurm, `${name}.pid`)).trim())

/** Ends the daemons that the lab started, by their own pid files. */
const stop = Effect.gen(function* () {
  for (const name of [...nodes.map((node) => `slurmd.${node}`), "slurmctld", "munged"]) {
    const pid = daemon(name)
    if (pid > 0 && read(`/proc/${pid}/comm`).trim() === name.split(".")[0])
      yield* run(`kill ${pid}; for n in $(seq 100); do [ -e /proc/${pid} ] || break; sleep 0.1; done`)
  }
})

/** Munge and Slurm of both nodes, until the scope closes. */
export const daemons = Effect.gen(function* () {
  yield* stop
  fs.rmSync(at.slurm, { recursive: true, force: true })
  fs.mkdirSync(path.join(at.slurm, "state"), { recursive: true })
  for (const node of nodes) fs.mkdirSync(path.join(at.slurm, `spool.${node}`))
  fs.writeFileSync(configFile, config)
  fs.chmodSync(configFile, 0o644)
  yield* Nodes.network
  yield* Effect.addFinalizer(() => stop)
  yield* must(
    "Slurm",
    `set -eu
    dd if=/dev/urandom of=${at.slurm}/munge.key bs=128 count=1 2>/dev/null
    chmod 400 ${at.slurm}/munge.key
    munged --force --key-file=${at.slurm}/munge.key --socket=${at.slurm}/munge.socket --pid-file=${at.slurm}/munged.pid \
      --log-file=${at.slurm}/munged.log --seed-file=${at.slurm}/munged.seed
    slurmctld
    ${nodes.map((node) => Nodes.on(node, `exec slurmd -N ${node}`)).join("\n")}`,
    { env: environment, prompt: true }
  )
  yield* waitFor(
    "Slurm's nodes",
    60,
    run("scontrol update NodeName=ALL State=RESUME 2>/dev/null; sinfo --noheader --partition=lab --format '%T %D'", {
      env: environment
    }),
    ({ out }) => out.trim() === `idle ${nodes.length}`
  )
})

/** A job's state; nothing once Slurm has forgotten it. */
export const stateOf = (job: string) =>
  Effect.map(run(`scontrol --oneliner show job ${job}`, { env: environment }), ({ out }) => ({
    state: /JobState=(\w+)/.exec(out)?.[1] ?? "",
    restarts: Number(/Restarts=(\d+)/.exec(out)?.[1] ?? 0),
    node: / NodeList=(\S+)/.exec(out)?.[1] ?? ""
  }))

/** Has this many minutes as its limit, all told. */
export const limit = (job: string, minutes: number) =>
  must("a job's limit", `scontrol update JobId=${job} TimeLimit=${minutes}`, { env: environment })

/** Runs as soon as it can, and here, wherever it was to run. */
export const hereAndNow = (job: string) =>
  must("a job's node", `scontrol update JobId=${job} Partition=lab StartTime=now`, { env: environment })
