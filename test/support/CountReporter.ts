import type { SerializedError } from "vitest"
import type { Reporter, TestModule, TestRunEndReason } from "vitest/node"

/** Ends the run's output with `N passed, N failed` (and `, N skipped`) alone on the last line. */
export default class CountReporter implements Reporter {
  private line = ""
  private isArmed = false

  onTestRunEnd(
    modules: ReadonlyArray<TestModule>,
    unhandled: ReadonlyArray<SerializedError>,
    reason: TestRunEndReason
  ): void {
    const tests = modules.flatMap((module) => Array.from(module.children.allTests()))
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    const brokenModules = modules.filter(
      (module) => !module.ok() && !Array.from(module.children.allTests()).some((test) => !test.ok())
    )
    const skipped = tests.filter((test) => test.result().state === "skipped" || test.result().state === "pending")
    const failed = Math.max(count("failed") + brokenModules.length + unhandled.length, reason === "failed" ? 1 : 0)
    for (const test of skipped) {
      const result = test.result()
      const why = (result.state === "skipped" ? result.note : undefined) ?? "no reason given"
      process.stdout.write(`skipped: ${test.fullName} (${why})\n`)
    }
    for (const test of tests)
      if (test.diagnostic()?.flaky === true) process.stdout.write(`passed only when tried again: ${test.fullName}\n`)
    this.line = `${count("passed")} passed, ${failed} failed${skipped.length === 0 ? "" : `, ${skipped.length} skipped`}`
    if (this.isArmed) return
    this.isArmed = true
    process.once("exit", () => process.stdout.write(`${this.line}\n`))
  }
}
