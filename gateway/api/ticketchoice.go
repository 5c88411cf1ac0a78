package api

import (
	"context"
	"encoding/json"
	"time"

	"ticketgate/store"
)

// TicketChoice says which tickets are meant: in the query of the list, and in
// the body of a change of many.
type TicketChoice struct {
	List          string    `query:"list" json:"list,omitzero" enum:"my,overview,drafts" default:"overview" doc:"my: made by, owned by, given to or watched by me, or in a channel that I subscribe as standard; drafts: what I have not sent yet, by no other parameter"`
	ChannelID     string    `query:"channel_id" json:"channel_id,omitzero" maxLength:"64"`
	StatusID      string    `query:"status_id" json:"status_id,omitzero" maxLength:"64"`
	Open          string    `query:"open" json:"open,omitzero" enum:"true,false"`
	OwnerID       string    `query:"owner_id" json:"owner_id,omitzero" maxLength:"64" doc:"none: tickets that nobody owns"`
	ResponsibleID string    `query:"responsible_id" json:"responsible_id,omitzero" maxLength:"64"`
	WatcherID     string    `query:"watcher_id" json:"watcher_id,omitzero" maxLength:"64"`
	Tag           string    `query:"tag" json:"tag,omitzero" maxLength:"200"`
	Held          string    `query:"held" json:"held,omitzero" enum:"true,false" doc:"true: mails that wait for a decision whether they belong to another ticket"`
	ContactID     string    `query:"contact_id" json:"contact_id,omitzero" maxLength:"64"`
	CompanyID     string    `query:"company_id" json:"company_id,omitzero" maxLength:"64"`
	Kind          string    `query:"kind" json:"kind,omitzero" enum:"email,enquiry,internal,form,portal"`
	MarkerID      string    `query:"marker_id" json:"marker_id,omitzero" maxLength:"64"`
	Priority      string    `query:"priority" json:"priority,omitzero" enum:"low,normal,high,urgent"`
	Field         string    `query:"field" json:"field,omitzero" maxLength:"2100" doc:"a custom field and its value, such as serial:4711"`
	CreatedSince  time.Time `query:"created_since" json:"created_since,omitzero" doc:"from this time on"`
	CreatedUntil  time.Time `query:"created_until" json:"created_until,omitzero" doc:"before this time"`
	UpdatedSince  time.Time `query:"updated_since" json:"updated_since,omitzero" doc:"from this time on"`
	UpdatedUntil  time.Time `query:"updated_until" json:"updated_until,omitzero" doc:"before this time"`
	Query         string    `query:"q" json:"q,omitzero" maxLength:"500" doc:"full text over subject, text, addresses, reference and attachment names"`
}

func (q *TicketChoice) filter(desk *store.Desk, c *call) (store.TicketFilter, error) {
	f := store.TicketFilter{
		VisibleTo: c.agent.ID, List: q.List, ChannelID: q.ChannelID, StatusID: q.StatusID, OwnerID: q.OwnerID,
		ContactID: q.ContactID, CompanyID: q.CompanyID, Kind: store.TicketKind(q.Kind), MarkerID: q.MarkerID,
		Priority: store.Priority(q.Priority), Query: q.Query, ResponsibleID: q.ResponsibleID, WatcherID: q.WatcherID,
		Tag: q.Tag, Open: isTrue(q.Open), Held: isTrue(q.Held), CreatedSince: q.CreatedSince, CreatedUntil: q.CreatedUntil,
		UpdatedSince: q.UpdatedSince, UpdatedUntil: q.UpdatedUntil,
	}
	err := byField(desk, q.Field, &f)
	return f, err
}

// isTrue reads true or false; nil is neither.
func isTrue(word string) *bool {
	if word == "" {
		return nil
	}
	yes := word == "true"
	return &yes
}

// TicketSelection is a choice of tickets in an order, or a view that says both.
type TicketSelection struct {
	TicketChoice
	View string `query:"view" maxLength:"64" doc:"id of a view; what else the query says goes before what the view says"`
	Sort string `query:"sort" enum:"number,-number,created_at,-created_at,updated_at,-updated_at,last_incoming_at,-last_incoming_at,priority,-priority,respond_by,-respond_by" default:"-number"`
}

// selected gives the filter that is meant, of what the caller may see.
func (q *TicketSelection) selected(ctx context.Context, tx *store.Tx, c *call) (store.TicketFilter, error) {
	desk, err := tx.Desk(ctx)
	if err != nil {
		return store.TicketFilter{}, err
	}
	choice, sort := q.TicketChoice, q.Sort
	if q.View != "" {
		v, err := tx.View(ctx, c.agent.ID, q.View)
		if err != nil {
			return store.TicketFilter{}, err
		}
		if choice, err = q.over(v, c); err != nil {
			return store.TicketFilter{}, err
		}
		if c.query("sort") == "" {
			sort = v.Sort
		}
	}
	f, err := choice.filter(desk, c)
	f.Sort = sort
	return f, err
}

// over lays what the query says over the filter of a view.
func (q *TicketSelection) over(v store.View, c *call) (TicketChoice, error) {
	choice, said := choiceOf(v), q.TicketChoice
	if c.query("list") == "" {
		said.List = "" // a default
	}
	raw, err := json.Marshal(said)
	if err != nil {
		return choice, err
	}
	err = json.Unmarshal(raw, &choice)
	return choice, err
}
