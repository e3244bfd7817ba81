package client

import (
	"context"
	"net/http"
	"time"
)

// ServerTime is what a server's clock said when it answered; it has whole seconds.
// It blocks for at most 5 s and asks once.
func ServerTime(ctx context.Context, baseURL string, options ...Option) (time.Time, error) {
	c, err := New(baseURL, "", options...)
	if err != nil {
		return time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/.well-known/jwks.json", nil)
	if err != nil {
		return time.Time{}, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return time.Time{}, err
	}
	defer response.Body.Close()
	return http.ParseTime(response.Header.Get("Date"))
}
