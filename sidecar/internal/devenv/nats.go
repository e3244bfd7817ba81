package devenv

import (
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// store is more than the limits of all of Roadbed's streams together, in bytes.
const store = 16 << 30

// NATSUser is who may use a server and the subjects that it may use; nil lists
// are all.
type NATSUser struct {
	Name, Password     string
	Publish, Subscribe []string
}

// StartNATS runs a NATS server with JetStream inside this process, on a port of
// loopback, its streams kept in dir. It returns once it takes connections, which
// are users' alone: others share loopback.
func StartNATS(dir string, port int, users ...NATSUser) (*server.Server, error) {
	var known []*server.User
	for _, u := range users {
		user := &server.User{Username: u.Name, Password: u.Password}
		if u.Publish != nil || u.Subscribe != nil {
			user.Permissions = &server.Permissions{
				Publish: &server.SubjectPermission{Allow: u.Publish}, Subscribe: &server.SubjectPermission{Allow: u.Subscribe},
			}
		}
		known = append(known, user)
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: "roadbed-dev", Host: "127.0.0.1", Port: port, Users: known,
		// By itself it takes three quarters of what is free, and a nearly full disk would have no stream of events.
		JetStream: true, StoreDir: dir, JetStreamMaxStore: store, NoSigs: true, NoLog: true, MaxPayload: 256 << 10,
	})
	if err != nil {
		return nil, fmt.Errorf("configure NATS: %w", err)
	}
	go ns.Start()
	if !ns.ReadyForConnections(20 * time.Second) {
		ns.Shutdown()
		return nil, fmt.Errorf("start NATS on port %d: it takes no connections after 20 s", port)
	}
	return ns, nil
}

// NATSURL is how a user reaches a server that StartNATS has started.
func NATSURL(port int, user NATSUser) string {
	return (&url.URL{Scheme: "nats", User: url.UserPassword(user.Name, user.Password), Host: fmt.Sprintf("127.0.0.1:%d", port)}).String()
}
