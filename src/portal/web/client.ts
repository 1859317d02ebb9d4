import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as Result from "effect/Result"
import { PortalApi } from "../PortalApi.ts"

const client = Effect.runSync(
  HttpApiClient.make(PortalApi, { baseUrl: location.origin }).pipe(Effect.provide(FetchHttpClient.layer))
)

export type Client = typeof client

/** One call of the API: its answer, or its declared error, or `undefined` when there was no proper answer at all. */
export const call = async <A, E>(
  request: (client: Client) => Effect.Effect<A, E>,
  signal?: AbortSignal
): Promise<Result.Result<A, E | undefined>> => {
  const exit = await Effect.runPromiseExit(Effect.result(request(client)), signal === undefined ? {} : { signal })
  return Exit.isSuccess(exit) ? exit.value : Result.fail(undefined)
}

/** The tag of a declared error, else `"Unreachable"`. */
export const problemOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "Unreachable"

/** What a declared error says, if it says something. */
export const saidOf = (error: unknown): string | undefined =>
  typeof error === "object" && error !== null && "problem" in error && typeof error.problem === "string"
    ? error.problem
    : undefined
