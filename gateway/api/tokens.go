package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerTokens() {
	add(a, route{id: "list-tokens", method: http.MethodGet, path: "/tokens", tag: tagDesk,
		summary: "The caller's tokens; an admin sees all"}, a.listTokens)
	add(a, route{id: "create-token", method: http.MethodPost, path: "/tokens", tag: tagDesk, record: true,
		status: http.StatusCreated, summary: "Make a token; the answer is the one time that it is shown"}, a.createToken)
	add(a, route{id: "delete-token", method: http.MethodDelete, path: "/tokens/{id}", tag: tagDesk, record: true,
		find: a.findToken, summary: "Revoke a token, at once"}, a.deleteToken)
}

// tokenShape is a token as clients read it; Token is there once.
type tokenShape struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	AgentID    string     `json:"agent_id"`
	Scopes     []string   `json:"scopes" doc:"none: all that the agent may"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	Token      string     `json:"token,omitempty" doc:"in the answer that made it, and never again"`
}

func tokenOf(t store.Token) tokenShape {
	return tokenShape{
		ID: t.ID, Name: t.Name, AgentID: t.AgentID, Scopes: some(t.Scopes), CreatedAt: t.CreatedAt.UTC(),
		ExpiresAt: when(t.ExpiresAt), LastUsedAt: when(t.LastUsedAt),
	}
}

// findToken is the 404 of a token of somebody else.
func (a *api) findToken(ctx context.Context, c *call) error {
	t, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Token, error) { return tx.Token(ctx, c.param("id")) })
	if err == nil && t.AgentID != c.agent.ID && !c.admin() {
		return notFound()
	}
	return err
}

func (a *api) listTokens(ctx context.Context, c *call, in *Paging) (*page[tokenShape], error) {
	owner := c.agent.ID
	if c.admin() {
		owner = ""
	}
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[tokenShape], error) {
		all, err := tx.Tokens(ctx, owner)
		if err != nil {
			return nil, err
		}
		return pageOf(newestFirst(all), *in, func(t *store.Token) string { return t.ID }, tokenOf)
	})
}

type newToken struct {
	Body struct {
		Name      string     `json:"name" required:"true" minLength:"1" maxLength:"200"`
		AgentID   string     `json:"agent_id" maxLength:"64" doc:"default the caller; an admin makes them for anybody"`
		Scopes    []string   `json:"scopes" maxItems:"10" enum:"read,desk,admin"`
		ExpiresAt *time.Time `json:"expires_at" doc:"default never, or when the token that makes it does"`
	}
}

func (a *api) createToken(ctx context.Context, c *call, in *newToken) (*created[tokenShape], error) {
	b := &in.Body
	if b.AgentID == "" {
		b.AgentID = c.agent.ID
	}
	plain, hash := threading.NewToken()
	t := store.Token{
		ID: store.NewID(), Name: b.Name, AgentID: b.AgentID, Hash: hash, Scopes: b.Scopes, CreatedAt: a.Now(),
	}
	if b.ExpiresAt != nil {
		t.ExpiresAt = b.ExpiresAt.UTC()
	} else {
		t.ExpiresAt = c.token.ExpiresAt
	}
	if err := a.checkToken(c, t); err != nil {
		return nil, err
	}
	concerns(ctx, "/tokens/"+t.ID)
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if desk.Agent(t.AgentID) == nil {
			return store.Invalid("agent_id", "there is no such agent")
		}
		return tx.PutToken(ctx, t)
	})
	s := tokenOf(t)
	s.Token = plain
	return &created[tokenShape]{Location: Prefix + "/tokens/" + t.ID, Body: s}, err
}

// checkToken keeps a caller from making a token that may more than he does.
func (a *api) checkToken(c *call, t store.Token) error {
	if t.AgentID != c.agent.ID && !c.admin() {
		return newProblem(http.StatusForbidden, "a token for somebody else is for admins to make")
	}
	if !covers(c.token.Scopes, t.Scopes) {
		return newProblem(http.StatusForbidden, "a token with scopes makes none with others")
	}
	if outlives(t.ExpiresAt, c.token.ExpiresAt) {
		return newProblem(http.StatusForbidden, "a token that ends makes none that ends later")
	}
	if a.tokenExpired(t) {
		return store.Invalid("expires_at", "is in the past")
	}
	return nil
}

// covers tells whether some scopes allow all that others do. No scopes allow all.
func covers(scopes, others []string) bool {
	beyond := func(scope string) bool { return !slices.Contains(scopes, scope) }
	return len(scopes) == 0 || len(others) > 0 && !slices.ContainsFunc(others, beyond)
}

// outlives tells whether one end comes behind another; the zero time never comes.
func outlives(end, other time.Time) bool {
	return !other.IsZero() && (end.IsZero() || end.After(other))
}

func (a *api) deleteToken(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteToken(ctx, in.ID) })
}
