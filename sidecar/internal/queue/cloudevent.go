package queue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// source is the CloudEvents source of every event; ids are unique within it.
const source = "/roadbed"

// eventMessage is an event as a CloudEvent 1.0 in binary mode: attributes are
// headers, the body is its data. Sequence is padded with zeros, because the
// sequence extension is compared as text.
func eventMessage(e provision.Event) (*nats.Msg, error) {
	for _, part := range []string{e.Entity, e.Verb, e.Environment} {
		if _, err := token("event "+e.ID.String()+": name", part); err != nil {
			return nil, err
		}
	}
	data := e.Data
	if data == nil {
		data = map[string]any{}
	}
	body, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	msg := nats.NewMsg(e.Subject())
	msg.Data = body
	for name, value := range map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              e.ID.String(),
		"ce-source":          source,
		"ce-type":            e.Type(),
		"ce-subject":         e.SubjectID.String(),
		"ce-time":            e.At.UTC().Format(time.RFC3339Nano),
		"ce-datacontenttype": "application/json",
		"ce-sequence":        fmt.Sprintf("%020d", e.Sequence),
		"content-type":       "application/json",
		nats.MsgIdHdr:        e.ID.String(),
	} {
		msg.Header[name] = []string{value}
	}
	return msg, nil
}

// readEvent is eventMessage backwards.
func readEvent(subject string, header nats.Header, body []byte) (provision.Event, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 7 {
		return provision.Event{}, provision.Errorf(provision.Invalid, "%s is not the subject of an event", subject)
	}
	e := provision.Event{Entity: parts[3], Verb: parts[4], Environment: parts[5]}
	var err error
	if e.SubjectID, err = uuid.Parse(parts[6]); err != nil {
		return e, provision.Errorf(provision.Invalid, "subject %s: %w", subject, err)
	}
	if e.ID, err = uuid.Parse(header.Get("ce-id")); err != nil {
		return e, provision.Errorf(provision.Invalid, "event on %s: ce-id: %w", subject, err)
	}
	if e.Sequence, err = strconv.ParseInt(header.Get("ce-sequence"), 10, 64); err != nil {
		return e, provision.Errorf(provision.Invalid, "event %s: ce-sequence: %w", e.ID, err)
	}
	if e.At, err = time.Parse(time.RFC3339, header.Get("ce-time")); err != nil {
		return e, provision.Errorf(provision.Invalid, "event %s: ce-time: %w", e.ID, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // amounts of money stay as they are written
	if err := decoder.Decode(&e.Data); err != nil {
		return e, provision.Errorf(provision.Invalid, "event %s: data: %w", e.ID, err)
	}
	return e, nil
}
