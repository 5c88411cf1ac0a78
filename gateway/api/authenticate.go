package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

// SessionIdle is how long a session lives that nobody uses.
const SessionIdle = 12 * time.Hour

// sessionLife is how long a session lives at all.
const sessionLife = 7 * 24 * time.Hour

const sessionCookie = "ticketgate"

// bearerForm is what a token may look like; anything else is asked of no store.
var bearerForm = regexp.MustCompile(`^[A-Za-z0-9_~+/.=-]{1,200}$`)

// authenticate finds the agent whose token or session the request carries; the
// token goes first. What is wrong with either is not said.
func (a *api) authenticate(ctx context.Context) (*call, error) {
	r := requestOf(ctx).http
	if header := r.Header.Get("Authorization"); header != "" {
		return a.byToken(ctx, header)
	}
	cookie, err := r.Cookie(a.origins.cookieName(sessionCookie))
	if err != nil || cookie.Value == "" {
		return nil, unauthorized("this needs a log-in, or a token: Authorization: Bearer TOKEN")
	}
	if a.origins.foreign(r) {
		return nil, foreignOrigin()
	}
	return a.bySession(ctx, cookie.Value)
}

func (a *api) byToken(ctx context.Context, header string) (*call, error) {
	scheme, plain, _ := strings.Cut(header, " ")
	plain = strings.TrimSpace(plain)
	if !strings.EqualFold(scheme, "Bearer") || !bearerForm.MatchString(plain) {
		return nil, unauthorized("the token is not valid")
	}
	c, err := a.identify(ctx, func(ctx context.Context, tx *store.Tx, c *call) (err error) {
		c.token, err = tx.TokenByHash(ctx, threading.HashToken(plain))
		return err
	})
	if err != nil {
		return nil, err
	}
	a.touch(ctx, c.token.LastUsedAt, func(ctx context.Context, tx *store.Tx, now time.Time) error {
		return tx.TouchToken(ctx, c.token.ID, now)
	})
	return c, nil
}

func (a *api) bySession(ctx context.Context, plain string) (*call, error) {
	if !bearerForm.MatchString(plain) {
		return nil, unauthorized("the log-in is no longer valid")
	}
	c, err := a.identify(ctx, func(ctx context.Context, tx *store.Tx, c *call) (err error) {
		c.session, err = tx.SessionByHash(ctx, threading.HashToken(plain))
		return err
	})
	if err != nil {
		return nil, err
	}
	a.touch(ctx, c.session.LastUsedAt, func(ctx context.Context, tx *store.Tx, now time.Time) error {
		return tx.TouchSession(ctx, c.session.ID, now)
	})
	return c, nil
}

// identify makes the call of the token or session that find puts into it, where
// that may be used now.
func (a *api) identify(ctx context.Context, find func(context.Context, *store.Tx, *call) error) (*call, error) {
	c := &call{}
	err := a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := find(ctx, tx, c); err != nil {
			return err
		}
		desk, err := tx.Desk(ctx)
		if err == nil {
			c.agent = desk.Agent(c.agentID())
		}
		return err
	})
	switch {
	case err != nil && !store.IsNotFound(err):
		return nil, err
	case err != nil, c.agent == nil, !c.agent.Active, a.expired(c):
		return nil, unauthorized("the token or log-in is not valid")
	}
	return c, nil
}

func (a *api) expired(c *call) bool {
	if c.session.ID != "" {
		return a.sessionEnded(c.session)
	}
	return a.tokenExpired(c.token)
}

func (a *api) tokenExpired(t store.Token) bool {
	return !t.ExpiresAt.IsZero() && !a.Now().Before(t.ExpiresAt)
}

func (a *api) sessionEnded(s store.LoginSession) bool {
	now := a.Now()
	return !now.Before(s.ExpiresAt) || now.Sub(s.LastUsedAt) >= SessionIdle
}

// touch notes that something was used, to the minute. Nobody waits for it to
// succeed: a session that was not noted ends the sooner.
func (a *api) touch(ctx context.Context, last time.Time, note func(context.Context, *store.Tx, time.Time) error) {
	now := a.Now()
	if now.Sub(last) < time.Minute {
		return
	}
	err := a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return note(ctx, tx, now) })
	if err != nil {
		a.Log.WarnContext(ctx, "the use of a token or session was not noted", "request_id", requestID(ctx), "err", err)
	}
}

// stillValid looks once more whether a call's token or session may be used.
func (a *api) stillValid(ctx context.Context, c *call) error {
	_, err := a.identify(ctx, byID(c.token.ID, c.session.ID))
	return err
}

// byID finds a token or a session by its id; the other one's is empty.
func byID(tokenID, sessionID string) func(context.Context, *store.Tx, *call) error {
	return func(ctx context.Context, tx *store.Tx, c *call) (err error) {
		if tokenID != "" {
			c.token, err = tx.Token(ctx, tokenID)
		} else {
			c.session, err = tx.Session(ctx, sessionID)
		}
		return err
	}
}

// eventsTokenLife is how long a token of POST /events/token opens a stream.
const eventsTokenLife = time.Minute

// eventsTicket is what such a token holds, sealed: nothing of it is kept. It is
// worth what the token or session is that it was made with.
type eventsTicket struct {
	Token   string `json:"t,omitempty"` // ids
	Session string `json:"s,omitempty"`
	Until   int64  `json:"u"` // microseconds
}

const eventsPlace = "events|token"

func (a *api) registerEventsToken() {
	add(a, route{id: "create-events-token", method: http.MethodPost, path: "/events/token", tag: tagDesk, pure: true,
		status: http.StatusCreated, summary: "A token for GET /events?token=, good for a minute: for browsers, which can send no header there"},
		a.createEventsToken)
}

type eventsToken struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (a *api) createEventsToken(_ context.Context, c *call, _ *struct{}) (*answer[eventsToken], error) {
	until := a.Now().Add(eventsTokenLife).UTC()
	plain, err := json.Marshal(eventsTicket{Token: c.token.ID, Session: c.session.ID, Until: until.UnixMicro()})
	if err != nil {
		return nil, err
	}
	sealed := base64.RawURLEncoding.EncodeToString(a.Seal.Seal(eventsPlace, plain))
	return &answer[eventsToken]{Body: eventsToken{Token: sealed, ExpiresAt: until}}, nil
}

// byEventsToken finds the caller of a stream by its query. A token of the other
// kind is none here: addresses are written into logs.
func (a *api) byEventsToken(ctx context.Context, text string) (*call, error) {
	bad := unauthorized("the token is not valid")
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, bad
	}
	plain, err := a.Seal.Open(eventsPlace, sealed)
	if err != nil {
		return nil, bad
	}
	var t eventsTicket
	if json.Unmarshal(plain, &t) != nil || a.Now().UnixMicro() >= t.Until {
		return nil, bad
	}
	return a.identify(ctx, byID(t.Token, t.Session))
}
