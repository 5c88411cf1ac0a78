package threading

import (
	"context"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// maxMinutes bounds one entry of time worked: a month without a break.
const maxMinutes = 31 * 24 * 60

// Entry is time worked, as an agent puts it down. In a change, nil fields stay.
type Entry struct {
	Minutes *int
	Day     *string // 2006-01-02; of a new one: today, in the agent's time zone
	Comment *string
	AgentID *string // of a new one: himself
}

// PutTime puts down what was worked on a ticket that the agent sees: a new entry
// where id is empty. Another's entry is changed by admins alone. Errors:
// not_found, forbidden, invalid with the field, conflict for a merged ticket.
func (s *Service) PutTime(ctx context.Context, agent *store.Agent, number int64, id string, e Entry) (store.Worked, error) {
	var v store.Worked
	err := s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		v = store.Worked{
			ID: store.NewID(), Ticket: t.Number, AgentID: agent.ID, CreatedBy: agent.ID, CreatedAt: w.now,
			Day: w.now.In(s.zone(agent)).Format(time.DateOnly),
		}
		if id != "" {
			if v, err = w.ownTime(ctx, agent, t.Number, id); err != nil {
				return err
			}
		}
		if err := w.enter(&v, t, e); err != nil {
			return err
		}
		return w.tx.PutWorked(ctx, v)
	})
	return v, err
}

// DeleteTime removes an entry; errors as PutTime.
func (s *Service) DeleteTime(ctx context.Context, agent *store.Agent, number int64, id string) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		t, err := w.watched(ctx, agent, number)
		if err != nil {
			return err
		}
		if _, err := w.ownTime(ctx, agent, t.Number, id); err != nil {
			return err
		}
		return w.tx.DeleteWorked(ctx, t.Number, id)
	})
}

// ownTime gives an entry that an agent may change.
func (w *work) ownTime(ctx context.Context, agent *store.Agent, number int64, id string) (store.Worked, error) {
	v, err := w.tx.Worked(ctx, number, id)
	if err == nil && v.AgentID != agent.ID && v.CreatedBy != agent.ID && agent.Role != store.RoleAdmin {
		err = store.Errorf(store.CodeForbidden, "another's time is changed by admins")
	}
	return v, err
}

// enter changes an entry.
func (w *work) enter(v *store.Worked, t store.Ticket, e Entry) error {
	if e.Minutes != nil {
		v.Minutes = *e.Minutes
	}
	if v.Minutes < 1 || v.Minutes > maxMinutes {
		return store.Invalid("minutes", "must be between 1 and %d", maxMinutes)
	}
	if e.Day != nil {
		if _, err := time.Parse(time.DateOnly, *e.Day); err != nil {
			return store.Invalid("date", "must be a date such as 2026-11-25")
		}
		v.Day = *e.Day
	}
	if e.Comment != nil {
		v.Comment = message.Clean(*e.Comment)
	}
	if e.AgentID != nil && *e.AgentID != v.AgentID {
		if err := w.canWatch("agent_id", *e.AgentID, t); err != nil {
			return err
		}
		v.AgentID = *e.AgentID
	}
	return nil
}
