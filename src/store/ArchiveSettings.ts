import * as Setting from "../runtime/Setting.ts"

/** Where files are of what left the database, and how much memory it takes to read or make some. */
export const archiveSettings = {
  directory: Setting.text(
    "ARCHIVE_DIR",
    "directory that finished partitions are copied to as Parquet, and read from where they left the database; unset: nothing is archived"
  ),
  memoryMegabytes: Setting.int(
    "ARCHIVE_MEMORY_MB",
    "most megabytes that DuckDB takes while it makes files; what is more goes to disk",
    512,
    { min: 128, max: 1_000_000 }
  )
}
