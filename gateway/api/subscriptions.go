package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerSubscriptions() {
	find := a.inDesk(func(d *store.Desk, id string) bool { return d.Channel(id) != nil })
	add(a, route{id: "list-subscriptions", method: http.MethodGet, path: "/channels/{id}/subscriptions", tag: tagDesk,
		find: find, summary: "Who is subscribed to a channel"}, a.listSubscriptions)
	add(a, route{id: "put-subscription", method: http.MethodPost, path: "/channels/{id}/subscriptions", tag: tagAdmin,
		find: find, status: http.StatusCreated, summary: "Subscribe an agent; a second one replaces the first"}, a.putSubscription)
	add(a, route{id: "delete-subscription", method: http.MethodDelete, path: "/channels/{id}/subscriptions/{agent_id}",
		tag: tagAdmin, find: a.findSubscription, summary: "End a subscription"}, a.deleteSubscription)
}

// findSubscription is the 404 of an agent's tie to a channel.
func (a *api) findSubscription(ctx context.Context, c *call) error {
	desk, err := a.DB.Desk(ctx)
	if err == nil && desk.Subscription(c.param("id"), c.param("agent_id")) == "" {
		return notFound()
	}
	return err
}

type subscriptionList struct {
	OnThing
	Paging
}

func (a *api) listSubscriptions(ctx context.Context, _ *call, in *subscriptionList) (*page[store.Subscription], error) {
	desk, err := a.DB.Desk(ctx)
	if err != nil {
		return nil, err
	}
	var mine []store.Subscription
	for _, s := range desk.Subscriptions {
		if s.ChannelID == in.ID {
			mine = append(mine, s)
		}
	}
	return pageOf(mine, in.Paging, func(s *store.Subscription) string { return s.AgentID }, same)
}

// same shows a record as it is.
func same[R any](r R) R { return r }

type subscriptionInput struct {
	OnThing
	Body struct {
		AgentID string `json:"agent_id" required:"true" maxLength:"64"`
		Type    string `json:"type" required:"true" enum:"standard,informal"`
	}
}

func (a *api) putSubscription(ctx context.Context, _ *call, in *subscriptionInput) (*created[store.Subscription], error) {
	s := store.Subscription{ChannelID: in.ID, AgentID: in.Body.AgentID, Type: in.Body.Type}
	concerns(ctx, "/channels/"+s.ChannelID+"/subscriptions/"+s.AgentID)
	err := a.change(ctx, func(ctx context.Context, tx *store.Tx) error {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		if desk.Channel(s.ChannelID) == nil {
			return notFound()
		}
		if desk.Agent(s.AgentID) == nil {
			return store.Invalid("agent_id", "there is no such agent")
		}
		return tx.PutSubscription(ctx, s)
	})
	return &created[store.Subscription]{Location: Prefix + "/channels/" + s.ChannelID + "/subscriptions/" + s.AgentID, Body: s}, err
}

type onSubscription struct {
	OnThing
	AgentID string `path:"agent_id"`
}

func (a *api) deleteSubscription(ctx context.Context, _ *call, in *onSubscription) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteSubscription(ctx, in.ID, in.AgentID)
	})
}
