package threading

import (
	"context"

	"ticketgate/store"
)

// explainRules tells what the rules of the intake would make of a mail; t is the
// ticket that it would open or be appended to, and becomes what they choose. done
// tells that the mail would go to the quarantine.
func (f *filing) explainRules(ctx context.Context, x *Explanation, to target, d Decision, who person, t *store.Ticket) (done bool, err error) {
	var by *ruling
	if d.Outcome == OutcomeAppend {
		a := f.activity(d, who, *t)
		by, err = f.judgeAppended(ctx, d, who, t, &a)
	} else if list := f.s.rulebook(f.desk).byWhen[store.RuleOnIntake]; len(list) > 0 {
		if by, err = f.judgeOpening(ctx, list, to, d, who); err == nil && t.Number == 0 {
			*t = *by.t
		}
	}
	if by == nil || err != nil {
		return false, err
	}
	x.Rules, x.Effects = some(by.trace), by.effects()
	if by.quarantine {
		x.Match.Outcome, x.Match.Reason, x.Match.Ticket = string(OutcomeQuarantine), reasonRule, nil
	}
	return by.quarantine, nil
}

// effects tells what the ticket became, and what else is to be done.
func (r *ruling) effects() *ExplainedEffects {
	x := &ExplainedEffects{
		ChannelID: r.t.ChannelID, StatusID: r.t.StatusID, Priority: r.t.Priority, MarkerID: r.t.MarkerID, OwnerID: r.t.OwnerID,
		ResponsibleID: r.t.ResponsibleID, Tags: some(r.t.Tags), Watchers: some(r.watchers), Fields: r.fields, Templates: []string{},
		Quarantine: r.quarantine, NoAcknowledgement: r.silent,
	}
	if x.Fields == nil {
		x.Fields = map[string]any{}
	}
	for _, say := range r.words {
		if say.note != "" {
			x.Notes++
		} else {
			x.Templates = append(x.Templates, say.template)
		}
	}
	return x
}
