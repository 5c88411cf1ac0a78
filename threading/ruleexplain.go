package threading

import (
	"context"

	"ticketgate/store"
)

// explainRules lets the rules of the intake look at a mail; t is the ticket that it
// would open or be appended to, and becomes what they choose. nil stands for no rules.
func (f *filing) explainRules(ctx context.Context, to target, d Decision, who person, t *store.Ticket) (*ruling, error) {
	var by *ruling
	var err error
	a := f.activity(d, who, *t)
	if d.Outcome == OutcomeAppend {
		by, err = f.judgeAppended(ctx, d, who, t, &a)
	} else if list := f.s.rulebook(f.desk).byWhen[store.RuleOnIntake]; len(list) > 0 {
		if by, err = f.judgeOpening(ctx, list, to, d, who); err == nil && t.Number == 0 {
			*t = *by.t
		}
	}
	if by == nil || err != nil {
		return nil, err
	}
	return by, by.sift(ctx, &a)
}

// tell tells what the rules said and would do.
func (r *ruling) tell(x *Explanation) {
	if r != nil {
		x.Rules, x.Effects = some(r.trace), r.effects()
	}
}

// effects tells what the ticket became, and what else is to be done.
func (r *ruling) effects() *ExplainedEffects {
	x := &ExplainedEffects{
		ChannelID: r.t.ChannelID, StatusID: r.t.StatusID, Priority: r.t.Priority, MarkerID: r.t.MarkerID, OwnerID: r.t.OwnerID,
		ResponsibleID: r.t.ResponsibleID, Tags: some(r.t.Tags), Watchers: some(r.watchers), Fields: r.fields, Templates: []string{}, Webhooks: []string{},
		Quarantine: r.quarantine, NoAcknowledgement: r.silent,
	}
	if x.Fields == nil {
		x.Fields = map[string]any{}
	}
	for _, say := range r.words {
		switch {
		case say.note != "":
			x.Notes++
		case say.webhook != "":
			x.Webhooks = append(x.Webhooks, say.webhook)
		default:
			x.Templates = append(x.Templates, say.template)
		}
	}
	return x
}
