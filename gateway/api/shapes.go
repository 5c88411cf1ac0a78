package api

import (
	"time"

	"ticketgate/store"
)

// orNull shows an id that there is none of as null.
func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// given reads a time that may be left out.
func given(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// when shows a time in UTC, and none as null.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// numberOrNull shows the number of a ticket, and none as null.
func numberOrNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// some keeps an empty list from being shown as null.
func some[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// someMap keeps an empty map from being shown as null.
func someMap[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}

// named is a thing that another one only mentions.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type contactMention struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email" doc:"the one that is written to; empty where there is none"`
}

type statusMention struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Responsibility string `json:"responsibility" enum:"us,customer,none" doc:"as the channel has it"`
}

type participantShape struct {
	Address string `json:"address"`
	Name    string `json:"name"`
	Active  bool   `json:"active" doc:"gets a copy of the next answer: an agent chose it, or it is the customer"`
}

type heldShape struct {
	Ticket    int64     `json:"ticket"`
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	CreatedAt time.Time `json:"created_at"`
}

type countsShape struct {
	Activities int `json:"activities"`
	Files      int `json:"files"`
	Minutes    int `json:"minutes"`
}

// ticketShape is a ticket as clients read it.
type ticketShape struct {
	ID              string             `json:"id"`
	Number          int64              `json:"number,omitempty" doc:"a draft has none"`
	Reference       string             `json:"reference"`
	Kind            store.TicketKind   `json:"kind" enum:"email,enquiry,internal,form,portal"`
	Subject         string             `json:"subject"`
	ChannelID       string             `json:"channel_id"`
	StatusID        string             `json:"status_id"`
	Status          *statusMention     `json:"status"`
	Priority        store.Priority     `json:"priority" enum:"low,normal,high,urgent"`
	MarkerID        *string            `json:"marker_id"`
	Contact         *contactMention    `json:"contact"`
	Company         *named             `json:"company"`
	OwnerID         *string            `json:"owner_id"`
	ResponsibleID   *string            `json:"responsible_id"`
	AccountID       *string            `json:"account_id"`
	CreatedBy       *string            `json:"created_by"`
	CreatedAt       time.Time          `json:"created_at"`
	UpdatedAt       time.Time          `json:"updated_at"`
	LastIncomingAt  *time.Time         `json:"last_incoming_at"`
	LastOutgoingAt  *time.Time         `json:"last_outgoing_at"`
	ClosedAt        *time.Time         `json:"closed_at"`
	MergedInto      *int64             `json:"merged_into"`
	SuggestedTicket *int64             `json:"suggested_ticket"`
	Links           []store.Link       `json:"links"`
	Participants    []participantShape `json:"participants"`
	Held            []heldShape        `json:"held" doc:"mail that waits for a decision whether it belongs here"`
	Watchers        []string           `json:"watchers" doc:"ids of agents"`
	Tags            []string           `json:"tags"`
	Fields          map[string]any     `json:"fields" doc:"values of custom fields, by key"`
	ServiceLevel    *ticketLevel       `json:"service_level" doc:"how it stands under its service level; null: it has none"`
	Counts          countsShape        `json:"counts"`
	Version         int64              `json:"version" doc:"of what PATCH can set; the ETag"`
	Draft           bool               `json:"draft"`

	Content *contentOf[ticketInput] `json:"content,omitempty" doc:"of a draft: what was POSTed"`
}

// ticketOf is the part of a ticket's shape that its own record holds, with the
// number of its activities.
func (a *api) ticketOf(t store.Ticket, activities int) ticketShape {
	return ticketShape{
		ID: t.ID, Number: t.Number, Reference: a.Desk.Reference(t.Number), Kind: t.Kind, Subject: t.Subject,
		ChannelID: t.ChannelID, StatusID: t.StatusID, Priority: t.Priority, MarkerID: orNull(t.MarkerID),
		OwnerID: orNull(t.OwnerID), ResponsibleID: orNull(t.ResponsibleID), AccountID: orNull(t.AccountID),
		CreatedBy: orNull(t.CreatedBy), CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
		LastIncomingAt: when(t.LastIncomingAt), LastOutgoingAt: when(t.LastOutgoingAt), ClosedAt: when(t.ClosedAt),
		MergedInto: numberOrNull(t.MergedInto), SuggestedTicket: numberOrNull(t.SuggestedTicket),
		Links: []store.Link{}, Participants: []participantShape{}, Held: []heldShape{}, Watchers: []string{}, Tags: some(t.Tags), Fields: map[string]any{},
		Counts:  countsShape{Activities: activities, Files: t.Files},
		Version: t.Version,
	}
}

func mentionStatus(desk *store.Desk, t store.Ticket) *statusMention {
	s := desk.Status(t.StatusID)
	if s == nil {
		return nil
	}
	return &statusMention{ID: s.ID, Name: s.Name, Responsibility: desk.Responsibility(t.ChannelID, t.StatusID)}
}

func mentionContact(c *store.Contact) *contactMention {
	if c == nil {
		return nil
	}
	n := &contactMention{ID: c.ID, Name: c.Name}
	if len(c.Emails) > 0 {
		n.Email = c.Emails[0].Address
	}
	return n
}

func mentionCompany(c *store.Company) *named {
	if c == nil {
		return nil
	}
	return &named{ID: c.ID, Name: c.Name}
}

func participants(list []store.Participant) []participantShape {
	shapes := make([]participantShape, 0, len(list))
	for _, p := range list {
		shapes = append(shapes, participantShape{Address: p.Address, Name: p.Name, Active: p.Active})
	}
	return shapes
}

