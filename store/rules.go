package store

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// MaxRules is how many rules a desk may have.
const MaxRules = 500

// Rule is what the desk does by itself with a mail or a ticket.
type Rule struct {
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	Active       bool        `json:"active"`
	Position     int         `json:"position"` // the lowest comes first
	When         RuleWhen    `json:"when"`
	Event        RuleEvent   `json:"event"`         // of RuleOnTime
	AfterMinutes int         `json:"after_minutes"` // of RuleOnTime, at least 1
	Condition    string      `json:"condition"`     // CEL; "": it always holds
	Actions      RuleActions `json:"actions"`
	Stop         bool        `json:"stop"` // no later rule looks where this one held
}

// RuleWhen says when a rule looks.
type RuleWhen string

// The times of rules.
const (
	RuleOnIntake RuleWhen = "intake" // at a mail, before it is filed
	RuleOnChange RuleWhen = "change" // at each activity, after it was written
	RuleOnTime   RuleWhen = "time"   // some minutes after an event
)

// RuleEvent is what a rule of RuleOnTime counts from.
type RuleEvent string

// The events.
const (
	RuleCreated  RuleEvent = "created"  // the ticket was made
	RuleStatus   RuleEvent = "status"   // it came into its status
	RuleIncoming RuleEvent = "incoming" // the customer last wrote or called
	RuleOutgoing RuleEvent = "outgoing" // an agent last answered
	RuleActivity RuleEvent = "activity" // anything last happened to it
)

// RuleActions are what a rule does; a zero field does nothing.
type RuleActions struct {
	ChannelID         string   `json:"channel_id,omitempty"`
	StatusID          string   `json:"status_id,omitempty"`
	Priority          Priority `json:"priority,omitempty"`
	MarkerID          string   `json:"marker_id,omitempty"`
	OwnerID           string   `json:"owner_id,omitempty"`
	ResponsibleID     string   `json:"responsible_id,omitempty"`
	FreeOwner         bool     `json:"free_owner,omitempty"` // it has no owner any more
	WatcherIDs        []string `json:"watcher_ids,omitempty"`
	AddTags           []string `json:"add_tags,omitempty"`
	RemoveTags        []string `json:"remove_tags,omitempty"`
	Quarantine        bool     `json:"quarantine,omitempty"`         // of RuleOnIntake
	NoAcknowledgement bool     `json:"no_acknowledgement,omitempty"` // of RuleOnIntake
	TemplateID        string   `json:"template_id,omitempty"`        // answers the customer
	Note              string   `json:"note,omitempty"`
	WebhookID         string   `json:"webhook_id,omitempty"` // is told that the rule held

	Fields  map[string]any `json:"fields,omitempty"`  // of custom fields, by key; null takes a value away
	Extract *RuleExtract   `json:"extract,omitempty"` // of RuleOnIntake
}

// RuleExtract takes the number that another system gave a matter out of a mail
// into a custom field. Later mail of the ticket's people with that number in its
// subject joins the ticket.
type RuleExtract struct {
	Field   string `json:"field"`   // key of a text field
	From    string `json:"from"`    // ExtractSubject, ExtractText
	Pattern string `json:"pattern"` // RE2; its first group, else all of it, is the number
}

// Where a number stands.
const (
	ExtractSubject = "subject"
	ExtractText    = "text" // subject, then text
)

// RuleTrace is what one rule made of a mail or a change.
type RuleTrace struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Result  RuleResult `json:"result"`
	Why     string     `json:"why,omitempty"`     // of an error
	Did     []string   `json:"did,omitempty"`     // what it did, a line each
	Refused []string   `json:"refused,omitempty"` // what it was to do and could not, with the reason
}

// RuleResult is what became of a look.
type RuleResult string

// The results.
const (
	RuleMatched   RuleResult = "matched"
	RuleUnmatched RuleResult = "not_matched"
	RuleFailed    RuleResult = "error"      // its condition erred
	RuleOverLimit RuleResult = "over_limit" // its condition costs too much, or all together did
	RuleStopped   RuleResult = "stopped"    // an earlier rule said stop
)

// PutRule adds or replaces a rule; a name that another one has is a conflict
// (ReasonDuplicate), and so is one more than MaxRules.
func (tx *Tx) PutRule(ctx context.Context, r Rule) error {
	desk, err := tx.deskToChange(ctx)
	if err != nil {
		return err
	}
	if desk.Rule(r.ID) == nil && len(desk.Rules) >= MaxRules {
		return Errorf(CodeConflict, "a desk has at most %d rules", MaxRules)
	}
	return tx.putThing(ctx, thingRule, r.ID, r.Name, r)
}

// DeleteRule removes a rule.
func (tx *Tx) DeleteRule(ctx context.Context, id string) error {
	return tx.deleteThing(ctx, thingRule, "rule", id)
}

// Rule gives a rule, or nil.
func (d *Desk) Rule(id string) *Rule {
	return thing(d.Rules, id, func(r *Rule) string { return r.ID })
}

