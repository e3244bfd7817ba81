package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func get(path string) call {
	return call{method: http.MethodGet, path: path, repeatable: true}
}

// Me is who the token says is asking.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	var me api.Me
	_, err := c.do(ctx, get("/me"), &me)
	return me, err
}

// Environments are where things can be made, by name.
func (c *Client) Environments(ctx context.Context) ([]api.Environment, error) {
	var list api.EnvironmentList
	_, err := c.do(ctx, get("/environments"), &list)
	return list.Items, err
}

// Exemptions are who need not keep which rule, those that count first.
func (c *Client) Exemptions(ctx context.Context) ([]provision.Exemption, error) {
	var list api.ExemptionList
	_, err := c.do(ctx, get("/exemptions"), &list)
	return list.Items, err
}

// Calendar is the freezes and windows of the next 30 days, by time.
func (c *Client) Calendar(ctx context.Context) ([]provision.CalendarEntry, error) {
	var list api.CalendarEntryList
	_, err := c.do(ctx, get("/calendar"), &list)
	return list.Items, err
}

// Budgets are those that the caller may see, by kind and name.
func (c *Client) Budgets(ctx context.Context) ([]provision.BudgetBalance, error) {
	var list api.BudgetList
	_, err := c.do(ctx, get("/budgets"), &list)
	return list.Items, err
}

// Pauses are those in force, oldest first.
func (c *Client) Pauses(ctx context.Context) ([]provision.Pause, error) {
	var list api.PauseList
	_, err := c.do(ctx, get("/pauses"), &list)
	return list.Items, err
}

// BeginPause pauses an offering, a pool or everything, whose name is "". It may
// be repeated; what is paused already for another reason is a Conflict.
func (c *Client) BeginPause(ctx context.Context, kind provision.PauseKind, name, reason string) (provision.Pause, error) {
	var answer api.PauseAnswer
	body := api.PauseStart{Kind: string(kind), Name: name, Reason: reason}
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/pauses", body: body, repeatable: true}, &answer)
	return answer.Pause, err
}

// EndPause ends a pause. It may be repeated.
func (c *Client) EndPause(ctx context.Context, id uuid.UUID) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/pauses/" + id.String(), repeatable: true}, nil)
	return err
}

// Offerings are all that can be asked for, by id.
func (c *Client) Offerings(ctx context.Context) ([]provision.Offering, error) {
	var list api.OfferingList
	_, err := c.do(ctx, get("/offerings"), &list)
	return list.Items, err
}

// Offering is one offering; an unknown id is NotFound.
func (c *Client) Offering(ctx context.Context, id string) (provision.Offering, error) {
	var o provision.Offering
	_, err := c.do(ctx, get("/offerings/"+url.PathEscape(id)), &o)
	return o, err
}

// Estimate is what the parameters would cost; they may be incomplete.
func (c *Client) Estimate(ctx context.Context, offering string, p provision.Parameters) (api.Estimate, error) {
	var e api.Estimate
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/offerings/" + url.PathEscape(offering) + "/estimate", body: api.ParametersBody{Parameters: p}, repeatable: true,
	}, &e)
	return e, err
}

// Evaluate is the verdict that Submit would meet; a denial is no error here.
func (c *Client) Evaluate(ctx context.Context, offering string, p provision.Parameters) (api.Verdict, error) {
	return c.Ask(ctx, offering, api.Evaluation{Parameters: p})
}

// Ask is Evaluate for a form that is not filled in yet, or with advice.
func (c *Client) Ask(ctx context.Context, offering string, e api.Evaluation) (api.Verdict, error) {
	var v api.Verdict
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/offerings/" + url.PathEscape(offering) + "/evaluate", body: e, repeatable: true,
	}, &v)
	return v, err
}

// Submit asks for an instance. key is the caller's name for this ask: repeating
// it with the same submission gives the same answer. Denied carries every
// finding and, as Conflict does, the id of the request that was stored.
func (c *Client) Submit(ctx context.Context, key string, s api.Submission) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/requests", key, s), &answer)
	return answer.Request, err
}

// EvaluateChange is what a change of an instance would be, cost and meet; a
// denial is no error here.
func (c *Client) EvaluateChange(ctx context.Context, instance uuid.UUID, e api.ChangeEvaluation) (api.ChangePreview, error) {
	var v api.ChangePreview
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/instances/" + instance.String() + "/evaluate", body: e, repeatable: true,
	}, &v)
	return v, err
}

