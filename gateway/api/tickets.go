package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"ticketgate/store"
	"ticketgate/threading"
)

func (a *api) registerTickets() {
	add(a, route{id: "list-tickets", method: http.MethodGet, path: "/tickets", tag: tagDesk,
		summary: "Tickets that the caller may see"}, a.listTickets)
	add(a, route{id: "create-ticket", method: http.MethodPost, path: "/tickets", tag: tagDesk, large: true,
		status: http.StatusCreated, summary: "Make a ticket of kind email, enquiry or internal"}, a.createTicket)
	add(a, route{id: "get-ticket", method: http.MethodGet, path: "/tickets/{number}", tag: tagDesk,
		find: a.findTicket, summary: "One ticket"}, a.getTicket)
	add(a, route{id: "patch-ticket", method: http.MethodPatch, path: "/tickets/{number}", tag: tagDesk,
		find: a.findTicket, summary: "Change a ticket; If-Match guards against others' changes"}, a.patchTicket)
}

type ticketQuery struct {
	Paging
	TicketSelection
}

func (a *api) listTickets(ctx context.Context, c *call, in *ticketQuery) (*page[ticketShape], error) {
	if in.List == store.ListDrafts {
		return a.listDrafts(ctx, c, in.Paging)
	}
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[ticketShape], error) {
		f, err := in.selected(ctx, tx, c)
		if err != nil {
			return nil, err
		}
		f.Cursor, f.Limit = in.Cursor, in.Limit
		found, next, err := tx.Tickets(ctx, f)
		if err != nil {
			return nil, err
		}
		shapes, err := a.shapesOf(ctx, tx, c, found)
		if err != nil {
			return nil, err
		}
		return &page[ticketShape]{Body: list[ticketShape]{Items: shapes, Next: next}}, nil
	})
}

type contactInput struct {
	ExternalID string `json:"external_id" maxLength:"200"`
	Name       string `json:"name" maxLength:"200"`
	Email      string `json:"email" maxLength:"400"`
	Phone      string `json:"phone" maxLength:"100"`
}

// ticketInput is the body of the POST of a ticket.
type ticketInput struct {
	Kind          string        `json:"kind" required:"true" enum:"email,enquiry,internal"`
	ChannelID     string        `json:"channel_id" maxLength:"64"`
	AccountID     string        `json:"account_id" maxLength:"64" doc:"the mail account that it is sent from"`
	Subject       string        `json:"subject" maxLength:"1000"`
	Text          string        `json:"text" lines:"many"`
	HTML          string        `json:"html" lines:"many"`
	ContactID     string        `json:"contact_id" maxLength:"64"`
	Contact       *contactInput `json:"contact"`
	Medium        string        `json:"medium" enum:"phone,letter,web,portal,email" doc:"how an enquiry came in; default phone"`
	Attachments   []fileInput   `json:"attachments" maxItems:"200"`
	Priority      string        `json:"priority" enum:"low,normal,high,urgent"`
	MarkerID      string        `json:"marker_id" maxLength:"64"`
	OwnerID       string        `json:"owner_id" maxLength:"64"`
	ResponsibleID string        `json:"responsible_id" maxLength:"64"`
	Watchers      []string      `json:"watchers" maxItems:"200" doc:"ids of agents who are told as well"`
	StatusID      string        `json:"status_id" maxLength:"64"`
	Tags          []string      `json:"tags" maxItems:"50"`
	Recipients
	Fields         map[string]any `json:"fields" doc:"values of custom fields, by key"`
	ServiceLevelID string         `json:"service_level_id" maxLength:"64" doc:"of its own; default that of contact, company or channel"`
	SendAt         *time.Time     `json:"send_at" doc:"when the mail of an email ticket leaves; default at once"`
	Draft          bool           `json:"draft" doc:"keeps it for later: it has no number, and the caller alone sees it"`
}

type newTicket struct {
	RawBody []byte
	Body    ticketInput
}

