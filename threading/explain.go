package threading

import (
	"context"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// Explanation is what would become of a mail, and why.
type Explanation struct {
	Message     ExplainedMessage   `json:"message"`
	Auth        store.Auth         `json:"auth"`
	Automatic   ExplainedAutomatic `json:"automatic"`
	Bounce      ExplainedBounce    `json:"bounce"`
	Recipient   ExplainedRecipient `json:"recipient"`
	Contact     ExplainedContact   `json:"contact"`
	Match       ExplainedMatch     `json:"match"`
	Rules       []store.RuleTrace  `json:"rules"`   // each that would look at it, in order
	Effects     *ExplainedEffects  `json:"effects"` // of the rules together; null: none looked
	Acknowledge ExplainedAck       `json:"acknowledge"`
	Notify      []string           `json:"notify"`
	Took        map[string]float64 `json:"took"` // stage: milliseconds
}

// ExplainedMessage is the mail as it was read.
type ExplainedMessage struct {
	Subject     string                `json:"subject"`
	From        []store.Address       `json:"from"`
	To          []store.Address       `json:"to"`
	Cc          []store.Address       `json:"cc"`
	ReplyTo     []store.Address       `json:"reply_to"`
	Date        *time.Time            `json:"date"`
	MessageID   string                `json:"message_id"`
	InReplyTo   []string              `json:"in_reply_to"`
	References  []string              `json:"references"`
	Text        string                `json:"text"`
	HTML        string                `json:"html"`
	ReplyText   string                `json:"reply_text"`
	Attachments []ExplainedAttachment `json:"attachments"`
	Defects     []string              `json:"defects"`
}

// ExplainedAttachment is one file of the mail.
type ExplainedAttachment struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Size      int    `json:"size"`
	SHA256    string `json:"sha256"`
	Inline    bool   `json:"inline"`
	ContentID string `json:"content_id"`
}

// ExplainedAutomatic tells whether a machine wrote the mail.
type ExplainedAutomatic struct {
	Is      bool     `json:"is"`
	Kind    string   `json:"kind"`
	Reasons []string `json:"reasons"`
}

// ExplainedBounce tells what a report reports.
type ExplainedBounce struct {
	Is         bool                       `json:"is"`
	Recipients []ExplainedBounceRecipient `json:"recipients"`
}

// ExplainedBounceRecipient is one recipient of a report.
type ExplainedBounceRecipient struct {
	Address   string `json:"address"`
	Action    string `json:"action"`
	Status    string `json:"status"`
	Permanent bool   `json:"permanent"`
	SMTPCode  int    `json:"smtp_code"`
	Text      string `json:"text"`
}

// ExplainedRecipient is the account that would take the mail.
type ExplainedRecipient struct {
	AccountID string `json:"account_id"`
	Reply     string `json:"reply"` // the LMTP answer, filled in by the gateway
	Err       error  `json:"-"`
}

// ExplainedContact is whose mail it would be.
type ExplainedContact struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	How     string `json:"how"`
}

// ExplainedMatch is the ticket that it would go to. Outcome is "" where the
// recipient is refused.
type ExplainedMatch struct {
	Outcome string         `json:"outcome"`
	Reason  string         `json:"reason,omitempty"` // of the quarantine
	Ticket  *int64         `json:"ticket"`           // null: none
	By      string         `json:"by"`
	Score   int            `json:"score"`
	Sender  string         `json:"sender,omitempty"`
	Signals []store.Signal `json:"signals"`
}

// ExplainedAck tells whether it would be acknowledged.
type ExplainedAck struct {
	Will bool   `json:"will"`
	Why  string `json:"why"`
}

// ExplainedEffects is what the rules together would make of a mail.
type ExplainedEffects struct {
	ChannelID         string         `json:"channel_id"`
	StatusID          string         `json:"status_id"`
	Priority          store.Priority `json:"priority"`
	MarkerID          string         `json:"marker_id"`
	OwnerID           string         `json:"owner_id"`
	ResponsibleID     string         `json:"responsible_id"`
	Tags              []string       `json:"tags"`
	Watchers          []string       `json:"watcher_ids"`
	Fields            map[string]any `json:"fields"`
	Notes             int            `json:"notes"`        // how many
	Templates         []string       `json:"template_ids"` // of the answers that would go out
	Webhooks          []string       `json:"webhook_ids"`
	Quarantine        bool           `json:"quarantine"`
	NoAcknowledgement bool           `json:"no_acknowledgement"`
}

