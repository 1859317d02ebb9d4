// A backup or a restore, by the programs of dist/, that ends with SIGKILL at a step, or after so many tables.
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Backups } from "../../dist/store/Backups.js"

const [what, url, directory, deadly] = process.argv.slice(2)
let tables = 0
const die = (now) =>
  Effect.sync(() => {
    if (now) process.kill(process.pid, "SIGKILL")
  })
const options = {
  directory,
  force: true,
  onTable: () => die(++tables === Number(deadly)),
  onStep: (step) => die(step === deadly)
}
await Effect.runPromise(
  Backups.use((backups) => backups[what](options)).pipe(Effect.provide(Backups.layer(Redacted.make(url))))
)
