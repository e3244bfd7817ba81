// Package notify tells people and programs of events: in Slack, by mail, by
// signed webhooks and in the portal. Whom to tell of what is a file's to say.
//
// A notice is stored with its event and forgotten once it has arrived, so that a
// crash loses none; one may arrive twice, with the same id. It knows no
// request's rules: what it says is what the event and the request say.
package notify
