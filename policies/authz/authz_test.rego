package roadbed.authz_test

import data.roadbed.authz

_ann := {
	"subject": "user:default/ann",
	"groups": ["group:default/payments", "user:default/ann"],
	"verb": "read",
	"owner": "group:default/payments",
	"environment": "dev",
}

_pat := object.union(_ann, {
	"subject": "user:default/pat",
	"groups": ["group:default/platform-team", "user:default/pat"],
})

_service(subject, verb) := {
	"subject": subject,
	"groups": [],
	"verb": verb,
	"owner": "group:default/payments",
	"environment": "dev",
}

_allowed(base, verb, owner) if authz.allow with input as object.union(base, {"verb": verb, "owner": owner})

_reason(base, verb, owner) := reason if {
	reason := authz.reason with input as object.union(base, {"verb": verb, "owner": owner})
}

test_a_member_does_everything_for_their_team if {
	every verb in ["submit", "read", "cancel", "check_drift", "open_credentials"] {
		_allowed(_ann, verb, "group:default/payments")
	}
}

test_a_member_does_nothing_for_another_team if {
	every verb in ["submit", "read", "cancel", "check_drift", "open_credentials"] {
		not _allowed(_ann, verb, "group:default/checkout")
	}
}

test_only_the_platform_team_lists_all if {
	_allowed(_pat, "list_all", "")
	not _allowed(_ann, "list_all", "")
}

test_only_the_platform_team_imports_tickets if {
	_allowed(_pat, "import_tickets", "")
	not _allowed(_ann, "import_tickets", "")
	_reason(_ann, "import_tickets", "") == concat(" ", [
		"Only group:default/platform-team says how many tickets there were.",
		"Ask #platform-team.",
	])
}

test_only_the_platform_team_pauses if {
	_allowed(_pat, "pause", "")
	not _allowed(_ann, "pause", "")
	_reason(_ann, "pause", "") == "Only group:default/platform-team may pause and resume. Ask #platform-team."
}

test_only_the_platform_team_recovers if {
	_allowed(_pat, "recover", "group:default/payments")
	not _allowed(_ann, "recover", "group:default/payments")
	not authz.allow with input as _service("plugin:scaffolder", "recover")
	_reason(_ann, "recover", "group:default/payments") == concat(" ", [
		"Only group:default/platform-team says what becomes of a request whose worker is lost.",
		"Ask #platform-team.",
	])
}

test_people_see_their_teams_budgets_and_everyones_places if {
	_allowed(_ann, "read_budget", "group:default/payments")
	_allowed(_ann, "read_budget", "")
	not _allowed(_ann, "read_budget", "group:default/search")
	_allowed(_pat, "read_budget", "group:default/search")
	contains(_reason(_ann, "read_budget", "group:default/search"), "the platform team see what it spends")
	not authz.allow with input as object.union(_service("plugin:catalog", "read_budget"), {"owner": ""})
}

test_approvals_and_credentials_are_for_people_themselves if {
	carried := object.union(_ann, {"actor": "plugin:scaffolder"})
	every verb in ["approve", "open_credentials"] {
		_allowed(object.union(_ann, {"actor": ""}), verb, "group:default/payments")
		not _allowed(carried, verb, "group:default/payments")
		_reason(carried, verb, "group:default/payments") == concat(" ", [
			"plugin:scaffolder may not do this for user:default/ann: approvals are given and credentials opened",
			"by people themselves. Do it in the portal, or with the CLI.",
		])
		not _allowed(carried, verb, "group:default/checkout")
		startswith(_reason(carried, verb, "group:default/checkout"), "Only members of group:default/checkout may")
	}
	_allowed(carried, "submit", "group:default/payments")
}

test_a_plugin_that_may_carry_them_does if {
	carried := object.union(_ann, {"actor": "plugin:inbox", "verb": "approve"})
	authz.allow with input as carried with data.authz.carriers as ["plugin:inbox"]
	not authz.allow with input as carried with data.authz.carriers as ["plugin:scaffolder"]
}

