const KEY = 'roadbed.portal.user';

/**
 * signedInUser returns who this tab is signed in as. A tab keeps its own person, so that two people can be
 * shown side by side; a new tab begins as whoever signed in last.
 */
export function signedInUser(): string | undefined {
  return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? undefined;
}

/** rememberUser keeps this tab, and tabs opened from now on, signed in as `user`. */
export function rememberUser(user: string) {
  sessionStorage.setItem(KEY, user);
  localStorage.setItem(KEY, user);
}

/** forgetUser signs this tab out; other tabs stay as they are until they are closed. */
export function forgetUser() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}
