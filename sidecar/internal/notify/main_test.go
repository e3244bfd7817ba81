package notify

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
