package offering

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// strictly decodes a node without unknown fields, for what is read by hand.
func strictly(node *yaml.Node, target any) error {
	text, err := yaml.Marshal(node)
	if err != nil {
		return fault(node, "%s", err.Error())
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(target); err != nil {
		problems := yamlProblems(err)
		return fault(node, "%s", problems[0].Message)
	}
	return nil
}

// fault is an error that the decoder collects instead of stopping at it.
func fault(node *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %s", node.Line, fmt.Sprintf(format, args...))}}
}

// decode reads one strict YAML document into target and gives every fault with
// its line.
func decode(text []byte, target any) (*yaml.Node, []Problem) {
	root := &yaml.Node{}
	if err := yaml.Unmarshal(text, root); err != nil {
		return root, yamlProblems(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(target); err != nil {
		if errors.Is(err, io.EOF) {
			return root, []Problem{{Message: "the file is empty"}}
		}
		return root, yamlProblems(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return root, []Problem{{Message: "the file has more than one document", WayOut: "keep the first"}}
	}
	return root, nil
}

func yamlProblems(err error) []Problem {
	texts := []string{err.Error()}
	var many *yaml.TypeError
	if errors.As(err, &many) {
		texts = many.Errors
	}
	var problems []Problem
	for _, text := range texts {
		problem := Problem{Message: strings.TrimPrefix(text, "yaml: ")}
		if m := linePattern.FindStringSubmatch(text); m != nil {
			problem.Line, _ = strconv.Atoi(m[1])
			problem.Message = m[2]
		}
		if m := unknownPattern.FindStringSubmatch(problem.Message); m != nil {
			problem.Message, problem.WayOut = fmt.Sprintf("there is no field %s here", m[1]), "check its spelling and its indentation"
		}
		if m := typePattern.FindStringSubmatch(problem.Message); m != nil {
			problem.Message = strings.TrimSpace(strings.ReplaceAll(m[1], "`", `"`) + " is not " + kindOfGo(m[2]))
		}
		problems = append(problems, problem)
	}
	return problems
}

func kindOfGo(name string) string {
	switch {
	case name == "int64":
		return "a whole number"
	case name == "bool":
		return "true or false"
	case name == "time.Duration":
		return "a duration such as 30m"
	case name == "string":
		return "a text"
	case strings.HasPrefix(name, "[]"):
		return "a list"
	default:
		return "a mapping"
	}
}

// lineOf is where a key or list entry of a decoded file stands, as far as the
// path can be followed.
func lineOf(root *yaml.Node, path ...any) int {
	node := root
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	line := node.Line
	for _, part := range path {
		next := child(node, part)
		if next == nil {
			return line
		}
		if node, line = next, next.Line; node.Kind == yaml.AliasNode {
			node = node.Alias
		}
	}
	return line
}

func child(node *yaml.Node, part any) *yaml.Node {
	switch part := part.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && part < len(node.Content) {
			return node.Content[part]
		}
	case string:
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				// The key's line: a block value starts on the next one.
				value := *node.Content[i+1]
				value.Line = node.Content[i].Line
				return &value
			}
		}
	}
	return nil
}
