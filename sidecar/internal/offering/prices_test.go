package offering_test

import (
	"testing"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/cost"
	"roadbed.dev/roadbed/sidecar/internal/offering"
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
