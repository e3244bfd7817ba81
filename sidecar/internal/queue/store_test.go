package queue

import "testing"

func TestTheStoreHoldsEveryStream(t *testing.T) {
	t.Parallel()
	var sum int64
	for _, stream := range streams(1) {
		sum += stream.MaxBytes
	}
	if sum != Store {
		t.Errorf("the streams reserve %d bytes, and servers are asked for %d", sum, Store)
	}
}
