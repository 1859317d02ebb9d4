import { access, functionsOf, groupOf, keysOf, ownersTables, type RoleName, roleNames } from "../runtime/Access.ts"
import { asOwner, harmless, ownersOnly, readers, triggers } from "../runtime/AccessFunctions.ts"

const owner = groupOf("owner")
const groups = roleNames.map(groupOf).join(", ")
const sorted = (names: Iterable<string>) => [...new Set(names)].sort()
const literals = (names: Iterable<string>) => [...names].map((name) => `'${name}'`).join(", ")

/** Everything of ours in the schema; partitions are theirs whose partitions they are. */
const tables = sorted([
  ...ownersTables,
  ...roleNames.flatMap((role) => [...Object.keys(access[role].tables), ...Object.keys(access[role].columns ?? {})])
])
const functions = sorted([
  ...harmless,
  ...readers,
  ...asOwner,
  ...triggers,
  ...ownersOnly,
  ...roleNames.flatMap(functionsOf)
])

const wrap = (words: ReadonlyArray<string>): string => {
  const lines: Array<string> = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length > 125) lines.push(`  ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join("\n")
}
const list = (names: ReadonlyArray<string>) =>
  wrap(names.map((name, index) => (index < names.length - 1 ? `${name},` : name)))

const words = { r: "select", a: "insert", w: "update", d: "delete" } as const

/** `rad`: the privileges in words, in an order of their own. */
export const privileges = (letters: string): ReadonlyArray<string> =>
  (Object.keys(words) as ReadonlyArray<keyof typeof words>)
    .filter((letter) => letters.includes(letter))
    .map((letter) => words[letter])

const grants = (role: RoleName): string => {
  const { columns = {}, tables: all, withheld = {} } = access[role]
  const granted = Object.fromEntries(
    Object.entries(all).map(([table, letters]) => [table, table in withheld ? letters.replace(/[aw]/g, "") : letters])
  )
  const group = groupOf(role)
  const byLetters = sorted(Object.values(granted)).map((letters) => ({ letters, names: namesWith(granted, letters) }))
  return [
    ...byLetters.map(
      ({ letters, names }) => `grant ${privileges(letters).join(", ")} on\n${list(names)}\nto ${group};`
    ),
    ...Object.entries(columns).flatMap(([table, of]) =>
      (["r", "w"] as const)
        .filter((letter) => of[letter].length > 0)
        .map((letter) => `grant ${words[letter]} (${of[letter].join(", ")}) on ${table} to ${group};`)
    ),
    ...Object.entries(withheld).map(([table, names]) =>
      partly(group, table, privileges(all[table]!.replace(/[rd]/g, "")), names)
    ),
    `grant execute on function\n${list(sorted(functionsOf(role)))}\nto ${group};`
  ].join("\n")
}

/** All columns but some. */
const partly = (group: string, table: string, what: ReadonlyArray<string>, but: ReadonlyArray<string>) => `do $roles$
declare
  granted text;
begin
  select string_agg(quote_ident(attname), ', ' order by attnum) into granted from pg_attribute
  where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped and attname not in (${literals(but)});
  execute format('grant ${what.map((one) => `${one} (%1$s)`).join(", ")} on ${table} to ${group}', granted);
end
$roles$;`

const namesWith = (granted: Readonly<Record<string, string>>, letters: string) =>
  sorted(Object.keys(granted).filter((table) => granted[table] === letters))

const policy = (role: RoleName): string => {
  const keys = keysOf(role)
  const name = `${role}_writes`
  const dropped = `drop policy if exists ${name} on ingest_state;`
  if (keys.length === 0) return dropped
  const its = `key in (${literals(keys)})`
  return `${dropped}\ncreate policy ${name} on ingest_state to ${groupOf(role)} using (${its}) with check (${its});`
}

/** `sql/roles.sql`: the grants of `access`. Applying it twice changes nothing. */
export const text =
  (): string => `-- Generated from src/runtime/Access.ts by \`npm run env\`: do not edit. Applied by \`node dist/migrator.js roles\`, and again with every
-- migration once it was. One transaction: psql --single-transaction -f sql/roles.sql

do $roles$
declare
  wanted text;
  thing record;
begin
  -- Groups nobody logs in as; a program's user is a member of one.
  foreach wanted in array array['${owner}', ${literals(roleNames.map(groupOf))}] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin', wanted);
      end if;
    exception when duplicate_object or unique_violation then
      null;
    end;
  end loop;
  if not pg_has_role(current_user, '${owner}', 'usage') then
    execute format('grant ${owner} to %I', current_user);
  end if;

  if not has_schema_privilege('${owner}', 'public', 'create') then
    grant usage, create on schema public to ${owner};
  end if;
  revoke create on schema public from public;
  execute format('revoke create, temporary on database %I from public', current_database());
  execute format('grant connect on database %I to ${groups}', current_database());

  -- What is ours belongs to the owner, partitions with it: nobody else can change or drop it.
  for thing in
    select c.oid::regclass as name, case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end as kind
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relowner <> '${owner}'::regrole and c.relkind in ('r', 'p', 'v', 'S')
      and (c.relname = any (array[
${list(tables.map((table) => `'${table}'`))}
      ]) or c.relname = 'queue_positions' or exists (
        select from pg_inherits i join pg_class p on p.oid = i.inhparent
        where i.inhrelid = c.oid and p.relname in ('ticks', 'tick_frames', 'trades', 'book_events', 'book_snapshots', 'market_candles')))
  loop
    execute format('alter %s %s owner to ${owner}', thing.kind, thing.name);
  end loop;
  for thing in
    select p.oid::regprocedure as name from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.proowner <> '${owner}'::regrole and p.proname = any (array[
${list(functions.map((name) => `'${name}'`))}
    ])
  loop
    execute format('alter function %s owner to ${owner}', thing.name);
  end loop;
end
$roles$;

grant usage on schema public to ${groups};

-- Nothing, to begin with.
revoke all on
${list(tables)}
from public, ${groups};
revoke all on sequence queue_positions from public, ${groups};
revoke all on function
${list(functions)}
from public, ${groups};

-- These run as the owner, in a schema where nobody else can put a table or a function of the same name.
${sorted([...asOwner, ...triggers])
  .map((name) => `alter function ${name} security definer set search_path = public, pg_temp;`)
  .join("\n")}

${roleNames.map((role) => `-- ${role}: ${access[role].about}\n${grants(role)}`).join("\n\n")}

-- A cursor is moved by the loop that it belongs to.
do $roles$
begin
  if not (select relrowsecurity from pg_class where oid = 'ingest_state'::regclass) then
    alter table ingest_state enable row level security;
  end if;
end
$roles$;
drop policy if exists everybody_reads on ingest_state;
create policy everybody_reads on ingest_state for select to ${groups} using (true);
${roleNames.map(policy).join("\n")}
`
