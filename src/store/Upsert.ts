/** One column of a set-based upsert: its name, its Postgres type, and how an incoming value meets the stored one. */
export interface Column {
  readonly name: string
  readonly type: string
  /** SQL over the incoming value, where the column is of another type. */
  readonly read?: string
  /** SQL over `t.<name>` (stored) and `excluded.<name>` (incoming); a missing value keeps the stored one by default. */
  readonly merge?: string
}

const merged = (column: Column) => column.merge ?? `coalesce(excluded.${column.name}, t.${column.name})`

/**
 * One statement that upserts a JSON array of rows (`$1`). A field that a row lacks never erases a stored one, and a row
 * that changes nothing writes nothing. Returns the keys of the rows that were new or changed.
 */
export const statement = (table: string, key: string, columns: ReadonlyArray<Column>): string => {
  const names = [key, ...columns.map((column) => column.name)]
  return `
    insert into ${table} as t (${names.join(", ")})
    select ${[key, ...columns.map(({ name, read }) => read ?? name)].join(", ")}
    from jsonb_to_recordset($1::jsonb) as r (${[`${key} text`, ...columns.map(({ name, type }) => `${name} ${type}`)].join(", ")})
    order by ${key}
    on conflict (${key}) do update set
      ${columns.map((column) => `${column.name} = ${merged(column)}`).join(",\n      ")},
      updated_at = clock_timestamp()
    where (${columns.map(({ name }) => `t.${name}`).join(", ")})
      is distinct from (${columns.map(merged).join(", ")})
    returning t.${key} as key`
}
