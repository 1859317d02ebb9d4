const below = {
  market: [],
  runtime: [],
  kalshi: ["market", "runtime"],
  store: ["market", "runtime"],
  queue: ["market", "runtime", "kalshi", "store"],
  simulator: ["market", "runtime"],
  ingest: ["market", "runtime", "kalshi", "store", "queue"],
  replay: ["market", "runtime", "store", "ingest", "simulator"],
  admin: ["market", "runtime", "kalshi", "store", "queue", "ingest"],
  portal: ["market", "runtime", "kalshi", "store", "queue"],
  prediction: ["market", "runtime", "store"],
  local: ["market", "runtime", "kalshi", "store", "queue", "ingest", "portal", "prediction", "admin"]
}

/** Arrows between the folders of src run one way only; programs (src/*.ts) may use everything, nobody uses them. */
module.exports = {
  forbidden: [
    { name: "no-circles", severity: "error", from: {}, to: { circular: true } },
    { name: "nobody-imports-a-program", severity: "error", from: {}, to: { path: "^src/[^/]+\\.ts$" } },
    { name: "unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "one-house",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^src/[^/]+/", pathNot: `^src/(${Object.keys(below).join("|")})/` }
    },
    ...Object.entries(below).map(([folder, allowed]) => ({
      name: `${folder}-uses-only-what-is-below-it`,
      severity: "error",
      from: { path: `^src/${folder}/` },
      to: { path: "^src/", pathNot: `^src/(${[folder, ...allowed].join("|")})/` }
    }))
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    exclude: { path: "\\.(tsx|css|html|svg)$" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: [".ts", ".tsx", ".js"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"]
    }
  }
}
