import * as path from "node:path"
import { assert, describe, expect, it } from "vitest"
import * as MetricTable from "./MetricTable.ts"

const docs = path.resolve(import.meta.dirname, "../../docs")

describe("docs/metrics.md", () => {
  it("is what the definitions say (npm run docs writes it anew)", async () => {
    await expect(MetricTable.markdown()).toMatchFileSnapshot(path.join(docs, "metrics.md"))
  })

  it("has each metric once, with a meaning, and no metric is nobody's", () => {
    const rows = MetricTable.metrics()
    assert.strictEqual(new Set(rows.map(({ name }) => name)).size, rows.length)
    assert.isAbove(rows.length, 50)
    for (const { meaning, name, programs } of rows) {
      assert.isNotEmpty(meaning, name)
      assert.isNotEmpty(programs, name)
    }
  })
})
