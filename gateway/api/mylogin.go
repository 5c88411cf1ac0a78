package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/gateway/login"
	"ticketgate/store"
)

func (a *api) registerMyLogin() {
	add(a, route{id: "change-password", method: http.MethodPost, path: "/me/password", tag: tagDesk, record: true, personal: true,
		status: http.StatusOK, summary: "Change one's password; all other sessions end"}, a.changePassword)
	add(a, route{id: "get-totp", method: http.MethodGet, path: "/me/totp", tag: tagDesk,
		summary: "Whether the caller has a second factor"}, a.getTOTP)
	add(a, route{id: "begin-totp", method: http.MethodPost, path: "/me/totp", tag: tagDesk, record: true, personal: true,
		status: http.StatusCreated, summary: "Make a second factor (RFC 6238); it is asked for once it is confirmed"}, a.beginTOTP)
	add(a, route{id: "confirm-totp", method: http.MethodPost, path: "/me/totp/confirm", tag: tagDesk, record: true, personal: true,
		status: http.StatusOK, summary: "Confirm the second factor with its first code; the answer is the one time that the recovery codes are shown"}, a.confirmTOTP)
	add(a, route{id: "remove-totp", method: http.MethodPost, path: "/me/totp/remove", tag: tagDesk, record: true, personal: true,
		status: http.StatusOK, summary: "Log in without a second factor again"}, a.removeTOTP)
	add(a, route{id: "remove-agents-totp", method: http.MethodDelete, path: "/agents/{id}/totp", tag: tagAdmin,
		find: inStore(a, (*store.Tx).TOTP), summary: "Take away the second factor of an agent who lost it"}, a.removeAgentsTOTP)
}

type passwordInput struct {
	Body struct {
		Current  string `json:"current" maxLength:"1024" doc:"the present one; not needed where none is set, or within 30 minutes of a log-in by a link"`
		Password string `json:"password" required:"true" maxLength:"1024" doc:"8 characters at least"`
	}
}

func (a *api) changePassword(ctx context.Context, c *call, in *passwordInput) (*answer[meShape], error) {
	if fault := login.PasswordFault(in.Body.Password, c.agent.Email); fault != "" {
		return nil, invalid("password", fault)
	}
	old, err := a.prove(ctx, c, in.Body.Current)
	if err != nil {
		return nil, err
	}
	hash, err := a.Passwords.Hash(ctx, in.Body.Password)
	if err != nil {
		return nil, err
	}
	err = a.change(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.AgentPassword(ctx, c.agent.ID)
		if err == nil && now != old {
			return store.Errorf(store.CodeConflict, "the password was changed at the same moment")
		}
		if err != nil {
			return err
		}
		return tx.SetPassword(ctx, c.agent.ID, hash, c.session.ID)
	})
	if err != nil {
		return nil, err
	}
	return a.getMe(ctx, c, nil)
}

// prove refuses a caller who may not change how he logs in: a session that was
// left open knows no password. It gives the hash of the present one.
func (a *api) prove(ctx context.Context, c *call, current string) (hash string, err error) {
	hash, err = view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (string, error) { return tx.AgentPassword(ctx, c.agent.ID) })
	byLink := c.session.Way == store.WayLink && a.Now().Sub(c.session.CreatedAt) < loginLinkLife
	if err != nil || hash == "" || byLink {
		return hash, err
	}
	if current == "" {
		return "", invalid("current", "is required")
	}
	if err := a.take(ctx, "log-in", c.agent.Key, byAddress, byAccount); err != nil {
		return "", err
	}
	matches, _, err := a.Passwords.Check(ctx, hash, current)
	if err != nil {
		return "", err
	}
	if !matches {
		return "", invalid("current", "is not right")
	}
	return hash, a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.GiveAttempt(ctx, addressKey(ctx, "log-in"), byAddress); err != nil {
			return err
		}
		return tx.GiveAttempts(ctx, accountKey("log-in", c.agent.Key))
	})
}

