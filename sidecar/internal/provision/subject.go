package provision

import "slices"

// Principal is who asks: a user, perhaps through a plugin, or a plugin, a
// pipeline or the system itself.
type Principal struct {
	Subject string   // "user:default/ann", "plugin:catalog", "ci:acme/orders", "system:expiry"
	Groups  []string // ownership entity refs, sorted, the user's own among them; empty for a service
	Actor   string   // who carried the ask: "plugin:scaffolder"; "" when the subject came alone
	CI      *CI      // of a pipeline: what it has proven; nil for all others
}

// IsUser reports whether a person is asking.
func (p Principal) IsUser() bool { return len(p.Subject) > 5 && p.Subject[:5] == "user:" }

// Owns reports whether ref is among the principal's groups.
func (p Principal) Owns(ref string) bool { return slices.Contains(p.Groups, ref) }

// Verb is what a principal wants to do, for authorisation.
type Verb string

// The verbs.
const (
	VerbSubmit          Verb = "submit"           // ask for something for an owner
	VerbRead            Verb = "read"             // see a request, its log, an instance
	VerbOpenCredentials Verb = "open_credentials" // read an instance's secrets
	VerbCancel          Verb = "cancel"           // stop a request
	VerbApprove         Verb = "approve"          // answer for a group whose approval is needed; the owner is that group
	VerbClone           Verb = "clone"            // copy what an owner has in an environment, for an ephemeral one
	VerbExpire          Verb = "expire"           // ask for the end of what has expired
	VerbCheckDrift      Verb = "check_drift"      // have an instance checked for drift
	VerbFeed            Verb = "feed"             // read every instance as entities
	VerbReadBudget      Verb = "read_budget"      // see a budget; the owner is its team, "" for a cost centre's or an environment's
	VerbPause           Verb = "pause"            // pause and resume
	VerbRollOut         Verb = "roll_out"         // roll a version out: make campaigns, approve their groups, start and halt them
	VerbUpgrade         Verb = "upgrade"          // ask for the upgrade of an instance in a campaign
	VerbPublish         Verb = "publish"          // publish, deprecate and withdraw versions of offerings
	VerbRecover         Verb = "recover"          // say what becomes of a request whose worker is lost
	VerbListAll         Verb = "list_all"         // see every team's requests
	VerbImportTickets   Verb = "import_tickets"   // say how many tickets a day had
)

// Access is one question to authorisation.
type Access struct {
	Principal   Principal
	Verb        Verb
	Owner       string // the owner of the thing; "" when there is none
	Environment string
}
