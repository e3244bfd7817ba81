package terraform_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

const threeResources = `{"version": 4, "terraform_version": "1.14.0", "serial": 7, "lineage": "l-1", "future": {"kept": 12345678901234567890},
	"outputs": {"host": {"value": "db", "type": "string"}, "password": {"value": "hush", "type": "string", "sensitive": true}},
	"resources": [
		{"mode": "data", "type": "a", "name": "b", "provider": "p", "instances": [{"attributes": {}}]},
		{"mode": "managed", "type": "a", "name": "b", "provider": "p", "instances": [{"attributes": {"size": 1}}]},
		{"module": "module.m", "mode": "managed", "type": "a", "name": "c", "provider": "p", "instances": [{"index_key": "x", "attributes": {}}, {"index_key": "y", "attributes": {}}]}
	]}`

func TestWithoutTakesOneResourceOutOfAState(t *testing.T) {
	t.Parallel()
	files := terraform.StateFiles{}
	tests := map[string]string{
		"a resource":             "a.b",
		"one of many in modules": `module.m.a.c["x"]`,
	}
	for name, removed := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rest, err := files.Without([]byte(threeResources), removed)
			if err != nil {
				t.Fatal(err)
			}
			got, err := files.Summary(rest)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := files.Summary([]byte(threeResources))
			if err != nil {
				t.Fatal(err)
			}
			want := whole
			want.Serial, want.Addresses = 8, nil
			for _, address := range whole.Addresses {
				if address != removed {
					want.Addresses = append(want.Addresses, address)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the rest (-want +got):\n%s", diff)
			}
			if again, err := files.Without(rest, removed); provision.KindOf(err) != provision.NotFound {
				t.Errorf("without it again: %s %v, want not found", again, err)
			}
		})
	}
	if _, err := files.Without([]byte(threeResources), "a.c"); provision.KindOf(err) != provision.NotFound {
		t.Errorf("without what it does not have: %v, want not found", err)
	}
}

func TestInStateAlone(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"random_password.main": true, "terraform_data.content": true, `module.a["x"].tls_private_key.k`: true, "time_sleep.wait": true,
		"postgres_database.main": false, "aws_db_instance.main[0]": false, `module.a["x.y"].aws_vpc.main`: false,
	} {
		if got := terraform.InStateAlone(address); got != want {
			t.Errorf("InStateAlone(%s) = %v", address, got)
		}
	}
}
