import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import type { NotOurs } from "../runtime/Guardrails.ts"
import { CurrentVisitor, NotKnown, PersonOnly, Refused, SignedIn, SignInRequired, Unavailable } from "./ApiErrors.ts"
import type { ApiTokens } from "./ApiTokens.ts"
import type { PortalConfig } from "./PortalConfig.ts"
import { RequestRate } from "./RequestRate.ts"
import type { Sessions } from "./Sessions.ts"
import { visitorOf } from "./Visitor.ts"

const refuse = (error: SqlError) =>
  Effect.logWarning("database cannot answer", { reason: error.reason._tag }).pipe(
    Effect.andThen(Effect.fail(new Unavailable()))
  )

/** A database that cannot answer, as the portal says it: without detail, which goes to the log. */
export const orUnavailable = <A, E, R>(effect: Effect.Effect<A, E | SqlError, R>) =>
  Effect.catchTag(effect as Effect.Effect<A, E | SqlError, R>, "SqlError", (error) => refuse(error as SqlError))

/** What a database has of one thing, or that there is no such thing. */
export const orNotKnown = <A, E, R>(effect: Effect.Effect<Option.Option<A>, E | SqlError, R>) =>
  Effect.flatMap(orUnavailable(effect), (found) =>
    Option.isNone(found) ? Effect.fail(new NotKnown()) : Effect.succeed(found.value)
  )

/** An operation that is not the portal's, in the words of the guardrail. */
export const orRefused = <A, E, R>(effect: Effect.Effect<A, E | NotOurs, R>) =>
  Effect.catchTag(effect as Effect.Effect<A, E | NotOurs, R>, "NotOurs", (error) =>
    Effect.fail(new Refused({ problem: (error as NotOurs).message }))
  )

const identify = Effect.fnUntraced(function* (tokensAllowed: boolean) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const rate = yield* RequestRate
  const visitor = yield* visitorOf(request, tokensAllowed).pipe(Effect.catchTag("SqlError", refuse))
  if (Option.isNone(visitor)) return yield* new SignInRequired()
  yield* rate.take(visitor.value.id)
  return visitor.value
})

type Needed = Sessions | ApiTokens | RequestRate | PortalConfig

const guard = (tokensAllowed: boolean) =>
  Effect.map(Effect.context<Needed>(), (context) =>
    Effect.fnUntraced(function* <A, E, R>(handler: Effect.Effect<A, E, R>) {
      const visitor = yield* Effect.provideContext(identify(tokensAllowed), context)
      return yield* Effect.provideService(handler, CurrentVisitor, visitor)
    })
  )

export const SignedInOnly = Layer.effect(SignedIn, guard(true))

export const PeopleOnly = Layer.effect(PersonOnly, guard(false))
