import { defineConfig } from "vitest/config"

// vitest's reporter calls Map.groupBy to print a failure; Node 20 does not have it.
if (!("groupBy" in Map)) {
  const groupBy = <K, V>(items: Iterable<V>, keyOf: (item: V, index: number) => K): Map<K, Array<V>> => {
    const groups = new Map<K, Array<V>>()
    let index = 0
    for (const item of items) {
      const key = keyOf(item, index++)
      groups.set(key, [...(groups.get(key) ?? []), item])
    }
    return groups
  }
  Object.defineProperty(Map, "groupBy", { value: groupBy, configurable: true, writable: true })
}

/** CI's machines are shared and slow at times: there a test that fails is tried once more, and named if it then passes. */
// @effect-diagnostics-next-line processEnv:off a test run has no ConfigProvider of its own
const retries = Number(process.env["TEST_RETRIES"] ?? 0)

export default defineConfig({
  test: {
    retry: retries,
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    globalSetup: ["test/support/PostgresServer.ts"],
    reporters: ["default", "./test/support/CountReporter.ts"]
  }
})
