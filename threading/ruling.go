package threading

import (
	"context"
	"errors"
	"slices"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
	"ticketgate/threading/rules"
)

// Bounds of all rules that look at one thing together. A rule that comes after
// they are used up does not look.
const (
	maxRulingCost = 2_000_000 // units of CEL's cost
	maxRulingTime = 500 * time.Millisecond
)

// ruling is one run of the rules of a kind over a ticket. It changes the ticket
// in memory alone, reads nothing, and can't fail: what else it decided is carried
// out by whoever writes the ticket.
type ruling struct {
	*work
	t      *store.Ticket
	before store.Ticket // as it was, of a stored one
	facts  *rules.Facts
	fresh  bool   // the ticket is not stored yet: a channel brings its defaults
	spared string // why a mail is kept out of the quarantine whatever a rule says, or ""
	dry    bool   // nothing comes of it: the log and the metrics hear nothing
	cost   uint64
	chosen map[string]bool // of a fresh ticket: what rules chose, and no default replaces

	changes []store.Change
	trace   []store.RuleTrace

	quarantine bool
	silent     bool // no acknowledgement
	watchers   []string
	fields     map[string]any
	words      []said
	amended    bool // the trace says more than the entry that was written
}

// said is what a rule has to say: a note, or an answer by a template.
type said struct {
	rule     *rule
	note     string
	template string
	webhook  string

	account *store.MailAccount // of an answer that may go: who sends it
	to      store.Activity     // and what it answers
}

// run lets rules look, one after the other.
func (r *ruling) run(ctx context.Context, list []*rule) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxRulingTime)
	defer cancel()
	for i, one := range list {
		trace := r.look(bounded, one)
		r.trace = append(r.trace, trace)
		if !r.dry {
			r.s.opt.Ruled(trace.Result)
		}
		if trace.Result == store.RuleMatched && one.Stop {
			for _, later := range list[i+1:] {
				r.trace = append(r.trace, store.RuleTrace{ID: later.ID, Name: later.Name, Result: store.RuleStopped})
			}
			break
		}
	}
	if r.quarantine {
		r.putAside()
	}
}

// putAside takes back what rules said beside the quarantine: of a mail that lies there
// nothing is done.
func (r *ruling) putAside() {
	r.words, r.watchers, r.fields = nil, nil, nil
	for i := range r.trace {
		t := &r.trace[i]
		t.Did = slices.DeleteFunc(t.Did, func(line string) bool { return line != quarantineLine })
	}
}

// quarantineLine is the line of a trace that tells of the quarantine.
const quarantineLine = "quarantine"

// look lets one rule look, and act where it holds.
func (r *ruling) look(ctx context.Context, one *rule) store.RuleTrace {
	trace := store.RuleTrace{ID: one.ID, Name: one.Name}
	holds, err := r.holds(ctx, one)
	switch {
	case errors.Is(err, rules.ErrOverLimit):
		trace.Result, trace.Why = store.RuleOverLimit, err.Error()
	case err != nil:
		trace.Result, trace.Why = store.RuleFailed, err.Error()
	case !holds:
		trace.Result = store.RuleUnmatched
	default:
		trace.Result = store.RuleMatched
		r.act(one, &trace)
		r.ruleTicket(r.facts.Ticket, *r.t)
	}
	if err != nil && !r.dry && one.complained.CompareAndSwap(false, true) {
		r.s.log.Error("a rule can't look; it is passed over", "rule", one.Name, "ticket", r.t.Number, "err", err)
	}
	return trace
}

func (r *ruling) holds(ctx context.Context, one *rule) (holds bool, err error) {
	defer func() { // whatever a rule does, the mail is filed
		if p := recover(); p != nil {
			holds, err = false, errors.New("the condition is a fault of ours")
		}
	}()
	switch {
	case one.fault != nil:
		return false, one.fault
	case r.cost > maxRulingCost || ctx.Err() != nil:
		return false, rules.ErrOverLimit
	}
	holds, cost, err := one.condition.Holds(ctx, r.facts)
	r.cost += cost
	return holds, err
}