test_the_platform_team_acts_for_any_team if {
	every verb in ["submit", "read", "cancel", "check_drift"] {
		_allowed(_pat, verb, "group:default/payments")
	}
}

test_the_platform_team_opens_only_its_own_credentials if {
	not _allowed(_pat, "open_credentials", "group:default/payments")
	_allowed(_pat, "open_credentials", "group:default/platform-team")
}

test_nobody_submits_for_what_is_no_team if {
	every owner in ["", "user:default/ann", "payments", "group:default/", "group:other/payments", "group:default/a/b"] {
		not _allowed(_ann, "submit", owner)
		not _allowed(_pat, "submit", owner)
	}
}

test_what_has_no_owner_is_the_platform_teams if {
	not _allowed(_ann, "read", "")
	_allowed(_pat, "read", "")
	not _allowed(_pat, "open_credentials", "")
}

test_an_empty_group_owns_nothing if {
	not _allowed(object.union(_ann, {"groups": [""]}), "read", "")
	not _allowed(object.union(_ann, {"groups": [""]}), "open_credentials", "")
}

test_only_the_catalog_reads_the_feed if {
	authz.allow with input as _service("plugin:catalog", "feed")
	not authz.allow with input as _service("plugin:scaffolder", "feed")
	not _allowed(_ann, "feed", "")
	not _allowed(_pat, "feed", "")
}

test_a_person_never_reads_the_feed_whatever_the_list_says if {
	not _allowed(_pat, "feed", "") with data.authz.feed_readers as ["user:default/pat"]
}

test_the_catalog_does_nothing_else if {
	every verb in ["submit", "read", "cancel", "open_credentials", "list_all", "import_tickets", "pause", "publish"] {
		not authz.allow with input as _service("plugin:catalog", verb)
	}
}

test_a_service_does_nothing_for_a_team_even_with_groups if {
	not authz.allow with input as _service("plugin:scaffolder", "submit")
	every verb in ["submit", "read", "cancel", "open_credentials", "list_all", "import_tickets", "pause"] {
		member := object.union(_service("plugin:scaffolder", verb), {"groups": [
			"group:default/payments",
			"group:default/platform-team",
		]})
		not authz.allow with input as member
	}
}

test_systems_do_what_their_list_says if {
	authz.allow with input as _service("system:expiry", "read")
	authz.allow with input as _service("system:expiry", "cancel")
	authz.allow with input as _service("system:expiry", "expire")
	not authz.allow with input as _service("system:drift", "expire")
	authz.allow with input as _service("system:sweep", "read")
	authz.allow with input as _service("system:sweep", "cancel")
	authz.allow with input as _service("system:drift", "read")
	authz.allow with input as _service("system:drift", "check_drift")
	not authz.allow with input as _service("system:drift", "cancel")
	not authz.allow with input as _service("system:expiry", "check_drift")
	not authz.allow with input as _service("system:unknown", "read")
}

test_systems_never_do_more_whatever_their_list_says if {
	every verb in ["submit", "open_credentials", "list_all", "import_tickets", "pause", "feed"] {
		not authz.allow with input as _service("system:expiry", verb)
			with data.authz.systems as {"system:expiry": [verb]}
	}
}

test_a_list_for_what_is_no_system_counts_for_nothing if {
	not authz.allow with input as _service("plugin:search", "read")
		with data.authz.systems as {"plugin:search": ["read"]}
}

test_nobody_else_is_anybody if {
	not authz.allow with input as {}
	not _allowed(object.union(_ann, {"subject": ""}), "read", "group:default/payments")
	not _allowed(object.union(_ann, {"subject": "user:"}), "read", "group:default/payments")
	not _allowed(_ann, "destroy_everything", "group:default/payments")
}

