import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlError } from "effect/sql/SqlError"
import {
  access,
  functionsOf,
  groupOf,
  type IngestKey,
  ingestKeys,
  keysOf,
  ownersTables,
  type RoleName,
  roleNames
} from "../../src/runtime/Access.ts"
import { asOwner, harmless, ownersOnly, readers, triggers } from "../../src/runtime/AccessFunctions.ts"
import * as Grants from "../../src/store/Grants.ts"
import { privileges } from "../../src/store/RolesSql.ts"
import { sqlState } from "../../src/store/SqlState.ts"
import { TestDatabase } from "../support/Database.ts"

interface Relation {
  readonly name: string
  readonly isView: boolean
  readonly column: string
}

/** Tables and views, without partitions. */
const relations = PgClient.PgClient.use(
  (sql) => sql<Relation>`
    select c.relname as name, c.relkind = 'v' as "isView", (
      select a.attname from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attidentity = '' and a.attgenerated = ''
      order by a.attnum limit 1) as "column"
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
      and (not c.relispartition or c.relname like '%\\_default')
    order by 1`
)
const functions = PgClient.PgClient.use(
  (sql) => sql<{ name: string; definer: boolean; nulls: string }>`
    select proname as name, prosecdef as definer, (
      select coalesce(string_agg('null::' || format_type(t, null), ', ' order by nth), '')
      from unnest(proargtypes::oid[]) with ordinality as a (t, nth)) as nulls
    from pg_proc where pronamespace = 'public'::regnamespace order by 1`
)

