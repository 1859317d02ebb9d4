import * as fs from "node:fs"
import * as path from "node:path"
import { repository } from "./Place.ts"

export interface Block {
  /** What `<!-- lab: NAME -->` above it says; nothing where that is missing. */
  readonly name: string | undefined
  readonly text: string
}

/** The blocks of commands of docs/cluster.md, in their order. */
export const blocks = (
  text = fs.readFileSync(path.join(repository, "docs/cluster.md"), "utf8")
): ReadonlyArray<Block> =>
  [...text.matchAll(/(?:^<!-- lab: ([a-z-]+) -->\n)?^```bash\n([\s\S]*?)^```$/gm)].map(([, name, body = ""]) => ({
    name,
    text: body
  }))

/** Which of them the lab runs, and what for. */
export const steps = [
  "build-fakeroot",
  "build",
  "settings",
  "submit",
  "look",
  "ask",
  "workers",
  "predictor",
  "holder",
  "cancel",
  "backup",
  "restore",
  "install",
  "no-container-job",
  "no-slurm"
] as const
export type Step = (typeof steps)[number]

export const commandsOf = (step: Step): string => {
  const found = blocks().filter(({ name }) => name === step)
  if (found.length !== 1) throw new Error(`docs/cluster.md has ${found.length} blocks for the lab's step ${step}`)
  return found[0]!.text
}
