import * as Setting from "../runtime/Setting.ts"

/** What a program does about the schema of its database. */
export const check = {
  init: Setting.boolean(
    "DB_INIT_SCHEMA",
    "1: a program that starts applies pending migrations, as the user of DATABASE_URL; 0: it refuses, and the migrator applies them",
    false
  ),
  validate: Setting.boolean(
    "SCHEMA_VALIDATE",
    "0 skips the comparison of the database's schema with the program's",
    true
  ),
  compatMin: Setting.intOption(
    "SCHEMA_COMPAT_MIN",
    "oldest schema, by the number of its last file in sql/, that a program accepts; unset: its own. The 3 of the Python original is none of ours",
    37,
    { min: 1, max: 9999 }
  ),
  compatMax: Setting.intOption("SCHEMA_COMPAT_MAX", "newest schema that a program accepts; unset: its own", 37, {
    min: 1,
    max: 9999
  })
}

/** How migrations give way to what uses the database. */
export const locking = {
  lockSeconds: Setting.number(
    "DB_LOCK_TIMEOUT_SECONDS",
    "longest that a migration waits for a lock, and capture behind it, before it gives up the attempt",
    0.5,
    { min: 0.01, max: 60 }
  ),
  patienceSeconds: Setting.number(
    "DB_LOCK_PATIENCE_SECONDS",
    "how long such attempts are repeated before the migrator gives up",
    600,
    { min: 0, max: 86_400 }
  )
}
