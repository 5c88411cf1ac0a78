package threading

import (
	"context"
	"time"

	"ticketgate/store"
)

// TicketView is a ticket with what belongs to it, as an agent sees it.
type TicketView struct {
	store.Ticket
	Reference    string
	Contact      *store.Contact // nil: none
	Company      *store.Company
	Links        []store.Link
	Participants []store.Participant
	Watchers     []string          // agent ids
	Fields       map[string]string // values of custom fields, by field id
	Minutes      int               // worked
	Held         []Held
}

// Held is a stranger's mail that waits for the ticket.
type Held struct {
	Ticket    int64     `json:"ticket"`
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	CreatedAt time.Time `json:"created_at"`
}

// Ticket reads a ticket that the agent sees. Error: not_found.
func (s *Service) Ticket(ctx context.Context, agent *store.Agent, number int64) (TicketView, error) {
	var view TicketView
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		w, err := s.newWork(ctx, tx)
		if err != nil {
			return err
		}
		t, err := w.visible(ctx, agent, number)
		if err != nil {
			return err
		}
		view, err = w.view(ctx, agent, t)
		return err
	})
	return view, err
}

func (w *work) view(ctx context.Context, agent *store.Agent, t store.Ticket) (TicketView, error) {
	v := TicketView{Ticket: t, Reference: w.s.Reference(t.Number)}
	if t.ContactID != "" {
		c, err := w.tx.Contact(ctx, t.ContactID)
		if err != nil && !store.IsNotFound(err) {
			return v, err
		}
		if err == nil {
			v.Contact = &c
		}
	}
	if t.CompanyID != "" {
		c, err := w.tx.Company(ctx, t.CompanyID)
		if err != nil && !store.IsNotFound(err) {
			return v, err
		}
		if err == nil {
			v.Company = &c
		}
	}
	var err error
	if v.Links, err = w.tx.Links(ctx, t.Number); err != nil {
		return v, err
	}
	if v.Participants, err = w.tx.Participants(ctx, t.Number); err != nil {
		return v, err
	}
	watchers, err := w.tx.Watchers(ctx, t.Number)
	if err != nil {
		return v, err
	}
	fields, err := w.tx.FieldValues(ctx, t.Number)
	if err != nil {
		return v, err
	}
	minutes, err := w.tx.Minutes(ctx, t.Number)
	if err != nil {
		return v, err
	}
	v.Watchers, v.Fields, v.Minutes = watchers[t.Number], fields[t.Number], minutes[t.Number]
	return v, w.viewHeld(ctx, agent, &v)
}

// viewHeld leaves out what waits in a channel that the agent does not see: there
// is nothing that he could say about it either (see waiting).
func (w *work) viewHeld(ctx context.Context, agent *store.Agent, v *TicketView) error {
	list, err := w.held(ctx, v.Number)
	if err != nil {
		return err
	}
	for _, t := range list {
		if !w.desk.Sees(agent.ID, t.ChannelID) {
			continue
		}
		h := Held{Ticket: t.Number, Subject: t.Subject, CreatedAt: t.CreatedAt}
		first, _, err := w.tx.Activities(ctx, t.Number, "", 1)
		if err != nil {
			return err
		}
		if len(first) > 0 {
			h.From = first[0].Author.Address
		}
		v.Held = append(v.Held, h)
	}
	return nil
}
