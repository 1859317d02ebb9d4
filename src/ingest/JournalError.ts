import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

export class JournalError extends Schema.TaggedError<JournalError>()("JournalError", {
  operation: Schema.Literals(["open", "append", "sync", "read", "retire"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `journal ${this.operation} failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }

  /** The disk, or our part of it, is full: it may have room again. */
  get isFull(): boolean {
    return Predicate.hasProperty(this.cause, "code") && (this.cause.code === "ENOSPC" || this.cause.code === "EDQUOT")
  }
}

/** A file operation with its failure typed. */
export const attempt = <A>(operation: JournalError["operation"], run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => new JournalError({ operation, cause }) })
