package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"ticketgate/gateway/login"
	"ticketgate/store"
	"ticketgate/threading"
)

// passwords checks and makes hashes of passwords, a few at a time. Check takes
// as long for no hash as for one.
type passwords interface {
	Hash(ctx context.Context, plain string) (string, error)
	Check(ctx context.Context, hash, plain string) (matches, stale bool, err error)
}

func (a *api) registerLogin() {
	add(a, route{id: "login", method: http.MethodPost, path: "/login", tag: tagDesk, open: true, pure: true,
		status: http.StatusOK, summary: "Log in, with e-mail and password or with the token of a link; sets the session cookie"}, a.login)
	// Each log-out is of one session: the answer to another one's ends nothing.
	add(a, route{id: "logout", method: http.MethodPost, path: "/logout", tag: tagDesk, record: true, pure: true,
		status: http.StatusNoContent, summary: "End the session that the cookie names"}, a.logout)
	add(a, route{id: "mail-login-link", method: http.MethodPost, path: "/login/link", tag: tagDesk, open: true, pure: true,
		status: http.StatusAccepted, summary: "Mail a link that logs in once, within 30 minutes; the answer is the same for every address"}, a.mailLoginLink)
}

type loginInput struct {
	Body struct {
		Email    string `json:"email" maxLength:"400"`
		Password string `json:"password" maxLength:"1024"`
		Token    string `json:"token" maxLength:"200" doc:"of a mailed link, in place of e-mail and password"`
		TOTP     string `json:"totp" maxLength:"40" doc:"code of the second factor, or a recovery code"`
	}
}

type loggedIn struct {
	SetCookie []string `header:"Set-Cookie"`
	Body      sessionShape
}

func (a *api) login(ctx context.Context, _ *call, in *loginInput) (*loggedIn, error) {
	b := &in.Body
	try := attempt{api: a, totp: b.TOTP}
	var err error
	switch {
	case b.Token != "" && (b.Email != "" || b.Password != ""):
		return nil, invalid("token", "stands in place of email and password")
	case b.Token != "":
		err = try.link(ctx, b.Token)
	case b.Email == "":
		return nil, invalid("email", "is required")
	case b.Password == "":
		return nil, invalid("password", "is required")
	default:
		err = try.password(ctx, b.Email, b.Password)
	}
	if err != nil {
		return nil, err
	}
	return &loggedIn{SetCookie: []string{try.cookie()}, Body: sessionOf(try.session, try.session.ID)}, nil
}

// How often logging in may be tried, over all nodes: by one address, and for one
// account. A success gives back what it took.
var (
	byAddress = store.Allowance{Burst: 30, Interval: 20 * time.Second}
	byAccount = store.Allowance{Burst: 10, Interval: 2 * time.Minute}
)

// attempt is one try to log in, by whatever way.
type attempt struct {
	*api
	totp    string
	email   string // as it was typed
	key     string // of the account that was named
	way     string
	plain   string // of the session, for the cookie
	session store.LoginSession
}

// errLogin is what every failure to log in is answered with: whether the account
// is not there, is switched off, has no password or another one is not said.
func errLogin() *problem { return unauthorized("the log-in is not right") }

// errTOTP is told to who has given a right password.
func errTOTP() *problem {
	return unauthorized("a code of the second factor is needed").because("totp_required")
}

// password logs in with e-mail and password. The work is the same whoever the
// address is of: a hash is checked, and an outcome written.
func (t *attempt) password(ctx context.Context, email, plain string) error {
	var errs []fieldError
	t.way = store.WayPassword
	if t.email, t.key = address("email", email, &errs); len(errs) > 0 {
		return refused(errs)
	}
	if err := t.admit(ctx, t.key); err != nil {
		return err
	}
	agent, hash, err := t.account(ctx)
	if err != nil {
		return err
	}
	matches, stale, err := t.Passwords.Check(ctx, hash, plain)
	if err != nil {
		return err
	}
	renewed := ""
	if stale {
		if renewed, err = t.Passwords.Hash(ctx, plain); err != nil {
			return err
		}
	}
	return t.settle(ctx, func(ctx context.Context, tx *store.Tx) (*store.Agent, error) {
		if agent == nil || !matches {
			return nil, nil
		}
		if now, err := tx.AgentPassword(ctx, agent.ID); err != nil || now != hash {
			return nil, err // it was changed while this one was checked
		}
		if renewed != "" {
			return agent, tx.RenewPassword(ctx, agent.ID, hash, renewed)
		}
		return agent, nil
	})
}

