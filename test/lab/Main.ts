import * as fs from "node:fs"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { runMain, textOption } from "../chaos/Options.ts"
import * as Apptainer from "./Apptainer.ts"
import { at, place, repository, user } from "./Place.ts"
import { type Result, record } from "./Recording.ts"
import { LabFailed, must, processesOf } from "./Shell.ts"

const packages = ["slurm-wlm", "munge", "debootstrap", "iproute2"]

const refuse = (said: string) => new LabFailed({ step: "the lab", said })

const machine = Effect.gen(function* () {
  if (process.getuid?.() !== 0)
    return yield* refuse("it sets up Slurm and needs root; it is meant for a machine of its own")
  if (!fs.existsSync("/etc/debian_version")) return yield* refuse("it needs Debian 12, whose packages it installs")
  yield* must(
    "the packages",
    `missing=$(for p in ${packages.join(" ")}; do dpkg-query -W -f='\${Status}' $p 2>/dev/null | grep -q 'ok installed' || echo $p; done)
    [ -z "$missing" ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; }`
  )
  fs.mkdirSync(place, { recursive: true, mode: 0o755 })
  fs.chmodSync(place, 0o755)
  yield* must("the user", `id ${user} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash ${user}`)
})

/** What is committed or about to be: as somebody else would have it after `git clone`. */
const checkout = must(
  "the copy of the repository",
  `set -eu
  rm -rf ${at.home} ${at.data} ${at.keys}
  mkdir -p ${at.home} ${at.data} ${at.keys}
  cd ${repository}
  git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -xf - -C ${at.home}
  chown -R ${user}:${user} ${at.home} ${at.data} ${at.keys}`
)

const purge = must(
  "purge",
  `rm -rf ${place}; id ${user} >/dev/null 2>&1 && userdel --remove ${user} 2>/dev/null || true`
)

const lab = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const began = yield* Clock.currentTimeMillis
  yield* machine
  yield* Apptainer.setUp
  yield* checkout
  const result: Result = yield* record(textOption(args, "image")).pipe(
    Effect.provide(NodeHttpClient.layerNodeHttp),
    Effect.scoped
  )
  const leftovers = processesOf(user)
  for (const line of leftovers) yield* Console.error(`left running: ${line}`)
  if (args.includes("--purge")) yield* purge
  else fs.rmSync(at.data, { recursive: true, force: true })
  const all = { ...result, leftovers: result.leftovers + leftovers.length }
  yield* Console.error(`the lab took ${Math.round(((yield* Clock.currentTimeMillis) - began) / 1000)} s`)
  yield* Console.log(args.includes("--json") ? JSON.stringify(all) : JSON.stringify(all, null, 2))
  if (all.handoverGapSeconds > 10) yield* Console.error("the hand-over missed its aim of 10 s")
  return all.lost === 0 && all.leftovers === 0 && all.secondRefused && all.reproducible !== false && all.ticks > 0
})

export const main = (args: ReadonlyArray<string>): void => {
  const unknown = args.find((arg) => !/^--(json|purge|image=.+)$/.test(arg))
  runMain(
    unknown === undefined
      ? lab(args).pipe(Effect.catchTag("LabFailed", ({ message }) => Effect.as(Console.error(message), false)))
      : Effect.as(
          Console.error(`npm run lab -- [--json] [--purge] [--image=FILE]; "${unknown}" is none of them`),
          false
        )
  )
}
