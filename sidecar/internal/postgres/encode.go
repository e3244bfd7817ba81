package postgres

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// encode is v as JSON that a jsonb column takes. Postgres refuses the NUL
// character in text; what a provider or a person sent with one must still be
// stored, so it becomes the replacement character.
func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	if bytes.Contains(text, []byte(`\u0000`)) {
		text = replaceNUL(text)
	}
	return string(text), nil
}

// encodeSet is encode, but nil (NULL) when v is not set.
func encodeSet[T any](v T, set bool) (*string, error) {
	if !set {
		return nil, nil
	}
	text, err := encode(v)
	return &text, err
}

// replaceNUL replaces the escape of NUL, and not what only looks like one: the
// text \u0000 is written `\\u0000`.
func replaceNUL(text []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			out.WriteByte(text[i])
		case bytes.HasPrefix(text[i:], []byte(`\u0000`)):
			out.WriteString(`\ufffd`)
			i += len(`\u0000`) - 1
		default: // an escape is a backslash and at least one more byte
			out.Write(text[i : i+2])
			i++
		}
	}
	return out.Bytes()
}

// clean is text that a text column takes.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
}

// decode reads JSON into v, numbers as json.Number so that none loses a digit.
// NULL leaves v as it is.
func decode(text []byte, v any) error {
	if text == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

func isNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
