package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/rules"
)

// Bounds of what rules may set off in one transaction.
const (
	maxRuleDepth   = 5  // rules that follow from each other
	maxOccurrences = 50 // entries of histories that rules look at
)

// occurrence is an entry of a ticket's history that was written, with the rules
// that led to it: none of them looks at it again.
type occurrence struct {
	a     store.Activity
	cause []string // ids of rules
}

// occurred notes an entry that was written.
func (w *work) occurred(a store.Activity) {
	w.written = append(w.written, occurrence{a: a, cause: w.cause})
}

// followUp lets the rules look at all that this transaction has written, and at
// what follows from that. A rule never looks at what it led to itself, so this
// ends; and it ends early where rules lead too far.
func (w *work) followUp(ctx context.Context) error {
	list := w.s.rulebook(w.desk).byWhen[store.RuleOnChange]
	if len(list) == 0 {
		return nil
	}
	for i := 0; i < len(w.written); i++ {
		h := w.written[i]
		if i >= maxOccurrences || len(h.cause) >= maxRuleDepth {
			w.s.log.Warn("rules set each other off too often; the rest does not happen", "ticket", h.a.Ticket)
			return nil
		}
		if err := w.follow(ctx, list, h); err != nil {
			return err
		}
	}
	return nil
}

// follow lets the rules look at one entry.
func (w *work) follow(ctx context.Context, list []*rule, h occurrence) error {
	list = slices.DeleteFunc(slices.Clone(list), func(r *rule) bool { return slices.Contains(h.cause, r.ID) })
	t, err := w.tx.Ticket(ctx, h.a.Ticket)
	if err != nil || t.MergedInto != 0 || len(list) == 0 {
		return hard(err)
	}
	r, err := w.judgeTicket(ctx, list, &t, &h.a)
	if err != nil {
		return err
	}
	w.cause = append(slices.Clone(h.cause), r.held()...)
	err = r.carryOut(ctx, &h.a)
	w.cause = nil
	return err
}

// judgeTicket runs rules over a ticket that is stored; about is nil for rules that
// look at no entry of its history.
func (w *work) judgeTicket(ctx context.Context, list []*rule, t *store.Ticket, about *store.Activity) (*ruling, error) {
	facts := &rules.Facts{Ticket: &rules.Ticket{}, Contact: &rules.Contact{}, Company: &rules.Company{}, Time: w.ruleMoment()}
	if about != nil {
		facts.Activity = ruleActivity(*about)
	}
	if uses(list, "contact") && t.ContactID != "" {
		contact, err := w.tx.Contact(ctx, t.ContactID)
		if hard(err) != nil {
			return nil, err
		}
		facts.Contact = ruleContact(contact)
	}
	var err error
	if uses(list, "company") && t.CompanyID != "" {
		if facts.Company, err = w.ruleCompany(ctx, t.CompanyID); err != nil {
			return nil, err
		}
	}
	if uses(list, "fields") {
		if facts.Ticket.Fields, err = w.ruleFields(ctx, t.Number); err != nil {
			return nil, err
		}
	}
	w.ruleTicket(facts.Ticket, *t)
	r := &ruling{work: w, t: t, before: *t, facts: facts}
	r.run(ctx, list)
	return r, nil
}

// held gives the ids of the rules whose conditions held.
func (r *ruling) held() []string {
	var ids []string
	for _, t := range r.trace {
		if t.Result == store.RuleMatched {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// carryOut writes what rules decided about a ticket that is stored: one change of
// it by the system, with the trace, then notes and answers. Where nothing changed
// nothing is written.
func (r *ruling) carryOut(ctx context.Context, about *store.Activity) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.sift(ctx, about); err != nil {
		return err
	}
	e := turned(r.before, *r.t, &store.Agent{})
	became, err := r.watch(ctx)
	if err != nil {
		return err
	}
	for _, one := range became {
		r.changes = append(r.changes, store.Change{Field: "watchers", To: r.agentName(one.agentID)})
	}
	e.became = append(e.became, became...)
	if len(r.changes) == 0 {
		return r.speak(ctx, about, false)
	}
	a, err := r.record(ctx, e)
	if err != nil {
		return err
	}
	if err := r.speak(ctx, about, false); err != nil {
		return err
	}
	return r.amend(ctx, a)
}

// record writes the change into the history, and tells of it.
func (r *ruling) record(ctx context.Context, e event) (*store.Activity, error) {
	a := r.statusChange(*r.t, nil, r.changes)
	a.Rules, a.Comment = r.kept(), "By "+strings.Join(r.names(), ", ")
	if err := r.history(ctx, r.t, &a); err != nil {
		return nil, err
	}
	if err := r.indexFields(ctx, *r.t, a); err != nil {
		return nil, err
	}
	if err := r.loseWatchers(ctx, *r.t, &e); err != nil {
		return nil, err
	}
	return &a, r.notify(ctx, *r.t, a, e)
}

// names gives the names of the rules that did something.
func (r *ruling) names() []string {
	var names []string
	for _, t := range r.trace {
		if len(t.Did) > 0 {
			names = append(names, t.Name)
		}
	}
	return names
}
