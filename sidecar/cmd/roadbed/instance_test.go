package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// orders is a database that has drifted, may be upgraded, and is being changed.
func orders() api.Instance {
	price, busy := provision.Money(85500), "an update goes on"
	ends := time.Date(2026, 3, 9, 12, 0, 0, 0, time.Local)
	return api.Instance{
		Name: "orders", Offering: "postgres-database", OfferingName: "PostgreSQL Database", OfferingVersion: "1.2.0", AvailableVersion: "1.4.0",
		Environment: "dev", State: "changing", ChangesAllowed: &busy, Owner: "group:default/payments", CostCenter: "CC-1234",
		MonthlyCost: &price, Drift: &api.DriftSummary{Title: "storage_gb 100 → 160"}, ExpiresAt: &ends,
		EntityRef: "resource:dev/orders.postgres-database", Parameters: map[string]any{"storage_gb": 100}, Outputs: map[string]any{"port": 5432},
	}
}

func TestPrintInstances(t *testing.T) {
	var out strings.Builder
	if err := instanceListing.print(&out, []api.Instance{orders(), {Name: "page", Offering: "static-site", OfferingVersion: "1.1.0", Environment: "prod", State: "incomplete", Owner: "group:teams/web"}}, false); err != nil {
		t.Fatal(err)
	}
	checkText(t, out.String(), `
INSTANCE    STATE       OFFERING           VERSION                  OWNER            MONTHLY  DRIFT
dev/orders  changing    postgres-database  1.2.0 (1.4.0 available)  payments         $85.50   storage_gb 100 → 160
prod/page   incomplete  static-site        1.1.0                    group:teams/web  -        -
`)
	out.Reset()
	if err := instanceListing.print(&out, nil, false); err != nil {
		t.Fatal(err)
	}
	checkText(t, out.String(), `
There are no instances here. Ask for one with: roadbed request create --help
`)
}

func TestPrintInstance(t *testing.T) {
	var out strings.Builder
	asked := api.Request{
		Id: uuid.MustParse("0199a3c0-0000-7000-8000-000000000001"), State: provision.Applying, Action: provision.Update, Name: "orders",
		Offering: "postgres-database", Environment: "dev", Owner: "group:default/payments", CreatedAt: askedAt,
	}
	printInstance(&out, api.InstanceAnswer{Instance: orders(), Requests: []api.Request{asked}}, askedAt.Add(3*time.Minute))
	checkText(t, out.String(), `
Instance  orders · PostgreSQL Database 1.2.0 (1.4.0 available) · dev
State     changing: an update goes on
Price     $85.50 / month
Owner     group:default/payments, cost center CC-1234
Drift     storage_gb 100 → 160 (roadbed drift get dev/orders)
Ends      Mon 9 Mar 2026 12:00
Entity    resource:dev/orders.postgres-database

Parameters
  storage_gb  100

Outputs
  port  5432

Requests
REQUEST                               STATE     ACTION  NAME    OFFERING           ENVIRONMENT  OWNER     MONTHLY  ASKED
0199a3c0-0000-7000-8000-000000000001  applying  update  orders  postgres-database  dev          payments  -        3 min ago
`)
}
