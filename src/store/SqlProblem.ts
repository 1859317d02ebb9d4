import type { SqlError } from "effect/sql/SqlError"

interface ServerComplaint {
  readonly code?: string
  readonly message?: string
  readonly detail?: string
  readonly where?: string
  readonly internalPosition?: string
}

/** What the server or the socket complained about, as PostgreSQL's own fields. */
export const complaintOf = (error: SqlError): ServerComplaint => {
  const cause = error.reason.cause
  return typeof cause === "object" && cause !== null ? cause : {}
}

/** The server's own words for a failed statement: no statement, no parameter. */
export const sqlProblem = (error: SqlError): string =>
  complaintOf(error).message || error.reason.message || error.message
