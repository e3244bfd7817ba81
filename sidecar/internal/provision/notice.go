package provision

import "time"

// Notice is an event that somebody is to be told through a channel.
type Notice struct {
	Event    Event
	Channel  string // "" until it is known whom to tell
	Attempts int    // that have failed
	Err      string // why the last one did, "" for none
	Since    time.Time
}

// Notification is a message to people in the portal.
type Notification struct {
	Recipients  []string // entity refs of users or groups
	Title       string
	Description string
	Link        string // path in the portal
	Severity    string // critical, high, normal or low
	Topic       string
	Scope       string // a later one of the same scope replaces the earlier
}
