// Package backstage is how Roadbed and Backstage know each other: it turns the
// tokens of users and plugins into principals, and signs the tokens with which
// Roadbed calls plugins back.
//
// It knows no routes and decides no access: who a caller is, not what the
// caller may do.
//
// # What is trusted
//
// A user's token is verified with the key set of the auth plugin. A plugin's
// token is verified with the key set of the plugin that it names, found through
// Discovery, so that whoever configures Discovery decides whom to trust. A
// plugin that acts for a user carries that user's limited token as the claim
// obo; the principal is then the user, with the plugin as its actor.
//
// A key set that cannot be fetched is Unavailable, never a refusal: the caller's
// token may be good.
package backstage