// sortRules brings rules into the order in which they look.
func (d *Desk) sortRules() {
	slices.SortStableFunc(d.Rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
}

// ruled errs with a conflict (ReasonInUse) where a rule acts with what has this id.
func (d *Desk) ruled(id string) error {
	for _, r := range d.Rules {
		a := r.Actions
		ids := append([]string{a.ChannelID, a.StatusID, a.MarkerID, a.OwnerID, a.ResponsibleID, a.TemplateID, a.WebhookID}, a.WatcherIDs...)
		if slices.Contains(ids, id) {
			return inUse("rule " + r.Name)
		}
	}
	return nil
}

// fills tells whether a rule gives a custom field its value.
func (a RuleActions) fills(key string) bool {
	_, sets := a.Fields[key]
	return sets || a.Extract != nil && a.Extract.Field == key
}

// RuleMark is how far a rule of RuleOnTime has come: all that happened by then
// was looked at, on whatever node.
type RuleMark struct {
	RuleID string
	Event  RuleEvent
	At     time.Time // of the event
	Ticket int64
}

// RuleMarks gives the marks of all rules.
func (tx *Tx) RuleMarks(ctx context.Context) ([]RuleMark, error) {
	return list(ctx, tx, func(r Rows, m *RuleMark) error {
		return r.Scan(&m.RuleID, (*string)(&m.Event), at(&m.At), &m.Ticket)
	}, `SELECT rule_id, event, at, ticket FROM rule_marks ORDER BY rule_id`)
}

// StartRuleMark sets the first mark of a rule, or of another event of it. One
// that another node has set meanwhile stays.
func (tx *Tx) StartRuleMark(ctx context.Context, m RuleMark) error {
	_, err := tx.exec(ctx, `INSERT INTO rule_marks (rule_id, event, at, ticket) VALUES ($1, $2, $3, $4)
		ON CONFLICT (rule_id) DO UPDATE SET event = excluded.event, at = excluded.at, ticket = excluded.ticket
		WHERE rule_marks.event <> excluded.event`, m.RuleID, string(m.Event), us(m.At), m.Ticket)
	return err
}

// AdvanceRuleMark moves a mark on. It is true for one caller, on whatever node:
// the others find it moved, and must do nothing of what lies between.
func (tx *Tx) AdvanceRuleMark(ctx context.Context, from, to RuleMark) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE rule_marks SET at = $5, ticket = $6
		WHERE rule_id = $1 AND event = $2 AND at = $3 AND ticket = $4`,
		from.RuleID, string(from.Event), us(from.At), from.Ticket, us(to.At), to.Ticket)
	return n > 0, err
}

// DropRuleMark forgets the mark of a rule that is off or gone.
func (tx *Tx) DropRuleMark(ctx context.Context, ruleID string) error {
	_, err := tx.exec(ctx, `DELETE FROM rule_marks WHERE rule_id = $1`, ruleID)
	return err
}

// column is where tickets hold when an event last was.
func (e RuleEvent) column() string {
	switch e {
	case RuleStatus:
		return "status_at"
	case RuleIncoming:
		return "last_incoming_at"
	case RuleOutgoing:
		return "last_outgoing_at"
	case RuleActivity:
		return "updated_at"
	}
	return "created_at"
}

// EventAt gives when an event last was; the zero time where it never was.
func (t *Ticket) EventAt(e RuleEvent) time.Time {
	switch e {
	case RuleStatus:
		return t.StatusAt
	case RuleIncoming:
		return t.LastIncomingAt
	case RuleOutgoing:
		return t.LastOutgoingAt
	case RuleActivity:
		return t.UpdatedAt
	}
	return t.CreatedAt
}

// RuleDue gives tickets whose event lies behind a mark and not after until, in
// the order of marks. Tickets are made in the order of their numbers.
func (tx *Tx) RuleDue(ctx context.Context, m RuleMark, until time.Time, limit int) ([]Ticket, error) {
	if m.Event == RuleCreated {
		all, err := list(ctx, tx, scanTicket, `SELECT `+ticketRow+` FROM tickets WHERE number > $1 ORDER BY number LIMIT $2`, m.Ticket, limit)
		if i := slices.IndexFunc(all, func(t Ticket) bool { return t.CreatedAt.After(until) }); i >= 0 {
			all = all[:i]
		}
		return all, err
	}
	column := m.Event.column()
	return list(ctx, tx, scanTicket, `SELECT `+ticketRow+` FROM tickets
		WHERE `+column+` > 0 AND (`+column+`, number) > ($1, $2) AND `+column+` <= $3 ORDER BY `+column+`, number LIMIT $4`,
		us(m.At), m.Ticket, us(until), limit)
}

// LastTicketBy gives the highest number of a ticket that was made by a time; 0
// where there is none.
func (tx *Tx) LastTicketBy(ctx context.Context, at time.Time) (int64, error) {
	return tx.count(ctx, `SELECT number FROM tickets WHERE created_at <= $1 ORDER BY number DESC LIMIT 1`, us(at))
}

// LatestActivities gives the newest entries of a ticket's history, the last first.
func (tx *Tx) LatestActivities(ctx context.Context, ticket int64, limit int) ([]Activity, error) {
	return list(ctx, tx, scanActivity, `SELECT `+activityColumns+` FROM activities
		WHERE ticket = $1 ORDER BY seq DESC LIMIT $2`, ticket, limit)
}

// IncomingMails gives mails that came in, newest first, beginning behind the id
// of one; "" is the newest.
func (tx *Tx) IncomingMails(ctx context.Context, before string, limit int) ([]Activity, error) {
	if before == "" {
		before = "~" // behind every id
	}
	return list(ctx, tx, scanActivity, `SELECT `+activityColumns+` FROM activities
		WHERE type = 'incoming' AND medium = 'email' AND raw_hash <> '' AND id < $1 ORDER BY id DESC LIMIT $2`, before, limit)
}
