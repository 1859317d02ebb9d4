import { iso } from "./Calendar.ts"
import type { Scene } from "./MarketRoutes.ts"
import { json, type Reply } from "./Reply.ts"
import type { TokenBucket } from "./TokenBucket.ts"

export const status = (scene: Scene): Reply => {
  const active = scene.active()
  return json({
    exchange_active: active,
    ...(active ? {} : { exchange_estimated_resume_time: null }),
    exchange_index_statuses: [
      ...new Set([...scene.world.catalog.series.values()].map((series) => series.exchangeIndex))
    ]
      .sort()
      .map((exchange_index) => ({
        description: `shard ${exchange_index}`,
        exchange_active: active,
        exchange_index,
        intra_exchange_transfers_active: active,
        trading_active: active
      })),
    intra_exchange_transfers_active: active,
    trading_active: active
  })
}

const allDay = [{ close_time: "00:00", open_time: "00:00" }]

export const schedule: Reply = json({
  schedule: {
    maintenance_windows: [],
    standard_hours: [
      {
        end_time: "2200-12-01T05:00:00Z",
        friday: allDay,
        monday: allDay,
        saturday: allDay,
        start_time: "2024-12-01T05:00:00Z",
        sunday: allDay,
        thursday: [
          { close_time: "03:00", open_time: "00:00" },
          { close_time: "00:00", open_time: "05:00" }
        ],
        tuesday: allDay,
        wednesday: allDay
      }
    ]
  }
})

export const userDataTimestamp = (scene: Scene): Reply => json({ as_of_time: iso(scene.world.now) })

export const cutoff = ({ world }: Scene): Reply =>
  json({
    market_positions_last_updated_ts: iso(world.marketCutoffMs),
    market_settled_ts: iso(world.marketCutoffMs),
    orders_updated_ts: iso(world.marketCutoffMs),
    trades_created_ts: iso(world.tradeCutoffMs)
  })

export const limits = (bucket: TokenBucket): Reply =>
  json({
    grants: [],
    read: { bucket_capacity: bucket.capacity, refill_rate: bucket.refillRate },
    usage_tier: "basic",
    write: { bucket_capacity: 100, refill_rate: 100 }
  })

export const endpointCosts: Reply = json({
  default_cost: 10,
  endpoint_costs: [
    { cost: 50, method: "GET", path: "/cfbenchmarks" },
    { cost: 50, method: "GET", path: "/cfbenchmarks/*endpoint" },
    { cost: 30, method: "POST", path: "/account/api_usage_level/upgrade" }
  ]
})

export const tagsByCategories = (scene: Scene): Reply => {
  const tags: Record<string, Array<string> | null> = {}
  for (const series of scene.world.catalog.series.values())
    tags[series.category] = [...new Set([...(tags[series.category] ?? []), ...(series.tags ?? [])])]
  return json({ tags_by_categories: tags })
}

export const collections = (scene: Scene): Reply =>
  json({
    cursor: "",
    multivariate_contracts: [...scene.world.catalog.series.values()]
      .filter((series) => series.kind === "combo")
      .map((series) => ({ collection_ticker: `${series.ticker}-R`, series_ticker: series.ticker, title: series.title }))
  })
