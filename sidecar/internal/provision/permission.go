package provision

// Permission is something that may be done, as Backstage's permission framework
// knows it: a portal's own policy may deny it where the rules here allow it.
type Permission struct {
	Name   string // "roadbed.request.create"
	Action string // create, read, update or delete; "" for what is none of them
}
