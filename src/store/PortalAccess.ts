import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis, type Timestamp } from "../market/Timestamp.ts"
import { transaction } from "./Transaction.ts"

export interface ApiTokenRow {
  readonly id: string
  readonly name: string
  readonly createdAt: Timestamp
  readonly expiresAt: Timestamp | null
  readonly lastUsedAt: Timestamp | null
}

/** Which signed sessions do not count any more. */
export interface EndedSessions {
  /** Epoch milliseconds: those begun before are over. */
  readonly validFromMillis: number
  readonly nonces: ReadonlySet<string>
}

/** What an address tried before. Epoch milliseconds. */
export interface LoginRecord {
  readonly wrong: number
  readonly lastMillis: number
  readonly freeMillis: number
}

/** What all portals of this database know alike: read-only tokens, ended sessions, failed sign-ins. */
export class PortalAccess extends Context.Service<
  PortalAccess,
  {
    readonly tokens: Effect.Effect<ReadonlyArray<ApiTokenRow>, SqlError>
    readonly addToken: (token: {
      readonly name: string
      readonly hash: Uint8Array
      readonly expiresMillis: number | undefined
    }) => Effect.Effect<ApiTokenRow, SqlError>
    /** Whether there was such a token. */
    readonly revokeToken: (id: string) => Effect.Effect<boolean, SqlError>
    /** The id of a token that counts now; notes its use, to the minute. */
    readonly useToken: (hash: Uint8Array) => Effect.Effect<string | undefined, SqlError>
    readonly endedSessions: Effect.Effect<EndedSessions, SqlError>
    readonly endSession: (nonce: string, expiresMillis: number) => Effect.Effect<void, SqlError>
    /** Every session begun until now is over. */
    readonly endAllSessions: (nowMillis: number) => Effect.Effect<void, SqlError>
    /** Counts a failure in advance, under the address's own lock; gives the record before it, and `next` decides the one after. */
    readonly recordAttempt: (
      address: string,
      next: (before: LoginRecord | undefined) => LoginRecord | undefined
    ) => Effect.Effect<LoginRecord | undefined, SqlError>
    readonly forgetAttempts: (address: string) => Effect.Effect<void, SqlError>
    /** Drops what cannot matter any more. */
    readonly tidy: (nowMillis: number, forgetAfterMillis: number) => Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/PortalAccess") {
  static readonly layer = Layer.effect(
    PortalAccess,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const shown = sql.literal(
        `id::text as id, name, rfc3339(created_at) as "createdAt", rfc3339(expires_at) as "expiresAt", rfc3339(last_used_at) as "lastUsedAt"`
      )
      const hex = (hash: Uint8Array) => Buffer.from(hash).toString("hex")
      const at = (millis: number) => fromMillis(millis)

      return PortalAccess.of({
        tokens: sql<ApiTokenRow>`
          select ${shown} from api_tokens where revoked_at is null order by created_at desc, id desc limit 500`,
        addToken: Effect.fn("PortalAccess.addToken")(function* ({ expiresMillis, hash, name }) {
          const rows = yield* sql<ApiTokenRow>`
            insert into api_tokens (name, hash, expires_at)
            values (${name}, decode(${hex(hash)}, 'hex'), ${expiresMillis === undefined ? null : at(expiresMillis)}::timestamptz)
            returning ${shown}`
          return rows[0]!
        }),
        revokeToken: Effect.fn("PortalAccess.revokeToken")((id: string) =>
          sql`update api_tokens set revoked_at = clock_timestamp() where id::text = ${id} and revoked_at is null returning 1 as n`.pipe(
            Effect.map((rows) => rows.length > 0)
          )
        ),
        useToken: Effect.fn("PortalAccess.useToken")(function* (hash: Uint8Array) {
          const rows = yield* sql<{ readonly id: string; readonly stale: boolean }>`
            select id::text as id, last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute' as stale from api_tokens
            where hash = decode(${hex(hash)}, 'hex') and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())`
          const [found] = rows
          if (found?.stale === true)
            yield* sql`update api_tokens set last_used_at = clock_timestamp() where id::text = ${found.id}`
          return found?.id
        }),
        endedSessions: Effect.gen(function* () {
          const rows = yield* sql<{ readonly validFrom: number | null; readonly nonces: ReadonlyArray<string> }>`
            select case when isfinite(s.valid_from) then (extract(epoch from s.valid_from) * 1000)::float8 end as "validFrom",
              array(select nonce from portal_sessions_ended) as nonces
            from portal_sessions s`
          return { validFromMillis: rows[0]?.validFrom ?? Number.NEGATIVE_INFINITY, nonces: new Set(rows[0]?.nonces) }
        }),
        endSession: Effect.fn("PortalAccess.endSession")((nonce: string, expiresMillis: number) =>
          Effect.asVoid(
            sql`insert into portal_sessions_ended (nonce, expires_at) values (${nonce}, ${at(expiresMillis)}::timestamptz) on conflict do nothing`
          )
        ),
        endAllSessions: Effect.fn("PortalAccess.endAllSessions")((nowMillis: number) =>
          Effect.asVoid(
            sql`update portal_sessions set valid_from = greatest(valid_from, ${at(nowMillis)}::timestamptz)`
          )
        ),
        recordAttempt: Effect.fn("PortalAccess.recordAttempt")(function* (address, next) {
          yield* sql`select pg_advisory_xact_lock(hashtext(${`portal login ${address}`}))`
          const rows = yield* sql<LoginRecord>`
            select wrong, (extract(epoch from last_at) * 1000)::float8 as "lastMillis",
              (extract(epoch from free_at) * 1000)::float8 as "freeMillis"
            from portal_login_attempts where address = ${address}`
          const record = next(rows[0])
          if (record !== undefined)
            yield* sql`
              insert into portal_login_attempts (address, wrong, last_at, free_at)
              values (${address}, ${record.wrong}, ${at(record.lastMillis)}::timestamptz, ${at(record.freeMillis)}::timestamptz)
              on conflict (address) do update set wrong = excluded.wrong, last_at = excluded.last_at, free_at = excluded.free_at`
          return rows[0]
        }, transaction(sql)),
        forgetAttempts: Effect.fn("PortalAccess.forgetAttempts")((address: string) =>
          Effect.asVoid(sql`delete from portal_login_attempts where address = ${address}`)
        ),
        tidy: Effect.fn("PortalAccess.tidy")(function* (nowMillis: number, forgetAfterMillis: number) {
          yield* sql`delete from portal_sessions_ended where expires_at < ${at(nowMillis)}::timestamptz`
          yield* sql`delete from portal_login_attempts where last_at < ${at(nowMillis - forgetAfterMillis)}::timestamptz`
        })
      })
    })
  )
}
