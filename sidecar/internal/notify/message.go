package notify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// subject is what an event is about: a request, or an instance alone.
type subject struct {
	request  *provision.Request
	instance *provision.Instance
}

func (s subject) name() (name, owner, offering string) {
	switch {
	case s.request != nil:
		return s.request.Name, s.request.Owner, s.request.Offering
	case s.instance != nil:
		return s.instance.Name, s.instance.Owner, s.instance.Offering
	}
	return "something that is gone", "", ""
}

// message is an event in plain words.
type message struct {
	title string
	text  string      // "" when the title says all
	facts [][2]string // label and value, in the order to be shown
	link  string      // URL, or path in the portal when nobody knows its URL
	grave bool
}

// describe says an event in words; portal is the portal's URL, "" when unknown.
func describe(e provision.Event, s subject, portal string) message {
	name, owner, offering := s.name()
	what := name + " in " + e.Environment
	m := message{link: strings.TrimRight(portal, "/") + "/infrastructure/requests/" + e.SubjectID.String()}
	if s.request == nil {
		m.link = strings.TrimRight(portal, "/") + "/infrastructure"
	}
	by, reason := text(e, "by"), text(e, "reason")
	switch e.Entity + "." + e.Verb {
	case "request.succeeded":
		m.title = succeeded(s.request, what)
		m.facts = outputs(s.request)
	case "request.failed":
		m.title = what + " failed"
		m.grave = true
		m.text = failure(s.request)
	case "request.denied":
		m.title = what + " was denied"
		m.text = failure(s.request)
	case "request.cancelled":
		m.title = what + " was cancelled"
		m.text = failure(s.request)
	case "request.lost":
		m.title = what + " is lost: its worker fell silent while changing things"
		m.grave = true
	case "step.stalled":
		m.title = fmt.Sprintf("%s is stuck: %s takes longer than it should", what, text(e, "name"))
		m.text = text(e, "details")
	case "instance.expiring":
		m.title = what + " ends " + moment(e, "expires_at")
		m.text = "Extend it if it is still needed; otherwise it is destroyed " + moment(e, "destroy_at") + "."
	case "instance.expired":
		m.title = what + " has expired and is being destroyed"
		if reason != "" {
			m.title = what + " has expired and could not be destroyed"
			m.text = reason + "\nIt is tried again " + moment(e, "destroy_at") + "."
			m.grave = true
		}
	case "instance.extended":
		m.title = what + " lives until " + moment(e, "expires_at")
	case "approval.requested":
		m.title = what + " waits for approval"
		m.text = asks(e)
	case "approval.given":
		m.title = by + " approved " + what
		if waiting := text(e, "waiting"); waiting != "" {
			m.title += "; it still needs " + waiting
		}
		m.text = reason
	case "approval.rejected":
		m.title = by + " rejected " + what
		m.text = reason
	case "approval.expired":
		m.title = "nobody approved " + what + " in time"
	case "approval.voided":
		m.title = "approvals of " + what + " no longer count"
		m.text = reason
	case "drift.detected":
		m.title = what + " is not as it was asked for"
		m.text = drifted(e)
		m.link = status(e, s, portal)
	case "drift.resolved":
		m.title = what + " is as it was asked for again"
		m.link = status(e, s, portal)
	case "drift.suppressed":
		m.title = fmt.Sprintf("%s wants to hear nothing of the drift of %s until %s", by, what, text(e, "until"))
		m.text = reason
		m.link = status(e, s, portal)
	case "unused.found":
		return unused(e, portal)
	default:
		m.title = fmt.Sprintf("%s: %s %s", what, e.Entity, strings.ReplaceAll(e.Verb, "_", " "))
		m.text = reason
	}
	if offering != "" {
		m.facts = append(m.facts, [2]string{"Offering", offering})
	}
	if owner != "" {
		m.facts = append(m.facts, [2]string{"Owner", owner})
	}
	if s.request != nil {
		m.facts = append(m.facts, [2]string{"Asked by", s.request.RequestedBy})
	}
	return m
}

// drifted names what differs, and the three things to do about it.
func drifted(e provision.Event) string {
	var found []provision.Difference
	encoded, err := json.Marshal(e.Data["differences"])
	if err == nil {
		err = json.Unmarshal(encoded, &found)
	}
	if err != nil {
		return ""
	}
	lines := make([]string, len(found))
	for i, d := range found {
		lines[i] = d.Title()
	}
	return strings.Join(append(lines, "Review it, adopt it, or revert it on its Status tab."), "\n")
}

// status is the Status tab of an instance.
func status(e provision.Event, s subject, portal string) string {
	name, _, offering := s.name()
	return fmt.Sprintf("%s/catalog/%s/resource/%s.%s/status", strings.TrimRight(portal, "/"), e.Environment, name, offering)
}

// unusedPage is where an owner answers for what is unused, in the portal.
const unusedPage = "/infrastructure/unused"

