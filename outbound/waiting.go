package outbound

import (
	"context"

	"ticketgate/store"
)

// examine looks at the deliveries that have waited for long, and while the
// smarthost is down at those that don't say yet why they wait.
func (s *Service) examine(ctx context.Context, rows []store.Due) {
	now, down := s.opt.Now(), s.route.isOpen()
	var ids []string
	for _, row := range rows {
		age := now.Sub(madeAt(row.DeliveryID))
		late := age >= s.opt.LateAfter && !s.examined["late "+row.DeliveryID]
		mute := down && row.Attempt == 0 && !s.examined["mute "+row.DeliveryID]
		if late || mute || down && age >= s.opt.MaxAge {
			ids = append(ids, row.DeliveryID)
		}
	}
	for len(ids) > 0 && ctx.Err() == nil {
		n := min(examineChunk, len(ids))
		s.examineChunk(ctx, ids[:n], down)
		ids = ids[n:]
	}
}

// examineChunk looks at some of them in one transaction; one that fails there
// is looked at alone, and not again.
func (s *Service) examineChunk(ctx context.Context, ids []string, down bool) {
	var seen []string
	look := func(hooks bool) (err error) {
		seen, err = s.look(ctx, ids, down, hooks)
		return err
	}
	var err error
	if len(ids) == 1 {
		err = s.unhooked(ids[0], look)
	} else {
		err = look(true)
	}
	switch {
	case err == nil:
		s.examined.add(seen)
	case ctx.Err() != nil:
	case store.CodeOf(err) != store.CodeUnavailable && len(ids) > 1:
		for _, id := range ids {
			s.examineChunk(ctx, []string{id}, down)
		}
	default:
		s.opt.Log.Error("looking at deliveries that wait", "first", ids[0], "error", err)
		if store.CodeOf(err) != store.CodeUnavailable {
			s.examined.add([]string{"late " + ids[0], "mute " + ids[0]})
		}
	}
}

// look is one transaction; it tells what need not be looked at again.
func (s *Service) look(ctx context.Context, ids []string, down, hooks bool) (seen []string, err error) {
	err = s.opt.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		seen = nil
		for _, id := range ids {
			d, err := tx.Delivery(ctx, id)
			if err == nil {
				err = s.tellLate(ctx, tx, &d, hooks)
			}
			if err == nil && down {
				err = s.explainWait(ctx, tx, &d, hooks)
			}
			if d.ID != "" && err != nil || err != nil && !store.IsNotFound(err) {
				return err
			}
			if d.Warned {
				seen = append(seen, "late "+id)
			}
			if d.Reason != "" {
				seen = append(seen, "mute "+id)
			}
		}
		return nil
	})
	return seen, err
}

// explainWait makes a delivery say that the smarthost is down, and ends one
// that has waited for MaxAge. It is no attempt.
func (s *Service) explainWait(ctx context.Context, tx *store.Tx, d *store.Delivery, hooks bool) error {
	now := s.opt.Now()
	untried := d.State == store.Queued && d.Attempts == 0
	expired := !now.Before(s.end(*d)) && (d.State != store.Queued || untried)
	if !d.State.Waiting() || !expired && !(untried && d.Reason == "") {
		return nil
	}
	claimed, _, ok, err := tx.ClaimDelivery(ctx, d.ID, now, now.Add(s.opt.Lease))
	if err != nil || !ok {
		return err
	}
	o := store.Outcome{State: store.Deferred, Reason: reasonUnreachable + ": " + s.route.lastError(), NextAttemptAt: now}
	if expired {
		o = store.Outcome{State: store.Failure, Reason: reasonExpired, Attempt: &store.Attempt{
			At: now, Enhanced: "4.4.7", Text: reasonUnreachable + ": " + s.route.lastError(),
		}}
	}
	*d, _, err = s.settle(ctx, tx, claimed, o, hooks)
	return err
}
