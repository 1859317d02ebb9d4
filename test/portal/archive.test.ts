import * as fs from "node:fs"
import { request } from "node:http"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Retention } from "../../src/ingest/Retention.ts"
import * as ArchiveFixture from "../ingest/ArchiveFixture.ts"
import * as Programs from "../support/Programs.ts"
import { Portal } from "./PortalFixture.ts"

const { catalog, dateOf, dayMillis, firstDay, tickDay } = ArchiveFixture
const ticker = "KXBTC-1-A"
const perDay = 120

/** Three days of ticks of two markets, and of books of one; values as the exchange writes them. */
const threeDays = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* catalog
  for (const day of [0, 1, 2]) {
    yield* tickDay(day)
    yield* sql`
      insert into ticks (ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, volume, open_interest, provenance)
      select ${dateOf(day)}::date::timestamp at time zone 'UTC' + n * interval '12 minutes', n % 90, n % 2 + 1,
        ((n % 99 + 1) / 100.0)::numeric(10, 4), ((n % 98 + 1) / 100.0)::numeric(10, 4), null, n::numeric(10, 2), n::numeric(10, 2),
        (n / 2)::numeric(10, 2), n % 2
      from generate_series(0, ${perDay}::int - 1) n`
    for (const table of ["book_events", "book_snapshots"])
      yield* sql`select ensure_day_partition(${table}, ${dateOf(day)}::date)`
    yield* sql`
      insert into book_events (ts, received_at, connection, seq, market_id, yes, price, delta)
      select ${dateOf(day)}::date::timestamp at time zone 'UTC' + n * interval '1 minute', now(), 7, ${day}::int * 10000 + n, 1, n % 3 > 0,
        ((n % 9 + 1) / 10.0)::numeric(6, 4), case when n % 5 = 4 then -2 else 3 end::numeric(6, 2)
      from generate_series(2, 1400) n`
  }
  yield* sql`
    insert into book_snapshots (ts, connection, seq, market_id, requested, yes_prices, yes_sizes, no_prices, no_sizes)
    select ${dateOf(day0)}::date::timestamp at time zone 'UTC' + n * interval '6 hours', 7, n * 360 + 1, 1, false,
      '{0.3000,0.4100}', '{100.00,50.00}', '{0.5000,0.5700}', '{10.00,20.00}'
    from generate_series(0, 1) n`
})
const day0 = 0

/** Days leave that ended before an instant; again while the server itself holds one. */
const leave = (lake: string) =>
  Retention.use(({ pass }) => pass).pipe(
    Effect.provide(ArchiveFixture.archiveIn(lake, firstDay + 3 * dayMillis, { ticksDays: 1, booksDays: 1 })),
    Effect.repeat({ until: ({ waiting }) => waiting.length === 0, schedule: Schedule.spaced("200 millis") })
  )

const folders = Effect.all({ lake: Programs.folder, downloads: Programs.folder })
const at = (part: string) => `/api/markets/${ticker}${part}`
const files = (table: string, query: string) => `/api/exports/${table}?${query}`
const days = (from: number, to: number) => `from=${dateOf(from)}T00:00:00Z&to=${dateOf(to)}T00:00:00Z`

const asking = () => {
  let cookie: { readonly cookie: string } | undefined
  const ask = Effect.fnUntraced(function* (path: string, headers?: Readonly<Record<string, string>>) {
    const portal = yield* Portal
    cookie ??= yield* portal.signIn
    return yield* portal.ask(path, { headers: headers ?? cookie })
  })
  const read = Effect.fnUntraced(function* (path: string) {
    const answer = yield* ask(path)
    assert.strictEqual(answer.status, 200, `${path}: ${answer.body}`)
    return answer.body
  })
  const token = Effect.gen(function* () {
    const portal = yield* Portal
    yield* ask("/api/session")
    const made = yield* portal.ask("/api/tokens", {
      method: "POST",
      headers: cookie!,
      json: { name: "notebook", days: 1 }
    })
    return { authorization: `Bearer ${JSON.parse(made.body).token}` }
  })
  /** As a page does: until the file is there, or the portal says why not. */
  const ready = (path: string) =>
    ask(path).pipe(
      Effect.repeat({
        until: ({ body, status }) => status !== 200 || JSON.parse(body).state === "ready",
        schedule: Schedule.spaced("50 millis")
      })
    )
  return { ask, read, ready, token, cookie: () => cookie! }
}

