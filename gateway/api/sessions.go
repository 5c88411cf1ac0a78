package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
)

func (a *api) registerSessions() {
	add(a, route{id: "list-sessions", method: http.MethodGet, path: "/sessions", tag: tagDesk,
		summary: "Where the caller is logged in; an admin may ask for another agent"}, a.listSessions)
	add(a, route{id: "end-session", method: http.MethodDelete, path: "/sessions/{id}", tag: tagDesk, record: true, personal: true,
		find: a.findSession, summary: "End a session, at once; an admin ends anybody's"}, a.endSession)
}

// sessionShape is a session as clients read it.
type sessionShape struct {
	ID         string    `json:"id"`
	AgentID    string    `json:"agent_id"`
	Way        string    `json:"way" doc:"password, link, oidc"`
	Address    string    `json:"address" doc:"of the client, at the log-in"`
	Client     string    `json:"client" doc:"what its program calls itself"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at" doc:"to the minute"`
	ExpiresAt  time.Time `json:"expires_at" doc:"it ends earlier where nobody uses it"`
	Current    bool      `json:"current" doc:"the one that asks"`
}

func sessionOf(s store.LoginSession, current string) sessionShape {
	expires := s.ExpiresAt
	if idle := s.LastUsedAt.Add(SessionIdle); idle.Before(expires) {
		expires = idle
	}
	return sessionShape{
		ID: s.ID, AgentID: s.AgentID, Way: s.Way, Address: s.Address, Client: s.Client, CreatedAt: s.CreatedAt.UTC(),
		LastUsedAt: s.LastUsedAt.UTC(), ExpiresAt: expires.UTC(), Current: s.ID == current,
	}
}

type sessionQuery struct {
	Paging
	AgentID string `query:"agent_id" maxLength:"64" doc:"default the caller; others' are for admins"`
}

func (a *api) listSessions(ctx context.Context, c *call, in *sessionQuery) (*page[sessionShape], error) {
	agentID := in.AgentID
	if agentID == "" {
		agentID = c.agent.ID
	}
	if agentID != c.agent.ID && !c.admin() {
		return nil, newProblem(http.StatusForbidden, "others' sessions are for admins")
	}
	all, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) ([]store.LoginSession, error) {
		return tx.Sessions(ctx, agentID)
	})
	if err != nil {
		return nil, err
	}
	open := make([]store.LoginSession, 0, len(all))
	for _, s := range newestFirst(all) {
		if !a.sessionEnded(s) {
			open = append(open, s)
		}
	}
	return pageOf(open, in.Paging, func(s *store.LoginSession) string { return s.ID },
		func(s store.LoginSession) sessionShape { return sessionOf(s, c.session.ID) })
}

// findSession is the 404 of a session of somebody else.
func (a *api) findSession(ctx context.Context, c *call) error {
	s, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.LoginSession, error) {
		return tx.Session(ctx, c.param("id"))
	})
	if err == nil && s.AgentID != c.agent.ID && !c.admin() {
		return notFound()
	}
	return err
}

func (a *api) endSession(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	concerns(ctx, "/sessions/"+in.ID)
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteSession(ctx, in.ID) })
}
