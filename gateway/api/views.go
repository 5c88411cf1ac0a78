package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"ticketgate/store"
)

// maxViews is how many views an agent may make: all of them are read at once.
const maxViews = 200

func (a *api) registerViews() {
	add(a, route{id: "list-views", method: http.MethodGet, path: "/views", tag: tagDesk,
		summary: "The caller's views and those that are shared, by position"}, a.listViews)
	add(a, route{id: "create-view", method: http.MethodPost, path: "/views", tag: tagDesk, record: true,
		status: http.StatusCreated, summary: "Give a filter of tickets a name"}, a.createView)
	add(a, route{id: "get-view", method: http.MethodGet, path: "/views/{id}", tag: tagDesk, find: a.findView,
		summary: "One view"}, a.getView)
	add(a, route{id: "patch-view", method: http.MethodPatch, path: "/views/{id}", tag: tagDesk, record: true, find: a.findOwnView,
		summary: "Change a view: one's own, or as an admin a shared one"}, a.patchView)
	add(a, route{id: "delete-view", method: http.MethodDelete, path: "/views/{id}", tag: tagDesk, record: true, find: a.findOwnView,
		summary: "Remove a view: one's own, or as an admin a shared one"}, a.deleteView)
}

// viewInput is the body of POST and PATCH.
type viewInput struct {
	Name     opt[string]       `json:"name" maxLength:"100"`
	Filter   opt[TicketChoice] `json:"filter" doc:"what the list of tickets takes as its query; a PATCH replaces it as a whole"`
	Sort     opt[string]       `json:"sort" enum:"number,-number,created_at,-created_at,updated_at,-updated_at,last_incoming_at,-last_incoming_at,priority,-priority,respond_by,-respond_by" doc:"default -number"`
	Shared   opt[string]       `json:"shared" enum:"none,all" doc:"all: everybody has it; admins alone share"`
	Position opt[int]          `json:"position" minimum:"0" maximum:"1000000"`
}

type viewShape struct {
	ID       string       `json:"id"`
	AgentID  string       `json:"agent_id" doc:"who made it"`
	Name     string       `json:"name"`
	Filter   TicketChoice `json:"filter"`
	Sort     string       `json:"sort"`
	Shared   string       `json:"shared" enum:"none,all"`
	Position int          `json:"position"`
}

func viewOf(v store.View) viewShape {
	return viewShape{ID: v.ID, AgentID: v.AgentID, Name: v.Name, Filter: choiceOf(v), Sort: v.Sort, Shared: v.Shared, Position: v.Position}
}

// choiceOf reads the filter of a view, which was checked when it was kept.
func choiceOf(v store.View) (choice TicketChoice) {
	if err := json.Unmarshal([]byte(v.Filter), &choice); err != nil {
		return TicketChoice{}
	}
	return choice
}

// ChoiceOf reads the filter of a view for who knows the desk by names.
func ChoiceOf(v store.View) TicketChoice { return choiceOf(v) }

// CheckChoice refuses the filter of a view that names what is not there.
func CheckChoice(desk *store.Desk, q TicketChoice) error {
	return q.check(desk, &call{agent: &store.Agent{}})
}

// findView is the 404 of another's view that is not shared.
func (a *api) findView(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		c.view, err = tx.View(ctx, c.agent.ID, c.param("id"))
		return err
	})
}

// findOwnView is findView, and the 403 of what admins alone change.
func (a *api) findOwnView(ctx context.Context, c *call) error {
	if err := a.findView(ctx, c); err != nil {
		return err
	}
	return maySave(c, c.view)
}

// maySave refuses a shared view to who is no admin.
func maySave(c *call, v store.View) error {
	if v.Shared != store.ViewNone && !c.admin() {
		return newProblem(http.StatusForbidden, "shared views are the admins'")
	}
	return nil
}

func (a *api) listViews(ctx context.Context, c *call, in *Paging) (*page[viewShape], error) {
	all, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) ([]store.View, error) { return tx.Views(ctx, c.agent.ID) })
	if err != nil {
		return nil, err
	}
	return pageOf(all, *in, func(v *store.View) string { return v.ID }, viewOf)
}

func (a *api) getView(_ context.Context, c *call, _ *OnThing) (*answer[viewShape], error) {
	return &answer[viewShape]{Body: viewOf(c.view)}, nil
}