// act does what a rule says, in a fixed order: the channel first, for it decides
// who may own the ticket.
func (r *ruling) act(one *rule, trace *store.RuleTrace) {
	a := one.Actions
	if a.ChannelID != "" {
		r.place(a.ChannelID, trace)
	}
	if a.StatusID != "" {
		r.patch("status", TicketPatch{StatusID: &a.StatusID}, trace)
	}
	if a.Priority != "" {
		r.patch("priority", TicketPatch{Priority: &a.Priority}, trace)
	}
	if a.MarkerID != "" {
		r.patch("marker", TicketPatch{MarkerID: &a.MarkerID}, trace)
	}
	if len(a.AddTags)+len(a.RemoveTags) > 0 {
		tags := slices.DeleteFunc(slices.Clone(r.t.Tags), func(tag string) bool { return slices.Contains(a.RemoveTags, tag) })
		tags = append(tags, a.AddTags...)
		r.patch("tags", TicketPatch{Tags: &tags}, trace)
	}
	if a.OwnerID != "" || a.FreeOwner {
		r.patch("owner", TicketPatch{OwnerID: &a.OwnerID}, trace)
	}
	if a.ResponsibleID != "" {
		r.patch("responsible", TicketPatch{ResponsibleID: &a.ResponsibleID}, trace)
	}
	r.fill(one, trace)
	r.ask(one, trace)
}

// patch changes the ticket, or notes why that can't be.
func (r *ruling) patch(what string, p TicketPatch, trace *store.RuleTrace) {
	next := *r.t
	changes, err := r.apply(&next, p)
	if err != nil {
		trace.Refused = append(trace.Refused, what+": "+refusalOf(err))
		return
	}
	r.choose(what)
	r.take(next, changes, trace)
}

func (r *ruling) choose(what string) {
	if r.chosen == nil {
		r.chosen = map[string]bool{}
	}
	r.chosen[what] = true
}

// take makes the ticket what it became by a rule.
func (r *ruling) take(next store.Ticket, changes []store.Change, trace *store.RuleTrace) {
	if r.fresh {
		next.Version = r.t.Version
	}
	*r.t = next
	for _, c := range changes {
		trace.Did = append(trace.Did, c.Field+": "+orNone(c.From)+" -> "+orNone(c.To))
		r.changes = withChange(r.changes, c)
	}
}

// withChange adds a change; two of one field are one, and one back is none.
func withChange(list []store.Change, c store.Change) []store.Change {
	at := slices.IndexFunc(list, func(have store.Change) bool { return have.Field == c.Field })
	switch {
	case at < 0:
		return append(list, c)
	case list[at].From == c.To:
		return slices.Delete(list, at, at+1)
	}
	list[at].To = c.To
	return list
}

// place puts the ticket into a channel. One that is being made takes the new
// channel's status, owner and responsible, but for what a rule chose before.
func (r *ruling) place(id string, trace *store.RuleTrace) {
	next := *r.t
	if r.fresh && !r.chosen["owner"] {
		next.OwnerID = ""
	}
	if r.fresh && !r.chosen["responsible"] {
		next.ResponsibleID = ""
	}
	changes, err := r.apply(&next, TicketPatch{ChannelID: &id})
	if err != nil {
		trace.Refused = append(trace.Refused, "channel: "+refusalOf(err))
		return
	}
	if channel := r.desk.Channel(id); r.fresh && len(changes) > 0 {
		if !r.chosen["status"] {
			setStatus(r.desk, &next, channel.DefaultStatusID, r.now)
		}
		if next.OwnerID == "" && !r.chosen["owner"] {
			next.OwnerID = r.usable(channel.DefaultOwnerID, id)
		}
		if next.ResponsibleID == "" && !r.chosen["responsible"] {
			next.ResponsibleID = r.usable(channel.DefaultResponsibleID, id)
		}
	}
	r.take(next, changes, trace)
}

