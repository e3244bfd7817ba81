// Package provision is the domain: the words of Roadbed as types, the states a
// request and an instance may be in, the Judge that answers an ask, and the
// Service that accepts one.
//
// It knows no database, no queue, no HTTP and no Terraform: what it needs from
// them it declares as small interfaces, and it imports no sibling package.
//
// # A request
//
//	submitted ─► queued ─► planning ─► applying ─► succeeded
//	    │          │ ▲         │  │       │  ▲
//	    ▼          ▼ └─────────┘  ▼       ▼  └─► lost
//	  denied    cancelled       denied   failed
//
// State.To is the whole table; any move that is not in it is a Conflict.
package provision