// Update asks for other parameters of an instance, those that change, with a
// key as Submit has.
func (c *Client) Update(ctx context.Context, key string, instance uuid.UUID, p provision.Parameters) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/update", key, api.Alteration{Parameters: p}), &answer)
	return answer.Request, err
}

// Upgrade asks for the published version of an instance's offering, with a key
// as Submit has; p are parameters that change besides.
func (c *Client) Upgrade(ctx context.Context, key string, instance uuid.UUID, p provision.Parameters) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/upgrade", key, api.Upgrading{Parameters: p}), &answer)
	return answer.Request, err
}

// Rotate asks for new credentials of an instance, with a key as Submit has.
func (c *Client) Rotate(ctx context.Context, key string, instance uuid.UUID) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/rotate", key, api.Rotation{}), &answer)
	return answer.Request, err
}

// Extend asks for an instance to live longer by a time such as 24h, with a key
// as Submit has.
func (c *Client) Extend(ctx context.Context, key string, instance uuid.UUID, by string) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/extend", key, api.Extension{By: by}), &answer)
	return answer.Request, err
}

// HandOver asks for another team to own an instance, with a key as Submit has;
// costCenter may be "".
func (c *Client) HandOver(ctx context.Context, key string, instance uuid.UUID, owner, costCenter string) (api.Request, error) {
	var answer api.RequestAnswer
	body := api.HandOver{Owner: owner, CostCenter: costCenter}
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/hand-over", key, body), &answer)
	return answer.Request, err
}

// Retry asks anew for what a request did not bring about, with a key as Submit
// has.
func (c *Client) Retry(ctx context.Context, key string, request uuid.UUID) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/requests/"+request.String()+"/retry", key, api.Repetition{}), &answer)
	return answer.Request, err
}

// Destroy asks for the end of an instance, with a key as Submit has.
func (c *Client) Destroy(ctx context.Context, key string, instance uuid.UUID) (api.Request, error) {
	return c.DestroyConfirmed(ctx, key, instance, "")
}

// DestroyConfirmed is Destroy with the instance's name as a person has typed it,
// which policy asks for in some environments.
func (c *Client) DestroyConfirmed(ctx context.Context, key string, instance uuid.UUID, confirm string) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, keyed("/instances/"+instance.String()+"/destroy", key, api.Destruction{Confirm: confirm}), &answer)
	return answer.Request, err
}

func keyed(path, key string, body any) call {
	return call{method: http.MethodPost, path: path, header: http.Header{"Idempotency-Key": {key}}, body: body, repeatable: true}
}

// Requests lists what the caller may read, newest first. Pass Next as the
// cursor for what follows.
func (c *Client) Requests(ctx context.Context, p api.ListRequestsParams) (api.RequestList, error) {
	q := url.Values{}
	if p.Mine != nil {
		q.Set("mine", strconv.FormatBool(*p.Mine))
	}
	if p.State != nil {
		var states []string
		for _, state := range *p.State {
			states = append(states, string(state))
		}
		q.Set("state", strings.Join(states, ","))
	}
	if p.Instance != nil {
		q.Set("instance", p.Instance.String())
	}
	narrow(q, p.Owner, p.Offering, p.Environment, p.Cursor, p.Limit)
	k := get("/requests")
	k.query = q
	var list api.RequestList
	_, err := c.do(ctx, k, &list)
	return list, err
}

// Instances lists living instances that the caller may read, as Requests does.
func (c *Client) Instances(ctx context.Context, p api.ListInstancesParams) (api.InstanceList, error) {
	k := get("/instances")
	k.query = url.Values{}
	narrow(k.query, p.Owner, p.Offering, p.Environment, p.Cursor, p.Limit)
	var list api.InstanceList
	_, err := c.do(ctx, k, &list)
	return list, err
}

func narrow(q url.Values, owner, offering, environment, cursor *string, limit *int) {
	for name, value := range map[string]*string{"owner": owner, "offering": offering, "environment": environment, "cursor": cursor} {
		if value != nil && *value != "" {
			q.Set(name, *value)
		}
	}
	if limit != nil {
		q.Set("limit", strconv.Itoa(*limit))
	}
}

// Request is one request.
func (c *Client) Request(ctx context.Context, id uuid.UUID) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, get("/requests/"+id.String()), &answer)
	return answer.Request, err
}

