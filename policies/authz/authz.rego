# METADATA
# title: Authorisation
# description: >
#   Who may do what. Input is {subject, groups, actor, verb, owner, environment}; refs are
#   entity refs, groups are the subject's ownership refs and empty for a service, actor is
#   the plugin that carries a user's ask and "" when they came themselves. A pipeline has
#   besides ci: {repository, pull_request (0 is each of them), owner, action, preview} with
#   what it has proven, what it asks for, and what the thing is part of.
# scope: package
# related_resources:
#   - ref: docs/policies.md#authorisation
package roadbed.authz

default allow := false

# A person asks for an owning team: their own, or any for the platform team.
allow if {
	input.verb == "submit"
	_is_user
	_is_team(input.owner)
	_acts_for_owner
}

allow if {
	input.verb in {"read", "cancel", "check_drift", "clone"}
	_is_user
	_acts_for_owner
}

allow if {
	input.verb in {"list_all", "import_tickets", "pause", "publish", "recover", "roll_out"}
	_is_user
	_is_platform_team
}

# The owner is the group whose approval is needed; that a person was one of its members
# when it was asked for is the service's to know.
allow if {
	input.verb == "approve"
	_is_user
	_is_owner
	not _carried
}

# Forms show what is left of a cost centre and of an environment; a team's money is
# the team's.
allow if {
	input.verb == "read_budget"
	_is_user
	_may_see_money_of(input.owner)
}

# Only the owners: running the platform is no reason to read a team's secrets.
allow if {
	input.verb == "open_credentials"
	_is_user
	_is_owner
	not _carried
}

allow if {
	input.verb == "feed"
	startswith(input.subject, "plugin:")
	input.subject in data.authz.feed_readers
}

# Whatever the list says, automatic work asks for nothing but the end of what has expired and the upgrades of a campaign, and opens nothing.
allow if {
	startswith(input.subject, "system:")
	input.verb in {"read", "cancel", "check_drift", "expire", "upgrade"}
	some subject, verbs in data.authz.systems
	subject == input.subject
	input.verb in verbs
}

# A pipeline asks for ephemeral environments of its own pull requests alone, copied from
# and made where data/previews.yaml says; their end it may ask for wherever they are.
allow if {
	input.verb == "clone"
	_is_own_preview
	input.environment in data.previews.bases
}

allow if {
	input.verb == "submit"
	input.ci.action in {"create", "extend"}
	_is_own_preview
	_is_team(input.owner)
	input.ci.preview.base in data.previews.bases
	input.environment in data.previews.environments
}

allow if {
	input.verb == "submit"
	input.ci.action == "destroy"
	_is_own_preview
}

allow if {
	input.verb in {"read", "cancel"}
	_is_own_preview
}

# METADATA
# description: Why not and who may, in a sentence or two for whoever asked; only read when allow is false.
reason := sprintf(
	"%s may ask for ephemeral environments of its pull requests alone (%s), for %s, copied from %s and made in %s; this is none. Ask %s.",
	[
		input.subject,
		_spoken_for,
		input.ci.owner,
		concat(" or ", data.previews.bases),
		concat(" or ", data.previews.environments),
		data.authz.contact,
	],
) if {
	_is_ci
} else := sprintf("%s may not ask for anything: only a person may. Sign in, or pass the user's token along.", [
	input.subject,
]) if {
	input.verb == "submit"
	not _is_user
} else := sprintf("%q is not a team that can own this. Choose one of your teams, for example group:default/payments.", [
	input.owner,
]) if {
	input.verb == "submit"
	not _is_team(input.owner)
} else := sprintf(
	"%s is not a member of %s, so may not ask on its behalf. Choose a team of yours, or ask %s or %s.",
	[input.subject, input.owner, input.owner, data.authz.contact],
) if {
	input.verb == "submit"
} else := sprintf("%s may not do this for %s: approvals are given and credentials opened by people themselves. Do it in the portal, or with the CLI.", [
	input.actor,
	input.subject,
]) if {
	input.verb in {"approve", "open_credentials"}
	_is_owner
	_carried
} else := sprintf("Only members of %s may open these credentials. Ask one of them.", [input.owner]) if {
	input.verb == "open_credentials"
	input.owner != ""
} else := sprintf("Only members of %s may approve this. Ask one of them.", [input.owner]) if {
	input.verb == "approve"
	input.owner != ""
} else := sprintf("Only members of %s and the platform team may %s this. Ask one of them, or %s.", [
	input.owner,
	replace(input.verb, "_drift", ""),
	data.authz.contact,
]) if {
	input.verb in {"read", "cancel", "check_drift", "clone"}
	input.owner != ""
} else := sprintf("Only %s sees every team's requests. List your own teams', or ask %s.", [
	data.authz.platform_team,
	data.authz.contact,
]) if {
	input.verb == "list_all"
} else := sprintf("Only %s says how many tickets there were. Ask %s.", [
	data.authz.platform_team,
	data.authz.contact,
]) if {
	input.verb == "import_tickets"
} else := sprintf("Only members of %s and the platform team see what it spends.", [input.owner]) if {
	input.verb == "read_budget"
	input.owner != ""
} else := sprintf("Only %s may pause and resume. Ask %s.", [data.authz.platform_team, data.authz.contact]) if {
	input.verb == "pause"
} else := sprintf("Only %s publishes, deprecates and withdraws versions of offerings. Ask %s.", [
	data.authz.platform_team,
	data.authz.contact,
]) if {
	input.verb == "publish"
} else := sprintf("Only %s says what becomes of a request whose worker is lost. Ask %s.", [
	data.authz.platform_team,
	data.authz.contact,
]) if {
	input.verb == "recover"
} else := sprintf("Only %s rolls versions out. Ask %s.", [data.authz.platform_team, data.authz.contact]) if {
	input.verb == "roll_out"
} else := sprintf("Only %s reads the entity feed. Read an instance by its id instead.", [
	concat(", ", data.authz.feed_readers),
]) if {
	input.verb == "feed"
} else := sprintf("%s may not do this (%v). Ask %s.", [input.subject, input.verb, data.authz.contact])

_is_user if {
	startswith(input.subject, "user:")
	input.subject != "user:"
}

# A template acts as whoever runs it, and so would one that a colleague has laid out.
_carried if {
	input.actor != ""
	not input.actor in data.authz.carriers
}

_is_ci if input.subject == concat("", ["ci:", input.ci.repository])

_is_own_preview if {
	_is_ci
	input.owner == input.ci.owner
	input.ci.preview.repository == input.ci.repository
	input.ci.pull_request in {0, input.ci.preview.pull_request}
}

_spoken_for := "each of them" if {
	input.ci.pull_request == 0
} else := sprintf("number %d", [input.ci.pull_request])

_acts_for_owner if _is_owner

_acts_for_owner if _is_platform_team

_is_owner if {
	input.owner != ""
	input.owner in input.groups
}

_is_platform_team if data.authz.platform_team in input.groups

_may_see_money_of("")

_may_see_money_of(owner) if {
	owner != ""
	_acts_for_owner
}

_is_team(ref) if regex.match(`^group:default/[^/:\s]+$`, ref)