// Explain runs a mail through the same steps as Take, for one recipient, and
// stores nothing.
func (s *Service) Explain(ctx context.Context, in Incoming) (Explanation, error) {
	m := receivedMail(in)
	m.said = s.askOfMail(ctx, m)
	x := explainMessage(m.Message)
	x.Auth = in.Auth
	start := s.now()
	err := s.db.Dry(ctx, func(ctx context.Context, tx *store.Tx) error {
		f, err := s.newFiling(ctx, tx, m)
		if err != nil {
			return err
		}
		f.dry = true
		return f.explain(ctx, &x)
	})
	x.Took = map[string]float64{"match": float64(s.now().Sub(start).Microseconds()) / 1000}
	return x, err
}

func (f *filing) explain(ctx context.Context, x *Explanation) error {
	if len(f.accounts) == 0 {
		x.Recipient.Err = f.results[0].Err
		return nil
	}
	to := f.accounts[0]
	x.Recipient.AccountID = to.account.ID
	who, err := f.who(ctx)
	if err != nil {
		return err
	}
	x.Contact = ExplainedContact{ID: f.storedID(who.contact), Address: f.author.String(), How: who.how}
	if done, err := f.explainAside(ctx, x, to); done || err != nil {
		return err
	}
	d, err := f.decide(ctx, who)
	if err != nil {
		return err
	}
	if d.Outcome != OutcomeAppend && to.channel == nil {
		x.Match.Outcome, x.Match.Reason = string(OutcomeQuarantine), "system_account"
		return nil
	}
	if d.Outcome != OutcomeAppend {
		if done, err := f.explainFlood(ctx, x, to, &d, who); done || err != nil {
			return err
		}
	}
	x.Match = ExplainedMatch{Outcome: string(d.Outcome), Ticket: numberOrNone(d.Ticket + d.Suggested), By: string(d.By), Score: d.Score, Sender: d.Sender, Signals: d.Signals}
	if x.Match.Signals == nil {
		x.Match.Signals = []store.Signal{}
	}
	return f.explainEffects(ctx, x, to, d, who)
}

// explainAside tells of a mail that never gets to the matching.
func (f *filing) explainAside(ctx context.Context, x *Explanation, to target) (bool, error) {
	if _, err := f.withoutDuplicates(ctx); err != nil {
		return true, err
	}
	if len(f.accounts) == 0 {
		x.Match.Outcome, x.Match.Ticket = string(OutcomeDuplicate), numberOrNone(f.results[0].Ticket)
		return true, nil
	}
	if reason := f.unwanted(); reason != "" {
		x.Match.Outcome, x.Match.Reason = string(OutcomeQuarantine), reason
		return true, nil
	}
	if to.channel != nil && !f.AlignedDKIM && to.channel.RequireDKIM == "reject" {
		x.Recipient.Err = f.refusal()
		return true, nil
	}
	if to.channel != nil && !f.AlignedDKIM && to.channel.RequireDKIM == "quarantine" {
		x.Match.Outcome, x.Match.Reason = string(OutcomeQuarantine), "dkim"
		return true, nil
	}
	if !isReport(f.Message) {
		return false, nil
	}
	reported, err := f.reported(ctx)
	if err != nil {
		return true, err
	}
	x.Match.Outcome, x.Match.Reason = string(OutcomeQuarantine), "bounce"
	if len(reported) > 0 {
		x.Match.Outcome, x.Match.Reason, x.Match.Ticket = string(OutcomeBounce), "", numberOrNone(reported[0].Ticket)
	}
	return true, nil
}

// explainFlood tells of a mail over the limit of new tickets: it waits, or joins
// the ticket that d names then.
func (f *filing) explainFlood(ctx context.Context, x *Explanation, to target, d *Decision, who person) (done bool, err error) {
	over, err := f.floods(ctx, to, who)
	if err != nil || !over {
		return false, err
	}
	number, err := f.floodedTicket(ctx, to, *d)
	if err != nil {
		return false, err
	}
	if number == 0 {
		x.Match.Outcome, x.Match.Reason = string(OutcomeQuarantine), "flood"
		return true, nil
	}
	d.Outcome, d.Ticket = OutcomeAppend, number
	return false, nil
}

