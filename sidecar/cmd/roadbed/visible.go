package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// visible is a terminal on which what others wrote stays text. Names, reasons
// and log lines may hold characters that move the cursor, retitle the window or
// turn a line round; here they are seen and do nothing.
type visible struct{ out io.Writer }

// onTerminal is f, made visible when it is a terminal: what is read by a program
// stays as it is.
func onTerminal(f *os.File) io.Writer {
	if term.IsTerminal(int(f.Fd())) {
		return visible{f}
	}
	return f
}

func (v visible) Write(p []byte) (int, error) {
	if _, err := io.WriteString(v.out, printable(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// printable is text in which whatever a terminal would act on is written out, as
// \x1b; lines and tabs stay.
func printable(text string) string {
	acts := func(r rune) bool {
		return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar)
	}
	if !strings.ContainsFunc(text, acts) {
		return text
	}
	var seen strings.Builder
	for _, r := range text {
		if acts(r) && r != unicode.ReplacementChar {
			seen.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		seen.WriteRune(r) // of a byte that is no character, the sign for one
	}
	return seen.String()
}
