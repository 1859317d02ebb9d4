import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { at } from "./Place.ts"
import { must, run } from "./Shell.ts"

/** The machine itself. */
export const here = os.hostname()
/** Another node for whoever runs on it: a network and a host name of its own, on the same disk. */
export const other = "lab-other"

const space = "kalshilab"
const [hereAddress, otherAddress] = ["198.18.77.1", "198.18.77.2"]

export const addressOf = (node: string): string => (node === other ? otherAddress : hereAddress)

const hosts = path.join(at.slurm, "hosts")

/** A command of bash that runs on a node: both know each other by name. */
export const on = (node: string, command: string): string => {
  const inside = `mount --bind ${hosts} /etc/hosts; ${node === other ? `hostname ${other}; ip link set lo up; ` : ""}${command}`
  return node === other
    ? `nsenter --net=/run/netns/${space} unshare --mount --uts bash -ec '${inside}'`
    : `unshare --mount bash -ec '${inside}'`
}

const noNetwork = run(`ip link delete kalshilab0; ip netns pids ${space} | xargs -r kill; ip netns delete ${space}`)

/** Every process of the other node is gone at once, as when its power fails, and what its jobs had on its own disk. */
export const fail = must(
  "the end of the other node",
  `set -u
  pids=$(ip netns pids ${space})
  folders=$(for pid in $pids; do tr '\\0' '\\n' </proc/$pid/environ | sed -n 's/^CLUSTER_RUN_DIR=//p'; done 2>/dev/null | sort -u)
  kill -9 $pids
  for folder in $folders; do rm -rf "$folder"; done`
)

/** The link between both, until the scope closes; at.slurm must be there. */
export const network = Effect.acquireRelease(
  Effect.gen(function* () {
    yield* noNetwork
    fs.writeFileSync(hosts, `127.0.0.1 localhost\n${hereAddress} ${here}\n${otherAddress} ${other}\n`)
    yield* must(
      "the network of a second node",
      `set -eu
      ip netns add ${space}
      ip link add kalshilab0 type veth peer name kalshilab1 netns ${space}
      ip address add ${hereAddress}/30 dev kalshilab0
      ip link set kalshilab0 up
      ip netns exec ${space} ip address add ${otherAddress}/30 dev kalshilab1
      ip netns exec ${space} ip link set kalshilab1 up`
    )
  }),
  () => noNetwork
)
