package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerMe() {
	add(a, route{id: "get-me", method: http.MethodGet, path: "/me", tag: tagDesk,
		summary: "The caller, and what he can do now"}, a.getMe)
	add(a, route{id: "patch-me", method: http.MethodPatch, path: "/me", tag: tagDesk,
		summary: "Choose how one is told"}, a.patchMe)
}

// meShape is the caller as he reads himself.
type meShape struct {
	AgentShape
	Subscriptions []mySubscription `json:"subscriptions"`
	Actions       actionsShape     `json:"actions"`
}

type mySubscription struct {
	ChannelID string `json:"channel_id"`
	Type      string `json:"type"`
}

type actionsShape struct {
	NewEmailTicket    actionShape `json:"new_email_ticket"`
	NewEnquiry        actionShape `json:"new_enquiry"`
	NewInternalTicket actionShape `json:"new_internal_ticket"`
}

type actionShape struct {
	Available bool   `json:"available"`
	Reason    string `json:"reason" doc:"why it is not available, or empty"`
}

func unless(reason string) actionShape { return actionShape{Available: reason == "", Reason: reason} }

type mePatch struct {
	Body OwnChoices
}

func (a *api) patchMe(ctx context.Context, c *call, in *mePatch) (*answer[meShape], error) {
	changed, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (store.Agent, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return store.Agent{}, err
		}
		now := desk.Agent(c.agent.ID)
		if now == nil {
			return store.Agent{}, notFound()
		}
		g := *now
		if err := refused(in.Body.apply(&g)); err != nil {
			return g, err
		}
		return g, tx.PutAgent(ctx, g)
	})
	if err != nil {
		return nil, err
	}
	c.agent = &changed
	return a.getMe(ctx, c, nil)
}

func (a *api) getMe(ctx context.Context, c *call, _ *struct{}) (*answer[meShape], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	me := meShape{AgentShape: agentOf(*c.agent), Subscriptions: []mySubscription{}}
	for _, s := range desk.Subscriptions {
		if s.AgentID == c.agent.ID {
			me.Subscriptions = append(me.Subscriptions, mySubscription{ChannelID: s.ChannelID, Type: s.Type})
		}
	}
	channel := noChannel(desk)
	me.Actions = actionsShape{NewEmailTicket: unless(channel), NewEnquiry: unless(channel), NewInternalTicket: unless(channel)}
	if reason := noAccount(desk); reason != "" {
		me.Actions.NewEmailTicket = unless(reason)
	}
	return &answer[meShape]{Body: me}, nil
}

// noChannel says why nothing can be filed, or "".
func noChannel(desk *store.Desk) string {
	for _, c := range desk.Channels {
		if c.Active {
			return ""
		}
	}
	return "no channel is active"
}

// noAccount says why no mail can be sent, or "".
func noAccount(desk *store.Desk) string {
	reason := "no mail account of type ticket is active"
	for _, m := range desk.Accounts {
		if m.Type != store.AccountTicket || !m.Active {
			continue
		}
		if m.State != "error" {
			return ""
		}
		reason = "no active mail account of type ticket is set up right"
		if m.StateReason != "" {
			reason += ": " + m.StateReason
		}
	}
	return reason
}
