package client

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzFrames reads any bytes as a stream of events: it ends, in order or with a
// fault, and gives no event without data.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		"retry: 2000\n\nid: 1\nevent: queued\ndata: {}\n\n", ":\n\n:\n\n", "id: -1\ndata: a\ndata: b\n\n", "id: 99999999999999999999\n\n", "data", "data:\r\n\r\n", "\x00\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream), func() {})
		for range len(stream) + 1 {
			frame, err := r.next()
			if errors.Is(err, io.EOF) || errors.Is(err, errFrame) {
				return
			}
			if err != nil || frame.data == nil {
				t.Fatalf("%q gave %+v, %v", stream, frame, err)
			}
		}
		t.Fatalf("%q does not end", stream)
	})
}