test_reasons_name_the_team_and_the_way_out if {
	_reason(_ann, "submit", "group:default/checkout") == concat(" ", [
		"user:default/ann is not a member of group:default/checkout, so may not ask on its behalf.",
		"Choose a team of yours, or ask group:default/checkout or #platform-team.",
	])
	contains(_reason(_ann, "submit", "payments"), `"payments" is not a team`)
	_reason(_service("plugin:scaffolder", ""), "submit", "group:default/payments") == concat(" ", [
		"plugin:scaffolder may not ask for anything: only a person may.",
		"Sign in, or pass the user's token along.",
	])
	_reason(_pat, "open_credentials", "group:default/payments") == concat(" ", [
		"Only members of group:default/payments may open these credentials.",
		"Ask one of them.",
	])
	_reason(_ann, "cancel", "group:default/checkout") == concat(" ", [
		"Only members of group:default/checkout and the platform team may cancel this.",
		"Ask one of them, or #platform-team.",
	])
	_reason(_ann, "list_all", "") == concat(" ", [
		"Only group:default/platform-team sees every team's requests.",
		"List your own teams', or ask #platform-team.",
	])
	contains(_reason(_ann, "feed", ""), "plugin:catalog")
	contains(_reason(_ann, "read", ""), "may not do this (read). Ask #platform-team.")
	contains(_reason(_pat, "open_credentials", ""), "may not do this (open_credentials)")
	contains(_reason(_service("plugin:search", ""), "read", "group:default/payments"), "the platform team may read")
	contains(_reason(_ann, "purge", "group:default/payments"), "may not do this (purge)")
	contains(_reason(_ann, "destroy_everything", ""), "may not do this (destroy_everything)")
}

test_only_a_person_of_the_approving_group_approves if {
	_allowed(_pat, "approve", "group:default/platform-team")
	_allowed(_ann, "approve", "group:default/payments")
	not _allowed(_pat, "approve", "group:default/payments")
	not _allowed(_service("plugin:scaffolder", "approve"), "approve", "group:default/payments")
	not _allowed(_service("system:sweep", "approve"), "approve", "group:default/payments")
	_reason(_ann, "approve", "group:default/platform-team") == "Only members of group:default/platform-team may approve this. Ask one of them."
}

test_a_service_lists_nothing_even_with_the_platform_teams_group if {
	service := object.union(_service("plugin:scaffolder", "list_all"), {"groups": ["group:default/platform-team"]})
	not _allowed(service, "list_all", "")
}

test_reasons_never_name_an_empty_owner if {
	every verb in {"open_credentials", "approve"} {
		not contains(_reason(_ann, verb, ""), "members of  may")
	}
}

test_a_service_approves_nothing_even_with_the_groups if {
	service := object.union(_service("plugin:scaffolder", "approve"), {"groups": ["group:default/payments"]})
	not _allowed(service, "approve", "group:default/payments")
}

_pipeline := {
	"subject": "ci:acme/orders",
	"groups": [],
	"verb": "submit",
	"owner": "group:default/payments",
	"environment": "dev",
	"ci": {
		"repository": "acme/orders",
		"pull_request": 42,
		"owner": "group:default/payments",
		"action": "create",
		"preview": {"repository": "acme/orders", "pull_request": 42, "base": "staging"},
	},
}

# _piped is whether the pipeline may, with these changes by path.
_piped(changes) if {
	patches := [{"op": "replace", "path": path, "value": value} | some path, value in changes]
	authz.allow with input as json.patch(_pipeline, patches)
}

test_a_pipeline_makes_keeps_and_ends_its_own_previews if {
	every action in ["create", "extend", "destroy"] {
		_piped({"/ci/action": action})
	}
	_piped({"/verb": "read"})
	_piped({"/verb": "cancel"})
	_piped({"/verb": "clone", "/environment": "staging"})
}

test_a_pipeline_asks_for_nothing_else_of_them if {
	every action in ["", "update", "upgrade", "hand_over", "rotate", "import", "revert", "adopt"] {
		not _piped({"/ci/action": action})
	}
	every verb in ["open_credentials", "list_all", "approve", "feed", "pause", "check_drift", "expire", "read_budget"] {
		not _piped({"/verb": verb})
	}
}

