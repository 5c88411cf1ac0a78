package store

import "context"

// metaWebhooks holds the position up to which the journal was read for webhooks.
const metaWebhooks = "webhooks_told"

// UntoldEvents gives at most limit events of the journal, in its order, that no
// transaction took before: over all nodes each is taken once, by the transaction
// that commits. Where no webhook is active there are none.
func (tx *Tx) UntoldEvents(ctx context.Context, limit int) ([]Event, error) {
	if err := tx.Serialise(ctx, metaWebhooks); err != nil {
		return nil, err
	}
	from, ok, err := tx.untold(ctx)
	if err != nil || !ok {
		return nil, err
	}
	events, err := tx.Events(ctx, from, limit)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	return events, tx.SetMeta(ctx, metaWebhooks, events[len(events)-1].Position.String())
}

// AnyUntold tells whether UntoldEvents would find something.
func (tx *Tx) AnyUntold(ctx context.Context) (bool, error) {
	from, ok, err := tx.untold(ctx)
	if err != nil || !ok {
		return false, err
	}
	events, err := tx.Events(ctx, from, 1)
	return len(events) > 0, err
}

// untold gives the position behind which the journal is still to be read for
// webhooks; false where no webhook is active. What lies before the oldest of
// them began is none's.
func (tx *Tx) untold(ctx context.Context) (from EventPosition, ok bool, err error) {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return from, false, err
	}
	for _, w := range desk.Webhooks {
		if w.Active && (!ok || w.Since.Before(from)) {
			from, ok = w.Since, true
		}
	}
	if !ok {
		return from, false, nil
	}
	text, err := tx.Meta(ctx, metaWebhooks)
	if told, known := ParseEventPosition(text); known && from.Before(told) {
		from = told
	}
	return from, true, err
}

// withoutUntold cuts off positions, which rise, where webhooks are still to be
// told of them.
func (tx *Tx) withoutUntold(ctx context.Context, positions []EventPosition) ([]EventPosition, error) {
	from, ok, err := tx.untold(ctx)
	if err != nil || !ok {
		return positions, err
	}
	for i, p := range positions {
		if from.Before(p) {
			return positions[:i], nil
		}
	}
	return positions, nil
}
