package api

import (
	"context"
	"time"

	"ticketgate/store"
)

// findErasable is the 404 of a contact that is not there, and of which no
// erasure broke off.
func (a *api) findErasable(ctx context.Context, c *call) error {
	return a.DB.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		id := c.param("id")
		_, err := tx.Contact(ctx, id)
		if store.IsNotFound(err) && c.query("erase") == "true" {
			_, err = tx.OpenErasure(ctx, id)
		}
		return err
	})
}

// erase goes on when the client is gone: half an erasure helps nobody.
func (a *api) erase(ctx context.Context, c *call, id string) (*nothing, error) {
	_, err := a.Desk.EraseContact(context.WithoutCancel(ctx), c.agent, id)
	return nil, err
}

// erasureShape is the proof of an erasure.
type erasureShape struct {
	ID        string     `json:"id"`
	ContactID string     `json:"contact_id" doc:"that led to the person, and leads nowhere now"`
	AgentID   string     `json:"agent_id"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at" doc:"null: it broke off, and goes on when it is asked for again"`
	Removed   removed    `json:"removed"`
}

// removed counts what is gone.
type removed struct {
	Contacts    int      `json:"contacts"`
	Tickets     int      `json:"tickets" doc:"that the person had to do with; they stay as skeletons"`
	Activities  int      `json:"activities" doc:"of the person, emptied"`
	Redacted    int      `json:"redacted" doc:"of others, from which the person was taken out"`
	Attachments int      `json:"attachments"`
	Mails       int      `json:"mails" doc:"that went out, from which the person was taken out"`
	Deliveries  int      `json:"deliveries" doc:"to the person"`
	Cancelled   int      `json:"cancelled" doc:"deliveries that had not left"`
	Quarantined int      `json:"quarantined"`
	Hashes      []string `json:"hashes" doc:"SHA-256 of the bytes that are gone: raw mail and files"`
}

func erasureOf(e store.Erasure) erasureShape {
	s := erasureShape{ID: e.ID, ContactID: e.ContactID, AgentID: e.AgentID, StartedAt: e.StartedAt.UTC(), Removed: removed(e.ErasureProof)}
	if !e.EndedAt.IsZero() {
		s.EndedAt = &e.EndedAt
	}
	s.Removed.Hashes = some(s.Removed.Hashes)
	return s
}

func (a *api) listErasures(ctx context.Context, _ *call, in *Paging) (*page[erasureShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[erasureShape], error) {
		found, next, err := tx.Erasures(ctx, in.Cursor, in.Limit)
		return mapped(found, next, erasureOf), err
	})
}
