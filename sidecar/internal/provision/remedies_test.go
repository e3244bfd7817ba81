package provision

import "testing"

func TestEveryRemedyHelpsAgainstWhatIsSaid(t *testing.T) {
	t.Parallel()
	// What PostgreSQL, Terraform and AWS say, to the remedy by name.
	said := map[string]string{
		"Error acquiring the state lock: Lock Info: ID: 6f2":                                                       "state lock",
		`FATAL: password authentication failed for user "roadbed" (SQLSTATE 28P01)`:                                "login refused",
		`FATAL: no pg_hba.conf entry for host "10.0.0.1", user "x"`:                                                "login refused",
		"api error InvalidClientTokenId: The security token included in the request is invalid.":                   "login refused",
		"FATAL: sorry, too many clients already (SQLSTATE 53300)":                                                  "no connection free",
		"FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute":                    "no connection free",
		`ERROR: could not extend file "base/1/2": No space left on device (SQLSTATE 53100)`:                        "disk full",
		"write /tmp/plan: no space left on device":                                                                 "disk full",
		"InstanceQuotaExceeded: Request would result in exceeding your quota of DB instances":                      "quota",
		"api error DBInstanceLimitExceeded":                                                                        "quota",
		"api error InsufficientDBInstanceCapacity: no capacity in eu-west-1a":                                      "quota",
		"api error Throttling: Rate exceeded":                                                                      "throttled",
		`ERROR: database "orders" is being accessed by other users (SQLSTATE 55006)`:                               "in use",
		`ERROR: role "orders_owner" cannot be dropped because some objects depend on it (SQLSTATE 2BP01)`:          "in use",
		"api error DependencyViolation: resource sg-1 has a dependent object":                                      "in use",
		"Cannot delete protected DB Instance, please disable deletion protection and try again.":                   "protected",
		"Instance cannot be destroyed: Resource aws_db_instance.this has lifecycle.prevent_destroy set":            "protected",
		`ERROR: database "orders_12ab34cd" already exists (SQLSTATE 42P04)`:                                        "already exists",
		"api error DBInstanceAlreadyExists: DB instance already exists":                                            "already exists",
		"ERROR: permission denied to create database (SQLSTATE 42501)":                                             "permission",
		"ERROR: must be owner of database orders (SQLSTATE 42501)":                                                 "permission",
		"api error AccessDenied: User: arn:aws:iam::1:user/x is not authorized to perform: rds:CreateDBInstance":   "permission",
		"Error: Failed to query available provider packages":                                                       "provider missing",
		"failed to connect: dial tcp 127.0.0.1:5432: connect: connection refused":                                  "unreachable",
		"dial tcp: lookup db.internal: no such host":                                                               "unreachable",
		"init and plan did not end within 15m0s; see the run's log for what they waited for":                       "timeout",
		"ERROR: canceling statement due to lock timeout":                                                           "timeout",
		"timeout while waiting for state to become 'available' (last state: 'creating', timeout: 40m0s)":           "timeout",
		"Error: Invalid value for variable: storage_gb must be at least 20":                                        "value refused",
		"api error InvalidParameterCombination: RDS does not support creating a DB instance with this combination": "value refused",
		"ERROR: the platform says something that nobody has heard before":                                          "",
		"": "",
	}
	wayOut := map[string]string{"": ""}
	for _, r := range remedies {
		wayOut[r.name] = r.wayOut
	}
	helped := map[string]bool{}
	for text, name := range said {
		want, known := wayOut[name]
		if got := Remedy(text); got != want || !known {
			t.Errorf("against %q:\n got %q\nwant %q (%s)", text, got, want, name)
		}
		helped[name] = true
	}
	for _, r := range remedies {
		if !helped[r.name] {
			t.Errorf("no example is helped by %q", r.name)
		}
	}
}
