package api

import (
	"context"
	"net/http"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerAgents() {
	find := a.inDesk(func(d *store.Desk, id string) bool { return d.Agent(id) != nil })
	add(a, route{id: "list-agents", method: http.MethodGet, path: "/agents", tag: tagDesk, summary: "Agents"}, a.listAgents)
	add(a, route{id: "create-agent", method: http.MethodPost, path: "/agents", tag: tagAdmin,
		status: http.StatusCreated, summary: "Make an agent"}, a.createAgent)
	add(a, route{id: "get-agent", method: http.MethodGet, path: "/agents/{id}", tag: tagDesk, find: find,
		summary: "One agent"}, a.getAgent)
	add(a, route{id: "patch-agent", method: http.MethodPatch, path: "/agents/{id}", tag: tagAdmin, find: find,
		summary: "Change an agent, or switch one off"}, a.patchAgent)
	add(a, route{id: "delete-agent", method: http.MethodDelete, path: "/agents/{id}", tag: tagAdmin, find: find,
		summary: "Remove an agent whom nothing names"}, a.deleteAgent)
	add(a, route{id: "invite-agent", method: http.MethodPost, path: "/agents/{id}/invite", tag: tagAdmin, find: find,
		status: http.StatusOK, summary: "Mail an agent a link that logs in once, within 7 days"}, a.invite)
}

// AgentShape is an agent as clients read one.
type AgentShape struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Email  string            `json:"email"`
	Role   string            `json:"role"`
	Active bool              `json:"active"`
	Notify map[string]string `json:"notify" doc:"by owner, responsible, watcher, subscriber; absent: mail"`

	Timezone string `json:"timezone" doc:"empty: the desk's"`
}

func agentOf(g store.Agent) AgentShape {
	return AgentShape{ID: g.ID, Name: g.Name, Email: g.Email, Role: g.Role, Active: g.Active, Notify: someMap(g.Notify), Timezone: g.Timezone}
}

// agentInput is the body of POST and PATCH.
type agentInput struct {
	Name   opt[string] `json:"name" maxLength:"200"`
	Email  opt[string] `json:"email" maxLength:"400"`
	Role   opt[string] `json:"role" enum:"agent,admin" doc:"default agent"`
	Active opt[bool]   `json:"active" doc:"default true"`
	OwnChoices
}

// OwnChoices are what an agent may also change himself. It is exported because
// huma passes over what is embedded and is not.
type OwnChoices struct {
	Notify   opt[map[string]string] `json:"notify" doc:"by owner, responsible, watcher, subscriber: mail, digest, event or none; for subscriber also relevant"`
	Timezone opt[string]            `json:"timezone" maxLength:"64" doc:"IANA name, of digests; empty: the desk's"`
}

func (in *OwnChoices) apply(g *store.Agent) []fieldError {
	in.Notify.into(&g.Notify)
	in.Timezone.into(&g.Timezone)
	return append(refusals(threading.CheckNotify(g.Notify)), refusals(threading.CheckTimezone(g.Timezone))...)
}

func (in *agentInput) apply(g *store.Agent) []fieldError {
	var errs []fieldError
	in.Role.must(&g.Role, "role", &errs)
	in.Active.must(&g.Active, "active", &errs)
	in.Email.must(&g.Email, "email", &errs)
	in.Name.into(&g.Name)
	g.Email, g.Key = address("email", g.Email, &errs)
	if g.Name == "" {
		g.Name = g.Email
	}
	return append(errs, in.OwnChoices.apply(g)...)
}

func (a *api) listAgents(ctx context.Context, _ *call, in *Paging) (*page[AgentShape], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(newestFirst(desk.Agents), *in, func(g *store.Agent) string { return g.ID }, agentOf)
}

func (a *api) getAgent(ctx context.Context, _ *call, in *OnThing) (*answer[AgentShape], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	g := desk.Agent(in.ID)
	if g == nil {
		return nil, notFound()
	}
	return &answer[AgentShape]{Body: agentOf(*g)}, nil
}

type newAgent struct {
	Body agentInput
}

func (a *api) createAgent(ctx context.Context, _ *call, in *newAgent) (*created[AgentShape], error) {
	g := store.Agent{ID: store.NewID(), Role: store.RoleAgent, Active: true}
	if err := refused(in.Body.apply(&g)); err != nil {
		return nil, err
	}
	concerns(ctx, "/agents/"+g.ID)
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, g) })
	return &created[AgentShape]{Location: Prefix + "/agents/" + g.ID, Body: agentOf(g)}, err
}

type agentPatch struct {
	OnThing
	Body agentInput
}

func (a *api) patchAgent(ctx context.Context, _ *call, in *agentPatch) (*answer[AgentShape], error) {
	s, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (AgentShape, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return AgentShape{}, err
		}
		old := desk.Agent(in.ID)
		if old == nil {
			return AgentShape{}, notFound()
		}
		g := *old
		if err := refused(in.Body.apply(&g)); err != nil {
			return AgentShape{}, err
		}
		if (!g.Active || g.Role != store.RoleAdmin) && lastAdmin(desk, g.ID) {
			return AgentShape{}, errLastAdmin()
		}
		return agentOf(g), tx.PutAgent(ctx, g)
	})
	return &answer[AgentShape]{Body: s}, err
}

// lastAdmin tells whether nobody but this agent could change the desk.
func lastAdmin(desk *store.Desk, id string) bool {
	others := false
	admin := false
	for _, g := range desk.Agents {
		if g.Active && g.Role == store.RoleAdmin {
			admin = admin || g.ID == id
			others = others || g.ID != id
		}
	}
	return admin && !others
}

func errLastAdmin() error {
	return newProblem(http.StatusConflict, "this is the only active admin").because("last_admin")
}

func (a *api) deleteAgent(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if lastAdmin(desk, in.ID) {
			return errLastAdmin()
		}
		return tx.DeleteAgent(ctx, in.ID)
	})
}