func (a *api) createView(ctx context.Context, c *call, in *thingBody[viewInput]) (*created[viewShape], error) {
	v, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.View, error) {
		v := store.View{ID: store.NewID(), AgentID: c.agent.ID, Shared: store.ViewNone, ViewDetail: store.ViewDetail{Filter: "{}", Sort: "-number"}}
		all, err := tx.Views(ctx, c.agent.ID)
		if err != nil {
			return v, err
		}
		if own(all, c.agent.ID) >= maxViews {
			return v, newProblem(http.StatusConflict, "nobody has more than 200 views")
		}
		concerns(ctx, "/views/"+v.ID)
		return v, in.Body.save(ctx, tx, c, &v)
	})
	return &created[viewShape]{Location: Prefix + "/views/" + v.ID, Body: viewOf(v)}, err
}

func own(all []store.View, agentID string) (n int) {
	for _, v := range all {
		if v.AgentID == agentID {
			n++
		}
	}
	return n
}

func (a *api) patchView(ctx context.Context, c *call, in *thingPatch[viewInput]) (*answer[viewShape], error) {
	v, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.View, error) {
		v, err := tx.View(ctx, c.agent.ID, in.ID)
		if err != nil {
			return v, err
		}
		return v, in.Body.save(ctx, tx, c, &v)
	})
	return &answer[viewShape]{Body: viewOf(v)}, err
}

func (a *api) deleteView(ctx context.Context, c *call, in *OnThing) (*nothing, error) {
	c.recordShared(c.view)
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteView(ctx, in.ID) })
}

// save changes a view, checks it and keeps it.
func (in *viewInput) save(ctx context.Context, tx *store.Tx, c *call, v *store.View) error {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return err
	}
	if err := maySave(c, *v); err != nil {
		return err
	}
	before := *v
	if err := refused(in.apply(v)); err != nil {
		return err
	}
	choice := choiceOf(*v)
	if err := choice.check(desk, c); err != nil {
		return err
	}
	if err := maySave(c, *v); err != nil {
		return err
	}
	c.recordShared(before, *v)
	return tx.PutView(ctx, *v)
}

// recordShared keeps out of the audit log what becomes of a view that nobody else
// has, neither before nor after: it sets nothing up.
func (c *call) recordShared(views ...store.View) {
	if !slices.ContainsFunc(views, func(v store.View) bool { return v.Shared != store.ViewNone }) {
		c.audit = nil
	}
}

func (in *viewInput) apply(v *store.View) (errs []fieldError) {
	in.Name.must(&v.Name, "name", &errs)
	in.Sort.must(&v.Sort, "sort", &errs)
	in.Shared.must(&v.Shared, "shared", &errs)
	in.Position.must(&v.Position, "position", &errs)
	if in.Filter.Sent {
		raw, err := json.Marshal(in.Filter.Value)
		if err != nil {
			errs = append(errs, fieldError{Field: "filter", Message: "is none"})
		}
		v.Filter = string(raw)
	}
	if strings.TrimSpace(v.Name) == "" && !in.Name.Null {
		errs = append(errs, fieldError{Field: "name", Message: "is required"})
	}
	return errs
}

// check refuses a filter that names what is not there: nobody would know why its
// list is empty.
func (q *TicketChoice) check(desk *store.Desk, c *call) error {
	var errs []fieldError
	known := func(field, id string, there bool) {
		if id != "" && !there {
			errs = append(errs, fieldError{Field: "filter." + field, Message: "there is no such thing"})
		}
	}
	known("channel_id", q.ChannelID, desk.Channel(q.ChannelID) != nil)
	known("status_id", q.StatusID, desk.Status(q.StatusID) != nil)
	known("marker_id", q.MarkerID, desk.Marker(q.MarkerID) != nil)
	known("owner_id", q.OwnerID, q.OwnerID == store.NoOwner || desk.Agent(q.OwnerID) != nil)
	known("responsible_id", q.ResponsibleID, desk.Agent(q.ResponsibleID) != nil)
	known("watcher_id", q.WatcherID, desk.Agent(q.WatcherID) != nil)
	if q.List == store.ListDrafts {
		errs = append(errs, fieldError{Field: "filter.list", Message: "drafts are no tickets"})
	}
	if _, err := q.filter(desk, c); err != nil {
		errs = append(errs, fieldError{Field: "filter.field", Message: "must be the key of a custom field, a colon, and its value"})
	}
	return refused(errs)
}
