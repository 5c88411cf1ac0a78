package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/rules"
)

// judgeNew lets the rules look at a mail that is to open tickets, once for each of
// them. Where they want it in the quarantine it goes there, and its account is
// taken out.
func (f *filing) judgeNew(ctx context.Context, d Decision, who person) (map[string]*ruling, error) {
	list := f.s.rulebook(f.desk).byWhen[store.RuleOnIntake]
	if len(list) == 0 {
		return nil, nil
	}
	rulings := map[string]*ruling{}
	var rest []target
	for _, to := range f.accounts {
		if to.channel == nil { // the mail stays in the quarantine anyway
			rest = append(rest, to)
			continue
		}
		r, err := f.judgeOpening(ctx, list, to, d, who)
		if err != nil {
			return nil, err
		}
		if r.quarantine {
			if err := f.quarantineBy(ctx, []target{to}, r); err != nil {
				return nil, err
			}
			continue
		}
		rulings[to.account.ID] = r
		rest = append(rest, to)
	}
	f.accounts = rest
	return rulings, nil
}

func (f *filing) judgeOpening(ctx context.Context, list []*rule, to target, d Decision, who person) (*ruling, error) {
	t := f.newTicket(0, to, d, who)
	return f.judge(ctx, list, mailLook{t: &t, a: f.activity(d, who, t), to: to, who: who, opens: true})
}

// judgeAppended brings the ticket that a mail is appended to into the status that
// the channel says, and lets the rules look at both. What an agent wrote is no
// incoming mail; nil stands for no rules.
func (f *filing) judgeAppended(ctx context.Context, d Decision, who person, t *store.Ticket, a *store.Activity) (*ruling, error) {
	if d.Sender == store.SenderAgent {
		return nil, nil
	}
	a.Changes = f.incomingStatus(t, d, a)
	list := f.s.rulebook(f.desk).byWhen[store.RuleOnIntake]
	if len(list) == 0 || len(f.accounts) == 0 {
		return nil, nil
	}
	return f.judge(ctx, list, mailLook{t: t, a: *a, to: f.accounts[0], who: who, reopens: d.Reopen})
}

// mailLook is what the intake's rules look at beside the mail.
type mailLook struct {
	t       *store.Ticket // that the mail opens, without a number, or that it is appended to
	a       store.Activity
	to      target
	who     person
	opens   bool
	reopens bool
}

// judge runs the intake's rules over a mail and its ticket.
func (f *filing) judge(ctx context.Context, list []*rule, at mailLook) (*ruling, error) {
	facts := &rules.Facts{
		Message: f.ruleMessage(list), Contact: ruleContact(at.who.contact), Company: &rules.Company{}, Ticket: &rules.Ticket{New: at.opens},
		Activity: ruleActivity(at.a), Time: f.ruleMoment(),
	}
	facts.Message.Account, facts.Activity.Reopens = at.to.account.Key, at.reopens
	var err error
	if at.who.company != "" && uses(list, "company") {
		if facts.Company, err = f.ruleCompany(ctx, at.who.company); err != nil {
			return nil, err
		}
	}
	if uses(list, "fields") || extracts(list) {
		if facts.Ticket.Fields, err = f.ruleFields(ctx, at.t.Number); err != nil {
			return nil, err
		}
	}
	f.ruleTicket(facts.Ticket, *at.t)
	r := &ruling{
		work: f.work, t: at.t, facts: facts, fresh: at.t.Number == 0, spared: f.spared(), dry: f.dry, changes: slices.Clone(at.a.Changes),
	}
	r.run(ctx, list)
	return r, nil
}

func extracts(list []*rule) bool {
	for _, r := range list {
		if r.pattern != nil {
			return true
		}
	}
	return false
}

// writeRuled writes a mail with what the rules decided; by is nil where none
// looked.
func (f *filing) writeRuled(ctx context.Context, by *ruling, t *store.Ticket, a *store.Activity, e event) error {
	if by == nil {
		return f.write(ctx, t, a, e)
	}
	if err := by.settle(ctx); err != nil {
		return err
	}
	if err := by.sift(ctx, a); err != nil {
		return err
	}
	a.Rules, e.quiet = by.kept(), e.quiet || by.silent
	if a.Changes = by.changes; by.fresh { // what it is made as is no change, but for what nothing else shows
		a.Changes = fieldChanges(by.changes)
	}
	became, err := by.watch(ctx)
	if err != nil {
		return err
	}
	e.became = append(e.became, became...)
	if by.fresh && by.chosen["owner"] && t.OwnerID != "" {
		e.became = append(e.became, tie{t.OwnerID, roleOwner})
	}
	if by.fresh && by.chosen["responsible"] && t.ResponsibleID != "" {
		e.became = append(e.became, tie{t.ResponsibleID, roleResponsible})
	}
	if err := f.loseWatchers(ctx, *t, &e); err != nil {
		return err
	}
	if err := f.write(ctx, t, a, e); err != nil {
		return err
	}
	if err := by.speak(ctx, a, true); err != nil {
		return err
	}
	return by.amend(ctx, a)
}

func fieldChanges(changes []store.Change) []store.Change {
	var list []store.Change
	for _, c := range changes {
		if strings.HasPrefix(c.Field, "fields.") {
			list = append(list, c)
		}
	}
	return list
}

// spared says why no rule puts the mail into the quarantine: somebody has seen it
// and wants it filed. Nobody has seen what a later look-up lets out.
func (f *filing) spared() string {
	switch {
	case f.vouched:
		return "it was let out of there"
	case f.handed != nil, f.behalf != nil:
		return "an agent handed it in"
	}
	return ""
}

// quarantineBy keeps a mail because a rule says so.
func (f *filing) quarantineBy(ctx context.Context, targets []target, r *ruling) error {
	f.ruled = r.kept()
	err := f.quarantine(ctx, targets, reasonRule)
	f.ruled = nil
	return err
}

// reasonRule is the reason of a mail that a rule put into the quarantine.
const reasonRule = "rule"

// onto gives a ticket that is made what the rules chose for it.
func (r *ruling) onto(t *store.Ticket) {
	if r == nil {
		return
	}
	by := r.t
	t.ChannelID, t.StatusID, t.StatusAt, t.ClosedAt = by.ChannelID, by.StatusID, by.StatusAt, by.ClosedAt
	t.Priority, t.MarkerID, t.Tags = by.Priority, by.MarkerID, by.Tags
	t.OwnerID, t.ResponsibleID = by.OwnerID, by.ResponsibleID
	r.t = t
}
