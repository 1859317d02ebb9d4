import * as fs from "node:fs"
import * as path from "node:path"
import { parseSync } from "@swc/core"

const src = path.resolve(import.meta.dirname, "../../src")

interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

const walk = (value: unknown, visit: (node: Node) => void): void => {
  if (Array.isArray(value)) for (const item of value) walk(item, visit)
  else if (typeof value === "object" && value !== null) {
    if (isNode(value)) visit(value)
    for (const child of Object.values(value)) walk(child, visit)
  }
}

/** `a.b.c` or `c`; "" for anything else. */
const nameOf = (node: unknown): string =>
  !isNode(node)
    ? ""
    : node.type === "Identifier"
      ? String(node["value"])
      : node.type === "MemberExpression"
        ? `${nameOf(node["object"])}.${nameOf(node["property"])}`
        : ""

const fieldsOf = (node: unknown): ReadonlyMap<string, unknown> => {
  const fields = new Map<string, unknown>()
  if (!isNode(node) || node.type !== "ObjectExpression" || !Array.isArray(node["properties"])) return fields
  for (const property of node["properties"]) {
    if (property.type === "Identifier") fields.set(property.value, property)
    else if (property.type === "KeyValueProperty") fields.set(property.key.value, property.value)
  }
  return fields
}

const textOf = (node: unknown): string | undefined =>
  isNode(node) && node.type === "StringLiteral" ? String(node["value"]) : undefined

const argumentsOf = (call: Node): ReadonlyArray<unknown> =>
  Array.isArray(call["arguments"]) ? call["arguments"].map(({ expression }) => expression) : []

interface File {
  readonly name: string
  readonly body: unknown
  readonly imports: ReadonlyArray<string>
}

const parse = (name: string): File => {
  const { body } = parseSync(fs.readFileSync(path.join(src, name), "utf8"), { syntax: "typescript", target: "es2022" })
  const imports: Array<string> = []
  for (const statement of body) {
    if (statement.type !== "ImportDeclaration" || statement.typeOnly || !statement.source.value.startsWith("."))
      continue
    const { specifiers } = statement
    if (specifiers.length > 0 && specifiers.every((one) => one.type === "ImportSpecifier" && one.isTypeOnly)) continue
    imports.push(path.normalize(path.join(path.dirname(name), statement.source.value)))
  }
  return { name, body, imports }
}

export interface MetricRow {
  /** As `/metrics` shows it, without the parts that a histogram appends. */
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly labels: ReadonlyArray<string>
  readonly meaning: string
  readonly programs: ReadonlyArray<string>
}

/** Labels that are made while a program runs. */
const madeLater: Readonly<Record<string, ReadonlyArray<string>>> = {
  unknownFields: ["payload", "field"],
  unknownValues: ["payload", "field", "value"],
  unknownTypes: ["type"]
}

const kinds = ["counter", "gauge", "histogram"] as const

/** Every metric that is defined in `src`, read from the definitions themselves. */
export const metrics = (): ReadonlyArray<MetricRow> => {
  const names = fs
    .readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter(
      (name) => name.endsWith(".ts") && !name.startsWith(path.join("portal", "web")) && !name.startsWith("simulator")
    )
  const files = new Map(names.map((name) => [name, parse(name)]))
  const reaches = (program: string): ReadonlySet<string> => {
    const seen = new Set<string>()
    const go = (name: string) => {
      if (seen.has(name)) return
      seen.add(name)
      for (const next of files.get(name)?.imports ?? []) go(next)
    }
    go(program)
    return seen
  }
  const programs = ["rest", "ws", "worker", "portal", "predictor"].map((program) => ({
    program,
    files: reaches(`${program}.ts`)
  }))

  const found: Array<
    Omit<MetricRow, "labels"> & { readonly labels: Set<string>; readonly file: string; readonly variable: string }
  > = []
  for (const { body, name: file } of files.values()) {
    walk(body, (node) => {
      if (node.type !== "VariableDeclarator") return
      walk(node["init"], (call) => {
        const kind = kinds.find((kind) => call.type === "CallExpression" && nameOf(call["callee"]) === `Metric.${kind}`)
        if (kind === undefined) return
        const [id, options] = argumentsOf(call)
        const [name, fields] = [textOf(id), fieldsOf(options)]
        const meaning = textOf(fields.get("description"))
        if (name === undefined || meaning === undefined)
          throw new Error(`${file}: ${nameOf(node["id"])} is not a metric with a name and a description as plain text`)
        found.push({
          name: `kalshi_ingestor_${name}${kind === "counter" ? "_total" : ""}`,
          type: kind,
          meaning,
          labels: new Set([...fieldsOf(fields.get("attributes")).keys(), ...(madeLater[nameOf(node["id"])] ?? [])]),
          programs: programs.flatMap(({ files, program }) => (files.has(file) ? [program] : [])),
          file,
          variable: nameOf(node["id"])
        })
      })
    })
  }

  for (const { body, name: file } of files.values())
    walk(body, (call) => {
      if (call.type !== "CallExpression") return
      const callee = nameOf(call["callee"])
      const [metric, attributes] = argumentsOf(call)
      const [home, variable = home] = nameOf(metric).split(".")
      const defined = found.filter(
        (row) => row.variable === variable && (home === variable ? row.file === file : row.file.endsWith(`/${home}.ts`))
      )
      if (callee === "Metric.withAttributes")
        for (const row of defined) for (const label of fieldsOf(attributes).keys()) row.labels.add(label)
      if (callee === "QueueMetrics.of") for (const row of defined) row.labels.add("type")
    })

  return found
    .map(({ labels, meaning, name, programs, type }) => ({ name, type, labels: [...labels].sort(), meaning, programs }))
    .sort((a, b) => a.name.localeCompare(b.name, "en"))
}

/** The text of `docs/metrics.md`. */
export const markdown = (): string =>
  `# Metrics

Every program serves these at \`/metrics\` of its \`SERVICE_HEALTH_PORT\` as Prometheus reads them, and sends them to the collector that
\`OTEL_EXPORTER_OTLP_ENDPOINT\` names (there without the prefix and without \`_total\`). A metric appears when it is first counted or
measured. A histogram is shown as \`…_bucket\`, \`…_sum\` and \`…_count\`. The table is made from the definitions by \`npm run docs\`.

| metric | type | labels | meaning | programs |
|---|---|---|---|---|
${metrics()
  .map(
    ({ labels, meaning, name, programs, type }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${meaning.replaceAll("|", "\\|")} | ${programs.join(", ") || "all"} |`
  )
  .join("\n")}
`