// activityShape is an activity as clients read it.
type activityShape struct {
	ID           string               `json:"id"`
	Ticket       int64                `json:"ticket"`
	CreatedBy    *string              `json:"created_by"`
	AccountID    *string              `json:"account_id"`
	Answers      *string              `json:"answers" doc:"the activity that it answers"`
	Type         store.ActivityType   `json:"type" enum:"incoming,outgoing,note,status_change"`
	Medium       store.Medium         `json:"medium" enum:"email,phone,letter,web,portal,internal"`
	Author       store.Author         `json:"author"`
	From         []store.Address      `json:"from"`
	To           []store.Address      `json:"to"`
	Cc           []store.Address      `json:"cc"`
	Bcc          []store.Address      `json:"bcc"`
	ReplyTo      []store.Address      `json:"reply_to"`
	ReplyDiffers bool                 `json:"reply_to_differs" doc:"Reply-To has another domain than From, or no signature covers it: it is not used"`
	NameMarked   bool                 `json:"name_contains_address" doc:"the name beside the address holds another address"`
	MixedScript  bool                 `json:"mixed_script" doc:"name or domain has letters that look like those of another script"`
	Moved        []int64              `json:"moved" doc:"tickets where it lay before agents moved it"`
	Subject      string               `json:"subject"`
	Text         string               `json:"text"`
	HTML         string               `json:"html"`
	ReplyText    string               `json:"reply_text"`
	MessageID    *string              `json:"message_id"`
	CreatedAt    time.Time            `json:"created_at"`
	Sender       *string              `json:"sender" doc:"participant, stranger or agent, of what came in"`
	Automatic    *string              `json:"automatic" doc:"the kind of machine that wrote it"`
	Source       *string              `json:"source" doc:"agent: one handed the mail in"`
	Auth         *store.Auth          `json:"auth"`
	Match        *store.Match         `json:"match"`
	Rules        []traceShape         `json:"rules" doc:"the rules that held, or could not look"`
	Attachments  []store.Attachment   `json:"attachments"`
	External     bool                 `json:"show_in_external_access"`
	Delivery     *store.DeliveryState `json:"delivery" doc:"the worst state of its deliveries"`
	Changes      []store.Change       `json:"changes"`
	Comment      string               `json:"comment"`
	Defects      []string             `json:"defects" doc:"what was wrong with the mail's form"`
	Draft        bool                 `json:"draft"`
	SendAt       *time.Time           `json:"send_at"`
	Hidden       *store.Hidden        `json:"hidden" doc:"who took it out of sight; admins alone read it still"`

	Content *contentOf[activityInput] `json:"content,omitempty" doc:"of a draft: what was POSTed"`
}

func activityOf(v store.Activity, files []store.Attachment, state store.DeliveryState) activityShape {
	s := activityShape{
		ID: v.ID, Ticket: v.Ticket, CreatedBy: orNull(v.CreatedBy), AccountID: orNull(v.AccountID),
		Answers: orNull(v.Answers), Type: v.Type, Medium: v.Medium, Author: v.Author,
		From: some(v.From), To: some(v.To), Cc: some(v.Cc), Bcc: some(v.Bcc), ReplyTo: some(v.ReplyTo),
		ReplyDiffers: v.ReplyDiffers, NameMarked: v.NameMarked,
		MixedScript: v.MixedScript, Moved: some(v.Moved), Subject: v.Subject, Text: v.Text, HTML: v.HTML,
		ReplyText: v.ReplyText, MessageID: orNull(v.MessageID), CreatedAt: v.CreatedAt.UTC(),
		Sender: orNull(v.Sender), Automatic: orNull(v.Automatic), Source: orNull(v.Source), Auth: v.Auth, Match: v.Match, Rules: tracesOf(v.Rules),
		Attachments: some(files), External: v.External, Changes: some(v.Changes), Comment: v.Comment,
		Defects: some(v.Defects), SendAt: when(v.SendAt), Hidden: v.Hidden,
	}
	if state != "" {
		s.Delivery = &state
	}
	if s.Auth != nil && s.Auth.DKIM == nil {
		auth := *s.Auth
		auth.DKIM = []store.DKIMResult{}
		s.Auth = &auth
	}
	return s
}

// deliveryShape is a row of the ledger as clients read it.
type deliveryShape struct {
	ID            string              `json:"id"`
	ActivityID    string              `json:"activity_id"`
	Ticket        int64               `json:"ticket"`
	Kind          store.MailKind      `json:"kind" enum:"answer,acknowledgement,notification"`
	Recipient     string              `json:"recipient"`
	State         store.DeliveryState `json:"state" enum:"queued,sending,sent,deferred,failed,unknown,held,cancelled"`
	Reason        string              `json:"reason"`
	Attempts      []store.Attempt     `json:"attempts"`
	NextAttemptAt *time.Time          `json:"next_attempt_at"`
	MessageID     string              `json:"message_id"`
	CreatedAt     time.Time           `json:"created_at"`
}

func deliveryOf(d store.Delivery, attempts []store.Attempt) deliveryShape {
	s := deliveryShape{
		ID: d.ID, ActivityID: d.ActivityID, Ticket: d.Ticket, Kind: d.Kind, Recipient: d.Recipient,
		State: d.State, Reason: d.Reason, Attempts: some(attempts), MessageID: d.MessageID, CreatedAt: d.CreatedAt.UTC(),
	}
	if d.State.Waiting() {
		s.NextAttemptAt = when(d.NextAttemptAt)
	}
	return s
}
