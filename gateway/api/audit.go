package api

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/store"
)

func (a *api) registerAudit() {
	add(a, route{id: "list-audit", method: http.MethodGet, path: "/audit", tag: tagAdmin,
		summary: "Who logged in, who changed what, and from where; newest first"}, a.listAudit)
}

// auditShape is a line of the log as admins read it.
type auditShape struct {
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	AgentID    *string   `json:"agent_id" doc:"who did it; null: nobody knows, or the shell"`
	Action     string    `json:"action" doc:"login, login-failed, apply, or an operation of this API"`
	Thing      string    `json:"thing" doc:"path of what it was done to, or empty"`
	Fields     []string  `json:"fields" doc:"names of what was sent; values are not kept"`
	Email      string    `json:"email" doc:"as it was typed, where no log-in came of it"`
	Way        string    `json:"way" doc:"of a log-in: password, link, oidc"`
	Reason     string    `json:"reason" doc:"why nothing came of it"`
	Address    string    `json:"address" doc:"of the client"`
	Client     string    `json:"client" doc:"what its program calls itself; shell: a command"`
	Credential string    `json:"credential" doc:"id of the session or token"`
	RequestID  string    `json:"request_id"`
}

func auditShapeOf(l store.Audit) auditShape {
	return auditShape{
		ID: l.ID, At: l.At.UTC(), AgentID: orNull(l.AgentID), Action: l.Action, Thing: l.Thing, Fields: some(l.Fields), Email: l.Email,
		Way: l.Way, Reason: l.Reason, Address: l.Address, Client: l.Client, Credential: l.Credential, RequestID: l.RequestID,
	}
}

type auditQuery struct {
	Paging
	AgentID string    `query:"agent_id" maxLength:"64" doc:"what this agent did"`
	Action  string    `query:"action" maxLength:"100"`
	Thing   string    `query:"thing" maxLength:"300" doc:"a path, such as /agents/ID"`
	Since   time.Time `query:"since" doc:"from this time on"`
	Until   time.Time `query:"until" doc:"before this time"`
}

func (a *api) listAudit(ctx context.Context, _ *call, in *auditQuery) (*page[auditShape], error) {
	var next string
	lines, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (lines []store.Audit, err error) {
		lines, next, err = tx.AuditLog(ctx, store.AuditFilter{
			AgentID: in.AgentID, Action: in.Action, Thing: in.Thing, Since: in.Since, Until: in.Until, Cursor: in.Cursor, Limit: in.Limit,
		})
		return lines, err
	})
	if err != nil {
		return nil, err
	}
	return mapped(lines, next, auditShapeOf), nil
}

// auditLine begins a line: when, from where, by what request.
func (a *api) auditLine(ctx context.Context, action string) store.Audit {
	r := requestOf(ctx)
	return store.Audit{ID: store.NewID(), At: a.Now(), Action: action, AuditDetail: store.AuditDetail{
		Address: r.address.String(), Client: clientName(r.http.Header.Get("User-Agent")), RequestID: r.id,
	}}
}

// auditOf prepares the line of an operation.
func (a *api) auditOf(ctx context.Context, r route, c *call, body []byte) *store.Audit {
	l := a.auditLine(ctx, r.id)
	l.AgentID, l.Credential, l.Fields = c.agent.ID, c.credential(), fieldNames(body)
	l.Thing = "/agents/" + c.agent.ID
	if !r.personal {
		l.Thing = thingPath(r.path, c.param)
	}
	return &l
}

// thingPath gives the path of the thing that an operation is on: what stands
// behind its last id is a word for what is done to it.
func thingPath(path string, param func(string) string) string {
	if end := strings.LastIndexByte(path, '}'); end >= 0 {
		path = path[:end+1]
	}
	return placeholders.ReplaceAllStringFunc(path, func(place string) string { return param(place[1 : len(place)-1]) })
}

// fieldNames gives the names of what a body sets.
func fieldNames(body []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || len(fields) > 100 {
		return nil
	}
	return slices.Sorted(maps.Keys(fields))
}

// concerns says which thing an operation made.
func concerns(ctx context.Context, path string) {
	if c := callOf(ctx); c != nil && c.audit != nil {
		c.audit.Thing = path
	}
}

// writeAudit writes the line of the operation that ctx belongs to, once.
func writeAudit(ctx context.Context, tx *store.Tx) error {
	c := callOf(ctx)
	if c == nil || c.audit == nil || c.written {
		return nil
	}
	tx.AfterCommit(func() { c.written = true })
	return tx.AddAudit(ctx, *c.audit)
}

// accountFor writes the line of an operation that did its work in a transaction
// of another room, once it has succeeded.
func (a *api) accountFor(c *call, next func(huma.Context)) func(huma.Context) {
	return func(hc huma.Context) {
		next(hc)
		if c.audit == nil || c.written || hc.Status() >= http.StatusMultipleChoices {
			return
		}
		ctx := context.WithoutCancel(hc.Context())
		err := a.DB.Update(ctx, writeAudit)
		if err != nil {
			a.Log.ErrorContext(ctx, "a change is missing in the audit log", "request_id", requestID(ctx), "operation", c.audit.Action,
				"agent_id", c.audit.AgentID, "thing", c.audit.Thing, "err", err)
		}
	}
}
