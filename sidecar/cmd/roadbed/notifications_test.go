package main

import (
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestNoticesThatWereGivenUpAreListedAndRetried(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store, err := postgres.Open(dsn, postgres.Options{Notable: func(e provision.Event) bool { return e.Verb == "submitted" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	record := testkit.Created("orders", nil)
	if err := store.Accept(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	event := record.Events()[0]
	if err := store.RouteNotice(t.Context(), event.ID, []string{"ops", "team"}); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"ops", "team"} {
		if err := store.NoticeFailed(t.Context(), event.ID, channel, "it answered 404", -1); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"failed"}, "ops  dev.roadbed.request.submitted.v1  " + event.ID.String() + "  1 attempts: it answered 404"},
		{[]string{"failed"}, "2 given up"},
		{[]string{"failed", "--json"}, `"channel": "team"`},
		{[]string{"retry", "--channel", "ops"}, "1 are sent again"},
		{[]string{"failed"}, "1 given up"},
		{[]string{"retry", "--event", event.ID.String()}, "1 are sent again"},
		{[]string{"failed"}, "0 given up"},
	} {
		args := append([]string{"notifications"}, step.args...)
		if out, code := roadbed(t, append(args, "--database", dsn)...); code != exitOK || !strings.Contains(out, step.want) {
			t.Errorf("%v: exit %d, want %q in\n%s", step.args, code, step.want, out)
		}
	}
	due, err := store.ClaimNotices(t.Context(), "team", 10, time.Hour)
	if err != nil || len(due) != 1 || due[0].Attempts != 0 || due[0].Event.ID != event.ID {
		t.Errorf("due: %+v, %v", due, err)
	}
	if again, err := store.ClaimNotices(t.Context(), "team", 10, time.Hour); err != nil || len(again) != 0 {
		t.Errorf("claimed twice: %+v, %v", again, err)
	}
}
