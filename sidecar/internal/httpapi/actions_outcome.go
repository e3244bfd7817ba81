package httpapi

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// outcome is the answer to an ask for someone who sees no status code.
type outcome struct {
	Decision   string   `json:"decision"`
	Accepted   bool     `json:"accepted"`
	Text       string   `json:"text"`
	Reasons    []string `json:"reasons"`
	Estimate   string   `json:"estimate"`
	RequestID  string   `json:"requestId"`
	RequestURL string   `json:"requestUrl"`
	EntityRef  string   `json:"entityRef"`
	State      string   `json:"state"`
}

// askOutcome is the outcome of an ask that was made.
func (s *Server) askOutcome(p provision.Principal, r provision.Request, err error) (any, error) {
	if err != nil {
		return s.refusedOutcome(err)
	}
	view := s.requestView(r, p, s.Now())
	out := outcome{
		Decision: string(r.Verdict.Outcome), Accepted: true, Reasons: reasonsOf(r.Verdict.Findings), Estimate: estimateText(r.Verdict.Estimate),
		RequestID: r.ID.String(), RequestURL: s.pageOf(r.ID), EntityRef: view.EntityRef, State: string(r.State),
	}
	head := fmt.Sprintf("%s of %s in %s was asked for.", sentence(string(r.Action)), r.Name, r.Environment)
	if r.Verdict.Outcome == provision.OutcomeRequireApproval {
		head += " It waits for approval before anything is changed."
	}
	out.Text = joined(append([]string{strings.TrimSpace(head + " " + out.Estimate)}, out.Reasons...))
	return out, nil
}

// refusedOutcome makes an outcome of what is an answer to a person. What is
// not (nobody known, something down, a fault of ours) stays an error.
func (s *Server) refusedOutcome(err error) (outcome, error) {
	decisions := map[provision.Kind]string{
		provision.Denied: "deny", provision.Conflict: "conflict", provision.Invalid: "invalid", provision.NotFound: "not_found",
	}
	decision, ok := decisions[provision.KindOf(err)]
	if !ok {
		return outcome{}, err
	}
	info, _, _ := explain(err, "")
	out := outcome{Decision: decision, Reasons: reasonsOf(info.Findings), RequestID: info.RequestId}
	for _, fault := range info.Details {
		out.Reasons = append(out.Reasons, strings.TrimPrefix(fault.Path+": ", ": ")+fault.Message)
	}
	lines := out.Reasons
	if len(lines) == 0 {
		out.Reasons = []string{info.Message}
		lines = strings.Split(info.Message, "\n")
	}
	out.Text = joined(append(lines, provision.SmallestChanges(info.Alternatives)))
	if id, err := uuid.Parse(info.RequestId); err == nil {
		out.RequestURL = s.pageOf(id)
	}
	return out, nil
}

func (s *Server) pageOf(id uuid.UUID) string {
	if s.Portal == "" {
		return ""
	}
	return s.requestPage(id)
}

// reasonsOf are the findings that are more than notes, each on its line.
func reasonsOf(findings []provision.Finding) []string {
	reasons := []string{}
	marks := map[provision.Level]string{provision.LevelDeny: "Denied", provision.LevelRequireApproval: "Needs approval", provision.LevelWarn: "Warning"}
	for _, f := range findings {
		if mark, ok := marks[f.Level]; ok {
			reasons = append(reasons, strings.TrimSpace(mark+": "+f.Message+" "+f.WayOut))
		}
	}
	return reasons
}

// estimateText is a price with its items: $85.50 / month (compute $60.00).
func estimateText(e *provision.Estimate) string {
	if e == nil {
		return ""
	}
	items := make([]string, len(e.Items))
	for i, item := range e.Items {
		items[i] = item.Name + " " + item.MonthlyCost.String()
	}
	if len(items) == 0 {
		return e.MonthlyCost.String() + " / month"
	}
	return e.MonthlyCost.String() + " / month (" + strings.Join(items, ", ") + ")"
}

func joined(lines []string) string {
	kept := []string{}
	for _, line := range lines {
		if line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func sentence(word string) string {
	word = strings.ReplaceAll(word, "_", " ")
	return strings.ToUpper(word[:1]) + word[1:]
}