// Cancel stops a request. It may be repeated.
func (c *Client) Cancel(ctx context.Context, id uuid.UUID, reason string) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/requests/" + id.String() + "/cancel", body: api.Cancellation{Reason: reason}, repeatable: true,
	}, &answer)
	return answer.Request, err
}

// Approve gives the caller's approval to a request that waits for it. It may be
// repeated.
func (c *Client) Approve(ctx context.Context, id uuid.UUID, reason string) (api.Request, error) {
	return c.answer(ctx, id, "/approve", reason)
}

// Reject denies a request that waits for the caller's approval; it needs a
// reason. It may be repeated.
func (c *Client) Reject(ctx context.Context, id uuid.UUID, reason string) (api.Request, error) {
	return c.answer(ctx, id, "/reject", reason)
}

func (c *Client) answer(ctx context.Context, id uuid.UUID, path, reason string) (api.Request, error) {
	var answer api.RequestAnswer
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/requests/" + id.String() + path, body: api.ApprovalAnswer{Reason: reason}, repeatable: true,
	}, &answer)
	return answer.Request, err
}

// Approvals are the requests that wait for the caller's approval, oldest first.
func (c *Client) Approvals(ctx context.Context) ([]api.Request, error) {
	var list api.RequestList
	_, err := c.do(ctx, get("/approvals"), &list)
	return list.Items, err
}

// Measures are how the platform fares over the last days.
func (c *Client) Measures(ctx context.Context, days int) (api.Measures, error) {
	k := get("/measures")
	k.query = url.Values{"days": {strconv.Itoa(days)}}
	var m api.Measures
	_, err := c.do(ctx, k, &m)
	return m, err
}

// ImportTickets says how many tickets each day had. It may be repeated.
func (c *Client) ImportTickets(ctx context.Context, tickets []api.TicketCount) (api.TicketsKept, error) {
	var kept api.TicketsKept
	_, err := c.do(ctx, call{
		method: http.MethodPost, path: "/measures/tickets", body: api.TicketImport{Items: tickets}, repeatable: true,
	}, &kept)
	return kept, err
}

// Instance is one instance with its newest requests.
func (c *Client) Instance(ctx context.Context, id uuid.UUID) (api.InstanceAnswer, error) {
	var answer api.InstanceAnswer
	_, err := c.do(ctx, get("/instances/"+id.String()), &answer)
	return answer, err
}

// Credentials opens an instance's secrets. Each call is recorded, so it is
// never repeated by itself.
func (c *Client) Credentials(ctx context.Context, instance uuid.UUID) (map[string]any, error) {
	var answer api.CredentialsAnswer
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/instances/" + instance.String() + "/credentials"}, &answer)
	return answer.Credentials, err
}

// Events are a request's events after a sequence number, at most 500.
func (c *Client) Events(ctx context.Context, id uuid.UUID, after int64) ([]api.Event, error) {
	k := get("/requests/" + id.String() + "/events")
	k.query = url.Values{"after": {strconv.FormatInt(after, 10)}}
	var list api.EventList
	_, err := c.do(ctx, k, &list)
	return list.Items, err
}

// Logs are a request's log lines after a position, at most 500.
func (c *Client) Logs(ctx context.Context, id uuid.UUID, after int64) ([]provision.LogEntry, error) {
	k := get("/requests/" + id.String() + "/logs")
	k.query = url.Values{"after": {strconv.FormatInt(after, 10)}}
	var list api.LogList
	_, err := c.do(ctx, k, &list)
	return list.Items, err
}

// Entities are all living instances as catalog entities; for plugin:catalog.
func (c *Client) Entities(ctx context.Context) (api.EntitySnapshot, error) {
	var snapshot api.EntitySnapshot
	_, err := c.do(ctx, get("/entities"), &snapshot)
	return snapshot, err
}

// EntityChanges are the changes after a cursor, waiting up to wait (at most 25
// s) for some. A cursor that is too old is Gone: read Entities again.
func (c *Client) EntityChanges(ctx context.Context, cursor string, wait time.Duration) (api.EntityChanges, error) {
	k := get("/entities/changes")
	k.query = url.Values{"after": {cursor}, "wait": {strconv.Itoa(int(wait / time.Second))}}
	var changes api.EntityChanges
	_, err := c.do(ctx, k, &changes)
	return changes, err
}