// totpShape is a second factor as its agent reads it.
type totpShape struct {
	Enabled           bool       `json:"enabled" doc:"it is asked for at a log-in"`
	ConfirmedAt       *time.Time `json:"confirmed_at"`
	RecoveryCodesLeft int        `json:"recovery_codes_left"`
	Secret            string     `json:"secret,omitempty" doc:"in the answer that made it, and never again"`
	URL               string     `json:"url,omitempty" doc:"the same as an otpauth: address, for a QR code"`
	RecoveryCodes     []string   `json:"recovery_codes,omitempty" doc:"in the answer that confirmed it, and never again; each counts once"`
}

func (a *api) getTOTP(ctx context.Context, c *call, _ *struct{}) (*answer[totpShape], error) {
	var shape totpShape
	err := a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err := tx.TOTP(ctx, c.agent.ID)
		if store.IsNotFound(err) || err != nil {
			return err
		}
		shape.Enabled, shape.ConfirmedAt = !t.ConfirmedAt.IsZero(), when(t.ConfirmedAt)
		shape.RecoveryCodesLeft, err = tx.RecoveryCodes(ctx, c.agent.ID)
		return err
	})
	if store.IsNotFound(err) {
		err = nil
	}
	return &answer[totpShape]{Body: shape}, err
}

type proofInput struct {
	Body struct {
		Current string `json:"current" maxLength:"1024" doc:"the password, where one is set"`
	}
}

// errHasTOTP is the 409 of a second second factor.
func errHasTOTP() *problem {
	return newProblem(http.StatusConflict, "there is a second factor; remove it first").because("totp_enabled")
}

func (a *api) beginTOTP(ctx context.Context, c *call, in *proofInput) (*created[totpShape], error) {
	if _, err := a.prove(ctx, c, in.Body.Current); err != nil {
		return nil, err
	}
	secret := login.NewTOTPSecret()
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error {
		switch old, err := tx.TOTP(ctx, c.agent.ID); {
		case err == nil && !old.ConfirmedAt.IsZero():
			return errHasTOTP()
		case err != nil && !store.IsNotFound(err):
			return err
		}
		return tx.PutTOTP(ctx, store.TOTP{AgentID: c.agent.ID, Secret: login.SealTOTP(a.Seal, c.agent.ID, secret)})
	})
	shape := totpShape{Secret: login.TOTPText(secret), URL: login.TOTPURL("ticketgate "+a.Hostname, c.agent.Email, secret)}
	return &created[totpShape]{Location: Prefix + "/me/totp", Body: shape}, err
}

type totpInput struct {
	Body struct {
		TOTP string `json:"totp" required:"true" maxLength:"40" doc:"a code of the authenticator"`
	}
}

func (a *api) confirmTOTP(ctx context.Context, c *call, in *totpInput) (*answer[totpShape], error) {
	codes := login.NewRecoveryCodes()
	hashes := make([]string, len(codes))
	for i, code := range codes {
		hashes[i] = login.RecoveryHash(code)
	}
	at := a.Now()
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error {
		t, err := tx.TOTP(ctx, c.agent.ID)
		switch {
		case store.IsNotFound(err):
			return newProblem(http.StatusConflict, "no second factor was begun").because("no_totp")
		case err != nil:
			return err
		case !t.ConfirmedAt.IsZero():
			return errHasTOTP()
		}
		secret, err := login.OpenTOTP(a.Seal, t)
		if err != nil {
			return err
		}
		step, ok := login.MatchTOTP(secret, in.Body.TOTP, at)
		if !ok {
			return invalid("totp", "is not the code that is shown now")
		}
		t.ConfirmedAt, t.LastStep = at, step
		if err := tx.PutTOTP(ctx, t); err != nil {
			return err
		}
		return tx.PutRecoveryCodes(ctx, c.agent.ID, hashes)
	})
	shape := totpShape{Enabled: true, ConfirmedAt: when(at), RecoveryCodesLeft: len(codes), RecoveryCodes: codes}
	return &answer[totpShape]{Body: shape}, err
}

func (a *api) removeTOTP(ctx context.Context, c *call, in *proofInput) (*answer[totpShape], error) {
	if _, err := a.prove(ctx, c, in.Body.Current); err != nil {
		return nil, err
	}
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteTOTP(ctx, c.agent.ID) })
	if store.IsNotFound(err) {
		err = newProblem(http.StatusConflict, "there is no second factor").because("no_totp")
	}
	return &answer[totpShape]{}, err
}

func (a *api) removeAgentsTOTP(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteTOTP(ctx, in.ID) })
}
