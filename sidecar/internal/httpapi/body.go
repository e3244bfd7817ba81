package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	maxBody  = 64 << 10 // bytes of a JSON body
	maxPlan  = 8 << 20  // bytes of a plan's changes
	maxDepth = 32       // of nested values
)

// readJSON reads the body into out, a pointer to a struct. Members that out
// does not have, members twice, deep nesting and anything after the value are
// Invalid, every unknown member at once; a body larger than limit is a refusal.
// Numbers in an any are json.Number. An absent body is an empty object when
// optional is true.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, optional bool, out any) error {
	if limit > maxBody {
		unhurried(w)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refusal{fault: tooLarge, message: "the body is larger than " + size(large.Limit)}
	case err != nil:
		return provision.Errorf(provision.Invalid, "the body could not be read to its end")
	case len(bytes.TrimSpace(body)) == 0 && optional:
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return provision.Errorf(provision.Invalid, "the body must be application/json; set the Content-Type")
	}
	return decodeStrict(body, out)
}

// readAsk reads what is asked of the thing whose id is in the path: its id, and
// the body as readJSON does. The header Idempotency-Key may be given; asking
// twice does no more than once.
func readAsk(w http.ResponseWriter, r *http.Request, body any, optional bool) (uuid.UUID, error) {
	id, err := pathID(r)
	if err != nil {
		return id, err
	}
	if _, err := idempotencyKey(r, false); err != nil {
		return id, err
	}
	return id, readJSON(w, r, maxBody, optional, body)
}

// decodeStrict is readJSON for a body that was read already and is there.
func decodeStrict(body []byte, out any) error {
	if !wholeText(body) {
		return provision.Errorf(provision.Invalid, "the body holds what is no character: send UTF-8, and no half of a surrogate pair")
	}
	walk := walker{dec: json.NewDecoder(bytes.NewReader(body))}
	walk.dec.UseNumber()
	err := walk.value("", reflect.TypeOf(out), 0)
	if err == nil {
		if _, end := walk.dec.Token(); end != io.EOF {
			err = provision.Errorf(provision.Invalid, "the body goes on after its JSON value")
		}
	}
	if shown := (*provision.Error)(nil); errors.As(err, &shown) {
		return err
	}
	if err != nil {
		return provision.Errorf(provision.Invalid, "the body is not JSON: %v", err)
	}
	if len(walk.faults) > 0 {
		err := provision.Errorf(provision.Invalid, "%s", walk.faults[0].Message)
		err.Details = walk.faults
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(out); err != nil {
		var wrong *json.UnmarshalTypeError
		switch {
		case !errors.As(err, &wrong):
		case wrong.Field == "":
			return provision.Errorf(provision.Invalid, "the body must be a JSON object, not %s", wrong.Value)
		default:
			return provision.Errorf(provision.Invalid, "the member %s cannot be a JSON %s", quoted(wrong.Field), wrong.Value)
		}
		return provision.Errorf(provision.Invalid, "the body does not have the expected form: %v", err)
	}
	return nil
}

// wholeText reports whether every text in a JSON body is one: decoding would put
// another character in the place of a byte or a half pair that is none, and what
// comes out would not be what was asked for.
func wholeText(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	for at := 0; ; {
		next := bytes.IndexByte(body[at:], '\\')
		if next < 0 {
			return true
		}
		at += next
		first := escaped(body[at:])
		switch {
		case first == 0: // another escape, or none: its second byte begins nothing
			at += 2
		case !utf16.IsSurrogate(first):
			at += 6
		case utf16.DecodeRune(first, escaped(body[at+6:])) == unicode.ReplacementChar:
			return false
		default:
			at += 12
		}
		if at >= len(body) {
			return true
		}
	}
}

// escaped is the code unit of an escape \uXXXX that a text begins with; 0 when it
// begins with none.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}

// walker looks at a JSON text before it is decoded, because decoding takes the
// last of two members, any case and any depth.
type walker struct {
	dec    *json.Decoder
	faults []provision.Fault
}

func (w *walker) value(path string, shape reflect.Type, depth int) error {
	if depth > maxDepth {
		return provision.Errorf(provision.Invalid, "the body is nested deeper than %d levels", maxDepth)
	}
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	if text, ok := token.(string); ok {
		w.text(path, text)
		return nil
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	for shape != nil && shape.Kind() == reflect.Pointer {
		shape = shape.Elem()
	}
	if open == '[' {
		return w.array(path, shape, depth)
	}
	return w.object(path, shape, depth)
}

func (w *walker) array(path string, shape reflect.Type, depth int) error {
	var element reflect.Type
	if shape != nil && shape.Kind() == reflect.Slice {
		element = shape.Elem()
	}
	for w.dec.More() {
		if err := w.value(path+"/-", element, depth+1); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

func (w *walker) object(path string, shape reflect.Type, depth int) error {
	members := membersOf(shape)
	seen := map[string]bool{}
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		at := path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		w.text(at, name)
		if seen[name] {
			w.faults = append(w.faults, provision.Fault{Path: at, Message: "the member " + quoted(name) + " is there twice; give it once"})
		}
		seen[name] = true
		member, known := members[name]
		if members != nil && !known {
			w.faults = append(w.faults, provision.Fault{Path: at, Message: "the member " + quoted(name) + " is not known; leave it out"})
		}
		if err := w.value(at, member, depth+1); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// text refuses what Postgres cannot keep.
func (w *walker) text(path, text string) {
	if strings.ContainsRune(text, 0) {
		w.faults = append(w.faults, provision.Fault{Path: strings.ReplaceAll(path, "\x00", ""), Message: "a text holds the character U+0000; remove it"})
	}
}

// membersOf are the JSON members of a struct type with their types; nil for
// anything else, where every member is welcome.
func membersOf(shape reflect.Type) map[string]reflect.Type {
	if shape == nil || shape.Kind() != reflect.Struct {
		return nil
	}
	members := map[string]reflect.Type{}
	for i := range shape.NumField() {
		name, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			members[name] = shape.Field(i).Type
		}
	}
	return members
}

func quoted(name string) string {
	text, _ := json.Marshal(cut(name)) // a string always encodes
	return string(text)
}

func size(bytes int64) string {
	if bytes >= 1<<20 {
		return strconv.FormatInt(bytes>>20, 10) + " MiB"
	}
	return strconv.FormatInt(bytes>>10, 10) + " KiB"
}
