package api

import (
	"context"
	"net/http"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

// How long the links of mails live.
const (
	invitationLife = 7 * 24 * time.Hour
	loginLinkLife  = 30 * time.Minute
)

// How often a link may be asked for.
var (
	linksByAddress = store.Allowance{Burst: 10, Interval: time.Minute}
	linksByAccount = store.Allowance{Burst: 3, Interval: 10 * time.Minute}
)

// evenly is what asking for a link takes at the least, so that a mail that is
// written can't be told from none.
const evenly = 200 * time.Millisecond

type loginLinkInput struct {
	Body struct {
		Email string `json:"email" required:"true" maxLength:"400"`
	}
}

func (a *api) mailLoginLink(ctx context.Context, _ *call, in *loginLinkInput) (*nothing, error) {
	over := time.NewTimer(evenly)
	defer over.Stop()
	var errs []fieldError
	email, key := address("email", in.Body.Email, &errs)
	if len(errs) > 0 {
		return nil, refused(errs)
	}
	if err := a.take(ctx, "link", key, linksByAddress, linksByAccount); err != nil {
		return nil, err
	}
	if err := a.sendLoginLink(ctx, email, key); err != nil {
		return nil, err
	}
	select {
	case <-over.C:
	case <-ctx.Done():
	}
	return &nothing{}, nil
}

// sendLoginLink mails a link to the agent of an address, if there is one who may
// log in, and writes down that it was asked for.
func (a *api) sendLoginLink(ctx context.Context, email, key string) error {
	line := a.auditLine(ctx, "mail-login-link")
	line.Email = email
	err := a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		line.Thing, line.Reason = "", "not_right"
		if agent := desk.AgentByKey(key); agent != nil && agent.Active {
			line.Thing, line.Reason = "/agents/"+agent.ID, ""
			if err := a.mailLink(ctx, tx, agent, store.MailedLogin, ""); err != nil {
				return err
			}
		}
		return tx.AddAudit(ctx, line)
	})
	if store.ReasonOf(err) == store.ReasonNoAccount {
		a.Log.WarnContext(ctx, "a link to log in could not be mailed", "request_id", requestID(ctx), "err", err)
		line.Reason = store.ReasonNoAccount
		return a.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.AddAudit(ctx, line) })
	}
	return err
}

// mailLink makes a link and mails it; by is the name of who invites.
func (a *api) mailLink(ctx context.Context, tx *store.Tx, agent *store.Agent, kind, by string) error {
	life := loginLinkLife
	if kind == store.MailedInvitation {
		life = invitationLife
	}
	plain, hash := threading.NewLinkToken()
	link := store.LoginLink{Hash: hash, AgentID: agent.ID, Key: agent.Key, Kind: kind, CreatedAt: a.Now(), ExpiresAt: a.Now().Add(life)}
	if err := tx.AddLoginLink(ctx, link); err != nil {
		return err
	}
	return a.Desk.SendLoginMail(ctx, tx, agent, threading.LoginMail{
		Token: plain, ExpiresAt: link.ExpiresAt, Invitation: kind == store.MailedInvitation, By: by,
	})
}

// invite is POST /agents/{id}/invite.
func (a *api) invite(ctx context.Context, c *call, in *OnThing) (*answer[AgentShape], error) {
	shape, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (AgentShape, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return AgentShape{}, err
		}
		agent := desk.Agent(in.ID)
		switch {
		case agent == nil:
			return AgentShape{}, notFound()
		case !agent.Active:
			return AgentShape{}, newProblem(http.StatusConflict, "the agent is switched off").because("inactive")
		}
		return agentOf(*agent), a.mailLink(ctx, tx, agent, store.MailedInvitation, c.agent.Name)
	})
	return &answer[AgentShape]{Body: shape}, err
}
