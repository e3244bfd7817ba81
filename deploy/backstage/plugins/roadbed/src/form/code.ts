import type { Offering, Parameters } from '../api/types';

/** toCurl is the call that asks for the same. Its body is quoted so that a shell leaves it as it is. */
export function toCurl(baseUrl: string, offering: Offering, parameters: Parameters, lifetime?: string): string {
  const body = JSON.stringify({ offering: offering.id, parameters, expires_in: lifetime }, undefined, 2);
  return [
    `curl --fail-with-body "${baseUrl}/requests" \\`,
    '  -H "Authorization: Bearer $BACKSTAGE_TOKEN" \\',
    '  -H "Content-Type: application/json" \\',
    '  -H "Idempotency-Key: $(uuidgen)" \\',
    "  --data-binary @- <<'JSON'",
    body,
    'JSON',
  ].join('\n');
}

/** toCommand asks for the same with Roadbed's own command. */
export function toCommand(offering: Offering, parameters: Parameters, lifetime?: string): string {
  const lines = Object.entries(parameters).map(([name, value]) => {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    return `  -p ${quoteForShell(`${name}=${text}`)}`;
  });
  const lasting = lifetime ? [`  --expires-in ${lifetime}`] : [];
  return [`roadbed request create ${offering.id}`, ...lines, ...lasting, '  --watch'].join(' \\\n');
}

function quoteForShell(text: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** toTerraform is the offering's own module with the same values, as `implementation` has it. */
export function toTerraform(offering: Offering, implementation: string, parameters: Parameters): string {
  const name = String(parameters[offering.roles.name] ?? 'example');
  const label = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');
  const width = Math.max(...Object.keys(parameters).map(key => key.length), 'source'.length);
  const line = (key: string, value: unknown) => `  ${key.padEnd(width)} = ${toHcl(value)}`;
  return [
    `module "${label}" {`,
    line('source', `./backstage-templates/${offering.id}/module/${implementation}`),
    '',
    ...Object.entries(parameters).map(([key, value]) => line(key, value)),
    '}',
  ].join('\n');
}

function toHcl(value: unknown): string {
  if (typeof value === 'string') {
    // What looks like a template would be read as one.
    return JSON.stringify(value).replace(/([$%])\{/g, '$1$1{');
  }
  if (typeof value !== 'object' || value === null) {
    return String(value);
  }
  const entries = Object.entries(value).map(([key, part]) => `    ${toHcl(key)} = ${toHcl(part)}`);
  return entries.length === 0 ? '{}' : ['{', ...entries, '  }'].join('\n');
}