// fill notes which custom fields get a value; who writes the ticket sets them.
func (r *ruling) fill(one *rule, trace *store.RuleTrace) {
	set := func(key string, value any) {
		f := r.desk.CustomFieldByKey(key)
		if f == nil || !f.In(r.t.ChannelID) {
			trace.Refused = append(trace.Refused, "fields."+key+": the ticket's channel does not have it")
			return
		}
		text, err := fieldText(*f, value)
		if err != nil {
			trace.Refused = append(trace.Refused, "fields."+key+": "+refusalOf(err))
			return
		}
		if r.fields == nil {
			r.fields = map[string]any{}
		}
		r.fields[key], r.facts.Ticket.Fields = value, withField(r.facts.Ticket.Fields, key, text)
		trace.Did = append(trace.Did, "fields."+key+": "+orNone(text))
	}
	for key, value := range one.Actions.Fields {
		set(key, value)
	}
	if number := one.number(r.facts); number != "" && r.facts.Ticket.Fields[one.Actions.Extract.Field] == "" {
		set(one.Actions.Extract.Field, number)
	}
}

func withField(fields map[string]string, key, text string) map[string]string {
	if fields == nil {
		fields = map[string]string{}
	}
	if fields[key] = text; text == "" {
		delete(fields, key)
	}
	return fields
}

// ask notes what is to be done beside changing the ticket.
func (r *ruling) ask(one *rule, trace *store.RuleTrace) {
	a := one.Actions
	switch {
	case a.Quarantine && r.spared != "":
		trace.Refused = append(trace.Refused, "quarantine: "+r.spared)
	case a.Quarantine:
		r.quarantine = true
		trace.Did = append(trace.Did, quarantineLine)
	}
	if a.NoAcknowledgement {
		r.silent = true
		trace.Did = append(trace.Did, "no acknowledgement")
	}
	for _, id := range a.WatcherIDs {
		if err := r.canWatch("watcher", id, *r.t); err != nil {
			trace.Refused = append(trace.Refused, "watcher: "+refusalOf(err))
			continue
		}
		r.watchers = append(r.watchers, id)
		trace.Did = append(trace.Did, "watcher: "+r.agentName(id))
	}
	if a.Note != "" {
		r.words = append(r.words, said{rule: one, note: a.Note})
		trace.Did = append(trace.Did, "note")
	}
	if a.WebhookID != "" {
		r.words = append(r.words, said{rule: one, webhook: a.WebhookID})
		trace.Did = append(trace.Did, "webhook: "+r.webhookName(a.WebhookID))
	}
	if a.TemplateID != "" {
		r.words = append(r.words, said{rule: one, template: a.TemplateID})
		trace.Did = append(trace.Did, answerLine+r.templateName(a.TemplateID))
	}
}

func (w *work) templateName(id string) string {
	if t := w.desk.Template(id); t != nil {
		return t.Name
	}
	return ""
}

func (w *work) webhookName(id string) string {
	if h := w.desk.Webhook(id); h != nil {
		return h.Name
	}
	return ""
}

// refusalOf gives the words of an error that an agent would have read.
func refusalOf(err error) string {
	if e, ok := errors.AsType[*store.Error](err); ok {
		return e.Message
	}
	return message.CleanLine(err.Error())
}

// maxKeptTrace bounds how many rules stand on an activity.
const maxKeptTrace = 50

// kept gives of the trace what an activity keeps: the rules that did something,
// or could not look. Those that looked and passed on say nothing.
func (r *ruling) kept() []store.RuleTrace {
	if r == nil {
		return nil
	}
	var kept []store.RuleTrace
	for _, t := range r.trace {
		if t.Result != store.RuleUnmatched && t.Result != store.RuleStopped && len(kept) < maxKeptTrace {
			kept = append(kept, t)
		}
	}
	return kept
}
