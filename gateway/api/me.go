package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerMe() {
	add(a, route{id: "get-me", method: http.MethodGet, path: "/me", tag: tagDesk,
		summary: "The caller, and what he can do now"}, a.getMe)
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
