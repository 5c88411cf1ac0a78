package api

import (
	"context"
	"net/http"

	"ticketgate/store"
)

func (a *api) registerDeliveries() {
	add(a, route{id: "list-deliveries", method: http.MethodGet, path: "/deliveries", tag: tagDesk,
		summary: "The outbound ledger, newest first"}, a.listDeliveries)
	add(a, route{id: "get-delivery", method: http.MethodGet, path: "/deliveries/{id}", tag: tagDesk,
		find: a.findDelivery, summary: "One row of the ledger"}, a.getDelivery)
	for _, action := range []struct{ word, summary string }{
		{"retry", "Try a delivery again, now"},
		{"hold", "Keep a delivery back until it is released"},
		{"release", "Let a held delivery go on"},
		{"cancel", "Give a delivery up"},
	} {
		add(a, route{id: action.word + "-delivery", method: http.MethodPost, path: "/deliveries/{id}/" + action.word, tag: tagDesk,
			find: a.findDelivery, status: http.StatusOK, summary: action.summary}, a.changeDelivery(action.word))
	}
}

// OnThing is the path of a thing with an id.
type OnThing struct {
	ID string `path:"id"`
}

type deliveryQuery struct {
	Paging
	State  string `query:"state" enum:"queued,sending,sent,deferred,failed,unknown,held,cancelled"`
	Ticket int64  `query:"ticket" minimum:"1"`
}

func (a *api) listDeliveries(ctx context.Context, c *call, in *deliveryQuery) (*page[deliveryShape], error) {
	return a.deliveryPage(ctx, store.DeliveryFilter{
		State: store.DeliveryState(in.State), Ticket: in.Ticket, VisibleTo: c.agent.ID, Cursor: in.Cursor, Limit: in.Limit,
	})
}

func (a *api) deliveryPage(ctx context.Context, f store.DeliveryFilter) (*page[deliveryShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[deliveryShape], error) {
		found, next, err := tx.Deliveries(ctx, f)
		if err != nil {
			return nil, err
		}
		ids := make([]string, 0, len(found))
		for _, d := range found {
			ids = append(ids, d.ID)
		}
		attempts, err := tx.Attempts(ctx, ids...)
		if err != nil {
			return nil, err
		}
		return mapped(found, next, func(d store.Delivery) deliveryShape { return deliveryOf(d, attempts[d.ID]) }), nil
	})
}

// findDelivery is the 404 of a row whose ticket the caller may not see. Rows
// without a ticket are for admins.
func (a *api) findDelivery(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := tx.Delivery(ctx, c.param("id"))
		if err != nil || c.admin() {
			return err
		}
		_, err = seen(ctx, tx, c, d.Ticket)
		return err
	})
}

func (a *api) getDelivery(ctx context.Context, _ *call, in *OnThing) (*answer[deliveryShape], error) {
	s, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (deliveryShape, error) {
		d, err := tx.Delivery(ctx, in.ID)
		if err != nil {
			return deliveryShape{}, err
		}
		return withAttempts(ctx, tx, d)
	})
	return &answer[deliveryShape]{Body: s}, err
}

func withAttempts(ctx context.Context, tx *store.Tx, d store.Delivery) (deliveryShape, error) {
	attempts, err := tx.Attempts(ctx, d.ID)
	if err != nil {
		return deliveryShape{}, err
	}
	return deliveryOf(d, attempts[d.ID]), nil
}

// changeDelivery makes the handler of one action. What waits afterwards is put
// into the queue at once, and what does not is taken out; should that fail, the
// reconciler does the one, and the ledger refuses the other.
func (a *api) changeDelivery(action string) func(context.Context, *call, *OnThing) (*answer[deliveryShape], error) {
	return func(ctx context.Context, _ *call, in *OnThing) (*answer[deliveryShape], error) {
		var changed store.Delivery
		s, err := update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (deliveryShape, error) {
			var err error
			if changed, err = tx.ChangeDelivery(ctx, in.ID, action, a.Now()); err != nil {
				return deliveryShape{}, err
			}
			return withAttempts(ctx, tx, changed)
		})
		if err != nil {
			return nil, err
		}
		switch waits := changed.State.Waiting(); {
		case waits && a.Queued != nil:
			a.Queued(ctx, []store.Due{changed.Due()})
		case !waits && a.Removed != nil:
			a.Removed(ctx, changed.ID)
		}
		return &answer[deliveryShape]{Body: s}, nil
	}
}