const table = (text: string) => text.trimEnd().split("\n")
const eventually = <A, E, R>(what: Effect.Effect<A, E, R>, is: (found: A) => boolean) =>
  Effect.repeat(what, { until: is, schedule: Schedule.spaced("20 millis") }).pipe(Effect.timeout("10 seconds"))

const nothingIsLeft = eventually(
  Effect.suspend(() => Effect.succeed(fs.readdirSync(places.downloads))),
  (left) => left.length === 0
)

let places: { readonly lake: string; readonly downloads: string }
const withArchive = Layer.unwrap(
  Effect.map(folders, (made) => {
    places = made
    return Portal.layerWith({
      ARCHIVE_DIR: made.lake,
      ARCHIVE_MEMORY_MB: "256",
      WEB_PORTAL_DOWNLOAD_DIR: made.downloads
    })
  })
)

layer(withArchive, { timeout: "60 seconds", excludeTestServices: true })("a portal that has the archive", (it) => {
  const { ask, cookie, read, ready, token } = asking()

  it.effect("answers the same after days left the database as before", () =>
    Effect.gen(function* () {
      yield* threeDays
      const instants = [
        "2026-08-01T05:59:30Z",
        "2026-08-01T12:00:00Z",
        "2026-08-02T00:00:30Z",
        "2026-08-02T23:00:00Z",
        "2026-08-03T12:00:00Z"
      ]
      const questions = [
        at("/ticks?limit=5000"),
        at("/ticks?limit=70"),
        at(`/ticks?${days(0, 1)}&limit=7`),
        at("/ticks?from=2026-08-01T23:00:00Z&to=2026-08-02T01:00:00Z"),
        at("/download/ticks"),
        at("/download/ticks?format=csv"),
        at(`/download/ticks?format=csv&${days(0, 1)}`),
        at("/download/trades?format=csv"),
        at("/candles?from=2026-08-01T00:00:00Z&to=2026-08-01T05:00:00Z"),
        at("/candles?from=2026-08-01T00:00:00Z&to=2026-08-01T18:00:00Z&interval=60")
      ]
      const before = yield* Effect.forEach(questions, read)
      const books = (texts: ReadonlyArray<string>) =>
        texts.map((text) => {
          const { levels, ...rest } = JSON.parse(text)
          return {
            ...rest,
            levels: levels.map((level: Record<string, string>) => [
              level["side"],
              Number(level["price"]),
              Number(level["size"])
            ])
          }
        })
      const booksBefore = yield* Effect.forEach(instants, (instant) => read(at(`/book?at=${instant}`)))
      assert.deepStrictEqual(JSON.parse(yield* read(at("/archived"))), { days: [], problem: null })

      const gone = (yield* leave(places.lake)).detached
      assert.includeMembers([...gone], ["ticks_20260801", "ticks_20260802", "book_snapshots_20260801"])
      const sql = yield* PgClient.PgClient
      assert.deepStrictEqual(yield* sql`select count(*)::int as n from ticks`, [{ n: perDay }])

      const after = yield* Effect.forEach(questions, read)
      for (const [index, question] of questions.entries()) assert.strictEqual(after[index], before[index], question)
      assert.strictEqual(JSON.parse(after[0]!).length, (3 * perDay) / 2)
      assert.isAbove(JSON.parse(after[9]!).length, 15)
      assert.strictEqual(table(after[5]!).length, (3 * perDay) / 2 + 1)
      const booksAfter = yield* Effect.forEach(instants, (instant) => read(at(`/book?at=${instant}`)))
      assert.deepStrictEqual(books(booksAfter), books(booksBefore))
      assert.isAbove(books(booksAfter)[4]!.changes, 2000)

      const archived = JSON.parse(yield* read(at("/archived")))
      assert.isNull(archived.problem)
      const [day] = archived.days.filter((one: { table: string }) => one.table === "ticks")
      assert.deepInclude(day, {
        dataset: "ticks_20260801",
        from: "2026-08-01T00:00:00.000Z",
        to: "2026-08-02T00:00:00.000Z",
        files: ["ticks/series=KXBTC/date=2026-08-01/ticks_20260801.parquet"]
      })
      assert.match(day.datasetId, /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(JSON.parse(yield* read(at(`/archived?${days(2, 3)}`))).days, [])
    })
  )

  it.effect("finds a row that came after its day left, and shows each row once", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* tickDay(0)
      yield* sql`insert into ticks (ts, received_ms, market_id, price_dollars, provenance) values ('2026-08-01T00:12:30Z', 5, 1, 0.9900, 3)`
      const ticks = JSON.parse(yield* read(at("/ticks?to=2026-08-01T23:59:00Z&limit=500")))
      assert.strictEqual(ticks.length, perDay / 2 + 1)
      assert.deepInclude(ticks.at(-2), {
        at: "2026-08-01T00:12:30.000000Z",
        lastPrice: "0.9900",
        provenance: "repaired"
      })
      const csv = table(yield* read(at(`/download/ticks?format=csv&${days(0, 1)}`)))
      assert.strictEqual(csv.length, perDay / 2 + 2)
      assert.match(csv[2]!, /^2026-08-01T00:12:30/)
    })
  )

  it.effect(
    "makes Parquet of a market, an event and a series, from database and archive, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const saved = Effect.fnUntraced(function* (from: string) {
          const [address, query] = from.split("?")
          const made = yield* ready(`${address}/progress?${query}`)
          const progress = JSON.parse(made.body)
          const answer = yield* ask(from)
          assert.strictEqual(answer.status, 200, answer.body)
          assert.strictEqual(answer.headers["content-type"], "application/vnd.apache.parquet")
          assert.strictEqual(Number(answer.headers["content-length"]), answer.bytes.length)
          assert.strictEqual(progress.bytes, answer.bytes.length)
          const file = path.join(places.lake, "..", `${path.basename(places.lake)}.parquet`)
          fs.writeFileSync(file, answer.bytes)
          const [found] = yield* ArchiveFixture.ask(`
          select count(*)::int as n, count(distinct ticker)::int as tickers, string_agg(distinct series, ' ') as series,
            min(ts)::varchar as first, max(typeof(yes_bid_dollars)) as type
          from '${file}'`)
          fs.rmSync(file)
          assert.strictEqual(found!["n"], progress.rows)
          return found
        })
        const market = {
          n: (3 * perDay) / 2 + 1,
          tickers: 1,
          series: "KXBTC",
          first: "2026-08-01 00:12:00+00",
          type: "DECIMAL(18,4)"
        }
        assert.deepStrictEqual(yield* saved(`${at("/download/ticks")}?format=parquet`), {
          ...market,
          first: "2026-08-01 00:00:00+00"
        })
        assert.deepInclude(yield* saved(files("ticks", `event=KXETH-1&${days(1, 3)}`)), {
          n: perDay,
          series: "KX/ETH ü"
        })
        assert.deepInclude(
          yield* saved(files("ticks", `series=${encodeURIComponent("KX/ETH ü")}&from=2026-08-01&to=2026-08-02`)),
          {
            n: perDay / 2,
            tickers: 1
          }
        )
        const books = yield* ask(files("book_events", `market=${ticker}&format=ndjson&from=2026-08-01&to=2026-08-02`))
        assert.strictEqual(table(books.body).length, 1399)
        assert.deepInclude(JSON.parse(table(books.body)[0]!), {
          ticker,
          connection: 7,
          seq: 2,
          yes: true,
          price: "0.3",
          delta: "3"
        })
        assert.match(
          String(books.headers["content-disposition"]),
          /"KXBTC-1-A-book_events-2026-08-01-2026-08-02\.ndjson"/
        )
        yield* eventually(
          Effect.sync(() => fs.readdirSync(places.downloads)),
          (left) => left.length === 0
        )
      })
  )

  it.effect("takes strange requests for what they are, and shows nothing to whoever did not sign in", () =>
    Effect.gen(function* () {
      const statuses: ReadonlyArray<readonly [number, string]> = [
        [400, files("ticks", "")],
        [400, files("ticks", `market=${ticker}&series=KXBTC`)],
        [400, files("ticks", "series=KXBTC")],
        [400, files("ticks", "series=KXBTC&from=2026-08-01&to=2026-10-01")],
        [400, files("ticks", "series=KXBTC&from=2026-08-02&to=2026-08-01")],
        [400, files("ticks", "series=KXBTC&from=yesterday&to=2026-08-01")],
        [400, files("ticks", `market=${ticker}&format=xlsx`)],
        [404, files("ticks", "market=NOPE")],
        [404, files("ticks", "event=NOPE")],
        [404, files("ticks", "series=..%2F..%2Fetc&from=2026-08-01&to=2026-08-02")],
        [404, files("ticks", "series=%27)%20or%20true--&from=2026-08-01&to=2026-08-02")],
        [400, files("..%2Fticks", `market=${ticker}`)],
        [400, files("api_tokens", `market=${ticker}`)],
        [404, "/api/markets/..%2F..%2Flake.json/download/ticks?format=parquet"],
        [404, "/api/markets/NOPE/download/ticks/progress?format=parquet"]
      ]
      for (const [status, from] of statuses) {
        const answer = yield* ask(from)
        assert.strictEqual(answer.status, status, `${from}: ${answer.body}`)
        if (from.startsWith("/api/exports/ticks?")) {
          const progress = yield* ask(from.replace("ticks?", "ticks/progress?"))
          assert.strictEqual(progress.status, status, from)
        }
      }
      for (const from of [
        files("ticks", `market=${ticker}`),
        files("ticks/progress", `market=${ticker}`),
        at("/archived"),
        at("/download/ticks")
      ])
        assert.strictEqual((yield* ask(from, {})).status, 401, from)
      const { paths } = JSON.parse(yield* read("/openapi.json"))
      assert.include(JSON.stringify(paths["/api/markets/{ticker}/ticks"].get.responses["409"]), "ArchivedOnly")
      assert.include(JSON.stringify(paths["/api/exports/{table}"].get.responses["507"]), "NoRoom")
      const made = yield* ask(files("ticks", `market=${ticker}&format=csv&from=2026-08-01&to=2026-08-02`), yield* token)
      assert.strictEqual(table(made.body).length, perDay / 2 + 2)
      yield* nothingIsLeft
    })
  )

  it.effect("makes two at a time, no more for one visitor, and forgets what a client that went away wanted", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const other = yield* token
      const progress = (query: string, headers?: Readonly<Record<string, string>>) =>
        ask(files("ticks/progress", `market=${ticker}&${query}`), headers)
      const state = (answer: { readonly body: string }) => JSON.parse(answer.body).state
      const { port } = new URL((yield* Portal).origin)
      const holding = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(sql`lock table ticks in access exclusive mode`, Effect.never))
      )
      yield* eventually(
        sql<{
          n: number
        }>`select count(*)::int as n from pg_locks where mode = 'AccessExclusiveLock' and relation = 'ticks'::regclass and granted`,
        ([row]) => row!.n === 1
      )
      const gone = request({ port, path: files("ticks", `market=${ticker}&${days(0, 3)}`), headers: cookie() })
      gone.on("error", () => undefined)
      gone.end()
      yield* eventually(
        Effect.sync(() => fs.readdirSync(places.downloads)),
        (left) => left.length === 1
      )
      yield* eventually(progress(days(0, 1)), (answer) => state(answer) === "reading")
      assert.strictEqual((yield* progress(days(1, 2))).status, 429)
      assert.strictEqual(state(yield* progress(days(1, 2), other)), "waiting")
      assert.strictEqual(state(yield* progress(days(0, 1))), "reading")
      gone.destroy()
      yield* eventually(progress(days(1, 2), other), (answer) => state(answer) === "reading")
      yield* eventually(
        Effect.sync(() => fs.readdirSync(places.downloads)),
        (left) => left.length === 2
      )
      yield* Fiber.interrupt(holding)
      yield* eventually(progress(days(0, 1)), (answer) => state(answer) === "ready")
      yield* eventually(progress(days(1, 2), other), (answer) => state(answer) === "ready")
      assert.strictEqual((yield* ask(files("ticks", `market=${ticker}&${days(0, 1)}`))).status, 200)
      assert.strictEqual((yield* ask(files("ticks", `market=${ticker}&${days(1, 2)}`), other)).status, 200)
      yield* nothingIsLeft
    })
  )

  it.effect("says which days it cannot read, and where they are, instead of an answer without them", () =>
    Effect.gen(function* () {
      const file = path.join(places.lake, "ticks/series=KXBTC/date=2026-08-01/ticks_20260801.parquet")
      const whole = fs.readFileSync(file)
      fs.writeFileSync(file, Buffer.concat([whole, Buffer.from([0])]))
      for (const from of [
        at("/ticks?limit=500"),
        at("/download/ticks"),
        at("/download/ticks?format=parquet"),
        files("ticks", `series=KXBTC&from=2026-08-01&to=2026-08-03`)
      ]) {
        const answer = yield* ask(from)
        assert.strictEqual(answer.status, 409, `${from}: ${answer.body}`)
        const { _tag, days, problem } = JSON.parse(answer.body)
        assert.strictEqual(_tag, "ArchivedOnly")
        assert.match(
          problem,
          /in the archive only: ticks\/series=KXBTC\/date=2026-08-01\/\S+ is not the file that was archived/
        )
        assert.strictEqual(days[0].dataset, "ticks_20260801")
        assert.notInclude(answer.body, places.lake)
      }
      // Nothing of that day is needed for these.
      assert.strictEqual(JSON.parse(yield* read(at("/ticks?limit=90"))).length, 90)
      yield* read(at(`/ticks?${days(1, 3)}`))
      fs.rmSync(file)
      assert.match(JSON.parse(yield* read(at("/archived"))).problem, /ticks_20260801\.parquet is missing$/)
      fs.writeFileSync(file, whole)
      yield* read(at("/ticks?limit=500"))
    })
  )

  it.effect("says that its disk has no room, and takes away what a portal that was killed left", () =>
    Effect.gen(function* () {
      const left = path.join(places.downloads, "kalshi-portal-file-old")
      fs.mkdirSync(left)
      fs.utimesSync(left, 0, 0)
      const away = `${places.downloads}-away`
      fs.renameSync(places.downloads, away)
      const refused = yield* ask(at("/download/ticks?format=parquet"))
      assert.strictEqual(refused.status, 507, refused.body)
      assert.strictEqual(JSON.parse(refused.body)._tag, "NoRoom")
      fs.renameSync(away, places.downloads)
      assert.strictEqual((yield* ask(at("/download/ticks?format=parquet"))).status, 200)
      assert.isFalse(fs.existsSync(left))
    })
  )
})

