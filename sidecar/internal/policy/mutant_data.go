package policy

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"gopkg.in/yaml.v3"
)

// dataMutants change the numbers, texts and booleans in data that a rule reads.
// The price book is left alone: its prices are facts that no test should hold.
func dataMutants(src source, reads []ast.Ref) ([]mutant, error) {
	var mutants []mutant
	for _, name := range src.paths(func(name string) bool { return path.Ext(name) == ".yaml" && name != "data/prices.yaml" }) {
		leaves := func() (*yaml.Node, []leaf, error) {
			var document yaml.Node
			if err := yaml.Unmarshal(src.files[name], &document); err != nil {
				return nil, nil, fmt.Errorf("parse policy data %s: %w", name, err)
			}
			return &document, leavesOf(&document, []string{strings.TrimSuffix(path.Base(name), ".yaml")}), nil
		}
		_, all, err := leaves()
		if err != nil {
			return nil, err
		}
		for i, one := range all {
			if !isRead(one.path, reads) || len(one.path) > 1 && slices.Equal(one.path[:2], displayOrder) {
				continue
			}
			for _, other := range others(one.node) {
				document, copies, err := leaves()
				if err != nil {
					return nil, err
				}
				node := copies[i].node
				node.Value, node.Style = other, one.node.Style
				text, err := yaml.Marshal(document)
				if err != nil {
					return nil, fmt.Errorf("write policy data %s: %w", name, err)
				}
				changed := source{files: map[string][]byte{}}
				for file, content := range src.files {
					changed.files[file] = content
				}
				changed.files[name] = text
				data, err := changed.parseData()
				if err != nil {
					continue
				}
				kind := "threshold"
				if one.node.Tag == "!!str" {
					kind = "text"
				}
				mutants = append(mutants, mutant{
					Mutation: Mutation{
						File: name, Line: one.node.Line, Rule: ruleOf(name), Kind: kind,
						Change: fmt.Sprintf("%s: %s becomes %s", strings.Join(one.path[1:], "."), one.node.Value, other),
					},
					data: data,
				})
			}
		}
	}
	return mutants, nil
}

// displayOrder is read by no rule but by Load, for the order of findings.
var displayOrder = []string{"limits", "display_order"}

type leaf struct {
	path []string
	node *yaml.Node
}

func leavesOf(node *yaml.Node, at []string) []leaf {
	var leaves []leaf
	switch node.Kind {
	case yaml.DocumentNode:
		for _, child := range node.Content {
			leaves = append(leaves, leavesOf(child, at)...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			leaves = append(leaves, leavesOf(node.Content[i+1], append(slices.Clone(at), node.Content[i].Value))...)
		}
	case yaml.SequenceNode:
		for i, child := range node.Content {
			leaves = append(leaves, leavesOf(child, append(slices.Clone(at), strconv.Itoa(i)))...)
		}
	case yaml.ScalarNode:
		leaves = append(leaves, leaf{at, node})
	}
	return leaves
}

// others are what a scalar could be instead.
func others(node *yaml.Node) []string {
	switch node.Tag {
	case "!!int", "!!float":
		var found []string
		for _, by := range []string{"1", "-1"} {
			if sum, ok := addTo(ast.Number(node.Value), by); ok {
				found = append(found, string(sum))
			}
		}
		return found
	case "!!bool":
		if bytes.EqualFold([]byte(node.Value), []byte("true")) {
			return []string{"false"}
		}
		return []string{"true"}
	case "!!str":
		return []string{node.Value + "~"}
	default:
		return nil
	}
}

// readsOf are the constant parts of everything under data that rules read,
// other rules left out.
func readsOf(modules map[string]*ast.Module) []ast.Ref {
	var reads []ast.Ref
	for name, module := range modules {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			if len(ref) > 1 && ref[0].Equal(ast.DefaultRootDocument) && !ref.HasPrefix(rulesRoot) {
				reads = append(reads, ref.ConstantPrefix()[1:])
			}
			return false
		})
	}
	return reads
}

func isRead(at []string, reads []ast.Ref) bool {
	return slices.ContainsFunc(reads, func(ref ast.Ref) bool {
		for i := range min(len(at), len(ref)) {
			name, isText := ref[i].Value.(ast.String)
			if !isText {
				return true // an index that is not constant
			}
			if string(name) != at[i] {
				return false
			}
		}
		return true
	})
}
