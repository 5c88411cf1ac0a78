package threading

import (
	"context"
	"slices"
	"time"

	"ticketgate/store"
)

// ruleBatch is how many tickets a rule looks at in one transaction.
const ruleBatch = 50

// RunTimeRules lets the rules look that wait for a time: each at every ticket
// whose event is as long ago as it wants, once for each time that the event
// happens. Any number of nodes may call it at once; a mark in the store says what
// was looked at. A rule begins when it is switched on: what fell due before is left
// alone. A transaction that commits more than a rule's minutes after its clock was
// read is not seen.
func (s *Service) RunTimeRules(ctx context.Context) error {
	desk, err := s.db.Desk(ctx)
	if err != nil {
		return err
	}
	list := s.rulebook(desk).byWhen[store.RuleOnTime]
	marks, err := s.ruleMarks(ctx, list)
	if err != nil {
		return err
	}
	for _, r := range list {
		mark, ok := marks[r.ID]
		if !ok || mark.Event != r.Event {
			err = s.startRule(ctx, r)
		} else {
			err = s.runTimeRule(ctx, r, mark)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ruleMarks reads how far the rules have come, and forgets those that are off.
func (s *Service) ruleMarks(ctx context.Context, list []*rule) (map[string]store.RuleMark, error) {
	var all []store.RuleMark
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = tx.RuleMarks(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	marks := map[string]store.RuleMark{}
	for _, m := range all {
		if slices.ContainsFunc(list, func(r *rule) bool { return r.ID == m.RuleID }) {
			marks[m.RuleID] = m
			continue
		}
		err := s.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DropRuleMark(ctx, m.RuleID) })
		if err != nil {
			return nil, err
		}
	}
	return marks, nil
}

// due is the time at which an event must have been for a rule to look now.
func (r *rule) due(now time.Time) time.Time {
	return now.Add(-time.Duration(r.AfterMinutes) * time.Minute)
}

// startRule sets a rule's first mark: at what falls due now.
func (s *Service) startRule(ctx context.Context, r *rule) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		mark := store.RuleMark{RuleID: r.ID, Event: r.Event, At: r.due(w.now), Ticket: 0}
		if r.Event == store.RuleCreated {
			var err error
			if mark.Ticket, err = w.tx.LastTicketBy(ctx, mark.At); err != nil {
				return err
			}
		}
		return w.tx.StartRuleMark(ctx, mark)
	})
}

// runTimeRule lets a rule look at all that is due, batch after batch. A ticket
// that can't be written is passed over, so that it holds up no other.
func (s *Service) runTimeRule(ctx context.Context, r *rule, mark store.RuleMark) error {
	limit := ruleBatch
	for {
		b, err := s.ruleDue(ctx, r, mark, limit)
		if err != nil || len(b.due) == 0 {
			return err
		}
		err = s.do(ctx, b.run)
		switch {
		case err == nil && b.moved:
			mark, limit = b.next, ruleBatch
		case err == nil:
			return nil // another node is at it
		case ctx.Err() != nil || store.CodeOf(err) == store.CodeUnavailable:
			return err
		case limit > 1:
			limit = 1 // find the one that does it
		default:
			s.log.Error("a rule can't change a ticket; it is passed over", "rule", r.Name, "ticket", b.next.Ticket, "err", err)
			if err := s.passOver(ctx, mark, b.next); err != nil {
				return err
			}
			mark = b.next
		}
	}
}

func (s *Service) passOver(ctx context.Context, from, to store.RuleMark) error {
	return s.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AdvanceRuleMark(ctx, from, to)
		return err
	})
}

// ruleBatchRun is one transaction of a rule that waits for a time.
type ruleBatchRun struct {
	rule  *rule
	due   []store.Ticket
	mark  store.RuleMark
	next  store.RuleMark // behind what is due
	moved bool           // it looked, and no other node did
}

// ruleDue finds what a rule is to look at next.
func (s *Service) ruleDue(ctx context.Context, r *rule, mark store.RuleMark, limit int) (*ruleBatchRun, error) {
	b := &ruleBatchRun{rule: r, mark: mark}
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		b.due, err = tx.RuleDue(ctx, mark, r.due(s.now()), limit)
		return err
	})
	if len(b.due) > 0 {
		last := b.due[len(b.due)-1]
		b.next = store.RuleMark{RuleID: mark.RuleID, Event: mark.Event, At: last.EventAt(mark.Event), Ticket: last.Number}
	}
	return b, err
}

func (b *ruleBatchRun) run(ctx context.Context, w *work) error {
	b.moved = false
	ok, err := w.tx.AdvanceRuleMark(ctx, b.mark, b.next) // first of all: it locks the others out
	if err != nil || !ok {
		return err
	}
	for _, t := range b.due {
		if err := b.look(ctx, w, t); err != nil {
			return err
		}
	}
	b.moved = true
	return nil
}

// look lets the rule look at a ticket as it is now: the event may have happened
// again meanwhile, and then its time is still to come.
func (b *ruleBatchRun) look(ctx context.Context, w *work, seen store.Ticket) error {
	t, err := w.tx.Ticket(ctx, seen.Number)
	if err != nil || t.MergedInto != 0 || !t.EventAt(b.rule.Event).Equal(seen.EventAt(b.rule.Event)) {
		return hard(err)
	}
	if own, err := b.ownEffect(ctx, w, t); err != nil || own {
		return err
	}
	r, err := w.judgeTicket(ctx, []*rule{b.rule}, &t, nil)
	if err != nil {
		return err
	}
	w.cause = r.held()
	err = r.carryOut(ctx, nil)
	w.cause = nil
	return err
}

// ownEffect tells whether all that happened to a ticket since the rule last did
// something there was done by rules: it then looks at what it led to itself, be it
// by way of others. Events that only people bring about are never that. A status
// may come from rules in turns that are meant, so many of them.
func (b *ruleBatchRun) ownEffect(ctx context.Context, w *work, t store.Ticket) (bool, error) {
	if b.rule.Event != store.RuleActivity && b.rule.Event != store.RuleStatus {
		return false, nil
	}
	latest, err := w.tx.LatestActivities(ctx, t.Number, maxOccurrences)
	if err != nil {
		return false, err
	}
	people := slices.IndexFunc(latest, func(a store.Activity) bool { return a.Author.Kind != store.AuthorSystem || len(a.Rules) == 0 })
	if people < 0 {
		people = len(latest)
	}
	own := 0
	for _, a := range latest[:people] {
		if slices.ContainsFunc(a.Rules, func(one store.RuleTrace) bool { return one.ID == b.rule.ID && one.Result == store.RuleMatched }) {
			own++
		}
	}
	if b.rule.Event == store.RuleStatus {
		return own >= maxRuleDepth, nil
	}
	return own > 0, nil
}