test_a_pipeline_does_nothing_by_a_verb_that_is_not_asked if {
	every verb in ["open_credentials", "check_drift", "expire"] {
		not _piped({"/verb": verb, "/ci/action": "destroy"})
		not _piped({"/verb": verb, "/environment": "staging"})
	}
}

test_a_pipeline_reaches_no_other_pull_request if {
	every verb in ["submit", "read", "cancel"] {
		not _piped({"/verb": verb, "/ci/preview/pull_request": 43})
		not _piped({"/verb": verb, "/ci/preview/repository": "acme/billing"})
		not _piped({"/verb": verb, "/owner": "group:default/search"})
		not authz.allow with input as json.remove(object.union(_pipeline, {"verb": verb}), ["/ci/preview"])
	}
	not _piped({"/ci/action": "destroy", "/ci/preview/pull_request": 43})
	not _piped({"/verb": "clone", "/environment": "staging", "/ci/preview/pull_request": 43})
}

test_a_pipeline_that_speaks_for_its_repository_reaches_each_pull_request if {
	_piped({"/ci/pull_request": 0, "/ci/preview/pull_request": 43})
	not _piped({"/ci/pull_request": 0, "/ci/preview/repository": "acme/billing"})
}

test_a_pipeline_makes_previews_where_and_of_what_the_list_says if {
	every action in ["create", "extend"] {
		not _piped({"/ci/action": action, "/environment": "prod"})
		not _piped({"/ci/action": action, "/ci/preview/base": "prod"})
	}
	not _piped({"/verb": "clone", "/environment": "prod"})
	_piped({"/ci/action": "destroy", "/environment": "prod"})
}

test_a_pipeline_acts_for_a_team_only if {
	not _piped({"/owner": "user:default/ann", "/ci/owner": "user:default/ann"})
}

test_nobody_passes_for_a_pipeline if {
	not _piped({"/subject": "ci:acme/billing"})
	not _piped({"/subject": "plugin:scaffolder"})
	not authz.allow with input as json.remove(_pipeline, ["/ci"])
}

test_a_pipeline_is_told_what_it_may if {
	said := authz.reason with input as json.patch(_pipeline, [{"op": "replace", "path": "/environment", "value": "prod"}])
	said == concat("", [
		"ci:acme/orders may ask for ephemeral environments of its pull requests alone (number 42), for group:default/payments, ",
		"copied from staging and made in dev; this is none. Ask #platform-team.",
	])
	each := authz.reason with input as json.patch(_pipeline, [{"op": "replace", "path": "/ci/pull_request", "value": 0}])
	contains(each, "(each of them)")
}

test_people_clone_what_their_team_has if {
	_allowed(_ann, "clone", "group:default/payments")
	_allowed(_pat, "clone", "group:default/payments")
	not _allowed(_ann, "clone", "group:default/search")
	contains(_reason(_ann, "clone", "group:default/search"), "may clone this")
}

test_only_the_platform_team_publishes_versions if {
	_allowed(_pat, "publish", "")
	not _allowed(_ann, "publish", "")
	not authz.allow with input as _service("system:sweep", "publish")
	said := authz.reason with input as object.union(_ann, {"verb": "publish", "owner": "", "environment": ""})
	said == "Only group:default/platform-team publishes, deprecates and withdraws versions of offerings. Ask #platform-team."
}

test_only_the_platform_team_rolls_out if {
	_allowed(_pat, "roll_out", "")
	not _allowed(_ann, "roll_out", "")
	not authz.allow with input as _service("system:campaign", "roll_out")
	said := authz.reason with input as object.union(_ann, {"verb": "roll_out", "owner": "", "environment": ""})
	said == "Only group:default/platform-team rolls versions out. Ask #platform-team."
}

test_campaigns_alone_upgrade_and_do_nothing_else if {
	authz.allow with input as _service("system:campaign", "upgrade")
	not authz.allow with input as _service("system:drift", "upgrade")
	not _allowed(_pat, "upgrade", "group:default/payments")
	every verb in ["submit", "read", "cancel", "expire", "check_drift", "open_credentials", "approve"] {
		not authz.allow with input as _service("system:campaign", verb)
	}
}
