interface Service {
  readonly program: string
  readonly about: string
  /** Runs as often as somebody enables it under a name: `kalshi-worker@1`. */
  readonly isTemplate?: boolean
  readonly isOneshot?: boolean
  readonly memory: string
  readonly cpu: string
}

const services: ReadonlyArray<Service> = [
  { program: "migrator", about: "brings the database up to date", isOneshot: true, memory: "1G", cpu: "100%" },
  { program: "rest", about: "discovery, backfill, repair, coverage", memory: "1G", cpu: "100%" },
  { program: "ws", about: "live capture", memory: "1G", cpu: "150%" },
  { program: "worker", about: "jobs of the work queue", isTemplate: true, memory: "1G", cpu: "100%" },
  { program: "predictor", about: "forecasts and their scores", memory: "1G", cpu: "100%" },
  { program: "portal", about: "the web portal and its API", memory: "1G", cpu: "100%" }
]

/** Where things are; `%h` is a user's home. */
const places = {
  system: {
    code: "/opt/kalshi-ingestor",
    settings: "/etc/kalshi-ingestor",
    data: "/var/lib/kalshi-ingestor",
    wantedBy: "multi-user.target"
  },
  user: {
    code: "%h/kalshi-ingestor",
    settings: "%h/.config/kalshi-ingestor",
    data: "%h/.local/state/kalshi-ingestor",
    wantedBy: "default.target"
  }
} as const
export type UnitKind = keyof typeof places

/** V8 makes code as it runs, so that memory cannot be kept from being both written and executed. */
const hardening = [
  "CapabilityBoundingSet=",
  "AmbientCapabilities=",
  "ProtectSystem=strict",
  "ProtectHome=yes",
  "PrivateTmp=yes",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
  "ProtectControlGroups=yes",
  "ProtectProc=invisible",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "RemoveIPC=yes",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallErrorNumber=EPERM"
]

const lines = (...parts: ReadonlyArray<string | ReadonlyArray<string> | undefined>) =>
  `${parts.flatMap((part) => part ?? []).join("\n")}\n`

const unit = (service: Service, kind: UnitKind): string => {
  const { code, data, settings, wantedBy } = places[kind]
  const { program } = service
  return lines(
    `# Made by \`npm run env\`. Settings of this program: ${settings}/${program}.env (configs/env/${program}.env.example).`,
    "[Unit]",
    `Description=kalshi-ingestor ${program}${service.isTemplate ? " %i" : ""}: ${service.about}`,
    `Documentation=file:${code}/docs/operations.md`,
    kind === "system" ? ["Wants=network-online.target", "After=network-online.target postgresql.service"] : undefined,
    service.isOneshot ? undefined : "After=kalshi-migrator.service",
    service.isOneshot ? undefined : ["StartLimitIntervalSec=300", "StartLimitBurst=20"],
    "",
    "[Service]",
    service.isOneshot ? ["Type=oneshot", "RemainAfterExit=yes"] : ["Type=exec", "Restart=on-failure", "RestartSec=3"],
    kind === "system" ? ["User=kalshi", "Group=kalshi"] : undefined,
    `WorkingDirectory=${code}`,
    `Environment=ENV_FILE=${settings}/${program}.env`,
    `Environment=DATA_DIR=${data}`,
    "Environment=LOG_FORMAT=json",
    `ExecStart=/usr/bin/env node dist/${program}.js`,
    // A program drains within 10 seconds.
    service.isOneshot ? undefined : "TimeoutStopSec=20",
    kind === "system" ? ["StateDirectory=kalshi-ingestor", "StateDirectoryMode=0700"] : undefined,
    "UMask=0077",
    "LimitNOFILE=65536",
    "TasksMax=256",
    `MemoryMax=${service.memory}`,
    `CPUQuota=${service.cpu}`,
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    kind === "system" ? hardening : undefined,
    "",
    "[Install]",
    `WantedBy=${wantedBy}`
  )
}

/** The unit files, by their path in the package. */
export const files = (): ReadonlyArray<readonly [path: string, text: string]> =>
  (["system", "user"] as const).flatMap((kind) =>
    services.map(
      (service) =>
        [
          `configs/systemd/${kind === "user" ? "user/" : ""}kalshi-${service.program}${service.isTemplate ? "@" : ""}.service`,
          unit(service, kind)
        ] as const
    )
  )
