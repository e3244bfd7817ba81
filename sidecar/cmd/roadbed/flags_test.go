package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithOfferingFlags(t *testing.T) {
	tests := map[string]struct{ args, want string }{
		"a flag with its value":               {"estimate postgres-database --storage-gb 200", "estimate postgres-database --param=storage_gb=200"},
		"a flag joined to its value":          {"request create postgres-database --storage-gb=200", "request create postgres-database --param=storage_gb=200"},
		"a switch stands alone":               {"evaluate postgres-database --multi-az --json", "evaluate postgres-database --param=multi_az=true --json"},
		"a switch may be off":                 {"estimate postgres-database --multi-az=false", "estimate postgres-database --param=multi_az=false"},
		"a value that is missing":             {"estimate postgres-database --storage-gb", "estimate postgres-database --param"},
		"a command's own flags stay":          {"evaluate postgres-database --as user:default/ann -p a=b", "evaluate postgres-database --as user:default/ann -p a=b"},
		"another offering's flags stay":       {"estimate static-site --storage-gb 200", "estimate static-site --storage-gb 200"},
		"an offering that is not there":       {"estimate nothing --storage-gb 200", "estimate nothing --storage-gb 200"},
		"a command that takes no offering":    {"request list --environment dev", "request list --environment dev"},
		"a command without anything after it": {"estimate", "estimate"},
		"a map is given by --param":           {"estimate postgres-database --custom-parameters x=y", "estimate postgres-database --custom-parameters x=y"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := withOfferingFlags(strings.Fields(tt.args))
			if diff := cmp.Diff(strings.Fields(tt.want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}
