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
			if store.IsNotFound(err) {
				continue
			}
			if err == nil {
				err = s.tellLate(ctx, tx, &d, hooks)
			}
			if err == nil && down {
				err = s.expire(ctx, tx, &d, hooks)
			}
			if err != nil {
				return err
			}
			if d.Warned {
				seen = append(seen, "late "+id)
			}
		}
		if !down {
			return nil
		}
		for _, id := range ids {
			seen = append(seen, "mute "+id)
		}
		return tx.ExplainWait(ctx, s.whyDown(), s.opt.Now(), ids...)
	})
	return seen, err
}

func (s *Service) whyDown() string { return reasonUnreachable + ": " + s.route.lastError() }

// expire ends a delivery that has waited for MaxAge while nothing is tried. It
// is no attempt of its own.
func (s *Service) expire(ctx context.Context, tx *store.Tx, d *store.Delivery, hooks bool) error {
	now := s.opt.Now()
	if !d.State.Waiting() || now.Before(s.end(*d)) {
		return nil
	}
	claimed, _, ok, err := tx.ClaimDelivery(ctx, d.ID, now, now.Add(s.opt.Lease))
	if err != nil || !ok {
		return err
	}
	*d, _, err = s.settle(ctx, tx, claimed, store.Outcome{State: store.Failure, Reason: reasonExpired, Attempt: &store.Attempt{
		At: now, Enhanced: "4.4.7", Text: s.whyDown(),
	}}, hooks)
	return err
}
