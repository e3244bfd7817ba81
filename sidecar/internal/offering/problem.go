package offering

import (
	"fmt"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Problem is one thing that is wrong in an offering's folder.
type Problem struct {
	File    string `json:"file"` // path from the root of the offerings: "postgres-database/offering.yaml"
	Line    int    `json:"line"` // 1 is the first; 0 when it is about the whole file
	Message string `json:"message"`
	WayOut  string `json:"way_out"` // what to do about it
}

// String is the problem as compilers write them: "file:line: message; way out".
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.WayOut == "" {
		return place + ": " + p.Message
	}
	return place + ": " + p.Message + "; " + p.WayOut
}

// refused is an Invalid error with every problem as a detail, nil without any.
func refused(id string, problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	lines := make([]string, len(problems))
	faults := make([]provision.Fault, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
		faults[i] = provision.Fault{Path: strings.TrimSuffix(fmt.Sprintf("%s:%d", p.File, p.Line), ":0"), Message: p.Message + "; " + p.WayOut}
	}
	err := provision.Errorf(provision.Invalid, "the offering %s cannot be loaded:\n%s", id, strings.Join(lines, "\n"))
	err.Details = faults
	return err
}