// isReport tells whether a mail is a report about mail of ours.
func isReport(m *message.Message) bool {
	return m.Automatic.Kind == "bounce" || m.Automatic.Kind == "delay"
}

// explainEffects tells who would be told and acknowledged.
func (f *filing) explainEffects(ctx context.Context, x *Explanation, to target, d Decision, who person) error {
	t := f.newTicket(0, to, d, who)
	e := event{kind: eventNew}
	switch d.Outcome {
	case OutcomeAppend:
		e.kind = eventIncoming
	case OutcomeHold:
		e.kind = eventHeld
	}
	if number := d.Ticket + d.Suggested; number != 0 {
		var err error
		if t, err = f.tx.Ticket(ctx, number); err != nil {
			return err
		}
	}
	by, err := f.explainRules(ctx, to, d, who, &t)
	if err != nil {
		return err
	}
	if by.tell(x); by != nil && by.quarantine {
		x.Match.Outcome, x.Match.Reason, x.Match.Ticket = string(OutcomeQuarantine), reasonRule, nil
		return nil
	}
	if agent := f.agent(); agent != nil {
		e.actor = agent.ID
	}
	watchers, err := f.watchers(ctx, t, e)
	if err != nil {
		return err
	}
	for _, n := range notices(f.desk, t, watchers, e) {
		x.Notify = append(x.Notify, n.agent.ID)
	}
	if err := f.explainAcknowledgement(ctx, x, d, who, t, by); err != nil || by == nil {
		return err
	}
	err = by.foresee(ctx, x.Acknowledge.Will)
	by.tell(x)
	return err
}

// explainAcknowledgement tells whether the mail would be acknowledged.
func (f *filing) explainAcknowledgement(ctx context.Context, x *Explanation, d Decision, who person, t store.Ticket, by *ruling) (err error) {
	switch {
	case d.Outcome != OutcomeNew:
		x.Acknowledge.Why = "only a new ticket is acknowledged"
	case by != nil && by.silent:
		x.Acknowledge.Why = "a rule says so"
	default:
		x.Acknowledge.Will, x.Acknowledge.Why, err = f.mayAcknowledge(ctx, t, f.activity(d, who, t))
	}
	return err
}

func explainMessage(m *message.Message) Explanation {
	x := Explanation{Notify: []string{}, Rules: []store.RuleTrace{}}
	x.Message = ExplainedMessage{
		Subject: m.Subject, From: some(addresses(m.From)), To: some(addresses(m.To)), Cc: some(addresses(m.Cc)), ReplyTo: some(addresses(m.ReplyTo)),
		MessageID: m.MessageID, InReplyTo: some(m.InReplyTo), References: some(m.References),
		Text: m.Text, HTML: m.HTML, ReplyText: m.ReplyText, Attachments: []ExplainedAttachment{}, Defects: some(m.Defects),
	}
	if !m.Date.IsZero() {
		date := m.Date.UTC()
		x.Message.Date = &date
	}
	for _, a := range m.Attachments {
		x.Message.Attachments = append(x.Message.Attachments, ExplainedAttachment{
			Name: a.Name, Type: a.Type, Size: a.Size, SHA256: a.SHA256, Inline: a.Inline, ContentID: a.ContentID,
		})
	}
	x.Automatic = ExplainedAutomatic{Is: m.Automatic.Is, Kind: m.Automatic.Kind, Reasons: some(m.Automatic.Reasons)}
	x.Bounce.Recipients = []ExplainedBounceRecipient{}
	if m.Bounce != nil {
		x.Bounce.Is = isReport(m)
		for _, r := range m.Bounce.Recipients {
			x.Bounce.Recipients = append(x.Bounce.Recipients, ExplainedBounceRecipient(r))
		}
	}
	x.Match.Signals = []store.Signal{}
	return x
}

// numberOrNone gives nil for no ticket, as JSON wants it.
func numberOrNone(number int64) *int64 {
	if number == 0 {
		return nil
	}
	return &number
}

// some gives an empty list in place of none, as JSON wants it.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
