package backstage

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenFor is a token for a call to the plugin called target on behalf of the
// user whose limited token is given; it ends with that.
func (s *Signer) tokenFor(target, limited string, ends time.Time) (string, error) {
	now := s.now()
	token, err := signES256(s.key, s.kid, typPlugin, jwt.MapClaims{
		"sub": s.plugin, "aud": target, "iat": now.Unix(), "exp": earlier(ends, now.Add(tokenFor)).Unix(), "obo": limited,
	})
	if err != nil {
		return "", fmt.Errorf("sign token for plugin %s: %w", target, err)
	}
	return token, nil
}
