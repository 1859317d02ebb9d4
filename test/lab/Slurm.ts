import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { at, read } from "./Place.ts"
import { must, run, waitFor } from "./Shell.ts"

const configFile = path.join(at.slurm, "slurm.conf")
export const environment = { SLURM_CONF: configFile }

/** One node that passes for eight processors, so that a second job starts beside the first. */
const config = `ClusterName=lab
SlurmctldHost=localhost
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${at.slurm}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation=${at.slurm}/state
SlurmdSpoolDir=${at.slurm}/spool
SlurmctldPidFile=${at.slurm}/slurmctld.pid
SlurmdPidFile=${at.slurm}/slurmd.pid
SlurmctldLogFile=${at.slurm}/slurmctld.log
SlurmdLogFile=${at.slurm}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
NodeName=localhost CPUs=8 RealMemory=20000 State=UNKNOWN
PartitionName=lab Nodes=localhost Default=YES MaxTime=INFINITE State=UP
`

const daemon = (name: string) => Number(read(path.join(at.slurm, `${name}.pid`)).trim())

/** Ends the daemons that the lab started, by their own pid files. */
const stop = Effect.gen(function* () {
  for (const name of ["slurmd", "slurmctld", "munged"]) {
    const pid = daemon(name)
    if (pid > 0 && read(`/proc/${pid}/comm`).trim() === name)
      yield* run(`kill ${pid}; for n in $(seq 100); do [ -e /proc/${pid} ] || break; sleep 0.1; done`)
  }
})

/** Munge and Slurm of this machine, until the scope closes. */
export const daemons = Effect.acquireRelease(
  Effect.gen(function* () {
    yield* stop
    fs.rmSync(at.slurm, { recursive: true, force: true })
    fs.mkdirSync(path.join(at.slurm, "state"), { recursive: true })
    fs.mkdirSync(path.join(at.slurm, "spool"))
    fs.writeFileSync(configFile, config)
    fs.chmodSync(configFile, 0o644)
    yield* must(
      "Slurm",
      `set -eu
      dd if=/dev/urandom of=${at.slurm}/munge.key bs=128 count=1 2>/dev/null
      chmod 400 ${at.slurm}/munge.key
      munged --force --key-file=${at.slurm}/munge.key --socket=${at.slurm}/munge.socket --pid-file=${at.slurm}/munged.pid \\
        --log-file=${at.slurm}/munged.log --seed-file=${at.slurm}/munged.seed
      slurmctld && slurmd -N localhost`,
      { env: environment, prompt: true }
    )
    yield* waitFor(
      "Slurm's node",
      60,
      run("scontrol update NodeName=localhost State=RESUME 2>/dev/null; sinfo --noheader --format %T", {
        env: environment
      }),
      ({ out }) => out.trim() === "idle"
    )
  }),
  () => stop
)

/** A job's state; nothing once Slurm has forgotten it. */
export const stateOf = (job: string) =>
  Effect.map(run(`scontrol --oneliner show job ${job}`, { env: environment }), ({ out }) => ({
    state: /JobState=(\w+)/.exec(out)?.[1] ?? "",
    exit: /ExitCode=(\d+)/.exec(out)?.[1] ?? ""
  }))

/** Has this many minutes as its limit, all told. */
export const limit = (job: string, minutes: number) =>
  must("a job's limit", `scontrol update JobId=${job} TimeLimit=${minutes}`, { env: environment })
