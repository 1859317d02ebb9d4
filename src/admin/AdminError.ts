import * as Schema from "effect/Schema"

/**
 * Why an admin call was not done: `NotHere`, this program has nothing of the kind; `Unknown`, what it names is not there; `Invalid`,
 * the input cannot be; `Unavailable`, the database or the exchange does not answer; `Refused`, who asks may not.
 */
export class AdminError extends Schema.TaggedError<AdminError>()("AdminError", {
  reason: Schema.Literals(["NotHere", "Unknown", "Invalid", "Unavailable", "Refused"]),
  problem: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.problem}; ${this.fix}`
  }
}
