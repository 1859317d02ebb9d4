import * as Schema from "effect/Schema"

/** Rows could not be brought into files, or files are not what they should be. The database keeps what it has. */
export class ArchiveError extends Schema.TaggedError<ArchiveError>()("ArchiveError", {
  /** For people, in one line: of what, and what is wrong. */
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}
