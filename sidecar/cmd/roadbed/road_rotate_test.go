package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// signIn is why a login of credentials does not work; nil when it does.
func signIn(t *testing.T, credentials map[string]any, username, password string) error {
	t.Helper()
	dsn := fmt.Sprintf("postgres://%s:%s@%s:%v/%s?sslmode=disable", credentials[username], credentials[password], credentials["host"], credentials["port"], credentials["database"])
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		return err
	}
	return conn.Close(context.Background())
}

// wantVoid fails unless both logins are refused for their password.
func wantVoid(t *testing.T, credentials map[string]any) {
	t.Helper()
	for username, password := range map[string]string{"username": "password", "monitor_username": "monitor_password"} {
		var refused *pgconn.PgError
		if err := signIn(t, credentials, username, password); !errors.As(err, &refused) || refused.Code != "28P01" {
			t.Errorf("the old password of %v: %v, want it refused", credentials[username], err)
		}
	}
}

// TestRoadRotate makes the credentials of a database that is in use anew: the
// old ones are void, what is in it stays, and a later update leaves the new ones.
func TestRoadRotate(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	owner := r.as(ann)
	submission := r.submission("dev")
	name, _ := submission.Parameters["database_name"].(string)
	made := r.submit(submission)
	r.untilState(made.Id, provision.Succeeded)
	old, err := owner.Credentials(t.Context(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, old, "username", "password")

	if _, err := r.as(ben).Rotate(t.Context(), uuid.NewString(), *made.InstanceId); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team rotates: %v, want a denial", err)
	}
	rotation, err := owner.Rotate(t.Context(), uuid.NewString(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(rotation.Id, provision.Succeeded)
	wantVoid(t, old)
	fresh, err := owner.Credentials(t.Context(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, fresh, "monitor_username", "monitor_password") // reads what was written before
	if err := signIn(t, fresh, "username", "password"); err != nil {
		t.Errorf("the new password of the owner: %v", err)
	}

	update, err := owner.Update(t.Context(), uuid.NewString(), *made.InstanceId, provision.Parameters{"storage_gb": 120})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(update.Id, provision.Succeeded)
	if err := signIn(t, fresh, "username", "password"); err != nil {
		t.Errorf("after an update the password that was rotated to: %v", err)
	}
	r.wantMade(name, 1, 2)
	r.audit()
}
