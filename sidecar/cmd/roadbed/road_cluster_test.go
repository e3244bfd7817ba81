package main

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestNATSLeaderLost is law 10 over a cluster of three: the server that leads the
// workers' reports goes in the middle of a run, with its disk, and nobody notices
// but the other two. When it is back, empty, the next leader goes.
func TestNATSLeaderLost(t *testing.T) {
	t.Parallel()
	cluster := testkit.NATSCluster(t, "local.w1")
	r := newRoad(t, options{delay: "2s", cluster: cluster, serve: []string{"--nats-replicas", "3"}})
	r.startWorker("w1")
	r.warm()
	asked := 0
	for _, stream := range []string{"REPORTS", "EVENTS"} {
		request := r.submit(r.submission("dev"))
		r.untilMaking(request.Id)
		leader := r.leader(stream)
		leader.Stop()
		leader.WipeData()
		began := time.Now()
		during, err := r.patient(ann).Submit(t.Context(), uuid.NewString(), r.submission("dev"))
		if err != nil {
			t.Fatalf("ask with two servers of three: %v", err)
		}
		r.untilState(request.Id, provision.Succeeded)
		r.untilState(during.Id, provision.Succeeded)
		t.Logf("the leader of %s lost: both requests had ended after %s", stream, time.Since(began).Round(100*time.Millisecond))
		r.wantMade(request.Parameters["database_name"], 1, 2)
		r.wantMade(during.Parameters["database_name"], 1, 2)
		asked += 2
		r.wantApplies(asked)
		leader.Start()
		r.until("every stream has three copies again", r.copied)
	}
	r.audit()
	r.wantPublished()
	stands, err := queue.Examine(t.Context(), queue.Config{URL: r.nats.URL(), Replicas: 3})
	if err != nil || len(stands.Single) > 0 {
		t.Errorf("of three copies wanted, fewer are of %v (%v)", stands.Single, err)
	}
}

// leader is the server that leads a stream.
func (r *road) leader(stream string) *testkit.NATSServer {
	r.t.Helper()
	var leads *testkit.NATSServer
	r.until("the stream has a leader", func() bool {
		info := r.info(stream)
		for _, server := range r.options.cluster {
			if info != nil && info.Cluster.Leader == server.Name() {
				leads = server
			}
		}
		return leads != nil
	})
	return leads
}

// copied reports whether every stream has three copies that are whole.
func (r *road) copied() bool {
	for _, stream := range []string{"JOBS", "REPORTS", "LOGS", "EVENTS"} {
		info := r.info(stream)
		if info == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != 2 {
			return false
		}
		for _, peer := range info.Cluster.Replicas {
			if peer.Offline || !peer.Current {
				return false
			}
		}
	}
	return true
}

// info is how a stream stands; nil while nobody says.
func (r *road) info(name string) *jetstream.StreamInfo {
	js, err := jetstream.New(r.heard.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	stream, err := js.Stream(r.t.Context(), name)
	if err != nil || stream.CachedInfo().Cluster == nil {
		return nil
	}
	return stream.CachedInfo()
}
