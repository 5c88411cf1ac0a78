package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerWatchers() {
	add(a, route{id: "list-watchers", method: http.MethodGet, path: "/tickets/{number}/watchers", tag: tagDesk,
		find: a.findTicket, summary: "The agents who are told of a ticket as well"}, a.listWatchers)
	add(a, route{id: "add-watcher", method: http.MethodPost, path: "/tickets/{number}/watchers", tag: tagDesk,
		find: a.findTicket, status: http.StatusCreated, summary: "Have an agent watch a ticket, oneself or another who sees it"}, a.addWatcher)
	add(a, route{id: "remove-watcher", method: http.MethodDelete, path: "/tickets/{number}/watchers/{agent_id}", tag: tagDesk,
		find: a.findWatcher, summary: "End an agent's watching"}, a.removeWatcher)
}

// watcherShape is an agent who watches a ticket.
type watcherShape struct {
	AgentID string `json:"agent_id"`
	Name    string `json:"name"`
}

// watchersOf gives those of the ticket of the path.
func watchersOf(ctx context.Context, tx *store.Tx, c *call) ([]watcherShape, error) {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return nil, err
	}
	all, err := tx.Watchers(ctx, c.ticket.Number)
	shapes := make([]watcherShape, 0, len(all[c.ticket.Number]))
	for _, id := range all[c.ticket.Number] {
		if agent := desk.Agent(id); agent != nil {
			shapes = append(shapes, watcherShape{AgentID: id, Name: agent.Name})
		}
	}
	return shapes, err
}

func (a *api) listWatchers(ctx context.Context, c *call, in *struct {
	OnTicket
	Paging
}) (*page[watcherShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[watcherShape], error) {
		shapes, err := watchersOf(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		return pageOf(shapes, in.Paging, func(w *watcherShape) string { return w.AgentID }, same)
	})
}

type newWatcher struct {
	OnTicket
	Body struct {
		AgentID string `json:"agent_id" required:"true" maxLength:"64"`
	}
}

func (a *api) addWatcher(ctx context.Context, c *call, in *newWatcher) (*created[watcherShape], error) {
	id := in.Body.AgentID
	if err := a.Desk.AddWatcher(ctx, c.agent, c.ticket.Number, id); err != nil {
		return nil, err
	}
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	s := watcherShape{AgentID: id}
	if agent := desk.Agent(id); agent != nil {
		s.Name = agent.Name
	}
	return &created[watcherShape]{Location: Prefix + "/tickets/" + c.param("number") + "/watchers/" + id, Body: s}, nil
}

// findWatcher is the 404 of who does not watch.
func (a *api) findWatcher(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := c.findTicket(ctx, tx); err != nil {
			return err
		}
		shapes, err := watchersOf(ctx, tx, c)
		if err != nil {
			return err
		}
		for _, s := range shapes {
			if s.AgentID == c.param("agent_id") {
				return nil
			}
		}
		return notFound()
	})
}

func (a *api) removeWatcher(ctx context.Context, c *call, in *struct {
	OnTicket
	AgentID string `path:"agent_id" doc:"the agent's id"`
}) (*nothing, error) {
	return &nothing{}, a.Desk.RemoveWatcher(ctx, c.agent, c.ticket.Number, in.AgentID)
}