// account gives the agent of the address, and his password's hash; neither where
// there is none.
func (t *attempt) account(ctx context.Context) (agent *store.Agent, hash string, err error) {
	err = t.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if agent = desk.AgentByKey(t.key); agent != nil {
			hash, err = tx.AgentPassword(ctx, agent.ID)
		}
		return err
	})
	return agent, hash, err
}

// link logs in with the token of a mailed link.
func (t *attempt) link(ctx context.Context, plain string) error {
	t.way = store.WayLink
	hash := threading.HashToken(plain)
	var link store.LoginLink
	err := t.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		link, err = tx.LoginLink(ctx, hash)
		return err
	})
	if err != nil && !store.IsNotFound(err) {
		return err
	}
	t.email, t.key = link.Key, link.Key
	if err := t.admit(ctx, link.Key); err != nil {
		return err
	}
	return t.settle(ctx, func(ctx context.Context, tx *store.Tx) (*store.Agent, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return nil, err
		}
		agent := desk.Agent(link.AgentID)
		if agent == nil || agent.Key != link.Key || !t.Now().Before(link.ExpiresAt) {
			return nil, nil
		}
		return agent, tx.UseLoginLink(ctx, hash)
	})
}

// admit counts the attempt, before anything is looked at: of many at the same
// moment no more get through. An empty key is of no account.
func (t *attempt) admit(ctx context.Context, key string) error {
	return t.take(ctx, "log-in", key, byAddress, byAccount)
}

// take takes an attempt of an address's, and one of an account's.
func (a *api) take(ctx context.Context, what, key string, perAddress, perAccount store.Allowance) error {
	return a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		ok, err := tx.TakeAttempt(ctx, addressKey(ctx, what), a.Now(), perAddress)
		if err == nil && ok && key != "" {
			ok, err = tx.TakeAttempt(ctx, accountKey(what, key), a.Now(), perAccount)
		}
		if err == nil && !ok {
			return tooMany("too many attempts; wait a little")
		}
		return err
	})
}

func addressKey(ctx context.Context, what string) string {
	return what + "|address|" + network(requestOf(ctx).address)
}

func accountKey(what, key string) string { return what + "|account|" + key }

// errRefused ends a transaction whose attempt fails, to be undone and written
// down as such.
var errRefused = errors.New("the log-in is refused")

// settle writes what becomes of the attempt: prove gives who it is, in the
// transaction, or nobody.
func (t *attempt) settle(ctx context.Context, prove func(context.Context, *store.Tx) (*store.Agent, error)) error {
	var refusal *problem
	var reason string
	err := t.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		refusal, reason = errLogin(), "not_right"
		agent, err := prove(ctx, tx)
		switch {
		case store.IsNotFound(err): // somebody was first
			return errRefused
		case err != nil:
			return err
		case agent == nil || !t.mayEnter(ctx, tx, agent):
			return errRefused
		}
		asked, err := t.checkTOTP(ctx, tx, agent)
		if err != nil {
			return err
		}
		if asked != "" {
			if reason = asked; asked == "totp_required" {
				refusal = errTOTP()
			}
			return errRefused
		}
		refusal = nil
		return t.enter(ctx, tx, agent)
	})
	if errors.Is(err, errRefused) {
		return t.refuse(ctx, reason, refusal)
	}
	return err
}

// mayEnter tells whether an agent may log in, as the transaction sees it.
func (t *attempt) mayEnter(ctx context.Context, tx *store.Tx, agent *store.Agent) bool {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return false
	}
	now := desk.Agent(agent.ID)
	return now != nil && now.Active
}

