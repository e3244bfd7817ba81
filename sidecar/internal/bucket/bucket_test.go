package bucket_test

import (
	"bytes"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/bucket"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func open(t *testing.T, address string) (*bucket.Bucket, *testkit.S3Server) {
	t.Helper()
	server := testkit.S3(t)
	for name, value := range server.Variables() {
		t.Setenv(name, value)
	}
	b, err := bucket.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return b, server
}

func TestWhatIsPutIsGotUnderThePrefix(t *testing.T) {
	b, server := open(t, "s3://platform-state/databases/")
	body := bytes.Repeat([]byte{0, 1, 0xff}, 100_000)
	place, err := b.Put(t.Context(), "dev/orders.age", body)
	if err != nil || place != "s3://platform-state/databases/dev/orders.age" {
		t.Fatalf("it is put at %q (%v)", place, err)
	}
	if got := server.Objects()["/platform-state/databases/dev/orders.age"]; !bytes.Equal(got, body) {
		t.Errorf("of %d bytes %d are kept", len(body), len(got))
	}
	another, _ := open(t, "s3://platform-state/elsewhere")
	if _, err := another.Get(t.Context(), place); provision.KindOf(err) != provision.NotFound {
		t.Errorf("on another server it is %v, want not found", err)
	}
	got, err := b.Get(t.Context(), place)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("got %d bytes of %d (%v)", len(got), len(body), err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

func TestABucketThatIsAwayIsUnavailable(t *testing.T) {
	b, server := open(t, "s3://platform-state")
	server.SetDown(true)
	if _, err := b.Put(t.Context(), "a", []byte("x")); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("put: %v, want unavailable", err)
	}
	if _, err := b.Get(t.Context(), "s3://platform-state/a"); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("get: %v, want unavailable", err)
	}
	if err := b.Check(t.Context()); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("check: %v, want unavailable", err)
	}
}

func TestWhatIsNoPlaceInS3IsInvalid(t *testing.T) {
	for _, address := range []string{"", "platform-state", "https://platform-state.s3.amazonaws.com", "s3://", "s3://me:secret@platform-state", "s3://platform-state?region=x"} {
		if _, err := bucket.Open(t.Context(), address); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%q: %v, want invalid", address, err)
		}
	}
}
