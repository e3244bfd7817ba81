package devenv

import (
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// StartNATS runs a NATS server with JetStream inside this process, on a port of
// loopback, its streams kept in dir. It returns once it takes connections.
// token guards it: other users of the machine share loopback.
func StartNATS(dir string, port int, token string) (*server.Server, error) {
	ns, err := server.NewServer(&server.Options{
		ServerName: "roadbed-dev", Host: "127.0.0.1", Port: port, Authorization: token,
		JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, MaxPayload: 256 << 10,
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

// NATSURL is how to reach a server that StartNATS has started.
func NATSURL(port int, token string) string {
	return (&url.URL{Scheme: "nats", User: url.User(token), Host: fmt.Sprintf("127.0.0.1:%d", port)}).String()
}