layer(Portal.layerWith({}), { timeout: "60 seconds", excludeTestServices: true })(
  "a portal without the archive",
  (it) => {
    const { ask, read, ready } = asking()

    it.effect("never shows a list that lacks days without a word", () =>
      Effect.gen(function* () {
        yield* threeDays
        yield* leave(yield* Programs.folder)
        const archived = JSON.parse(yield* read(at("/archived")))
        assert.match(archived.problem, /ARCHIVE_DIR/)
        assert.strictEqual(archived.days.filter((day: { table: string }) => day.table === "ticks").length, 2)
        for (const from of [
          at("/ticks?limit=500"),
          at(`/ticks?${days(0, 2)}`),
          at("/download/ticks?format=csv"),
          at("/download/ticks/progress?format=csv"),
          at("/book?at=2026-08-01T12:00:00Z"),
          files("ticks", "event=KXBTC-1")
        ]) {
          const answer = yield* ask(from)
          assert.strictEqual(answer.status, 409, `${from}: ${answer.body}`)
          const { days, problem } = JSON.parse(answer.body)
          assert.match(
            problem,
            /^from 2026-08-01T00:00:00.000Z to 2026-08-0[23]T00:00:00.000Z what is asked for is in the archive only: ARCHIVE_DIR/
          )
          assert.match(days[0].since, /^20\d\d-/)
        }
        assert.strictEqual((yield* ready(at("/download/ticks/progress?format=csv"))).status, 409)
        assert.strictEqual(JSON.parse(yield* read(at("/ticks?limit=60"))).length, 60)
        assert.strictEqual(table(yield* read(at(`/download/ticks?format=csv&${days(2, 3)}`))).length, perDay / 2 + 1)
        assert.strictEqual((yield* ask(at(`/download/ticks?format=parquet&${days(2, 3)}`))).status, 200)
      }).pipe(Effect.scoped)
    )
  }
)
