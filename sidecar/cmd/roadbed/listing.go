package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// listing shows what was asked for: as JSON, in a sentence when there is nothing,
// else as a table with a row for each.
type listing[T any] struct {
	none  string
	heads string // parted by tabs, as a row's cells are
	row   func(T) []any
	right bool // cells are aligned to the right
}

func (l listing[T]) print(out io.Writer, items []T, asJSON bool) error {
	switch {
	case asJSON:
		return printJSON(out, items)
	case len(items) == 0:
		fmt.Fprintln(out, l.none)
		return nil
	}
	flags, end := uint(0), "\n"
	if l.right {
		flags, end = tabwriter.AlignRight, "\t\n"
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', flags)
	fmt.Fprint(table, l.heads, end)
	for _, item := range items {
		cells := l.row(item)
		fmt.Fprintf(table, strings.Repeat("%v\t", len(cells)-1)+"%v"+end, cells...)
	}
	_ = table.Flush() // out is the terminal; nothing to do
	return nil
}

// shortOwner is an owner as a person writes it: payments, but user:default/ann.
func shortOwner(ref string) string { return strings.TrimPrefix(ref, "group:default/") }

// shortPerson is somebody as a person writes it: ann, but system:campaign.
func shortPerson(ref string) string { return strings.TrimPrefix(ref, "user:default/") }

// toTheMinute is a time in a list that others read elsewhere.
func toTheMinute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
