package queue

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/api"
)

// Validate holds a message against asyncapi.yaml: the subject has a channel, its
// parts agree with the message, and headers and payload are as described, with
// no field of the payload that is not. Tests validate whatever they publish.
func Validate(subject string, header map[string][]string, payload []byte) error {
	channels, err := channels()
	if err != nil {
		return err
	}
	headers := map[string]any{}
	for name, values := range header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("message on %s: its payload is not JSON: %w", subject, err)
	}
	for _, c := range channels {
		if parts := c.address.FindStringSubmatch(subject); parts != nil {
			if err := c.validate(parts, headers, body); err != nil {
				return fmt.Errorf("message on %s: %w", subject, err)
			}
			return nil
		}
	}
	return fmt.Errorf("message on %s: no channel has this address", subject)
}

// channel is what asyncapi.yaml says of an address.
type channel struct {
	name     string
	address  *regexp.Regexp // one group for each parameter
	messages []messageSchema
}

type messageSchema struct {
	name             string // of events: their type
	headers, payload *jsonschema.Schema
}

func (c channel) validate(parts []string, headers map[string]any, body any) error {
	at := 0
	fields, _ := body.(map[string]any)
	last := parts[len(parts)-1]
	switch {
	case c.name == "events":
		want := fmt.Sprintf("dev.roadbed.%s.%s.v1", parts[1], parts[2])
		if at = slices.IndexFunc(c.messages, func(m messageSchema) bool { return m.name == want }); at < 0 {
			return fmt.Errorf("no event of type %s is described", want)
		}
		if headers["ce-subject"] != last || headers["nats-msg-id"] != headers["ce-id"] {
			return fmt.Errorf("the headers %v are not those of this subject", headers)
		}
	case c.name != "jobs" && fields["run_id"] != last:
		return fmt.Errorf("the payload is of run %v", fields["run_id"])
	}
	if err := c.messages[at].headers.Validate(headers); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	if err := c.messages[at].payload.Validate(body); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	return nil
}

// channels is asyncapi.yaml, read once.
var channels = sync.OnceValues(func() ([]channel, error) {
	var spec struct {
		Channels map[string]struct {
			Address  string
			Messages map[string]struct {
				Ref string `yaml:"$ref"`
			}
		}
		Components struct {
			Messages map[string]struct{ Name string }
		}
	}
	var document any
	for _, into := range []any{&spec, &document} {
		if err := yaml.Unmarshal(api.AsyncAPI, into); err != nil {
			return nil, fmt.Errorf("read asyncapi.yaml: %w", err)
		}
	}
	closeObjects(document.(map[string]any)["components"].(map[string]any)["schemas"])
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	compiler.AssertFormat()
	if err := compiler.AddResource("asyncapi.yaml", document); err != nil {
		return nil, fmt.Errorf("read the schemas of asyncapi.yaml: %w", err)
	}
	parameter := regexp.MustCompile(`\\\{[a-z]+\\\}`)
	var read []channel
	for _, name := range slices.Sorted(maps.Keys(spec.Channels)) {
		described := spec.Channels[name]
		address := parameter.ReplaceAllString(regexp.QuoteMeta(described.Address), `([A-Za-z0-9_-]+)`)
		c := channel{name: name, address: regexp.MustCompile("^" + address + "$")}
		for _, message := range described.Messages {
			headers, err := compiler.Compile("asyncapi.yaml" + message.Ref + "/headers")
			if err != nil {
				return nil, fmt.Errorf("read the headers of %s: %w", message.Ref, err)
			}
			payload, err := compiler.Compile("asyncapi.yaml" + message.Ref + "/payload")
			if err != nil {
				return nil, fmt.Errorf("read the payload of %s: %w", message.Ref, err)
			}
			key := strings.TrimPrefix(message.Ref, "#/components/messages/")
			c.messages = append(c.messages, messageSchema{spec.Components.Messages[key].Name, headers, payload})
		}
		read = append(read, c)
	}
	return read, nil
})

// closeObjects forbids undescribed fields wherever fields are described, but for
// headers. Readers must bear new fields, so that asyncapi.yaml does not say it;
// what we write ourselves must be described.
func closeObjects(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		for name, part := range s {
			if !strings.HasSuffix(name, "Headers") {
				closeObjects(part)
			}
		}
		if _, described := s["properties"]; described && s["type"] == "object" {
			s["additionalProperties"] = false
		}
	case []any:
		for _, part := range s {
			closeObjects(part)
		}
	}
}