// checkTOTP says why an agent's second factor keeps him out, or "". A provider
// has its own.
func (t *attempt) checkTOTP(ctx context.Context, tx *store.Tx, agent *store.Agent) (reason string, err error) {
	factor, err := tx.TOTP(ctx, agent.ID)
	switch {
	case store.IsNotFound(err), err == nil && factor.ConfirmedAt.IsZero(), t.way == store.WayOIDC:
		return "", nil
	case err != nil:
		return "", err
	case t.totp == "":
		return "totp_required", nil
	}
	secret, err := login.OpenTOTP(t.Seal, factor)
	if err != nil {
		return "", err
	}
	var ok bool
	if step, matches := login.MatchTOTP(secret, t.totp, t.Now()); matches {
		ok, err = tx.TakeTOTPStep(ctx, agent.ID, step)
	} else {
		ok, err = tx.UseRecoveryCode(ctx, agent.ID, login.RecoveryHash(t.totp))
	}
	if err != nil || ok {
		return "", err
	}
	return "totp", nil
}

// enter makes a session of its own: one that the browser had before is ended, and
// none that it brings is ever taken over.
func (t *attempt) enter(ctx context.Context, tx *store.Tx, agent *store.Agent) error {
	now, r := t.Now(), requestOf(ctx)
	var hash string
	t.plain, hash = threading.NewToken()
	t.session = store.LoginSession{
		ID: store.NewID(), Hash: hash, AgentID: agent.ID, Way: t.way, Address: r.address.String(),
		Client: clientName(r.http.Header.Get("User-Agent")), CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(sessionLife),
	}
	if err := t.leaveOld(ctx, tx); err != nil {
		return err
	}
	if err := tx.AddSession(ctx, t.session); err != nil {
		return err
	}
	if err := tx.GiveAttempt(ctx, addressKey(ctx, "log-in"), byAddress); err != nil {
		return err
	}
	if err := tx.GiveAttempts(ctx, accountKey("log-in", agent.Key)); err != nil {
		return err
	}
	line := t.auditLine(ctx, store.AuditLogin)
	line.AgentID, line.Thing, line.Way, line.Credential = agent.ID, "/agents/"+agent.ID, t.way, t.session.ID
	return tx.AddAudit(ctx, line)
}

func (t *attempt) leaveOld(ctx context.Context, tx *store.Tx) error {
	cookie, err := requestOf(ctx).http.Cookie(t.origins.cookieName(sessionCookie))
	if err != nil {
		return nil
	}
	old, err := tx.SessionByHash(ctx, threading.HashToken(cookie.Value))
	if err == nil {
		err = tx.DeleteSession(ctx, old.ID)
	}
	if store.IsNotFound(err) {
		return nil
	}
	return err
}

// refuse writes down an attempt that came to nothing, and gives what it is
// answered with.
func (t *attempt) refuse(ctx context.Context, reason string, refusal *problem) error {
	line := t.auditLine(ctx, store.AuditLoginFailed)
	line.Email, line.Way, line.Reason = t.email, t.way, reason
	t.Log.InfoContext(ctx, "a log-in failed", "request_id", line.RequestID, "email", t.email, "way", t.way, "reason", reason,
		"address", line.Address, "client", line.Client)
	err := t.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if agent := desk.AgentByKey(t.key); agent != nil {
			line.Thing = "/agents/" + agent.ID
		}
		return tx.AddAudit(ctx, line)
	})
	if err != nil {
		return err
	}
	return refusal
}

// cookie is the session's, for as long as it can live.
func (t *attempt) cookie() string {
	return t.origins.cookie(sessionCookie, t.plain, int(sessionLife.Seconds()), t.origins.sameSite)
}

type loggedOut struct {
	SetCookie []string `header:"Set-Cookie"`
}

func (a *api) logout(ctx context.Context, c *call, _ *struct{}) (*loggedOut, error) {
	if c.session.ID == "" {
		return nil, newProblem(http.StatusConflict, "a token is no session: revoke it").because("no_session")
	}
	concerns(ctx, "/sessions/"+c.session.ID)
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteSession(ctx, c.session.ID) })
	return &loggedOut{SetCookie: []string{a.origins.cookie(sessionCookie, "", -1, a.origins.sameSite)}}, err
}