// unused is all that one owner has unused, with what that costs.
func unused(e provision.Event, portal string) message {
	var data struct {
		Count  int             `json:"count"`
		Saving provision.Money `json:"monthly_saving"`
		Items  []struct {
			Type        string          `json:"type"`
			Name        string          `json:"name"`
			Environment string          `json:"environment"`
			Reason      string          `json:"reason"`
			MonthlyCost provision.Money `json:"monthly_cost"`
		} `json:"items"`
	}
	reread(e, &data)
	things := "1 thing that nobody uses"
	if data.Count != 1 {
		things = fmt.Sprintf("%d things that nobody uses", data.Count)
	}
	m := message{
		title: fmt.Sprintf("%s has %s: destroying it all saves %s a month", text(e, "owner"), things, data.Saving),
		link:  strings.TrimRight(portal, "/") + unusedPage,
		facts: [][2]string{{"Owner", text(e, "owner")}},
	}
	lines := make([]string, 0, len(data.Items)+2)
	for _, i := range data.Items {
		lines = append(lines, fmt.Sprintf("%s in %s (%s): %s, %s a month", i.Name, i.Environment, i.Type, i.Reason, i.MonthlyCost))
	}
	if more := data.Count - len(data.Items); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	m.text = strings.Join(append(lines, "Destroy what is not needed, say until when the rest is, or snooze it."), "\n")
	return m
}

func succeeded(r *provision.Request, what string) string {
	switch {
	case r == nil:
		return what + " is done"
	case r.Action == provision.Create:
		return what + " is ready"
	case r.Action == provision.Destroy:
		return what + " is gone"
	}
	return fmt.Sprintf("%s: %s is done", what, strings.ReplaceAll(string(r.Action), "_", " "))
}

// outputs are where the thing is and where its credentials are handed out; the
// credentials themselves are never here.
func outputs(r *provision.Request) [][2]string {
	if r == nil {
		return nil
	}
	facts := [][2]string{{"Name", r.Name}}
	for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
		if name == "last_snapshot" { // there is none yet
			continue
		}
		switch value := r.Outputs[name].(type) {
		case string, bool, float64, int64, json.Number:
			label := strings.ReplaceAll(name, "_", " ")
			facts = append(facts, [2]string{strings.ToUpper(label[:1]) + label[1:], fmt.Sprint(value)})
		}
	}
	return facts
}

// failure is the step, its cause and the way out.
func failure(r *provision.Request) string {
	if r == nil || r.Error == nil {
		return ""
	}
	parts := []string{r.Error.Message}
	for _, more := range []string{r.Error.Detail, r.Error.WayOut} {
		if more != "" && more != r.Error.Message {
			parts = append(parts, more)
		}
	}
	return strings.Join(parts, "\n")
}

// asks is who asks for what, at what price, and how much would change.
func asks(e provision.Event) string {
	said := fmt.Sprintf("%s asks for it (%s)", text(e, "requested_by"), text(e, "offering"))
	var data struct {
		Ceiling *provision.Money          `json:"ceiling"`
		Plan    []provision.PlannedAction `json:"plan"`
	}
	reread(e, &data)
	if data.Ceiling != nil {
		said += fmt.Sprintf(" at %s a month", *data.Ceiling)
	}
	said += fmt.Sprintf("; %d changes", len(data.Plan))
	deletes := 0
	for _, action := range data.Plan {
		if action.Action == "delete" || action.Action == "replace" {
			deletes++
		}
	}
	if deletes > 0 {
		said += fmt.Sprintf(", %d of them delete something", deletes)
	}
	return said + "."
}

// people are who is asked for approval, sorted.
func people(e provision.Event) []string {
	var data struct {
		Needed []provision.ApprovalNeed `json:"needed"`
	}
	reread(e, &data)
	var all []string
	for _, need := range data.Needed {
		all = append(all, need.People...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// reread decodes an event's data into what it was made of; what does not fit
// stays empty, as the message does without it.
func reread(e provision.Event, into any) {
	if encoded, err := json.Marshal(e.Data); err == nil {
		_ = json.Unmarshal(encoded, into)
	}
}

func text(e provision.Event, name string) string {
	said, _ := e.Data[name].(string)
	return said
}

// moment is a time in an event's data, for people.
func moment(e provision.Event, name string) string {
	var at time.Time
	switch said := e.Data[name].(type) {
	case time.Time:
		at = said
	case string:
		at, _ = time.Parse(time.RFC3339Nano, said)
	}
	return at.UTC().Format("Mon 2 Jan 15:04 UTC")
}

// plain is the message as text.
func (m message) plain() string {
	var b strings.Builder
	if m.text != "" {
		b.WriteString(m.text + "\n\n")
	}
	for _, fact := range m.facts {
		fmt.Fprintf(&b, "%s: %s\n", fact[0], fact[1])
	}
	fmt.Fprintf(&b, "\n%s\n", m.link)
	return b.String()
}
