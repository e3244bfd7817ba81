package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestJournalKeepsEachReportOnceUntilAGoodEnd also repeats a report that counts
// no more, because its run has ended.
func TestJournalKeepsEachReportOnceUntilAGoodEnd(t *testing.T) {
	t.Parallel()
	store := open(t)
	record := claimed(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	request, instance := record.Request.ID, record.Instance.ID
	change(t, store, request, func(r *provision.Record) error { return r.GoOn(testkit.Verdict()) })
	sealed := []byte("an id, sealed")
	say := func(sequence int64, address, status, id string) {
		t.Helper()
		change(t, store, request, func(r *provision.Record) error {
			_, err := r.Take(provision.Report{
				RunID: record.Run.ID, Worker: record.Run.Worker, Fence: record.Run.Fence, Sequence: sequence, Kind: provision.ReportAddress,
				Address: address, Action: "create", Status: status, ResourceID: id, SealedID: map[bool][]byte{true: sealed}[status == "completed" && id == ""],
			})
			return err
		})
	}
	for range 2 {
		say(1, "terraform_data.database", "started", "")
		say(2, "terraform_data.database", "completed", "db-1")
	}
	change(t, store, request, func(r *provision.Record) error {
		r.Run.LeaseExpiresAt = r.Now()
		if err := r.Expire(); err != nil {
			return err
		}
		if err := r.Attest("user:default/pat", "its machine is gone"); err != nil {
			return err
		}
		return r.NoteByHand("user:default/pat", "terraform_data.user", "u-1", "found by its tag")
	})
	for range 2 {
		say(3, "terraform_data.grant", "completed", "")
	}
	want := []provision.JournalEntry{
		{RunID: record.Run.ID, Fence: 1, Sequence: 1, Address: "terraform_data.database", Did: provision.DidBegin},
		{RunID: record.Run.ID, Fence: 1, Sequence: 2, Address: "terraform_data.database", Did: provision.DidMake, ResourceID: "db-1"},
		{Fence: 1, Address: "terraform_data.user", Did: provision.DidMake, ResourceID: "u-1", By: "user:default/pat", Reason: "found by its tag"},
		{RunID: record.Run.ID, Fence: 1, Sequence: 3, Address: "terraform_data.grant", Did: provision.DidMake, SealedID: sealed, Sealed: true},
	}
	got, err := store.Journal(t.Context(), instance)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(provision.JournalEntry{}, "At")); diff != "" {
		t.Errorf("the journal (-want +got):\n%s", diff)
	}
	change(t, store, request, func(r *provision.Record) error {
		return r.Conclude("user:default/pat", provision.ResultSucceeded, "seen by hand", nil)
	})
	if got, err := store.Journal(t.Context(), instance); err != nil || len(got) != 0 {
		t.Errorf("after a good end %d entries are left, %v", len(got), err)
	}
	isGapless(t, store, request, change(t, store, request, func(*provision.Record) error { return nil }).Request.Sequence)
}