const acting = <A, E>(role: RoleName, body: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  PgClient.PgClient.use(body).pipe(Effect.provide(Layer.fresh(TestDatabase.layerAs(role))))

/** What became of a statement that must be refused; it is undone in any case. */
const refusal = (sql: PgClient.PgClient, statement: string) =>
  sql.unsafe(statement).pipe(
    Effect.andThen(Effect.fail("was done" as const)),
    sql.withTransaction,
    Effect.flip,
    Effect.map((error) => (error instanceof SqlError ? (sqlState(error) ?? error.message) : error))
  )

/** Statements, and what each ended with, where that is not 42501. */
const notRefused = Effect.fnUntraced(function* (sql: PgClient.PgClient, statements: ReadonlyArray<string>) {
  const wrong: Array<string> = []
  for (const statement of statements) {
    const state = yield* refusal(sql, statement)
    if (state !== "42501") wrong.push(`${statement}: ${state}`)
  }
  return wrong
})

const letters = ["r", "a", "w", "d"] as const
const statementOf = (letter: (typeof letters)[number], { column, name }: Relation) =>
  ({
    r: `select * from ${name} limit 1`,
    a: `insert into ${name} default values`,
    w: `update ${name} set "${column}" = "${column}" where false`,
    d: `delete from ${name} where false`
  })[letter]

layer(TestDatabase.layer, { timeout: "60 seconds" })("who may do what", (it) => {
  it.effect("names every table and function of the schema, and none that is not there", () =>
    Effect.gen(function* () {
      const named = new Set<string>([...ownersTables, ...roleNames.flatMap((role) => Object.keys(access[role].tables))])
      for (const role of roleNames) for (const table of Object.keys(access[role].columns ?? {})) named.add(table)
      assert.deepStrictEqual(
        [...named].sort(),
        (yield* relations).map(({ name }) => name).sort(),
        "src/runtime/Access.ts"
      )
      const known = new Set<string>([...harmless, ...readers, ...asOwner, ...triggers, ...ownersOnly])
      assert.deepStrictEqual(
        [...known].sort(),
        (yield* functions).map(({ name }) => name).sort(),
        "src/runtime/Access.ts"
      )
    })
  )

  it.effect("everything belongs to the owner, who does nothing but that", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const others = yield* sql`
        select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'S')
          and pg_get_userbyid(relowner) <> ${groupOf("owner")}
        union all
        select proname from pg_proc
        where pronamespace = 'public'::regnamespace and pg_get_userbyid(proowner) <> ${groupOf("owner")}`
      assert.deepStrictEqual(others, [])
      const may =
        yield* sql`select rolname from pg_roles where rolname like 'kalshi\\_%' and rolname not like 'kalshi\\_test%' and (rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolbypassrls)`
      assert.deepStrictEqual(may, [])
      const definers = (yield* functions).filter(({ definer }) => definer).map(({ name }) => name)
      assert.deepStrictEqual(definers.sort(), [...asOwner, ...triggers].sort())
    })
  )

  it.effect("applying the grants once more changes nothing", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const state = sql`
        select relname as name, relacl::text as acl from pg_class where relnamespace = 'public'::regnamespace
        union all select proname, proacl::text from pg_proc where pronamespace = 'public'::regnamespace
        union all select polname, polroles::text || pg_get_expr(polqual, polrelid) from pg_policy order by 1, 2`
      const before = yield* state
      yield* Grants.apply(sql).pipe(sql.withTransaction)
      assert.deepStrictEqual(yield* state, before)
    })
  )

  describe.each(roleNames)("%s", (role) => {
    const { columns = {}, tables, withheld = {} } = access[role]
    const lettersOf = (table: string) => tables[table] ?? ""

    it.effect("has what it needs", () =>
      acting(role, (sql) =>
        Effect.gen(function* () {
          for (const [table, some] of Object.entries(tables))
            for (const privilege of privileges(some.replace(table in withheld ? /[aw]/g : /$^/g, ""))) {
              const [row] = yield* sql<{ may: boolean }>`select has_table_privilege(${table}, ${privilege}) as may`
              assert.isTrue(row!.may, `${privilege} ${table}`)
            }
          for (const [table, some] of Object.entries(withheld))
            for (const privilege of ["insert", "update"]) {
              const rows = yield* sql<{ name: string }>`
                select attname as name from pg_attribute
                where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
                  and not has_column_privilege(attrelid, attnum, ${privilege})`
              assert.deepStrictEqual(rows.map(({ name }) => name).sort(), [...some].sort())
            }
          const callable = yield* sql<{ name: string }>`
            select proname as name from pg_proc
            where pronamespace = 'public'::regnamespace and has_function_privilege(oid, 'execute') order by 1`
          assert.deepStrictEqual(callable.map(({ name }) => name).sort(), [...new Set(functionsOf(role))].sort())
        })
      )
    )

    it.effect("cannot read or change what it must not", () =>
      Effect.gen(function* () {
        const all = yield* relations
        const statements = all.flatMap((relation) =>
          letters.flatMap((letter) => {
            if (lettersOf(relation.name).includes(letter)) return []
            if (relation.isView && letter !== "r") return []
            const some = columns[relation.name]?.[letter === "w" ? "w" : "r"] ?? []
            if (letter === "w" && some.includes(relation.column)) return []
            return [statementOf(letter, relation)]
          })
        )
        assert.isAbove(statements.length, 100)
        assert.deepStrictEqual(yield* acting(role, (sql) => notRefused(sql, statements)), [])
        for (const [table, some] of Object.entries(withheld))
          assert.deepStrictEqual(
            yield* acting(role, (sql) =>
              notRefused(
                sql,
                some.map((column) => `update ${table} set ${column} = null where false`)
              )
            ),
            []
          )
      })
    )

    it.effect("cannot call what it must not", () =>
      Effect.gen(function* () {
        const mine = new Set(functionsOf(role))
        const statements = (yield* functions)
          .filter(({ name }) => !mine.has(name) && !(triggers as ReadonlyArray<string>).includes(name))
          .map(({ name, nulls }) => `select ${name}(${nulls})`)
        assert.isAbove(statements.length, 10)
        assert.deepStrictEqual(yield* acting(role, (sql) => notRefused(sql, statements)), [])
      })
    )

    it.effect("cannot change the schema, drop, truncate, or become somebody else", () =>
      acting(role, (sql) =>
        Effect.gen(function* () {
          const statements = [
            "drop table ticks",
            "drop view market_ticks",
            "drop function next_status(text, text)",
            "truncate markets",
            "alter table markets add column x integer",
            "alter table ingest_state disable row level security",
            "create table intruder (id integer)",
            "create function intruder() returns integer language sql return 1",
            "create index on ticks (ts)",
            "create schema intruder",
            "create temporary table intruder (id integer)",
            "comment on table markets is 'mine'",
            "create role intruder",
            "alter role kalshi_owner login",
            "grant kalshi_owner to current_user",
            "set role kalshi_owner",
            `set role ${groupOf(role === "rest" ? "ws" : "rest")}`,
            "update schema_version set checksum = ''",
            "copy markets to program 'true'",
            "select pg_read_file('/etc/hostname')",
            "select rolpassword from pg_authid"
          ]
          assert.deepStrictEqual(yield* notRefused(sql, statements), [])
        })
      )
    )

    it.effect("moves its own cursors and nobody else's", () =>
      Effect.gen(function* () {
        const owner = yield* PgClient.PgClient
        yield* owner`delete from ingest_state`
        for (const key of Object.keys(ingestKeys))
          yield* owner`insert into ingest_state (key, value) values (${key}, 'there')`
        const mine = new Set<string>(keysOf(role))
        for (const key of [...Object.keys(ingestKeys), "a key of nobody"] as ReadonlyArray<IngestKey>) {
          const write = `insert into ingest_state (key, value) values ('${key}', 'moved') on conflict (key) do update set value = excluded.value`
          if (mine.has(key)) {
            yield* acting(role, (sql) => sql.unsafe(write))
            const [row] = yield* owner<{ value: string }>`select value from ingest_state where key = ${key}`
            assert.strictEqual(row?.value, "moved")
          } else {
            assert.strictEqual(yield* acting(role, (sql) => refusal(sql, write)), "42501", key)
            const rows = lettersOf("ingest_state").includes("d")
              ? yield* acting(role, (sql) => sql.unsafe(`delete from ingest_state where key = '${key}' returning key`))
              : []
            assert.deepStrictEqual(rows, [], `${key} was removed`)
          }
        }
      })
    )
  })

  it.effect("what must never be, by name", () =>
    Effect.gen(function* () {
      const never: ReadonlyArray<readonly [RoleName, string]> = [
        ["portal", "insert into ticks (ts, market_id) values (now(), 1)"],
        ["portal", "update markets set result = 'yes'"],
        ["portal", "select queue_clean(0, 0, 1000)"],
        ["portal", "delete from queue_jobs"],
        ["ws", "update markets set completion = 'settled'"],
        ["ws", "delete from markets"],
        ["ws", "update prediction_scores set brier = 0"],
        ["ws", "update api_tokens set revoked_at = null"],
        ["ws", "select queue_clean(0, 0, 1000)"],
        ["rest", "delete from trades"],
        ["rest", "select hash from api_tokens"],
        ["worker", "delete from markets"],
        ["worker", "update capture_gaps set to_ts = now()"],
        ["predictor", "select hash from api_tokens"],
        ["predictor", "update markets set result = 'yes'"],
        ["predictor", "insert into prediction_scores (prediction_id, outcome, brier, log_loss) values (1, 1, 0, 0)"],
        ["admin", "select hash from api_tokens"],
        ["admin", "delete from ticks"],
        ["admin", "update markets set result = 'yes'"]
      ]
      for (const [role, statement] of never)
        assert.strictEqual(yield* acting(role, (sql) => refusal(sql, statement)), "42501", `${role}: ${statement}`)
    })
  )
})
