package offering_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// prices are the real ones: the price book as built in.
func prices(t testing.TB) offering.Prices {
	t.Helper()
	text, err := policies.FS.ReadFile("data/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	book, err := cost.ParseBook(text)
	if err != nil {
		t.Fatal(err)
	}
	return cost.New(book)
}

func TestTheShippedDatabaseCostsWhatTheFoundingOneDoes(t *testing.T) {
	founding, _, err := offering.Load(folder("postgres-database", map[string]string{"offering.yaml": document(t)}), "postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	_, shipped := builtin(t, "postgres-database")
	p, random := prices(t), rand.New(rand.NewPCG(3, 4))
	classes := []string{"db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"}
	for range 500 {
		request := provision.Parameters{
			"instance_class": classes[random.IntN(4)], "storage_gb": 20 + random.Int64N(981),
			"backup_retention_days": 1 + random.Int64N(35), "multi_az": random.IntN(2) == 1,
		}
		want, err := p.Price(founding.Offering, request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Price(shipped, request)
		if err != nil || got.MonthlyCost != want.MonthlyCost {
			t.Fatalf("%v costs %s, %v; want %s", request, got.MonthlyCost, err, want.MonthlyCost)
		}
	}
}

func TestTheShippedDatabaseSplitsItsPrice(t *testing.T) {
	_, o := builtin(t, "postgres-database")
	got, err := prices(t).Price(o, provision.Parameters{"multi_az": true})
	if err != nil {
		t.Fatal(err)
	}
	want := []provision.CostItem{
		{Name: "compute", MonthlyCost: 60_000}, {Name: "storage", MonthlyCost: 11_500},
		{Name: "backup", MonthlyCost: 14_000}, {Name: "multi-AZ", MonthlyCost: 85_500},
	}
	if diff := cmp.Diff(want, got.Items); diff != "" || got.MonthlyCost.String() != "$171.00" {
		t.Errorf("%s, items differ (-want +got):\n%s", got.MonthlyCost, diff)
	}
}
