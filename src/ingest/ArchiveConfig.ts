import * as Setting from "../runtime/Setting.ts"
import { archiveSettings } from "../store/ArchiveSettings.ts"
import { archivedTables } from "../store/ArchiveTables.ts"

/** Where the archive is, and how files are made. */
export const archive = {
  directory: archiveSettings.directory,
  everySeconds: Setting.number(
    "ARCHIVE_SECONDS",
    "seconds between passes of the archive in rest; 0 turns it off",
    3600,
    {
      min: 0,
      max: 604_800
    }
  ),
  closedHours: Setting.number("ARCHIVE_CLOSED_HOURS", "a partition is archived this many hours after its end", 24, {
    min: 0,
    max: 100_000
  }),
  tables: Setting.list("ARCHIVE_TABLES", "tables that are archived", archivedTables, archivedTables),
  memoryMegabytes: archiveSettings.memoryMegabytes
}

/** What leaves the database once it is in verified files. */
export const retention = {
  ticksDays: Setting.number(
    "RETENTION_TICKS_DAYS",
    "days of ticks that stay in the database; older ones leave it when they are in verified files; 0 keeps all",
    0,
    { min: 0, max: 100_000 }
  ),
  booksDays: Setting.number("RETENTION_BOOKS_DAYS", "the same of order book events and snapshots", 0, {
    min: 0,
    max: 100_000
  }),
  rollUp: Setting.boolean(
    "RETENTION_ROLLUP",
    "1 keeps one row a market and minute (tick_minutes) of the ticks that leave the database",
    true
  ),
  lockMillis: Setting.int(
    "RETENTION_LOCK_MS",
    "most milliseconds that others may wait for a partition to leave; when that is too short, the next pass tries again",
    200,
    { min: 1, max: 60_000 }
  )
}

export const all = { ...archive, ...retention }