type ticketAnswer struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     ticketShape
}

func (a *api) createTicket(ctx context.Context, c *call, in *newTicket) (*ticketAnswer, error) {
	if !in.Body.Draft {
		return a.makeTicket(ctx, c, &in.Body, "")
	}
	body, err := parsed(in.RawBody)
	if err != nil {
		return nil, err
	}
	return a.saveTicketDraft(ctx, c, "", body, in.Body.Attachments)
}

// makeTicket makes the ticket that a body asks for; draft is what it was kept as.
func (a *api) makeTicket(ctx context.Context, c *call, b *ticketInput, draft string) (*ticketAnswer, error) {
	attached, err := files(b.Attachments)
	if err != nil {
		return nil, err
	}
	n := threading.NewTicket{
		Kind: store.TicketKind(b.Kind), ChannelID: b.ChannelID, AccountID: b.AccountID, Subject: b.Subject,
		Text: b.Text, HTML: b.HTML, To: typed(b.To), Cc: typed(b.Cc), Bcc: typed(b.Bcc), ContactID: b.ContactID, Medium: store.Medium(b.Medium),
		Attachments: attached, Priority: store.Priority(b.Priority), MarkerID: b.MarkerID, SendAt: given(b.SendAt),
		OwnerID: b.OwnerID, ResponsibleID: b.ResponsibleID, StatusID: b.StatusID, Tags: b.Tags, Watchers: b.Watchers, Fields: b.Fields, ServiceLevelID: b.ServiceLevelID, DraftID: draft,
	}
	if p := b.Contact; p != nil {
		n.Contact = &threading.NewContact{ExternalID: p.ExternalID, Name: p.Name, Email: p.Email, Phone: p.Phone}
	}
	t, err := a.Desk.CreateTicket(ctx, c.agent, n)
	if err != nil {
		return nil, err
	}
	out, err := a.ticketOnce(ctx, c, t)
	if err != nil {
		return nil, err
	}
	out.Location = Prefix + "/tickets/" + strconv.FormatInt(t.Number, 10)
	return out, nil
}

// ticketOnce shows a ticket to the one who just made or changed it, also when
// he will not see it again.
func (a *api) ticketOnce(ctx context.Context, c *call, t store.Ticket) (*ticketAnswer, error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*ticketAnswer, error) {
		if now, err := tx.Ticket(ctx, t.Number); err == nil { // rules may have changed it in the same step
			t = now
		}
		shapes, err := a.shapesOf(ctx, tx, c, []store.Ticket{t})
		if err != nil {
			return nil, err
		}
		return &ticketAnswer{ETag: etag(t.Version), Body: shapes[0]}, nil
	})
}

// OnTicket is the path of a ticket.
type OnTicket struct {
	Number string `path:"number" doc:"the ticket's number"`
}

func (a *api) getTicket(ctx context.Context, c *call, _ *OnTicket) (*ticketAnswer, error) {
	v, err := a.Desk.Ticket(ctx, c.agent, c.ticket.Number)
	if err != nil {
		return nil, err
	}
	var counts map[int64]int
	var desk *store.Desk
	var clocks map[int64]store.Clock
	links, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (links []store.Link, err error) {
		if desk, err = tx.Desk(ctx); err != nil {
			return nil, err
		}
		if clocks, err = tx.Clocks(ctx, v.Number); err != nil {
			return nil, err
		}
		if counts, err = tx.ActivityCounts(ctx, v.Number); err != nil {
			return nil, err
		}
		return seenLinks(ctx, tx, c, v.Links)
	})
	if err != nil {
		return nil, err
	}
	s := a.ticketOf(v.Ticket, counts[v.Number])
	s.ServiceLevel = a.levelOfTicket(desk, clocks[v.Number])
	s.Watchers, s.Fields, s.Counts.Minutes = some(v.Watchers), fieldsOf(desk, v.Fields), v.Minutes
	s.Status, s.Contact, s.Company = mentionStatus(desk, v.Ticket), mentionContact(v.Contact), mentionCompany(v.Company)
	s.Links, s.Participants = some(links), participants(v.Participants)
	for _, h := range v.Held {
		s.Held = append(s.Held, heldShape{Ticket: h.Ticket, From: h.From, Subject: h.Subject, CreatedAt: h.CreatedAt.UTC()})
	}
	return &ticketAnswer{ETag: etag(v.Version), Body: s}, nil
}

