package testkit

import (
	"slices"
	"strings"
)

// Flat undoes the line breaks and the frame that terraform puts around a
// diagnostic, so that a sentence can be looked for.
func Flat(out string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(out)), " ")
}

func lines(out string) []string {
	list := strings.Fields(out)
	slices.Sort(list)
	return list
}
