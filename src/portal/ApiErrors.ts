import * as Context from "effect/Context"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Schema from "effect/Schema"

export class SignInRequired extends Schema.TaggedError<SignInRequired>()(
  "SignInRequired",
  {},
  { httpApiStatus: 401, description: "no session and no token, or it has expired" }
) {}
export class WrongPassword extends Schema.TaggedError<WrongPassword>()(
  "WrongPassword",
  {},
  { httpApiStatus: 403, description: "the password is wrong" }
) {}
export class TooManyAttempts extends Schema.TaggedError<TooManyAttempts>()(
  "TooManyAttempts",
  { retryAfterSeconds: Schema.Int },
  { httpApiStatus: 429, description: "too many wrong passwords from this address" }
) {}
export class TooManyRequests extends Schema.TaggedError<TooManyRequests>()(
  "TooManyRequests",
  { retryAfterSeconds: Schema.Int },
  { httpApiStatus: 429, description: "more than WEB_PORTAL_RATE_PER_SEC, or too many downloads at once" }
) {}
export class BadCursor extends Schema.TaggedError<BadCursor>()(
  "BadCursor",
  {},
  { httpApiStatus: 400, description: "`after` is not a cursor that this route gave for this order" }
) {}
export class BadRange extends Schema.TaggedError<BadRange>()(
  "BadRange",
  { problem: Schema.String },
  { httpApiStatus: 400, description: "`from` and `to` do not make a span that this route can answer" }
) {}
export class NotKnown extends Schema.TaggedError<NotKnown>()(
  "NotKnown",
  {},
  { httpApiStatus: 404, description: "no such event, market or token" }
) {}
export class Refused extends Schema.TaggedError<Refused>()(
  "Refused",
  { problem: Schema.String },
  { httpApiStatus: 409, description: "not now, or not here; `problem` says why" }
) {}
export class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  {},
  { httpApiStatus: 503, description: "the database cannot answer now" }
) {}
export class NoRoom extends Schema.TaggedError<NoRoom>()(
  "NoRoom",
  { problem: Schema.String },
  { httpApiStatus: 507, description: "the portal's disk has no room for the file; nothing of it was left there" }
) {}

/** Who asks: a person with a session, or a program with a token. */
export interface Visitor {
  readonly kind: "session" | "token"
  /** Tells visitors apart; not a secret. */
  readonly id: string
}

export class CurrentVisitor extends Context.Service<CurrentVisitor, Visitor>()(
  "kalshi-ingestor/portal/CurrentVisitor"
) {}

/** Lets people with a session and programs with a read-only token pass, as fast as they may. */
export class SignedIn extends HttpApiMiddleware.Service<SignedIn, { provides: CurrentVisitor }>()(
  "kalshi-ingestor/portal/SignedIn",
  { error: [SignInRequired, TooManyRequests, Unavailable] }
) {}

/** Lets only people with a session pass: for what changes something. */
export class PersonOnly extends HttpApiMiddleware.Service<PersonOnly, { provides: CurrentVisitor }>()(
  "kalshi-ingestor/portal/PersonOnly",
  { error: [SignInRequired, TooManyRequests, Unavailable] }
) {}
