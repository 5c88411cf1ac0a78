package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"ticketgate/gateway/login"
	"ticketgate/store"
)

// provider is an OpenID Connect provider: Begin gives where the browser goes,
// Finish the verified address that it comes back with.
type provider interface {
	Begin(ctx context.Context) (address string, f login.OIDCFlow, err error)
	Finish(ctx context.Context, f login.OIDCFlow, answer login.OIDCAnswer) (email string, err error)
}

// registerOIDC adds the two halves of a log-in at the provider, if there is one.
func (a *api) registerOIDC() {
	if a.OIDC == nil {
		return
	}
	add(a, route{id: "begin-oidc", method: http.MethodGet, path: "/login/oidc", tag: tagDesk, open: true,
		status: http.StatusFound, summary: "Send the browser to the OpenID provider"}, a.beginOIDC)
	add(a, route{id: "finish-oidc", method: http.MethodGet, path: OIDCBack, tag: tagDesk, open: true, anyQuery: true,
		status: http.StatusFound, summary: "Where the OpenID provider sends the browser back to; sets the session cookie"}, a.finishOIDC)
}

// OIDCBack is the path below Prefix that a provider has to know as redirect URI.
const OIDCBack = "/login/oidc/callback"

// flowCookie keeps a log-in's first half in the browser that began it.
const (
	flowCookie = "ticketgate-oidc"
	flowLife   = 10 * time.Minute
	flowPlace  = "oidc|flow"
)

// keptFlow is what that cookie holds, sealed.
type keptFlow struct {
	login.OIDCFlow
	Next  string `json:"next"`
	Until int64  `json:"until"` // microseconds
}

type redirected struct {
	Location  string   `header:"Location"`
	SetCookie []string `header:"Set-Cookie"`
}

type oidcQuery struct {
	Next string `query:"next" maxLength:"2000" doc:"path of ours to go to afterwards; anything else is /"`
}

func (a *api) beginOIDC(ctx context.Context, _ *call, in *oidcQuery) (*redirected, error) {
	address, flow, err := a.OIDC.Begin(ctx)
	if err != nil {
		return nil, a.providerFailed(ctx, err)
	}
	plain, err := json.Marshal(keptFlow{OIDCFlow: flow, Next: localPath(in.Next), Until: a.Now().Add(flowLife).UnixMicro()})
	if err != nil {
		return nil, err
	}
	sealed := base64.RawURLEncoding.EncodeToString(a.Seal.Seal(flowPlace, plain))
	// Lax: the provider's redirect is a navigation from another site.
	return &redirected{Location: address, SetCookie: []string{
		a.origins.cookie(flowCookie, sealed, int(flowLife.Seconds()), http.SameSiteLaxMode),
	}}, nil
}

func (a *api) providerFailed(ctx context.Context, err error) error {
	a.Log.WarnContext(ctx, "OpenID provider", "request_id", requestID(ctx), "err", err)
	return unavailable("the OpenID provider does not answer, try again").because("oidc")
}

type oidcAnswer struct {
	State  string `query:"state" maxLength:"2000"`
	Code   string `query:"code" maxLength:"4000"`
	Issuer string `query:"iss" maxLength:"2000"`
}

func (a *api) finishOIDC(ctx context.Context, _ *call, in *oidcAnswer) (*redirected, error) {
	flow, err := a.keptFlow(ctx)
	if err != nil {
		return nil, err
	}
	try := attempt{api: a, way: store.WayOIDC}
	if err := try.admit(ctx, ""); err != nil {
		return nil, err
	}
	email, err := a.OIDC.Finish(ctx, flow.OIDCFlow, login.OIDCAnswer{State: in.State, Code: in.Code, Issuer: in.Issuer})
	if errors.Is(err, login.ErrProvider) {
		return nil, a.providerFailed(ctx, err)
	}
	if err != nil {
		a.Log.InfoContext(ctx, "OpenID provider", "request_id", requestID(ctx), "err", err)
		return nil, try.refuse(ctx, "oidc", errLogin())
	}
	if err := try.verified(ctx, email); err != nil {
		return nil, err
	}
	return &redirected{Location: strings.TrimSuffix(a.PublicURL, "/") + flow.Next, SetCookie: []string{
		try.cookie(), a.origins.cookie(flowCookie, "", -1, http.SameSiteLaxMode),
	}}, nil
}

// keptFlow reads the first half from its cookie.
func (a *api) keptFlow(ctx context.Context) (f keptFlow, err error) {
	lost := newProblem(http.StatusBadRequest, "this log-in was not begun in this browser, or long ago").because("oidc_flow")
	cookie, err := requestOf(ctx).http.Cookie(a.origins.cookieName(flowCookie))
	if err != nil {
		return f, lost
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return f, lost
	}
	plain, err := a.Seal.Open(flowPlace, sealed)
	if err != nil || json.Unmarshal(plain, &f) != nil || a.Now().UnixMicro() >= f.Until {
		return f, lost
	}
	return f, nil
}

// verified logs in the active agent of an address that the provider has verified.
// It makes none.
func (t *attempt) verified(ctx context.Context, email string) error {
	var errs []fieldError
	if t.email, t.key = address("email", email, &errs); len(errs) > 0 {
		return t.refuse(ctx, "oidc", errLogin())
	}
	return t.settle(ctx, func(ctx context.Context, tx *store.Tx) (*store.Agent, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return nil, err
		}
		return desk.AgentByKey(t.key), nil
	})
}
