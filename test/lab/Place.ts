import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/** Where the lab keeps what it makes; LAB_DIR moves it. */
// @effect-diagnostics-next-line processEnv:off the lab is a script for developers
export const place = process.env["LAB_DIR"] ?? path.join(os.tmpdir(), "lab-kalshi")

export const repository = path.resolve(import.meta.dirname, "../..")

export const at = {
  /** Debian sid with Apptainer. */
  apptainerRoot: path.join(place, "apptainer-root"),
  /** Debian bookworm with Node and npm: the base of the image. */
  base: path.join(place, "base"),
  slurm: path.join(place, "slurm"),
  bin: path.join(place, "bin"),
  /** The user's copy of this repository. */
  home: path.join(place, "kalshi"),
  data: path.join(place, "scratch"),
  keys: path.join(place, "keys"),
  log: (name: string) => path.join(place, `${name}.log`)
}

/** The one that submits jobs; made by the lab, and removed by `--purge`. */
export const user = "kalshilab"

export const read = (file: string): string => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "")
