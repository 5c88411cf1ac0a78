package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

const timePath = "/tickets/{number}/times/{id}"

func (a *api) registerTimes() {
	add(a, route{id: "list-times", method: http.MethodGet, path: "/tickets/{number}/times", tag: tagDesk,
		find: a.findTicket, summary: "What was worked on a ticket, newest first"}, a.listTimes)
	add(a, route{id: "create-time", method: http.MethodPost, path: "/tickets/{number}/times", tag: tagDesk,
		find: a.findTicket, status: http.StatusCreated, summary: "Put down what was worked"}, a.createTime)
	add(a, route{id: "patch-time", method: http.MethodPatch, path: timePath, tag: tagDesk,
		find: a.findTime, summary: "Change an entry: one's own, or as an admin"}, a.patchTime)
	add(a, route{id: "delete-time", method: http.MethodDelete, path: timePath, tag: tagDesk,
		find: a.findTime, summary: "Remove an entry: one's own, or as an admin"}, a.deleteTime)
	add(a, route{id: "company-times", method: http.MethodGet, path: "/companies/{id}/times", tag: tagDesk,
		find: inStore(a, (*store.Tx).Company), summary: "What was worked for a company, on the tickets that the caller sees"}, a.companyTimes)
}

// OnTime is the path of an entry.
type OnTime struct {
	OnTicket
	ID string `path:"id" doc:"the entry's id"`
}

type timeShape struct {
	ID        string    `json:"id"`
	Minutes   int       `json:"minutes"`
	Date      string    `json:"date"`
	Comment   string    `json:"comment"`
	AgentID   string    `json:"agent_id"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

func timeOf(v store.Worked) timeShape {
	return timeShape{ID: v.ID, Minutes: v.Minutes, Date: v.Day, Comment: v.Comment, AgentID: v.AgentID,
		CreatedBy: v.CreatedBy, CreatedAt: v.CreatedAt.UTC()}
}

// TimeInput is the body of POST and PATCH.
type TimeInput struct {
	Minutes *int    `json:"minutes" minimum:"1" maximum:"44640"`
	Date    *string `json:"date" maxLength:"10" doc:"2026-11-25; default today, in the caller's time zone"`
	Comment *string `json:"comment" maxLength:"10000" lines:"many"`
	AgentID *string `json:"agent_id" maxLength:"64" doc:"who worked; default the caller"`
}

func (in TimeInput) entry() threading.Entry {
	return threading.Entry{Minutes: in.Minutes, Day: in.Date, Comment: in.Comment, AgentID: in.AgentID}
}

// findTime is the 404 of an entry of another ticket, and the 403 of another's.
func (a *api) findTime(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := c.findTicket(ctx, tx); err != nil {
			return err
		}
		v, err := tx.Worked(ctx, c.ticket.Number, c.param("id"))
		if err == nil && v.AgentID != c.agent.ID && v.CreatedBy != c.agent.ID && !c.admin() {
			err = newProblem(http.StatusForbidden, "another's time is changed by admins")
		}
		return err
	})
}

func (a *api) listTimes(ctx context.Context, c *call, in *struct {
	OnTicket
	Paging
}) (*page[timeShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[timeShape], error) {
		found, next, err := tx.WorkedOnTicket(ctx, c.ticket.Number, in.Cursor, in.Limit)
		return mapped(found, next, timeOf), err
	})
}

func (a *api) createTime(ctx context.Context, c *call, in *struct {
	OnTicket
	Body TimeInput
}) (*created[timeShape], error) {
	v, err := a.Desk.PutTime(ctx, c.agent, c.ticket.Number, "", in.Body.entry())
	return &created[timeShape]{Location: Prefix + "/tickets/" + c.param("number") + "/times/" + v.ID, Body: timeOf(v)}, err
}

func (a *api) patchTime(ctx context.Context, c *call, in *struct {
	OnTime
	Body TimeInput
}) (*answer[timeShape], error) {
	v, err := a.Desk.PutTime(ctx, c.agent, c.ticket.Number, in.ID, in.Body.entry())
	return &answer[timeShape]{Body: timeOf(v)}, err
}

func (a *api) deleteTime(ctx context.Context, c *call, in *OnTime) (*nothing, error) {
	return &nothing{}, a.Desk.DeleteTime(ctx, c.agent, c.ticket.Number, in.ID)
}

type companyTimesQuery struct {
	OnThing
	Since string `query:"since" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" doc:"the first day"`
	Until string `query:"until" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" doc:"the last day"`
}

type workedShape struct {
	Minutes int               `json:"minutes"`
	ByAgent []store.WorkedSum `json:"by_agent"`
}

func (a *api) companyTimes(ctx context.Context, c *call, in *companyTimesQuery) (*answer[workedShape], error) {
	sums, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) ([]store.WorkedSum, error) {
		return tx.WorkedFor(ctx, in.ID, c.agent.ID, in.Since, in.Until)
	})
	out := &answer[workedShape]{Body: workedShape{ByAgent: some(sums)}}
	for _, s := range sums {
		out.Body.Minutes += s.Minutes
	}
	return out, err
}