type participantInput struct {
	Address string `json:"address" required:"true" maxLength:"400"`
	Name    string `json:"name" maxLength:"200"`
	Active  bool   `json:"active" required:"true"`
}

type ticketPatch struct {
	OnTicket
	IfMatch string `header:"If-Match" maxLength:"100"`
	Body    ticketChange
}

// ticketChange is what a PATCH changes of a ticket.
type ticketChange struct {
	Subject       opt[string]    `json:"subject" maxLength:"1000"`
	StatusID      opt[string]    `json:"status_id" maxLength:"64"`
	ChannelID     opt[string]    `json:"channel_id" maxLength:"64"`
	OwnerID       opt[string]    `json:"owner_id" maxLength:"64"`
	ResponsibleID opt[string]    `json:"responsible_id" maxLength:"64"`
	MarkerID      opt[string]    `json:"marker_id" maxLength:"64"`
	ContactID     opt[string]    `json:"contact_id" maxLength:"64"`
	Priority      opt[string]    `json:"priority" enum:"low,normal,high,urgent"`
	Tags          opt[[]string]  `json:"tags" maxItems:"50"`
	Fields        map[string]any `json:"fields" doc:"values of custom fields, by key; null takes one away"`

	ServiceLevelID opt[string] `json:"service_level_id" maxLength:"64" doc:"of its own; null: that of contact, company or channel"`

	Participants []participantInput `json:"participants" maxItems:"200" doc:"whom to switch on or off for the next answer, or to add; those not named stay as they are"`
	Comment      string             `json:"comment" maxLength:"10000" lines:"many" doc:"kept with the activity that this PATCH writes"`
}

// patch gives the change as threading takes it; fields of a refusal lie below
// the name of where it stands.
func (b *ticketChange) patch(below string) (p threading.TicketPatch, err error) {
	var errs []fieldError
	for field, null := range map[string]bool{"subject": b.Subject.Null, "status_id": b.StatusID.Null, "channel_id": b.ChannelID.Null} {
		if null {
			errs = append(errs, fieldError{Field: below + field, Message: "can't be cleared"})
		}
	}
	if err := refused(errs); err != nil {
		return p, err
	}
	p = threading.TicketPatch{
		Subject: b.Subject.clearable(), StatusID: b.StatusID.clearable(), ChannelID: b.ChannelID.clearable(),
		OwnerID: b.OwnerID.clearable(), ResponsibleID: b.ResponsibleID.clearable(), MarkerID: b.MarkerID.clearable(),
		ContactID: b.ContactID.clearable(), Tags: b.Tags.clearable(), Fields: b.Fields, ServiceLevelID: b.ServiceLevelID.clearable(), Comment: b.Comment,
	}
	for _, someone := range b.Participants {
		p.Participants = append(p.Participants, threading.ParticipantPatch(someone))
	}
	if b.Priority.Sent {
		priority := store.Priority(b.Priority.Value)
		if b.Priority.Null {
			priority = store.PriorityNormal
		}
		p.Priority = &priority
	}
	return p, nil
}

func (a *api) patchTicket(ctx context.Context, c *call, in *ticketPatch) (*ticketAnswer, error) {
	p, err := in.Body.patch("")
	if err != nil {
		return nil, err
	}
	p.IfVersion = ifMatch(in.IfMatch)
	t, err := a.Desk.PatchTicket(ctx, c.agent, c.ticket.Number, p)
	if err != nil {
		return nil, err
	}
	return a.ticketOnce(ctx, c, t)
}
