package backstage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// UserKeys is nil when the keys that people's tokens are verified with can be
// read, and there is one. It blocks for at most 5 s.
func UserKeys(ctx context.Context, discovery *Discovery) error {
	base, err := discovery.URL("auth")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	address := base + "/.well-known/jwks.json"
	status, body, err := get(ctx, newHTTPClient(), address, "")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answered %d", address, status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) == 0 {
		return fmt.Errorf("%s holds no key", address)
	}
	return nil
}

// Accepts is the status with which a plugin answers a GET that carries a token of
// our own. To answer anything but 401 it has found our key set by its own
// discovery. It blocks for at most 5 s.
func Accepts(ctx context.Context, discovery *Discovery, signer *Signer, plugin, path string) (status int, err error) {
	base, err := discovery.URL(plugin)
	if err != nil {
		return 0, err
	}
	token, err := signer.Token(plugin)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	status, _, err = get(ctx, newHTTPClient(), base+path, token)
	return status, err
}
