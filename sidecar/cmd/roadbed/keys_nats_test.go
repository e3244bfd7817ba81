package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/queue"
)

// TestKeysNATSMakesUsersThatAServerTakes makes users, gives them to a server and
// is each of them.
func TestKeysNATSMakesUsersThatAServerTakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create := func(workers ...string) string {
		t.Helper()
		var out, problems bytes.Buffer
		args := []string{"keys", "nats", "--dir", dir}
		for _, w := range workers {
			args = append(args, "--worker", w)
		}
		if code := run(t.Context(), args, &out, &problems); code != exitOK {
			t.Fatalf("roadbed keys nats: %d, %s", code, problems.String())
		}
		text, err := os.ReadFile(filepath.Join(dir, "users.conf"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := create("local/w1")
	users := create("local/w1", "aws/w1")
	if key := strings.Fields(first[strings.Index(first, "nkey:"):])[1]; !strings.Contains(users, key) {
		t.Errorf("the sidecar's key %s was made anew:\n%s", key, users)
	}
	seeds, err := filepath.Glob(filepath.Join(dir, "*.seed"))
	if err != nil || len(seeds) != 4 {
		t.Fatalf("%d seeds, %v; want those of the sidecar, followers and two workers", len(seeds), err)
	}
	for _, file := range seeds {
		seed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(users, strings.TrimSpace(string(seed))) {
			t.Errorf("users.conf holds the seed of %s", file)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want it to be its owner's alone", file, info.Mode(), err)
		}
	}
	writeFile(t, filepath.Join(dir, "nats.conf"), "include users.conf\n")
	options, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	options.Users = append(options.Users, &server.User{Username: "listener", Password: "listener"})
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	ns, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	t.Cleanup(ns.Shutdown)
	if !ns.ReadyForConnections(20 * time.Second) {
		t.Fatal("NATS takes no connections")
	}
	refused := make(chan error, 2)
	as := func(user, inbox string) *nats.Conn {
		t.Helper()
		key, err := nats.NkeyOptionFromSeed(filepath.Join(dir, user+".seed"))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := nats.Connect(ns.ClientURL(), key, nats.CustomInboxPrefix(inbox), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
		if err != nil {
			t.Fatalf("connect as %s: %v", user, err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	if _, err := nats.Connect(ns.ClientURL()); err == nil {
		t.Error("somebody without a key was let in")
	}
	listener, err := nats.Connect(ns.ClientURL(), nats.UserInfo("listener", "listener"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listener.Close)
	heard, err := listener.SubscribeSync("roadbed.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Flush(); err != nil {
		t.Fatal(err)
	}
	sidecar := as("sidecar", queue.SidecarInbox)
	for _, try := range []struct {
		subject string
		may     bool
	}{{"roadbed.job.v1.local.normal", true}, {"$JS.API.STREAM.DELETE.EVENTS", false}} {
		if err := errors.Join(sidecar.Publish(try.subject, nil), sidecar.Flush()); err != nil {
			t.Fatal(err)
		}
		if may := sidecar.LastError() == nil; may != try.may {
			t.Errorf("the sidecar may publish on %s: %t, want %t", try.subject, may, try.may)
		}
	}
	<-refused
	if _, err := heard.NextMsg(10 * time.Second); err != nil {
		t.Errorf("the sidecar's job did not come: %v", err)
	}
	worker := as("worker.local.w1", queue.WorkerInbox("local", "w1"))
	for subject, want := range map[string]bool{"roadbed.rpt.v1.local.w1.run": true, "roadbed.rpt.v1.aws.w1.run": false} {
		if err := worker.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		if err := worker.Flush(); err != nil {
			t.Fatal(err)
		}
		if want {
			if _, err := heard.NextMsg(10 * time.Second); err != nil {
				t.Errorf("what the worker published on %s did not come: %v", subject, err)
			}
			continue
		}
		select {
		case err := <-refused:
			if !strings.Contains(err.Error(), subject) {
				t.Errorf("refused was %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("the worker of local could publish on %s", subject)
		}
	}
}
