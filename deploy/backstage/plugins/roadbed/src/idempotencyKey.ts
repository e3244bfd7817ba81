/** newIdempotencyKey makes the name of one intention, so that asking twice is asking once. */
export function newIdempotencyKey(): string {
  // crypto.randomUUID exists on https and localhost only, and portals are reached in other ways too.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}
